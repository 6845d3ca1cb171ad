"""What a caller gets: answers, problems, and never our insides."""

import asyncio
import gzip
from datetime import timedelta

import jwt
import pytest

from chassis.web import (
    ADMIN,
    FINANCE,
    GUEST,
    PRINCIPAL_HEADER,
    STAFF,
    Principal,
    PrincipalSigner,
    Problem,
)

from .conftest import World

pytestmark = pytest.mark.servers

STATION = {"name": "Indiranagar", "tariff_paise_per_kwh": 1800}


async def test_a_station_is_created_and_read_back(world: World) -> None:
    status, created, headers = await world.client.call("POST", "/v1/stations", json=STATION)
    assert (status, created["id"], created["tariff_paise_per_kwh"]) == (201, "stn_1", 1800)
    assert created["created_at"] == "2026-01-05T04:30:00Z"
    assert headers["Cache-Control"] == "no-store"
    status, shown, _ = await world.client.call("GET", "/v1/stations/stn_1")
    assert (status, shown) == (200, created)
    status, nothing, _ = await world.client.call("DELETE", "/v1/stations/stn_1")
    assert (status, nothing) == (204, "")
    status, problem, headers = await world.client.call("GET", "/v1/stations/stn_1")
    assert (status, problem["type"]) == (404, "urn:voltlync:problem:no-such-station")
    assert headers["Content-Type"] == "application/problem+json"
    assert problem["instance"] == f"urn:voltlync:request:{headers['X-Request-Id']}"


async def test_a_wrong_field_is_named_by_its_pointer(world: World) -> None:
    body = {"name": "", "tariff_paise_per_kwh": -5, "tags": ["fine", 7], "colour": "red"}
    status, problem, _ = await world.client.call("POST", "/v1/stations", json=body)
    assert status == 422
    assert problem["type"] == "urn:voltlync:problem:invalid-request"
    assert {error["pointer"] for error in problem["errors"]} == {
        "#/body/name",
        "#/body/tariff_paise_per_kwh",
        "#/body/tags/1",
        "#/body/colour",
    }
    assert {"pointer": "#/body/tariff_paise_per_kwh", "detail": "Input should be greater than 0"} in problem["errors"]


@pytest.mark.parametrize("wrong", ["1800", 1800.5, 1800.0, True, None, [], {}])
async def test_money_is_an_integer_and_nothing_like_one(world: World, wrong: object) -> None:
    status, problem, _ = await world.client.call("POST", "/v1/stations", json={**STATION, "tariff_paise_per_kwh": wrong})
    assert (status, problem["errors"][0]["pointer"]) == (422, "#/body/tariff_paise_per_kwh")


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("/v1/stations/17", "#/path/station_id"),
        ("/v1/stations/chg_17", "#/path/station_id"),
        ("/v1/stations/stn_0", "#/path/station_id"),
        ("/v1/stations/stn_017", "#/path/station_id"),
        ("/v1/stations/stn_9223372036854775808", "#/path/station_id"),
        ("/v1/stations/stn_1%00", "#/path/station_id"),
        ("/v1/stations/stn_%D9%A1", "#/path/station_id"),
        ("/v1/stations?limit=0", "#/query/limit"),
        ("/v1/stations?limit=101", "#/query/limit"),
        ("/v1/stations?limit=" + "9" * 5000, "#/query/limit"),
        ("/v1/stations?limit=5&limit=6", "#/query/limit"),
        ("/v1/stations?limt=5", "#/query/limt"),
        ("/v1/stations?name=a%00b", "#/query/name/0"),
        ("/v1/stations?cursor=nonsense", "#/query/cursor"),
        ("/v1/stations?cursor=%00", "#/query/cursor"),
        ("/v1/stations?cursor=WzEsMl0", "#/query/cursor"),  # [1,2]: the first must be a time
        ("/v1/stations?cursor=WyIyMDI2LTAxLTA1VDAwOjAwOjAwWiIsMWU5OV0", "#/query/cursor"),  # an id of 1e99
    ],
)
async def test_wrong_paths_and_queries_are_problems_of_the_caller(world: World, path: str, pointer: str) -> None:
    status, problem, _ = await world.client.call("GET", path)
    assert (status, [error["pointer"] for error in problem["errors"]]) == (422, [pointer])


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b'{"name": "\\ud800", "tariff_paise_per_kwh": 1}', "application/json", 400),
        (b'{"name": "a", "tariff_paise_per_kwh": NaN}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "application/json", 413),
        (b'{"a":' * 20_000 + b"1" + b"}" * 20_000, "application/json", 400),
        (b'{"name": "a", "tariff_paise_per_kwh": ' + b"9" * 100_000 + b"}", "application/json", 400),
        (b'{"name": "a", "tariff_paise_per_kwh": 9223372036854775808}', "application/json", 422),
        (b'{"name": "a", "tariff_paise_per_kwh": 1e400}', "application/json", 422),
        (b'{"name": "a\\u0000b", "tariff_paise_per_kwh": 1}', "application/json", 422),
        (b'{"name": "a", "tariff_paise_per_kwh": 1, "anything": {"deep": ["x\\u0000"]}}', "application/json", 422),
        (b'{"name": "a", "tariff_paise_per_kwh": 1, "anything": {"x\\u0000": 1}}', "application/json", 422),
        (b"name=a&tariff_paise_per_kwh=1", "application/x-www-form-urlencoded", 415),
        (b'{"name": "a", "tariff_paise_per_kwh": 1}', "text/plain", 415),
        (b'{"name": "a", "tariff_paise_per_kwh": 1}', "application/json; charset=utf-16", 415),
        (b" " * (256 * 1024 + 1), "application/json", 413),
    ],
)
async def test_hostile_bodies_are_problems_of_the_caller(world: World, body: bytes, content_type: str, expected: int) -> None:
    status, problem, _ = await world.client.call("POST", "/v1/stations", data=body, headers={"Content-Type": content_type})
    assert status == expected, problem
    assert problem["status"] == expected
    assert world.toy.calls == 0


