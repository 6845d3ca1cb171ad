"""Payments with their bills, and the riders who made them."""

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, Field

from chassis.telemetry import mask_phone, mask_vpa
from chassis.web import PageQuery
from payments.domain.qr_payment import PaymentState
from payments.repository.qr_payments import BillRow, QrPayment
from payments.repository.riders import Rider
from payments.views.base import ChargePointText, FranchiseeId, QrCodeId, QrPaymentId, RiderId, StationId, TransactionId
from payments.views.refunds import OperatorRefundView, RefundView


class BillView(BaseModel):
    """paid = energy charge + gst + platform fee + refund + residue."""

    energy_wh: int
    tariff_paise_per_kwh: int
    gst_bps: int
    paid_paise: int
    energy_charge_paise: int
    gst_paise: int
    platform_fee_paise: int
    fee_source: str
    total_billed_paise: int
    refund_paise: int
    residue_paise: int
    shortfall_paise: int = Field(description="our loss; outside the sum")
    implausible: bool
    station_id: StationId
    franchisee_id: FranchiseeId | None
    started_at: datetime
    stopped_at: datetime
    billed_at: datetime

    @classmethod
    def of(cls, row: BillRow) -> Self:
        """From its row."""
        names = cls.model_fields.keys() - {"total_billed_paise"}
        total = row.energy_charge_paise + row.gst_paise + row.platform_fee_paise
        return cls(**{name: getattr(row, name) for name in names}, total_billed_paise=total)


class QrPaymentView(BaseModel):
    """A payment made by scanning a QR code."""

    id: QrPaymentId
    razorpay_payment_id: str
    request_key: str
    qr_code_id: QrCodeId | None
    charge_point_id: str | None
    connector_id: int | None
    amount_paise: int
    platform_fee_paise: int
    platform_fee_tax_paise: int | None = Field(description="the GST in it; null where it was not told")
    fee_source: str
    rider_id: RiderId
    rider_resolved_by: str
    vpa: str | None = Field(description="masked")
    contact: str | None = Field(description="masked")
    rrn: str | None
    state: PaymentState
    refund_reason: str | None
    refund_detail: str | None
    transaction_id: TransactionId | None
    paid_at: datetime
    received_at: datetime
    start_deadline: datetime | None
    updated_at: datetime

    @classmethod
    def fields_of(cls, row: QrPayment) -> dict[str, Any]:
        """The masked fields of its row."""
        fields = {name: getattr(row, name) for name in QrPaymentView.model_fields}
        fields["vpa"] = mask_vpa(row.vpa) if row.vpa else None
        fields["contact"] = mask_phone(row.contact) if row.contact else None
        return fields

    @classmethod
    def of(cls, row: QrPayment) -> "QrPaymentView":
        """From its row."""
        return QrPaymentView(**cls.fields_of(row))


class QrPaymentDetail(QrPaymentView):
    """A payment with where its money went."""

    bill: BillView | None
    residue_paise: int = Field(description="owed to the rider, below what Razorpay can refund")
    refunds: list[RefundView]
    operator_refunds: list[OperatorRefundView] = Field(description="what operators decided to give back after the bill")
    refundable_paise: int = Field(description="what operators may still give back: 0 unless it is billed")


class QrPaymentQuery(PageQuery):
    """Filters of the list of payments."""

    state: PaymentState | None = None
    charge_point_id: ChargePointText | None = None
    rider_id: RiderId | None = None
    qr_code_id: QrCodeId | None = None
    transaction_id: TransactionId | None = None
    razorpay_payment_id: str | None = Field(None, max_length=64)


class RiderView(BaseModel):
    """Somebody who paid. Without a phone it is a UPI guest."""

    id: RiderId
    kind: str = Field(description="PHONE or UPI_GUEST")
    phone: str | None = Field(description="masked")
    vpas: list[str] = Field(description="masked")
    created_at: datetime

    @classmethod
    def of(cls, row: Rider) -> Self:
        """From its row."""
        return cls(
            id=row.id,
            kind="PHONE" if row.phone else "UPI_GUEST",
            phone=mask_phone(row.phone) if row.phone else None,
            vpas=[mask_vpa(vpa) for vpa in row.vpas],
            created_at=row.created_at,
        )
