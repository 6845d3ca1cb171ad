"""What can happen to a session between its start and its end. Every guard runs on a clock that steps."""

from datetime import timedelta

import pytest

from contracts.charging import (
    LateEnergyReported,
    StartCancelRequested,
    StartExpired,
    StartRefusal,
    StartRefused,
    StopReason,
    TransactionStarted,
    TransactionStopped,
)
from contracts.ocpp_gateway import CommandOutcome, DataTransferDecision, DataTransferReceived, DisconnectReason, IdTagStatus
from contracts.topology import address_from

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def sweep_seconds():
    """These guards are minutes long."""
    return 5


async def stopped(world):
    [event] = await world.said(TransactionStopped)
    return event


async def running(world, **how):
    """A paid session that has delivered 60 Wh in its first minute; (charger, transaction id, register)."""
    charger = await world.charger(**how)
    await charger.connect(status="Charging")
    await charger.status("Preparing")
    transaction_id = await charger.start_paid()
    wh = await charger.charge(transaction_id, from_wh=1000, seconds=60, power_w=3600)
    return charger, transaction_id, wh


async def test_a_start_that_is_repeated_gets_the_same_answer(world):
    charger = await world.charger()
    await charger.connect()
    await charger.pay()
    start = charger.start_event(charger.last_command("RemoteStartTransaction").payload["idTag"])
    first = await world.ask_start(start)
    # The answer was lost; the charger says it again in another message, and once more after its clock was set.
    again = await world.ask_start(start.model_copy(update={"seq": start.seq + 1}))
    reset = await world.ask_start(start.model_copy(update={"seq": start.seq + 2, "timestamp_text": "2026-01-05T04:30:09Z"}))
    assert first == again == reset
    assert first.status is IdTagStatus.ACCEPTED
    assert len(await world.said(TransactionStarted)) == 1


async def test_a_start_that_was_refused_is_refused_again_under_the_same_id(world):
    charger = await world.charger()
    await charger.connect()
    start = charger.start_event("STRANGER")
    first = await world.ask_start(start)
    again = await world.ask_start(start.model_copy(update={"seq": start.seq + 1}))
    assert first.status is IdTagStatus.INVALID
    assert first == again
    assert len(charger.sent("RemoteStopTransaction")) == 1


async def test_a_batch_that_is_delivered_again_changes_nothing(world):
    charger, transaction_id, wh = await running(world)
    await world.pass_time(30)
    # The last one is a spike that is held: told again it must not pass for the second reading that agrees.
    batch = [charger.meter_event(transaction_id, register, power_w=3600) for register in (wh + 10, wh + 20, 50_000_000)]
    for event in batch:
        await world.put(event)
    await world.settle()
    before = await world.transaction(transaction_id)
    rows = await world.admin.fetch("SELECT * FROM charging.meter_values ORDER BY epoch, seq, n")
    said = await world.admin.fetchval("SELECT count(*) FROM charging.outbox")
    for event in (batch[-1], *batch):
        await world.put(event)
    await world.settle()
    assert await world.transaction(transaction_id) == before
    assert await world.admin.fetch("SELECT * FROM charging.meter_values ORDER BY epoch, seq, n") == rows
    assert await world.admin.fetchval("SELECT count(*) FROM charging.outbox") == said


async def test_a_drop_of_a_minute_resumes(world):
    charger, transaction_id, wh = await running(world)
    await charger.disconnect()
    row = await world.transaction(transaction_id)
    assert row["state"] == "SUSPENDED"
    assert row["suspension_deadline_at"] == world.clock.now() + timedelta(seconds=180)
    await world.pass_time(60)
    await charger.connect(boot=False, status=None)
    row = await world.transaction(transaction_id)
    assert (row["state"], row["suspension_cause"]) == ("SUSPENDED", "RETURNED")
    await charger.meter(transaction_id, wh + 60, power_w=3600)
    row = await world.transaction(transaction_id)
    assert (row["state"], row["resume_count"], row["confirmed_wh"]) == ("RUNNING", 1, 120)
    assert row["suspension_deadline_at"] is None
    await world.pass_time(200)
    assert await world.said(TransactionStopped) == []


