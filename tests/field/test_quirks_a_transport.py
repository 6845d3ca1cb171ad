"""Quirk table A: handshake and transport. Each test bears the number of its row in `ocpp.md` Part 1."""

import aiohttp
import pytest

from charger_simulator import Quirks
from testkit.bare_charger import raw_handshake
from testkit.field import Field


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
async def test_row_02_several_versions_and_a_probe_socket_change_nothing_for_the_session(field: Field) -> None:
    outlet = await field.session(quirks=Quirks.of("several_subprotocols"))
    assert outlet.point.subprotocol == "ocpp1.6"
    # The socket drops. Before the real one returns a probe opens, says nothing, and closes: it neither resumes nor ends anything.
    await outlet.point.disconnect()
    await field.pass_seconds(5)
    probe = await field.bare(outlet)
    await field.pass_seconds(3)
    assert (await field.transaction(outlet))["state"] == "SUSPENDED"
    await probe.stop()
    await field.rest()
    assert (await field.transaction(outlet))["state"] == "SUSPENDED"
    await outlet.point.connect()
    await field.pass_seconds(70)
    transaction = await field.transaction(outlet)
    assert (transaction["state"], transaction["resume_count"]) == ("RUNNING", 1)


@pytest.mark.quirk(3)
@pytest.mark.parametrize(
    "target", ["///{id}", "/ocpp/{id}/", "/ws://10.0.0.5:9000/CP_1/{id}", "/ocpp/{escaped}", "/ocpp/{lower}", "//ocpp//{id}//"]
)
async def test_row_03_odd_paths_lead_to_the_charger_under_the_registered_spelling(field: Field, target: str) -> None:
    outlet = await field.outlet(online=False)
    name = outlet.charge_point_id
    path = target.format(id=name, escaped=name.replace("-", "%2D"), lower=name.lower())
    # A raw socket: a client library would tidy the path up.
    answer, writer = await raw_handshake(field.port, path, password=outlet.password)
    assert answer.startswith(b"HTTP/1.1 101"), answer
    await field.until_charger(outlet, "online", True)
    writer.close()
    await field.until_charger(outlet, "online", False)


@pytest.mark.quirk(4)
@pytest.mark.parametrize("connection", [None, "keep-alive", "keep-alive, Upgrade"])
async def test_row_04_a_handshake_without_connection_upgrade_is_served(field: Field, connection: str | None) -> None:
    outlet = await field.outlet(online=False)
    answer, writer = await raw_handshake(
        field.port, f"/ocpp/{outlet.charge_point_id}", password=outlet.password, connection=connection
    )
    assert answer.startswith(b"HTTP/1.1 101"), answer
    await field.until_charger(outlet, "online", True)
    writer.close()
    await field.until_charger(outlet, "online", False)


@pytest.mark.quirk(5)
async def test_row_05_no_origin_is_strange_to_us(field: Field) -> None:
    outlet = await field.outlet(quirks=Quirks.of("strange_origin"))
    assert outlet.point.booted


@pytest.mark.quirk(6)
async def test_row_06_the_key_may_be_hex_or_raw_bytes_and_the_user_anybody(field: Field) -> None:
    outlet = await field.outlet(online=False)
    for key in (outlet.password.encode(), outlet.password.upper().encode(), bytes.fromhex(outlet.password)):
        bare = await field.bare(outlet, user="somebody else", key=key)
        assert (await bare.call("Heartbeat", {}))["currentTime"].endswith("Z")
        await bare.stop()
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await field.bare(outlet, key=bytes.fromhex(outlet.password)[:-1] + b"\x00")
    assert refused.value.status == 401


@pytest.mark.quirk(7)
async def test_row_07_the_newest_socket_wins_and_the_old_ones_close_changes_nothing(field: Field) -> None:
    outlet = await field.session()
    await outlet.point.connect_again()
    await field.rest()
    await outlet.point.close_stale_socket()
    await field.pass_seconds(60)
    transaction = await field.transaction(outlet)
    assert (transaction["state"], transaction["disconnect_count"], transaction["suspended_at"]) == ("RUNNING", 0, None)
    charger = await field.api("GET", f"/v1/chargers/{outlet.id}")
    assert charger["online"] is True


@pytest.mark.quirk(8)
async def test_row_08_a_charger_that_redials_only_minutes_after_our_close_keeps_its_session(field: Field) -> None:
    outlet = await field.session(quirks=Quirks(reconnect_after_close_seconds=240))
    await field.restart_gateway()
    # The 180 s of a charger's own disconnect are not for it: we left. It is back after four minutes.
    await field.pass_seconds(235)
    assert (await field.transaction(outlet))["state"] == "SUSPENDED"
    await field.pass_seconds(80)
    transaction = await field.transaction(outlet)
    assert (transaction["state"], transaction["resume_count"]) == ("RUNNING", 1)


