"""What energy costs: versions of prices, and which of them holds."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from charging.views.base import RATE_MAX_PAISE, ChargerId, Name, StationId, TariffId, View
from chassis.web import Body, PageQuery
from money import all_in_paise_per_kwh


class TariffCreate(Body):
    """A version of a price. The most specific one in force counts; a version never changes."""

    station_id: StationId | None = Field(None, description="holds at this station; null with charger_id null: everywhere")
    charger_id: ChargerId | None = Field(None, description="holds for this charger only")
    name: Name
    paise_per_kwh: int = Field(ge=0, le=RATE_MAX_PAISE, description="energy without GST")
    gst_bps: int = Field(1800, ge=0, le=10_000, description="GST on the energy charge, 1/100 percent")
    effective_from: AwareDatetime | None = Field(None, description="null: from now; never in the past", strict=False)


class TariffState(StrEnum):
    """Where a version stands among those of its own charger, station, or everywhere."""

    PLANNED = "PLANNED"
    """Its time is still to come."""
    CURRENT = "CURRENT"
    """The latest that has begun. A more specific one may hold in its place: `GET /v1/tariffs/in-force` says."""
    PAST = "PAST"
    """A later version has taken its place."""


class TariffView(View):
    """A version of a price."""

    id: TariffId
    station_id: StationId | None
    charger_id: ChargerId | None
    name: str
    paise_per_kwh: int = Field(description="energy without GST")
    gst_bps: int
    all_in_paise_per_kwh: int = Field(description="what riders are shown: rate + GST, rounded half up as on a bill of one kWh")
    state: TariffState
    effective_from: datetime
    effective_until: datetime | None = Field(
        description="when the next version of the same charger, station, or everywhere begins; null: none is planned"
    )
    created_at: datetime

    @classmethod
    def of(cls, row: Any, *, now: datetime) -> Self:
        """From its row with `effective_until`."""
        until = row.effective_until
        if until is not None and until <= now:
            state = TariffState.PAST
        else:
            state = TariffState.PLANNED if row.effective_from > now else TariffState.CURRENT
        return cls(
            id=row.id,
            station_id=row.station_id,
            charger_id=row.charger_id,
            name=row.name,
            paise_per_kwh=row.paise_per_kwh,
            gst_bps=row.gst_bps,
            all_in_paise_per_kwh=all_in_paise_per_kwh(paise_per_kwh=row.paise_per_kwh, gst_bps=row.gst_bps),
            state=state,
            effective_from=row.effective_from,
            effective_until=until,
            created_at=row.created_at,
        )


class TariffQuery(PageQuery):
    """Filters of the list."""

    station_id: StationId | None = None
    charger_id: ChargerId | None = None


class TariffInForceQuery(BaseModel):
    """At which charger, and when."""

    model_config = ConfigDict(extra="forbid")

    charger_id: ChargerId | None = None
    charge_point_id: str | None = Field(None, max_length=64, description="the charger by its identity in the OCPP URL")
    at: AwareDatetime | None = Field(None, description="null: now")

    @model_validator(mode="after")
    def _one_charger(self) -> Self:
        if (self.charger_id is None) == (self.charge_point_id is None):
            raise ValueError("name the charger, by charger_id or by charge_point_id")
        return self


class PlannedTariff(BaseModel):
    """A price that will hold."""

    holds_from: datetime = Field(description="from then on it is the most specific one in force")
    tariff: TariffView


class TariffInForceView(BaseModel):
    """What a kWh costs at a charger, now or at the time asked for, and what is planned after that."""

    charger_id: ChargerId
    charge_point_id: str
    at: datetime
    tariff: TariffView | None = Field(description="null: none is in force, nothing is sold there")
    planned: list[PlannedTariff] = Field(description="every change after `at`, in order of time")
