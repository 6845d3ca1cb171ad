"""An explanation explains: each formula, worked out exactly from its own inputs, gives its amount."""

import re
from fractions import Fraction
from math import floor

from hypothesis import example, given, settings
from hypothesis import strategies as st

from money import (
    Derivation,
    FeeSource,
    Reduction,
    credit_note_lines,
    explain_bill,
    explain_credit_note,
    explain_energy_charge,
    explain_given_back,
    explain_hold_released,
    explain_invoice,
    explain_reduction,
    explain_wallet_bill,
    final_bill,
    invoice_lines,
    kwh,
    percent,
    rupees,
    supply_reduction,
)

searched = settings(max_examples=200, deadline=None)
paise = st.one_of(st.integers(0, 400), st.integers(0, 20_000), st.integers(0, 10**8))
energy = st.one_of(st.integers(0, 60), st.integers(0, 10**6))
bps = st.one_of(st.sampled_from([0, 1, 1_800, 10_000]), st.integers(0, 10_000))
SOURCES = {"energy_wh": "transaction txn_9", "tariff_paise_per_kwh": "tariff trf_3", "paid_paise": "payment pay_x"}


def worked_out(derivation: Derivation) -> Fraction:
    """The formula, in exact fractions. It may use its inputs, min and half_up, and nothing else."""
    text = derivation.formula.replace("×", "*").replace("÷", "/").replace("−", "-")
    text = re.sub(r"\d+", lambda number: f"Fraction({number.group()})", text)
    allowed = {
        "Fraction": Fraction,
        "half_up": lambda value: Fraction(floor(value + Fraction(1, 2))),
        "min": min,
        "__builtins__": {},
    }
    inputs = {name: Fraction(value) for name, value in derivation.inputs.items() if isinstance(value, int)}
    return Fraction(eval(text, allowed, inputs))  # noqa: S307  (our own formula, with nothing to call)


@searched
@given(energy_wh=energy, rate=st.integers(0, 3_000), gst_bps=bps, fee=paise, paid=paise, source=st.sampled_from(FeeSource))
@example(energy_wh=3333, rate=1800, gst_bps=1800, fee=236, paid=10_000, source=FeeSource.WEBHOOK)
@example(energy_wh=9999, rate=1800, gst_bps=1800, fee=236, paid=10_000, source=FeeSource.ESTIMATE)
@example(energy_wh=1, rate=1800, gst_bps=1800, fee=900, paid=300, source=FeeSource.API)
def test_every_amount_of_a_bill_follows_from_what_it_names(
    energy_wh: int, rate: int, gst_bps: int, fee: int, paid: int, source: FeeSource
) -> None:
    bill = final_bill(energy_wh=energy_wh, tariff_paise_per_kwh=rate, gst_bps=gst_bps, platform_fee_paise=fee, paid_paise=paid)
    told = explain_bill(
        bill, tariff_paise_per_kwh=rate, gst_bps=gst_bps, provider_fee_paise=fee, fee_source=source, sources=SOURCES
    )
    amounts = {derivation.name: derivation.paise for derivation in told}
    assert amounts == {name: getattr(bill, f"{name}_paise") for name in amounts}
    names = ["paid", "energy_charge", "gst", "platform_fee", "refund", "residue", "shortfall"]
    assert list(amounts) == names
    assert amounts["paid"] == sum(amounts[name] for name in names[1:6])
    for derivation in told:
        assert worked_out(derivation) == derivation.paise, derivation
        assert set(derivation.sources) <= set(derivation.inputs)
        assert derivation.paise == 0 or rupees(derivation.paise) in derivation.sentence


