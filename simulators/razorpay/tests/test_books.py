"""Money neither appears nor vanishes, whatever happens in whatever order."""

import asyncio
from typing import Any

import aiohttp
from hypothesis import given, settings
from hypothesis import strategies as st

from razorpay_simulator import OutcomeRule, QrPayment, RandomIds, RazorpaySimulator, SandboxSettings
from testkit.clock import SteppingClock

OPENING = 500_000
amounts = st.integers(1, 60_000)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("pay"), amounts, st.none() | st.integers(0, 2_000)),
        st.tuples(st.just("refund"), st.integers(0, 5), st.none() | amounts),
        st.tuples(st.just("transfer"), st.integers(0, 1), amounts),
        st.tuples(st.just("reverse"), st.integers(0, 5), st.none() | amounts),
        st.tuples(st.just("settle"), st.integers(0, 2), st.just(0)),
        st.tuples(st.just("fail"), st.integers(0, 1), st.just(0)),
        st.tuples(st.just("wait"), st.integers(1, 300_000), st.just(0)),
    ),
    min_size=8,
    max_size=30,
)


async def play(script: list[tuple[str, int, Any]], balance_check: str) -> RazorpaySimulator:
    clock = SteppingClock()
    simulator = RazorpaySimulator(
        SandboxSettings(
            opening_balance=OPENING,
            transfer_seconds=60,
            transfer_balance_check="async" if balance_check == "async" else "sync",
            instant_refund_fee=500,
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
    await simulator.stop()
    return simulator


@settings(max_examples=80, deadline=None)
@given(script=steps, balance_check=st.sampled_from(["sync", "async"]))
def test_what_came_in_is_where_the_books_say(script: list[tuple[str, int, Any]], balance_check: str) -> None:
    simulator = asyncio.run(play(script, balance_check))
    state, parent = simulator.state, simulator.settings.account_id
    came_in = OPENING + sum(payment.amount for payment in state.payments.values())
    refunds = [refund for refund in state.refunds.values() if refund.status != "failed"]
    sent = [transfer for transfer in state.transfers.values() if transfer.debited and transfer.status != "failed"]
    charged = sum(payment.charged_fee for payment in state.payments.values())
    charged += sum(refund.fee for refund in refunds) + sum(transfer.fees for transfer in sent)
    under_way = sum(transfer.amount for transfer in sent if transfer.status == "pending")
    settled = sum(settlement.amount for settlement in state.settlements.values())
    returned = sum(refund.amount for refund in refunds)
    assert came_in == sum(simulator.balances().values()) + charged + returned + under_way + settled
    assert all(balance >= 0 for account, balance in simulator.balances().items() if account != parent)
    for payment in state.payments.values():
        mine = sum(refund.amount for refund in refunds if refund.payment_id == payment.id)
        assert payment.amount_refunded == mine <= payment.amount
    for settlement in state.settlements.values():
        if settlement.account_id != parent:
            members = [t for t in state.transfers.values() if t.recipient_settlement_id == settlement.id]
            assert members
            assert settlement.amount <= sum(transfer.amount for transfer in members)
