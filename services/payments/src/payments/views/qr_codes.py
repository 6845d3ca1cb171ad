"""QR codes: made, drawn, printed, and what they brought in."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from chassis.web import Body, PageQuery
from payments.domain.qr_code import QrCodeStatus
from payments.printing import QUIET_ZONE_MODULES, ErrorCorrection
from payments.repository.qr_codes import QrCode
from payments.repository.revenue import RevenueBy
from payments.views.base import ChargePointText, FranchiseeId, QrCodeId

REVENUE_DAYS_MAX = 366
"""What one question may sum up."""


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


class Owner(StrEnum):
    """Whose a QR code is: whose account takes the money."""

    PLATFORM = "platform"
    FRANCHISEE = "franchisee"
    """The owner of the charger's station, on its own linked account."""


class QrCodeRegenerate(Body):
    """What the new code is to be. No body at all: as the old one."""

    model_config = ConfigDict(extra="forbid")

    owner: Owner | None = Field(
        None, description="`franchisee`: the station's owner takes the money itself and owes us commission; null: as the old one"
    )


class QrCodeView(BaseModel):
    """A printed QR code."""

    id: QrCodeId
    charge_point_id: str
    connector_id: int
    name: str
    status: QrCodeStatus = Field(description="CREATING: Razorpay has not confirmed it yet")
    replaces_id: QrCodeId | None = Field(description="the code it was made in place of")
    owner: Owner
    owner_franchisee_id: FranchiseeId | None = Field(description="whose own code it is; null: the platform's")
    owner_account_id: str | None = Field(description="the linked account that takes the money; null: our own")
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
            owner=Owner.PLATFORM if row.owner_franchisee_id is None else Owner.FRANCHISEE,
            owner_franchisee_id=row.owner_franchisee_id,
            owner_account_id=row.owner_account_id,
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
    franchisee_id: FranchiseeId | None = Field(None, description="that are this franchisee's own")


class DrawingQuery(BaseModel):
    """How to draw a QR code."""

    model_config = ConfigDict(extra="forbid")

    pixels_per_module: int = Field(16, ge=1, le=40, description="16: about 900 pixels a side, sharp at 6 cm in print")
    quiet_zone_modules: int = Field(
        QUIET_ZONE_MODULES, ge=QUIET_ZONE_MODULES, le=40, description="white around it; less than 4 can't be scanned surely"
    )
    error_correction: ErrorCorrection = Field(ErrorCorrection.Q, description="how much may be scratched: m 15 %, q 25 %, h 30 %")


class StickerQuery(BaseModel):
    """Whether a sticker bears a price, and of when. Which one is charging's word: that of the tariff in force at the charger."""

    model_config = ConfigDict(extra="forbid")

    price: bool = Field(True, description="false: no price is printed, and the sticker outlives a change of the tariff")
    at: AwareDatetime | None = Field(None, description="the tariff in force then: to print before a planned change; null: now")


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
    energy_charge_paise: int = Field(description="the net revenue: energy without GST, less what operators gave back of it")
    gst_paise: int
    platform_fee_paise: int = Field(description="Razorpay's fee as far as riders bore it")
    refund_paise: int = Field(description="what goes back or went back, frozen when it was decided")
    residue_paise: int = Field(description="owed to riders, below what Razorpay can refund")
    undecided_paise: int = Field(description="of sessions that wait, run, or could not be billed yet")
    goodwill_paise: int = Field(
        description="given back at the platform's expense: beside the sum, it leaves the revenue as it is"
    )

    @classmethod
    def of(cls, by: RevenueBy, row: Any) -> Self:
        """From a line of the aggregate."""
        prefix = {RevenueBy.QR_CODE: "qrc_", RevenueBy.STATION: "stn_"}.get(by, "")
        amounts = {name: getattr(row, name) for name in cls.model_fields if name != "key"}
        return cls(key=f"{prefix}{row.key}" if row.key else None, **amounts)
