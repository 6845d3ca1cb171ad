"""Who gets in: ocpp.md rows 1 to 6, the handshake of architecture.md §2."""

import asyncio
import base64

import aio_pika
import aiohttp
import pytest

from contracts.charging import ChargerCredentialsChanged
from contracts.ocpp_gateway import DisconnectReason
from ocpp_gateway.credentials import Credentials
from testkit.clock import SteppingClock

pytestmark = pytest.mark.servers


async def test_a_known_charger_is_let_in_and_announced_as_the_first_event_of_its_epoch(gateway, charging, new_id):
    charger_id = new_id()
    charging.add(charger_id)
    charger = await gateway.connect(charger_id)
    assert charger.ws.protocol == "ocpp1.6"
    connected = await charging.wait(charger_id, "charge_point_connected")
    assert connected.data["seq"] == 0
    assert connected.data["gateway"] == gateway.settings.gateway_name
    assert connected.message_id == f"{charger_id}/{connected.data['epoch']}/0"
    await charger.ws.close()
    gone = await charging.wait(charger_id, "charge_point_disconnected")
    assert gone.data["reason"] == DisconnectReason.CLOSED
    assert (gone.data["epoch"], gone.data["seq"]) == (connected.data["epoch"], 1)


async def test_unknown_is_404_and_announced_wrong_password_401_disabled_404(gateway, charging, new_id):
    unknown, known, disabled, without = new_id(), new_id(), new_id(), new_id()
    charging.add(known)
    charging.add(disabled, enabled=False)
    charging.add(without, password_hash="")
    assert await gateway.status(unknown) == 404
    assert await gateway.status(known, password=b"wrong") == 401
    assert await gateway.status(known, password=None) == 401
    assert await gateway.status(disabled) == 404
    assert await gateway.status(without, password=b"") == 401
    assert await gateway.status("", path="/") == 404
    assert gateway.metric("handshakes_total", status="404") == 3


async def test_credentials_that_nobody_can_read_are_503(start_gateway, charging, new_id, clock: SteppingClock):
    charging.answering = False
    gateway = await start_gateway()
    knock = asyncio.ensure_future(gateway.status(new_id()))
    while not knock.done():
        await asyncio.sleep(0.01)
        await clock.advance(1)
    assert await knock == 503


@pytest.mark.parametrize(
    ("path", "charger_id"),
    [
        ("///{0}", "CP_{0}"),
        ("/ocpp/{0}/", "CP_{0}"),
        ("/ws://10.0.0.5:9000/CP_1/{0}", "CP_{0}"),
        ("/ocpp/R%20{0}", "R CP_{0}"),
        ("/ocpp/{0}?x=1", "CP_{0}"),
    ],
)
async def test_odd_paths_and_wrong_case_find_the_registered_spelling(gateway, charging, new_id, path, charger_id):
    own = new_id()[3:]
    registered = charger_id.format(own)
    charging.add(registered)
    in_url = path.format(f"cp_{own}")
    headers = {"Authorization": "Basic " + base64.b64encode(b"who cares:0123456789abcdef0123456789abcdef01234567").decode()}
    # A raw socket: a client library would tidy the path up.
    port = gateway.url("").rpartition(":")[2]
    reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
    writer.write(
        f"GET {in_url} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: file://\r\n"
        f"Authorization: {headers['Authorization']}\r\n\r\n".encode()
    )
    answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 101"), answer
    assert b"Sec-WebSocket-Protocol" not in answer  # none was offered (row 1)
    await charging.wait(registered, "charge_point_connected")
    writer.close()


@pytest.mark.parametrize(
    "password", [b"0123456789ABCDEF0123456789abcdef01234567", bytes.fromhex("0123456789abcdef0123456789abcdef01234567")]
)
async def test_a_key_may_come_as_hex_text_in_any_case_or_as_its_bytes(gateway, charging, new_id, password):
    charger_id = new_id()
    charging.add(charger_id)
    charger = await gateway.connect(charger_id, password=password)
    assert (await charger.call("Heartbeat", {}))[0] == 3


@pytest.mark.parametrize(("offered", "chosen"), [((), None), (("ocpp2.0.1", "ocpp1.6"), "ocpp1.6"), (("OCPP1.6",), "OCPP1.6")])
async def test_subprotocols(gateway, charging, new_id, offered, chosen):
    charger_id = new_id()
    charging.add(charger_id)
    charger = await gateway.connect(charger_id, protocols=offered)
    assert charger.ws.protocol == chosen
    assert (await charger.call("Heartbeat", {}))[0] == 3


async def test_no_common_subprotocol_finishes_the_handshake_and_closes(gateway, charging, new_id):
    charger_id = new_id()
    charging.add(charger_id)
    charger = await gateway.connect(charger_id, protocols=("ocpp2.0.1",))
    assert charger.ws.protocol is None
    assert await charger.closed() == 1002
    assert not charging.of(charger_id)


async def test_compression_is_never_agreed_to(gateway, charging, new_id):
    charger_id = new_id()
    charging.add(charger_id)
    charger = await gateway.connect(charger_id, compress=15)
    assert charger.ws.compress == 0


async def test_plain_http_is_told_what_this_door_is(gateway, charging, new_id, session: aiohttp.ClientSession):
    charger_id = new_id()
    charging.add(charger_id)
    url = gateway.url(f"/ocpp/{charger_id}").replace("ws:", "http:")
    async with session.get(url) as answer:
        assert answer.status == 401
    password = base64.b64encode(b"x:0123456789abcdef0123456789abcdef01234567").decode()
    async with session.get(url, headers={"Authorization": f"Basic {password}"}) as answer:
        assert answer.status == 426


async def test_a_changed_password_counts_at_once(gateway, charging, new_id, broker):
    charger_id = new_id()
    old = charging.add(charger_id)
    await gateway.connect(charger_id)
    changed = ChargerCredentialsChanged.model_validate({**old, "version": 2, "enabled": False})
    message = aio_pika.Message(changed.model_dump_json().encode(), type=changed.TYPE, message_id="m")
    await charging.topic.publish(message, routing_key=changed.TYPE)
    known = gateway.part(Credentials)._known
    async with asyncio.timeout(60):
        while known[charger_id.casefold()].enabled:
            await asyncio.sleep(0.002)
    assert await gateway.status(charger_id) == 404


async def test_a_restart_with_charging_away_lets_known_chargers_in(start_gateway, charging, new_id):
    charger_id = new_id()
    charging.add(charger_id)
    first = await start_gateway(name="gw-restarted")
    await first.connect(charger_id)
    await first.service.stop()
    charging.answering = False
    charging.events.clear()
    second = await start_gateway(name="gw-restarted")
    await second.connect(charger_id)
    await charging.wait(charger_id, "charge_point_connected")
