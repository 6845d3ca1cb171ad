"""Refunds and how they stand."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel, Field

from chassis.web import PageQuery
from payments.domain.refund import RefundStatus
from payments.repository.refunds import Refund
from payments.views.base import QrPaymentId, RefundId


class RefundView(BaseModel):
    """Money on its way back. It is "credited" only once it is PROCESSED."""

    id: RefundId
    qr_payment_id: QrPaymentId
    attempt: int
    key: str = Field(description="the idempotency key at Razorpay, and the refund's receipt there")
    amount_paise: int
    status: RefundStatus
    speed_requested: str
    speed_processed: str | None
    razorpay_refund_id: str | None
    bank_reference: str | None = Field(description="RRN or ARN")
    calls: int = Field(description="how often Razorpay was asked for this attempt")
    last_error: str | None
    next_attempt_at: datetime | None
    created_at: datetime
    updated_at: datetime
    processed_at: datetime | None

    @classmethod
    def of(cls, row: Refund) -> Self:
        """From its row."""
        return cls(**{name: getattr(row, name) for name in cls.model_fields})


class RefundQuery(PageQuery):
    """Filters of the list of refunds."""

    status: RefundStatus | None = None
    qr_payment_id: QrPaymentId | None = None