@searched
@given(energy_wh=energy, rate=st.integers(0, 3_000), gst_bps=bps, held=paise)
@example(energy_wh=3333, rate=1800, gst_bps=1800, held=20_000)
@example(energy_wh=6000, rate=1800, gst_bps=1800, held=10_000)
def test_every_amount_of_a_wallets_bill_follows_from_what_it_names(energy_wh: int, rate: int, gst_bps: int, held: int) -> None:
    bill = final_bill(energy_wh=energy_wh, tariff_paise_per_kwh=rate, gst_bps=gst_bps, platform_fee_paise=0, paid_paise=held)
    told = explain_wallet_bill(
        held_paise=held,
        energy_wh=energy_wh,
        energy_charge_paise=bill.energy_charge_paise,
        gst_paise=bill.gst_paise,
        shortfall_paise=bill.shortfall_paise,
        tariff_paise_per_kwh=rate,
        gst_bps=gst_bps,
        sources=SOURCES,
    )
    amounts = {derivation.name: derivation.paise for derivation in told}
    assert list(amounts) == ["held", "energy_charge", "gst", "released", "shortfall"]
    assert amounts["held"] == amounts["energy_charge"] + amounts["gst"] + amounts["released"] == held
    assert amounts["released"] == bill.refund_paise + bill.residue_paise, "what would go back to a payer stays in the wallet"
    for derivation in told:
        assert worked_out(derivation) == derivation.paise, derivation
        assert set(derivation.sources) <= set(derivation.inputs)
        assert derivation.paise == 0 or rupees(derivation.paise) in derivation.sentence


def test_a_wallets_bill_in_words() -> None:
    of = {"tariff_paise_per_kwh": 1_800, "gst_bps": 1_800, "sources": {"held_paise": "wse_8"}}
    told = explain_wallet_bill(
        held_paise=20_000, energy_wh=3_333, energy_charge_paise=5_999, gst_paise=1_080, shortfall_paise=0, **of
    )
    assert " ".join(one.sentence for one in told) == (
        "₹200.00 of the wallet were put aside. 3.333 kWh at ₹18.00 a kWh make ₹59.99. GST of 18 % on ₹59.99 is ₹10.80. "
        "₹129.21 of the hold were not used and stayed in the wallet. The hold covered all of it."
    )
    assert told[0].sources == {"held_paise": "wse_8"}
    told = explain_wallet_bill(
        held_paise=10_000, energy_wh=6_000, energy_charge_paise=8_475, gst_paise=1_525, shortfall_paise=2_744, **of
    )
    assert " ".join(one.sentence for one in told) == (
        "₹100.00 of the wallet were put aside. The hold ran out: of ₹100.00, ₹84.75 pay for energy, with GST on top. "
        "The rest, ₹15.25, is the GST of 18 % within it. All of the hold was used. "
        "6.000 kWh are worth ₹108.00 and ₹19.44 GST; ₹27.44 of that was not held and is our loss."
    )
    told = explain_hold_released(held_paise=500, because="Nobody plugged in.", sources={"held_paise": "wse_8"})
    assert [(one.name, one.paise, one.formula, dict(one.inputs)) for one in told] == [
        ("held", 500, "held_paise", {"held_paise": 500}),
        ("released", 500, "held_paise", {"held_paise": 500}),
    ]
    assert [one.sentence for one in told] == [
        "₹5.00 of the wallet were put aside. Nobody plugged in.",
        "Nothing was paid: all of it, ₹5.00, stayed in the wallet.",
    ]
    assert told[0].sources == {"held_paise": "wse_8"}


@searched
@given(paid=st.integers(1, 10**6), fee=paise)
def test_a_payment_given_back_is_all_refund_or_all_residue(paid: int, fee: int) -> None:
    told = explain_given_back(
        paid_paise=paid, provider_fee_paise=fee, fee_source=FeeSource.WEBHOOK, because="Why.", sources=SOURCES
    )
    assert [worked_out(derivation) for derivation in told] == [derivation.paise for derivation in told]
    assert told[0].paise == sum(derivation.paise for derivation in told[1:]) == paid


@searched
@given(charge=paise, gst=paise, fee=paise, gst_bps=bps, interstate=st.booleans())
def test_every_line_of_an_invoice_follows_from_the_bill(charge: int, gst: int, fee: int, gst_bps: int, interstate: bool) -> None:
    lines = invoice_lines(energy_charge_paise=charge, gst_paise=gst, platform_fee_paise=fee, interstate=interstate)
    told = explain_invoice(lines, gst_bps=gst_bps, interstate=interstate, state_tax="SGST", sources={"gst_paise": "bill"})
    for derivation in told:
        assert derivation.paise == getattr(lines, f"{derivation.name}_paise")
        assert worked_out(derivation) == derivation.paise, derivation
    assert told[-1].paise == sum(derivation.paise for derivation in told[:-1])


