"""Misbehaviour on demand."""

from __future__ import annotations

import pytest

from charger_simulator import BEHAVIOURS, ChargePoint, Quirks


def energies(csms) -> list[str]:
    return [
        sample["value"]
        for message in csms.sent("MeterValues")
        for sample in message["meterValue"][0]["sampledValue"]
        if sample["measurand"].startswith("Energy")
    ]


@pytest.mark.parametrize("name", sorted(BEHAVIOURS))
def test_every_behaviour_is_made_of_fields_and_differs_from_honesty(name):
    assert Quirks.of(name) != Quirks()


def test_behaviours_join():
    both = Quirks.of("rejects_remote_start", "ignores_stop", stop_reason="AppStop")
    assert both.answers == {"RemoteStartTransaction": {"status": "Rejected"}, "RemoteStopTransaction": {"status": "Accepted"}}
    assert both.stop_reason == "AppStop"
    with pytest.raises(KeyError):
        Quirks.of("no_such_behaviour")


async def test_handshakes_as_seen_in_the_field(world):
    for number, (names, path) in enumerate(
        [
            (["no_subprotocol", "strange_origin"], "/ocpp/RDAM%20123"),
            (["several_subprotocols", "double_slash_path"], "///ocpp//RDAM%20123/"),
            (["nested_url_path"], "/ocpp/ws://10.0.0.5:9000/RDAM%20123/"),
        ]
    ):
        cp = world.make("RDAM 123", quirks=Quirks.of(*names))
        await cp.start()
        assert cp.booted
        assert world.csms.requests[number].raw_path == path
        await cp.stop()
    first, second, _ = [request.headers for request in world.csms.requests]
    assert "Sec-WebSocket-Protocol" not in first
    assert first["Origin"] == "file://"
    assert second["Sec-WebSocket-Protocol"] == "ocpp2.0.1,ocpp1.6"


async def test_a_hex_password_may_go_out_as_its_bytes(world):
    cp = world.make(password="00ff", quirks=Quirks(basic_auth_hex_decoded=True, basic_auth_user="someone"))
    await cp.start()
    assert world.csms.requests[0].headers["Authorization"] == "Basic c29tZW9uZToA/w=="


async def test_no_pong(world):
    cp = world.make(quirks=Quirks.of("never_answers_pings"))
    await cp.start()
    socket = world.csms.sockets[0]
    pongs_before = cp.frames_received
    await socket.ping(b"hello")
    assert await cp.ping_through()  # the server answers ours; ours to it never comes
    assert cp.frames_received == pongs_before


async def test_a_probe_socket_precedes_the_real_one(world):
    cp = world.make(quirks=Quirks.of("probe_socket"))
    starting = world.background(cp.start())
    await world.clock.advance(2.9)
    assert len(world.csms.requests) == 1
    assert world.csms.calls == []
    await world.clock.advance(0.2)
    await starting
    assert len(world.csms.requests) == 2
    assert cp.booted


async def test_two_sockets_at_once_and_the_first_closes_late(world):
    cp = world.make()
    await world.charging(cp)
    await cp.connect_again()
    assert [socket.closed for socket in world.csms.sockets] == [False, False]
    assert len(world.csms.sent("BootNotification")) == 1
    await world.clock.advance(60)
    assert len(world.csms.sent("MeterValues")) == 1
    await cp.close_stale_socket()
    await world.settle()
    assert world.csms.sockets[0].closed
    assert cp.connected
    assert await world.csms.call("RemoteStopTransaction", {"transactionId": 101}) == {"status": "Accepted"}


async def test_boot_on_every_connection(world):
    cp = world.make(quirks=Quirks.of("boots_on_reconnect"))
    await world.charging(cp)
    await cp.disconnect()
    await cp.connect()
    assert len(world.csms.sent("BootNotification")) == 2
    assert cp.connectors[1].transaction_id == 101


async def test_silence_delay_and_canned_answers(world):
    cp = world.make(quirks=Quirks(silent_to={"ClearCache"}, answer_delays={"GetConfiguration": 25.0}))
    await world.charging(cp)
    silent = await world.csms.send("ClearCache", {})
    slow = await world.csms.send("GetConfiguration", {"key": ["HeartbeatInterval"]})
    await world.clock.advance(24)
    assert not slow.done()
    await world.clock.advance(1)
    assert slow.result()[2]["configurationKey"][0]["value"] == "40"
    await world.clock.advance(1000)
    assert not silent.done()
    cp.quirks = Quirks.of("ignores_stop", "truncated_configuration")
    assert await world.csms.call("RemoteStopTransaction", {"transactionId": 101}) == {"status": "Accepted"}
    await world.csms.send("GetConfiguration", {}, id_="half")
    await world.clock.advance(60)
    assert cp.connectors[1].status == "Charging"
    assert '[3,"half",{"configurationKey":[]' in world.csms.raw