async def test_compressed_bodies_are_not_unfolded(world: World) -> None:
    body = gzip.compress(b" " * 10_000_000)
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    status, problem, _ = await world.client.call("POST", "/v1/stations", data=body, headers=headers)
    assert (status, problem["type"]) == (415, "urn:voltlync:problem:compressed-body")


@pytest.mark.parametrize("path", ["/v1/stations", "/v1/raw"])
async def test_a_body_that_ends_early_or_is_framed_wrongly_is_the_callers_problem(world: World, path: str) -> None:
    port = world.server.port
    token = world.client.signer.sign(
        Principal("asha", ADMIN), audience="toy", method="POST", path=path, now=world.client.clock.now()
    )
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{PRINCIPAL_HEADER}: {token}\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write((head + 'Transfer-Encoding: chunked\r\n\r\n5\r\n{"a":\r\nnonsense\r\n\r\n').encode())
    answer = await reader.read()
    assert b" 400 " in answer.partition(b"\r\n")[0]
    writer.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write((head + "Content-Length: 100\r\n\r\n{").encode())
    writer.write_eof()
    answer = await reader.read()
    assert not answer or answer.startswith(b"HTTP/1.1 400 ")
    writer.close()
    errors = world.telemetry.registry.get_sample_value("voltlync_toy_unexpected_errors_total", {"route": path})
    assert not errors


async def test_a_body_without_a_length_is_cut_at_the_limit(world: World) -> None:
    async def endless():
        for _ in range(10_000):
            yield b" " * 1024

    headers = {"Content-Type": "application/json"}
    status, problem, _ = await world.client.call("POST", "/v1/stations", data=endless(), headers=headers)
    assert (status, problem["max_bytes"]) == (413, 256 * 1024)


async def test_what_only_the_database_refuses_is_still_the_callers_problem(world: World) -> None:
    for values, expected in [
        ({"name": "a", "tariff_paise_per_kwh": 2**63}, 422),
        ({"name": "a\0b", "tariff_paise_per_kwh": 1}, 422),
        ({"name": 7, "tariff_paise_per_kwh": 1}, 422),
        ({"name": "a", "tariff_paise_per_kwh": 0}, 422),
        ({"name": None, "tariff_paise_per_kwh": 1}, 422),
        ({"name": "a", "tariff_paise_per_kwh": 1}, 200),
        ({"name": "a", "tariff_paise_per_kwh": 1}, 409),
    ]:
        status, problem, _ = await world.client.call("POST", "/v1/raw", json=values)
        assert status == expected, (values, problem)


