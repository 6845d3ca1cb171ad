"""What passes the door, what does not, and what it says when a service is away."""

import asyncio
import base64
import contextlib
import hashlib
import os
from collections.abc import AsyncIterator

import aiohttp
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from testkit.proxy import TcpProxy

from .conftest import BIG_BYTES, DoorClient, World

pytestmark = pytest.mark.servers


async def test_nobody_vouches_for_himself(world: World, door: DoorClient) -> None:
    forged = {
        "X-Voltlync-Principal": "forged",
        "x_voltlync_principal": "forged",
        "X-Voltlync-Anything": "forged",
        "Cookie": "session=1",
        "X-Forwarded-For": "6.6.6.6",
        "Forwarded": "for=6.6.6.6",
        "Connection": "X-Secret-Hop, keep-alive",
        "X-Secret-Hop": "1",
        "Proxy-Authorization": "Basic x",
        "X-Harmless": "yes",
    }
    status, seen, _ = await door.call("GET", "/v1/stations?limit=5&name=a%20b", role="admin", headers=forged)
    assert (status, seen["subject"], seen["path"]) == (200, "user_admin", "/v1/stations?limit=5&name=a%20b")
    headers = seen["headers"]
    assert headers["x-harmless"] == "yes"
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["x-voltlync-principal"].count(".") == 2
    gone = {"authorization", "cookie", "forwarded", "x-secret-hop", "proxy-authorization", "x-voltlync-anything"}
    assert not gone & headers.keys()
    assert "x_voltlync_principal" not in headers
    _, seen, _ = await door.call("GET", "/v1/public/payments/1", headers=forged)
    assert (seen["subject"], "x-voltlync-principal" in seen["headers"]) == (None, False)


async def test_answers_come_back_as_they_are(door: DoorClient) -> None:
    status, station, headers = await door.call("POST", "/v1/stations", role="admin", json={"name": "ಇಂದಿರಾನಗರ"})
    assert (status, station) == (201, {"id": "stn_1", "name": "ಇಂದಿರಾನಗರ"})
    assert len(headers.getall("X-Request-Id")) == 1
    status, problem, _ = await door.call("POST", "/v1/stations", role="admin", json={"name": 7})
    assert (status, problem["errors"][0]["pointer"]) == (422, "#/body/name")
    status, problem, _ = await door.call("POST", "/v1/stations", role="operator", json={"name": "a"})
    assert (status, problem["roles"]) == (403, ["admin"])
    status, problem, _ = await door.call("DELETE", "/v1/stations", role="admin")
    assert (status, problem["type"]) == (405, "urn:voltlync:problem:method-not-allowed")


async def test_a_request_id_and_a_trace_go_all_the_way(world: World, door: DoorClient) -> None:
    _, seen, headers = await door.call("GET", "/v1/stations", role="admin", headers={"X-Request-Id": "console-0017"})
    assert seen["headers"]["x-request-id"] == headers["X-Request-Id"] == "console-0017"
    spans = {
        span.resource.attributes["service.name"]: span for span in world.spans.get_finished_spans() if span.kind.name == "SERVER"
    }
    assert spans["api_gateway"].context.trace_id == spans["charging"].context.trace_id
    assert seen["headers"]["traceparent"].split("-")[1] == f"{spans['charging'].context.trace_id:032x}"


@pytest.mark.parametrize("body", [b'{"a":  1}\n', b"", b"\x00\xff\xfe not json", os.urandom(5000), b"x" * (1024 * 1024)])
async def test_a_webhook_arrives_byte_by_byte(door: DoorClient, body: bytes) -> None:
    headers = {"X-Razorpay-Signature": "abc", "Content-Type": "application/json"}
    status, digest, answered = await door.call("POST", "/webhooks/razorpay", data=body, headers=headers)
    # Payments' own limit is lower than the door's: a problem of payments comes back as it is.
    if len(body) > 256 * 1024:
        assert status == 413
        return
    assert (status, digest.decode()) == (200, hashlib.sha256(body).hexdigest())
    assert answered["X-Seen-Signature"] == "abc"


async def test_a_large_answer_is_streamed_and_a_broken_one_shows(world: World, door: DoorClient) -> None:
    status, body, headers = await door.call("GET", "/v1/meter-values", role="admin")
    assert (status, len(body), headers["Content-Type"]) == (200, BIG_BYTES, "text/csv")
    with pytest.raises(aiohttp.ClientPayloadError):
        await door.call("GET", "/v1/meter-values?break=1", role="admin")


