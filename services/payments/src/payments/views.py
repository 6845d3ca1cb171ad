"""The REST surface's models. Money in paise; ids are prefixed text; personal data is masked."""

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from chassis.telemetry import mask_phone, mask_vpa
from chassis.web import Body, PageQuery, PrefixedId
from payments.domain.qr_code import QrCodeStatus
from payments.domain.qr_payment import PaymentState
from payments.domain.refund import RefundStatus
from payments.domain.webhook import WebhookState, read_figures
from payments.printing import QUIET_ZONE_MODULES, ErrorCorrection
from payments.repository.changes import RowChange
from payments.repository.qr_codes import QrCode
from payments.repository.qr_payments import BillRow, QrPayment
from payments.repository.refunds import Refund
from payments.repository.revenue import RevenueBy
from payments.repository.riders import Rider
from payments.repository.webhook_events import WebhookEvent

QrCodeId = Annotated[int, PrefixedId("qrc")]
QrPaymentId = Annotated[int, PrefixedId("qrp")]
RefundId = Annotated[int, PrefixedId("rfd")]
RiderId = Annotated[int, PrefixedId("rdr")]
WebhookEventId = Annotated[int, PrefixedId("whe")]
TransactionId = Annotated[int, PrefixedId("txn")]
StationId = Annotated[int, PrefixedId("stn")]
FranchiseeId = Annotated[int, PrefixedId("frn")]

REVENUE_DAYS_MAX = 366
"""What one question may sum up."""

ChargePointText = Annotated[str, Field(min_length=1, max_length=64, description="the charger's identity, as in its OCPP URL")]


class WebhookAccepted(BaseModel):
    """What Razorpay is told; it looks at the status alone."""

    status: str = "ok"


class QrCodeCreate(Body):
    """A QR code for one connector."""

    model_config = ConfigDict(extra="forbid")

    charge_point_id: ChargePointText
    connector_id: int = Field(ge=1, le=255, description="OCPP connector, from 1")
    name: str | None = Field(
        None,
        min_length=1,
        max_length=60,
        pattern=r"^[ -~]+$",
        description="what stands on the print; default: charger and connector",
    )


class QrCodeView(BaseModel):
    """A printed QR code."""

    id: QrCodeId
    charge_point_id: str
    connector_id: int
    name: str
    status: QrCodeStatus = Field(description="CREATING: Razorpay has not confirmed it yet")
    replaces_id: QrCodeId | None = Field(description="the code it was made in place of")
    razorpay_qr_code_id: str | None
    image_content: str | None = Field(description="the upi:// text that it encodes")
    last_error: str | None = Field(description="what Razorpay said last, where it did not do what was asked")
    created_at: datetime
    closed_at: datetime | None

    @classmethod
    def of(cls, row: QrCode) -> Self:
        """From its row."""
        return cls(
            id=row.id,
            charge_point_id=row.charge_point_id,
            connector_id=row.connector_id,
            name=row.name,
            status=row.status,
            replaces_id=row.replaces_id,
            razorpay_qr_code_id=row.razorpay_qr_code_id,
            image_content=row.image_content,
            last_error=row.last_error,
            created_at=row.created_at,
            closed_at=row.closed_at,
        )


class QrCodeQuery(PageQuery):
    """Filters of the list of QR codes."""

    charge_point_id: ChargePointText | None = None
    status: QrCodeStatus | None = None


class DrawingQuery(BaseModel):
    """How to draw a QR code."""

    model_config = ConfigDict(extra="forbid")

    pixels_per_module: int = Field(16, ge=1, le=40, description="16: about 900 pixels a side, sharp at 6 cm in print")
    quiet_zone_modules: int = Field(
        QUIET_ZONE_MODULES, ge=QUIET_ZONE_MODULES, le=40, description="white around it; less than 4 can't be scanned surely"
    )
    error_correction: ErrorCorrection = Field(ErrorCorrection.Q, description="how much may be scratched: m 15 %, q 25 %, h 30 %")


