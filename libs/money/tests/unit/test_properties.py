"""What holds for every session, price, fee and rate: searched by Hypothesis, checked against exact fractions."""

from dataclasses import astuple
from fractions import Fraction
from math import floor
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from money import (
    BASIS_POINTS,
    MIN_REFUND_PAISE,
    WH_PER_KWH,
    Bill,
    TdsBase,
    calculate_settlement,
    divide_half_up,
    energy_affordable_wh,
    estimated_fee,
    final_bill,
    forecast_stop,
    milliseconds_until_wh,
)
from money.rounding import largest_rounding_to_at_most

# No deadline: a slow machine is no failure.
searched = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])

whole = st.integers(0, 10**12)
positive = st.integers(1, 10**12)
# Small figures meet rounding, minimum and fee edges; large ones meet what UPI and a truck's battery allow, and more.
paise = st.one_of(st.integers(0, 400), st.integers(0, 20_000), st.integers(0, 10**8))
energy = st.one_of(st.integers(0, 60), st.integers(0, 20_000), st.integers(0, 10**7))
tariff = st.one_of(st.integers(0, 40), st.integers(500, 3_000), st.integers(0, 10**5))
bps = st.one_of(st.sampled_from([0, 1, 10, 500, 1_800, 9_999, 10_000]), st.integers(0, BASIS_POINTS))

terms = st.fixed_dictionaries({"tariff_paise_per_kwh": tariff, "gst_bps": bps, "platform_fee_paise": paise})
priced_terms = terms.filter(lambda t: t["tariff_paise_per_kwh"] > 0)


def exact_half_up(value: Fraction) -> int:
    return floor(value + Fraction(1, 2))


@searched
@given(numerator=whole, denominator=positive)
def test_division_rounds_the_exact_fraction_half_up(numerator: int, denominator: int) -> None:
    assert divide_half_up(numerator, denominator) == exact_half_up(Fraction(numerator, denominator))


@searched
@given(n=whole, denominator=st.integers(1, 10**6))
def test_a_half_always_goes_up(n: int, denominator: int) -> None:
    assert divide_half_up((2 * n + 1) * denominator, 2 * denominator) == n + 1


@searched
@given(limit=st.integers(0, 10**6), multiplier=st.integers(1, 10**5), divisor=st.integers(1, 10**5))
def test_the_inverse_finds_the_last_that_rounds_to_the_limit(limit: int, multiplier: int, divisor: int) -> None:
    largest = largest_rounding_to_at_most(limit, multiplier=multiplier, divisor=divisor)
    assert divide_half_up(largest * multiplier, divisor) <= limit < divide_half_up((largest + 1) * multiplier, divisor)


@searched
@given(energy_wh=energy, paid_paise=paise, terms=terms)
def test_every_paisa_paid_is_in_exactly_one_line(energy_wh: int, paid_paise: int, terms: dict[str, int]) -> None:
    bill = final_bill(energy_wh=energy_wh, paid_paise=paid_paise, **terms)
    lines = (bill.energy_charge_paise, bill.gst_paise, bill.platform_fee_paise, bill.refund_paise, bill.residue_paise)
    assert sum(lines) == paid_paise
    assert all(type(line) is int and line >= 0 for line in astuple(bill))
    assert bill.refund_paise == 0 or bill.refund_paise >= MIN_REFUND_PAISE
    assert bill.residue_paise < MIN_REFUND_PAISE


@searched
@given(energy_wh=energy.filter(bool), paid_paise=paise, terms=terms)
def test_the_rider_is_never_overcharged(energy_wh: int, paid_paise: int, terms: dict[str, int]) -> None:
    bill = final_bill(energy_wh=energy_wh, paid_paise=paid_paise, **terms)
    charge = exact_half_up(Fraction(energy_wh * terms["tariff_paise_per_kwh"], WH_PER_KWH))
    gst = exact_half_up(Fraction(charge * terms["gst_bps"], BASIS_POINTS))
    fee = terms["platform_fee_paise"]
    # Line by line, at most what the energy costs; and all of it, wherever the payment reaches.
    assert bill.energy_charge_paise <= charge
    assert bill.gst_paise <= gst
    assert bill.platform_fee_paise <= fee
    assert bill.total_billed_paise == min(charge + gst + fee, paid_paise)
    assert bill.total_billed_paise + bill.shortfall_paise == charge + gst + fee


