"""Recomputing each formula from its inputs gives its paise; together they satisfy the identity."""

import re
from dataclasses import replace
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
    owed_words,
    paragraph,
    where_it_is,
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

FACTS = EntryFacts(
    ledger_entry_id=4,
    transaction_id=9,
    qr_payment_id=17,
    collected=False,
    gross_paise=10_000,
    refund_paise=2_685,
    residue_paise=0,
    pg_fee_paise=236,
    gst_paise=1_080,
    commission_paise=600,
    tds_paise=6,
    payout_paise=5_393,
    fee_source="WEBHOOK",
    commission_bps=1_000,
    terms_since=date(2026, 1, 5),
    tds_bps=10,
    tds_base=TdsBase.NET_EXCL_GST,
    tds_section="194-O",
    tax_rule_id=3,
    annual_threshold_paise=None,
    year_sales_paise=None,
    year_due_paise_bps=None,
    year_withheld_paise=None,
)


def said(facts: EntryFacts) -> dict[str, str]:
    """The sentence of each amount."""
    return {derivation.name: derivation.sentence for derivation in explain_entry(facts)}


def test_an_entry_in_words_with_where_each_input_comes_from() -> None:
    explained = explain_entry(FACTS)
    assert paragraph(explained, "The end.") == (
        "₹100.00 came in. The session cost ₹73.15, so ₹26.85 goes back to the rider. Nothing is left over below ₹1.00. "
        "Razorpay's fee in the bill is ₹2.36, as Razorpay told it with the payment. "
        "GST on the energy is ₹10.80 and goes to the state. That leaves ₹59.99 for the energy itself. "
        "The commission is 10 % of it: ₹6.00. Income tax withheld (194-O) is 0.1 % of the energy: ₹0.06. "
        "The rest, ₹53.93, is yours. The end."
    )
    assert {derivation.name: (dict(derivation.inputs), dict(derivation.sources)) for derivation in explained} == {
        "gross": ({"paid_paise": 10_000}, {"paid_paise": "payment qrp_17"}),
        "refund": (
            {"gross_paise": 10_000, "billed_paise": 7_315, "residue_paise": 0},
            {"billed_paise": "bill of txn_9", "residue_paise": "bill of txn_9"},
        ),
        "residue": (
            {"gross_paise": 10_000, "billed_paise": 7_315, "refund_paise": 2_685},
            {"billed_paise": "bill of txn_9", "refund_paise": "bill of txn_9"},
        ),
        "pg_fee": ({"fee_paise": 236, "fee_source": "WEBHOOK"}, {"fee_paise": "bill of txn_9"}),
        "gst": ({"billed_gst_paise": 1_080}, {"billed_gst_paise": "bill of txn_9"}),
        "net": (
            {"gross_paise": 10_000, "refund_paise": 2_685, "residue_paise": 0, "pg_fee_paise": 236, "gst_paise": 1_080},
            {
                "gross_paise": "payment qrp_17",
                "refund_paise": "bill of txn_9",
                "pg_fee_paise": "bill of txn_9",
                "gst_paise": "bill of txn_9",
            },
        ),
        "commission": (
            {"net_paise": 5_999, "commission_bps": 1_000},
            {"commission_bps": "terms in force since Mon 5 Jan 2026"},
        ),
        "tds": (
            {"base_paise": 5_999, "tds_bps": 10, "after_commission_paise": 5_399, "section": "194-O"},
            {"tds_bps": "tax rule txr_3", "base_paise": "NET_EXCL_GST, tax rule txr_3"},
        ),
        "payout": ({"net_paise": 5_999, "commission_paise": 600, "tds_paise": 6}, {}),
    }


def test_what_differs_is_said() -> None:
    residue = said(replace(FACTS, gross_paise=7_400, refund_paise=0, residue_paise=85))
    assert residue["refund"] == "The session cost ₹73.15: no refund."
    assert residue["residue"] == "₹0.85 is owed to the rider, less than the ₹1.00 that Razorpay refunds at least."
    fees = {source: said(replace(FACTS, fee_source=source))["pg_fee"] for source in ("API", "ESTIMATE", None, "OTHER")}
    assert fees == {
        "API": "Razorpay's fee in the bill is ₹2.36, as Razorpay told it when we asked.",
        "ESTIMATE": ("Razorpay's fee in the bill is ₹2.36, an estimate, since Razorpay had not told it when the session ended."),
        None: "Razorpay's fee in the bill is ₹2.36, as the bill has it.",
        "OTHER": "Razorpay's fee in the bill is ₹2.36, billed.",
    }


def test_a_wallets_session_says_whose_the_fee_is() -> None:
    wallet = replace(FACTS, qr_payment_id=None, gross_paise=7_079, refund_paise=0, pg_fee_paise=0, fee_source=None)
    words = said(wallet)
    assert words["gross"] == "₹70.79 were paid from a wallet."
    assert words["pg_fee"] == "Razorpay's fee in the bill is ₹0.00: that of the wallet's recharge is VoltLync's."
    gross, *_ = explain_entry(wallet)
    assert gross.sources == {"paid_paise": "session txn_9"}


