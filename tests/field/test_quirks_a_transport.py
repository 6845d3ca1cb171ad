"""Quirk table A: handshake and transport. Each test bears the number of its row in `ocpp.md` Part 1."""

import aiohttp
import pytest

from charger_simulator import Quirks
from tests.field.world import Field


@pytest.mark.quirk(1)
async def test_row_01_no_subprotocol_header_is_taken_for_16(field: Field) -> None:
    outlet = await field.outlet(online=False)
    bare = await field.bare(outlet, protocols=(), headers={"User-Agent": "TinyWebsockets Client"})
    assert bare.subprotocol is None
    assert (await bare.boot())["status"] == "Accepted"
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await field.bare(outlet, protocols=(), path="/ocpp/NOBODY-KNOWS-ME", user="NOBODY-KNOWS-ME")
    assert refused.value.status == 404


@pytest.mark.quirk(2)
async def test_row_02_a_probe_socket_changes_nothing_for_the_session(field: Field) -> None:
    outlet = await field.outlet(quirks=Quirks.of("several_subprotocols"))
    assert outlet.point.subprotocol == "ocpp1.6"
    await outlet.point.plug()
    await field.paid_start(outlet)
    await field.pass_seconds(60)
    assert (await field.transaction(outlet))["state"] == "RUNNING"
