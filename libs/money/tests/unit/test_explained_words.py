"""What an explanation says, whole: a sentence that reads wrong is as bad as a wrong figure."""

from typing import Any

import pytest

from money import (
    Bill,
    Derivation,
    FeeSource,
    Reduction,
    explain_bill,
    explain_energy_charge,
    explain_given_back,
    explain_invoice,
    explain_reduction,
    final_bill,
    invoice_lines,
)


def said(told: tuple[Derivation, ...]) -> dict[str, str]:
    return {derivation.name: derivation.sentence for derivation in told}


def of(bill: Bill, fee: int = 236, source: FeeSource = FeeSource.WEBHOOK) -> tuple[Derivation, ...]:
    return explain_bill(
        bill,
        tariff_paise_per_kwh=1_800,
        gst_bps=1_800,
        provider_fee_paise=fee,
        fee_source=source,
        sources={"energy_wh": "txn_9", "gst_bps": "trf_3"},
    )


def bill(energy_wh: int, paid: int = 10_000, fee: int = 236) -> Bill:
    return final_bill(energy_wh=energy_wh, tariff_paise_per_kwh=1_800, gst_bps=1_800, platform_fee_paise=fee, paid_paise=paid)


def test_a_bill_that_the_payment_covered() -> None:
    told = of(bill(3_333))
    assert said(told) == {
        "paid": "₹100.00 were paid.",
        "energy_charge": "3.333 kWh at ₹18.00 a kWh make ₹59.99.",
        "gst": "GST of 18 % on ₹59.99 is ₹10.80.",
        "platform_fee": "Razorpay's fee is ₹2.36, as its webhook told.",
        "refund": "What is left of the payment, ₹26.85, goes back.",
        "residue": "There is no residue.",
        "shortfall": "The payment covered all of it.",
    }
    assert told[1].sources == {"energy_wh": "txn_9"}
    assert told[2].sources == {"gst_bps": "trf_3"}


def test_a_bill_that_ran_out() -> None:
    words = said(of(bill(9_999), source=FeeSource.ESTIMATE))
    assert (
        words["energy_charge"] == "The payment ran out: of ₹100.00 paid less ₹2.36 fee, ₹82.75 pay for energy, with GST on top."
    )
    assert words["gst"] == "The rest, ₹14.89, is the GST of 18 % within it."
    assert words["platform_fee"] == "Razorpay's fee is ₹2.36, as we estimated, for it had not told."
    assert words["refund"] == "Nothing goes back."
    assert words["shortfall"] == (
        "9.999 kWh are worth ₹179.98 and ₹32.40 GST; ₹114.74 of that and the fee were not paid for and are our loss."
    )


def test_a_residue_a_fee_beyond_the_payment_and_nothing_delivered() -> None:
    assert said(of(bill(4_590)))["residue"] == "₹0.15 are left, owed as residue: less than ₹1.00 can't be refunded."
    beyond = said(of(bill(1, paid=300, fee=900), fee=900, source=FeeSource.API))
    assert beyond["platform_fee"] == "Razorpay's fee is ₹9.00, as its API told; of it ₹3.00 are borne, all that was paid."
    assert said(of(bill(0)))["platform_fee"] == "Nothing was delivered: the payment's fee is ours to bear."


@pytest.mark.parametrize(
    ("paid", "refund", "residue"),
    [
        (3_000, "All of it, ₹30.00, goes back.", "There is no residue."),
        (100, "All of it, ₹1.00, goes back.", "There is no residue."),
        (99, "Nothing is refunded.", "All of it, ₹0.99, is owed as residue: less than ₹1.00 can't be refunded."),
    ],
)
def test_a_payment_given_back(paid: int, refund: str, residue: str) -> None:
    told = explain_given_back(
        paid_paise=paid,
        provider_fee_paise=71,
        fee_source=FeeSource.API,
        because="Nobody plugged in.",
        sources={"paid_paise": "pay_1"},
    )
    rupees = f"₹{paid // 100}.{paid % 100:02d}"
    assert said(told) == {
        "paid": f"{rupees} were paid. Nobody plugged in.",
        "platform_fee": "Razorpay's fee of ₹0.71, as its API told, is ours to bear.",
        "refund": refund,
        "residue": residue,
    }
    assert told[0].sources == {"paid_paise": "pay_1"}


