"""Razorpay's own Python SDK, 2.0.1, against the sandbox: the calls that a real integration makes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import razorpay
from razorpay.errors import BadRequestError, SignatureVerificationError

from razorpay_simulator import QrPayment, RazorpaySimulator
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
