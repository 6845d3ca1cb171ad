"""Franchisees whose carried balance is below nothing."""

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, Field

from settlement.views.base import FranchiseeId, Paise


class CarriedBalanceView(BaseModel):
    """What a franchisee owes us because riders were refunded after it was paid: its next payouts are reduced by it."""

    franchisee_id: FranchiseeId
    owed_paise: Paise = Field(description="what refunds took off, less the payouts that wait to make it good")
    taken_off_paise: Paise = Field(description="what refunds took off and no payout or reversal has made good")
    corrections: int = Field(
        description="of how many refunds: GET /v1/ledger-entries?franchisee_id=…&kind=CORRECTION&status=ON_HOLD"
    )
    since: datetime = Field(description="when the oldest of them was booked")
    days: int = Field(description="how many whole days ago")
    last_session_at: datetime | None = Field(
        description="when its last session was booked: long ago, no payout will make it good"
    )

    @classmethod
    def of(cls, row: Any, *, now: datetime) -> Self:
        """From its line."""
        return cls(
            franchisee_id=row.id,
            owed_paise=row.owed_paise,
            taken_off_paise=row.taken_off_paise,
            corrections=row.corrections,
            since=row.since,
            days=(now - row.since).days,
            last_session_at=row.last_session_at,
        )
