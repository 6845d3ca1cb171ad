"""Offline behaviour: the queue of transaction messages, its retries, reconnecting, rebooting (OCPP 1.6 sections 3.7, 5.14)."""

from __future__ import annotations

import pytest

from charger_simulator import NotConnected, Quirks

TRANSACTION_MESSAGES = {"StartTransaction", "StopTransaction", "MeterValues"}


def transactional(csms) -> list[str]:
    return [name for name in csms.order if name in TRANSACTION_MESSAGES]


async def test_what_is_metered_offline_arrives_in_order_after_the_return_without_a_boot(world):
    cp = world.make()
    await world.charging(cp)
    await world.clock.advance(60)
    await cp.disconnect(180)
    assert not cp.connected
    await world.clock.advance(179)
    assert len(world.csms.sent("MeterValues")) == 1
    await world.clock.advance(1)
    assert cp.connected
    stamps = [item["meterValue"][0]["timestamp"] for item in world.csms.sent("MeterValues")]
    assert stamps == [f"2026-01-05T10:0{minute}:00.000Z" for minute in (1, 2, 3, 4)]
    assert all(item["transactionId"] == 101 for item in world.csms.sent("MeterValues"))
    assert len(world.csms.sent("BootNotification")) == 1
    # The network went without a Close frame.
    assert world.csms.closed_with[0] == 1006


async def test_a_transaction_begun_offline_learns_its_id_later(world):
    cp = world.make(settings={"configuration": {"AllowOfflineTxForUnknownId": "true"}})
    await cp.start()
    await cp.disconnect()
    await cp.plug()
    assert await cp.start_transaction("CARD")
    await world.clock.advance(90)
    await cp.unplug()
    assert cp.connectors[1].transaction_id is None
    await world.clock.advance(1000)
    await cp.connect()
    await world.settle()
    assert transactional(world.csms) == ["StartTransaction", "MeterValues", "StopTransaction"]
    assert world.csms.sent("MeterValues")[0]["transactionId"] == 101
    stop = world.csms.sent("StopTransaction")[0]
    assert (stop["transactionId"], stop["meterStop"], stop["timestamp"]) == (101, 185, "2026-01-05T10:01:30.000Z")
    # The status never changed as the central system saw it: Available before, Available after.
    assert world.csms.statuses() == ["Available"]


async def test_an_unknown_tag_does_not_start_offline_unless_allowed(world):
    cp = world.make()
    await cp.start()
    await cp.disconnect()
    await cp.plug()
    assert not await cp.start_transaction("CARD")
    assert await cp.start_transaction("CARD", authorize=False)


async def test_a_refused_transaction_message_is_tried_again_with_growing_waits_then_given_up(world):
    cp = world.make(settings={"configuration": {"MeterValueSampleInterval": "0"}})
    await world.charging(cp)
    world.csms.refuses.add("StopTransaction")
    await cp.unplug()
    await world.settle()
    assert len(world.csms.sent("StopTransaction")) == 1
    await world.clock.advance(59)
    assert len(world.csms.sent("StopTransaction")) == 1
    await world.clock.advance(1)  # 60 s after the first
    assert len(world.csms.sent("StopTransaction")) == 2
    await world.clock.advance(119)
    assert len(world.csms.sent("StopTransaction")) == 2
    await world.clock.advance(1)  # 120 s after the second
    assert len(world.csms.sent("StopTransaction")) == 3
    assert cp.outbox.dropped == 1
    await world.clock.advance(1000)
    assert len(world.csms.sent("StopTransaction")) == 3
    exchanges = [item for item in cp.exchanges if item.action == "StopTransaction"]
    assert len(exchanges) == 3
    assert all(item.error is not None for item in exchanges)


async def test_newer_transaction_messages_wait_for_the_one_refused_and_others_overtake(world):
    configuration = {"TransactionMessageAttempts": "5", "TransactionMessageRetryInterval": "45"}
    cp = world.make(settings={"configuration": configuration})
    world.csms.refuses.add("StartTransaction")
    await cp.start()
    await cp.plug()
    await world.csms.call("RemoteStartTransaction", {"connectorId": 1, "idTag": "A"})
    await world.clock.advance(44)
    await cp.unplug()
    await world.settle()
    assert transactional(world.csms) == ["StartTransaction"]
    assert world.csms.statuses()[-1] == "Available"
    world.csms.refuses.clear()
    await world.clock.advance(1)
    assert transactional(world.csms) == ["StartTransaction", "StartTransaction", "StopTransaction"]
    assert world.csms.sent("StopTransaction")[0]["transactionId"] == 101


