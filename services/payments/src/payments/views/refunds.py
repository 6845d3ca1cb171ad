"""Refunds and how they stand, in figures and in words for riders; and what operators give back after the bill."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, StringConstraints

from chassis.web import Body, PageQuery
from contracts.payments import BorneBy
from payments.domain.refund import RefundStatus
from payments.domain.refund_history import Step, ToldBy
from payments.domain.refund_words import RefundStanding, words_of
from payments.repository.operator_refunds import OperatorRefund
from payments.repository.refund_steps import StepRow
from payments.repository.refunds import Refund
from payments.views.base import QrPaymentId, RefundId, WebhookEventId
from payments.views.credit_notes import CreditNoteId

Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=5, max_length=500)]


class OperatorRefundCreate(Body):
    """A part of a billed payment that goes back."""

    amount_paise: int = Field(
        ge=1, description="no more than was billed for energy and GST and not given back; through Razorpay 100 at least"
    )
    reason: Reason = Field(description="why, in words: the audit record and the rider's papers bear it")
    borne_by: BorneBy | None = Field(
        None,
        description="FRANCHISEE: the supply is reduced, and whoever shared the energy charge gives its part back (the default, "
        "at our own sites too); PLATFORM: goodwill at our expense, the supply stands",
    )


class OperatorRefundView(BaseModel):
    """What was decided: amount = energy charge + gst + goodwill."""

    number: int
    amount_paise: int
    energy_charge_paise: int = Field(description="by how much the energy charge is reduced")
    gst_paise: int = Field(description="and the GST on it: a credit note is due")
    goodwill_paise: int = Field(description="at the platform's expense: the supply stands")
    energy_charge_before_paise: int = Field(description="what earlier ones had taken off the energy charge")
    gst_before_paise: int
    borne_by: BorneBy
    reason: str
    decided_by: str
    decided_at: datetime
    credit_note_id: CreditNoteId | None = Field(description="null: goodwill, or its note is still to be issued")

    @classmethod
    def of(cls, row: OperatorRefund, *, credit_note_id: int | None) -> Self:
        """From its row."""
        kept = {name: getattr(row, name) for name in cls.model_fields.keys() - {"credit_note_id"}}
        return cls(**kept, credit_note_id=credit_note_id)


class RefundStepView(BaseModel):
    """Something that was learnt of a refund."""

    step: Step
    told_by: ToldBy = Field(description="US, Razorpay's ANSWER, its WEBHOOK, or a FETCH")
    webhook_event_id: WebhookEventId | None
    detail: str | None
    at: datetime = Field(description="when we learnt it")

    @classmethod
    def of(cls, row: StepRow) -> Self:
        """From its row."""
        return cls.model_validate({name: getattr(row, name) for name in cls.model_fields})


class RefundView(BaseModel):
    """Money on its way back. It is "credited" only once it is PROCESSED."""

    id: RefundId
    qr_payment_id: QrPaymentId
    number: int = Field(description="0: what the payment gives back by itself; n: the operators' n-th")
    attempt: int
    key: str = Field(description="the idempotency key at Razorpay, and the refund's receipt there")
    amount_paise: int
    status: RefundStatus
    words: str = Field(description="for the rider: what has happened, and nothing that has not")
    expected: str | None = Field(description="for the rider: what is usual from here; null where nothing is on its way")
    speed_requested: str
    speed_processed: str | None
    razorpay_refund_id: str | None
    bank_reference: str | None = Field(description="RRN, ARN or UTR: by it the rider's bank can find the money")
    reference_kind: str | None = Field(description="which of them it is")
    calls: int = Field(description="how often Razorpay was asked for this attempt")
    last_error: str | None
    next_attempt_at: datetime | None
    created_at: datetime
    updated_at: datetime
    processed_at: datetime | None

    @classmethod
    def fields_of(cls, row: Refund) -> dict[str, Any]:
        """Its row's fields, with the words."""
        standing = RefundStanding(
            amount_paise=row.amount_paise,
            status=row.status,
            speed_requested=row.speed_requested,
            speed_processed=row.speed_processed,
            bank_reference=row.bank_reference,
            reference_kind=row.reference_kind,
            replaced=row.replaced,
            given_up=row.status is RefundStatus.FAILED and row.next_attempt_at is None,
        )
        told = words_of(standing)
        shown = {name: getattr(row, name) for name in RefundView.model_fields.keys() - {"words", "expected"}}
        return {**shown, "words": told.words, "expected": told.expected}

    @classmethod
    def of(cls, row: Refund) -> "RefundView":
        """From its row."""
        return RefundView(**cls.fields_of(row))


class RefundDetail(RefundView):
    """A refund with its history, and the decision behind it where an operator made one."""

    decision: OperatorRefundView | None
    history: list[RefundStepView] = Field(description="oldest first")


class RefundQuery(PageQuery):
    """Filters of the list of refunds."""

    status: RefundStatus | None = None
    qr_payment_id: QrPaymentId | None = None
    by_operators: bool | None = Field(None, description="true: only what operators decided; false: only automatic ones")
