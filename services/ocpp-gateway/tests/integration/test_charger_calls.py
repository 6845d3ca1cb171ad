"""What chargers say: answered when it is true, in order, whatever shape it comes in; poison frames of ocpp.md Part 3.1."""

import asyncio

import pytest

from chassis.telemetry import Telemetry
from contracts.base import contract_for
from contracts.ocpp_gateway import MeterValuesReceived, StopTransactionReceived
from testkit.clock import SteppingClock

pytestmark = pytest.mark.servers

METER_VALUES = {
    "connectorId": 1,
    "transactionId": 17,
    "meterValue": [{"timestamp": "2026-01-05T04:30:00Z", "sampledValue": [{"value": " 1234.5 ", "unit": "Wh"}]}],
}


async def connected(gateway, charging, new_id, **options):
    charger_id = new_id()
    charging.add(charger_id)
    return charger_id, await gateway.connect(charger_id, **options)


async def test_every_event_is_what_its_contract_says(gateway, charging, new_id):
    charger_id, charger = await connected(gateway, charging, new_id)
    charging.decide = lambda event: (
        {"transaction_id": 42, "status": "Accepted"} if "start" in event.type else {"status": "Accepted", "data": "x"}
    )
    boot = await charger.call("BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"})
    assert boot[2] == {"status": "Accepted", "currentTime": "2026-01-05T04:30:00Z", "interval": 40}
    assert await charger.call("Heartbeat", {}) == [3, "c2", {"currentTime": "2026-01-05T04:30:00Z"}]
    status = {"connectorId": 1, "status": "Charging", "errorCode": "NoError", "timestamp": "2026-01-05T10:00:00"}
    assert (await charger.call("StatusNotification", status))[2] == {}
    assert (await charger.call("Authorize", {"idTag": "A"}))[2] == {"idTagInfo": {"status": "Accepted"}}
    start = {"connectorId": 1, "idTag": "A", "meterStart": 10, "timestamp": "2026-01-05T04:30:00Z"}
    assert (await charger.call("StartTransaction", start))[2] == {"transactionId": 42, "idTagInfo": {"status": "Accepted"}}
    assert (await charger.call("MeterValues", METER_VALUES))[2] == {}
    assert (await charger.call("DataTransfer", {"vendorId": "V", "data": {"a": 1}}))[2] == {"status": "Accepted", "data": "x"}
    stop = {"transactionId": 42, "meterStop": 99, "timestamp": "2026-01-05T04:31:00Z"}
    assert (await charger.call("StopTransaction", stop))[2] == {"idTagInfo": {"status": "Accepted"}}
    assert (await charger.call("FirmwareStatusNotification", {"status": "Installed"}))[2] == {}
    assert (await charger.call("DiagnosticsStatusNotification", {"status": "Idle"}))[2] == {}
    await charging.wait(charger_id, "", 9)
    events = charging.of(charger_id)
    assert [event.data["seq"] for event in events] == list(range(9))
    for event in events:
        model = contract_for(event.type).model_validate(event.data)
        assert model.message_id == event.message_id
    status_event = next(event for event in events if "status_notification" in event.type)
    assert (
        status_event.data["timestamp"] == "2026-01-05T04:30:00Z" or status_event.data["timestamp"] == "2026-01-05T04:30:00+00:00"
    )
    meter = MeterValuesReceived.model_validate(next(event for event in events if "meter_values" in event.type).data)
    assert meter.meter_value[0].sampled_value[0].value == "1234.5"