async def test_an_unknown_error_tells_nothing_and_is_counted(world: World) -> None:
    status, problem, headers = await world.client.call("GET", "/v1/break/secret", roles=None)
    assert status == 500
    assert "hunter2" not in str(problem)
    assert "RuntimeError" not in str(problem)
    assert problem["instance"].endswith(headers["X-Request-Id"])
    counted = world.telemetry.registry.get_sample_value("voltlync_toy_unexpected_errors_total", {"route": "/v1/break/{what}"})
    assert counted == 1


async def test_an_outage_is_no_500_and_says_when_to_come_again(world: World) -> None:
    status, problem, headers = await world.client.call("GET", "/v1/break/connection", roles=None)
    assert (status, problem["type"], headers["Retry-After"]) == (503, "urn:voltlync:problem:unavailable", "2")


async def test_what_hangs_is_cut(world: World) -> None:
    status, problem, _ = await world.client.call("GET", "/v1/slow", roles=None)
    assert (status, problem["title"]) == (504, "This took too long")
    assert world.service.work.count("http") == 0


async def test_unknown_paths_and_methods_are_problems(world: World) -> None:
    status, problem, _ = await world.client.call("GET", "/v1/nothing")
    assert (status, problem["type"]) == (404, "urn:voltlync:problem:not-found")
    status, problem, headers = await world.client.call("PATCH", "/v1/stations")
    assert (status, problem["status"], headers["Allow"]) == (405, 405, "GET, HEAD, POST")


async def test_a_mapped_domain_exception_speaks_for_itself(world: World) -> None:
    status, problem, _ = await world.client.call("POST", "/v1/stations/stn_13/reboots", json={"kind": "Soft"})
    assert status == 423
    assert problem["title"] == "The station is dear to us"
    assert problem["detail"] == "Station 13 is not rebooted"
    assert problem["type"] == "urn:voltlync:problem:station-is-dear"


async def test_a_use_case_chooses_status_and_headers(world: World) -> None:
    status, _, headers = await world.client.call("POST", "/v1/stations/stn_5/reboots", json={"kind": "Soft"})
    assert (status, headers["Location"]) == (202, "/v1/reboots/5")


async def test_roles_open_doors_and_nothing_else_does(world: World) -> None:
    call = world.client.call
    assert (await call("GET", "/v1/stations", roles=None))[0] == 401
    assert (await call("GET", "/v1/stations", roles=FINANCE))[0] == 200
    status, problem, _ = await call("GET", "/v1/stations", roles=GUEST)
    assert (status, problem["roles"]) == (403, ["admin", "finance", "franchisee", "operator"])
    assert (await call("POST", "/v1/closed", roles=STAFF))[0] == 403
    assert (await call("GET", "/v1/public/hello", roles=None))[:2] == (200, "nobody")
    assert (await call("GET", "/v1/public/hello", roles=GUEST))[:2] == (200, "asha")
    assert (await call("GET", "/v1/export"))[:2] == (200, "id,name\n")


@pytest.mark.parametrize("path", ["/v1/stations", "/v1/export", "/v1/public/hello", "/openapi.json", "/livez"])
async def test_head_works_wherever_get_does_and_sends_no_body(world: World, path: str) -> None:
    _, _, of_get = await world.client.call("GET", path)
    status, body, of_head = await world.client.call("HEAD", path)
    assert (status, body) == (200, "")
    assert of_head["Content-Type"] == of_get["Content-Type"]
    assert of_head.get("Content-Length") == of_get.get("Content-Length")
    assert (await world.client.call("HEAD", "/v1/stations", roles=None))[:2] == (401, "")