def invoiced(gst: int, *, interstate: bool) -> dict[str, str]:
    lines = invoice_lines(energy_charge_paise=5_999, gst_paise=gst, platform_fee_paise=236, interstate=interstate)
    told = explain_invoice(
        lines, gst_bps=1_825, interstate=interstate, state_tax="UTGST", sources={"gst_paise": "bill", "energy_charge_paise": "x"}
    )
    assert told[0].sources == {"energy_charge_paise": "x"}
    return said(told)


def test_an_invoice_within_a_state() -> None:
    assert invoiced(1_079, interstate=False) == {
        "taxable": "The energy is worth ₹59.99.",
        "cgst": "CGST, ₹5.40, is half of the ₹10.79 GST billed, at 9.125 %.",
        "sgst": "UTGST is as much as CGST.",
        "igst": "The supply is within one state: there is no IGST.",
        "round_off": "Two halves of ₹10.79 are a paisa more than it: -₹0.01 is rounded off.",
        "platform_fee": "The payment provider's fee, ₹2.36, is recovered at cost.",
        "total": "Together that is ₹73.14, what was billed.",
    }
    assert invoiced(1_080, interstate=False)["round_off"] == "Nothing is rounded off."


def test_an_invoice_between_states() -> None:
    words = invoiced(1_079, interstate=True)
    assert words["cgst"] == words["sgst"] == "The supply is between states: there are no halves."
    assert words["igst"] == "IGST of 18.25 % is the whole GST billed, ₹10.79."
    assert words["round_off"] == "Nothing is rounded off."


def given_back(reduction: Reduction, amount: int = 2_000) -> tuple[Derivation, ...]:
    sources: dict[str, Any] = {
        "amount_paise": "staff|1",
        "supply_paise": "bill",
        "before_paise": "earlier",
        "billed_gst_paise": "b",
    }
    return explain_reduction(
        amount_paise=amount, reduction=reduction, before_paise=0, energy_charge_paise=5_999, gst_paise=1_080, sources=sources
    )


def test_what_an_operator_gave_back() -> None:
    told = given_back(Reduction(energy_charge_paise=1_695, gst_paise=305))
    assert said(told) == {
        "refund": "₹20.00 were given back by an operator.",
        "gst": "It is ₹20.00 of the ₹70.79 billed for energy and GST: ₹3.05 of it is GST.",
        "energy_charge": "The rest, ₹16.95, is energy.",
        "goodwill": "None of it is goodwill.",
    }
    assert told[1].sources == {
        "amount_paise": "staff|1",
        "supply_paise": "bill",
        "before_paise": "earlier",
        "billed_gst_paise": "b",
    }


def test_goodwill() -> None:
    assert said(given_back(Reduction(energy_charge_paise=0, gst_paise=0))) == {
        "refund": "₹20.00 were given back by an operator.",
        "gst": "The supply stands as it was billed.",
        "energy_charge": "The supply stands as it was billed.",
        "goodwill": "All of it, ₹20.00, is goodwill, at the platform's expense.",
    }


def test_energy_by_its_tariff() -> None:
    told = explain_energy_charge(energy_wh=3_333, tariff_paise_per_kwh=1_800, gst_bps=1_800, sources={"energy_wh": "txn_9"})
    assert said(told) == {
        "energy_charge": "3.333 kWh at ₹18.00 a kWh make ₹59.99.",
        "gst": "GST of 18 % on ₹59.99 is ₹10.80.",
    }
    assert told[0].sources == {"energy_wh": "txn_9"}
