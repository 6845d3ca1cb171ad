"""Refunds: their refusals, their way to the payer, and what they do to the payment and the balance."""

from typing import Any

import pytest

from razorpay_simulator import OutcomeRule, RazorpaySimulator
from razorpay_simulator.settings import DAY
from testkit.clock import SteppingClock


@pytest.fixture
def balance(sandbox: RazorpaySimulator) -> Any:
    return lambda: sandbox.balances()[sandbox.settings.account_id]


async def refused(api: Any, payment: Any, body: Any, description: str) -> None:
    status, answer = await api("POST", f"/v1/payments/{payment['id']}/refund", body)
    assert (status, answer["error"]["description"]) == (400, description)


async def test_a_normal_refund_takes_days(api: Any, paid: Any, balance: Any, receiver: Any, clock: SteppingClock) -> None:
    payment = await paid(20_000)
    before = balance()
    status, refund = await api("POST", f"/v1/payments/{payment['id']}/refund", {"amount": 5_000, "receipt": "qr_payment_1"})
    assert status == 200
    assert (refund["status"], refund["speed_requested"], refund["speed_processed"]) == ("pending", "normal", None)
    assert balance() == before - 5_000, "out of the balance at once, the payment's fee is not returned"
    _, seen = await api("GET", f"/v1/payments/{payment['id']}")
    assert (seen["status"], seen["amount_refunded"], seen["refund_status"]) == ("captured", 5_000, "partial")
    await clock.advance(5 * DAY - 1)
    assert receiver.of("refund.processed") == []
    await clock.advance(1)
    (post,) = receiver.of("refund.processed")
    assert post.json["contains"] == ["refund", "payment"]
    entity = post.json["payload"]["refund"]["entity"]
    assert (entity["status"], entity["speed_processed"], entity["receipt"]) == ("processed", "normal", "qr_payment_1")
    assert post.json["payload"]["payment"]["entity"]["base_amount"] == 20_000
    assert (await api("GET", f"/v1/payments/{payment['id']}/refunds/{refund['id']}"))[1] == entity


async def test_without_an_amount_all_that_remains_is_refunded(api: Any, paid: Any) -> None:
    payment = await paid(20_000)
    await api("POST", f"/v1/payments/{payment['id']}/refund", {"amount": 12_000})
    _, rest = await api("POST", f"/v1/payments/{payment['id']}/refund")
    assert rest["amount"] == 8_000
    _, seen = await api("GET", f"/v1/payments/{payment['id']}?expand[]=refunds")
    assert (seen["status"], seen["refund_status"], seen["refunds"]["count"]) == ("refunded", "full", 2)
    status, answer = await api("POST", f"/v1/payments/{payment['id']}/refund")
    assert (status, answer["error"]["description"]) == (400, "The payment has been fully refunded already")
    assert answer["error"]["reason"] == "NA"


async def test_the_other_door(api: Any, paid: Any) -> None:
    payment = await paid(20_000)
    status, refund = await api("POST", "/v1/refunds", {"payment_id": payment["id"], "amount": "700"})
    assert (status, refund["amount"], refund["payment_id"]) == (200, 700, payment["id"])


@pytest.mark.parametrize(
    ("body", "description"),
    [
        ({"amount": 99}, "The amount must be at least INR 1.00"),
        ({"amount": 99, "speed": "optimum"}, "The amount must be at least INR 1.00"),
        ({"amount": -5}, "The amount must be at least INR 1.00"),
        ({"amount": 0}, "Amount cannot be blank."),
        ({"amount": 20_001}, "The refund amount provided is greater than amount captured."),
        ({"amount": 10.5}, "The amount must be an integer."),
        ({"amount": 500, "speed": "fast"}, "The selected speed is invalid."),
        ({"amount": 500, "note": "x"}, "note is/are not required and should not be sent"),
        ({"amount": 500, "notes": "x"}, "Notes validation failed."),
        (100, "The input field is required"),
    ],
)
async def test_refusals(api: Any, paid: Any, balance: Any, body: Any, description: str) -> None:
    payment = await paid(20_000)
    before = balance()
    await refused(api, payment, body, description)
    assert balance() == before
    assert (await api("GET", f"/v1/payments/{payment['id']}/refunds"))[1]["count"] == 0


async def test_unknown_payments(api: Any) -> None:
    await refused(api, {"id": "pay_AAAAAAAAAAAAAA"}, {}, "The id provided does not exist")
    await refused(api, {"id": "pay_short"}, {}, "pay_short is not a valid id")


