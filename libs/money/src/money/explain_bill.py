"""A bill's amounts, and an invoice's, each with the arithmetic that leads to it (feature B9).

A formula is written in the names of its inputs with +, −, ×, ÷, `min` and `half_up`; worked out exactly it gives the amount.
"""

import re
from collections.abc import Mapping
from functools import partial

from money.bill import MIN_REFUND_PAISE, Bill, energy_and_gst_paise
from money.credit_note import CreditNoteLines
from money.derivation import Derivation
from money.fee import FeeSource
from money.invoice import InvoiceLines
from money.reduction import Reduction
from money.text import rupees

CHARGE = "half_up(energy_wh × tariff_paise_per_kwh ÷ 1000)"
GST = "half_up(energy_charge_paise × gst_bps ÷ 10000)"
FULL_GST = f"half_up({CHARGE} × gst_bps ÷ 10000)"
CAPPED_GST = "paid_paise − platform_fee_paise − energy_charge_paise"
CAPPED_CHARGE = "half_up((paid_paise − platform_fee_paise) × 10000 ÷ (10000 + gst_bps))"
GST_OF_REDUCTION = (
    "half_up((before_paise + amount_paise) × billed_gst_paise ÷ supply_paise)"
    " − half_up(before_paise × billed_gst_paise ÷ supply_paise)"
)
DUE_BACK = "paid_paise − energy_charge_paise − gst_paise − platform_fee_paise"
HELD_CHARGE = "half_up(held_paise × 10000 ÷ (10000 + gst_bps))"
NOTHING = "0"

FEE_SOURCES: Mapping[FeeSource, str] = {
    FeeSource.WEBHOOK: "as its webhook told",
    FeeSource.API: "as its API told",
    FeeSource.ESTIMATE: "as we estimated, for it had not told",
}

Sources = Mapping[str, str]
"""Where inputs come from, by the input's name: {"energy_wh": "transaction txn_9"}. Each amount takes those of its own inputs."""


def explain_bill(
    bill: Bill,
    *,
    tariff_paise_per_kwh: int,
    gst_bps: int,
    provider_fee_paise: int,
    fee_source: FeeSource,
    sources: Sources,
) -> tuple[Derivation, ...]:
    """paid, energy_charge, gst, platform_fee, refund, residue, shortfall. The first is the sum of the five after it.

    `provider_fee_paise` is the payment's whole fee, of which the bill bears what the payment has room for.
    """
    capped = bill.shortfall_paise > 0
    figures: dict[str, int] = {
        "paid_paise": bill.paid_paise,
        "provider_fee_paise": provider_fee_paise,
        "platform_fee_paise": bill.platform_fee_paise,
        "energy_wh": bill.energy_wh,
        "tariff_paise_per_kwh": tariff_paise_per_kwh,
        "gst_bps": gst_bps,
        "energy_charge_paise": bill.energy_charge_paise,
        "gst_paise": bill.gst_paise,
    }
    derived = partial(_derived, figures, sources)

    charge, gst = rupees(bill.energy_charge_paise), rupees(bill.gst_paise)
    if capped:
        room = f"{rupees(bill.paid_paise)} paid less {rupees(bill.platform_fee_paise)} fee"
        charge_words = f"The payment ran out: of {room}, {charge} pay for energy, with GST on top."
        gst_words = f"The rest, {gst}, is the GST of {percent(gst_bps)} within it."
    else:
        charge_words = f"{kwh(bill.energy_wh)} at {rupees(tariff_paise_per_kwh)} a kWh make {charge}."
        gst_words = f"GST of {percent(gst_bps)} on {charge} is {gst}."
    return (
        derived("paid", bill.paid_paise, f"{rupees(bill.paid_paise)} were paid.", "paid_paise"),
        derived(
            "energy_charge",
            bill.energy_charge_paise,
            charge_words,
            CAPPED_CHARGE if capped else CHARGE,
        ),
        derived(
            "gst",
            bill.gst_paise,
            gst_words,
            "paid_paise − platform_fee_paise − energy_charge_paise" if capped else GST,
        ),
        derived(
            "platform_fee",
            bill.platform_fee_paise,
            _fee_words(bill, provider_fee_paise, fee_source),
            "min(provider_fee_paise, paid_paise)" if bill.energy_wh else NOTHING,
        ),
        derived("refund", bill.refund_paise, _refund_words(bill), DUE_BACK if bill.refund_paise else NOTHING),
        derived("residue", bill.residue_paise, _residue_words(bill), DUE_BACK if bill.residue_paise else NOTHING),
        derived(
            "shortfall",
            bill.shortfall_paise,
            _shortfall_words(bill, tariff_paise_per_kwh, gst_bps),
            f"{CHARGE} + {FULL_GST} + provider_fee_paise − paid_paise" if capped else NOTHING,
        ),
    )