def test_who_collects_itself_is_promised_no_payout() -> None:
    collected = replace(FACTS, collected=True)
    words = said(collected)
    assert words["gross"] == "₹100.00 came in on your own QR code."
    assert words["gst"] == "GST on the energy is ₹10.80: you collected it, and pay it to the state."
    assert words["payout"] == "The rest, ₹53.93, is yours, and you have it."
    assert owed_words(collected) == (
        "Nothing is paid out: the money went to your own account. You owe VoltLync commission and tax withheld, ₹6.06."
    )


def test_income_tax_in_words() -> None:
    terms = replace(FACTS, tax_rule_id=None, tds_section=None, tds_base=TdsBase.NET_LESS_COMMISSION, tds_bps=125)
    (tds,) = (one for one in explain_entry(terms) if one.name == "tds")
    assert tds.sentence == "Income tax withheld is 1.25 % of the energy less commission: ₹0.06."
    assert (tds.inputs["base_paise"], tds.sources) == (
        5_399,
        {
            "tds_bps": "terms in force since Mon 5 Jan 2026",
            "base_paise": "NET_LESS_COMMISSION, terms in force since Mon 5 Jan 2026",
        },
    )
    year = {"annual_threshold_paise": 50_000, "year_sales_paise": 42_685, "year_due_paise_bps": 350_000}
    under = replace(FACTS, **year, year_withheld_paise=0, tds_paise=0, payout_paise=5_399)
    (tds,) = (one for one in explain_entry(under) if one.name == "tds")
    assert (tds.formula, tds.sentence) == (
        "0",
        "No income tax is withheld (194-O): this financial year's sales are ₹500.00, at most ₹500.00.",
    )
    assert tds.sources["threshold_paise"] == "tax rule txr_3"
    # Residue is no sale; and where half of a year is kept, none of it is told.
    residue = replace(under, gross_paise=10_050, residue_paise=50)
    assert next(one for one in explain_entry(residue) if one.name == "tds").inputs["year_sales_paise"] == 50_000
    for missing in ("year_sales_paise", "year_withheld_paise"):
        assert "year" not in said(replace(under, **{missing: None}))["tds"]
    over = replace(FACTS, **{**year, "year_sales_paise": 42_686}, year_withheld_paise=10, tds_paise=31, payout_paise=5_368)
    (tds,) = (one for one in explain_entry(over) if one.name == "tds")
    assert worked_out(tds) == 31, "(350000 + 5999 x 10) / 10000 = 41, less 10"
    assert tds.sentence == (
        "Income tax withheld (194-O) is ₹0.31: this financial year's sales of ₹500.01 exceed ₹500.00, so 0.1 % of the energy "
        "is due on all of the year, less ₹0.10 withheld before."
    )
    assert tds.inputs == {
        "base_paise": 5_999,
        "tds_bps": 10,
        "after_commission_paise": 5_399,
        "section": "194-O",
        "year_sales_paise": 50_001,
        "threshold_paise": 50_000,
        "year_due_paise_bps": 350_000,
        "year_withheld_paise": 10,
    }
    assert tds.sources == {
        "tds_bps": "tax rule txr_3",
        "base_paise": "NET_EXCL_GST, tax rule txr_3",
        "year_sales_paise": "this financial year with this session",
        "threshold_paise": "tax rule txr_3",
    }


def test_a_transfer_in_words() -> None:
    facts = TransferFacts(amount_paise=5_493, entries={4: 60, 3: 40, 7: 5_393}, lead_entry_id=7, fee_paise=13, tax_paise=2)
    amount, carried, fee = explain_transfer(facts)
    assert (amount.sentence, amount.formula) == ("₹54.93 pays 3 sessions.", "led_3 + led_4 + led_7")
    assert (carried.paise, carried.sentence) == (
        100,
        "₹1.00 of it are payouts of under ₹1.00 from 2 earlier sessions, carried until now.",
    )
    assert carried.sources == {"led_3": "payout of led_3", "led_4": "payout of led_4"}
    assert fee.sentence == "Razorpay charges ₹0.13 for the transfer. VoltLync bears it; nothing is deducted."
    assert (fee.inputs, fee.sources) == (
        {"fee_without_gst_paise": 11, "fee_gst_paise": 2},
        {"fee_without_gst_paise": "Razorpay's transfer", "fee_gst_paise": "Razorpay's transfer"},
    )
    assert where_it_is(None, None) == "It is not at the bank yet, as far as Razorpay has told us."
    assert where_it_is("setl_1", None) == "Razorpay settled it to the bank with setl_1."
    assert where_it_is("setl_1", "UTR9") == "Razorpay settled it to the bank with setl_1 under the reference (UTR) UTR9."


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
            collected=False,
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
    assert amount.name == "amount"
    assert amount.inputs == {"transfers_paise": 4_793, "other_paise": -3, "transfers": 1}
    assert amount.sources == {
        "transfers_paise": "transfers settled by setl_1",
        "other_paise": "Razorpay's settlement",
    }
    exact = SettlementFacts(settlement_id="setl_1", amount_paise=4_793, transfers=2, transfers_paise=4_793)
    assert explain_settlement(exact)[0].sentence == "₹47.93 went to the bank: ₹47.93 in 2 transfers."
    assert amount.sentence == "₹47.90 went to the bank: ₹47.93 in 1 transfer and -₹0.03 that no transfer of ours explains."
