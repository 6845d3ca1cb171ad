"""GST invoices: listed, shown, exported."""

from datetime import date, datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from chassis.web import PageQuery, PrefixedId
from money import GST_STATES, FinancialYear, state_tax_name
from payments.repository.invoices import InvoiceRow
from payments.views.base import FranchiseeId, QrPaymentId, StationId, TransactionId

InvoiceId = Annotated[int, PrefixedId("inv")]
TariffId = Annotated[int, PrefixedId("trf")]


class InvoiceView(BaseModel):
    """total = taxable + cgst + sgst + igst + round-off + platform fee."""

    id: InvoiceId
    number: str = Field(description="consecutive in its series, which is new with each financial year")
    invoice_date: date = Field(description="India's day of issue")
    financial_year: str = Field(description="2026-27")
    qr_payment_id: QrPaymentId | None = Field(description="null: not paid by scanning")
    transaction_id: TransactionId
    charge_point_id: str
    connector_id: int
    station_id: StationId
    station_name: str | None
    franchisee_id: FranchiseeId | None
    buyer_reference: str = Field(description="an unregistered person, by our reference")
    buyer_masked: str | None = Field(description="masked")
    seller_name: str
    seller_gstin: str
    seller_address: str
    place_of_supply: str = Field(description="GST code and name of the state: 29-Karnataka")
    interstate: bool = Field(description="another state than the seller's: IGST in place of CGST and SGST")
    state_tax: str = Field(description="what sgst_paise is called there: SGST or UTGST")
    sac: str = Field(description="service accounting code")
    energy_wh: int
    tariff_id: TariffId | None = Field(description="the version that the session began under")
    tariff_paise_per_kwh: int
    gst_bps: int
    paid_paise: int | None
    taxable_paise: int
    cgst_paise: int
    sgst_paise: int
    igst_paise: int
    round_off_paise: int = Field(description="0 or -1: two equal halves of an odd figure are a paisa too much")
    gst_paise: int = Field(description="GST as booked: the parts and the round-off together")
    platform_fee_paise: int = Field(description="the payment provider's fee as borne by the rider, at cost; not taxed by us")
    total_paise: int
    shortfall_paise: int = Field(description="energy and GST beyond what was paid: not billed")
    started_at: datetime
    stopped_at: datetime
    issued_at: datetime

    @classmethod
    def of(cls, row: InvoiceRow) -> Self:
        """From its row."""
        derived = {"financial_year", "place_of_supply", "state_tax", "gst_paise"}
        values: dict[str, Any] = {name: getattr(row, name) for name in cls.model_fields.keys() - derived}
        return cls(
            **values,
            financial_year=FinancialYear(row.financial_year).label,
            place_of_supply=place_in_words(row.place_of_supply),
            state_tax=state_tax_name(row.place_of_supply),
            gst_paise=row.cgst_paise + row.sgst_paise + row.igst_paise + row.round_off_paise,
        )


def place_in_words(code: str) -> str:
    """29-Karnataka, as returns write it."""
    return f"{code}-{GST_STATES.get(code, '')}"


class InvoiceQuery(PageQuery):
    """Filters of the list."""

    financial_year: str | None = Field(None, pattern=r"^20\d\d-\d\d$", description="2026-27")
    first_day: date | None = Field(None, alias="from", description="first day in India, by the invoice's date")
    last_day: date | None = Field(None, alias="to", description="last day")
    station_id: StationId | None = None
    payment_id: QrPaymentId | None = None
    transaction_id: TransactionId | None = None
    number: str | None = Field(None, max_length=16)

    @property
    def year(self) -> int | None:
        """The calendar year in which the financial year begins."""
        return int(self.financial_year[:4]) if self.financial_year is not None else None

    @model_validator(mode="after")
    def _a_year_that_there_is(self) -> Self:
        if self.year is not None and FinancialYear(self.year).label != self.financial_year:
            raise ValueError(f"{self.financial_year} is no financial year; write {FinancialYear(self.year).label}")
        return self


class InvoiceExportQuery(BaseModel):
    """Of which month."""

    model_config = ConfigDict(extra="forbid")

    month: str = Field(pattern=r"^20\d\d-(0[1-9]|1[0-2])$", description="2026-12: by the invoices' dates, in India")

    @property
    def first_day(self) -> date:
        """The month's first day."""
        return date(int(self.month[:4]), int(self.month[5:]), 1)
