"""A credit note: what a refund after the bill takes off an invoice. Section 34 of the CGST Act, and Rule 53 on what is on it."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from money import CreditNoteLines, FinancialYear, Reduction, credit_note_lines, india_date
from payments.domain.invoice import SeriesFullError

SERIES_MARK: Final = "C"
SERIAL_DIGITS: Final = 6
SERIAL_MAX: Final = 10**SERIAL_DIGITS - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduced:
    """A refund that an operator decided, and the invoice whose supply it reduced."""

    operator_refund_id: int
    energy_charge_paise: int
    gst_paise: int
    gst_before_paise: int
    invoice_id: int
    interstate: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditNote:
    """A note that is about to be issued, or a row of `credit_notes` but for its id."""

    number: str
    series: str
    serial: int
    financial_year: int
    note_date: date
    issued_at: datetime
    reduced: Reduced
    lines: CreditNoteLines


def series_of(prefix: str, at: datetime) -> tuple[str, FinancialYear]:
    """The series of notes issued at this moment, beside that of invoices: `VL/2627/C`."""
    year = FinancialYear.at(at)
    return f"{prefix}/{year.digits}/{SERIES_MARK}", year


def make_credit_note(reduced: Reduced, *, series: str, year: FinancialYear, serial: int, issued_at: datetime) -> CreditNote:
    """The note of a refund: `VL/2627/C000042`. Raises SeriesFullError, MoneyError."""
    if serial > SERIAL_MAX:
        raise SeriesFullError(f"{series} has no number {serial}: set another invoice_prefix")
    reduction = Reduction(energy_charge_paise=reduced.energy_charge_paise, gst_paise=reduced.gst_paise)
    return CreditNote(
        number=f"{series}{serial:0{SERIAL_DIGITS}d}",
        series=series,
        serial=serial,
        financial_year=year.first,
        note_date=india_date(issued_at),
        issued_at=issued_at,
        reduced=reduced,
        lines=credit_note_lines(reduction, gst_before_paise=reduced.gst_before_paise, interstate=reduced.interstate),
    )
