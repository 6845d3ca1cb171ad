"""A linked account's own money, by `X-Razorpay-Account`: its QR codes, payments, refunds, balance, events and settlements."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import razorpay
from razorpay.errors import BadRequestError

from razorpay_simulator import QrPayment, RazorpaySimulator
from testkit.clock import SteppingClock

Call = Callable[..., Awaitable[Any]]


@pytest.fixture
def call() -> Call:
    return asyncio.to_thread


def acting_as(account: str) -> dict[str, Any]:
    """A fresh header for every call: the SDK writes into the one that it is given."""
    return {"headers": {"X-Razorpay-Account": account}}


async def test_a_linked_account_takes_and_returns_money_of_its_own(
    sdk: razorpay.Client, call: Call, sandbox: RazorpaySimulator, activated: Any, qr_body: Any, clock: SteppingClock
) -> None:
    account, parent = await activated(), sandbox.settings.account_id
    before = sandbox.balances()[parent]
    qr = await call(sdk.qrcode.create, qr_body, **acting_as(account))
    assert account.replace("_", ".").lower() in qr["image_content"]
    assert (await call(sdk.qrcode.fetch, qr["id"], **acting_as(account))) == qr
    assert [item["id"] for item in (await call(sdk.qrcode.all, **acting_as(account)))["items"]] == [qr["id"]]

    payment = sandbox.pay(qr["id"], QrPayment(amount=50_000))["payment"]
    assert (await call(sdk.payment.fetch, payment["id"], **acting_as(account))) == payment
    assert sandbox.balances()[account] == 50_000 - payment["fee"]
    assert sandbox.balances()[parent] == before, "not a paisa of it is ours"

    def refund(amount: int) -> Any:
        body = {"amount": amount, "receipt": "qr_payment_17"}
        headers = {"X-Refund-Idempotency": "qr_payment_17", "X-Razorpay-Account": account}
        return sdk.payment.refund(payment["id"], body, headers=headers)

    first = await call(refund, 20_000)
    assert await call(refund, 20_000) == first
    assert [item["id"] for item in (await call(sdk.payment.fetch_multiple_refund, payment["id"], **acting_as(account)))["items"]]
    assert (await call(sdk.refund.fetch, first["id"], **acting_as(account)))["id"] == first["id"]
    assert (await call(sdk.refund.all, **acting_as(account)))["count"] == 1
    assert sandbox.balances() == {parent: before, account: 30_000 - payment["fee"]}
    await sandbox.wait_idle()
    (settled,) = sandbox.settle(account)
    assert settled["amount"] == 30_000 - payment["fee"]
    assert sandbox.balances() == {parent: before, account: 0}
    recon = {"year": clock.now().year, "month": clock.now().month}
    rows = (await call(sdk.settlement.report, recon, **acting_as(account)))["items"]
    assert sum(row["credit"] - row["debit"] for row in rows) == settled["amount"]
    assert (await call(sdk.settlement.report, recon))["items"] == []
    assert (await call(sdk.qrcode.close, qr["id"], **acting_as(account)))["status"] == "closed"


async def test_neither_side_sees_what_is_the_others(
    sdk: razorpay.Client, call: Call, sandbox: RazorpaySimulator, activated: Any, qr_body: Any
) -> None:
    one, two = await activated(1), await activated(2)
    theirs = await call(sdk.qrcode.create, qr_body, **acting_as(one))
    ours = await call(sdk.qrcode.create, qr_body)
    paid = sandbox.pay(theirs["id"], QrPayment(amount=20_000))["payment"]
    back = await call(sdk.payment.refund, paid["id"], {"amount": 1_000}, **acting_as(one))
    assert [item["id"] for item in (await call(sdk.qrcode.all))["items"]] == [ours["id"]]
    assert (await call(sdk.payment.all))["items"] == (await call(sdk.refund.all))["items"] == []
    for who in ({}, acting_as(two)):
        for question in (
            lambda who=who: sdk.qrcode.fetch(theirs["id"], **who),
            lambda who=who: sdk.qrcode.close(theirs["id"], **who),
            lambda who=who: sdk.qrcode.fetch_all_payments(theirs["id"], **who),
            lambda who=who: sdk.payment.fetch(paid["id"], **who),
            lambda who=who: sdk.payment.fetch_multiple_refund(paid["id"], **who),
            lambda who=who: sdk.payment.refund(paid["id"], {"amount": 1_000}, **who),
            lambda who=who: sdk.refund.fetch(back["id"], **who),
        ):
            with pytest.raises(BadRequestError, match="The id provided does not exist"):
                await call(question)
    with pytest.raises(BadRequestError, match="The id provided does not exist"):
        await call(sdk.qrcode.fetch, ours["id"], **acting_as(one))
    # The same key is another key for another account: each has its own refund.
    mine = sandbox.pay(ours["id"], QrPayment(amount=20_000))["payment"]
    keyed = {"X-Refund-Idempotency": "qr_payment_1"}
    first = await call(sdk.payment.refund, mine["id"], {"amount": 500}, headers=dict(keyed))
    second = await call(sdk.payment.refund, paid["id"], {"amount": 500}, headers={**keyed, "X-Razorpay-Account": one})
    assert first["payment_id"] != second["payment_id"]


async def test_a_refund_needs_the_linked_accounts_own_balance(
    sdk: razorpay.Client, call: Call, sandbox: RazorpaySimulator, activated: Any, qr_body: Any
) -> None:
    account = await activated()
    qr = await call(sdk.qrcode.create, qr_body, **acting_as(account))
    payment = sandbox.pay(qr["id"], QrPayment(amount=20_000))["payment"]
    sandbox.settle(account)
    assert sandbox.balances()[sandbox.settings.account_id] > 20_000, "ours would cover it"
    with pytest.raises(BadRequestError, match="does not have enough balance"):
        await call(sdk.payment.refund, payment["id"], {"amount": 5_000}, **acting_as(account))
    sandbox.pay(qr["id"], QrPayment(amount=20_000))
    assert (await call(sdk.payment.refund, payment["id"], {"amount": 5_000}, **acting_as(account)))["amount"] == 5_000


async def test_its_events_bear_its_account_and_an_inactive_one_takes_no_money(
    sdk: razorpay.Client, call: Call, sandbox: RazorpaySimulator, activated: Any, qr_body: Any, account_body: Any, receiver: Any
) -> None:
    account = await activated()
    qr = await call(sdk.qrcode.create, qr_body, **acting_as(account))
    payment = sandbox.pay(qr["id"], QrPayment(amount=20_000))["payment"]
    await call(sdk.payment.refund, payment["id"], {"amount": 5_000}, **acting_as(account))
    await call(sdk.qrcode.close, qr["id"], **acting_as(account))
    await sandbox.wait_idle()
    of_money = ("qr_code.", "payment.", "refund.")
    told = {event.event: event.account_id for event in sandbox.events if event.event.startswith(of_money)}
    assert told.keys() >= {"qr_code.created", "qr_code.credited", "payment.captured", "refund.created", "qr_code.closed"}
    assert set(told.values()) == {account}
    other = await call(sdk.account.create, account_body | {"email": "new@x.example", "reference_id": "franchisee_9"})
    with pytest.raises(BadRequestError, match="not activated"):
        await call(sdk.qrcode.create, qr_body, **acting_as(other["id"]))


async def test_what_it_takes_in_is_settled_after_the_same_days_as_a_transfer(
    sdk: razorpay.Client, call: Call, build: Any, clock: SteppingClock, qr_body: Any, account_body: Any, bank: Any
) -> None:
    sandbox = await build(linked_settlement_seconds=100)
    sdk = razorpay.Client(auth=(sandbox.settings.key_id, sandbox.settings.key_secret), base_url=sandbox.base_url)
    account = await call(sdk.account.create, account_body)
    product = await call(sdk.product.requestProductConfiguration, account["id"], {"product_name": "route", "tnc_accepted": True})
    await call(sdk.product.edit, account["id"], product["id"], {"settlements": bank, "tnc_accepted": True})
    sandbox.move_kyc(account["id"], "activated")
    qr = await call(sdk.qrcode.create, qr_body, **acting_as(account["id"]))
    payment = sandbox.pay(qr["id"], QrPayment(amount=20_000))["payment"]
    await clock.advance(99)
    assert sandbox.balances()[account["id"]] == 20_000 - payment["fee"]
    await clock.advance(2)
    assert sandbox.balances()[account["id"]] == 0
    (settled,) = sandbox.state.settlements.values()
    assert (settled.account_id, settled.amount) == (account["id"], 20_000 - payment["fee"])