async def test_a_receipt_serves_once_per_payment(api: Any, paid: Any) -> None:
    first, second = await paid(), await paid()
    for payment in (first, second):
        status, _ = await api("POST", f"/v1/payments/{payment['id']}/refund", {"amount": 500, "receipt": "r1"})
        assert status == 200
    await refused(api, first, {"amount": 500, "receipt": "r1"}, "Duplicate receipt found for this refund request.")


async def test_payments_that_cannot_be_refunded(api: Any, paid: Any, clock: SteppingClock) -> None:
    failed = await paid(outcome="failed")
    await refused(api, failed, {}, "The payment status should be captured for action to be taken.")
    payment = await paid(instant_refunds=False)
    await refused(api, payment, {"speed": "optimum"}, "Instant refund not supported for the payment.")
    await api("PATCH", f"/_sandbox/payments/{payment['id']}", {"disputed": True})
    await refused(api, payment, {}, "The refund on this payment is blocked due to ongoing dispute investigation.")
    old = await paid()
    await clock.advance(184 * DAY)
    text = "Refund is not supported by the bank because the payment is more than 6 months old"
    await refused(api, old, {}, text)


async def test_low_balance_has_another_text_as_well(build: Any, connect: Any, qr_body: Any) -> None:
    api = connect(await build(low_balance_text="seen"))
    _, qr = await api("POST", "/v1/payments/qr_codes", qr_body)
    _, answer = await api("POST", f"/_sandbox/qr/{qr['id']}/pay", {"amount": 20_000})
    _, answer = await api("POST", f"/v1/payments/{answer['payment']['id']}/refund")
    assert (answer["error"]["description"], answer["error"]["reason"]) == ("invalid request sent", "NA")


async def test_a_refund_needs_balance(build: Any, connect: Any, qr_body: Any) -> None:
    sandbox = await build()
    api = connect(sandbox)
    _, qr = await api("POST", "/v1/payments/qr_codes", qr_body)
    _, answer = await api("POST", f"/_sandbox/qr/{qr['id']}/pay", {"amount": 20_000})
    payment = answer["payment"]
    status, answer = await api("POST", f"/v1/payments/{payment['id']}/refund")
    assert status == 400
    assert answer["error"]["description"].startswith("Your account does not have enough balance")
    await api("POST", "/_sandbox/funds", {"amount": 472})
    status, _ = await api("POST", f"/v1/payments/{payment['id']}/refund")
    assert (status, sandbox.balances()[sandbox.settings.account_id]) == (200, 0)


async def test_a_failed_refund_gives_everything_back(
    api: Any, sandbox: RazorpaySimulator, paid: Any, balance: Any, receiver: Any, clock: SteppingClock
) -> None:
    payment = await paid(20_000)
    before = balance()
    sandbox.add_outcome(OutcomeRule(of="refund", outcome="failed"))
    _, refund = await api("POST", f"/v1/payments/{payment['id']}/refund", {"speed": "optimum"})
    await clock.advance(10)
    assert (await api("GET", f"/v1/refunds/{refund['id']}"))[1]["status"] == "failed"
    assert len(receiver.of("refund.failed")) == 1
    assert balance() == before
    _, seen = await api("GET", f"/v1/payments/{payment['id']}")
    assert (seen["status"], seen["amount_refunded"], seen["refund_status"]) == ("captured", 0, None)
    assert (await api("POST", f"/v1/payments/{payment['id']}/refund"))[0] == 200, "and another may follow"


async def test_optimum_speed_may_fall_back_to_normal(
    build: Any, connect: Any, receiver: Any, clock: SteppingClock, qr_body: Any
) -> None:
    sandbox = await build(opening_balance=50_000, instant_refund_fee=708)
    api = connect(sandbox)
    _, qr = await api("POST", "/v1/payments/qr_codes", qr_body)
    _, paid = await api("POST", f"/_sandbox/qr/{qr['id']}/pay", {"amount": 20_000, "fee": 0})
    sandbox.add_outcome(OutcomeRule(of="refund", outcome="speed_changed"))
    await api("POST", f"/v1/payments/{paid['payment']['id']}/refund", {"speed": "optimum"})
    assert sandbox.balances()[sandbox.settings.account_id] == 50_000 - 708
    await clock.advance(2)
    (changed,) = receiver.of("refund.speed_changed")
    entity = changed.json["payload"]["refund"]["entity"]
    assert (entity["speed_requested"], entity["speed_processed"], entity["status"]) == ("optimum", "normal", "pending")
    assert sandbox.balances()[sandbox.settings.account_id] == 50_000, "the charge for speed is returned"
    await clock.advance(5 * DAY)
    assert len(receiver.of("refund.processed")) == 1