async def test_a_charger_that_stays_away_is_billed_to_its_last_reading(world):
    charger, transaction_id, wh = await running(world)
    await charger.disconnect()
    await world.pass_time(175)
    assert await world.said(TransactionStopped) == []
    await world.pass_time(10)
    event = await stopped(world)
    assert (event.stop_reason, event.energy_wh) == (StopReason.DISCONNECT_TIMEOUT, 60)
    # It comes back still charging: that energy is counted apart, the charger is told to stop, the connector sells nothing.
    await charger.connect(boot=False, status=None)
    await charger.meter(transaction_id, wh + 100)
    row = await world.transaction(transaction_id)
    assert (row["energy_wh"], row["late_wh"], row["state"]) == (60, 100, "STOPPED")
    assert charger.last_command("RemoteStopTransaction").payload == {"transactionId": transaction_id}
    await charger.pay("qr_payment_2")
    await world.pass_time(20)
    [refused] = await world.said(StartRefused)
    assert refused.reason is StartRefusal.CONNECTOR_BUSY
    await world.pass_time(30)
    await charger.stop(transaction_id, wh + 120)
    assert (await world.transaction(transaction_id))["late_wh"] == 120
    assert [e.late_wh for e in await world.said(LateEnergyReported)] == [100, 120]
    assert len(await world.said(TransactionStopped)) == 1
    await charger.pay("qr_payment_3")
    assert charger.last_command("RemoteStartTransaction").payload["connectorId"] == 1


async def test_our_own_gateways_leaving_gives_900_seconds(world):
    charger, transaction_id, _ = await running(world)
    await charger.disconnect(DisconnectReason.GATEWAY_STOPPING)
    await world.pass_time(895)
    assert await world.said(TransactionStopped) == []
    await world.pass_time(10)
    assert (await stopped(world)).stop_reason is StopReason.DISCONNECT_TIMEOUT
    assert (await world.transaction(transaction_id))["disconnect_count"] == 0


@pytest.mark.parametrize(("gap_seconds", "state"), [(900, "RUNNING"), (901, "STOPPED")])
async def test_exactly_900_seconds_resume_and_one_more_is_stale(world, gap_seconds, state):
    charger, transaction_id, wh = await running(world)
    last_reading_at = world.clock.now()
    await world.pass_time(10)
    await charger.disconnect(DisconnectReason.GATEWAY_LOST)
    # The reading is received in time, or a second late; that it is handled at once does not matter.
    event = charger.meter_event(transaction_id, wh + 30)
    await world.send(event.model_copy(update={"received_at": last_reading_at + timedelta(seconds=gap_seconds)}))
    row = await world.transaction(transaction_id)
    assert row["state"] == state
    if state == "STOPPED":
        assert row["stop_reason"] == "STALE_RECONNECT"
        assert row["energy_wh"] == 60
    else:
        assert row["confirmed_wh"] == 90


async def test_a_reboot_suspends_and_must_be_followed_by_a_sign_of_life(world):
    charger, transaction_id, _ = await running(world)
    await charger.boot()
    row = await world.transaction(transaction_id)
    assert (row["state"], row["suspension_cause"]) == ("SUSPENDED", "BOOT")
    deadline = row["suspension_deadline_at"]
    await world.pass_time(100)
    await charger.boot()  # a second boot of the same drop buys no more time
    assert (await world.transaction(transaction_id))["suspension_deadline_at"] == deadline
    await world.pass_time(85)
    assert (await stopped(world)).stop_reason is StopReason.BOOT_TIMEOUT


async def test_a_rebooted_charger_goes_on_from_the_last_known_kwh(world):
    charger, transaction_id, wh = await running(world)
    read_at = world.clock.now()
    await charger.boot()
    await world.pass_time(100)
    question = DataTransferReceived(
        **charger.head(),
        vendor_id="VoltLync",
        message_id_text="GetLastMeterValue",
        data=f'{{"transactionId": {transaction_id}}}',
    )
    world.published += 1
    answer = await world.bus.ask(
        question, to=address_from("ocpp_gateway")(question), answer=DataTransferDecision, timeout_seconds=60
    )
    assert answer.status == "Accepted"
    assert answer.data == f'{{"transactionId":{transaction_id},"meterValueWh":{wh},"timestamp":"{read_at:%Y-%m-%dT%H:%M:%SZ}"}}'
    await world.pass_time(100)  # beyond the boot's 180 s: it has spoken of its session
    assert await world.said(TransactionStopped) == []
    # The register began anew with the reboot: nothing is lost, nothing counted twice.
    await charger.meter(transaction_id, 5)
    await world.pass_time(30)
    await charger.meter(transaction_id, 25)
    assert (await world.transaction(transaction_id))["confirmed_wh"] == 80