async def test_silence_counts_as_a_failed_attempt_after_the_call_timeout(world):
    cp = world.make()
    await world.charging(cp)
    world.csms.silent_to.add("StopTransaction")
    await cp.unplug()
    await world.clock.advance(30 + 59)
    assert len(world.csms.sent("StopTransaction")) == 1
    world.csms.silent_to.clear()
    await world.clock.advance(1)
    assert len(world.csms.sent("StopTransaction")) == 2
    assert not cp.outbox.transactional


async def test_a_start_given_up_leaves_a_stop_with_minus_one(world):
    cp = world.make(settings={"configuration": {"TransactionMessageAttempts": "1"}})
    world.csms.refuses.add("StartTransaction")
    await cp.start()
    await cp.plug()
    await cp.start_transaction("A", authorize=False)
    await world.settle()
    await cp.unplug()
    await world.settle()
    assert world.csms.sent("StopTransaction")[0]["transactionId"] == -1


async def test_a_message_in_flight_when_the_network_goes_is_sent_again(world):
    cp = world.make()
    await world.charging(cp)
    world.csms.silent_to.add("MeterValues")
    await world.clock.advance(60)
    await cp.disconnect()
    world.csms.silent_to.clear()
    await cp.connect()
    await world.settle()
    first, second = world.csms.sent("MeterValues")
    assert first == second
    assert (await cp.wait_for("MeterValues")).error is None  # for who watches it was one message, delivered
    assert len(set(world.csms.ids)) == len(world.csms.ids)


async def test_a_full_queue_keeps_start_and_stop_and_drops_meter_values(world):
    cp = world.make(settings={"queue_size_max": 5})
    await world.charging(cp)
    await cp.disconnect()
    await world.clock.advance(600)
    await cp.unplug()
    assert [item.action for item in cp.outbox.transactional] == ["MeterValues"] * 5 + ["StopTransaction"]
    assert cp.outbox.dropped == 5


async def test_a_hard_reboot_stops_after_the_boot_and_the_queue_survives(world):
    cp = world.make(settings={"reboot_seconds": 20})
    await world.charging(cp)
    await cp.disconnect()
    await world.clock.advance(120)
    await cp.reboot(hard=True)
    await world.clock.advance(100)
    assert cp.connectors[1].power_w == 0
    await cp.connect()
    await world.settle()
    assert cp.booted
    assert transactional(world.csms) == ["StartTransaction", "MeterValues", "MeterValues", "StopTransaction"]
    stop = world.csms.sent("StopTransaction")[0]
    assert (stop["reason"], stop["meterStop"], stop["timestamp"]) == ("HardReset", 246, "2026-01-05T10:02:00.000Z")
    second_boot = [index for index, name in enumerate(world.csms.order) if name == "BootNotification"][1]
    assert world.csms.order[:second_boot].count("StopTransaction") == 0
    assert world.csms.statuses()[-1] == "Preparing"


async def test_a_soft_reboot_stops_first_and_closes_cleanly(world):
    cp = world.make()
    await world.charging(cp)
    await world.clock.advance(36)
    await cp.reboot()
    assert not cp.connected
    assert world.csms.sent("StopTransaction")[0]["reason"] == "SoftReset"
    await world.clock.advance(5)
    assert cp.boots == 2
    assert world.csms.closed_with == [1000]
    # After a boot every connector is told anew, changed or not.
    assert world.csms.statuses(0) == ["Available", "Available"]


@pytest.mark.parametrize(("fate", "stops", "meter_wh"), [("resume", 0, 246), ("forget", 0, 123)])
async def test_a_reboot_may_resume_or_forget_the_transaction(world, fate, stops, meter_wh):
    cp = world.make(quirks=Quirks(after_reboot=fate), settings={"reboot_seconds": 10})
    await world.charging(cp)
    await world.clock.advance(60)
    await cp.reboot(hard=True)
    await world.clock.advance(10 + 60)
    assert len(world.csms.sent("StopTransaction")) == stops
    assert cp.connectors[1].meter_wh == meter_wh
    assert cp.connectors[1].transaction_id == (101 if fate == "resume" else None)
    assert len(world.csms.sent("MeterValues")) == (2 if fate == "resume" else 1)


async def test_it_returns_by_itself_with_a_doubling_back_off(world):
    cp = world.make()
    world.csms.refuse_with = 503
    await cp.start()
    assert (cp.connected, cp.refused_status) == (False, 503)
    for pause, attempts in ((1, 2), (2, 3), (4, 4), (8, 5)):
        await world.clock.advance(pause - 0.01)
        assert len(world.csms.requests) == attempts - 1
        await world.clock.advance(0.01)
        assert len(world.csms.requests) == attempts
    world.csms.refuse_with = None
    await world.clock.advance(16)
    assert cp.booted
    assert cp.refused_status is None
    await world.csms.sockets[-1].close(code=1001)
    await cp.wait_for(lambda: not cp.connected)
    assert cp.close_code == 1001
    await world.clock.advance(1)
    assert cp.connected


