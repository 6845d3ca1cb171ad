"""Whatever comes, in whatever order and however often: one entry per session, one living transfer per entry, no paisa astray."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.payments import PaymentBilled, PaymentReceived
from razorpay_simulator.faults import FaultRule
from razorpay_simulator.outcomes import OutcomeRule
from settlement.usecases.check_books import check_books

from .conftest import SELDOM, Build, World

CREATE = {"method": "POST", "path": "/v1/transfers"}
BILLS = st.fixed_dictionaries(
    {
        "energy_wh": st.one_of(st.integers(1, 60), st.integers(1, 9000)),
        "paid_paise": st.integers(100, 20_000),
        "fee_paise": st.integers(0, 400),
        "implausible": st.sampled_from([False, False, False, True]),
    }
)
TROUBLES = st.one_of(
    st.builds(
        FaultRule,
        kind=st.sampled_from(["error", "html", "reset"]),
        when=st.sampled_from(["before_effect", "after_effect"]),
        after=st.integers(0, 3),
        method=st.just("POST"),
        path=st.just("/v1/transfers"),
    ),
    st.builds(
        FaultRule,
        kind=st.sampled_from(["conflict", "throttle"]),
        times=st.integers(1, 3),
        **{k: st.just(v) for k, v in CREATE.items()},
    ),
    st.just(OutcomeRule(of="transfer", outcome="failed")),
)


@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
async def test_no_paisa_is_lost_or_paid_twice(build: Build, data: st.DataObject) -> None:
    world = await build(settings={**SELDOM, "settlement_poll_seconds": 86_400})
    try:
        await _one_life(world, data)
    finally:
        await world.close()


async def _one_life(world: World, data: st.DataObject) -> None:
    franchisee_id = await world.franchisee()
    bills = [
        world.bill(franchisee_id, **figures) for figures in data.draw(st.lists(BILLS, min_size=1, max_size=5), label="bills")
    ]
    # At most two troubles of each kind: attempts are bounded, and a person is no part of this.
    for trouble in data.draw(st.lists(TROUBLES, max_size=3, unique_by=str), label="troubles"):
        if isinstance(trouble, FaultRule):
            world.sandbox.add_fault(trouble)
        else:
            world.sandbox.add_outcome(trouble)
    world.forwarding = data.draw(st.booleans(), label="events come at once")
    repeats = data.draw(st.lists(st.sampled_from(bills), max_size=3), label="bills that come twice")
    for event in data.draw(st.permutations([*bills, *repeats, *map(received, bills)]), label="order"):
        await world.publish(event)
    await world.settle()
    await world.pass_time(3 * 3600)
    if data.draw(st.booleans(), label="settled in between"):
        world.sandbox.settle(await world.account_of(franchisee_id))
        await world.settle()
    # Every word of Razorpay's comes now, some again, in any order.
    events = [event for event in world.events if event.event.startswith(("transfer.", "settlement."))]
    again = data.draw(st.lists(st.sampled_from(events), max_size=4), label="words that come twice") if events else []
    for event in data.draw(st.permutations([*events, *again]), label="order of words"):
        await world.publish(event)
    await world.settle()
    await world.pass_time(3600)
    await _check(world, bills)


def received(bill: PaymentBilled) -> PaymentReceived:
    """What payments said of the payment that was billed."""
    return PaymentReceived(
        qr_payment_id=bill.qr_payment_id,
        razorpay_payment_id=bill.razorpay_payment_id,
        qr_code_id=1,
        amount_paise=bill.paid_paise,
        platform_fee_paise=bill.platform_fee_paise,
        received_at=bill.started_at,
    )


async def _check(world: World, bills: list[PaymentBilled]) -> None:
    rows = await world.rows("SELECT * FROM ledger_entries ORDER BY transaction_id")
    assert [row["transaction_id"] for row in rows] == sorted(bill.transaction_id for bill in bills)
    of_bill = {bill.transaction_id: bill for bill in bills}
    for row in rows:
        bill = of_bill[row["transaction_id"]]
        assert row["gross_paise"] == bill.paid_paise
        lines = ("refund", "residue", "pg_fee", "gst", "commission", "tds", "payout")
        assert row["gross_paise"] == sum(row[f"{line}_paise"] for line in lines)

    live = await world.rows("SELECT ledger_entry_id, count(*) AS n FROM allocations WHERE live GROUP BY ledger_entry_id")
    assert all(row["n"] == 1 for row in live)
    moved = [transfer for transfer in world.sandbox.state.transfers.values() if transfer.status == "processed"]
    by_session: dict[str, int] = {}
    for transfer in moved:
        by_session[str(transfer.notes["transaction_id"])] = by_session.get(str(transfer.notes["transaction_id"]), 0) + 1
    assert set(by_session.values()) <= {1}, "a session was paid twice"

    def paid(row: dict[str, Any]) -> bool:
        return row["status"] in ("TRANSFERRED", "SETTLED") and row["payout_paise"] > 0

    assert sum(transfer.amount for transfer in moved) == sum(row["payout_paise"] for row in rows if paid(row))
    held = {(row["status"], row["hold_kind"]) for row in rows if not paid(row) and row["payout_paise"] > 0}
    assert held <= {("ON_HOLD", "IMPLAUSIBLE"), ("ON_HOLD", "BELOW_MINIMUM")}, held
    waiting = sum(row["payout_paise"] for row in rows if row["hold_kind"] == "BELOW_MINIMUM")
    assert waiting < 100, "a rupee of small payouts is a payout"
    assert await world.dead() == 0
    await _books_agree(world, rows)


async def _books_agree(world: World, rows: list[dict[str, Any]]) -> None:
    """Whatever happened, each journal is what it should be, and the accounts are the rows' own sums."""
    await check_books(world.service.app)
    assert world.service.app.metrics.books_differences._value.get() == 0
    owed = await world.rows("SELECT account, sum(credit_paise - debit_paise) AS paise FROM postings GROUP BY account")
    of = {row["account"]: int(row["paise"]) for row in owed}
    assert sum(of.values()) == 0

    def payouts(*statuses: str) -> int:
        return sum(row["payout_paise"] for row in rows if row["status"] in statuses)

    waiting = of.get("franchisee_payable", 0) + of.get("franchisee_carried", 0)
    assert waiting == payouts("PENDING", "ON_HOLD")
    assert of.get("franchisee_in_transfer", 0) == -of.get("linked_accounts", 0) == payouts("TRANSFERRED")
    assert of.get("energy_revenue", 0) == 0, "every bill is a franchisee's, and split"
