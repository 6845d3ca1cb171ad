"""What franchisees who collect themselves owe us, and what they paid."""

from datetime import date, datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

from chassis.web import Body
from settlement.domain.receivable import AGES_DAYS
from settlement.views.base import FranchiseeId, Paise, ReceiptId


class ReceivableView(BaseModel):
    """Commission and TDS on sessions that a franchisee collected itself: open = owed - received."""

    franchisee_id: FranchiseeId
    owed_paise: Paise = Field(description="commission and TDS of all sessions that it collected")
    received_paise: Paise = Field(description="what it paid us")
    open_paise: Paise = Field(description="what is left of it; below zero: paid in advance")
    oldest_open_at: datetime | None = Field(description="when the oldest session was booked that is not paid whole")
    oldest_open_days: int | None = Field(description="how many whole days ago")
    up_to_30_days_paise: Paise = Field(description="of what is open: owed for less than 30 days")
    up_to_60_days_paise: Paise
    up_to_90_days_paise: Paise
    over_90_days_paise: Paise

    @classmethod
    def of(cls, row: Any, *, now: datetime) -> Self:
        """From its line."""
        return cls(
            franchisee_id=row.id,
            owed_paise=row.owed_paise,
            received_paise=row.received_paise,
            open_paise=row.owed_paise - row.received_paise,
            oldest_open_at=row.oldest_open_at,
            oldest_open_days=(now - row.oldest_open_at).days if row.oldest_open_at is not None else None,
            **{name: getattr(row, name) for name, _, _ in AGES_DAYS},
        )

    @classmethod
    def nothing(cls, franchisee_id: int) -> Self:
        """Of one who never collected anything itself."""
        none = dict.fromkeys((*(name for name, _, _ in AGES_DAYS), "owed_paise", "received_paise", "open_paise"), 0)
        return cls(franchisee_id=franchisee_id, oldest_open_at=None, oldest_open_days=None, **none)


class CommissionReceipt(Body):
    """What a franchisee paid into our bank."""

    model_config = ConfigDict(extra="forbid")

    amount_paise: int = Field(ge=1, le=10**12, description="paise")
    bank_reference: str = Field(min_length=4, max_length=60, pattern=r"^[A-Za-z0-9/_-]+$", description="UTR or RRN: entered once")
    received_on: date = Field(description="the day on the bank's statement")


class ReceiptWithdrawal(Body):
    """Why a receipt was a mistake."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, Field(min_length=3, max_length=300)]


class CommissionReceiptView(BaseModel):
    """A receipt of commission."""

    id: ReceiptId
    franchisee_id: FranchiseeId
    amount_paise: Paise
    bank_reference: str
    received_on: date
    entered_by: str
    created_at: datetime
    withdrawn_at: datetime | None = Field(description="when it was taken back; null: it stands")
    withdrawn_by: str | None
    withdrawn_reason: str | None

    @classmethod
    def of(cls, row: Any) -> Self:
        """From its row."""
        return cls.model_validate(row._mapping)  # noqa: SLF001
