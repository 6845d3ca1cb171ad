"""An honest charge point: boot, a session from start to stop, electricity."""

from __future__ import annotations

from datetime import timedelta


async def test_it_boots_and_tells_the_status_of_every_connector(world):
    cp = world.make(connectors=2, password="secret")
    await cp.start()
    assert cp.connected
    assert cp.booted
    assert world.csms.order == ["BootNotification", *["StatusNotification"] * 3]
    assert [(item["connectorId"], item["status"]) for item in world.csms.sent("StatusNotification")] == [
        (0, "Available"),
        (1, "Available"),
        (2, "Available"),
    ]
    request = world.csms.requests[0]
    assert request.path == "/ocpp/CP1"
    assert request.headers["Sec-WebSocket-Protocol"] == "ocpp1.6"
    assert request.headers["Authorization"] == "Basic Q1AxOnNlY3JldA=="  # CP1:secret


async def test_heartbeats_keep_the_interval_that_the_boot_answer_gave(world):
    cp = world.make()
    await cp.start()
    await world.clock.advance(39)
    assert world.csms.sent("Heartbeat") == []
    await world.clock.advance(1 + 40 + 40)
    assert len(world.csms.sent("Heartbeat")) == 3


async def test_a_remote_start_with_the_ev_plugged_charges_at_once(world):
    cp = world.make(meter_start_wh=1000)
    transaction_id = await world.charging(cp)
    assert transaction_id == 101
    connector = cp.connectors[1]
    assert (connector.status, connector.power_w) == ("Charging", 7400)
    assert world.csms.sent("StartTransaction") == [
        {"connectorId": 1, "idTag": "TAG1", "meterStart": 1000, "timestamp": "2026-01-05T10:00:00.000Z"}
    ]
    assert world.csms.statuses() == ["Available", "Preparing", "Charging"]
    # 7400 W for 30 minutes are 3700 Wh.
    await world.clock.advance(1800)
    samples = world.csms.sent("MeterValues")
    assert len(samples) == 30
    last = samples[-1]
    assert last["transactionId"] == 101
    assert last["meterValue"][0]["timestamp"] == "2026-01-05T10:30:00.000Z"
    assert [(value["measurand"], value["value"], value["unit"]) for value in last["meterValue"][0]["sampledValue"]] == [
        ("Energy.Active.Import.Register", "4700", "Wh"),
        ("Power.Active.Import", "7400", "W"),
    ]
    assert await world.csms.call("RemoteStopTransaction", {"transactionId": 101}) == {"status": "Accepted"}
    await world.settle()
    assert world.csms.sent("StopTransaction") == [
        {"transactionId": 101, "meterStop": 4700, "timestamp": "2026-01-05T10:30:00.000Z", "reason": "Remote"}
    ]
    assert world.csms.statuses()[-1] == "Finishing"
    await world.clock.advance(600)
    assert connector.meter_wh == 4700
    await cp.unplug()
    await world.settle()
    assert world.csms.statuses()[-1] == "Available"


async def test_a_remote_start_waits_for_the_ev_until_the_connection_time_out(world):
    cp = world.make(settings={"configuration": {"ConnectionTimeOut": "90"}})
    await cp.start()
    assert await world.csms.call("RemoteStartTransaction", {"connectorId": 1, "idTag": "A"}) == {"status": "Accepted"}
    await world.clock.advance(89)
    assert cp.connectors[1].status == "Preparing"
    await world.clock.advance(1)
    assert cp.connectors[1].status == "Available"
    await cp.plug()
    await world.settle()
    assert world.csms.sent("StartTransaction") == []
    assert await world.csms.call("RemoteStartTransaction", {"idTag": "B"}) == {"status": "Accepted"}
    await world.settle()
    assert world.csms.sent("StartTransaction")[0]["idTag"] == "B"


async def test_plugging_within_the_connection_time_out_starts(world):
    cp = world.make()
    await cp.start()
    await world.csms.call("RemoteStartTransaction", {"connectorId": 1, "idTag": "A"})
    await world.clock.advance(59)
    await cp.plug()
    exchange = await cp.wait_for("StartTransaction")
    assert exchange.request["timestamp"] == "2026-01-05T10:00:59.000Z"
    assert exchange.response["transactionId"] == 101
    await world.clock.advance(60)
    assert cp.connectors[1].status == "Charging"