async def test_a_boot_that_is_pending_or_rejected_is_repeated_after_the_interval(world):
    world.csms.answers["BootNotification"] = {"status": "Pending", "currentTime": "", "interval": 15}
    cp = world.make()
    await cp.start()
    assert (cp.booted, cp.registration) == (False, "Pending")
    assert await world.csms.call("RemoteStartTransaction", {"idTag": "A"}) == {"status": "Rejected"}
    world.csms.answers["BootNotification"]["status"] = "Rejected"
    await world.clock.advance(15)
    assert cp.registration == "Rejected"
    unanswered = await world.csms.send("GetConfiguration", {})
    await world.settle()
    assert not unanswered.done()
    world.csms.answers.clear()
    await world.clock.advance(15)
    assert cp.booted
    assert set(world.csms.order[:3]) == {"BootNotification"}


async def test_nothing_arriving_through_three_calls_ends_the_socket(world):
    cp = world.make()
    await cp.start()
    world.csms.silent_to.add("Heartbeat")
    await world.clock.advance(40 + 30)
    assert cp.connections_opened == 1
    # settle() pings, and a pong is a sign of life: so the count is reached without it.
    world.clock.settle = world.breathe
    await world.clock.advance(3 * 40)
    world.clock.settle = world.settle
    await world.settle()
    assert (cp.connected, cp.close_code) == (False, 1006)
    await world.clock.advance(1)
    assert cp.connected


async def test_an_ad_hoc_call_fails_with_the_connection_and_is_not_kept(world):
    cp = world.make()
    await cp.start()
    world.csms.silent_to.add("DataTransfer")
    calling = world.background(cp.call("DataTransfer", {"vendorId": "VoltLync"}))
    await world.settle()
    assert cp.calls_open == 1
    await cp.disconnect()
    with pytest.raises(NotConnected):
        await calling
    with pytest.raises(NotConnected):
        await cp.call("Heartbeat", {})
    await cp.connect()
    await world.settle()
    assert len(world.csms.sent("DataTransfer")) == 1


async def test_a_refusal_learned_after_the_end_ends_nothing_twice(world):
    world.csms.answers["StartTransaction"] = {"transactionId": 9, "idTagInfo": {"status": "Blocked"}}
    cp = world.make(settings={"configuration": {"AllowOfflineTxForUnknownId": "true"}})
    await cp.start()
    await cp.disconnect()
    await cp.plug()
    await cp.start_transaction("FIRST")
    await cp.stop_transaction()
    await cp.start_transaction("SECOND")
    await cp.connect()
    await world.settle()
    assert [(stop["reason"], stop["transactionId"]) for stop in world.csms.sent("StopTransaction")] == [
        ("Local", 9),
        ("DeAuthorized", 9),
    ]


async def test_a_status_that_was_not_answered_is_told_again_after_the_return(world):
    cp = world.make()
    await cp.start()
    world.csms.silent_to.add("StatusNotification")
    await cp.plug()
    await world.settle()
    await cp.disconnect()
    world.csms.silent_to.clear()
    await cp.connect()
    assert world.csms.statuses() == ["Available", "Preparing", "Preparing"]


async def test_a_delayed_answer_is_lost_with_its_socket_and_has_no_effect(world):
    cp = world.make(quirks=Quirks(answer_delay_seconds=10))
    await world.charging_locally(cp)
    for comes_back in ([cp.disconnect, cp.connect], [cp.connect_again]):
        answer = await world.csms.send("RemoteStopTransaction", {"transactionId": 101})
        await world.settle()
        for step in comes_back:
            await step()
        await world.clock.advance(60)
        assert not answer.done()
        assert cp.connectors[1].status == "Charging"


async def test_stopped_and_started_again_it_goes_on_where_it_was(world):
    cp = world.make()
    await world.charging(cp)
    await cp.disconnect(500)
    await cp.stop()
    await world.clock.advance(600)
    assert len(world.csms.requests) == 1
    await cp.start()
    await world.clock.advance(60)
    assert len(world.csms.sent("BootNotification")) == 1
    (sample,) = world.csms.sent("MeterValues")
    assert sample["meterValue"][0]["sampledValue"][0]["value"] == str(7400 * 660 // 3600)


async def test_stopped_while_rebooting_it_starts_again_with_a_boot(world):
    cp = world.make()
    await world.charging(cp)
    await cp.reboot(hard=True)
    await cp.stop()
    await world.clock.advance(60)
    assert len(world.csms.requests) == 1
    await cp.start()
    await world.settle()
    assert (cp.boots, cp.connectors[1].power_w) == (2, 0)
    assert world.csms.sent("StopTransaction")[0]["reason"] == "HardReset"