class StickerQuery(BaseModel):
    """The price on a sticker, as charging's tariff has it. Without one none is printed."""

    model_config = ConfigDict(extra="forbid")

    paise_per_kwh: int | None = Field(None, ge=0, le=1_000_000, description="`paise_per_kwh` of the tariff, without GST")
    gst_bps: int | None = Field(None, ge=0, le=10_000, description="`gst_bps` of the tariff; the print bears the price with GST")

    @model_validator(mode="after")
    def _whole_price(self) -> Self:
        if (self.paise_per_kwh is None) != (self.gst_bps is None):
            raise ValueError("a price needs both paise_per_kwh and gst_bps")
        return self


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


class RevenueQuery(PageQuery):
    """Of which days, and by what. Days are India's, the last one included."""

    by: RevenueBy
    first_day: date = Field(alias="from", description="first day, by when the rider paid")
    last_day: date = Field(alias="to", description="last day")
    franchisee_id: FranchiseeId | None = None

    @model_validator(mode="after")
    def _a_span_of_days(self) -> Self:
        if not 0 <= (self.last_day - self.first_day).days < REVENUE_DAYS_MAX:
            raise ValueError(f"`to` is on or after `from`, and within {REVENUE_DAYS_MAX} days")
        return self


class RevenueView(BaseModel):
    """paid = energy charge + gst + platform fee + refund + residue + undecided."""

    key: str | None = Field(description="qrc_…, the charger, stn_… or the day; null: unknown, as of payments that nothing ran on")
    payments: int
    sessions: int = Field(description="payments that a transaction ran on")
    energy_wh: int
    paid_paise: int
    energy_charge_paise: int = Field(description="the net revenue: energy without GST")
    gst_paise: int
    platform_fee_paise: int = Field(description="Razorpay's fee as far as riders bore it")
    refund_paise: int = Field(description="what goes back or went back, frozen when it was decided")
    residue_paise: int = Field(description="owed to riders, below what Razorpay can refund")
    undecided_paise: int = Field(description="of sessions that wait, run, or could not be billed yet")

    @classmethod
    def of(cls, by: RevenueBy, row: Any) -> Self:
        """From a line of the aggregate."""
        prefix = {RevenueBy.QR_CODE: "qrc_", RevenueBy.STATION: "stn_"}.get(by, "")
        amounts = {name: getattr(row, name) for name in cls.model_fields if name != "key"}
        return cls(key=f"{prefix}{row.key}" if row.key else None, **amounts)


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


class EntityFiguresView(BaseModel):
    """What an event says of one payment, refund, transfer or settlement."""

    model_config = ConfigDict(from_attributes=True)

    entity: str
    razorpay_id: str
    razorpay_payment_id: str | None
    status: str | None
    amount_paise: int | None
    fee_paise: int | None
    tax_paise: int | None


class WebhookEventView(BaseModel):
    """One of Razorpay's events, and what became of it."""

    id: WebhookEventId
    razorpay_event_id: str
    event: str | None
    account_id: str | None
    state: WebhookState
    reason: str | None
    verified_by: str = Field(description="which webhook secret verified it: CURRENT or PREVIOUS")
    deliveries: int
    attempts: int
    next_attempt_at: datetime | None
    created_at: datetime = Field(description="when Razorpay made it")
    received_at: datetime
    handled_at: datetime | None
    figures: list[EntityFiguresView] = Field(description="the money in it, read from its bytes as they came")

    @classmethod
    def of(cls, row: WebhookEvent) -> "WebhookEventView":
        """From its row."""
        fields = {name: getattr(row, name) for name in WebhookEventView.model_fields.keys() - {"figures"}}
        figures = [EntityFiguresView.model_validate(figure) for figure in read_figures(row.body)]
        return WebhookEventView(**fields, figures=figures)


