"""Transfers and the settlements that took them to banks."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from chassis.web import PageQuery
from settlement.domain.reversal import ReversalStatus
from settlement.domain.settlement_event import SettlementStatus
from settlement.domain.transfer import TransferStatus
from settlement.views.base import (
    FranchiseeId,
    LedgerEntryId,
    Paise,
    ReversalId,
    SettlementId,
    TransactionId,
    TransferId,
)


class TransferQuery(PageQuery):
    """Filters of transfers."""

    franchisee_id: FranchiseeId | None = None
    status: TransferStatus | None = None
    settlement_id: SettlementId | None = None


class SettlementQuery(PageQuery):
    """Filters of settlements."""

    franchisee_id: FranchiseeId | None = None
    status: SettlementStatus | None = None
    utr: Annotated[str | None, Field(max_length=60)] = None


class AllocationView(BaseModel):
    """An entry that a transfer pays, or a correction that it takes off."""

    ledger_entry_id: LedgerEntryId
    transaction_id: TransactionId
    amount_paise: int = Field(description="paise; below nothing: taken off")


class ReversalView(BaseModel):
    """Money taken back out of a linked account."""

    id: ReversalId
    transfer_id: TransferId
    ledger_entry_id: LedgerEntryId | None = Field(description="the correction that it makes good; null: none")
    amount_paise: Paise
    by_hand: bool = Field(description="made at Razorpay by somebody, not by us")
    status: ReversalStatus
    razorpay_reversal_id: str | None
    calls: int
    last_error: str | None
    created_at: datetime
    done_at: datetime | None


class ReversalQuery(PageQuery):
    """Filters of reversals."""

    unmatched: bool | None = Field(None, description="true: only those made by hand that no correction explains")


class TransferView(BaseModel):
    """A Route transfer to a linked account."""

    id: TransferId
    key: str = Field(description="X-Transfer-Idempotency")
    attempt: int
    franchisee_id: FranchiseeId
    amount_paise: Paise
    status: TransferStatus
    razorpay_transfer_id: str | None
    fee_paise: int | None = Field(description="GST included; paise, on top of the amount")
    tax_paise: int | None
    reversed_paise: Paise = Field(description="taken back out of the linked account so far")
    settlement_id: str | None
    utr: str | None
    calls: int
    last_error: str | None
    paid_twice_status: TransferStatus | None = Field(description="where it went through although we had replaced it: paid twice")
    created_at: datetime
    processed_at: datetime | None
    settled_at: datetime | None
    pays: list[AllocationView] = Field(default_factory=list, description="in a single transfer's view: the entries it pays")
    reversals: list[ReversalView] = Field(default_factory=list, description="in a single transfer's view: what was taken back")


class SettlementView(BaseModel):
    """What Razorpay paid to a bank."""

    id: SettlementId
    franchisee_id: FranchiseeId | None = Field(description="whose it is; null: our own")
    amount_paise: Paise
    fee_paise: Paise
    tax_paise: Paise
    utr: str | None
    status: SettlementStatus
    own_share_paise: int | None = Field(
        description="of our own: how much of it is this environment's, by Razorpay's statement; null: that was not read yet"
    )
    transfers_count: int | None
    transfers_paise: int | None
    razorpay_account_id: str | None = Field(description="the account of Razorpay's event: a hint, never a key")
    last_error: str | None = Field(description="why its transfers could not be listed, at the last try")
    processed_at: datetime
    created_at: datetime