async def test_the_third_drop_without_energy_is_the_last(world):
    charger, transaction_id, wh = await running(world)
    for _ in range(2):
        await charger.disconnect()
        await world.pass_time(5)
        await charger.connect(boot=False, status=None)
        await charger.meter(transaction_id, wh + 1)
        wh += 1
    await charger.disconnect()
    assert (await stopped(world)).stop_reason is StopReason.FLAP_LIMIT


async def test_energy_between_drops_zeroes_the_count(world):
    charger, transaction_id, wh = await running(world)
    for _ in range(4):
        await charger.disconnect()
        await world.pass_time(30)
        await charger.connect(boot=False, status=None)
        wh += 30
        await charger.meter(transaction_id, wh)
    assert (await world.transaction(transaction_id))["disconnect_count"] == 1
    assert await world.said(TransactionStopped) == []


async def test_late_news_of_an_older_socket_changes_nothing(world):
    charger, transaction_id, _ = await running(world)
    old = charger.epoch
    await world.pass_time(1)
    await charger.connect(boot=False, status=None)
    newest, charger.epoch = charger.epoch, old
    await charger.disconnect()
    charger.epoch = newest
    assert (await world.transaction(transaction_id))["state"] == "RUNNING"
    assert (await world.row("SELECT online FROM charging.chargers"))["online"] is True


async def test_a_type2_connector_that_reports_available_waits_five_seconds_for_its_stop(world):
    charger, transaction_id, wh = await running(world)
    await charger.status("Available")
    await world.pass_time(2)
    await charger.stop(transaction_id, wh + 1)
    event = await stopped(world)
    assert (event.stop_reason, event.energy_wh) == (StopReason.CHARGER, 61)


async def test_a_type2_connector_that_reports_available_and_says_no_more_ends(world):
    charger, _, _ = await running(world)
    await charger.status("Available")
    await world.pass_time(10)
    assert (await stopped(world)).stop_reason is StopReason.CONNECTOR_UNAVAILABLE


async def test_a_socket_that_reports_available_lives_on_by_rising_energy(world):
    charger, transaction_id, wh = await running(world, kind="socket")
    await charger.status("Available")
    for _ in range(3):
        await world.pass_time(200)
        wh += 200
        await charger.meter(transaction_id, wh)
    assert await world.said(TransactionStopped) == []
    # Readings that do not rise keep nothing alive.
    await world.pass_time(200)
    await charger.meter(transaction_id, wh)
    await world.pass_time(105)
    event = await stopped(world)
    assert (event.stop_reason, event.energy_wh) == (StopReason.GRACE_EXPIRED, 660)


@pytest.mark.parametrize("kind", ["socket", "type2"])
async def test_a_fault_ends_the_session_and_stops_the_charger(world, kind):
    charger, transaction_id, _ = await running(world, kind=kind)
    await charger.status("Faulted", error_code="GroundFailure")
    assert charger.last_command("RemoteStopTransaction").payload == {"transactionId": transaction_id}
    await world.pass_time(10)
    assert (await stopped(world)).stop_reason is StopReason.CONNECTOR_UNAVAILABLE
    # The whole box's fault never does.
    assert (await world.row("SELECT count(*) AS n FROM charging.connectors"))["n"] == 1


async def test_a_stop_that_is_ignored_is_repeated_and_escalated(world):
    charger, transaction_id, wh = await running(world)
    await world.call("POST", f"/v1/transactions/txn_{transaction_id}/stop", status=202)
    await world.settle()
    sent = []
    for _ in range(5):
        newest = world.commands[-1]
        sent.append(newest.action)
        await charger.answer(newest)
        for _ in range(2):
            await world.pass_time(35)
            wh += 35
            await charger.meter(transaction_id, wh, power_w=3600)
    assert sent == ["RemoteStopTransaction", "RemoteStopTransaction", "SetChargingProfile", "ChangeAvailability", "Reset"]
    attempts = await world.admin.fetch("SELECT attempt, means FROM charging.stop_attempts ORDER BY attempt")
    assert [row["attempt"] for row in attempts] == list(range(1, len(attempts) + 1))
    # At last it obeys: the session ends as decided, and what the escalation closed is opened again.
    await charger.stop(transaction_id, wh, reason="HardReset")
    assert (await stopped(world)).stop_reason is StopReason.OPERATOR
    assert charger.last_command("ChangeAvailability").payload == {"connectorId": 1, "type": "Operative"}