POISON = [
    ('[2,"1","Heartbeat"]', [3, "1", "time"]),
    ('[2,"1","Heartbeat",null]', [3, "1", "time"]),
    ('[2,"1","Heartbeat",{},"extra"]', [3, "1", "time"]),
    ('["2","1","Heartbeat",{}]', [3, "1", "time"]),
    ('[2,5,"Heartbeat",{}]', [3, 5, "time"]),
    ("\ufeff" + '[2,"1","Heartbeat",{}]', [3, "1", "time"]),
    ('[2,"1","Heartbeat",{}]\x00', [3, "1", "time"]),
    ('[2,"1","Heartbeat",{}] ', [3, "1", "time"]),
    ('[2,"1","DataTransfer",{"vendorId":"Gr\xfcn"}]'.encode("latin-1"), [3, "1", {"status": "Rejected"}]),
    ('[2,"1",["Heartbeat"],{}]', [4, "1", "FormationViolation"]),
    ('[2,"1"]', [4, "1", "FormationViolation"]),
    ('[2,"1","NoSuchAction",{}]', [4, "1", "NotImplemented"]),
    ('[2,"1","SecurityEventNotification",{}]', [4, "1", "NotSupported"]),
    ('[2,"1","Reset",{"type":"Hard"}]', [4, "1", "NotSupported"]),
    ('[2,"1","MeterValues",[1]]', [4, "1", "FormationViolation"]),
    ('[2,"1","StatusNotification",{"connectorId":1}]', [4, "1", "OccurenceConstraintViolation"]),
    ('[2,"1","StatusNotification",{"connectorId":1,"status":"Levitating"}]', [4, "1", "OccurenceConstraintViolation"]),
    ('[2,"1","StopTransaction",{"transactionId":' + "9" * 5000 + "}]", [4, "1", "FormationViolation"]),
    ('[2,"1","MeterValues",{"connectorId":}]', [3, "1", {}]),
    ('[2,"1","MeterValues",{"connectorId":1,"transactionId":,"meterValue":[,{"sampledValue":[,{"value":5}]}]}]', [3, "1", {}]),
    ('[2,"1","StopTransaction",{"reason":[],"transactionId":null}]', [3, "1", {"idTagInfo": {"status": "Accepted"}}]),
    (
        '[2,"1","StopTransaction",{"reason":"AppStop","transactionId":-1,"meterStop":"26008.333"}]',
        [3, "1", {"idTagInfo": {"status": "Accepted"}}],
    ),
    ("", None),
    ("[" * 100_000, None),
    ("{}", None),
    ("null", None),
    ("[]", None),
    ("[[[[]]]]", None),
    ('[9,"1","Heartbeat",{}]', None),
    ('[2,{"a":1},"Heartbeat",{}]', None),
    ('[3,"nobody asked",{}]', None),
    ('[4,"nobody asked"]', None),
    ('[3,"cut off",{"configurationKey":[]', None),
    (b"\xff\xfe\x00\x01", None),
]


@pytest.mark.parametrize(("frame", "answer"), POISON, ids=[str(number) for number in range(len(POISON))])
async def test_no_frame_ends_the_connection(gateway, charging, new_id, frame, answer):
    _, charger = await connected(gateway, charging, new_id)
    charging.decide = lambda _: {"status": "Rejected"}
    await charger.send(frame)
    await charger.send([2, "after", "Heartbeat", {}])
    frames = [await charger.receive()]
    if answer is not None:
        frames.append(await charger.receive())
    # Heartbeats are answered at once, so the two answers may cross.
    answers = {str(frame[1]): frame for frame in frames}
    assert answers.pop("after")[0] == 3
    if answer is not None:
        (got,) = answers.values()
        assert got[1] == answer[1]
        assert got[0] == answer[0]
        assert got[2] == answer[2] or (answer[2] == "time" and "currentTime" in got[2])
        if got[0] == 4:
            assert len(got) == 5
            assert got[4] == {}
    assert gateway.metric("frame_failures_total") == 0


async def test_two_messages_in_one_frame_are_both_answered(gateway, charging, new_id):
    _, charger = await connected(gateway, charging, new_id)
    await charger.send('[2,"1","Heartbeat",{}][2,"2","Heartbeat",{}]')
    assert [(await charger.receive())[1], (await charger.receive())[1]] == ["1", "2"]


