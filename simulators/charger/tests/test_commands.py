"""What the central system may ask (OCPP 1.6 section 5)."""

from __future__ import annotations

import pytest

from charger_simulator import OcppError, Settings

PROFILE = {
    "chargingProfileId": 1,
    "stackLevel": 0,
    "chargingProfilePurpose": "TxProfile",
    "chargingProfileKind": "Relative",
    "chargingSchedule": {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 0.0}]},
}


def profile(
    limits: list[tuple[int, float]], *, unit: str = "W", purpose: str = "TxProfile", level: int = 0, id_: int = 1, **more
):
    periods = [{"startPeriod": start, "limit": limit} for start, limit in limits]
    schedule = {"chargingRateUnit": unit, "chargingSchedulePeriod": periods, **more.pop("schedule", {})}
    return PROFILE | {
        "chargingProfileId": id_, "stackLevel": level, "chargingProfilePurpose": purpose, "chargingSchedule": schedule, **more
    }  # fmt: skip


async def test_availability_changes_at_once_or_when_the_transaction_ends(world):
    cp = world.make(connectors=2)
    await world.charging(cp)
    change = {"connectorId": 1, "type": "Inoperative"}
    assert await world.csms.call("ChangeAvailability", change) == {"status": "Scheduled"}
    assert await world.csms.call("ChangeAvailability", change | {"connectorId": 2}) == {"status": "Accepted"}
    assert await world.csms.call("ChangeAvailability", change | {"connectorId": 3}) == {"status": "Rejected"}
    await world.settle()
    assert (cp.connectors[1].status, cp.connectors[2].status) == ("Charging", "Unavailable")
    await cp.unplug()
    assert cp.connectors[1].status == "Unavailable"
    assert await world.csms.call("RemoteStartTransaction", {"idTag": "A"}) == {"status": "Rejected"}
    assert await world.csms.call("ChangeAvailability", {"connectorId": 0, "type": "Operative"}) == {"status": "Accepted"}
    await world.settle()
    assert [connector.status for connector in cp.connectors.values()] == ["Available", "Available"]


async def test_configuration_is_read_changed_and_acts(world):
    cp = world.make()
    await world.charging(cp)
    listing = await world.csms.call("GetConfiguration", {"key": ["meterValueSampleInterval", "NoSuchKey", "NumberOfConnectors"]})
    assert listing == {
        "configurationKey": [
            {"key": "MeterValueSampleInterval", "readonly": False, "value": "60"},
            {"key": "NumberOfConnectors", "readonly": True, "value": "1"},
        ],
        "unknownKey": ["NoSuchKey"],
    }
    everything = await world.csms.call("GetConfiguration", {})
    assert len(everything["configurationKey"]) >= 25
    assert "AuthorizationKey" not in [item["key"] for item in everything["configurationKey"]]

    async def change(key: str, value: str) -> str:
        return (await world.csms.call("ChangeConfiguration", {"key": key, "value": value}))["status"]

    assert await change("NoSuchKey", "1") == "NotSupported"
    assert await change("NumberOfConnectors", "4") == "Rejected"
    assert await change("MeterValueSampleInterval", "soon") == "Rejected"
    assert await change("MeterValuesSampledData", "SoC") == "Rejected"
    assert await change("MeterValueSampleInterval", "15") == "Accepted"
    assert await change("HeartbeatInterval", "20") == "Accepted"
    await world.clock.advance(60)
    assert len(world.csms.sent("MeterValues")) == 4
    assert len(world.csms.sent("Heartbeat")) == 3
    assert await change("MeterValueSampleInterval", "0") == "Accepted"
    await world.clock.advance(60)
    assert len(world.csms.sent("MeterValues")) == 4


async def test_a_new_authorization_key_is_the_next_connections_password(world):
    cp = world.make(password="old-password")
    await cp.start()
    change = {"key": "AuthorizationKey", "value": "new-password"}
    assert await world.csms.call("ChangeConfiguration", change) == {"status": "Accepted"}
    await world.settle()
    await cp.disconnect()
    await cp.connect()
    assert world.csms.requests[1].headers["Authorization"] == "Basic Q1AxOm5ldy1wYXNzd29yZA=="


async def test_remote_start_is_rejected_where_it_can_not_be_tried(world):
    cp = world.make(connectors=2)
    await cp.start()
    await cp.fault(2, "OtherError")

    async def start(**payload) -> str:
        return (await world.csms.call("RemoteStartTransaction", {"idTag": "A"} | payload))["status"]

    assert await start(connectorId=9) == "Rejected"
    assert await start(connectorId=2) == "Rejected"
    assert await start(chargingProfile=profile([(0, 1)], purpose="TxDefaultProfile")) == "Rejected"
    assert await start(connectorId=1) == "Accepted"
    assert await start(connectorId=1) == "Rejected"  # one waits there already