async def test_never_starts_and_rejects(world):
    cp = world.make(quirks=Quirks.of("never_starts", "rejects_remote_stop"))
    await cp.start()
    await cp.plug()
    assert await world.csms.call("RemoteStartTransaction", {"idTag": "A"}) == {"status": "Accepted"}
    await world.clock.advance(600)
    assert world.csms.sent("StartTransaction") == []
    await cp.start_transaction("A")
    await world.settle()
    assert await world.csms.call("RemoteStopTransaction", {"transactionId": 101}) == {"status": "Rejected"}


async def test_the_start_may_come_before_the_answer(world):
    cp = world.make(quirks=Quirks.of("start_before_answer"))
    await cp.start()
    await cp.plug()
    await world.csms.send("RemoteStartTransaction", {"idTag": "A"}, id_="remote")
    await world.settle()
    frames = [frame for frame in world.csms.raw if "StartTransaction" in frame or '"remote"' in frame]
    assert '"StartTransaction"' in frames[0]
    assert frames[1] == '[3,"remote",{"status":"Accepted"}]'


async def test_duplicates_and_reused_ids(world):
    cp = world.make(quirks=Quirks.of("duplicates_transaction_messages", "reuses_message_ids"))
    await world.charging(cp)
    await cp.unplug()
    await world.settle()
    assert len(world.csms.sent("StartTransaction")) == 2
    assert world.csms.sent("StopTransaction")[0] == world.csms.sent("StopTransaction")[1]
    assert set(world.csms.ids) == {"1000001"}
    assert cp.connectors[1].status == "Available"


async def test_ids_start_anew_on_each_connection(world):
    cp = world.make(quirks=Quirks.of("restarts_message_ids", "boots_on_reconnect"))
    await cp.start()
    await cp.disconnect()
    await cp.connect()
    assert world.csms.ids == ["1000001", "1000002", "1000003"] * 2


async def test_reordered_transaction_messages(world):
    cp = world.make(quirks=Quirks.of("reorders"))
    await world.charging(cp)
    await cp.disconnect()
    await world.clock.advance(60)
    await cp.unplug()
    await cp.connect()
    await world.settle()
    assert [name for name in world.csms.order if name in ("MeterValues", "StopTransaction")] == ["StopTransaction", "MeterValues"]


@pytest.mark.parametrize(
    ("name", "in_values", "in_stop"),
    [
        ("no_transaction_id", None, 101),
        ("zero_transaction_id", 0, 0),
        ("negative_transaction_id", -1, -1),
        ("garbage_transaction_id", 1936029036, 101),
        ("null_transaction_id", 101, None),
    ],
)
async def test_transaction_ids_as_stations_send_them(world, name, in_values, in_stop):
    cp = world.make(quirks=Quirks.of(name))
    await world.charging(cp)
    await world.clock.advance(60)
    await cp.unplug()
    await world.settle()
    assert world.csms.sent("MeterValues")[0].get("transactionId") == in_values
    assert world.csms.sent("StopTransaction")[0]["transactionId"] == in_stop
    assert ("transactionId" in world.csms.sent("MeterValues")[0]) == (in_values is not None)


async def test_a_station_takes_the_id_that_it_shows(world):
    cp = world.make(quirks=Quirks.of("garbage_transaction_id"))
    await world.charging(cp)
    assert await world.csms.call("RemoteStopTransaction", {"transactionId": 1936029036}) == {"status": "Accepted"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("register_drops_to_zero", ["1123", "1246", "0", "1493"]),
        ("register_spike", ["1123", "1246", "13700", "1493"]),
        ("session_relative_samples", ["123", "246", "370", "493"]),
        ("register_restarts", ["123", "246", "370", "493"]),
        ("kwh_labelled_wh", ["1.123", "1.246", "1.370", "1.493"]),
        ("stale_begin_sample", ["1123", "1000", "1246", "1000", "1370", "1000", "1493", "1000"]),
        ("numeric_values", [1123, 1246, 1370, 1493]),
        ("no_meter_values", []),
    ],
)
async def test_registers_as_stations_report_them(world, name, expected):
    cp = world.make(quirks=Quirks.of(name), meter_start_wh=1000)
    await world.charging(cp)
    await world.clock.advance(240)
    assert energies(world.csms) == expected
    units = {sample["unit"] for message in world.csms.sent("MeterValues") for sample in message["meterValue"][0]["sampledValue"]}
    assert units <= {"Wh", "W"}
    await cp.unplug()
    await world.settle()
    start, stop = world.csms.sent("StartTransaction")[0], world.csms.sent("StopTransaction")[0]
    assert (start["meterStart"], stop["meterStop"]) == ((0, 493) if name == "register_restarts" else (1000, 1493))


