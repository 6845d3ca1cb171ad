"""Credit notes: listed and shown."""

from datetime import date, datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field

from chassis.web import PageQuery, PrefixedId
from money import FinancialYear
from payments.repository.credit_notes import CreditNoteRow
from payments.views.base import QrPaymentId, WalletSessionId
from payments.views.invoices import InvoiceId

CreditNoteId = Annotated[int, PrefixedId("crn")]


class CreditNoteView(BaseModel):
    """total = taxable + cgst + sgst + igst + round-off: what the refund took off the invoice."""

    id: CreditNoteId
    number: str = Field(description="consecutive in its series, which is new with each financial year")
    note_date: date = Field(description="India's day of issue")
    financial_year: str = Field(description="2026-27")
    invoice_id: InvoiceId = Field(description="what it reduces; seller, buyer and place are the invoice's")
    qr_payment_id: QrPaymentId | None = Field(description="whose bill is reduced; null: a wallet paid it")
    wallet_session_id: WalletSessionId | None = Field(description="the session that a wallet paid; null: a QR payment did")
    refund_number: int = Field(description="the operators' first, second, ... refund of the bill")
    reason: str = Field(description="the operator's")
    taxable_paise: int
    cgst_paise: int
    sgst_paise: int
    igst_paise: int
    round_off_paise: int = Field(description="-1 to 1: its part of the invoice's round-off")
    gst_paise: int = Field(description="GST as booked: the parts and the round-off together")
    total_paise: int = Field(description="what was given back")
    issued_at: datetime

    @classmethod
    def of(cls, row: CreditNoteRow) -> Self:
        """From its row."""
        values: dict[str, Any] = {name: getattr(row, name) for name in cls.model_fields.keys() - {"financial_year", "gst_paise"}}
        gst_paise = row.cgst_paise + row.sgst_paise + row.igst_paise + row.round_off_paise
        return cls(**values, financial_year=FinancialYear(row.financial_year).label, gst_paise=gst_paise)


class CreditNoteQuery(PageQuery):
    """Filters of the list."""

    first_day: date | None = Field(None, alias="from", description="first day in India, by the note's date")
    last_day: date | None = Field(None, alias="to", description="last day")
    payment_id: QrPaymentId | None = None
    invoice_id: InvoiceId | None = None