def explain_given_back(
    *, paid_paise: int, provider_fee_paise: int, fee_source: FeeSource, because: str, sources: Sources
) -> tuple[Derivation, ...]:
    """paid, platform_fee, refund, residue of a payment that went back whole. `because`: a sentence that says why."""
    residue = paid_paise < MIN_REFUND_PAISE
    all_of_it = f"All of it, {rupees(paid_paise)},"
    fee_words = f"Razorpay's fee of {rupees(provider_fee_paise)}, {FEE_SOURCES[fee_source]}, is ours to bear."
    owed = f"{all_of_it} is owed as residue: less than {rupees(MIN_REFUND_PAISE)} can't be refunded."
    derived = partial(_derived, {"paid_paise": paid_paise}, sources)
    return (
        derived("paid", paid_paise, f"{rupees(paid_paise)} were paid. {because}".strip(), "paid_paise"),
        derived("platform_fee", 0, fee_words, NOTHING),
        derived(
            "refund",
            0 if residue else paid_paise,
            "Nothing is refunded." if residue else f"{all_of_it} goes back.",
            NOTHING if residue else "paid_paise",
        ),
        derived(
            "residue",
            paid_paise if residue else 0,
            owed if residue else "There is no residue.",
            "paid_paise" if residue else NOTHING,
        ),
    )


def explain_wallet_bill(
    *,
    held_paise: int,
    energy_wh: int,
    energy_charge_paise: int,
    gst_paise: int,
    shortfall_paise: int,
    tariff_paise_per_kwh: int,
    gst_bps: int,
    sources: Sources,
) -> tuple[Derivation, ...]:
    """held, energy_charge, gst, released, shortfall of a session that a wallet paid: the first is the sum of the next three."""
    capped = shortfall_paise > 0
    released_paise = held_paise - energy_charge_paise - gst_paise
    figures = {
        "held_paise": held_paise,
        "energy_wh": energy_wh,
        "tariff_paise_per_kwh": tariff_paise_per_kwh,
        "energy_charge_paise": energy_charge_paise,
        "gst_bps": gst_bps,
        "gst_paise": gst_paise,
    }
    derived = partial(_derived, figures, sources)
    held, charge, gst = rupees(held_paise), rupees(energy_charge_paise), rupees(gst_paise)
    if capped:
        charge_words = f"The hold ran out: of {held}, {charge} pay for energy, with GST on top."
        gst_words = f"The rest, {gst}, is the GST of {percent(gst_bps)} within it."
    else:
        charge_words = f"{kwh(energy_wh)} at {rupees(tariff_paise_per_kwh)} a kWh make {charge}."
        gst_words = f"GST of {percent(gst_bps)} on {charge} is {gst}."
    free_words = f"{rupees(released_paise)} of the hold were not used and stayed in the wallet."
    if capped:
        worth = energy_and_gst_paise(energy_wh=energy_wh, tariff_paise_per_kwh=tariff_paise_per_kwh, gst_bps=gst_bps)
        short_words = f"{_worth_words(energy_wh, *worth)}; {rupees(shortfall_paise)} of that was not held and is our loss."
    else:
        short_words = "The hold covered all of it."
    return (
        derived("held", held_paise, f"{held} of the wallet were put aside.", "held_paise"),
        derived("energy_charge", energy_charge_paise, charge_words, HELD_CHARGE if capped else CHARGE),
        derived("gst", gst_paise, gst_words, "held_paise − energy_charge_paise" if capped else GST),
        derived(
            "released",
            released_paise,
            free_words if released_paise else "All of the hold was used.",
            "held_paise − energy_charge_paise − gst_paise",
        ),
        derived("shortfall", shortfall_paise, short_words, f"{CHARGE} + {FULL_GST} − held_paise" if capped else NOTHING),
    )