async def test_unplugging_stops_with_ev_disconnected(world):
    cp = world.make()
    await world.charging(cp)
    await world.clock.advance(36)
    await cp.unplug()
    await world.settle()
    stop = world.csms.sent("StopTransaction")[0]
    assert (stop["reason"], stop["meterStop"]) == ("EVDisconnected", 74)
    assert world.csms.order[-2:] == ["StopTransaction", "StatusNotification"]
    assert world.csms.statuses()[-1] == "Available"


async def test_an_ev_may_pause_and_take_less(world):
    cp = world.make()
    await world.charging(cp)
    cp.set_power(1, 3600)
    await world.clock.advance(10)  # 10 Wh
    cp.set_power(1, 0)
    await world.clock.advance(1000)
    assert cp.connectors[1].status == "SuspendedEV"
    cp.set_power(1, 99_000)  # more than the station can give
    await world.clock.advance(1800)
    assert cp.connectors[1].meter_wh == 10 + 3700
    assert world.csms.statuses()[2:] == ["Charging", "SuspendedEV", "Charging"]


async def test_a_refused_id_tag_stops_with_deauthorized(world):
    world.csms.answers["StartTransaction"] = {"transactionId": 7, "idTagInfo": {"status": "Blocked"}}
    cp = world.make()
    await cp.start()
    await cp.plug()
    await world.csms.call("RemoteStartTransaction", {"connectorId": 1, "idTag": "A"})
    await world.settle()
    assert [(stop["transactionId"], stop["reason"]) for stop in world.csms.sent("StopTransaction")] == [(7, "DeAuthorized")]


async def test_a_fault_cuts_power_and_clears_back_to_the_same_transaction(world):
    cp = world.make()
    await world.charging(cp)
    await cp.fault(1, "GroundFailure", "E42")
    await world.clock.advance(3600)
    assert cp.connectors[1].meter_wh == 0
    faulted = world.csms.sent("StatusNotification")[-1]
    assert (faulted["status"], faulted["errorCode"], faulted["vendorErrorCode"]) == ("Faulted", "GroundFailure", "E42")
    await cp.clear_fault(1)
    await world.settle()
    assert cp.connectors[1].status == "Charging"
    assert cp.connectors[1].transaction_id == 101
    assert "vendorErrorCode" not in world.csms.sent("StatusNotification")[-1]


async def test_a_tag_at_the_reader_is_authorized_first(world):
    cp = world.make()
    await cp.start()
    await cp.plug()
    assert await cp.start_transaction("CARD")
    await world.settle()
    assert world.csms.order[-3:] == ["Authorize", "StartTransaction", "StatusNotification"]
    assert await cp.stop_transaction(id_tag="CARD")
    await world.settle()
    assert world.csms.sent("StopTransaction")[0] | {"timestamp": ""} == {
        "transactionId": 101, "meterStop": 0, "timestamp": "", "reason": "Local", "idTag": "CARD"
    }  # fmt: skip
    world.csms.answers["Authorize"] = {"idTagInfo": {"status": "Invalid"}}
    assert not await cp.start_transaction("CARD")


async def test_configured_measurands_are_all_sampled_and_the_stop_can_bear_them(world):
    configuration = {
        "MeterValuesSampledData": "Energy.Active.Import.Register,Voltage,Current.Import",
        "StopTxnSampledData": "Energy.Active.Import.Register",
    }
    cp = world.make(settings={"configuration": configuration})
    await world.charging(cp)
    await world.clock.advance(60)
    values = world.csms.sent("MeterValues")[0]["meterValue"][0]["sampledValue"]
    assert [(value["measurand"], value["value"], value["unit"]) for value in values] == [
        ("Energy.Active.Import.Register", "123", "Wh"),
        ("Voltage", "230", "V"),
        ("Current.Import", "32.2", "A"),
    ]
    await cp.unplug()
    await world.settle()
    kept = world.csms.sent("StopTransaction")[0]["transactionData"]
    assert [item["sampledValue"][0]["context"] for item in kept] == ["Transaction.Begin", "Sample.Periodic", "Transaction.End"]


async def test_clock_aligned_values_come_at_round_times_without_a_transaction(world):
    await world.clock.advance(70)
    cp = world.make(settings={"configuration": {"ClockAlignedDataInterval": "900"}})
    await cp.start()
    await world.clock.advance(1800)
    stamps = [item["meterValue"][0]["timestamp"] for item in world.csms.sent("MeterValues")]
    assert stamps == ["2026-01-05T10:15:00.000Z", "2026-01-05T10:30:00.000Z"]
    assert world.clock.now() - timedelta(seconds=1870) == world.clock.now().replace(minute=0, second=0)
