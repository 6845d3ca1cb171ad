"""Recomputing each formula from its inputs gives its paise; together they satisfy the identity."""

import re
from datetime import date
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from money import Derivation, TdsBase, divide_half_up
from settlement.domain.explain import (
    EntryFacts,
    SettlementFacts,
    TransferFacts,
    explain_entry,
    explain_settlement,
    explain_transfer,
    paragraph,
)
from settlement.domain.tax import Withholding, YearSoFar, divide


def worked_out(derivation: Derivation) -> int:
    """The formula, as somebody with a calculator reads it."""
    text = derivation.formula.replace("×", "*").replace("−", "-")
    text = re.sub(r"half_up\((.*) ÷ (\d+)\)", r"half_up(\1, \2)", text)
    assert "÷" not in text
    names: dict[str, Any] = {"half_up": divide_half_up, "min": min, "max": max, **derivation.inputs}
    return int(eval(text, {"__builtins__": {}}, names))  # noqa: S307  our own formulas


AMOUNTS = st.integers(0, 100_000)


@given(
    net=AMOUNTS,
    gst=AMOUNTS,
    fee=AMOUNTS,
    back=AMOUNTS,
    commission_bps=st.integers(0, 10_000),
    tds_bps=st.integers(0, 10_000),
    base=st.sampled_from(TdsBase),
    threshold=st.none() | st.integers(1, 1_000_000),
    before=st.tuples(st.integers(0, 1_000_000), st.integers(0, 10**9), st.integers(0, 50_000)),
)
def test_every_formula_of_an_entry_gives_its_amount(
    net: int, gst: int, fee: int, back: int, commission_bps: int, tds_bps: int, base: TdsBase, threshold: int | None,
    before: tuple[int, int, int],
) -> None:  # fmt: skip
    by = Withholding(section="s.1", tds_bps=tds_bps, tds_base=base, tax_rule_id=3, annual_threshold_paise=threshold)
    year = YearSoFar(year=2026, sales_paise=before[0], due_paise_bps=before[1], withheld_paise=before[2])
    refund, residue = (back, 0) if back >= 100 else (0, back)
    split = divide(
        gross_paise=net + gst + fee + back,
        refund_paise=refund,
        residue_paise=residue,
        pg_fee_paise=fee,
        gst_collected_paise=gst,
        commission_bps=commission_bps,
        by=by,
        year=year,
    )
    explained = explain_entry(
        EntryFacts(
            ledger_entry_id=4,
            transaction_id=9,
            qr_payment_id=17,
            gross_paise=split.gross_paise,
            refund_paise=refund,
            residue_paise=residue,
            pg_fee_paise=fee,
            gst_paise=gst,
            commission_paise=split.commission_paise,
            tds_paise=split.tds_paise,
            payout_paise=split.payout_paise,
            fee_source="API",
            commission_bps=commission_bps,
            terms_since=date(2026, 1, 5),
            tds_bps=tds_bps,
            tds_base=base,
            tds_section="s.1",
            tax_rule_id=3,
            annual_threshold_paise=threshold,
            year_sales_paise=year.sales_paise,
            year_due_paise_bps=year.due_paise_bps,
            year_withheld_paise=year.withheld_paise,
        )
    )
    for derivation in explained:
        assert worked_out(derivation) == derivation.paise, derivation
        assert set(derivation.sources) <= set(derivation.inputs), derivation
    found = {derivation.name: derivation.paise for derivation in explained}
    assert found["gross"] == sum(found[name] for name in ("refund", "residue", "pg_fee", "gst", "commission", "tds", "payout"))
    assert found["net"] == sum(found[name] for name in ("commission", "tds", "payout"))
    assert paragraph(explained).count("₹") >= 8


@given(st.dictionaries(st.integers(1, 99), st.integers(1, 99), max_size=6), st.integers(100, 10**6), st.none() | AMOUNTS)
def test_every_formula_of_a_transfer_gives_its_amount(carried: dict[int, int], payout: int, fee: int | None) -> None:
    entries = {**carried, 100: payout}
    explained = explain_transfer(
        TransferFacts(amount_paise=sum(entries.values()), entries=entries, lead_entry_id=100, fee_paise=fee, tax_paise=None)
    )
    assert [worked_out(derivation) for derivation in explained] == [derivation.paise for derivation in explained]
    assert [derivation.name for derivation in explained] == (
        ["amount"] + ["carried"] * bool(carried) + ["fee"] * (fee is not None)
    )


def test_a_settlement_says_what_no_transfer_explains() -> None:
    facts = SettlementFacts(settlement_id="setl_1", amount_paise=4_790, transfers=1, transfers_paise=4_793)
    (amount,) = explain_settlement(facts)
    assert worked_out(amount) == amount.paise
    assert amount.sentence == "₹47.90 went to the bank: ₹47.93 in 1 transfer and -₹0.03 that no transfer of ours explains."
