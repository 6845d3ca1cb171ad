"""Wallets in the books by property: whatever comes, however often and in whatever order, the control account is their sum."""

from collections import Counter
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from money import final_bill
from settlement.domain.books import Journal, MoneyEvent, RechargeCaptured, RechargeFeeRecorded, WalletSessionBilled

NOW = datetime(2026, 12, 1, 6, 0, tzinfo=UTC)

RECHARGES = st.lists(
    st.tuples(st.integers(1, 500_000), st.one_of(st.none(), st.integers(0, 12_000)), st.integers(0, 2_000)), max_size=5
)
SESSIONS = st.lists(
    st.tuples(st.integers(1, 60_000), st.integers(1, 4_000), st.sampled_from([0, 500, 1800, 2800]), st.integers(0, 10_000)),
    max_size=6,
)
"""(energy in Wh, tariff, GST, the share of the free balance that is held, in basis points)."""


@given(recharges=RECHARGES, sessions=SESSIONS, data=st.data())
def test_the_control_account_is_the_sum_of_wallets(
    recharges: list[tuple[int, int | None, int]], sessions: list[tuple[int, int, int, int]], data: st.DataObject
) -> None:
    events: list[MoneyEvent] = []
    wallet = fees = taxes = 0
    for number, (amount, fee, tax_bps) in enumerate(recharges, 1):
        wallet += amount
        tax = None if fee is None else fee * tax_bps // 10_000
        events.append(
            RechargeCaptured(occurred_at=NOW, recharge_payment_id=number, amount_paise=amount, fee_paise=fee, tax_paise=tax)
        )
        if fee is None:
            fee, tax = amount // 50, amount // 400
            events.append(RechargeFeeRecorded(occurred_at=NOW, recharge_payment_id=number, fee_paise=fee, tax_paise=tax))
        fees, taxes = fees + fee, taxes + (tax or 0)
    billed = energy = gst = shortfall = 0
    for number, (energy_wh, tariff, gst_bps, held_bps) in enumerate(sessions, 1):
        held = wallet * held_bps // 10_000
        if not held:
            continue
        bill = final_bill(
            energy_wh=energy_wh, tariff_paise_per_kwh=tariff, gst_bps=gst_bps, platform_fee_paise=0, paid_paise=held
        )
        assert bill.total_billed_paise <= held
        wallet -= bill.total_billed_paise
        billed, shortfall = billed + bill.total_billed_paise, shortfall + bill.shortfall_paise
        energy, gst = energy + bill.energy_charge_paise, gst + bill.gst_paise
        events.append(
            WalletSessionBilled(
                occurred_at=NOW,
                wallet_session_id=number,
                billed_paise=bill.total_billed_paise,
                energy_charge_paise=bill.energy_charge_paise,
                gst_paise=bill.gst_paise,
                shortfall_paise=bill.shortfall_paise,
            )
        )
    assert wallet >= 0
    told = data.draw(st.permutations(events + events[: len(events) // 2]), label="told, some of it twice")
    kept: dict[str, Journal] = {}
    for event in told:
        if (journal := event.journal()) is not None:
            kept.setdefault(journal.key, journal)
    of: Counter[str] = Counter()
    for journal in kept.values():
        for line in journal.postings:
            of[line.account] += line.debit_paise - line.credit_paise
    assert -of["wallet_liability"] == wallet
    assert (-of["energy_revenue"], -of["gst_output"]) == (energy, gst)
    assert energy + gst == billed
    assert of["nodal"] == wallet + billed - fees
    assert (of["recharge_fees"], of["gst_input"]) == (fees - taxes, taxes)
    assert of["shortfall"] == -of["shortfall_contra"] == shortfall
    assert sum(of.values()) == 0