async def test_remote_start_without_a_connector_goes_where_the_ev_is(world):
    cp = world.make(connectors=3)
    await cp.start()
    await cp.plug(2)
    await world.csms.call("RemoteStartTransaction", {"idTag": "A"})
    await world.settle()
    assert world.csms.sent("StartTransaction")[0]["connectorId"] == 2


async def test_authorize_remote_tx_requests_asks_first(world):
    cp = world.make(settings={"configuration": {"AuthorizeRemoteTxRequests": "true"}})
    world.csms.answers["Authorize"] = {"idTagInfo": {"status": "Invalid"}}
    await cp.start()
    await cp.plug()
    assert await world.csms.call("RemoteStartTransaction", {"idTag": "A"}) == {"status": "Accepted"}
    await world.settle()
    assert world.csms.sent("StartTransaction") == []
    world.csms.answers.clear()
    assert await world.csms.call("RemoteStartTransaction", {"idTag": "A"}) == {"status": "Accepted"}
    await world.settle()
    assert len(world.csms.sent("StartTransaction")) == 1


async def test_remote_stop_of_a_transaction_that_does_not_run_is_rejected(world):
    cp = world.make()
    transaction_id = await world.charging(cp)
    assert await world.csms.call("RemoteStopTransaction", {"transactionId": transaction_id + 1}) == {"status": "Rejected"}
    assert await world.csms.call("RemoteStopTransaction", {"transactionId": transaction_id}) == {"status": "Accepted"}
    await world.settle()
    assert await world.csms.call("RemoteStopTransaction", {"transactionId": transaction_id}) == {"status": "Rejected"}


@pytest.mark.parametrize(("kind", "reason", "closed_with"), [("Soft", "SoftReset", 1000), ("Hard", "HardReset", 1006)])
async def test_reset_really_reboots(world, kind, reason, closed_with):
    cp = world.make()
    await world.charging(cp)
    assert await world.csms.call("Reset", {"type": kind}) == {"status": "Accepted"}
    await cp.wait_for(lambda: not cp.connected)
    await world.clock.advance(5)
    assert cp.boots == 2
    assert [stop["reason"] for stop in world.csms.sent("StopTransaction")] == [reason]
    assert world.csms.closed_with == [closed_with]


async def test_unlocking_ends_the_transaction(world):
    cp = world.make()
    await world.charging(cp)
    assert await world.csms.call("UnlockConnector", {"connectorId": 2}) == {"status": "NotSupported"}
    assert await world.csms.call("UnlockConnector", {"connectorId": 1}) == {"status": "Unlocked"}
    await world.settle()
    assert world.csms.sent("StopTransaction")[0]["reason"] == "UnlockCommand"


async def test_a_stuck_lock_says_so(world):
    cp = world.make(settings={"unlock_result": "UnlockFailed"})
    await world.charging(cp)
    assert await world.csms.call("UnlockConnector", {"connectorId": 1}) == {"status": "UnlockFailed"}
    assert cp.connectors[1].status == "Charging"


async def test_triggered_messages_come_after_the_answer(world):
    cp = world.make(connectors=2)
    await world.charging(cp)
    before = len(world.csms.calls)
    for message in ("Heartbeat", "MeterValues", "BootNotification", "FirmwareStatusNotification"):
        request = {"requestedMessage": message, "connectorId": 1}
        assert await world.csms.call("TriggerMessage", request) == {"status": "Accepted"}
        await world.settle()
    triggered = world.csms.calls[before:]
    assert [name for name, _ in triggered][:3] == ["Heartbeat", "MeterValues", "BootNotification"]
    meter_values = triggered[1][1]
    assert (meter_values["connectorId"], meter_values["transactionId"]) == (1, 101)
    assert meter_values["meterValue"][0]["sampledValue"][0]["context"] == "Trigger"
    assert triggered[-1] == ("FirmwareStatusNotification", {"status": "Idle"})
    statuses = len(world.csms.sent("StatusNotification"))
    await world.csms.call("TriggerMessage", {"requestedMessage": "StatusNotification"})
    await world.settle()
    assert len(world.csms.sent("StatusNotification")) == statuses + 3
    rejected = {"requestedMessage": "StatusNotification", "connectorId": 3}
    assert await world.csms.call("TriggerMessage", rejected) == {"status": "Rejected"}
    assert await world.csms.call("TriggerMessage", {"requestedMessage": "Nonsense"}) == {"status": "NotImplemented"}


