"""Money neither appears nor vanishes, whatever happens in whatever order."""

import asyncio
from typing import Any

import aiohttp
from hypothesis import given, settings
from hypothesis import strategies as st

from razorpay_simulator import OrderPayment, OutcomeRule, QrPayment, RandomIds, RazorpaySimulator, SandboxSettings
from razorpay_simulator.settings import DAY
from testkit.clock import SteppingClock

OPENING = 500_000
RESERVE = 1_000
amounts = st.integers(1, 60_000)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("pay"), amounts, st.none() | st.integers(0, 2_000)),
        st.tuples(st.just("order"), amounts, st.sampled_from([None, "captured", "authorized", "failed"])),
        st.tuples(st.just("late"), st.integers(0, 5), st.just(0)),
        st.tuples(st.just("capture"), st.integers(0, 5), st.just(0)),
        st.tuples(st.just("refund"), st.integers(0, 5), st.none() | amounts),
        st.tuples(st.just("return"), st.integers(0, 5), st.just(0)),
        st.tuples(st.just("split"), st.integers(0, 5), amounts),
        st.tuples(st.just("transfer"), st.integers(0, 1), amounts),
        st.tuples(st.just("reverse"), st.integers(0, 5), st.none() | amounts),
        st.tuples(st.just("settle"), st.integers(0, 2), st.just(0)),
        st.tuples(st.just("close"), st.just(0), st.just(0)),
        st.tuples(st.just("fail"), st.integers(0, 1), st.just(0)),
        st.tuples(st.just("wait"), st.integers(1, 300_000), st.just(0)),
    ),
    min_size=8,
    max_size=30,
)


async def play(script: list[tuple[str, int, Any]], balance_check: str, own: float | None) -> RazorpaySimulator:
    clock = SteppingClock()
    simulator = RazorpaySimulator(
        SandboxSettings(
            opening_balance=OPENING,
            transfer_seconds=60,
            transfer_balance_check="async" if balance_check == "async" else "sync",
            instant_refund_fee=500,
            own_settlement_seconds=own,
            reserve_balance=RESERVE,
        ),
        clock=clock,
        ids=RandomIds(seed=3),
    )
    await simulator.start()
    auth = {"Authorization": aiohttp.encode_basic_auth(simulator.settings.key_id, simulator.settings.key_secret)}
    async with aiohttp.ClientSession(simulator.base_url, headers=auth) as session:

        async def post(path: str, body: Any) -> Any:
            async with session.post(path, json=body) as response:
                assert response.status in (200, 400), await response.text()
                return await response.json()

        qr = await post("/v1/payments/qr_codes", {"type": "upi_qr", "usage": "multiple_use"})
        address = {"street1": "a", "street2": "b", "city": "c", "state": "GOA", "postal_code": "403001", "country": "IN"}
        accounts = []
        for number in (1, 2):
            made = await post(
                "/v2/accounts",
                {
                    "email": f"{number}@x.example",
                    "phone": "9000090000",
                    "type": "route",
                    "legal_business_name": "Acme Volts",
                    "business_type": "individual",
                    "contact_name": "Asha Rao",
                    "profile": {"category": "others", "subcategory": "x", "addresses": {"registered": address}},
                },
            )
            simulator.move_kyc(made["id"], "activated")
            accounts.append(made["id"])
        for kind, number, extra in script:
            payments, transfers = list(simulator.state.payments), list(simulator.state.transfers)
            part = {} if extra is None else {"amount": extra}
            if kind == "pay":
                simulator.pay(qr["id"], QrPayment(amount=number, fee=extra))
            elif kind == "order":
                order = await post("/v1/orders", {"amount": max(number, 100), "currency": "INR"})
                simulator.pay_order(order["id"], OrderPayment(outcome=extra))
            elif kind == "late":
                failed = [payment.id for payment in simulator.state.payments.values() if payment.status == "failed"]
                if failed:
                    simulator.authorize_payment(failed[number % len(failed)])
            elif kind == "capture" and payments:
                payment = simulator.state.payments[payments[number % len(payments)]]
                await post(f"/v1/payments/{payment.id}/capture", {"amount": payment.amount, "currency": "INR"})
            elif kind == "return" and payments:
                await post(f"/v1/payments/{payments[number % len(payments)]}/refund", {"reverse_all": True})
            elif kind == "split" and payments:
                share = {"account": accounts[number % 2], "amount": extra, "currency": "INR"}
                await post(f"/v1/payments/{payments[number % len(payments)]}/transfers", {"transfers": [share]})
            elif kind == "close":
                await post(f"/v1/payments/qr_codes/{qr['id']}/close", {})
            elif kind == "refund" and payments:
                await post(f"/v1/payments/{payments[number % len(payments)]}/refund", {"speed": "optimum"} | part)
            elif kind == "transfer":
                await post("/v1/transfers", {"account": accounts[number], "amount": extra, "currency": "INR"})
            elif kind == "reverse" and transfers:
                await post(f"/v1/transfers/{transfers[number % len(transfers)]}/reversals", part)
            elif kind == "settle":
                simulator.settle(accounts[number]) if number < 2 else simulator.settle_own()
            elif kind == "fail":
                simulator.add_outcome(OutcomeRule(of="refund" if number else "transfer", outcome="failed"))
            elif kind == "wait":
                await clock.advance(number)
            await simulator.wait_idle()
    await simulator.stop()
    return simulator