@searched
@given(energy_wh=energy.filter(bool), paid_paise=paise, terms=terms)
def test_a_capped_bill_contains_its_gst_to_the_paisa(energy_wh: int, paid_paise: int, terms: dict[str, int]) -> None:
    bill = final_bill(energy_wh=energy_wh, paid_paise=paid_paise, **terms)
    if bill.shortfall_paise:
        with_gst = bill.energy_charge_paise + bill.gst_paise
        assert abs(bill.gst_paise - Fraction(with_gst * terms["gst_bps"], BASIS_POINTS + terms["gst_bps"])) <= Fraction(1, 2)


@searched
@given(energy_wh=energy, more_wh=st.one_of(st.integers(1, 3), energy), paid_paise=paise, terms=terms)
def test_more_energy_never_gives_a_larger_refund(energy_wh: int, more_wh: int, paid_paise: int, terms: dict[str, int]) -> None:
    less, more = (final_bill(energy_wh=wh, paid_paise=paid_paise, **terms) for wh in (energy_wh, energy_wh + more_wh))
    assert more.refund_paise <= less.refund_paise
    assert more.refund_paise + more.residue_paise <= less.refund_paise + less.residue_paise
    assert more.shortfall_paise >= less.shortfall_paise


@searched
@given(energy_wh=energy, paid_paise=paise, extra_paise=paise, terms=terms)
def test_paying_more_comes_back_or_pays_the_shortfall(
    energy_wh: int, paid_paise: int, extra_paise: int, terms: dict[str, int]
) -> None:
    less, more = (final_bill(energy_wh=energy_wh, paid_paise=paid, **terms) for paid in (paid_paise, paid_paise + extra_paise))
    back = (more.refund_paise + more.residue_paise) - (less.refund_paise + less.residue_paise)
    assert back + (less.shortfall_paise - more.shortfall_paise) == extra_paise


@searched
@given(paid_paise=paise, terms=terms)
def test_without_energy_everything_goes_back(paid_paise: int, terms: dict[str, int]) -> None:
    bill = final_bill(energy_wh=0, paid_paise=paid_paise, **terms)
    assert bill.refund_paise + bill.residue_paise == paid_paise
    assert (bill.total_billed_paise, bill.shortfall_paise) == (0, 0)


@searched
@given(budget_paise=paise, terms=priced_terms)
@example(budget_paise=0, terms={"tariff_paise_per_kwh": 1, "gst_bps": 0, "platform_fee_paise": 0})
def test_the_forecast_agrees_with_the_bill_to_the_watt_hour(budget_paise: int, terms: dict[str, int]) -> None:
    affordable_wh = energy_affordable_wh(budget_paise=budget_paise, **terms)
    assert type(affordable_wh) is int
    assert final_bill(energy_wh=affordable_wh, paid_paise=budget_paise, **terms).shortfall_paise == 0
    assert final_bill(energy_wh=affordable_wh + 1, paid_paise=budget_paise, **terms).shortfall_paise > 0


@searched
@given(delivered_wh=energy, remaining_wh=energy.filter(bool), power_w=st.integers(1, 400_000))
def test_the_time_left_ends_in_the_millisecond_before_the_crossing(delivered_wh: int, remaining_wh: int, power_w: int) -> None:
    left_ms = milliseconds_until_wh(delivered_wh=delivered_wh, target_wh=delivered_wh + remaining_wh, power_w=power_w)
    assert type(left_ms) is int
    wh_per_ms = Fraction(power_w, 3_600_000)
    assert left_ms * wh_per_ms <= remaining_wh < (left_ms + 1) * wh_per_ms