async def test_flat_energy_confirms_a_stop(world):
    charger, transaction_id, wh = await running(world)
    await world.call("POST", f"/v1/transactions/txn_{transaction_id}/stop", status=202)
    await world.settle()
    await world.pass_time(30)
    await charger.meter(transaction_id, wh + 2, power_w=0)
    await world.pass_time(29)
    await charger.meter(transaction_id, wh + 2, power_w=0)
    await world.pass_time(10)
    event = await stopped(world)
    assert (event.stop_reason, event.energy_wh) == (StopReason.OPERATOR, 62)
    assert len(charger.sent("RemoteStopTransaction")) == 1


async def test_a_stop_that_falls_due_while_the_charger_is_away_goes_out_when_it_returns(world):
    charger = await world.charger()
    await charger.connect()
    # 97 Wh: due some seconds after the last reading, at 60 Wh, and not in the moment in which the charger goes.
    transaction_id = await charger.start_paid(budget_paise=500)
    await charger.charge(transaction_id, from_wh=1000, seconds=60, power_w=3600)
    await charger.disconnect()
    await world.pass_time(60)
    assert charger.sent("RemoteStopTransaction") == []
    await charger.connect(boot=False, status=None)
    assert charger.last_command("RemoteStopTransaction").epoch == charger.epoch


async def test_a_charger_that_no_longer_knows_the_session_is_not_told_again(world):
    charger, transaction_id, wh = await running(world)
    await charger.disconnect()
    await world.pass_time(190)
    await charger.connect(boot=False, status=None)
    await charger.meter(transaction_id, wh + 50)
    stop = charger.last_command("RemoteStopTransaction")
    await charger.answer(stop, outcome=CommandOutcome.NOT_SENT)
    await world.pass_time(10)
    await charger.connect(boot=False, status=None)
    again = charger.last_command("RemoteStopTransaction")
    assert len(charger.sent("RemoteStopTransaction")) == 2  # one in flight: the unsent one was replaced, not joined
    await charger.answer(again, "Rejected")
    await world.pass_time(120)
    await charger.disconnect()
    await world.pass_time(10)
    await charger.connect(boot=False, status=None)
    assert len(charger.sent("RemoteStopTransaction")) == 2


async def test_nobody_plugs_in(world):
    charger = await world.charger()
    await charger.connect()
    await charger.pay()
    command = charger.last_command("RemoteStartTransaction")
    await charger.answer(command)
    await world.pass_time(115)
    assert await world.said(StartRefused, StartExpired) == []
    await world.pass_time(10)
    [expired] = await world.said(StartExpired)
    assert (expired.request_key, expired.reason) == ("qr_payment_1", StartRefusal.NOT_PLUGGED_IN)
    # The car comes after the refund: a real id, Blocked, told to stop, billed nothing.
    decision = await charger.start(command.payload["idTag"])
    assert decision.status is IdTagStatus.BLOCKED
    assert decision.transaction_id > 0
    assert charger.last_command("RemoteStopTransaction").payload == {"transactionId": decision.transaction_id}
    assert await world.said(TransactionStarted, TransactionStopped) == []
    await world.pass_time(10)
    await charger.stop(decision.transaction_id, 1010)
    assert await world.said(TransactionStopped) == []
    assert (await world.transaction(decision.transaction_id))["late_wh"] == 10


async def test_a_charger_that_refuses_to_start(world):
    charger = await world.charger()
    await charger.connect()
    await charger.pay()
    await charger.answer(charger.last_command("RemoteStartTransaction"), "Rejected")
    [refused] = await world.said(StartRefused)
    assert refused.reason is StartRefusal.REMOTE_START_REJECTED
    # The same wish again is answered by what became of the first.
    await charger.pay()
    assert len(await world.said(StartRefused)) == 1
    assert len(charger.sent("RemoteStartTransaction")) == 1


async def test_a_start_is_sent_again_only_if_it_was_certainly_not_sent(world):
    charger = await world.charger()
    await charger.connect()
    await charger.pay()
    first = charger.last_command("RemoteStartTransaction")
    await charger.answer(first, outcome=CommandOutcome.NOT_SENT)
    await world.pass_time(1)
    await charger.connect(boot=False, status=None)
    second = charger.last_command("RemoteStartTransaction")
    # The same command, under a name of its own: a gateway knows what it has reported for done.
    assert [command.command_id.partition(".")[0] for command in (first, second)] == [first.command_id.partition(".")[0]] * 2
    assert second.command_id != first.command_id
    assert second.epoch > first.epoch
    await charger.answer(second, outcome=CommandOutcome.CONNECTION_LOST)
    await world.pass_time(1)
    await charger.connect(boot=False, status=None)
    assert len(charger.sent("RemoteStartTransaction")) == 2
    # Its effect was unknown; the car has started after all.
    decision = await charger.start(second.payload["idTag"])
    assert decision.status is IdTagStatus.ACCEPTED


