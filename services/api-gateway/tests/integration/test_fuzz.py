"""Whatever is sent to the door, nothing of ours answers 500."""

import base64
import json
import string

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yarl import URL

from api_gateway.routing import NOUNS

from .conftest import World

pytestmark = pytest.mark.servers

HERE = ["stations", "payments", "public/payments"]
"""Nouns of the two services that run; the others are away, which is a 503."""

tails = st.one_of(
    st.just(""),
    st.text(string.printable, max_size=20).map(lambda text: "/" + text),
    st.binary(max_size=8).map(lambda raw: "/" + "".join(f"%{byte:02x}" for byte in raw)),
)
paths = st.one_of(
    st.tuples(st.sampled_from(HERE), tails).map(lambda parts: f"/v1/{parts[0]}{parts[1]}"),
    st.sampled_from(["/webhooks/razorpay", "/v1/openapi.json", "/docs", "/v1/nothing"]),
)
tokens = st.one_of(
    st.sampled_from(["admin", "rider", None]),
    st.text(st.characters(exclude_characters="\r\n\0"), max_size=40),
    st.dictionaries(
        st.sampled_from(["alg", "kid", "typ", "b64", "crit"]), st.one_of(st.text(max_size=5), st.integers(), st.none())
    ).map(lambda header: base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=") + ".e30.AAAA"),
)
queries = st.lists(st.tuples(st.sampled_from(["limit", "cursor", "wait"]), st.text(max_size=20)), max_size=3)
bodies = st.one_of(st.binary(max_size=100), st.just(b'{"name": "a\\u0000"}'), st.just(b"[" * 5000))
headers = st.fixed_dictionaries(
    {"Content-Type": st.sampled_from(["application/json", "x", "application/json; charset=x"])},
    optional={
        "X-Forwarded-For": st.text(string.printable[:90], max_size=20),
        "traceparent": st.text(string.printable[:90], max_size=60),
        "X-Request-Id": st.text(string.printable[:90], max_size=80),
        "Connection": st.sampled_from(["close", "content-type", "x-voltlync-principal, keep-alive"]),
        "Content-Encoding": st.sampled_from(["gzip", "br", "x"]),
    },
)


async def test_no_input_is_answered_500(world: World) -> None:
    door = await world.door(
        limit_caller="100000/minute",
        limit_public="100000/minute",
        limit_unauthenticated="100000/minute",
        trusted_proxies="127.0.0.1",
    )
    cases: list[tuple[str, str, str | None, list[tuple[str, str]], dict[str, str], bytes]] = []

    @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
    @given(st.sampled_from(["GET", "POST", "PUT", "DELETE"]), paths, tokens, queries, headers, bodies)
    def draw(method: str, path: str, token: str | None, query: list[tuple[str, str]], given_headers: dict[str, str], body: bytes):
        cases.append((method, path, token, query, given_headers, body))

    draw()
    assert len(cases) >= 150
    answered: set[int] = set()
    for method, path, token, query, given_headers, body in cases:
        encoded = path.replace(" ", "%20").replace("?", "%3F").replace("#", "%23")
        url = URL(door.url).join(URL(encoded)).extend_query(query)
        if url.host != "127.0.0.1":
            continue
        bearer = world.identity.token(token) if token in ("admin", "rider") else token
        try:
            status, answer, _ = await door.call(
                method, url.raw_path_qs, token=bearer, headers=given_headers, data=body if method != "GET" else None
            )
        except (aiohttp.ClientError, ValueError):
            continue  # the client itself would not send it, or the server's parser closed on it
        answered.add(status)
        assert status < 500 or status == 503, (method, url, token, given_headers, body, answer)
    assert {200, 401, 404, 405} <= answered
    assert set(HERE) - {"public/payments"} <= NOUNS.keys()
    unexpected = door.telemetry.registry.get_sample_value
    for noun in NOUNS:
        assert not unexpected("voltlync_api_gateway_unexpected_errors_total", {"route": f"/v1/{noun}"})
        assert not unexpected("voltlync_api_gateway_unexpected_errors_total", {"route": f"/v1/{noun}/{{tail}}"})
