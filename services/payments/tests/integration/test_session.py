"""A paid session from the QR code to the refund's end, told as diaries."""

import pytest

from chassis.runtime import Worker
from contracts.charging import StartCancelRequested, StartRefusal, StartRequested
from contracts.payments import PaymentBilled, PaymentReceived, PaymentRefundedInFull, RefundChanged
from razorpay_simulator import QrPayment

from .conftest import World, running_service


async def test_a_rider_pays_charges_and_gets_the_rest_back(world: World) -> None:
    # A QR code hangs on the charger.
    qr = await world.qr_code("CP-9", 2)
    assert qr["status"] == "ACTIVE"
    assert qr["image_content"].startswith("upi://pay?")

    # The rider scans it and pays 100 rupees. Charging is asked, once.
    razorpay_id = await world.pay(qr, 10_000, vpa="Ravi@okhdfcbank", fee=236, tax=36)
    payment = await world.payment(razorpay_id)
    assert (payment["state"], payment["platform_fee_paise"], payment["fee_source"]) == ("START_REQUESTED", 236, "WEBHOOK")
    assert payment["vpa"] == "Ra***@okhdfcbank"
    (wish,) = await world.lane("CP-9")
    assert isinstance(wish, StartRequested)
    assert (wish.request_key, wish.connector_id, wish.budget_paise, wish.platform_fee_paise) == (
        payment["request_key"],
        2,
        10_000,
        236,
    )
    assert (wish.deadline - world.now()).total_seconds() == 120

    # The car charges.
    started = world.started(payment)
    await world.announce(started)
    payment = await world.payment(razorpay_id)
    assert (payment["state"], payment["transaction_id"]) == ("CHARGING", f"txn_{started.transaction_id}")

    # Unplugged after 3.333 kWh: 59.99 of energy, 10.80 of GST, 2.36 of fee; 26.85 goes back.
    await world.announce(world.stopped(payment, 3333, started.transaction_id))
    payment = await world.payment(razorpay_id)
    bill = payment["bill"]
    assert payment["state"] == "BILLED"
    assert (bill["energy_charge_paise"], bill["gst_paise"], bill["platform_fee_paise"], bill["refund_paise"]) == (
        5999,
        1080,
        236,
        2685,
    )
    (billed,) = await world.said(PaymentBilled)
    assert (billed.transaction_id, billed.franchisee_id, billed.refund_paise, billed.residue_paise) == (
        started.transaction_id,
        7,
        2685,
        0,
    )

    # The refund reaches Razorpay at once, and the rider within seconds.
    (call,) = world.refund_calls()
    assert call.idempotency_key == payment["request_key"]
    assert (call.body["amount"], call.body["receipt"], call.body["speed"]) == (2685, payment["request_key"], "optimum")
    assert payment["refunds"][0]["status"] == "PROCESSING"
    await world.clock.advance(10)
    (refund,) = (await world.payment(razorpay_id))["refunds"]
    assert (refund["status"], refund["amount_paise"], refund["speed_processed"]) == ("PROCESSED", 2685, "instant")
    assert refund["bank_reference"]
    changes = await world.said(RefundChanged)
    assert [change.status for change in changes] == ["PENDING", "PROCESSING", "PROCESSED"]
    assert [change.subject_version for change in changes] == sorted({change.subject_version for change in changes})
    assert len(await world.said(PaymentReceived)) == 1
    assert len(world.refund_calls()) == 1


async def test_a_refused_start_gives_everything_back(world: World) -> None:
    qr = await world.qr_code()
    razorpay_id = await world.pay(qr, 5_000)
    payment = await world.payment(razorpay_id)
    refused = world.refused(payment, StartRefusal.CHARGER_OFFLINE)
    await world.announce(refused)
    await world.announce(refused)  # said twice, under two message ids
    await world.clock.advance(10)
    payment = await world.payment(razorpay_id)
    assert (payment["state"], payment["refund_reason"], payment["bill"]) == ("REFUNDED", "CHARGER_OFFLINE", None)
    (refund,) = payment["refunds"]
    assert (refund["status"], refund["amount_paise"]) == ("PROCESSED", 5_000)
    (decided,) = await world.said(PaymentRefundedInFull)
    assert (decided.amount_paise, decided.reason) == (5_000, "CHARGER_OFFLINE")
    assert (decided.platform_fee_paise, decided.platform_fee_tax_paise) == (118, 18)  # 2 % and its GST: our expense


