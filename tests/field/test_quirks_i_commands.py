"""Quirk tables I and J: remote commands, DataTransfer, firmware, heartbeats. Each test bears its row in `ocpp.md` Part 1."""

import pytest

from charger_simulator import Quirks
from testkit.field import START_DEADLINE_SECONDS, Field
from tests.field.bare_session import asked_to_start, read, started, wh


@pytest.mark.quirk(84)
async def test_row_84_an_accepted_start_that_never_comes_expires_and_a_late_one_is_blocked(field: Field) -> None:
    outlet, bare, start = await asked_to_start(field)
    await field.pass_seconds(START_DEADLINE_SECONDS + 2)
    (request,) = (await field.api("GET", f"/v1/start-requests?charge_point_id={outlet.charge_point_id}"))["items"]
    assert (request["state"], request["reason"]) == ("EXPIRED", "NOT_PLUGGED_IN")
    answer = await bare.call("StartTransaction", start)
    assert answer["idTagInfo"]["status"] == "Blocked"
    assert answer["transactionId"] > 0
    await field.rest()
    assert {"transactionId": answer["transactionId"]} in bare.calls("RemoteStopTransaction")
    transaction = await field.transaction(outlet)
    assert (transaction["energy_wh"], transaction["stop_reason"]) == (0, "START_REFUSED")


@pytest.mark.quirk(85)
async def test_row_85_a_remote_start_names_its_connector_and_a_refusal_gives_the_money_back(field: Field) -> None:
    outlet = await field.outlet(connectors=2, quirks=Quirks.of("rejects_remote_start"))
    await outlet.point.plug(2)
    key = await field.paid_start(outlet, connector=2)
    request = await field.start_request(key)
    assert (request["state"], request["reason"]) == ("REFUSED", "REMOTE_START_REJECTED")
    asked = [exchange for exchange in outlet.point.exchanges if exchange.action == "RemoteStartTransaction"]
    assert [exchange.request["connectorId"] for exchange in asked] == [2]


@pytest.mark.quirk(86)
async def test_row_86_a_start_before_its_answer_is_the_riders(field: Field) -> None:
    outlet = await field.outlet(quirks=Quirks.of("start_before_answer"))
    await outlet.point.plug()
    key = await field.paid_start(outlet)
    await field.pass_seconds(2)
    assert (await field.start_request(key))["state"] == "STARTED"
    assert (await field.transaction(outlet))["request_key"] == key


@pytest.mark.quirk(87)
async def test_row_87_a_rejected_stop_is_repeated_and_escalated(field: Field) -> None:
    outlet, bare, transaction_id = await started(field)
    bare.answers["RemoteStopTransaction"] = {"status": "Rejected"}
    bare.answers["SetChargingProfile"] = {"status": "Accepted"}
    await read(field, bare, wh(1100))
    await field.api("POST", f"/v1/transactions/txn_{transaction_id}/stop")
    await field.rest()
    for register in range(1200, 1700, 100):
        await read(field, bare, wh(register), after=61)
    assert len(bare.calls("RemoteStopTransaction")) >= 2
    (profile, *_) = bare.calls("SetChargingProfile")
    (period,) = profile["csChargingProfiles"]["chargingSchedule"]["chargingSchedulePeriod"]
    assert period["limit"] == 0
    assert (await field.transaction(outlet))["stop_attempt"] >= 3


@pytest.mark.quirk(88)
async def test_row_88_an_accepted_stop_that_does_nothing_is_escalated_each_means_once(field: Field) -> None:
    outlet, bare, transaction_id = await started(field)
    for action in ("SetChargingProfile", "ChangeAvailability", "Reset"):
        bare.answers[action] = {"status": "Accepted"}
    await read(field, bare, wh(1100))
    await field.api("POST", f"/v1/transactions/txn_{transaction_id}/stop")
    await field.rest()
    for register in range(1200, 2000, 100):
        await read(field, bare, wh(register), after=61)
    escalation = [frame[2] for frame in bare.received if frame[0] == 2 and frame[2] in STRONGER]
    assert escalation == ["SetChargingProfile", "ChangeAvailability", "Reset"]
    assert {"type": "Hard"} in bare.calls("Reset")
    assert (await field.transaction(outlet))["stop_attempt"] >= 5


