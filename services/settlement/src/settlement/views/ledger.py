"""Ledger entries, and bills that wait for an owner."""

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, Field

from chassis.web import Body, PageQuery
from money import TdsBase
from settlement.domain.ledger_entry import EntryKind, EntryStatus, HoldKind
from settlement.views.base import (
    FranchiseeId,
    LedgerEntryId,
    Paise,
    QrPaymentId,
    StationId,
    TransactionId,
    TransferId,
)


class LedgerEntryQuery(PageQuery):
    """Filters of ledger entries."""

    franchisee_id: FranchiseeId | None = None
    transaction_id: TransactionId | None = None
    status: EntryStatus | None = None
    kind: EntryKind | None = None


class UnownedBillQuery(PageQuery):
    """Filters of bills without an owner."""

    assigned: bool = Field(False, description="also those whose owner was named since")


class AssignBill(Body):
    """Whose a bill is."""

    franchisee_id: FranchiseeId


class UnownedBillView(BaseModel):
    """A bill that names a franchisee who does not exist."""

    transaction_id: TransactionId
    qr_payment_id: QrPaymentId
    named_franchisee_id: FranchiseeId = Field(description="as the station bore it when the session began")
    station_id: StationId
    charge_point_id: str
    connector_id: int
    energy_wh: int
    paid_paise: Paise
    refund_paise: Paise
    billed_at: datetime
    received_at: datetime
    ledger_entry_id: LedgerEntryId | None
    assigned_by: str | None
    assigned_at: datetime | None

    @classmethod
    def of(cls, row: Any) -> Self:
        """From its row: the figures are the bill's own."""
        return cls.model_validate({**row.bill, **row._mapping})  # noqa: SLF001


class LedgerEntryView(BaseModel):
    """One billed session's money: gross = refund + residue + pg_fee + gst + commission + tds + payout.

    A CORRECTION has the differences that a refund after the bill makes: it and the session's entry add up to the split now.
    """

    id: LedgerEntryId
    kind: EntryKind
    corrects_id: LedgerEntryId | None = Field(description="of a correction: the session's entry")
    refund_number: int | None = Field(description="of a correction: which of the payment's refunds by operators")
    reason: str | None = Field(description="of a correction: why the rider was refunded")
    transaction_id: TransactionId
    qr_payment_id: QrPaymentId
    franchisee_id: FranchiseeId
    station_id: StationId
    charge_point_id: str
    connector_id: int
    energy_wh: int
    started_at: datetime
    stopped_at: datetime
    billed_at: datetime
    commission_bps: int
    tds_bps: int
    tds_base: TdsBase
    gross_paise: Paise
    refund_paise: Paise
    residue_paise: Paise
    pg_fee_paise: Paise
    gst_paise: Paise
    commission_paise: Paise
    tds_paise: Paise
    payout_paise: int = Field(description="paise; of a correction below nothing: taken off payouts, or back by a reversal")
    status: EntryStatus
    hold_kind: HoldKind | None
    hold_reason: str | None = Field(description="what it waits for, in words")
    failed_attempts: int
    last_error: str | None
    implausible: bool
    transfer_id: TransferId | None = Field(description="the transfer that pays it")
    razorpay_transfer_id: str | None
    transfer_fee_paise: int | None = Field(description="what Razorpay took for the transfer: our expense; paise")
    settlement_id: str | None
    utr: str | None = Field(description="the bank's reference of the settlement")
    created_at: datetime
    updated_at: datetime
