"""A prepaid session from the payment's wish to the final word, told as diaries. 18 rupees a kWh, 18 % GST, 7.4 kW Type 2."""

import pytest

from contracts.charging import StartRefused, StopReason, TransactionStarted, TransactionStateChanged, TransactionStopped
from contracts.ocpp_gateway import IdTagStatus

pytestmark = pytest.mark.servers


async def test_a_paid_session_is_stopped_before_the_money_runs_out(world):
    # 10:00 The charger is connected, a rider pays 10 rupees: the charger is asked to start, with a tag made for this one wish.
    charger = await world.charger()
    await charger.connect()
    await charger.pay(budget_paise=1_000, fee_paise=24)
    asked = charger.last_command("RemoteStartTransaction")
    assert asked.epoch == charger.epoch
    assert asked.payload["connectorId"] == 1
    await charger.answer(asked)

    # The car starts. 9.76 rupees with GST afford 459 Wh: 827 paise + 149 = 976.
    decision = await charger.start(asked.payload["idTag"].lower())
    assert decision.status is IdTagStatus.ACCEPTED
    assert decision.transaction_id > 0
    [started] = await world.said(TransactionStarted)
    assert (started.request_key, started.tariff_paise_per_kwh, started.franchisee_id) == ("qr_payment_1", 1800, 5)

    # It charges at 7.2 kW, which is 2 Wh a second, reporting every 30 s; the stop goes out between two readings.
    await charger.charge(decision.transaction_id, from_wh=1000, seconds=210, power_w=7200)
    assert charger.sent("RemoteStopTransaction") == []
    await world.clock.advance_until(lambda: bool(charger.sent("RemoteStopTransaction")), seconds_max=29)
    stop = charger.last_command("RemoteStopTransaction")
    assert stop.payload == {"transactionId": decision.transaction_id}
    assert stop.priority == 0
    row = await world.transaction(decision.transaction_id)
    assert row["affordable_wh"] == 459
    assert row["state"] == "RUNNING"

    # The contactor opens two seconds after the decision; the charger tells its last reading.
    decided_at = (await world.row("SELECT attempted_at FROM charging.stop_attempts"))["attempted_at"]
    elapsed = (decided_at - started.started_at).total_seconds() + 2
    await charger.answer(stop)
    await charger.stop(decision.transaction_id, 1000 + int(elapsed * 2), reason="Remote")
    [stopped] = await world.said(TransactionStopped)
    assert stopped.stop_reason is StopReason.BUDGET_EXHAUSTED
    assert stopped.ocpp_stop_reason == "Remote"
    assert stopped.energy_wh <= 459
    assert stopped.energy_wh >= 459 - 4  # at most two seconds' worth is left unused
    states = [(step.before, step.after) for step in await world.said(TransactionStateChanged)]
    assert states == [("STARTED", "RUNNING")]
    assert await world.said(StartRefused) == []


async def test_unplugged_early_the_last_reading_is_the_meters_own(world):
    charger = await world.charger()
    await charger.connect()
    transaction_id = await charger.start_paid()
    wh = await charger.charge(transaction_id, from_wh=1000, seconds=120, power_w=3600)
    await world.pass_time(10)
    await charger.stop(transaction_id, wh + 9)
    [stopped] = await world.said(TransactionStopped)
    assert stopped.energy_wh == 120 + 9
    assert stopped.stop_reason is StopReason.CHARGER
    assert not stopped.implausible
    # The same StopTransaction again, as queues replay it, changes nothing.
    await charger.stop(transaction_id, wh + 500)
    assert len(await world.said(TransactionStopped)) == 1
    assert (await world.transaction(transaction_id))["late_wh"] == 0
