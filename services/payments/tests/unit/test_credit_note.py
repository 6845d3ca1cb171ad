"""Credit notes: their numbers, their years, and their lines."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from money import FinancialYear
from payments.domain.credit_note import SERIAL_MAX, CreditNote, Reduced, make_credit_note, series_of
from payments.domain.invoice import NUMBER_LENGTH_MAX, SeriesFullError

from .test_invoice import MIDNIGHT, NOW

REDUCED = Reduced(
    operator_refund_id=5, energy_charge_paise=1_271, gst_paise=229, gst_before_paise=0, invoice_id=42, interstate=False
)


def note(reduced: Reduced = REDUCED, serial: int = 7) -> CreditNote:
    series, year = series_of("VL", NOW)
    return make_credit_note(reduced, series=series, year=year, serial=serial, issued_at=NOW)


@given(
    prefix=st.from_regex(r"[A-Z0-9]{1,3}", fullmatch=True),
    seconds=st.integers(-(10**8), 10**8),
    serial=st.integers(1, SERIAL_MAX),
)
def test_every_number_is_one_that_the_rule_allows(prefix: str, seconds: int, serial: int) -> None:
    at = NOW + timedelta(seconds=seconds)
    series, year = series_of(prefix, at)
    made = make_credit_note(REDUCED, series=series, year=year, serial=serial, issued_at=at)
    assert made.number == f"{prefix}/{year.digits}/C{serial:06d}"
    assert len(made.number) <= NUMBER_LENGTH_MAX
    assert (made.series, made.serial, made.financial_year, made.issued_at) == (series, serial, year.first, at)
    assert FinancialYear.of_day(made.note_date) == year, "by India's calendar, like its series"


def test_the_year_turns_at_midnight_in_india_and_a_series_has_an_end() -> None:
    assert series_of("VL", MIDNIGHT - timedelta(microseconds=1)) == ("VL/2627/C", FinancialYear(2026))
    assert series_of("VL", MIDNIGHT) == ("VL/2728/C", FinancialYear(2027))
    assert note(serial=SERIAL_MAX).number == "VL/2627/C999999"
    with pytest.raises(SeriesFullError, match="VL/2627/C has no number 1000000: set another invoice_prefix"):
        note(serial=SERIAL_MAX + 1)


def test_a_note_is_what_was_given_back_and_its_tax_what_the_books_take_off() -> None:
    made = note()
    assert (made.lines.taxable_paise, made.lines.cgst_paise, made.lines.round_off_paise) == (1_271, 115, -1)
    assert (made.lines.gst_paise, made.lines.total_paise, made.reduced) == (229, 1_500, REDUCED)
    between = note(replace(REDUCED, interstate=True)).lines
    assert (between.igst_paise, between.cgst_paise, between.total_paise) == (229, 0, 1_500)
