"""Bills, refunds after them, payouts, reversals, faults and a bank in any order: no paisa is taken twice, or lost."""

from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from contracts.payments import OperatorRefundDecided, PaymentBilled
from razorpay_simulator.faults import FaultRule
from razorpay_simulator.outcomes import OutcomeRule

from .conftest import SELDOM, Build, World
from .test_conservation import received
from .test_corrections import REVERSE, agree, decided

BILLS = st.fixed_dictionaries(
    {
        "energy_wh": st.one_of(st.integers(1, 60), st.integers(500, 9000)),
        "paid_paise": st.integers(1_000, 20_000),
        "fee_paise": st.integers(0, 400),
    }
)
TROUBLES = st.one_of(
    st.builds(
        FaultRule,
        kind=st.sampled_from(["error", "html", "reset"]),
        when=st.sampled_from(["before_effect", "after_effect"]),
        after=st.integers(0, 1),
        **{name: st.just(value) for name, value in REVERSE.items()},
    ),
    st.builds(FaultRule, kind=st.just("throttle"), times=st.integers(1, 2), **{name: st.just(v) for name, v in REVERSE.items()}),
    st.just(OutcomeRule(of="transfer", outcome="failed")),
)


def refunds_of(world: World, bill: PaymentBilled, data: st.DataObject) -> list[OperatorRefundDecided]:
    """Up to three refunds of a bill, as payments would decide them: never more than was billed for energy and GST."""
    left, before, made = bill.energy_charge_paise + bill.gst_paise, 0, []
    for number in range(1, 1 + data.draw(st.integers(0, 3), label="refunds")):
        if left < 100:
            break
        amount = data.draw(st.one_of(st.just(left), st.integers(100, left)), label="amount")
        goodwill = data.draw(st.sampled_from([False, False, False, True]), label="goodwill")
        made.append(decided(world, bill, amount, number=number, before=before, goodwill=goodwill))
        left, before = left - amount, before + (0 if goodwill else amount)
    return made


@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),  # every try starts a world: a failure is told as it was found
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
async def test_what_goes_back_comes_back_once_whatever_happens(build: Build, data: st.DataObject) -> None:
    world = await build(settings=SELDOM)
    try:
        await _one_life(world, data)
    finally:
        await world.close()


async def _one_life(world: World, data: st.DataObject) -> None:
    franchisee_id = await world.franchisee()
    account = await world.account_of(franchisee_id)
    bills = [
        world.bill(franchisee_id, **figures) for figures in data.draw(st.lists(BILLS, min_size=1, max_size=4), label="bills")
    ]
    refunds = {bill.transaction_id: refunds_of(world, bill, data) for bill in bills}
    every = [refund for made in refunds.values() for refund in made]
    for trouble in data.draw(st.lists(TROUBLES, max_size=3, unique_by=str), label="troubles"):
        if isinstance(trouble, FaultRule):
            world.sandbox.add_fault(trouble)
        else:
            world.sandbox.add_outcome(trouble)
    repeats = data.draw(st.lists(st.sampled_from([*bills, *every]), max_size=3), label="told twice")
    story = data.draw(st.permutations([*bills, *map(received, bills), *every, *repeats]), label="order")
    bank = data.draw(st.integers(0, len(story)), label="the bank settles after")
    for place, event in enumerate(story):
        if place == bank:
            await world.settle()
            world.sandbox.settle(account)
        await world.publish(event)
        if data.draw(st.booleans(), label="rest"):
            await world.settle()
    await world.settle()
    await world.pass_time(3 * 3600)
    await _check(world, account, refunds)


async def _check(world: World, account: str, refunds: dict[int, list[OperatorRefundDecided]]) -> None:
    rows = await world.rows("SELECT * FROM ledger_entries ORDER BY id")
    for transaction, made in refunds.items():
        of_session = [row for row in rows if row["transaction_id"] == transaction]
        supply = {refund.number: refund for refund in made if not refund.goodwill_paise}
        assert sorted(row["refund_number"] for row in of_session if row["kind"] == "CORRECTION") == sorted(supply)
        assert min(sum(row[f"{line}_paise"] for row in of_session) for line in ("gst", "commission", "tds", "payout")) >= 0

    def payouts(*statuses: str) -> int:
        return sum(row["payout_paise"] for row in rows if row["status"] in statuses)

    assert {row["status"] for row in rows} <= {"ON_HOLD", "TRANSFERRED", "SETTLED"}, [dict(row) for row in rows]
    assert {row["hold_kind"] for row in rows if row["status"] == "ON_HOLD"} <= {"NETTED", "BELOW_MINIMUM"}
    state = world.sandbox.state
    moved = sum(transfer.amount for transfer in state.transfers.values() if transfer.status not in ("failed", "pending"))
    back = sum(reversal.amount for reversal in state.reversals.values())
    banked = sum(settlement.amount for settlement in state.settlements.values() if settlement.account_id == account)
    # The franchisee has what its entries and corrections that are done with come to: at the bank or in the linked account.
    assert world.sandbox.balances().get(account, 0) + banked == moved - back == payouts("TRANSFERRED", "SETTLED")
    ours: list[dict[str, Any]] = await world.rows("SELECT * FROM reversals WHERE status = 'DONE'")
    assert sorted(row["razorpay_reversal_id"] for row in ours) == sorted(state.reversals)
    assert not any(row["by_hand"] for row in ours)
    waiting = payouts("ON_HOLD")
    assert waiting < 100, "what comes to a rupee goes out"
    now = await agree(world)
    assert -(now.get("franchisee_payable", 0) + now.get("franchisee_carried", 0)) == waiting
    assert now.get("energy_revenue", 0) == 0, "every bill is a franchisee's, and split, less what was given back"
    decided_paise = sum(refund.amount_paise for made in refunds.values() for refund in made)
    assert now.get("goodwill", 0) == sum(refund.goodwill_paise for made in refunds.values() for refund in made)
    assert -now.get("refund_payable", 0) >= decided_paise