async def test_too_large_and_too_slow_bodies_stop_at_the_door(world: World) -> None:
    door = await world.door(max_body_bytes=1000)
    status, problem, _ = await door.call("POST", "/v1/stations", role="admin", data=b"x" * 1001)
    assert (status, problem["max_bytes"]) == (413, 1000)

    async def dripping() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    door = await world.door(body_seconds=0.1)
    status, problem, _ = await door.call("POST", "/v1/stations", role="admin", data=dripping())
    assert (status, problem["type"]) == (408, "urn:voltlync:problem:body-too-slow")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/",
        "/v1/nonsense",
        "/v1/public",
        "/v1/public/nonsense/1",
        "/v2/stations",
        "/metrics",
        "/readyz",
        "/openapi.json",
        "/v1/stations/../payments/1",
        "/v1/stations/%2e%2e/payments/1",
        "/v1/stations/%2E%2E%2fpayments/1",
        "/v1/stations//1",
        "/v1/stations/",
        "/v1/stations/a%5cb",
        "/v1/stations/a%00",
        "/webhooks/razorpay/x",
        "/webhooks/stripe",
    ],
)
async def test_nothing_else_is_reachable(world: World, door: DoorClient, path: str) -> None:
    # Written to the socket as it is: a client library would tidy the path up.
    reader, writer = await asyncio.open_connection("127.0.0.1", int(door.url.rpartition(":")[2]))
    token = world.identity.token("admin")
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    assert answer.startswith("HTTP/1.1 404 "), (path, answer[:300])
    assert "application/problem+json" in answer
    # The door itself said so: no service was asked what it makes of such a path.
    assert {span.resource.attributes["service.name"] for span in world.spans.get_finished_spans()} == {"api_gateway"}


@pytest.mark.parametrize(
    "path", ["/v1/stations/7/event", "/v1/meter-values", "/v1/openapi.json", "/docs", "/v1/public/payments/1"]
)
async def test_head_says_what_get_would_without_its_body(door: DoorClient, path: str) -> None:
    status, _, of_get = await door.call("GET", path, role="admin")
    head_status, body, of_head = await door.call("HEAD", path, role="admin")
    assert (status, head_status, body) == (200, 200, b"")
    assert of_head["Content-Type"] == of_get["Content-Type"]
    if path != "/v1/public/payments/1":  # that one tells of its caller's headers
        assert of_head.get("Content-Length") == of_get.get("Content-Length")


async def test_head_is_refused_where_get_would_be(door: DoorClient) -> None:
    for path, role, expected in (("/v1/stations", None, 401), ("/v1/meter-values", "rider", 403), ("/v1/commands", "admin", 405)):
        status, body, _ = await door.call("HEAD", path, role=role)
        assert (status, body) == (expected, b""), path


async def test_methods_that_are_none_of_ours_are_answered_405(door: DoorClient) -> None:
    for method in ("TRACE", "OPTIONS", "PROPFIND"):
        status, problem, headers = await door.call(method, "/v1/stations", role="admin")
        assert (status, problem["status"]) == (405, 405)
        assert headers["Allow"] == "DELETE, GET, HEAD, PATCH, POST, PUT"


async def test_a_service_that_is_away_is_a_503_that_says_when_to_come_again(world: World, door: DoorClient) -> None:
    status, problem, headers = await door.call("GET", "/v1/settlements", role="admin")
    assert (status, problem["service"], headers["Retry-After"]) == (503, "settlement", "2")
    assert door.metric("upstream_failures_total", service="settlement", kind="away") == 1
    assert (await door.call("GET", "/v1/stations", role="admin"))[0] == 200


