"""A refund after the bill takes off energy charge and GST proportionally, in parts that add up whatever their number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from money import (
    CreditNoteLines,
    InvoiceLines,
    NegativeQuantityError,
    Reduction,
    RefundExceedsSupplyError,
    credit_note_lines,
    divide_half_up,
    invoice_lines,
    percent,
    supply_reduction,
)


def test_gst_is_rounded_half_up_as_one_figure() -> None:
    # 1.00 of 118.00 with 18.00 GST: 15.25 paise of GST; 2.00: 30.5, half up 31.
    assert supply_reduction(amount_paise=100, before_paise=0, energy_charge_paise=10_000, gst_paise=1_800).gst_paise == 15
    assert supply_reduction(amount_paise=118, before_paise=0, energy_charge_paise=10_000, gst_paise=1_800).gst_paise == 18
    half = supply_reduction(amount_paise=1, before_paise=0, energy_charge_paise=1, gst_paise=1)
    assert (half.energy_charge_paise, half.gst_paise) == (0, 1)


@given(energy=st.integers(0, 10**7), gst=st.integers(0, 10**6), data=st.data())
def test_parts_add_up_to_what_one_refund_would_have_been(energy: int, gst: int, data: st.DataObject) -> None:
    left, before, taken = energy + gst, 0, [0, 0]
    for _ in range(data.draw(st.integers(0, 6), label="refunds")):
        amount = data.draw(st.integers(0, left), label="amount")
        part = supply_reduction(amount_paise=amount, before_paise=before, energy_charge_paise=energy, gst_paise=gst)
        assert part.amount_paise == amount
        taken = [taken[0] + part.energy_charge_paise, taken[1] + part.gst_paise]
        before, left = before + amount, left - amount
        assert taken[1] == (divide_half_up(before * gst, energy + gst) if before else 0)
        assert taken[0] <= energy
        assert taken[1] <= gst
    rest = supply_reduction(amount_paise=left, before_paise=before, energy_charge_paise=energy, gst_paise=gst)
    assert [taken[0] + rest.energy_charge_paise, taken[1] + rest.gst_paise] == [energy, gst]


def test_more_than_was_billed_is_refused() -> None:
    with pytest.raises(RefundExceedsSupplyError, match="by 1 paise") as refusal:
        supply_reduction(amount_paise=50, before_paise=69, energy_charge_paise=100, gst_paise=18)
    assert refusal.value.excess_paise == 1


LINES = ("taxable_paise", "cgst_paise", "sgst_paise", "igst_paise", "round_off_paise", "total_paise")


@given(energy=st.integers(0, 10**6), gst=st.integers(0, 10**5), interstate=st.booleans(), data=st.data())
def test_notes_never_take_off_more_than_an_invoice_has_and_all_of_it_together_is_the_invoice(
    energy: int, gst: int, interstate: bool, data: st.DataObject
) -> None:
    invoice = invoice_lines(energy_charge_paise=energy, gst_paise=gst, platform_fee_paise=0, interstate=interstate)
    sums = dict.fromkeys(LINES, 0)
    before = gst_before = 0
    while before < energy + gst:
        amount = data.draw(st.integers(1, energy + gst - before) | st.just(energy + gst - before), label="amount")
        part = supply_reduction(amount_paise=amount, before_paise=before, energy_charge_paise=energy, gst_paise=gst)
        note = credit_note_lines(part, gst_before_paise=gst_before, interstate=interstate)
        assert (note.total_paise, note.taxable_paise, note.gst_paise) == (amount, part.energy_charge_paise, part.gst_paise)
        sums = {line: paise + getattr(note, line) for line, paise in sums.items()}
        assert all(sums[line] <= getattr(invoice, line) for line in LINES if line != "round_off_paise")
        before, gst_before = before + amount, gst_before + part.gst_paise
    assert sums == {line: getattr(invoice, line) if energy + gst else 0 for line in LINES}


def test_an_odd_paisa_of_tax_is_shared_out_among_the_notes() -> None:
    # Halves of 15 are 8 and 8, a paisa too much; of 30 they are 15 and 15: the second note gives that paisa back.
    first, second = (
        credit_note_lines(
            supply_reduction(amount_paise=100, before_paise=before, energy_charge_paise=10_000, gst_paise=1_800),
            gst_before_paise=gst_before,
            interstate=False,
        )
        for before, gst_before in ((0, 0), (100, 15))
    )
    assert (first.taxable_paise, first.cgst_paise, first.sgst_paise, first.round_off_paise) == (85, 8, 8, -1)
    assert (second.taxable_paise, second.cgst_paise, second.sgst_paise, second.round_off_paise) == (84, 8, 8, 0)
    assert (first.gst_paise, second.gst_paise) == (15, 16)


def test_lines_of_a_note_that_do_not_add_up_can_not_be() -> None:
    sums = {"taxable_paise": 100, "cgst_paise": 9, "sgst_paise": 9, "igst_paise": 0, "round_off_paise": 1, "total_paise": 119}
    CreditNoteLines(**sums)
    CreditNoteLines(**{**sums, "round_off_paise": -1, "total_paise": 117})
    CreditNoteLines(**{**sums, "cgst_paise": 0, "sgst_paise": 0, "igst_paise": 18})
    for wrong in (
        {"total_paise": 118},
        {"sgst_paise": 8, "total_paise": 118},
        {"igst_paise": 18, "total_paise": 137},
        {"round_off_paise": 2, "total_paise": 120},
        {"round_off_paise": -2, "total_paise": 116},
    ):
        with pytest.raises(AssertionError):
            CreditNoteLines(**{**sums, **wrong})
    for name in ("taxable_paise", "cgst_paise", "sgst_paise", "igst_paise", "total_paise"):
        with pytest.raises(NegativeQuantityError):
            CreditNoteLines(**{**sums, name: -1})
    part = supply_reduction(amount_paise=1, before_paise=0, energy_charge_paise=1, gst_paise=0)
    with pytest.raises(NegativeQuantityError):
        credit_note_lines(part, gst_before_paise=-1, interstate=False)


@pytest.mark.parametrize("name", ["amount_paise", "before_paise", "energy_charge_paise", "gst_paise"])
def test_nothing_of_a_reduction_is_negative(name: str) -> None:
    figures = {"amount_paise": 1, "before_paise": 1, "energy_charge_paise": 100, "gst_paise": 100}
    with pytest.raises(NegativeQuantityError):
        supply_reduction(**{**figures, name: -1})
    if name in ("energy_charge_paise", "gst_paise"):
        with pytest.raises(NegativeQuantityError, match=name):
            Reduction(**{"energy_charge_paise": 1, "gst_paise": 1, name: -1})


@pytest.mark.parametrize("name", ["energy_charge_paise", "gst_paise", "platform_fee_paise"])
def test_nothing_of_an_invoice_is_negative(name: str) -> None:
    with pytest.raises(NegativeQuantityError, match=name):
        invoice_lines(**{"energy_charge_paise": 5, "gst_paise": 5, "platform_fee_paise": 5, name: -1}, interstate=True)


@pytest.mark.parametrize("name", ["taxable_paise", "cgst_paise", "sgst_paise", "igst_paise", "platform_fee_paise", "total_paise"])
def test_no_line_of_an_invoice_is_negative(name: str) -> None:
    lines = dict.fromkeys(("taxable_paise", "cgst_paise", "sgst_paise", "igst_paise", "platform_fee_paise", "total_paise"), 0)
    with pytest.raises(NegativeQuantityError, match=name):
        InvoiceLines(**{**lines, name: -1}, round_off_paise=0)


def test_a_percentage_keeps_its_zeros_before_the_point() -> None:
    assert [percent(bps) for bps in (1_000, 10_000, 1_850, 0)] == ["10 %", "100 %", "18.5 %", "0 %"]