async def test_invalid_utf8_in_a_text_frame_does_not_end_the_connection(gateway, charging, new_id):
    charger_id, charger = await connected(gateway, charging, new_id)
    await charger.ws._writer.send_frame(b'[2,"1","BootNotification",{"chargePointVendor":"Gr\xfcn","chargePointModel":"M"}]', 0x1)
    assert (await charger.receive())[2]["status"] == "Accepted"
    assert (await charging.wait(charger_id, "boot")).data["charge_point_vendor"] == "Grün"


async def test_a_frame_of_one_mebibyte_passes_and_a_longer_one_closes_with_1009(gateway, charging, new_id):
    charger_id, charger = await connected(gateway, charging, new_id)
    head, tail = '[2,"1","DataTransfer",{"vendorId":"V","data":"', '"}]'
    charging.decide = lambda _: {"status": "Accepted"}
    await charger.send(head + "x" * (1024 * 1024 - len(head) - len(tail)) + tail)
    assert (await charger.receive())[2] == {"status": "Accepted"}
    await charger.send("x" * (1024 * 1024 + 1))
    assert await charger.closed() == 1009
    assert (await charging.wait(charger_id, "disconnected")).data["reason"] == "PROTOCOL_ERROR"
    _, other = await connected(gateway, charging, new_id)
    assert (await other.call("Heartbeat", {}))[0] == 3


async def test_an_unknown_stop_reason_is_other_and_the_word_is_kept(gateway, charging, new_id):
    charger_id, charger = await connected(gateway, charging, new_id)
    await charger.call("StopTransaction", {"transactionId": 5, "meterStop": 7, "timestamp": "", "reason": "AppStop"})
    stop = StopTransactionReceived.model_validate((await charging.wait(charger_id, "stop_transaction")).data)
    assert (stop.reason, stop.original_reason, stop.timestamp) == ("Other", "AppStop", None)


async def test_a_start_without_decision_is_left_unanswered_and_a_data_transfer_rejected(
    gateway, charging, new_id, clock: SteppingClock
):
    charger_id, charger = await connected(gateway, charging, new_id)
    await charger.send([2, "start", "StartTransaction", {"connectorId": 1, "idTag": "A", "meterStart": 0, "timestamp": "x"}])
    await charging.wait(charger_id, "start_transaction")
    await clock.advance(11)
    await charger.send([2, "data", "DataTransfer", {"vendorId": "V"}])
    await charging.wait(charger_id, "data_transfer")
    await clock.advance(11)
    assert await charger.receive() == [3, "data", {"status": "Rejected"}]
    assert gateway.metric("calls_unanswered_total", reason="no_decision:StartTransaction") == 1


async def test_what_follows_a_start_follows_it_in_the_lane(gateway, charging, new_id):
    charger_id, charger = await connected(gateway, charging, new_id)
    charging.decide = lambda _: {"transaction_id": 1, "status": "Accepted"}
    for number in range(5):
        await charger.send([2, f"m{number}", "MeterValues", METER_VALUES])
    await charger.send([2, "start", "StartTransaction", {"connectorId": 1, "idTag": "A", "meterStart": 0, "timestamp": "x"}])
    for number in range(5, 10):
        await charger.send([2, f"m{number}", "MeterValues", METER_VALUES])
    answers = [(await charger.receive())[1] for _ in range(11)]
    assert answers == [*(f"m{n}" for n in range(5)), "start", *(f"m{n}" for n in range(5, 10))]
    await charging.wait(charger_id, "", 12)
    events = charging.of(charger_id)
    assert [event.data["seq"] for event in events] == list(range(12))
    assert "start_transaction" in events[6].type


async def test_a_flood_is_held_back_and_all_of_it_answered(start_gateway, charging, new_id):
    gateway = await start_gateway(in_flight_max=4)
    charger_id, charger = await connected(gateway, charging, new_id)
    for number in range(200):
        await charger.send([2, str(number), "MeterValues", METER_VALUES])
    highest = 0
    for number in range(200):
        assert (await charger.receive())[1] == str(number)
        highest = max(highest, *(connection.in_flight for connection in gateway.connections._live.values()))
    assert highest <= 4
    await charging.wait(charger_id, "meter_values", 200)
    assert len(charging.of(charger_id, "meter_values")) == 200


