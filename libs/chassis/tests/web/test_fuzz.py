"""Whatever is sent, nothing of ours answers 500."""

import json
import string
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yarl import URL

from .conftest import World

pytestmark = pytest.mark.servers

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**63, -(2**63) - 1, 2**31, 10**400]),
    st.floats(),
    st.text(),
    st.sampled_from(["\0", "stn_1", "'; DROP TABLE stations; --", "\ud800", "9" * 30, "NaN", "\u202e"]),
)
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4), max_leaves=12
)
stations = st.fixed_dictionaries(
    {}, optional={"name": scalars, "tariff_paise_per_kwh": scalars, "tags": documents, "anything": documents}
)
bodies = st.one_of(st.binary(max_size=200), (documents | stations).map(lambda value: _json(value)))
paths = st.one_of(
    st.sampled_from(["/v1/stations", "/v1/stations/stn_1", "/v1/stations/stn_1/reboots", "/v1/public/hello", "/v1/raw"]),
    st.text(string.printable, max_size=20).map(lambda text: "/v1/stations/" + text),
    st.binary(max_size=8).map(lambda raw: "/v1/stations/" + "".join(f"%{byte:02x}" for byte in raw)),
)
queries = st.lists(st.tuples(st.sampled_from(["limit", "cursor", "kind", "name", "x"]), st.text(max_size=20)), max_size=3)
headers = st.fixed_dictionaries(
    {"Content-Type": st.sampled_from(["application/json", "application/problem+json", "text/plain", "x"])},
    optional={
        "Idempotency-Key": st.text(string.ascii_letters + " é", max_size=20),
        "traceparent": st.text(string.printable[:95]),
    },
)


def _json(value: Any) -> bytes:

    return json.dumps(value).encode("utf-8", "surrogatepass")


async def test_no_input_is_answered_500(world: World) -> None:
    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(st.data())
    def draw(data: st.DataObject) -> None:
        cases.append(
            (
                data.draw(st.sampled_from(["GET", "POST", "DELETE", "PUT"])),
                data.draw(paths),
                data.draw(queries),
                data.draw(headers),
                data.draw(bodies),
            )
        )

    cases: list[tuple[str, str, list[tuple[str, str]], dict[str, str], bytes]] = []
    draw()
    assert len(cases) >= 100
    answered: set[int] = set()
    world.toy.gate.set()
    for method, path, query, given_headers, body in cases:
        url = (
            URL(world.client.url).join(URL(path.replace(" ", "%20").replace("?", "%3F").replace("#", "%23"))).extend_query(query)
        )
        if url.host != "127.0.0.1":
            continue
        try:
            status, answer, _ = await world.client.call(
                method, url.raw_path_qs, data=body if method != "GET" else None, headers=given_headers
            )
        except (aiohttp.ClientError, ValueError):
            continue  # the client itself would not send it
        answered.add(status)
        assert status < 500, (method, url, given_headers, body, answer)
    assert {404, 422} <= answered
