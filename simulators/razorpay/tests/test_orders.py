"""Orders: what is refused, the way from created to paid, and what the bank may still change its mind about."""

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from razorpay_simulator import OrderPayment, RazorpaySimulator
from razorpay_simulator.settings import DAY
from testkit.clock import SteppingClock

ORDERS = "/v1/orders"
ORDER = {"amount": 20_000, "currency": "INR", "receipt": "wallet_17", "notes": {"rider": "17"}}


@pytest.fixture
def ordered(api: Any) -> Callable[..., Awaitable[Any]]:
    async def order(**changes: Any) -> Any:
        status, answer = await api("POST", ORDERS, ORDER | changes)
        assert status == 200, answer
        return answer

    return order


@pytest.fixture
def pay(api: Any) -> Callable[..., Awaitable[Any]]:
    async def tap(order: Any, **how: Any) -> Any:
        status, answer = await api("POST", f"/_sandbox/orders/{order['id']}/pay", how)
        assert status == 200, answer
        return answer

    return tap


async def test_a_new_order(api: Any, ordered: Any, clock: SteppingClock) -> None:
    order = await ordered()
    assert order == {
        "id": order["id"],
        "entity": "order",
        "amount": 20_000,
        "amount_paid": 0,
        "amount_due": 20_000,
        "currency": "INR",
        "receipt": "wallet_17",
        "offer_id": None,
        "status": "created",
        "attempts": 0,
        "notes": {"rider": "17"},
        "created_at": int(clock.now().timestamp()),
    }
    assert (await api("GET", f"{ORDERS}/{order['id']}"))[1] == order
    assert (await ordered(notes={}))["notes"] == []


@pytest.mark.parametrize(
    ("change", "description"),
    [
        ({"amount": 99}, "Order amount less than minimum amount allowed"),
        ({"amount": 0}, "Order amount less than minimum amount allowed"),
        ({"amount": 100.5}, "The amount must be an integer."),
        ({"amount": None}, "The amount field is required."),
        ({"currency": None}, "The currency field is required."),
        ({"currency": "USD"}, "Currency is not supported"),
        ({"receipt": "x" * 41}, "The receipt may not be greater than 40 characters."),
        ({"notes": {str(n): "x" for n in range(16)}}, "Notes validation failed."),
        ({"first_payment_min_amount": 500}, "first_payment_min_amount is/are not required and should not be sent"),
        ({"transfers": []}, "transfers is/are not required and should not be sent"),
    ],
)
async def test_refusals(api: Any, sandbox: RazorpaySimulator, change: Any, description: str) -> None:
    status, answer = await api("POST", ORDERS, ORDER | change)
    assert (status, answer["error"]["code"], answer["error"]["description"]) == (400, "BAD_REQUEST_ERROR", description)
    assert sandbox.state.orders == {}


async def test_a_paid_order(api: Any, ordered: Any, pay: Any, sandbox: RazorpaySimulator, receiver: Any) -> None:
    order = await ordered()
    before = sandbox.balances()[sandbox.settings.account_id]
    answer = await pay(order, vpa="asha@okaxis")
    await sandbox.wait_idle()
    payment = answer["payment"]
    assert (payment["status"], payment["order_id"], payment["fee"], payment["tax"]) == ("captured", order["id"], 472, 72)
    assert sandbox.balances()[sandbox.settings.account_id] == before + 20_000 - 472
    _, seen = await api("GET", f"{ORDERS}/{order['id']}?expand[]=payments")
    assert (seen["status"], seen["attempts"], seen["amount_paid"], seen["amount_due"]) == ("paid", 1, 20_000, 0)
    assert seen["payments"]["items"] == [payment]
    assert (await api("GET", f"{ORDERS}/{order['id']}/payments"))[1]["items"] == [payment]

    (authorized,), (captured,), (paid,) = (receiver.of(name) for name in ("payment.authorized", "payment.captured", "order.paid"))
    before_capture = authorized.json["payload"]["payment"]["entity"]
    assert (before_capture["status"], before_capture["captured"], before_capture["fee"]) == ("authorized", False, None)
    told = payment | {"base_amount": 20_000, "amount_transferred": 0}
    assert captured.json["payload"]["payment"]["entity"] == told
    assert paid.json["contains"] == ["payment", "order"]
    assert paid.json["payload"]["payment"]["entity"] == told
    entity = paid.json["payload"]["order"]["entity"]
    assert (entity["id"], entity["status"], entity["amount_paid"], entity["amount_due"]) == (order["id"], "paid", 20_000, 0)