@pytest.mark.quirk(9)
async def test_row_09_a_charger_that_never_pongs_lives_by_its_frames(field: Field) -> None:
    outlet = await field.outlet(quirks=Quirks.of("never_answers_pings"))
    await field.pass_seconds(2 * field.silence_seconds)
    assert outlet.point.connected
    assert outlet.point.connections_opened == 1


@pytest.mark.quirk(10)
async def test_row_10_a_charger_that_speaks_once_an_interval_is_never_cut(field: Field) -> None:
    outlet = await field.outlet(online=False)
    bare = await field.bare(outlet)
    bare.answers_pings = False
    interval = (await bare.boot())["interval"]
    assert 3 * interval <= field.silence_seconds, "three intervals fit into the silence that closes a socket"
    for _ in range(6):
        await field.pass_seconds(interval)
        assert "currentTime" in await bare.call("Heartbeat", {})
    assert bare.connected


@pytest.mark.quirk(11)
async def test_row_11_pings_go_out_before_a_box_drops_its_idle_socket(field: Field) -> None:
    outlet = await field.outlet(online=False)
    bare = await field.bare(outlet)
    await field.pass_seconds(91)
    assert bare.pings >= 3, "one at least every 30 s"
    # And where it drops the socket all the same, no energy is lost: the same register, the same session.
    session = await field.session()
    await session.point.disconnect(10)
    await field.pass_seconds(60)
    await session.point.unplug()
    await field.rest()
    transaction = await field.transaction(session)
    # 30 s and 60 s at 7.4 kW, 10 of them without a network.
    assert transaction["energy_wh"] == session.point.connectors[1].meter_wh


@pytest.mark.quirk(12)
async def test_row_12_a_zombie_that_answers_no_call_is_made_to_reconnect(field: Field) -> None:
    outlet = await field.outlet(quirks=Quirks.of("zombie"))
    made = [await field.command(outlet, "GetConfiguration") for _ in range(3)]
    await field.pass_seconds(3 * 30 + 5)
    states = [(await field.api("GET", f"/v1/commands/{command['id']}"))["status"] for command in made]
    assert states == ["TIMED_OUT"] * 3
    outlet.point.quirks = Quirks()
    await field.pass_seconds(60)
    assert outlet.point.connections_opened == 2, "heartbeats or not: the socket was closed, and the box dialled again"
    assert (await field.command(outlet, "GetConfiguration"))["status"] == "ANSWERED"


@pytest.mark.quirk(13)
async def test_row_13_no_command_goes_out_before_boot_or_twenty_quiet_seconds(field: Field) -> None:
    outlet = await field.outlet(online=False)
    bare = await field.bare(outlet)
    bare.answers["GetConfiguration"] = {"configurationKey": []}
    await field.command(outlet, "GetConfiguration", {"key": ["HeartbeatInterval"]})
    await field.pass_seconds(10)
    assert bare.calls("GetConfiguration") == []
    await bare.boot()
    await field.rest()
    assert {"key": ["HeartbeatInterval"]} in bare.calls("GetConfiguration")
    # One that never boots (J 5.4) is served once it has been quiet for long enough.
    other = await field.outlet(online=False)
    silent = await field.bare(other)
    silent.answers["GetConfiguration"] = {"configurationKey": []}
    await field.command(other, "GetConfiguration", {"key": ["HeartbeatInterval"]})
    await field.pass_seconds(15)
    assert silent.calls("GetConfiguration") == []
    await field.pass_seconds(10)
    assert {"key": ["HeartbeatInterval"]} in silent.calls("GetConfiguration")


@pytest.mark.quirk(15)
async def test_row_15_compression_is_never_agreed_to_and_a_set_rsv1_ends_that_socket_only(field: Field) -> None:
    outlet = await field.outlet(online=False)
    neighbour = await field.outlet()
    bare = await field.bare(outlet, compress=15)
    assert bare.compression == 0
    # FIN, RSV1, text; masked; two bytes.
    await bare.write(bytes([0b1100_0001, 0b1000_0010, 0, 0, 0, 0]) + b"[]")
    assert await bare.closed() is not None
    again = await field.bare(outlet)
    assert (await again.boot())["status"] == "Accepted"
    assert neighbour.point.connected