@searched
@given(energy_wh=energy, rate=st.integers(0, 3_000), gst_bps=bps)
def test_what_energy_is_worth_by_its_tariff(energy_wh: int, rate: int, gst_bps: int) -> None:
    for derivation in explain_energy_charge(energy_wh=energy_wh, tariff_paise_per_kwh=rate, gst_bps=gst_bps, sources=SOURCES):
        assert worked_out(derivation) == derivation.paise


@searched
@given(charge=st.integers(1, 10**6), gst_bps=bps, parts=st.lists(st.integers(1, 10**5), max_size=4), goodwill=st.booleans())
def test_every_part_of_what_an_operator_gave_back_follows_from_the_bill(
    charge: int, gst_bps: int, parts: list[int], goodwill: bool
) -> None:
    gst, before = (charge * gst_bps) // 10_000, 0
    for amount in parts:
        if before + amount > charge + gst:
            return
        lines = {"energy_charge_paise": charge, "gst_paise": gst}
        taken = supply_reduction(amount_paise=0 if goodwill else amount, before_paise=before, **lines)
        told = explain_reduction(amount_paise=amount, reduction=taken, before_paise=before, **lines, sources={})
        assert [worked_out(derivation) for derivation in told] == [derivation.paise for derivation in told]
        assert told[0].paise == sum(derivation.paise for derivation in told[1:]) == amount
        before += taken.amount_paise


@searched
@given(charge=paise, gst=paise, before=st.integers(0, 10**4), gst_bps=bps, interstate=st.booleans())
def test_every_line_of_a_credit_note_follows_from_the_refund(
    charge: int, gst: int, before: int, gst_bps: int, interstate: bool
) -> None:
    reduction = Reduction(energy_charge_paise=charge, gst_paise=gst)
    lines = credit_note_lines(reduction, gst_before_paise=before, interstate=interstate)
    told = explain_credit_note(
        lines, gst_before_paise=before, gst_bps=gst_bps, interstate=interstate, state_tax="SGST", sources={"gst_paise": "refund"}
    )
    for derivation in told:
        assert derivation.paise == getattr(lines, f"{derivation.name}_paise")
        assert worked_out(derivation) == derivation.paise, derivation
        assert set(derivation.sources) == {"gst_paise"} & set(derivation.inputs)
    assert told[-1].paise == sum(derivation.paise for derivation in told[:-1]) == charge + gst


def test_a_credit_note_in_words() -> None:
    def said(interstate: bool, before: int) -> str:
        lines = credit_note_lines(Reduction(energy_charge_paise=85, gst_paise=15), gst_before_paise=before, interstate=interstate)
        told = explain_credit_note(
            lines, gst_before_paise=before, gst_bps=1_800, interstate=interstate, state_tax="UTGST", sources={}
        )
        return " ".join(derivation.sentence for derivation in told)

    assert said(interstate=False, before=0) == (
        "The value of the energy is ₹0.85 less. CGST, ₹0.08, is its half of the ₹0.15 GST taken back, at 9 %. "
        "UTGST is as much as CGST. The supply was within one state: there is no IGST. "
        "-₹0.01 of the invoice's round-off falls to this note. Together that is ₹1.00, what was given back."
    )
    assert "₹0.01 of the invoice's round-off" in said(interstate=False, before=15)
    assert said(interstate=True, before=0) == (
        "The value of the energy is ₹0.85 less. The supply was between states: there are no halves. "
        "The supply was between states: there are no halves. IGST of 18 % is the whole GST taken back, ₹0.15. "
        "Nothing is rounded off. Together that is ₹1.00, what was given back."
    )


def test_figures_in_words() -> None:
    assert [kwh(0), kwh(5), kwh(3333)] == ["0.000 kWh", "0.005 kWh", "3.333 kWh"]
    assert [percent(1800), percent(1825), percent(1800, halved=True), percent(25, halved=True)] == [
        "18 %", "18.25 %", "9 %", "0.125 %",
    ]  # fmt: skip
