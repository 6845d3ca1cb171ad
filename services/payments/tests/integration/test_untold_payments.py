"""Payments whose event never comes: found in Razorpay's list, served or given back, once."""

from typing import Any

import pytest

from chassis.runtime import Worker
from contracts.charging import StartRequested
from contracts.payments import FeeSource, PaymentReceived, PaymentRefundedInFull
from contracts.wallets import WalletRecharged
from payments.domain.webhook import signature
from payments.usecases import ask_for_payments
from razorpay_simulator import FaultRule, OrderPayment, QrPayment, WebhookRule

from .conftest import SECRET, World
from .test_direct_collection import ACCOUNT, FRANCHISEE, own_code
from .test_wallets import RIDER, order, sums

PAYMENTS = "/v1/payments"
QR_CODES = "/v1/payments/qr_codes"


def deaf(world: World) -> None:
    """From here on Razorpay tells nothing of what is paid."""
    for event in ("qr_code.credited", "payment.*"):
        world.razorpay.add_webhook_rule(WebhookRule(kind="drop", event=event, times=None))


async def events(world: World) -> list[tuple[str, str, str, str | None]]:
    """(name, who verified it, state, reason) of what tells of payments, oldest first."""
    rows = await world.admin.fetch(
        "SELECT event, verified_by, state, reason FROM webhook_events WHERE event IN ('qr_code.credited', 'payment.captured')"
        " ORDER BY id"
    )
    return [(row["event"], row["verified_by"], row["state"], row["reason"]) for row in rows]


def listings(world: World) -> int:
    return len(world.razorpay.requests("GET", PAYMENTS))


def questions(world: World) -> list[Any]:
    """What was asked about single payments."""
    return [asked for asked in world.razorpay.requests("GET", QR_CODES) if "payment_id" in asked.query]


async def late_event(world: World, name: str) -> None:
    """The event itself comes after all."""
    body = next(event.body.encode() for event in world.razorpay.events if event.event == name)
    assert await world.post_event(body, signature=signature(body, SECRET), event_id="late") == 200
    await world.quiet()


async def test_a_rider_whose_scan_was_not_told_charges_within_two_minutes(world: World) -> None:
    qr = await world.qr_code()
    deaf(world)
    paid = await world.pay(qr)
    await world.clock.advance(50)
    assert await events(world) == [], "the event has a minute to come by itself"
    await world.clock.advance(75)
    payment = await world.payment(paid)
    assert (payment["state"], payment["amount_paise"], payment["fee_source"]) == ("START_REQUESTED", 10_000, "API")
    assert [type(wish) for wish in await world.lane("CP-1")] == [StartRequested]
    assert await events(world) == [("qr_code.credited", "ASKED", "HANDLED", None)]
    assert world.metric("payments_found_total", event="qr_code.credited") == 1
    # It runs like any other; the event itself, and all later looks, change nothing.
    await world.announce(world.started(payment, 1001))
    await world.announce(world.stopped(payment, 2_000, 1001))
    await late_event(world, "qr_code.credited")
    await world.clock.advance(1_000)
    assert ((await world.payment(paid))["state"], len(await world.said(PaymentReceived))) == ("BILLED", 1)
    assert (world.metric("payments_found_total", event="qr_code.credited"), len(questions(world))) == (1, 1)


async def test_what_is_found_too_late_to_be_served_goes_back(world: World) -> None:
    qr = await world.qr_code()
    deaf(world)
    await world.service.stop()  # as an outage of an hour
    paid = world.razorpay.pay(qr["razorpay_qr_code_id"], QrPayment(amount=10_000))["payment"]["id"]
    world.clock._elapsed += 3_600
    await world.restart(lambda service: None)
    await world.quiet()
    payment = await world.payment(paid)
    assert (payment["state"], payment["refund_reason"]) == ("REFUND_DUE", "STALE")
    (back,) = await world.said(PaymentRefundedInFull)
    assert back.qr_payment_id == int(payment["id"].removeprefix("qrp_"))
    assert await world.lane("CP-1") == []


async def test_a_recharge_that_was_not_told_is_in_the_wallet_once(world: World) -> None:
    deaf(world)
    made = await order(world)
    world.razorpay.pay_order(made["razorpay_order_id"], OrderPayment())
    await world.quiet()
    assert await sums(world) == (0, 0, 0)
    await world.clock.advance(125)
    shown = await world.call("GET", f"/v1/wallets/me/recharges/{made['id']}", caller=RIDER)
    assert (shown["status"], await sums(world)) == ("PAID", (50_000, 0, 50_000))
    assert await events(world) == [("payment.captured", "ASKED", "HANDLED", None)]
    assert await world.admin.fetchval("SELECT fee_source FROM recharge_payments") == FeeSource.API
    await late_event(world, "payment.captured")
    await world.jump(7_200)
    assert (await sums(world), len(await world.said(WalletRecharged))) == ((50_000, 0, 50_000), 1)
    assert world.metric("payments_found_total", event="payment.captured") == 1