async def test_why_a_start_is_refused(world):
    charger = await world.charger()

    async def refused_because():
        [*_, refused] = await world.said(StartRefused)
        return refused.reason

    await charger.pay("a")
    assert await refused_because() is StartRefusal.CHARGER_OFFLINE
    await charger.connect(status="Faulted")
    await charger.pay("b")
    assert await refused_because() is StartRefusal.CONNECTOR_FAULTED
    await charger.status("Unavailable")
    await charger.pay("c")
    assert await refused_because() is StartRefusal.CONNECTOR_UNAVAILABLE
    await charger.status("Charging")
    await charger.pay("d")
    await world.pass_time(20)  # a status may be out of date: it is given 15 s
    assert await refused_because() is StartRefusal.CONNECTOR_BUSY
    await charger.status("Preparing")
    await charger.pay("e")  # this one is tried: the connector is taken
    await charger.pay("f")
    assert await refused_because() is StartRefusal.CONNECTOR_BUSY
    await world.send(StartCancelRequested(charge_point_id=charger.name, request_key="e", actor="rider"))
    assert await refused_because() is StartRefusal.CANCELLED
    await world.admin.execute("DELETE FROM charging.tariffs")
    await charger.pay("g")
    assert await refused_because() is StartRefusal.NO_TARIFF
    charger.name = "nobody"
    await charger.pay("h")
    assert await refused_because() is StartRefusal.UNKNOWN_CHARGER


async def test_what_cannot_be_bound_is_kept(world):
    charger, transaction_id, wh = await running(world)
    other = await world.charger("CP-2")
    await other.connect()
    # Another charger's id, and one that was never issued: kept as orphans, the session goes on.
    await other.stop(transaction_id, wh + 500)
    await charger.stop(987654321, wh + 500)
    assert (await world.transaction(transaction_id))["state"] == "RUNNING"
    assert (await world.row("SELECT count(*) AS n FROM charging.orphans"))["n"] == 2
    # A constant garbage id is bound by its connector, and used for stopping.
    await world.pass_time(30)
    await charger.meter(1936029036, wh + 30)
    row = await world.transaction(transaction_id)
    assert (row["confirmed_wh"], row["reported_transaction_id"]) == (90, 1936029036)
    # A stop without an id ends the only open session.
    await charger.stop(-1, -1)
    event = await stopped(world)
    assert (event.energy_wh, event.stop_reason) == (90, StopReason.CHARGER)


async def test_a_poison_event_is_parked_and_takes_no_neighbour_with_it(world):
    charger, transaction_id, wh = await running(world)
    await world.pass_time(30)
    good = charger.meter_event(transaction_id, wh + 30)
    await world.put(good)
    await world.put(charger.meter_event(transaction_id, wh + 30).model_copy(update={"epoch": 2**70}))
    await world.put(charger.meter_event(transaction_id, wh + 31))
    await world.settle()
    assert (await world.transaction(transaction_id))["confirmed_wh"] == 91
    assert (await world.row("SELECT count(*) AS n FROM charging.meter_values"))["n"] == 4


async def test_what_fell_due_while_charging_was_down_is_finished_at_its_start(world):
    charger, _, _ = await running(world)
    await charger.disconnect()
    await world.down_for(500)
    assert (await stopped(world)).stop_reason is StopReason.DISCONNECT_TIMEOUT


async def test_closing_values_after_the_stop_reopen_nothing_but_energy_that_keeps_rising_does(world):
    charger, transaction_id, wh = await running(world)
    await charger.stop(transaction_id, wh)
    await world.pass_time(5)
    await charger.meter(transaction_id, wh + 4)
    assert charger.sent("RemoteStopTransaction") == []
    await charger.pay("qr_payment_2")
    assert charger.last_command("RemoteStartTransaction").payload["connectorId"] == 1
    # It said that it stopped (row 76), and goes on.
    await world.pass_time(30)
    await charger.meter(transaction_id, wh + 60)
    assert charger.last_command("RemoteStopTransaction").payload == {"transactionId": transaction_id}
    row = await world.transaction(transaction_id)
    assert (row["energy_wh"], row["late_wh"]) == (60, 60)