async def test_no_energy_gives_everything_back_the_fee_included(world: World) -> None:
    qr = await world.qr_code()
    razorpay_id = await world.pay(qr, 5_000)
    payment = await world.payment(razorpay_id)
    started = world.started(payment)
    await world.announce(started)
    await world.announce(world.stopped(payment, 0, started.transaction_id))
    await world.clock.advance(10)
    payment = await world.payment(razorpay_id)
    assert (payment["state"], payment["refund_reason"], payment["bill"]) == ("REFUNDED", "NO_ENERGY", None)
    assert payment["refunds"][0]["amount_paise"] == 5_000
    assert world.metric("zero_energy_stopped_total") == 1


async def test_a_stop_that_overtakes_its_start_is_billed_once(world: World) -> None:
    qr = await world.qr_code()
    payment = await world.payment(await world.pay(qr, 10_000))
    started = world.started(payment)
    stopped = world.stopped(payment, 1000, started.transaction_id)
    await world.announce(stopped)
    await world.announce(started)
    await world.announce(stopped)
    detail = await world.payment(payment["razorpay_payment_id"])
    assert (detail["state"], len(detail["refunds"])) == ("BILLED", 1)
    assert len(await world.said(PaymentBilled)) == 1


async def test_a_bill_that_leaves_less_than_a_rupee_books_a_residue(world: World) -> None:
    # 10.00 paid, no fee: 0.465 kWh is 8.37 and 1.51 of GST; 12 paise are left, which Razorpay can't refund.
    qr = await world.qr_code()
    payment = await world.payment(await world.pay(qr, 1_000, fee=0, tax=0))
    assert (payment["platform_fee_paise"], payment["fee_source"]) == (0, "WEBHOOK")
    await world.announce(world.stopped(payment, 465))
    payment = await world.payment(payment["razorpay_payment_id"])
    assert (payment["state"], payment["residue_paise"], payment["refunds"]) == ("BILLED", 12, [])
    assert world.refund_calls() == []


async def test_a_small_payment_that_is_not_served_is_owed_as_a_residue(world: World) -> None:
    qr = await world.qr_code()
    payment = await world.payment(await world.pay(qr, 99))
    await world.announce(world.refused(payment))
    payment = await world.payment(payment["razorpay_payment_id"])
    assert (payment["state"], payment["residue_paise"], payment["refunds"]) == ("RESIDUE_OWED", 99, [])


async def test_an_unanswered_start_is_chased_and_never_refunded_on_our_own_clock(world: World) -> None:
    # Charging is away: the wish lies in the lane, and nobody answers.
    qr = await world.qr_code("CP-3")
    payment = await world.payment(await world.pay(qr, 5_000))
    (first,) = await world.lane("CP-3")
    await world.clock.advance(200)
    detail = await world.payment(payment["razorpay_payment_id"])
    assert (detail["state"], detail["refunds"]) == ("START_REQUESTED", [])
    assert world.metric("start_unanswered_total") == 1
    assert world.metric("unanswered") == 1
    # The same wish again, with its first deadline, and a wish to cancel it.
    again, cancel = await world.lane("CP-3")
    assert again == first
    assert isinstance(cancel, StartCancelRequested)
    assert cancel.request_key == payment["request_key"]
    # Charging comes back and says that it expired.
    await world.announce(world.refused(payment, StartRefusal.DEADLINE_PASSED))
    await world.clock.advance(20)
    assert (await world.payment(payment["razorpay_payment_id"]))["state"] == "REFUNDED"
    assert world.metric("unanswered") == 0


