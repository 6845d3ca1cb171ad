"""Razorpay's statement: readings, the days that were read, rows, and what a person has to see."""

from datetime import date, datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field

from chassis.web import Body, PageQuery, PrefixedId
from settlement.domain.reconcile import ExceptionKind, MatchState
from settlement.domain.statement import ReadStatus
from settlement.views.base import Paise

ReadingId = Annotated[int, PrefixedId("rec")]
ExceptionId = Annotated[int, PrefixedId("exc")]
RowId = Annotated[int, PrefixedId("row")]


class ReadingAsked(Body):
    """Which days of India's are read."""

    from_: Annotated[date, Field(alias="from", description="the first day")]
    to: Annotated[date, Field(description="the last day, at most today")]


class ReadingQuery(PageQuery):
    """Filters of readings."""

    status: ReadStatus | None = None


class ReadingView(BaseModel):
    """One reading of Razorpay's statement."""

    id: ReadingId
    from_day: date
    to_day: date
    status: ReadStatus
    day: date = Field(description="the day in hand")
    rows_read: int
    rows_new: int = Field(description="of them, rows that were not kept yet")
    rows_changed: int = Field(description="of them, repetitions with other contents: kept beside the first")
    last_error: str | None = Field(description="what Razorpay said last, where a page did not come")
    asked_by: str
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, row: Any) -> Self:
        """From its table's row."""
        return cls.model_validate(row._mapping)  # noqa: SLF001


class DayView(BaseModel):
    """A day whose statement was read to its last page."""

    day: date
    rows: int = Field(description="how many rows Razorpay showed of it, at the last reading")
    readings: int
    read_at: datetime

    @classmethod
    def of(cls, row: Any) -> Self:
        """From its table's row."""
        return cls.model_validate(row._mapping)  # noqa: SLF001


class RowQuery(PageQuery):
    """Filters of the statement's rows."""

    from_: Annotated[datetime | None, Field(alias="from", description="settled then or later")] = None
    to: Annotated[datetime | None, Field(description="settled before")] = None
    razorpay_id: Annotated[str | None, Field(max_length=60, description="of one movement")] = None
    settlement_id: Annotated[str | None, Field(max_length=60, description="of one settlement")] = None


class RowView(BaseModel):
    """A row of Razorpay's statement in its last version, with what it is here."""

    id: RowId
    razorpay_id: str = Field(description="what moved: pay_, rfnd_, trf_, rvrsl_, adj_")
    type: str = Field(description="Razorpay's word: payment, refund, transfer, adjustment, ...")
    version: int = Field(description="more than 1: it was shown again with other contents")
    debit_paise: Paise
    credit_paise: Paise
    amount_paise: Paise
    fee_paise: int = Field(description="GST included; paise")
    tax_paise: int
    settlement_id: str | None
    utr: str | None
    payment_id: str | None = Field(description="Razorpay's id of the payment that it is about")
    order_id: str | None
    order_receipt: str | None
    dispute_id: str | None
    description: str | None
    environment: str | None = Field(description="whose it is by its notes; null: they don't say")
    moved_at: datetime
    settled_at: datetime | None
    read_at: datetime
    state: MatchState | None = Field(description="what it is here")
    subject: str | None = Field(description="our record of it: qrp_17, rfd_5, xfr_7")

    @classmethod
    def of(cls, row: Any) -> Self:
        """From its tables' rows."""
        return cls.model_validate({**row._mapping, "razorpay_id": row.entity_id})  # noqa: SLF001


class ExceptionQuery(PageQuery):
    """Filters of exceptions: the open ones, unless asked for all."""

    resolved: Annotated[bool | None, Field(description="true: what is done with; false or left out: what is open")] = None
    kind: ExceptionKind | None = None
    razorpay_id: Annotated[str | None, Field(max_length=60, description="of one movement or settlement")] = None


class ExceptionView(BaseModel):
    """What does not agree with Razorpay's statement. Amounts are above nothing where money came to us."""

    id: ExceptionId
    kind: ExceptionKind
    razorpay_id: str = Field(description="the movement or settlement")
    subject: str | None = Field(description="our record of it; null: there is none")
    ours_paise: int | None = Field(description="what our records say; paise")
    theirs_paise: int | None = Field(description="what Razorpay's statement says; paise")
    words: str = Field(description="what it is and what to do")
    opened_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None = Field(description="a person, or settlement where it was explained or booked by itself")
    reason: str | None
    rows: list[RowView] = Field(default_factory=list, description="in a single exception's view: Razorpay's rows of it")

    @classmethod
    def of(cls, row: Any) -> Self:
        """From its table's row."""
        return cls.model_validate(row._mapping)  # noqa: SLF001


class ExceptionResolve(Body):
    """Why an exception is done with."""

    reason: Annotated[str, Field(min_length=3, max_length=500, description="in words, so that others understand")]
    book: Annotated[
        bool,
        Field(description="book what Razorpay moved without a record of ours as ours: account adjustments"),
    ] = False