STRONGER = ("SetChargingProfile", "ChangeAvailability", "Reset")


@pytest.mark.quirk(89)
async def test_row_89_a_stop_that_fell_due_while_the_charger_was_away_goes_out_on_its_return(field: Field) -> None:
    # 10 rupees at 22 kW last for about 77 s; after a first reading the socket is gone for longer.
    outlet, bare, transaction_id = await started(field, paise=1_000, rated_power_w=22_000)
    await read(field, bare, wh(1100), {"value": "22000", "unit": "W", "measurand": "Power.Active.Import"}, after=16)
    assert bare.calls("RemoteStopTransaction") == []
    await bare.stop()
    await field.pass_seconds(120)
    again = await field.bare(outlet)
    again.answers["RemoteStopTransaction"] = {"status": "Accepted"}
    await again.call("Heartbeat", {})
    await field.rest()
    assert again.calls("RemoteStopTransaction") == [{"transactionId": transaction_id}], "before any reading"


@pytest.mark.quirk(90)
@pytest.mark.parametrize("data", ['{"rssi": 17, "ber": 0}', {"rssi": 17, "ber": 0}])
async def test_row_90_data_transfer_takes_text_and_object_and_knows_strangers(field: Field, data: object) -> None:
    bare = await field.bare(await field.outlet(online=False))
    await bare.boot()
    ours = {"vendorId": "VoltLync", "messageId": "SignalQuality", "data": data}
    assert (await bare.call("DataTransfer", ours))["status"] == "Accepted"
    strange = await bare.call("DataTransfer", {"vendorId": "Growatt", "messageId": "frozenrecord", "data": data})
    assert strange["status"] == "UnknownVendorId"


@pytest.mark.quirk(91)
async def test_row_91_any_order_of_firmware_statuses_is_heard_and_a_boot_shows_the_version(field: Field) -> None:
    outlet = await field.outlet(online=False)
    bare = await field.bare(outlet)
    await bare.boot(firmwareVersion="1.0")
    for status in ("Installing", "Installed", "Installed", "Downloading"):
        assert await bare.call("FirmwareStatusNotification", {"status": status}) == {}
    await bare.boot(firmwareVersion="1.1")
    await field.rest()
    assert (await field.api("GET", f"/v1/chargers/{outlet.id}"))["firmware_version"] == "1.1"


@pytest.mark.quirk(92)
async def test_row_92_a_heartbeat_is_always_answered_and_seldom_written(field: Field) -> None:
    outlet = await field.outlet(online=False)
    bare = await field.bare(outlet)
    await bare.boot()
    await field.rest()
    # Of this charger alone: time passes for the others of this world as well.
    announced = "SELECT count(*) FROM charging.outbox WHERE position($1::bytea IN body) > 0"
    name = outlet.charge_point_id.encode()
    published = await field.admin.fetchval(announced, name)
    assert published > 0
    for _ in range(20):
        await field.pass_seconds(1)
        assert "currentTime" in await bare.call("Heartbeat", {})
    await field.rest()
    assert await field.admin.fetchval(announced, name) == published


@pytest.mark.quirk(94)
async def test_row_94_a_slow_charger_gets_one_call_at_a_time_and_all_of_them(field: Field) -> None:
    outlet = await field.outlet(quirks=Quirks.of("slow"))
    made = [await field.command(outlet, action) for action in ("GetConfiguration", "ClearCache", "GetConfiguration")]
    await field.pass_seconds(10)
    done = [await field.api("GET", f"/v1/commands/{command['id']}") for command in made]
    assert [command["status"] for command in done] == ["ANSWERED"] * 3
    times = sorted(command["completed_at"] for command in done)
    assert len(set(times)) == 3, "one after the other"
