"""What settlement says: ledger entries and what became of their payouts."""

from typing import Any, ClassVar

from pydantic import AwareDatetime, Field

from contracts.base import Event, Paise


class LedgerEntryCreated(Event):
    """One commission ledger entry per transaction (key `txn_{id}`).

    gross = refund + residue + pg_fee + gst + commission + tds + payout.
    """

    TYPE: ClassVar[str] = "settlement.ledger_entry_created.v1"
    ledger_entry_id: int
    transaction_id: int
    franchisee_id: int
    gross_paise: Paise
    refund_paise: Paise
    residue_paise: Paise
    pg_fee_paise: Paise
    gst_paise: Paise
    commission_paise: Paise
    tds_paise: Paise
    payout_paise: Paise
    created_at: AwareDatetime


class LedgerEntryCorrected(Event):
    """A refund after the bill changed a session's split: an entry of differences beside the first, which stands as it is.

    0 = refund + gst + commission + tds + payout; all but the refund are below nothing.
    """

    TYPE: ClassVar[str] = "settlement.ledger_entry_corrected.v1"
    ledger_entry_id: int
    corrects_id: int
    transaction_id: int
    franchisee_id: int
    refund_number: int
    refund_paise: Paise
    gst_paise: Paise
    commission_paise: Paise
    tds_paise: Paise
    payout_paise: Paise
    reason: str
    created_at: AwareDatetime


class TransferReversed(Event):
    """Money came back out of a linked account: for a correction, or by somebody's hand at Razorpay (`ledger_entry_id` null)."""

    TYPE: ClassVar[str] = "settlement.transfer_reversed.v1"
    reversal_id: int
    transfer_id: int
    razorpay_transfer_id: str
    razorpay_reversal_id: str
    franchisee_id: int
    ledger_entry_id: int | None
    amount_paise: Paise
    by_hand: bool
    at: AwareDatetime


class LedgerEntryChanged(Event):
    """PENDING → ON_HOLD | TRANSFERRING → TRANSFERRED → SETTLED, or FAILED. `subject_version` orders them."""

    TYPE: ClassVar[str] = "settlement.ledger_entry_changed.v1"
    ledger_entry_id: int
    transaction_id: int
    franchisee_id: int
    status: str
    hold_reason: str | None = None
    razorpay_transfer_id: str | None = None
    razorpay_settlement_id: str | None = None
    utr: str | None = None
    transfer_fee_paise: Paise | None = Field(None, description="what Razorpay took for the transfer, GST included: our expense")
    subject_version: int
    at: AwareDatetime


class AuditRecorded(Event):
    """A material change in settlement; the journal keeps it."""

    TYPE: ClassVar[str] = "settlement.audit_recorded.v1"
    entity: str
    entity_id: str
    action: str
    actor: str
    trigger: str
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    at: AwareDatetime