class WebhookEventDetail(WebhookEventView):
    """With the bytes as they came. Unmasked: for administrators."""

    body_base64: str
    body_sha256: str
    headers: dict[str, str]

    @classmethod
    def whole(cls, row: WebhookEvent) -> Self:
        """From its row."""
        return cls(
            **WebhookEventView.of(row).model_dump(),
            body_base64=base64.b64encode(row.body).decode(),
            body_sha256=row.body_sha256,
            headers=dict(row.headers),
        )


class WebhookEventQuery(PageQuery):
    """Filters of the list of webhook events."""

    state: WebhookState | None = None
    event: str | None = Field(None, max_length=100)
    razorpay_event_id: str | None = Field(None, max_length=64, description="x-razorpay-event-id")
    account_id: str | None = Field(None, max_length=64, description="acc_...")


class WebhookReplayQuery(BaseModel):
    """How to replay."""

    model_config = ConfigDict(extra="forbid")

    preview: bool = Field(False, description="say what the replay would do, and do nothing")


_MASKS: Mapping[str, Callable[[str], str]] = {"vpa": mask_vpa, "contact": mask_phone, "phone": mask_phone}
"""Columns with personal data."""


def _shown(row: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """These columns of a row, personal data masked."""
    return {name: _MASKS[name](row[name]) if name in _MASKS and row[name] is not None else row[name] for name in names}


class RowChangeView(BaseModel):
    """A row that would be made or changed."""

    table: str
    id: int | str | None = Field(description="our key of it; null for a row that would be made, whose id is not known yet")
    before: dict[str, Any] | None = Field(description="the columns that would change, as they are; null: there is no such row")
    after: dict[str, Any] = Field(description="the same columns, as they would be; personal data is masked")

    @classmethod
    def of(cls, change: RowChange) -> Self:
        """From what was written."""
        if change.before is None:
            return cls(
                table=change.table,
                id=None,
                before=None,
                after=_shown(change.after, [name for name in change.after if name != "id"]),
            )
        differ = [name for name, value in change.after.items() if change.before[name] != value]
        return cls(
            table=change.table,
            id=change.key[0],
            before=_shown(change.before, differ),
            after=_shown(change.after, differ),
        )


class AnnouncementView(BaseModel):
    """A message that would leave."""

    type: str
    to: str = Field(description="exchange and routing key")
    body: dict[str, Any] = Field(description="without Razorpay's payload, which may hold personal data")

    @classmethod
    def of(cls, announced: Mapping[str, Any]) -> Self:
        """From the outbox row."""
        body = {name: value for name, value in json.loads(announced["body"]).items() if name != "payload"}
        return cls(type=announced["type"], to=f"{announced['exchange']}/{announced['routing_key']}", body=body)


class WebhookReplayPreview(BaseModel):
    """What a replay would do now. Ids of rows that would be made are only known once they are."""

    event: WebhookEventView = Field(description="as it is")
    state: WebhookState = Field(description="what it would be; RECEIVED: it would wait, or be tried again")
    reason: str | None
    asks: list[str] = Field(description="what Razorpay would be asked first; here it was not, and a fee counts as not told")
    changes: list[RowChangeView] = Field(description="rows beside the event's own")
    announces: list[AnnouncementView]

    @classmethod
    def of(
        cls,
        was: WebhookEvent,
        now_is: WebhookEvent,
        *,
        asks: list[str],
        changes: Sequence[RowChange],
        announced: Sequence[Mapping[str, Any]],
    ) -> Self:
        """From what was written in the transaction that was rolled back."""
        return cls(
            event=WebhookEventView.of(was),
            state=WebhookState(now_is.state),
            reason=now_is.reason,
            asks=asks,
            changes=[RowChangeView.of(change) for change in changes],
            announces=[AnnouncementView.of(message) for message in announced],
        )

    @classmethod
    def undecided(cls, was: WebhookEvent, *, state: WebhookState, reason: str, asks: list[str]) -> Self:
        """It would come to no effect: what hinders it."""
        return cls(event=WebhookEventView.of(was), state=state, reason=reason, asks=asks, changes=[], announces=[])
