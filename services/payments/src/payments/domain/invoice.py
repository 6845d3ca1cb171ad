"""A GST invoice: from a bill, the seller and the next number of its series. Rule 46 of the CGST Rules says what is on it."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from pydantic import AwareDatetime

from contracts.base import Contract
from money import FinancialYear, InvoiceLines, india_date, invoice_lines
from payments.domain.errors import PaymentsError

NUMBER_LENGTH_MAX: Final = 16
SERIAL_DIGITS: Final = 7
SERIAL_MAX: Final = 10**SERIAL_DIGITS - 1
PREFIX_PATTERN: Final = r"^[A-Z0-9]{1,3}$"
"""With `/2627/` and seven digits a number has at most the sixteen characters that Rule 46 allows."""


class SeriesFullError(PaymentsError):
    """Ten million invoices in one financial year: the next needs another prefix."""


@dataclass(frozen=True, slots=True)
class Seller:
    """Who sells the energy, as the invoice names them."""

    name: str
    gstin: str
    address: str
    sac: str

    @property
    def state_code(self) -> str:
        """A GSTIN begins with the code of the state that it was given in."""
        return self.gstin[:2]


class Supply(Contract):
    """One bill, as much of it as its invoice needs: frozen when it was made. Who makes a bill makes this."""

    source_key: str
    """Names the bill, once: qr_payment_17."""
    qr_payment_id: int | None
    transaction_id: int
    charge_point_id: str
    connector_id: int
    station_id: int
    station_name: str | None
    place_code: str | None
    """GST code of the station's state; None: nobody told."""
    franchisee_id: int | None
    buyer_reference: str
    buyer_masked: str | None
    tariff_id: int | None
    tariff_paise_per_kwh: int
    gst_bps: int
    energy_wh: int
    paid_paise: int | None
    energy_charge_paise: int
    gst_paise: int
    platform_fee_paise: int
    shortfall_paise: int
    started_at: AwareDatetime
    stopped_at: AwareDatetime
    billed_at: AwareDatetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice:
    """An invoice that is about to be issued, or a row of `invoices` but for its id."""

    number: str
    series: str
    serial: int
    financial_year: int
    invoice_date: date
    issued_at: datetime
    place_of_supply: str
    interstate: bool
    seller: Seller
    supply: Supply
    lines: InvoiceLines


def series_of(prefix: str, at: datetime) -> tuple[str, FinancialYear]:
    """The series that an invoice issued at this moment is numbered in: by India's calendar, not by Greenwich's."""
    year = FinancialYear.at(at)
    return f"{prefix}/{year.digits}", year


def number_in(series: str, serial: int) -> str:
    """`VL/2627/0000042`. Raises SeriesFullError."""
    if serial > SERIAL_MAX:
        raise SeriesFullError(f"{series} has no number {serial}: set another invoice_prefix")
    return f"{series}/{serial:0{SERIAL_DIGITS}d}"


def make_invoice(
    supply: Supply, seller: Seller, *, series: str, year: FinancialYear, serial: int, issued_at: datetime
) -> Invoice:
    """The invoice of a bill. Raises SeriesFullError, MoneyError, AssertionError for figures that are no bill.

    The place of supply is the station's state. Where nobody told it, it is the seller's own, as s.12(2)(b)(ii) of the IGST Act
    has it for a buyer who is not registered and has left no address.
    """
    place = supply.place_code or seller.state_code
    interstate = place != seller.state_code
    return Invoice(
        number=number_in(series, serial),
        series=series,
        serial=serial,
        financial_year=year.first,
        invoice_date=india_date(issued_at),
        issued_at=issued_at,
        place_of_supply=place,
        interstate=interstate,
        seller=seller,
        supply=supply,
        lines=invoice_lines(
            energy_charge_paise=supply.energy_charge_paise,
            gst_paise=supply.gst_paise,
            platform_fee_paise=supply.platform_fee_paise,
            interstate=interstate,
        ),
    )
