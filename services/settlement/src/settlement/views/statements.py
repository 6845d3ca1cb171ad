"""A franchisee's money over time: summary, days, payouts, statements."""

from datetime import date, datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from chassis.web import Page, PageQuery
from settlement.domain.franchisee_statement import FIGURES, Figures, Statement
from settlement.domain.payout_calendar import Outlook, PayoutStatus
from settlement.views.base import FranchiseeId, LedgerEntryId, Paise, StationId, TransactionId, TransferId

StatementMonth = Annotated[str, Field(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$", examples=["2026-01"])]
"""A month in India: 2026-11."""

DAYS_MAX = 366


class DaysQuery(BaseModel):
    """Of which days. Days are India's, by when we booked; the last one is included. Default: this month."""

    model_config = ConfigDict(extra="forbid")

    first_day: Annotated[date | None, Field(alias="from", description="first day; default: the first of that month")] = None
    last_day: Annotated[date | None, Field(alias="to", description="last day; default: today")] = None

    @model_validator(mode="after")
    def _a_span_of_days(self) -> Self:
        if self.first_day and self.last_day and not 0 <= (self.last_day - self.first_day).days < DAYS_MAX:
            raise ValueError(f"`to` is on or after `from`, and within {DAYS_MAX} days")
        return self


class FiguresView(BaseModel):
    """Signed sums: gross = refund + residue + pg_fee + gst + commission + tds + payout."""

    sessions: int
    energy_wh: int
    gross_paise: Paise
    refund_paise: Paise
    residue_paise: Paise
    pg_fee_paise: Paise
    gst_paise: Paise
    commission_paise: Paise
    tds_paise: Paise
    payout_paise: Annotated[int, Field(description="earned; paise")]


def figures_of(figures: Figures) -> dict[str, int]:
    """By their names."""
    return {name: getattr(figures, name) for name in FIGURES}


class PayoutView(BaseModel):
    """Money on its way to the bank, or there."""

    status: PayoutStatus
    amount_paise: Paise
    sessions: int | None = Field(description="how many sessions it pays; null where it is paid: look up its UTR")
    transfers: int | None = Field(description="how many transfers it settled; null where it is not paid")
    settlement_id: str | None
    utr: str | None = Field(description="the bank's reference")
    paid_at: datetime | None = Field(description="when we learnt that Razorpay settled it")
    expected_on: date | None = Field(description="by which day, in India, the bank should have it; null: nobody can say yet")
    words: str = Field(description="the same in plain words")

    @classmethod
    def expected(cls, outlook: Outlook, *, sessions: int, amount_paise: int) -> Self:
        """Of what is not at the bank."""
        return cls(
            status=outlook.status,
            amount_paise=amount_paise,
            sessions=sessions,
            transfers=None,
            settlement_id=None,
            utr=None,
            paid_at=None,
            expected_on=outlook.expected_on,
            words=outlook.words,
        )

    @classmethod
    def paid(cls, row: Any) -> Self:
        """Of a line per settlement."""
        told = f"under the reference (UTR) {row.utr}" if row.utr else "; its reference (UTR) has not been told yet"
        return cls(
            status=PayoutStatus.PAID,
            amount_paise=row.amount_paise,
            sessions=None,
            transfers=row.transfers,
            settlement_id=row.settlement_id,
            utr=row.utr,
            paid_at=row.paid_at,
            expected_on=None,
            words=f"Razorpay paid it to your bank {told}." if row.utr else f"Razorpay paid it to your bank{told}.",
        )


class PayoutsView(Page[PayoutView]):
    """What was paid, newest first; on the first page also what is expected."""

    expected: list[PayoutView] = Field(description="what is not at the bank yet; empty on further pages")


class SummaryView(FiguresView):
    """What a franchisee earned in a time, what was paid in it, and what is open now."""

    franchisee_id: FranchiseeId
    first_day: date
    last_day: date
    paid_paise: Annotated[int, Field(description="reached the bank in this time; paise")]
    balance_paise: Annotated[int, Field(description="owed now, whatever it waits for; paise")]
    in_transfer_paise: Annotated[int, Field(description="of it on its way to the bank; paise")]
    on_hold_paise: Annotated[int, Field(description="of it on hold; paise")]
    carried_paise: Annotated[int, Field(description="of it under ₹1 each, carried to the next payouts; paise")]
    on_hold: list[PayoutView] = Field(description="what is held, by reason")
    next_expected: PayoutView | None = Field(description="what should be at the bank first; null: nothing is under way")


class DayView(FiguresView):
    """A day in India."""

    day: date
    paid_paise: Annotated[int, Field(description="reached the bank that day; paise")]


class DailyView(BaseModel):
    """A line per day, days of nothing included: ready to be drawn."""

    days: list[DayView]


class PayoutLookup(PageQuery):
    """By what payouts are looked up."""

    utr: Annotated[str, Field(min_length=1, max_length=60, description="the bank's reference")]


class PaidSessionView(BaseModel):
    """A session that a payout paid: from the bank's line to the charger."""

    utr: str
    settlement_id: str | None
    franchisee_id: FranchiseeId
    transfer_id: TransferId
    razorpay_transfer_id: str | None
    ledger_entry_id: LedgerEntryId
    transaction_id: TransactionId
    station_id: StationId
    charge_point_id: str
    started_at: datetime
    energy_wh: int
    amount_paise: Annotated[int, Field(description="of the transfer; paise")]
    paid_at: datetime | None


class TotalLineView(BaseModel):
    """A line of a statement's totals."""

    name: str
    words: str
    paise: Annotated[int, Field(description="signed; paise")]


class PlaceView(FiguresView):
    """A charger on a day."""

    day: date
    station_id: StationId | None
    charge_point_id: str | None


class TaxView(BaseModel):
    """TDS under one section at one rate."""

    section: str
    tds_bps: int
    base_paise: Annotated[int, Field(description="sales without GST; paise")]
    tds_paise: Paise


class StatementPaymentView(BaseModel):
    """What reached the bank by one settlement."""

    paid_at: datetime
    settlement_id: str | None
    utr: str | None
    transfers: int
    amount_paise: Paise


class StatementView(BaseModel):
    """A month: opening balance + earned - paid = closing balance. Its sessions are in the CSV and XLSX forms."""

    franchisee_id: FranchiseeId
    month: str
    until: datetime = Field(description="what is in it happened before this time")
    closed: bool = Field(description="false: the month is not over, more may come")
    opening_paise: Paise
    earned_paise: Paise
    paid_paise: Paise
    closing_paise: Paise
    lines: list[TotalLineView] = Field(description="the totals as the CSV, XLSX and PDF forms show them")
    sessions: FiguresView
    corrections: FiguresView
    places: list[PlaceView]
    payments: list[StatementPaymentView]
    taxes: list[TaxView]

    @classmethod
    def of(cls, statement: Statement) -> Self:
        """From the fold."""
        sessions, corrections = (FiguresView(**figures_of(figures)) for figures in statement.totals.values())
        return cls(
            franchisee_id=statement.owner.franchisee_id,
            month=str(statement.month),
            until=statement.until,
            closed=statement.closed,
            opening_paise=statement.opening_paise,
            earned_paise=statement.total.payout_paise,
            paid_paise=statement.paid_paise,
            closing_paise=statement.closing_paise,
            lines=[TotalLineView(name=line.name, words=line.words, paise=line.paise) for line in statement.lines()],
            sessions=sessions,
            corrections=corrections,
            places=[
                PlaceView(
                    day=place.day,
                    station_id=place.station_id or None,
                    charge_point_id=place.charge_point_id or None,
                    **figures_of(statement.places[place]),
                )
                for place in sorted(statement.places)
            ],
            payments=[StatementPaymentView.model_validate(item, from_attributes=True) for item in statement.payments],
            taxes=[
                TaxView(section=section, tds_bps=bps, base_paise=tax.base_paise, tds_paise=tax.tds_paise)
                for (section, bps), tax in sorted(statement.taxes.items())
            ],
        )