async def test_the_checkout_hands_over_a_proof(ordered: Any, pay: Any, sandbox: RazorpaySimulator) -> None:
    order = await ordered()
    checkout = (await pay(order))["checkout"]
    text = f"{order['id']}|{checkout['razorpay_payment_id']}"
    expected = hmac.new(sandbox.settings.key_secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    assert checkout["razorpay_signature"] == expected


async def test_a_failed_attempt_leaves_the_order_open(api: Any, ordered: Any, pay: Any, sandbox: Any, receiver: Any) -> None:
    order = await ordered()
    failed = await pay(order, outcome="failed")
    assert (failed["payment"]["status"], failed["payment"]["error_reason"], failed["checkout"]) == (
        "failed",
        "payment_failed",
        None,
    )
    _, seen = await api("GET", f"{ORDERS}/{order['id']}")
    assert (seen["status"], seen["attempts"], seen["amount_due"]) == ("attempted", 1, 20_000)
    await pay(order)
    _, seen = await api("GET", f"{ORDERS}/{order['id']}")
    assert (seen["status"], seen["attempts"]) == ("paid", 2)
    await sandbox.wait_idle()
    assert receiver.events[0] == "payment.failed"
    status, answer = await api("POST", f"/_sandbox/orders/{order['id']}/pay", {})
    assert (status, answer["error"]) == (400, "this order is paid")


async def test_a_failure_may_become_a_payment_late(
    api: Any, ordered: Any, pay: Any, receiver: Any, sandbox: RazorpaySimulator, clock: SteppingClock
) -> None:
    order = await ordered()
    failed = (await pay(order, outcome="failed", late_after=600))["payment"]
    await clock.advance(599)
    assert receiver.events == ["payment.failed"]
    await clock.advance(1)
    _, seen = await api("GET", f"/v1/payments/{failed['id']}")
    assert (seen["status"], seen["captured"], seen["error_code"]) == ("captured", True, None)
    assert seen["acquirer_data"]["rrn"]
    assert set(receiver.events) == {"payment.failed", "payment.authorized", "payment.captured", "order.paid"}
    assert (await api("GET", f"{ORDERS}/{order['id']}"))[1]["status"] == "paid"


async def test_a_late_authorisation_of_a_paid_order_goes_back(
    api: Any, ordered: Any, pay: Any, receiver: Any, sandbox: RazorpaySimulator, clock: SteppingClock
) -> None:
    order = await ordered()
    failed = (await pay(order, outcome="failed"))["payment"]
    await pay(order)
    before = sandbox.balances()
    status, late = await api("POST", f"/_sandbox/payments/{failed['id']}/authorize")
    assert (status, late["payment"]["captured"], late["payment"]["refund_status"]) == (200, False, "full")
    assert (await api("GET", f"{ORDERS}/{order['id']}"))[1]["amount_paid"] == 20_000
    await clock.advance(sandbox.settings.normal_refund_seconds)
    (post,) = receiver.of("refund.processed")
    assert post.json["payload"]["payment"]["entity"]["captured"] is False
    assert sandbox.balances() == before, "the merchant never had it"
    assert (await api("POST", f"/_sandbox/payments/{failed['id']}/authorize"))[0] == 400, "once"


async def test_a_late_authorisation_is_awaited_over_a_restart(
    build: Any, connect: Any, clock: SteppingClock, tmp_path: Path
) -> None:
    file = tmp_path / "razorpay.json"
    first = await build(state_file=file)
    _, order = await connect(first)("POST", ORDERS, ORDER)
    first.pay_order(order["id"], OrderPayment(outcome="failed", late_after=60))
    await first.stop()
    second = await build(state_file=file)
    await clock.advance(60)
    assert second.state.orders[order["id"]].status == "paid"


async def test_what_is_authorised_waits_for_its_capture(
    api: Any, ordered: Any, pay: Any, receiver: Any, sandbox: RazorpaySimulator
) -> None:
    order = await ordered(payment_capture=0)
    before = sandbox.balances()
    payment = (await pay(order))["payment"]
    assert (payment["status"], payment["captured"], payment["fee"]) == ("authorized", False, None)
    assert sandbox.balances() == before
    assert (await api("GET", f"{ORDERS}?authorized=1"))[1]["count"] == 1
    status, answer = await api("POST", f"/_sandbox/orders/{order['id']}/pay", {})
    assert (status, answer["error"]) == (400, "a payment of this order is authorised already, and waits for its capture")
    path = f"/v1/payments/{payment['id']}/capture"
    for body, text in [
        ({}, "The amount field is required."),
        ({"amount": 19_999, "currency": "INR"}, "Capture amount must be equal to the amount authorized"),
    ]:
        assert (await api("POST", path, body))[1]["error"]["description"] == text
    status, captured = await api("POST", path, {"amount": 20_000, "currency": "INR"})
    assert (status, captured["status"], captured["fee"]) == (200, "captured", 472)
    assert (await api("POST", path, {"amount": 20_000}))[1]["error"]["description"] == "This payment has already been captured"
    await sandbox.wait_idle()
    assert set(receiver.events) == {"payment.authorized", "payment.captured", "order.paid"}


async def test_what_nobody_captures_goes_back_after_three_days(
    api: Any, ordered: Any, pay: Any, receiver: Any, clock: SteppingClock
) -> None:
    payment = (await pay(await ordered(), outcome="authorized"))["payment"]
    await clock.advance(3 * DAY - 1)
    assert receiver.of("refund.created") == []
    await clock.advance(1)
    (post,) = receiver.of("refund.created")
    assert post.json["payload"]["payment"]["entity"]["captured"] is False
    text = "Only payments which have been authorized and not yet captured can be captured"
    assert (await api("POST", f"/v1/payments/{payment['id']}/capture", {"amount": 20_000}))[1]["error"]["description"] == text


async def test_a_captured_payment_does_not_expire(api: Any, ordered: Any, pay: Any, receiver: Any, clock: SteppingClock) -> None:
    payment = (await pay(await ordered(), outcome="authorized"))["payment"]
    await api("POST", f"/v1/payments/{payment['id']}/capture", {"amount": 20_000})
    await clock.advance(4 * DAY)
    assert receiver.of("refund.created") == []


async def test_an_order_takes_its_amount_and_no_other(api: Any, ordered: Any, pay: Any) -> None:
    order = await ordered()
    status, answer = await api("POST", f"/_sandbox/orders/{order['id']}/pay", {"amount": 19_999})
    assert (status, answer["error"]) == (400, "this order takes exactly 20000 paise")
    parts = await ordered(partial_payment=True, first_payment_min_amount=5_000)
    assert parts["first_payment_min_amount"] == 5_000
    assert (await api("POST", f"/_sandbox/orders/{parts['id']}/pay", {"amount": 4_999}))[0] == 400
    await pay(parts, amount=5_000)
    _, seen = await api("GET", f"{ORDERS}/{parts['id']}")
    assert (seen["status"], seen["amount_paid"], seen["amount_due"]) == ("attempted", 5_000, 15_000)
    await pay(parts)
    assert (await api("GET", f"{ORDERS}/{parts['id']}"))[1]["status"] == "paid"


async def test_a_receipt_may_make_a_create_repeatable(api: Any, ordered: Any, build: Any, connect: Any) -> None:
    assert (await ordered())["id"] != (await ordered())["id"], "by default a receipt protects nothing"
    first = await ordered(receipt="r1", unique_receipt=True)
    assert (await ordered(receipt="r1", unique_receipt=True))["id"] == first["id"]
    status, answer = await api("POST", ORDERS, ORDER | {"receipt": "r1", "unique_receipt": True, "amount": 500})
    assert (status, answer["error"]["description"]) == (400, "Order receipt should be unique.")
    strict = connect(await build(order_receipts_unique=True))
    assert (await strict("POST", ORDERS, ORDER))[0] == 200
    assert (await strict("POST", ORDERS, ORDER))[1]["error"]["description"] == "Order receipt should be unique."


async def test_lists_and_notes(api: Any, ordered: Any, pay: Any, clock: SteppingClock) -> None:
    first = await ordered(receipt="a")
    await clock.advance(10)
    second = await ordered(receipt="b")
    await pay(second)

    async def found(query: str) -> list[str]:
        return [item["id"] for item in (await api("GET", f"{ORDERS}?{query}"))[1]["items"]]

    assert await found("") == [second["id"], first["id"]]
    assert await found("receipt=a") == [first["id"]]
    assert await found("authorized=1") == [second["id"]]
    assert await found("authorized=0") == [first["id"]]
    assert await found(f"to={first['created_at']}") == [first["id"]]
    assert await found("count=1&skip=1") == [first["id"]]
    _, changed = await api("PATCH", f"{ORDERS}/{first['id']}", {"notes": {"a": "b"}})
    assert changed["notes"] == {"a": "b"}
    assert (await api("PATCH", f"{ORDERS}/{first['id']}", {"amount": 5}))[0] == 400
    status, answer = await api("GET", f"{ORDERS}/order_AAAAAAAAAAAAAA/payments")
    assert (status, answer["error"]["description"]) == (400, "The id provided does not exist")


async def test_what_waits_for_its_capture_may_come_too_late(
    api: Any, ordered: Any, pay: Any, clock: SteppingClock, receiver: Any
) -> None:
    order = await ordered()
    failed = (await pay(order, outcome="failed"))["payment"]
    waiting = (await pay(order, outcome="authorized"))["payment"]
    await api("POST", f"/_sandbox/payments/{failed['id']}/authorize")
    assert (await api("GET", f"{ORDERS}/{order['id']}"))[1]["status"] == "paid"
    status, answer = await api("POST", f"/v1/payments/{waiting['id']}/capture", {"amount": 20_000})
    assert (status, answer["error"]["description"]) == (400, "Your payment has been declined as the order is already paid")
    await clock.advance(3 * DAY)
    (post,) = receiver.of("refund.created")
    assert post.json["payload"]["refund"]["entity"]["payment_id"] == waiting["id"]


async def test_a_late_part_that_is_more_than_what_is_due_goes_back(api: Any, ordered: Any, pay: Any) -> None:
    order = await ordered(partial_payment=True)
    failed = (await pay(order, outcome="failed", amount=15_000))["payment"]
    await pay(order, amount=6_000)
    _, late = await api("POST", f"/_sandbox/payments/{failed['id']}/authorize")
    assert late["payment"]["captured"] is False
    assert (await api("GET", f"{ORDERS}/{order['id']}"))[1]["amount_due"] == 14_000


async def test_a_capture_of_more_than_what_is_due_by_then_is_declined(api: Any, ordered: Any, pay: Any) -> None:
    order = await ordered(partial_payment=True)
    failed = (await pay(order, outcome="failed", amount=15_000))["payment"]
    waiting = (await pay(order, outcome="authorized"))["payment"]
    await api("POST", f"/_sandbox/payments/{failed['id']}/authorize")
    status, answer = await api("POST", f"/v1/payments/{waiting['id']}/capture", {"amount": 20_000})
    assert (status, answer["error"]["description"]) == (400, "Your payment has been declined as the order is already paid")
    assert (await api("GET", f"{ORDERS}/{order['id']}"))[1]["amount_due"] == 5_000