def explain_hold_released(*, held_paise: int, because: str, sources: Sources) -> tuple[Derivation, ...]:
    """held, released of a session from which nothing was paid. `because`: a sentence that says why."""
    derived = partial(_derived, {"held_paise": held_paise}, sources)
    held = rupees(held_paise)
    return (
        derived("held", held_paise, f"{held} of the wallet were put aside. {because}".strip(), "held_paise"),
        derived("released", held_paise, f"Nothing was paid: all of it, {held}, stayed in the wallet.", "held_paise"),
    )


def explain_invoice(
    lines: InvoiceLines, *, gst_bps: int, interstate: bool, state_tax: str, sources: Sources
) -> tuple[Derivation, ...]:
    """taxable, cgst, sgst, igst, round_off, platform_fee, total: the last is the sum of those before it.

    `state_tax`: what the state's half is called there, SGST or UTGST.
    """
    figures: dict[str, int] = {
        "energy_charge_paise": lines.taxable_paise,
        "gst_paise": lines.gst_paise,
        "platform_fee_paise": lines.platform_fee_paise,
    }
    derived = partial(_derived, figures, sources)

    half = f"is half of the {rupees(lines.gst_paise)} GST billed, at {percent(gst_bps, halved=True)}"
    no_halves = "The supply is between states: there are no halves."
    odd = f"Two halves of {rupees(lines.gst_paise)} are a paisa more than it: {rupees(lines.round_off_paise)} is rounded off."
    return (
        derived("taxable", lines.taxable_paise, f"The energy is worth {rupees(lines.taxable_paise)}.", "energy_charge_paise"),
        derived(
            "cgst",
            lines.cgst_paise,
            no_halves if interstate else f"CGST, {rupees(lines.cgst_paise)}, {half}.",
            NOTHING if interstate else "half_up(gst_paise ÷ 2)",
        ),
        derived(
            "sgst",
            lines.sgst_paise,
            no_halves if interstate else f"{state_tax} is as much as CGST.",
            NOTHING if interstate else "half_up(gst_paise ÷ 2)",
        ),
        derived(
            "igst",
            lines.igst_paise,
            f"IGST of {percent(gst_bps)} is the whole GST billed, {rupees(lines.igst_paise)}."
            if interstate
            else "The supply is within one state: there is no IGST.",
            "gst_paise" if interstate else NOTHING,
        ),
        derived(
            "round_off",
            lines.round_off_paise,
            odd if lines.round_off_paise else "Nothing is rounded off.",
            NOTHING if interstate else "gst_paise − 2 × half_up(gst_paise ÷ 2)",
        ),
        derived(
            "platform_fee",
            lines.platform_fee_paise,
            f"The payment provider's fee, {rupees(lines.platform_fee_paise)}, is recovered at cost.",
            "platform_fee_paise",
        ),
        derived(
            "total",
            lines.total_paise,
            f"Together that is {rupees(lines.total_paise)}, what was billed.",
            "energy_charge_paise + gst_paise + platform_fee_paise",
        ),
    )


