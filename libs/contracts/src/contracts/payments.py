"""What payments says: payments taken, bills made, refunds followed to their end, and Razorpay's events for settlement."""

from enum import StrEnum
from typing import Any, ClassVar

from pydantic import AwareDatetime, Field

from contracts.base import BasisPoints, Event, Paise, Wh


class FeeSource(StrEnum):
    """Where the platform fee's figure came from (P8)."""

    WEBHOOK = "WEBHOOK"
    API = "API"
    ESTIMATE = "ESTIMATE"


class PaymentReceived(Event):
    """A rider's QR payment was recorded, before anything was started for it."""

    TYPE: ClassVar[str] = "payments.payment_received.v1"
    qr_payment_id: int
    razorpay_payment_id: str
    qr_code_id: int
    charge_point_id: str | None = None
    connector_id: int | None = None
    amount_paise: Paise
    platform_fee_paise: Paise | None = Field(None, description="Razorpay's fee as known now, GST included; null: not told")
    platform_fee_tax_paise: Paise | None = Field(None, description="the GST in it; null where it was not told")
    fee_source: FeeSource | None = None
    received_at: AwareDatetime
    collected_by_franchisee_id: int | None = Field(
        None, description="whose linked account took the payment; null: it is in our own balance"
    )
    collected_by_account: str | None = Field(None, description="that linked account, acc_...")


class PaymentFeeRecorded(Event):
    """While the session ran, Razorpay told the fee that had been an estimate. Once at most per payment, and before its bill."""

    TYPE: ClassVar[str] = "payments.payment_fee_recorded.v1"
    qr_payment_id: int
    razorpay_payment_id: str
    fee_before_paise: Paise
    tax_before_paise: Paise | None
    platform_fee_paise: Paise
    platform_fee_tax_paise: Paise | None
    recorded_at: AwareDatetime
    collected_by_franchisee_id: int | None = Field(
        None, description="whose linked account took the payment; null: it is in our own balance"
    )


class PaymentBilled(Event):
    """The one bill of a session. Every paisa paid is in exactly one line; charging keeps the figures as columns,
    settlement splits them.

    paid = energy_charge + gst + platform_fee + refund + residue. Not sent when nothing was delivered (everything is refunded).
    Where a franchisee's linked account took the payment, the lines are the same, and who owes whom is not.
    """

    TYPE: ClassVar[str] = "payments.payment_billed.v1"
    qr_payment_id: int
    razorpay_payment_id: str
    transaction_id: int
    charge_point_id: str
    connector_id: int
    station_id: int
    franchisee_id: int | None
    started_at: AwareDatetime
    stopped_at: AwareDatetime
    energy_wh: Wh
    tariff_paise_per_kwh: Paise
    gst_bps: BasisPoints
    paid_paise: Paise
    energy_charge_paise: Paise
    gst_paise: Paise
    platform_fee_paise: Paise
    fee_source: FeeSource
    refund_paise: Paise
    residue_paise: Paise
    shortfall_paise: Paise
    implausible: bool = False
    billed_at: AwareDatetime
    collected_by_franchisee_id: int | None = Field(
        None, description="whose linked account took the payment; null: it is in our own balance"
    )
    collected_by_account: str | None = Field(None, description="that linked account, acc_...")


class PaymentRefundedInFull(Event):
    """A payment that was not served (or delivered no energy) goes back whole; `reason` says why."""

    TYPE: ClassVar[str] = "payments.payment_refund_decided.v1"
    qr_payment_id: int
    razorpay_payment_id: str
    transaction_id: int | None = None
    amount_paise: Paise
    platform_fee_paise: Paise | None = Field(None, description="Razorpay's fee on it, GST included: our expense; null: not told")
    platform_fee_tax_paise: Paise | None = Field(None, description="the GST in it; null where it was not told")
    reason: str
    decided_at: AwareDatetime
    collected_by_franchisee_id: int | None = Field(
        None, description="whose linked account took the payment; null: it is in our own balance"
    )


class BorneBy(StrEnum):
    """Who bears what an operator gives back after the bill."""

    FRANCHISEE = "FRANCHISEE"
    """The supply is reduced: whoever shared the energy charge gives its part of it back."""
    PLATFORM = "PLATFORM"
    """The site is our own, or it is goodwill: the supply stands and the expense is ours."""


class GivenBackAfterBill(Event):
    """An operator gives a part of a billed session back. amount = energy_charge + gst + goodwill.

    Where the supply is reduced (energy_charge + gst) a credit note is due, and the site's ledger entry gets a correction;
    goodwill changes neither bill nor split. `number` counts the session's refunds of this kind, from 1; the `_before_` figures
    are what earlier ones had taken off the supply, so that each can be handled without the others.
    """

    operator_refund_id: int
    transaction_id: int
    franchisee_id: int | None
    number: int
    amount_paise: Paise
    energy_charge_paise: Paise
    gst_paise: Paise
    goodwill_paise: Paise
    energy_charge_before_paise: Paise
    gst_before_paise: Paise
    borne_by: BorneBy
    reason: str
    decided_by: str
    decided_at: AwareDatetime


class OperatorRefundDecided(GivenBackAfterBill):
    """Of a session that a QR payment paid: Razorpay refunds it to the payer."""

    TYPE: ClassVar[str] = "payments.operator_refund_decided.v1"
    qr_payment_id: int
    razorpay_payment_id: str


class RefundChanged(Event):
    """A refund moved: PENDING → UNKNOWN | PROCESSING → PROCESSED | FAILED. `subject_version` orders them."""

    TYPE: ClassVar[str] = "payments.refund_changed.v1"
    refund_id: int
    qr_payment_id: int
    razorpay_refund_id: str | None
    status: str
    amount_paise: Paise
    bank_reference: str | None = Field(None, description="RRN or ARN, once the bank gave one")
    number: int = Field(0, description="0: the automatic refund; n: the operators' n-th of the payment")
    subject_version: int
    at: AwareDatetime
    collected_by_franchisee_id: int | None = Field(
        None, description="out of whose linked account it is paid: the one that took the payment; null: out of our own balance"
    )


class RazorpayEventReceived(Event):
    """A verified Razorpay webhook that is not payments' own: settlement.*, transfer.*, account.*, product.route.*.

    `payload` is the event's payload as Razorpay sent it; `created_at` orders events of one account.
    """

    TYPE: ClassVar[str] = "payments.razorpay_event_received.v1"
    webhook_event_id: int
    razorpay_event_id: str
    event: str
    account_id: str | None = None
    payload: dict[str, Any]
    created_at: AwareDatetime


class AuditRecorded(Event):
    """A material change in payments; the journal keeps it."""

    TYPE: ClassVar[str] = "payments.audit_recorded.v1"
    entity: str
    entity_id: str
    action: str
    actor: str
    trigger: str
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    at: AwareDatetime