@searched
@given(
    delivered_wh=energy, power_w=st.integers(1, 400_000), stop_latency_ms=st.integers(0, 60_000), budget_paise=paise, terms=terms
)
def test_a_stop_sent_when_due_leaves_no_shortfall(
    delivered_wh: int, power_w: int, stop_latency_ms: int, budget_paise: int, terms: dict[str, int]
) -> None:
    due_ms = forecast_stop(
        delivered_wh=delivered_wh, power_w=power_w, stop_latency_ms=stop_latency_ms, budget_paise=budget_paise, **terms
    )
    assert type(due_ms) is int
    # Power holds until the stop has taken effect; the meter shows whole Wh.
    final_wh = delivered_wh + (due_ms + stop_latency_ms) * power_w // 3_600_000
    bill = final_bill(energy_wh=final_wh, paid_paise=budget_paise, **terms)
    if due_ms > 0:
        assert bill.shortfall_paise == 0
    else:
        # At once: not a millisecond of margin was left.
        next_ms_wh = delivered_wh + Fraction((stop_latency_ms + 1) * power_w, 3_600_000)
        affordable_wh = energy_affordable_wh(budget_paise=budget_paise, **terms)
        assert delivered_wh >= affordable_wh or next_ms_wh > affordable_wh


@searched
@given(
    net_paise=paise,
    deductions=st.tuples(paise, paise, paise, paise),
    commission_bps=bps,
    tds_bps=bps,
    tds_base=st.sampled_from(TdsBase),
)
def test_every_paisa_of_the_gross_has_one_owner(
    net_paise: int, deductions: tuple[int, int, int, int], commission_bps: int, tds_bps: int, tds_base: TdsBase
) -> None:
    refund, residue, fee, gst = deductions
    split = calculate_settlement(
        gross_paise=net_paise + sum(deductions),
        refund_paise=refund,
        residue_paise=residue,
        pg_fee_paise=fee,
        gst_collected_paise=gst,
        commission_bps=commission_bps,
        tds_bps=tds_bps,
        tds_base=tds_base,
    )
    assert split.gross_paise == sum(deductions) + split.commission_paise + split.tds_paise + split.payout_paise
    assert (split.refund_paise, split.residue_paise, split.pg_fee_paise, split.gst_collected_paise) == deductions
    assert all(type(line) is int and line >= 0 for line in astuple(split))
    assert split.net_excl_gst_paise == net_paise
    assert split.commission_paise == exact_half_up(Fraction(net_paise * commission_bps, BASIS_POINTS))
    left = net_paise - split.commission_paise
    base = net_paise if tds_base is TdsBase.NET_EXCL_GST else left
    assert split.tds_paise == min(exact_half_up(Fraction(base * tds_bps, BASIS_POINTS)), left)


@searched
@given(energy_wh=energy.filter(bool), paid_paise=paise, terms=terms, commission_bps=bps, tds_bps=bps)
def test_what_a_bill_charges_for_energy_is_what_the_split_divides(
    energy_wh: int, paid_paise: int, terms: dict[str, int], commission_bps: int, tds_bps: int
) -> None:
    bill = final_bill(energy_wh=energy_wh, paid_paise=paid_paise, **terms)
    split = calculate_settlement(**_settled(bill), commission_bps=commission_bps, tds_bps=tds_bps)
    assert split.net_excl_gst_paise == bill.energy_charge_paise
    assert split.commission_paise + split.tds_paise + split.payout_paise == bill.energy_charge_paise


def _settled(bill: Bill) -> dict[str, Any]:
    return {
        "gross_paise": bill.paid_paise,
        "refund_paise": bill.refund_paise,
        "residue_paise": bill.residue_paise,
        "pg_fee_paise": bill.platform_fee_paise,
        "gst_collected_paise": bill.gst_paise,
    }


@searched
@given(paid_paise=paise, fee_bps=bps)
def test_the_estimate_never_exceeds_the_payment(paid_paise: int, fee_bps: int) -> None:
    fee_paise = estimated_fee(paid_paise, fee_bps)
    assert type(fee_paise) is int
    assert 0 <= fee_paise <= paid_paise
    assert fee_paise == exact_half_up(Fraction(paid_paise * fee_bps, BASIS_POINTS))