async def test_what_cannot_be_billed_waits_with_an_alarm_and_is_billed_once_it_can(world: World) -> None:
    qr = await world.qr_code()
    payment = await world.payment(await world.pay(qr, 10_000, fee=236, tax=36))
    stopped = world.stopped(payment, 3333, tariff_paise_per_kwh=-1800)
    await world.announce(stopped)
    detail = await world.payment(payment["razorpay_payment_id"])
    assert (detail["state"], detail["bill"], detail["refunds"]) == ("BILLING_FAILED", None, [])
    assert world.metric("billing_failed_total") == 1
    # Half an hour later it still can't be.
    await world.jump(1800)
    assert (await world.payment(payment["razorpay_payment_id"]))["state"] == "BILLING_FAILED"
    # Somebody mends the figure.
    await world.admin.execute("UPDATE qr_payments SET stopped = jsonb_set(stopped, '{tariff_paise_per_kwh}', '1800')")
    await world.jump(1800)
    detail = await world.payment(payment["razorpay_payment_id"])
    assert (detail["state"], detail["bill"]["refund_paise"]) == ("BILLED", 2685)
    assert len(await world.said(PaymentBilled)) == 1


async def test_a_bill_that_cannot_even_be_tried_again_keeps_no_other_rider_waiting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("payments.usecases.bill_session.RETRIED_AT_ONCE_MAX", 1)
    qr = await world.qr_code()
    stuck, mended = [await world.payment(await world.pay(qr, 10_000, fee=236, tax=36)) for _ in range(2)]
    for payment in (stuck, mended):
        await world.announce(world.stopped(payment, 3333, tariff_paise_per_kwh=-1800))
    # The older one's figures are of a shape that nobody can read; the newer one's have been mended.
    await world.admin.execute(
        "UPDATE qr_payments SET stopped = CASE request_key WHEN $1 THEN '{}'"
        " ELSE jsonb_set(stopped, '{tariff_paise_per_kwh}', '1800') END",
        stuck["request_key"],
    )
    failed_before = world.metric("billing_failed_total")
    await world.jump(1800)
    assert (await world.payment(mended["razorpay_payment_id"]))["state"] == "BILLED"
    assert (await world.payment(stuck["razorpay_payment_id"]))["state"] == "BILLING_FAILED"
    assert world.metric("billing_failed_total") == failed_before + 1


async def test_a_stored_webhook_outlives_the_process_that_stored_it(world: World) -> None:
    # As a kill leaves it: stored, answered 200, never worked.
    qr = await world.qr_code("CP-8")
    worker = next(part for part in world.service._parts if isinstance(part, Worker) and part.name == "webhooks")
    await worker.stop()
    razorpay_id = await world.pay(qr, 5_000)
    assert await world.lane("CP-8") == []
    await worker.start()
    await world.clock.advance(6)
    assert (await world.payment(razorpay_id))["state"] == "START_REQUESTED"
    assert len(await world.lane("CP-8")) == 1


async def test_two_replicas_share_the_work_and_do_nothing_twice(world: World) -> None:
    async with running_service(world.settings, world.clock) as other:
        world.others.append(other)
        qrs = [await world.qr_code(f"CP-{number}") for number in range(6)]
        paid = [
            world.razorpay.pay(qr["razorpay_qr_code_id"], QrPayment(amount=3_000))["payment"]["id"]
            for qr in qrs
            for _ in range(3)
        ]
        await world.quiet()
        await other.work.idle()
        for razorpay_id in paid:
            await world.announce(world.refused(await world.payment(razorpay_id)))
        await world.clock.advance(15)
        await other.work.idle()
        await world.quiet()
    states = [(await world.payment(razorpay_id))["state"] for razorpay_id in paid]
    assert states == ["REFUNDED"] * len(paid)
    assert len(world.refund_calls()) == len(paid) == len(await world.said(StartRequested))
    assert len(await world.said(PaymentRefundedInFull)) == len(paid)


async def test_one_trace_leads_from_the_webhook_to_the_refund(world: World) -> None:
    qr = await world.qr_code()
    payment = await world.payment(await world.pay(qr, 5_000))
    await world.clock.advance(10)
    rows = await world.admin.fetch(
        "SELECT traceparent FROM webhook_events WHERE event = 'qr_code.credited'"
        " UNION ALL SELECT traceparent FROM outbox WHERE subject IN ($1, 'session/' || $1)",
        payment["request_key"],
    )
    assert len(rows) == 3  # the delivery, PaymentReceived, StartRequested
    assert len({row["traceparent"].split("-")[1] for row in rows}) == 1
