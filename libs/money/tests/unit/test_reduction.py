"""A refund after the bill takes off energy charge and GST proportionally, in parts that add up whatever their number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from money import RefundExceedsSupplyError, divide_half_up, supply_reduction


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