def explain_credit_note(
    lines: CreditNoteLines, *, gst_before_paise: int, gst_bps: int, interstate: bool, state_tax: str, sources: Sources
) -> tuple[Derivation, ...]:
    """taxable, cgst, sgst, igst, round_off, total of a refund's note: the last is the sum of those before it."""
    figures: dict[str, int] = {
        "energy_charge_paise": lines.taxable_paise,
        "gst_paise": lines.gst_paise,
        "gst_before_paise": gst_before_paise,
    }
    derived = partial(_derived, figures, sources)
    half = "half_up((gst_before_paise + gst_paise) ÷ 2) − half_up(gst_before_paise ÷ 2)"
    half_words = f"is its half of the {rupees(lines.gst_paise)} GST taken back, at {percent(gst_bps, halved=True)}"
    no_halves = "The supply was between states: there are no halves."
    return (
        derived(
            "taxable",
            lines.taxable_paise,
            f"The value of the energy is {rupees(lines.taxable_paise)} less.",
            "energy_charge_paise",
        ),
        derived(
            "cgst",
            lines.cgst_paise,
            no_halves if interstate else f"CGST, {rupees(lines.cgst_paise)}, {half_words}.",
            NOTHING if interstate else half,
        ),
        derived(
            "sgst",
            lines.sgst_paise,
            no_halves if interstate else f"{state_tax} is as much as CGST.",
            NOTHING if interstate else half,
        ),
        derived(
            "igst",
            lines.igst_paise,
            f"IGST of {percent(gst_bps)} is the whole GST taken back, {rupees(lines.igst_paise)}."
            if interstate
            else "The supply was within one state: there is no IGST.",
            "gst_paise" if interstate else NOTHING,
        ),
        derived(
            "round_off",
            lines.round_off_paise,
            f"{rupees(lines.round_off_paise)} of the invoice's round-off falls to this note."
            if lines.round_off_paise
            else "Nothing is rounded off.",
            NOTHING if interstate else f"gst_paise − 2 × ({half})",
        ),
        derived(
            "total",
            lines.total_paise,
            f"Together that is {rupees(lines.total_paise)}, what was given back.",
            "energy_charge_paise + gst_paise",
        ),
    )


def explain_energy_charge(
    *, energy_wh: int, tariff_paise_per_kwh: int, gst_bps: int, sources: Sources
) -> tuple[Derivation, Derivation]:
    """(energy_charge, gst) of an energy by its tariff, whatever was paid: what a bill is capped from."""
    charge_paise, gst_paise = energy_and_gst_paise(
        energy_wh=energy_wh, tariff_paise_per_kwh=tariff_paise_per_kwh, gst_bps=gst_bps
    )
    figures = {
        "energy_wh": energy_wh,
        "tariff_paise_per_kwh": tariff_paise_per_kwh,
        "energy_charge_paise": charge_paise,
        "gst_bps": gst_bps,
    }
    derived = partial(_derived, figures, sources)
    charge_words = f"{kwh(energy_wh)} at {rupees(tariff_paise_per_kwh)} a kWh make {rupees(charge_paise)}."
    gst_words = f"GST of {percent(gst_bps)} on {rupees(charge_paise)} is {rupees(gst_paise)}."
    return derived("energy_charge", charge_paise, charge_words, CHARGE), derived("gst", gst_paise, gst_words, GST)