async def test_zero_ampere_stops_power_and_clearing_gives_it_back(world):
    cp = world.make()
    await world.charging(cp)
    request = {"connectorId": 1, "csChargingProfiles": PROFILE | {"transactionId": 101}}
    assert await world.csms.call("SetChargingProfile", request) == {"status": "Accepted"}
    await world.clock.advance(3600)
    assert (cp.connectors[1].status, cp.connectors[1].meter_wh) == ("SuspendedEVSE", 0)
    assert await world.csms.call("ClearChargingProfile", {"id": 1}) == {"status": "Accepted"}
    assert await world.csms.call("ClearChargingProfile", {"id": 1}) == {"status": "Unknown"}
    await world.clock.advance(3600)
    assert (cp.connectors[1].status, cp.connectors[1].meter_wh) == ("Charging", 7400)


async def test_a_schedule_changes_power_at_its_own_times(world):
    cp = world.make()
    await world.charging(cp)
    await world.clock.advance(10)
    # Relative to the transaction's start: 3.6 kW until 100 s, 10 A (2.3 kW) until 200 s, then all over.
    limits = profile([(0, 3600), (100, 2300)], schedule={"duration": 200})
    await world.csms.call("SetChargingProfile", {"connectorId": 1, "csChargingProfiles": limits})
    powers = []
    for _ in range(22):
        await world.clock.advance(10)
        powers.append(cp.connectors[1].power_w)
    assert powers == [3600] * 8 + [2300] * 10 + [7400] * 4


async def test_higher_stack_levels_and_tx_profiles_go_first_and_the_maximum_caps(world):
    cp = world.make()

    async def install(connector: int, body) -> None:
        answer = await world.csms.call("SetChargingProfile", {"connectorId": connector, "csChargingProfiles": body})
        assert answer == {"status": "Accepted"}
        await world.settle()

    await cp.start()
    await install(0, profile([(0, 1000)], purpose="TxDefaultProfile", id_=1))
    await install(1, profile([(0, 10)], unit="A", purpose="TxDefaultProfile", level=3, id_=2))
    await cp.plug()
    await world.csms.call("RemoteStartTransaction", {"idTag": "A"})
    await world.settle()
    assert cp.connectors[1].power_w == 2300
    await install(1, profile([(0, 5000)], id_=3))
    assert cp.connectors[1].power_w == 5000
    await install(0, profile([(0, 1500)], purpose="ChargePointMaxProfile", id_=4))
    assert cp.connectors[1].power_w == 1500
    await cp.unplug()
    await world.settle()
    assert await world.csms.call("ClearChargingProfile", {"id": 3}) == {"status": "Unknown"}  # gone with its transaction


async def test_a_tx_profile_needs_its_transaction(world):
    cp = world.make()
    await cp.start()
    for body in (PROFILE, PROFILE | {"transactionId": 5}):
        request = {"connectorId": 1, "csChargingProfiles": body}
        assert await world.csms.call("SetChargingProfile", request) == {"status": "Rejected"}


async def test_data_transfer_and_cache(world):
    cp = world.make(settings={"data_transfer_vendor": "VoltLync"})
    await cp.start()
    assert await world.csms.call("DataTransfer", {"vendorId": "Other"}) == {"status": "UnknownVendorId"}
    assert await world.csms.call("DataTransfer", {"vendorId": "VoltLync"}) == {"status": "Accepted"}
    assert await world.csms.call("ClearCache", {}) == {"status": "Accepted"}


async def test_errors_have_the_codes_of_the_specification(world):
    cp = world.make()
    await cp.start()
    assert await world.csms.error("ReserveNow", {}) == "NotImplemented"
    assert await world.csms.error("RemoteStopTransaction", {}) == "OccurenceConstraintViolation"
    assert await world.csms.error("RemoteStopTransaction", {"transactionId": "7"}) == "TypeConstraintViolation"
    assert await world.csms.error("Reset", {"type": "Warm"}) == "PropertyConstraintViolation"
    assert await world.csms.error("Reset", [1]) == "FormationViolation"
    assert cp.connected


async def test_a_test_may_answer_for_itself(world):
    cp = world.make()
    cp.on("ReserveNow", lambda station, payload: {"status": "Occupied" if station.id == payload["who"] else "Accepted"})

    def refuse(*_):
        raise OcppError("SecurityError", "not today")

    cp.on("ClearCache", refuse)
    await cp.start()
    assert await world.csms.call("ReserveNow", {"who": "CP1"}) == {"status": "Occupied"}
    assert await world.csms.error("ClearCache", {}) == "SecurityError"


def test_a_wrong_configuration_is_refused_when_made(world):
    with pytest.raises(ValueError, match="NoSuchKey"):
        world.make(settings={"configuration": {"NoSuchKey": "1"}})
    with pytest.raises(ValueError, match="no_such_setting"):
        Settings(no_such_setting=1)
