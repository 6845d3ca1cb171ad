"""Invoices, credit notes, financial years, states: searched by Hypothesis, and a few by hand."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from money import (
    GST_STATES,
    FinancialYear,
    InvoiceLines,
    all_in_paise_per_kwh,
    energy_and_gst_paise,
    final_bill,
    india_date,
    invoice_lines,
    is_gstin,
    state_code,
    state_tax_name,
)

searched = settings(max_examples=200, deadline=None)
paise = st.one_of(st.integers(0, 400), st.integers(0, 10**8))
bps = st.one_of(st.sampled_from([0, 1, 500, 1_800, 10_000]), st.integers(0, 10_000))


@searched
@given(charge=paise, gst=paise, fee=paise, interstate=st.booleans())
@example(charge=5999, gst=1079, fee=236, interstate=False)
def test_the_lines_add_up_to_what_was_billed_whatever_that_was(charge: int, gst: int, fee: int, interstate: bool) -> None:
    lines = invoice_lines(energy_charge_paise=charge, gst_paise=gst, platform_fee_paise=fee, interstate=interstate)
    parts = (lines.taxable_paise, lines.cgst_paise, lines.sgst_paise, lines.igst_paise, lines.round_off_paise)
    assert sum(parts) + lines.platform_fee_paise == lines.total_paise == charge + gst + fee
    assert lines.gst_paise == gst, "the books' figure"
    assert lines.cgst_paise == lines.sgst_paise
    assert lines.round_off_paise == (0 if interstate or gst % 2 == 0 else -1)
    assert (lines.igst_paise, lines.cgst_paise) == ((gst, 0) if interstate else (0, (gst + 1) // 2))


@searched
@given(energy_wh=st.integers(1, 10**6), rate=st.integers(0, 10**4), gst_bps=bps, fee=paise, paid=paise)
def test_a_halfs_rate_gives_the_half_to_a_paisa_where_nothing_was_capped(
    energy_wh: int, rate: int, gst_bps: int, fee: int, paid: int
) -> None:
    bill = final_bill(energy_wh=energy_wh, tariff_paise_per_kwh=rate, gst_bps=gst_bps, platform_fee_paise=fee, paid_paise=paid)
    lines = invoice_lines(
        energy_charge_paise=bill.energy_charge_paise,
        gst_paise=bill.gst_paise,
        platform_fee_paise=bill.platform_fee_paise,
        interstate=False,
    )
    assert lines.total_paise == bill.total_billed_paise
    exact_twenty_thousandths = bill.energy_charge_paise * gst_bps
    # A capped bill's tax is what is left of the payment: half a paisa more of doubt for each of the two roundings.
    allowed = 20_000 if bill.shortfall_paise == 0 else 30_000
    assert abs(lines.cgst_paise * 20_000 - exact_twenty_thousandths) <= allowed


def test_lines_that_do_not_add_up_can_not_be() -> None:
    sums = {"taxable_paise": 100, "cgst_paise": 9, "sgst_paise": 9, "igst_paise": 0, "platform_fee_paise": 0}
    InvoiceLines(**sums, round_off_paise=-1, total_paise=117)
    for wrong in ({"total_paise": 118}, {"sgst_paise": 8, "total_paise": 116}, {"igst_paise": 18, "total_paise": 135}):
        with pytest.raises(AssertionError):
            InvoiceLines(**{**sums, "round_off_paise": -1, "total_paise": 117, **wrong})
    with pytest.raises(AssertionError):
        InvoiceLines(**sums, round_off_paise=1, total_paise=119)


@searched
@given(at=st.integers(0, 80 * 366 * 86_400).map(lambda seconds: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)))
def test_every_moment_is_in_one_financial_year_by_the_calendar_in_india(at: datetime) -> None:
    year = FinancialYear.at(at)
    assert year.begins <= india_date(at) <= year.ends
    assert FinancialYear.of_day(year.ends + timedelta(days=1)).first == year.first + 1
    assert (len(year.digits), year.label[:4]) == (4, str(year.first))


def test_the_year_turns_at_midnight_in_india_and_not_in_greenwich() -> None:
    midnight = datetime(2027, 3, 31, 18, 30, tzinfo=UTC)
    assert FinancialYear.at(midnight - timedelta(microseconds=1)) == FinancialYear(2026)
    assert FinancialYear.at(midnight) == FinancialYear(2027)
    assert india_date(midnight) == date(2027, 4, 1)
    assert (FinancialYear(2026).label, FinancialYear(2026).digits, FinancialYear(2099).label) == ("2026-27", "2627", "2099-00")
    with pytest.raises(ValueError, match="no time zone"):
        FinancialYear.at(datetime(2027, 4, 1, tzinfo=UTC).replace(tzinfo=None))


def test_states_by_name_and_code() -> None:
    assert len(GST_STATES) == 36
    for code, name in GST_STATES.items():
        assert state_code(name) == state_code(name.upper()) == state_code(code) == code
    spelt = {" karnataka ": "29", "Orissa": "21", "andaman & nicobar islands": "35", "7": "07", "28": "37", "25": "26"}
    assert {text: state_code(text) for text in spelt} == spelt
    assert [state_code(text) for text in ("", "Bengaluru", "00", "39", "99", "-1")] == [None] * 6
    assert [state_tax_name(code) for code in ("29", "04", "07", "38")] == ["SGST", "UTGST", "SGST", "UTGST"]


def test_a_gstin_is_known_by_its_check_character() -> None:
    assert is_gstin("27AAPFU0939F1ZV")
    for one_wrong in (
        "27AAPFU0939F1ZW",
        "28AAPFU0939F1ZV",
        "27AAPFU0993F1ZV",
        "99AAPFU0939F1ZV",
        "27aapfu0939f1zv",
        "27AAPFU0939F1Z",
    ):
        assert not is_gstin(one_wrong)


@searched
@given(rate=st.integers(0, 10**6), gst_bps=bps)
def test_the_price_on_show_is_the_bill_of_one_kwh(rate: int, gst_bps: int) -> None:
    shown = all_in_paise_per_kwh(paise_per_kwh=rate, gst_bps=gst_bps)
    assert shown == sum(energy_and_gst_paise(energy_wh=1000, tariff_paise_per_kwh=rate, gst_bps=gst_bps))
    # Half a paisa of rounding at the most: 1800 paise and 18 % are 2124.
    assert abs(shown * 10_000 - rate * (10_000 + gst_bps)) <= 5_000