def explain_reduction(
    *, amount_paise: int, reduction: Reduction, before_paise: int, energy_charge_paise: int, gst_paise: int, sources: Sources
) -> tuple[Derivation, ...]:
    """refund, gst, energy_charge, goodwill of what an operator gave back after the bill; the first is the sum of the others.

    A goodwill leaves the supply as it is: its `reduction` is of nothing.
    """
    figures = {
        "amount_paise": amount_paise,
        "before_paise": before_paise,
        "billed_gst_paise": gst_paise,
        "supply_paise": energy_charge_paise + gst_paise,
        "gst_paise": reduction.gst_paise,
    }
    derived = partial(_derived, figures, sources)
    goodwill = reduction.amount_paise == 0
    share = f"{rupees(amount_paise)} of the {rupees(energy_charge_paise + gst_paise)} billed for energy and GST"
    gst_words = f"It is {share}: {rupees(reduction.gst_paise)} of it is GST."
    kept = "The supply stands as it was billed."
    all_of_it = f"All of it, {rupees(amount_paise)}, is goodwill, at the platform's expense."
    return (
        derived("refund", amount_paise, f"{rupees(amount_paise)} were given back by an operator.", "amount_paise"),
        derived("gst", reduction.gst_paise, kept if goodwill else gst_words, NOTHING if goodwill else GST_OF_REDUCTION),
        derived(
            "energy_charge",
            reduction.energy_charge_paise,
            kept if goodwill else f"The rest, {rupees(reduction.energy_charge_paise)}, is energy.",
            NOTHING if goodwill else "amount_paise − gst_paise",
        ),
        derived(
            "goodwill",
            amount_paise - reduction.amount_paise,
            all_of_it if goodwill else "None of it is goodwill.",
            "amount_paise" if goodwill else NOTHING,
        ),
    )


def _derived(figures: Mapping[str, int], sources: Sources, name: str, paise: int, sentence: str, formula: str) -> Derivation:
    """With the inputs that the formula names, and where they come from."""
    named = re.findall(r"[a-z_]+", formula)
    return Derivation(
        name=name,
        paise=paise,
        sentence=sentence,
        formula=formula,
        inputs={figure: value for figure, value in figures.items() if figure in named},
        sources={figure: sources[figure] for figure in figures if figure in named and figure in sources},
    )


def _fee_words(bill: Bill, provider_fee_paise: int, source: FeeSource) -> str:
    if bill.energy_wh == 0:
        return "Nothing was delivered: the payment's fee is ours to bear."
    told = f"Razorpay's fee is {rupees(provider_fee_paise)}, {FEE_SOURCES[source]}"
    if bill.platform_fee_paise < provider_fee_paise:
        return f"{told}; of it {rupees(bill.platform_fee_paise)} are borne, all that was paid."
    return f"{told}."


def _refund_words(bill: Bill) -> str:
    if bill.refund_paise:
        return f"What is left of the payment, {rupees(bill.refund_paise)}, goes back."
    return "Nothing goes back."


def _residue_words(bill: Bill) -> str:
    if bill.residue_paise:
        return f"{rupees(bill.residue_paise)} are left, owed as residue: less than {rupees(MIN_REFUND_PAISE)} can't be refunded."
    return "There is no residue."


def _shortfall_words(bill: Bill, tariff_paise_per_kwh: int, gst_bps: int) -> str:
    if not bill.shortfall_paise:
        return "The payment covered all of it."
    charge, gst = energy_and_gst_paise(energy_wh=bill.energy_wh, tariff_paise_per_kwh=tariff_paise_per_kwh, gst_bps=gst_bps)
    worth = _worth_words(bill.energy_wh, charge, gst)
    return f"{worth}; {rupees(bill.shortfall_paise)} of that and the fee were not paid for and are our loss."


def _worth_words(energy_wh: int, charge_paise: int, gst_paise: int) -> str:
    return f"{kwh(energy_wh)} are worth {rupees(charge_paise)} and {rupees(gst_paise)} GST"


def kwh(energy_wh: int) -> str:
    """3333 Wh are "3.333 kWh"."""
    whole, rest = divmod(energy_wh, 1000)
    return f"{whole}.{rest:03d} kWh"


def percent(bps: int, *, halved: bool = False) -> str:
    """1800 basis points are "18 %", 1825 "18.25 %"; halved 9 % and 9.125 %."""
    thousandths = bps * 5 if halved else bps * 10
    whole, rest = divmod(thousandths, 1000)
    return f"{whole}{f'.{rest:03d}'.rstrip('0') if rest else ''} %"