@settings(max_examples=60, deadline=None)
@given(script=steps, balance_check=st.sampled_from(["sync", "async"]), own=st.sampled_from([None, 2 * DAY]))
def test_what_came_in_is_where_the_books_say(script: list[tuple[str, int, Any]], balance_check: str, own: float | None) -> None:
    simulator = asyncio.run(play(script, balance_check, own))
    state, parent = simulator.state, simulator.settings.account_id
    balances = simulator.balances()

    # The parent: opening + captures − fees − refunds − transfers − their fees + reversals − settlements = available.
    captured = [payment for payment in state.payments.values() if payment.captured]
    refunds = [refund for refund in state.refunds.values() if refund.status != "failed" and not refund.automatic]
    sent = [transfer for transfer in state.transfers.values() if transfer.debited and transfer.status != "failed"]
    reversed_ = sum(reversal.amount for reversal in state.reversals.values())
    own_settled = sum(settlement.amount for settlement in state.settlements.values() if settlement.account_id == parent)
    assert balances[parent] == (
        OPENING
        + sum(payment.amount - payment.charged_fee for payment in captured)
        - sum(refund.amount + refund.fee for refund in refunds)
        - sum(transfer.amount + transfer.fees for transfer in sent)
        + reversed_
        - own_settled
    )

    # A linked account: what arrived, less what was taken back, less what was paid out to its bank; never less than nothing.
    for account in state.accounts:
        arrived = sum(t.amount - t.amount_reversed for t in sent if t.recipient == account and t.processed_at is not None)
        paid_out = sum(settlement.amount for settlement in state.settlements.values() if settlement.account_id == account)
        assert balances.get(account, 0) == arrived - paid_out >= 0
    assert reversed_ == sum(transfer.amount_reversed for transfer in sent)

    for payment in state.payments.values():
        mine = [r for r in state.refunds.values() if r.payment_id == payment.id and r.status != "failed"]
        assert payment.amount_refunded == sum(refund.amount for refund in mine) <= payment.amount
        assert payment.captured or not payment.charged_fee
        assert all(refund.automatic != payment.captured for refund in mine), (
            "what was not captured goes back by itself, and only that"
        )
        out = [t for t in state.transfers.values() if t.source == payment.id and t.status != "failed"]
        assert payment.amount_transferred == sum(t.amount - t.amount_reversed for t in out) <= payment.amount
    for order in state.orders.values():
        paid = sum(payment.amount for payment in captured if payment.order_id == order.id)
        assert order.amount_paid == paid <= order.amount == order.amount_paid + order.amount_due
        assert (order.status == "paid") == (order.amount_due == 0)
    for settlement in state.settlements.values():
        rows = [e for e in state.entries if e.settlement_id == settlement.id and e.type != "settlement"]
        if settlement.account_id == parent:
            assert settlement.amount == sum(row.credit - row.debit for row in rows), "recon adds up to what was paid out"
        else:
            members = [t for t in state.transfers.values() if t.recipient_settlement_id == settlement.id]
            assert members
            assert settlement.amount <= sum(transfer.amount for transfer in members)