async def test_a_franchisees_own_account_is_looked_through_as_that_account(world: World) -> None:
    qr = await own_code(world)
    deaf(world)
    paid = await world.pay(qr)
    await world.clock.advance(125)
    payment = await world.payment(paid)
    assert (payment["state"], payment["collected_by_franchisee_id"]) == ("START_REQUESTED", f"frn_{FRANCHISEE}")
    assert {asked.account for asked in world.razorpay.requests("GET", PAYMENTS)} == {None, ACCOUNT}
    # A day after the code was closed nobody can have paid on it unseen.
    await world.call("POST", f"/v1/qr-codes/{qr['id']}/close")
    await world.quiet()
    await world.jump(26 * 3_600)
    before = [asked.account for asked in world.razorpay.requests("GET", PAYMENTS)]
    await world.clock.advance(1_000)
    later = [asked.account for asked in world.razorpay.requests("GET", PAYMENTS)][len(before) :]
    assert set(later) == {None}


async def test_whatever_else_the_account_sells_is_asked_about_once_at_most(world: World) -> None:
    foreign = world.razorpay.nouns.orders.create({"amount": 10_000, "currency": "INR"})
    code = world.razorpay.nouns.qr_codes.create({"type": "upi_qr", "usage": "multiple_use", "fixed_amount": False})
    deaf(world)
    world.razorpay.pay_order(foreign["id"], OrderPayment())
    world.razorpay.pay(code["id"], QrPayment(amount=5_000))
    stray = world.razorpay.pay(code["id"], QrPayment(amount=6_000))["payment"]["id"]
    world.razorpay.state.payments[stray].qr_code_id = None  # a payment link's, a button's
    await world.clock.advance(1_000)
    assert sorted(await events(world)) == [
        ("payment.captured", "ASKED", "IGNORED", "NO_ORDER: a session's payment, told by qr_code.credited"),
        ("qr_code.credited", "ASKED", "IGNORED", "UNKNOWN_QR_CODE: it bears no mark of ours"),
    ]
    assert len(questions(world)) == 2
    assert (await world.said(PaymentReceived), await world.said(WalletRecharged)) == ([], [])
    assert world.metric("payments_found_total", event="qr_code.credited") == 0


async def test_every_page_is_read_and_only_what_is_unknown_is_asked_about(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    qr = await world.qr_code()
    for _ in range(5):
        await world.pay(qr, 500)
    deaf(world)
    lost = {await world.pay(qr, 700) for _ in range(2)}
    monkeypatch.setattr("razorpay_client.api.PAGE_SIZE", 3)
    monkeypatch.setattr(ask_for_payments, "PAGE_SIZE", 3)
    await world.clock.advance(125)
    assert {asked.query["payment_id"] for asked in questions(world)} == lost
    assert {row["id"] for row in await world.admin.fetch("SELECT razorpay_payment_id AS id FROM qr_payments")} >= lost
    assert len(await world.said(PaymentReceived)) == 7
    assert {asked.query["skip"] for asked in world.razorpay.requests("GET", PAYMENTS)} == {"0", "3", "6"}


async def test_a_backlog_is_worked_before_anybody_is_asked(world: World) -> None:
    """What came and waits is not unknown: asked about, it would only be there twice."""
    qr = await world.qr_code()
    await world.pay(qr)
    await world.admin.execute("UPDATE webhook_events SET state = 'RECEIVED', next_attempt_at = $1", world.now())
    for part in world.service._parts:
        if isinstance(part, Worker):
            await part.stop()
    before = listings(world)
    await world.jump(120)
    assert listings(world) == before


@pytest.mark.parametrize("path", [PAYMENTS, QR_CODES])
async def test_a_look_that_fails_is_made_again(world: World, path: str) -> None:
    qr = await world.qr_code()
    deaf(world)
    paid = await world.pay(qr)
    world.razorpay.add_fault(FaultRule.model_validate({"kind": "error", "method": "GET", "path": path}))
    await world.clock.advance(125)
    await world.clock.advance(125)
    assert (await world.payment(paid))["state"] == "START_REQUESTED"
    assert world.service_registry.get_sample_value("voltlync_sweep_failures_total", {"sweep": "recent-payments"}) is None