async def test_a_busy_gateway_packs_what_waits_and_keeps_every_chargers_order(gateway, charging, new_id):
    fleet = [await connected(gateway, charging, new_id) for _ in range(60)]
    for charger_id, _ in fleet:
        await charging.wait(charger_id, "charge_point_connected")

    async def report(charger) -> None:
        for number in range(10):
            await charger.call("MeterValues", METER_VALUES | {"transactionId": number})

    await asyncio.gather(*(report(charger) for _, charger in fleet))
    for charger_id, _ in fleet:
        await charging.wait(charger_id, "meter_values", 10)
        assert [event.data["transaction_id"] for event in charging.of(charger_id, "meter_values")] == list(range(10))
    figure = gateway.part(Telemetry).registry.get_sample_value
    assert figure("voltlync_pack_events_sum") == 60 + 600
    assert figure("voltlync_pack_events_count") < 600


async def test_the_newest_socket_wins_and_the_older_ones_end_changes_nothing(gateway, charging, new_id):
    charger_id, first = await connected(gateway, charging, new_id)
    await charging.wait(charger_id, "charge_point_connected")
    second = await gateway.connect(charger_id)
    await first.closed()
    await charging.wait(charger_id, "charge_point_connected", 2)
    assert (await second.call("Heartbeat", {}))[0] == 3
    kinds = [(event.type.split(".")[1], event.data["epoch"]) for event in charging.of(charger_id)]
    old, new = kinds[0][1], kinds[-1][1]
    assert new > old
    assert kinds == [("charge_point_connected", old), ("charge_point_disconnected", old), ("charge_point_connected", new)]
    assert charging.of(charger_id, "disconnected")[0].data["reason"] == "SUPERSEDED"
    assert len(gateway.connections) >= 1


async def test_silence_ends_a_socket_and_any_frame_is_life(gateway, charging, new_id, clock: SteppingClock):
    quiet_id, quiet = await connected(gateway, charging, new_id)
    alive_id, alive = await connected(gateway, charging, new_id)
    await charging.wait(alive_id, "charge_point_connected")
    await clock.advance(60)
    await alive.ws._writer.send_frame(b"", 0xA)  # an unsolicited pong, no OCPP at all
    await alive.call("Heartbeat", {})
    await clock.advance(61)
    await quiet.closed()
    assert (await charging.wait(quiet_id, "disconnected")).data["reason"] == "HEARTBEAT_TIMEOUT"
    assert (await alive.call("Heartbeat", {}))[0] == 3


async def test_pings_go_out_every_25_seconds(gateway, charging, new_id, clock: SteppingClock):
    charger_id, charger = await connected(gateway, charging, new_id)
    await charging.wait(charger_id, "charge_point_connected")
    await clock.advance(26)
    message = await charger.ws.receive(timeout=60)
    assert message.type.name == "PING"


async def test_stopping_closes_all_sockets_and_says_why(start_gateway, charging, new_id):
    gateway = await start_gateway()
    chargers = [await connected(gateway, charging, new_id) for _ in range(5)]
    codes = [asyncio.ensure_future(charger.closed()) for _, charger in chargers]
    await gateway.service.stop()
    assert await asyncio.gather(*codes) == [1001] * 5
    for charger_id, _ in chargers:
        assert (await charging.wait(charger_id, "disconnected")).data["reason"] == "GATEWAY_STOPPING"
    assert gateway.spool.empty


async def test_a_charger_known_never_to_come_back_after_a_close_frame_is_dropped_without_one(start_gateway, charging, new_id):
    gateway = await start_gateway()
    proud, ordinary = new_id(), new_id()
    charging.add(proud, close_without_frame=True)
    charging.add(ordinary)
    chargers = [await gateway.connect(name) for name in (proud, ordinary)]
    for name in (proud, ordinary):
        await charging.wait(name, "charge_point_connected")
    codes = [asyncio.ensure_future(charger.closed()) for charger in chargers]
    await gateway.service.stop()
    assert await asyncio.gather(*codes) == [1006, 1001]
