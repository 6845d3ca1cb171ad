"""Charging profiles and what they come to."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from charging.domain.charging_profiles import ProfileState, Purpose, RateUnit
from charging.domain.states import CommandStatus
from charging.views.base import CONNECTORS_MAX, ChargerId, ChargingProfileId, CommandId, TransactionId, View
from chassis.web import Body, PageQuery

COMPOSITE_SECONDS_MAX = 7 * 24 * 3600
"""A week: the longest that recurs."""

STACK_LEVEL_MAX = 1000
"""More than any charger has."""


class ChargingProfileCreate(Body):
    """A profile to be set."""

    connector_id: int = Field(ge=0, le=CONNECTORS_MAX, description="0: the charge point as a whole")
    profile: dict[str, Any] = Field(
        description="OCPP's csChargingProfiles, in its own words; without chargingProfileId one is given"
    )


class ChargingProfileQuery(PageQuery):
    """Filters of a charger's profiles."""

    connector: int | None = Field(None, ge=0, le=CONNECTORS_MAX)
    purpose: Purpose | None = None
    state: ProfileState | None = None
    in_force: bool | None = None


class ChargingProfileClear(BaseModel):
    """Which profiles are to be cleared: those that fit all that is given."""

    model_config = ConfigDict(extra="forbid")

    connector: int | None = Field(None, ge=0, le=CONNECTORS_MAX, description="0: those of the charge point as a whole")
    purpose: Purpose | None = None
    stack_level: int | None = Field(None, ge=0, le=STACK_LEVEL_MAX)


class ChargingProfileView(View):
    """A profile, and what the charger said to it."""

    id: ChargingProfileId
    charger_id: ChargerId
    connector_id: int
    charging_profile_id: int = Field(description="OCPP's own id")
    purpose: Purpose
    stack_level: int
    transaction_id: TransactionId | None
    profile: dict[str, Any]
    state: ProfileState
    in_force: bool = Field(description="accepted; a TxProfile's transaction runs")
    reason: str | None
    command_id: CommandId | None
    actor: str
    created_at: datetime
    decided_at: datetime | None
    ended_at: datetime | None

    @classmethod
    def of(cls, row: Any, *, in_force: bool) -> "ChargingProfileView":
        """From its row."""
        names = set(cls.model_fields) - {"in_force"}
        return cls(in_force=in_force, **{name: getattr(row, name) for name in names})


class CompositeQuery(BaseModel):
    """Which schedule."""

    model_config = ConfigDict(extra="forbid")

    connector: int = Field(ge=0, le=CONNECTORS_MAX, description="0: what bounds the charge point as a whole")
    duration: int = Field(3600, ge=1, le=COMPOSITE_SECONDS_MAX, description="seconds from now on")
    unit: RateUnit = RateUnit.AMPERE


class CompositePeriodView(View):
    """From `start_period` seconds on, until the next one's."""

    start_period: int
    limit: float | None = Field(description="null: nothing limits it")
    number_phases: int | None


class CompositeReported(View):
    """The charger's own answer."""

    command_id: CommandId
    status: CommandStatus
    response: dict[str, Any] | None = Field(description="GetCompositeSchedule.conf; null while it has not answered")

    @classmethod
    def of(cls, row: Any) -> "CompositeReported":
        """From the command."""
        return cls(command_id=row.id, status=CommandStatus(row.status), response=row.response)


class CompositeScheduleView(View):
    """What a charger's profiles come to on a connector."""

    charger_id: ChargerId
    connector_id: int
    starts_at: datetime
    ends_at: datetime
    unit: RateUnit
    periods: list[CompositePeriodView]
    reported: CompositeReported | None = Field(description="only where the charger was asked")