async def test_a_principal_token_is_for_one_service_method_path_and_half_a_minute(world: World) -> None:
    client, asha = world.client, Principal("asha", ADMIN)
    now = client.clock.now()

    async def status_of(token: str) -> int:
        return (await client.call("GET", "/v1/stations", roles=None, headers={PRINCIPAL_HEADER: token}))[0]

    def sign(signer: PrincipalSigner = client.signer, **changed: object) -> str:
        call: dict[str, object] = {"audience": "toy", "method": "GET", "path": "/v1/stations", "now": now, **changed}
        return signer.sign(asha, **call)  # type: ignore[arg-type]

    assert await status_of(sign()) == 200
    assert await status_of(sign(audience="payments")) == 401
    assert await status_of(sign(method="POST")) == 401
    assert await status_of(sign(path="/v1/refunds")) == 401
    assert await status_of(sign(now=now - timedelta(seconds=34))) == 200
    assert await status_of(sign(now=now - timedelta(seconds=36))) == 401
    assert await status_of(sign(now=now + timedelta(seconds=30))) == 401
    assert await status_of(sign(PrincipalSigner.generate())) == 401
    assert await status_of("nonsense") == 401
    claims = {"iss": "voltlync-door", "aud": "toy", "sub": "asha", "roles": ["admin"], "method": "GET", "path": "/v1/stations"}
    claims |= {"iat": int(now.timestamp()), "exp": int(now.timestamp()) + 30}
    assert await status_of(jwt.encode(claims, None, algorithm="none")) == 401
    # HS256 keyed with the public key: the classic confusion of algorithms.
    assert await status_of(jwt.encode(claims, client.signer.public_key, algorithm="HS256")) == 401


async def test_pages_follow_their_cursors_over_equal_times(world: World) -> None:
    for number in range(7):
        if number in (2, 5):
            await world.client.clock.advance(60)
        await world.client.call("POST", "/v1/stations", json={**STATION, "name": f"s{number}"})
    seen: list[str] = []
    cursor = ""
    while True:
        _, page, _ = await world.client.call("GET", f"/v1/stations?limit=3{cursor}")
        seen += [item["name"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
        # A station that is added meanwhile shifts nothing.
        await world.client.call("POST", "/v1/stations", json={**STATION, "name": f"late{len(seen)}"})
    assert seen == ["s6", "s5", "s4", "s3", "s2", "s1", "s0"]
    _, page, _ = await world.client.call("GET", "/v1/stations?name=s1&name=s3&limit=100")
    assert [item["name"] for item in page["items"]] == ["s3", "s1"]


async def test_requests_are_traced_measured_and_counted_as_work(world: World) -> None:
    traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    body = {**STATION, "name": "wait"}
    calling = asyncio.ensure_future(
        world.client.call("POST", "/v1/stations", json=body, headers={"traceparent": traceparent, "X-Request-Id": "ride-0017"})
    )
    await world.toy.arrived.get()
    assert world.service.work.count("http") == 1
    world.toy.gate.set()
    status, _, headers = await calling
    assert (status, headers["X-Request-Id"]) == (201, "ride-0017")
    assert world.service.work.count("http") == 0
    server = next(span for span in world.spans.get_finished_spans() if span.name == "POST /v1/stations")
    assert server.context is not None
    assert f"{server.context.trace_id:032x}" == "4bf92f3577b34da6a3ce929d0e0e4736"
    labels = {"method": "POST", "route": "/v1/stations", "status": "201"}
    assert world.telemetry.registry.get_sample_value("voltlync_http_request_duration_seconds_count", labels) == 1
    _, metrics, _ = await world.client.call("GET", "/metrics", roles=None)
    assert "voltlync_http_request_duration_seconds_bucket" in metrics


async def test_health_says_what_is_wrong_and_stays_readable(world: World) -> None:
    assert (await world.client.call("GET", "/livez", roles=None))[0] == 200
    status, ready, _ = await world.client.call("GET", "/readyz", roles=None)
    assert (status, ready["checks"]) == (200, {"database": "ok"})

    async def away() -> str | None:
        return "RabbitMQ does not answer"

    async def broken() -> str | None:
        raise Problem(500, "x")

    world.service.ready_checks |= {"broker": away, "spool": broken}
    status, ready, _ = await world.client.call("GET", "/readyz", roles=None)
    assert (status, ready["checks"]) == (
        503,
        {"database": "ok", "broker": "RabbitMQ does not answer", "spool": "Problem: 500 x"},
    )
    world.service.ready_checks.clear()
    world.service.stopping.set()
    status, ready, _ = await world.client.call("GET", "/readyz", roles=None)
    assert (status, ready["checks"]) == (503, {"service": "stopping"})