async def test_stop_reasons_delays_and_changed_payloads(world):
    cp = world.make(quirks=Quirks.of("wrong_stop_reason", "status_before_stop", "unknown_meter_stop", "spaced_id_tag"))
    await world.charging(cp)
    await cp.unplug()
    await world.settle()
    assert world.csms.statuses()[-1] == "Available"
    assert world.csms.sent("StopTransaction") == []
    await world.clock.advance(2)
    stop = world.csms.sent("StopTransaction")[0]
    assert (stop["reason"], stop["meterStop"]) == ("AppStop", -1)
    assert world.csms.sent("StartTransaction")[0]["idTag"] == " TAG1"


async def test_fields_may_be_left_out(world):
    cp = world.make(
        quirks=Quirks(payload_omissions={"StopTransaction": ["reason"]}, timestamp_zone="", clock_offset_seconds=-3600)
    )
    await world.charging(cp)
    await cp.unplug()
    await world.settle()
    stop = world.csms.sent("StopTransaction")[0]
    assert "reason" not in stop
    assert stop["timestamp"] == "2026-01-05T09:00:00.000"


async def test_a_socket_says_available_while_power_flows(world):
    cp = world.make(quirks=Quirks.of("available_while_charging"))
    await world.charging(cp)
    await world.clock.advance(3600)
    assert world.csms.statuses()[-1] == "Available"
    assert cp.connectors[1].meter_wh == 7400


async def test_power_that_flows_though_it_should_not(world):
    cp = world.make(quirks=Quirks.of("charges_while_faulted", "charges_after_stop", "ignores_profiles"))
    await world.charging(cp)
    await cp.fault(1, "InternalError")
    await world.clock.advance(3600)
    assert cp.connectors[1].meter_wh == 7400
    await world.csms.call("RemoteStopTransaction", {"transactionId": 101})
    await world.clock.advance(3600)
    assert cp.connectors[1].meter_wh == 14_800


async def test_free_mode_starts_by_itself(world):
    cp = world.make(quirks=Quirks(autostart_id_tag="FREE"))
    await cp.start()
    await cp.plug()
    await world.settle()
    assert world.csms.sent("StartTransaction")[0]["idTag"] == "FREE"


async def test_finishing_refuses_a_start_until_unplugged(world):
    cp = world.make(quirks=Quirks.of("finishing_refuses_start"))
    await world.charging(cp)
    await world.csms.call("RemoteStopTransaction", {"transactionId": 101})
    await world.settle()
    assert await world.csms.call("RemoteStartTransaction", {"idTag": "B"}) == {"status": "Rejected"}
    await cp.unplug()
    await cp.plug()
    assert await world.csms.call("RemoteStartTransaction", {"idTag": "B"}) == {"status": "Accepted"}


async def test_a_station_that_returns_late_after_a_clean_close(world):
    cp = world.make(quirks=Quirks.of("slow_return_after_close"))
    await cp.start()
    await world.csms.sockets[0].close(code=1001)
    await cp.wait_for(lambda: not cp.connected)
    await world.clock.advance(599)
    assert not cp.connected
    await world.clock.advance(1)
    assert cp.connected


async def test_raw_frames_of_any_kind(world):
    cp = world.make()
    await cp.start()
    await cp.send_raw("")
    await cp.send_raw('[2,"x",')
    await cp.send_raw(b"\xff\x00")
    await cp.send_raw('[2,"1","Heartbeat",null]')
    await world.settle()
    assert world.csms.raw[-4:] == ["", '[2,"x",', b"\xff\x00", '[2,"1","Heartbeat",null]']
    assert cp.frames_unexpected == 1  # the answer to an id that is not open
    assert cp.connected
    await cp.send_raw(b"\xff\xfe", as_text=True)
    await cp.wait_for(lambda: not cp.connected)
    assert cp.close_code == 1007


async def test_quirks_can_change_under_way(world):
    cp: ChargePoint = world.make()
    await world.charging(cp)
    await world.clock.advance(60)
    cp.quirks.no_meter_values = True
    await world.clock.advance(600)
    assert len(world.csms.sent("MeterValues")) == 1
    with pytest.raises(ValueError, match="boolean"):
        cp.quirks.no_meter_values = "perhaps"
