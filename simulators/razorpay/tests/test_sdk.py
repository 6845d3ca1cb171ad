"""Razorpay's own Python SDK, 2.0.1, against the sandbox: the calls that a real integration makes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import razorpay
from razorpay.errors import BadRequestError, SignatureVerificationError

from razorpay_simulator import OrderPayment, QrPayment, RazorpaySimulator
from testkit.clock import SteppingClock

Call = Callable[..., Awaitable[Any]]


@pytest.fixture
def call() -> Call:
    return asyncio.to_thread


async def test_a_session_from_the_qr_code_to_the_settled_transfer(
    sdk: razorpay.Client,
    call: Call,
    sandbox: RazorpaySimulator,
    receiver: Any,
    clock: SteppingClock,
    qr_body: Any,
    account_body: Any,
    bank: Any,
) -> None:
    qr = await call(sdk.qrcode.create, qr_body)
    assert (await call(sdk.qrcode.fetch, qr["id"])) == qr
    assert [item["id"] for item in (await call(sdk.qrcode.all))["items"]] == [qr["id"]]

    # The rider pays ₹500.
    payment = sandbox.pay(qr["id"], QrPayment(amount=50_000, vpa="asha@okaxis"))["payment"]
    assert (await call(sdk.payment.fetch, payment["id"])) == payment
    assert (payment["fee"], payment["tax"]) == (1180, 180)
    assert (await call(sdk.qrcode.fetch_all_payments, qr["id"]))["items"] == [payment]
    assert (await call(sdk.qrcode.all, {"payment_id": payment["id"]}))["items"][0]["id"] == qr["id"]

    # A part of it goes back.
    def refund() -> Any:
        return sdk.payment.refund(
            payment["id"],
            {"amount": 12_345, "speed": "optimum", "receipt": "qr_payment_17", "notes": {"txn": "17"}},
            headers={"X-Refund-Idempotency": "qr_payment_17"},
            timeout=(3.05, 10),
        )

    first = await call(refund)
    assert await call(refund) == first
    assert first["status"] == "pending"
    await clock.advance(2)
    assert (await call(sdk.refund.fetch, first["id"]))["status"] == "processed"
    assert (await call(sdk.payment.fetch_multiple_refund, payment["id"]))["count"] == 1
    assert (await call(sdk.refund.all))["items"][0]["id"] == first["id"]

    # The franchisee is taken on.
    account = await call(sdk.account.create, account_body)
    await call(sdk.account.edit, account["id"], {"customer_facing_business_name": "Acme EV"})
    assert (await call(sdk.account.fetch, account["id"]))["customer_facing_business_name"] == "Acme EV"
    holder = await call(sdk.stakeholder.create, account["id"], {"name": "Asha Rao", "email": "asha@x.example"})
    assert (await call(sdk.stakeholder.fetch, account["id"], holder["id"])) == holder
    assert (await call(sdk.stakeholder.all, account["id"]))["items"] == [holder]
    product = await call(sdk.product.requestProductConfiguration, account["id"], {"product_name": "route", "tnc_accepted": True})
    assert product["activation_status"] == "needs_clarification"
    product = await call(sdk.product.edit, account["id"], product["id"], {"settlements": bank, "tnc_accepted": True})
    assert (product["activation_status"], product["requirements"]) == ("under_review", [])
    sandbox.move_kyc(account["id"], "activated")
    assert (await call(sdk.product.fetch, account["id"], product["id"]))["activation_status"] == "activated"

    # And paid.
    def transfer() -> Any:
        return sdk.transfer.create(
            {"account": account["id"], "amount": 30_000, "currency": "INR", "notes": {"ledger": "17"}},
            headers={"X-Transfer-Idempotency": "txn_17"},
        )

    sent = await call(transfer)
    assert await call(transfer) == sent
    assert (sent["status"], sent["fees"], sent["tax"], sent["source"]) == ("processed", 89, 14, sandbox.settings.account_id)
    (settlement,) = sandbox.settle(account["id"])
    found = await call(sdk.transfer.all, {"recipient_settlement_id": settlement["id"], "expand[]": "recipient_settlement"})
    assert [(item["id"], item["settlement_status"]) for item in found["items"]] == [(sent["id"], "settled")]
    assert found["items"][0]["recipient_settlement"] == settlement
    assert (await call(sdk.settlement.fetch, settlement["id"])) == settlement

    # Our own settlement, with its reconciliation.
    own = sandbox.settle_own()
    assert own is not None
    assert [item["id"] for item in (await call(sdk.settlement.all))["items"]] == [own["id"]]
    today = clock.now()
    rows = (await call(sdk.settlement.report, {"year": today.year, "month": today.month, "count": 100}))["items"]
    by_type = {row["type"]: row for row in rows}
    assert by_type["payment"]["credit"] == 50_000 - 1180
    assert by_type["refund"]["debit"] == 12_345
    assert by_type["transfer"]["debit"] == 30_000 + 89
    assert sandbox.balances()[sandbox.settings.account_id] == 0

    # Every webhook carries a signature that the SDK accepts, and rejects when a byte changes.
    await sandbox.wait_idle()
    assert set(receiver.events) >= {
        "qr_code.credited",
        "payment.captured",
        "refund.created",
        "refund.processed",
        "account.activated",
        "product.route.activated",
        "transfer.processed",
        "settlement.processed",
    }
    for post in receiver.posts:
        text = post.body.decode()
        assert sdk.utility.verify_webhook_signature(text, post.signature, "whsec-current")
        with pytest.raises(SignatureVerificationError):
            sdk.utility.verify_webhook_signature(text + " ", post.signature, "whsec-current")


async def test_reversals(sdk: razorpay.Client, call: Call, activated: Call, sandbox: RazorpaySimulator) -> None:
    account_id = await activated()
    sent = await call(sdk.transfer.create, {"account": account_id, "amount": 30_000, "currency": "INR"})
    part = await call(sdk.transfer.reverse, sent["id"], {"amount": 10_000})
    assert (part["entity"], part["amount"], part["transfer_id"]) == ("reversal", 10_000, sent["id"])
    assert (await call(sdk.transfer.fetch, sent["id"]))["status"] == "partially_reversed"
    await call(sdk.transfer.reverse, sent["id"])
    assert (await call(sdk.transfer.fetch, sent["id"]))["status"] == "reversed"
    assert [item["amount"] for item in (await call(sdk.transfer.reversals, sent["id"]))["items"]] == [20_000, 10_000]
    assert sandbox.balances()[account_id] == 0


async def test_errors_arrive_as_the_sdks_own(sdk: razorpay.Client, call: Call) -> None:
    with pytest.raises(BadRequestError, match="The id provided does not exist"):
        await call(sdk.payment.fetch, "pay_AAAAAAAAAAAAAA")
    with pytest.raises(BadRequestError, match="The selected usage is invalid"):
        await call(sdk.qrcode.create, {"type": "upi_qr", "usage": "often"})


async def test_an_order_from_creation_to_proof(sdk: razorpay.Client, call: Call, sandbox: RazorpaySimulator) -> None:
    order = await call(sdk.order.create, {"amount": 50_000, "currency": "INR", "receipt": "wallet_17", "notes": {"rider": "17"}})
    assert (await call(sdk.order.fetch, order["id"])) == order
    assert [item["id"] for item in (await call(sdk.order.all, {"receipt": "wallet_17"}))["items"]] == [order["id"]]
    edited = await call(sdk.order.edit, order["id"], {"notes": {"rider": "18"}})
    assert edited["notes"] == {"rider": "18"}

    failed = sandbox.pay_order(order["id"], OrderPayment(outcome="failed"))["payment"]
    assert (await call(sdk.order.fetch, order["id"]))["status"] == "attempted"
    paid = sandbox.pay_order(order["id"], OrderPayment(vpa="asha@okaxis"))
    assert (await call(sdk.order.fetch, order["id"]))["status"] == "paid"
    items = (await call(sdk.order.payments, order["id"]))["items"]
    assert [item["id"] for item in items] == [paid["payment"]["id"], failed["id"]]
    assert sdk.utility.verify_payment_signature(paid["checkout"])
    with pytest.raises(SignatureVerificationError):
        sdk.utility.verify_payment_signature(paid["checkout"] | {"razorpay_payment_id": failed["id"]})


async def test_a_payment_is_captured_shown_and_noted(sdk: razorpay.Client, call: Call, sandbox: RazorpaySimulator) -> None:
    order = await call(sdk.order.create, {"amount": 50_000, "currency": "INR", "payment_capture": 0})
    payment = sandbox.pay_order(order["id"], OrderPayment())["payment"]
    with pytest.raises(BadRequestError, match="Capture amount must be equal to the amount authorized"):
        await call(sdk.payment.capture, payment["id"], 100, {"currency": "INR"})
    captured = await call(sdk.payment.capture, payment["id"], 50_000, {"currency": "INR"})
    assert (captured["status"], captured["fee"]) == ("captured", 1180)
    await call(sdk.payment.edit, payment["id"], {"notes": {"txn": "17"}})
    (listed,) = (await call(sdk.payment.all, {"count": 1, "expand[]": "transaction"}))["items"]
    assert (listed["notes"], listed["transaction"]["credit"]) == ({"txn": "17"}, 50_000 - 1180)


async def test_refunds_by_both_doors(sdk: razorpay.Client, call: Call, paid: Call) -> None:
    payment = await paid(20_000)
    body = {"payment_id": payment["id"], "amount": 5_000, "speed": "normal", "receipt": "r1"}
    refund = await call(sdk.refund.create, body, headers={"X-Refund-Idempotency": "qr_payment_1"})
    assert refund["payment_id"] == payment["id"]
    with pytest.raises(BadRequestError, match="Different request with the same idempotency key"):
        await call(sdk.refund.create, body | {"amount": 5_001}, headers={"X-Refund-Idempotency": "qr_payment_1"})
    with pytest.raises(BadRequestError, match="Duplicate receipt found"):
        await call(sdk.payment.refund, payment["id"], {"amount": 500, "receipt": "r1"})
    assert (await call(sdk.payment.fetch_refund_id, payment["id"], refund["id"])) == refund
    assert (await call(sdk.refund.edit, refund["id"], {"notes": {"a": "b"}}))["notes"] == {"a": "b"}


async def test_a_code_is_closed(sdk: razorpay.Client, call: Call, qr_body: Any) -> None:
    qr = await call(sdk.qrcode.create, qr_body)
    assert (await call(sdk.qrcode.close, qr["id"]))["close_reason"] == "on_demand"


async def test_transfers_out_of_a_payment_and_holds(
    sdk: razorpay.Client, call: Call, sandbox: RazorpaySimulator, activated: Call, paid: Call
) -> None:
    account, payment = await activated(), await paid(20_000)
    part = {"account": account, "amount": 5_000, "currency": "INR", "on_hold": True}
    (item,) = (await call(sdk.payment.transfer, payment["id"], {"transfers": [part]}))["items"]
    assert item["status"] == "pending"
    await sandbox.wait_idle()
    (item,) = (await call(sdk.payment.transfers, payment["id"]))["items"]
    assert (item["status"], item["settlement_status"]) == ("processed", "on_hold")
    assert (await call(sdk.transfer.edit, item["id"], {"on_hold": False}))["settlement_status"] == "pending"
    assert (await call(sdk.transfer.all, {"payment_id": payment["id"]}))["items"][0]["id"] == item["id"]
    seen = await call(sdk.transfer.all, headers={"X-Razorpay-Account": account})
    assert [transfer["id"] for transfer in seen["items"]] == [item["id"]]


async def test_an_account_is_changed_and_suspended(sdk: razorpay.Client, call: Call, account_body: Any) -> None:
    account = await call(sdk.account.create, account_body)
    holder = await call(sdk.stakeholder.create, account["id"], {"name": "Asha Rao", "email": "asha@x.example"})
    changed = await call(sdk.stakeholder.edit, account["id"], holder["id"], {"percentage_ownership": 40})
    assert changed["percentage_ownership"] == 40
    assert (await call(sdk.account.delete, account["id"]))["status"] == "suspended"
    with pytest.raises(BadRequestError, match="locked for editing"):
        await call(sdk.account.edit, account["id"], {"contact_name": "Asha R"})


async def test_webhooks_are_managed(sdk: razorpay.Client, call: Call, activated: Call, receiver: Any) -> None:
    hook = {"url": receiver.url, "secret": "s", "alert_email": "a@x.example", "events": {"order.paid": 1}}
    own = await call(sdk.webhook.create, hook)
    assert (await call(sdk.webhook.fetch, own["id"], None)) == own
    assert own["id"] in [item["id"] for item in (await call(sdk.webhook.all))["items"]]
    edited = await call(sdk.webhook.edit, own["id"], None, {"url": receiver.url, "events": {"refund.processed": 1}})
    assert edited["events"] == ["refund.processed"]

    account = await activated()
    linked = await call(sdk.webhook.create, hook | {"events": ["settlement.processed"]}, account)
    assert (await call(sdk.webhook.all, {}, account))["items"] == [linked]
    edited = await call(sdk.webhook.edit, linked["id"], account, {"events": ["account.suspended"]})
    assert (await call(sdk.webhook.fetch, linked["id"], account)) == edited
    assert (await call(sdk.webhook.delete, linked["id"], account)) == []
    assert (await call(sdk.webhook.all, {}, account))["items"] == []


async def test_the_mode_is_the_keys(build: Call, call: Call, qr_body: Any) -> None:
    sandbox = await build(other_key_id="rzp_live_sandbox0000001")
    clients = {
        world.settings.mode: razorpay.Client(auth=(world.settings.key_id, world.settings.key_secret), base_url=sandbox.base_url)
        for world in sandbox.worlds
    }
    qr = await call(clients["live"].qrcode.create, qr_body)
    assert (await call(clients["live"].qrcode.fetch, qr["id"])) == qr
    with pytest.raises(BadRequestError, match="The id provided does not exist"):
        await call(clients["test"].qrcode.fetch, qr["id"])