async def test_a_service_that_hangs_is_a_504_and_one_that_breaks_off_a_502(world: World) -> None:
    async def hang(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        writer.close()

    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()
        writer.close()

    async def speak_nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"220 smtp.example ESMTP\r\n")
        await writer.drain()
        writer.close()

    for behaviour, expected in [(hang, 504), (break_off, 502), (speak_nonsense, 502)]:
        server = await asyncio.start_server(behaviour, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        door = await world.door(journal_url=url, upstream_seconds=0.3)
        status, problem, _ = await door.call("GET", "/v1/audit-events", role="admin")
        assert (status, problem["service"]) == (expected, "journal")
        server.close()


async def test_waiting_for_a_charger_is_no_work_in_progress(world: World, door: DoorClient) -> None:
    waiting = asyncio.ensure_future(door.call("POST", "/v1/commands?wait=20", role="admin", json={}))
    await world.charging_app.arrived.wait()
    assert (door.service.work.count(), world.charging.work.count()) == (0, 0)
    world.charging_app.gate.set()
    assert (await waiting)[0] == 200


async def test_browsers_of_our_origins_may_call_and_no_others(world: World) -> None:
    door = await world.door(cors_origins="https://console.example, http://localhost:5173")
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    status, _, headers = await door.call("OPTIONS", "/v1/stations", headers={"Origin": "https://console.example", **asked})
    assert (status, headers["Access-Control-Allow-Origin"]) == (204, "https://console.example")
    assert "Idempotency-Key" in headers["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Credentials" not in headers
    status, _, headers = await door.call("OPTIONS", "/v1/stations", headers={"Origin": "https://evil.example", **asked})
    assert "Access-Control-Allow-Origin" not in headers
    _, _, headers = await door.call("GET", "/v1/stations", headers={"Origin": "http://localhost:5173"})
    assert headers["Access-Control-Allow-Origin"] == "http://localhost:5173"
    assert "Origin" in headers["Vary"]
    assert "X-Request-Id" in headers["Access-Control-Expose-Headers"]


async def test_every_answer_tells_browsers_to_run_nothing(world: World, door: DoorClient) -> None:
    for path in ("/v1/stations", "/nothing", "/v1/openapi.json"):
        _, _, headers = await door.call("GET", path)
        assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert "Strict-Transport-Security" not in headers
    production = await world.door(environment="production")
    assert "max-age" in (await production.call("GET", "/nothing"))[2]["Strict-Transport-Security"]


async def test_one_document_describes_all_services_and_survives_one(world: World, door: DoorClient) -> None:
    status, document, _ = await door.call("GET", "/v1/openapi.json")
    assert status == 200
    OpenAPIV31SpecValidator(document).validate()
    assert {"/v1/stations", "/v1/payments/{payment_id}/event", "/v1/public/payments/{payment_id}"} <= document["paths"].keys()
    assert "/webhooks/razorpay" not in document["paths"]
    assert document["x-missing-services"] == ["settlement", "firmware", "journal"]
    schemas = document["components"]["schemas"]
    assert schemas["EventView"]["properties"].keys() == {"station"}
    assert schemas["PaymentsEventView"]["properties"].keys() == {"amount_paise"}
    answer = document["paths"]["/v1/payments/{payment_id}/event"]["get"]["responses"]["200"]
    assert answer["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/PaymentsEventView"}
    await world.payments.stop()
    await world.clock.advance(60)
    _, again, _ = await door.call("GET", "/v1/openapi.json")
    assert again == document


async def test_the_docs_are_one_page_with_nothing_from_elsewhere(door: DoorClient) -> None:
    status, page, headers = await door.call("GET", "/docs")
    text = page.decode()
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "http://" not in text
    assert "https://" not in text
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    script = text.partition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy


async def test_readyz_tells_of_those_behind_and_does_not_fall_with_them(world: World, door: DoorClient) -> None:
    async with world.session.get(door.internal_url + "/readyz") as response:
        body = await response.json()
    assert response.status == 200
    assert body["details"]["charging"] == "ok"
    assert body["details"]["identity provider"] == "ok"
    assert body["details"]["rate limits"] == "ok"
    assert body["details"]["journal"].startswith("does not answer")


async def test_a_caller_has_so_many_requests_and_others_have_theirs(world: World) -> None:
    door = await world.door(limit_caller="5/minute")
    statuses = [(await door.call("GET", "/v1/stations", role="admin"))[0] for _ in range(7)]
    assert statuses == [200] * 5 + [429] * 2
    status, problem, headers = await door.call("GET", "/v1/stations", role="admin")
    assert (status, problem["type"]) == (429, "urn:voltlync:problem:too-many-requests")
    assert 1 <= int(headers["Retry-After"]) <= 120
    assert (await door.call("GET", "/v1/stations", role="finance"))[0] == 200
    # Another replica counts in the same Redis.
    replica = await world.door(limit_caller="5/minute")
    assert (await replica.call("GET", "/v1/stations", role="admin"))[0] == 429
    assert door.metric("rate_limited_total", kind="caller") == 3


async def test_the_public_and_the_unauthenticated_are_limited_by_address(world: World) -> None:
    door = await world.door(limit_public="2/minute", limit_unauthenticated="3/minute", trusted_proxies="127.0.0.0/8")

    async def statuses(path: str, address: str, count: int) -> list[int]:
        headers = {"X-Forwarded-For": f"9.9.9.9, {address}"}
        return [(await door.call("GET", path, headers=headers))[0] for _ in range(count)]

    assert await statuses("/v1/public/payments/1", "1.1.1.1", 3) == [200, 200, 429]
    assert await statuses("/v1/public/payments/1", "2.2.2.2", 1) == [200]
    assert await statuses("/v1/stations", "1.1.1.1", 4) == [401, 401, 401, 429]
    assert await statuses("/v1/stations", "2001:db8::1", 1) == [401]


async def test_without_redis_requests_pass_uncounted_and_that_is_counted(world: World) -> None:
    host, _, port = world.settings["redis_url"].rpartition("@")[2].rpartition("/")[0].rpartition(":")
    async with TcpProxy(host, int(port)) as wire:
        through = world.settings["redis_url"].replace(f"{host}:{port}", f"127.0.0.1:{wire.port}")
        door = await world.door(limit_caller="2/minute", redis_url=through)
        assert [(await door.call("GET", "/v1/stations", role="admin"))[0] for _ in range(3)] == [200, 200, 429]
        wire.cut()
        assert [(await door.call("GET", "/v1/stations", role="admin"))[0] for _ in range(3)] == [200, 200, 200]
        assert door.metric("rate_limit_unavailable_total") == 3
        await wire.restore()
        await world.clock.advance(2)
        assert (await door.call("GET", "/v1/stations", role="admin"))[0] == 429
