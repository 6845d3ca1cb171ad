"""The double-entry books."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field

from chassis.web import Body, PageQuery
from settlement.domain.books import AccountKind, Side
from settlement.repository.books import Booked
from settlement.views.base import (
    JournalId,
    Paise,
    QrPaymentId,
    RefundId,
)


class AccountQuery(PageQuery):
    """When balances are wanted."""

    at: Annotated[datetime | None, Field(description="balances of what happened before this time; default: of all")] = None


class AccountView(BaseModel):
    """An account with its balance. The balance stands on the account's normal side; below nothing it stands on the other."""

    code: str
    name: str
    kind: AccountKind
    normal_side: Side
    holds: str = Field(description="what its balance is, in words")
    debit_paise: Paise
    credit_paise: Paise
    balance_paise: Paise
    postings: int = Field(description="how many lines it has")


class TrialBalanceView(BaseModel):
    """All accounts, and that both sides are equal."""

    at: datetime | None
    debit_paise: Paise
    credit_paise: Paise
    balanced: bool
    journals: int
    postings: int
    accounts: list[AccountView]


class JournalQuery(PageQuery):
    """Filters of journals."""

    account: Annotated[str | None, Field(max_length=60, description="those that post to it")] = None
    subject: Annotated[str | None, Field(max_length=60, description="of one record: qrp_17, led_4, xfr_7")] = None
    key: Annotated[str | None, Field(max_length=200, description="the event's own")] = None
    from_: Annotated[datetime | None, Field(alias="from", description="happened then or later")] = None
    to: Annotated[datetime | None, Field(description="happened before")] = None


class FeeCorrection(Body):
    """What Razorpay really took for a payment, by its own statement."""

    payment_id: QrPaymentId
    fee_paise: Annotated[int, Field(ge=0, description="GST included; paise")]
    tax_paise: Annotated[int | None, Field(ge=0, description="the GST in it; null where the statement does not show it")] = None
    statement: Annotated[str, Field(min_length=1, max_length=300, description="where it stands, so that others find it")]


class RefundCharge(Body):
    """What Razorpay charged for a refund's speed, by its own statement."""

    refund_id: RefundId
    fee_paise: Annotated[int, Field(ge=0, description="GST included; paise")]
    tax_paise: Annotated[int | None, Field(ge=0, description="the GST in it; null where the statement does not show it")] = None
    statement: Annotated[str, Field(min_length=1, max_length=300, description="where it stands, so that others find it")]


class PostingView(BaseModel):
    """One line of a journal, on one side of one account."""

    account: str
    debit_paise: Paise
    credit_paise: Paise


class JournalView(BaseModel):
    """What one event of money did to the accounts."""

    id: JournalId
    key: str = Field(description="the event's own: booked once, however often it was told")
    kind: str
    subject: str
    facts: dict[str, Any] = Field(description="what the lines are derived from")
    occurred_at: datetime
    posted_at: datetime
    reverses: str | None = Field(description="key of the journal that it takes back")
    reversed_by: str | None = Field(description="key of the journal that took it back")
    postings: list[PostingView]

    @classmethod
    def of(cls, booked: Booked) -> Self:
        """From the books."""
        lines = [
            PostingView(account=line.account, debit_paise=line.debit_paise, credit_paise=line.credit_paise)
            for line in booked.postings
        ]
        return cls(
            id=booked.id,
            key=booked.key,
            kind=booked.kind,
            subject=booked.subject,
            facts=dict(booked.facts),
            occurred_at=booked.occurred_at,
            posted_at=booked.posted_at,
            reverses=booked.reverses,
            reversed_by=booked.reversed_by,
            postings=lines,
        )
