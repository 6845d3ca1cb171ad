"""OCPP operations and their answers."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from charging.domain.effects import Effect
from charging.domain.states import CommandStatus
from charging.views.base import ChargerId, CommandBatchId, CommandId, StationId, TransactionId, View
from chassis.web import Body, Page, PageQuery

BATCH_MAX = 5000
"""The most that the setting command_batch_max may allow."""


class CommandCreate(Body):
    """An OCPP operation to send."""

    action: Annotated[str, Field(min_length=1, max_length=50)] = Field(
        description="as OCPP 1.6 names it: Reset, GetConfiguration"
    )
    payload: dict[str, Any] = Field(default_factory=dict, description="the request in OCPP's own words")


class CommandManyCreate(CommandCreate):
    """The same operation for many chargers: name them, or a station."""

    charger_ids: list[ChargerId] | None = Field(None, min_length=1, max_length=BATCH_MAX)
    station_id: StationId | None = Field(None, description="all chargers of this station")


class RefusedCharger(BaseModel):
    """A charger that got no command, and why."""

    charger_id: ChargerId
    reason: Literal["UNKNOWN", "TOO_SOON"] = Field(
        description="UNKNOWN: no such charger, or not yours; TOO_SOON: this was triggered less than a minute ago"
    )
    detail: str


class CommandQuery(PageQuery):
    """Filters of a charger's commands."""

    status: CommandStatus | None = None


class WaitQuery(BaseModel):
    """How long to wait for the charger's answer."""

    model_config = ConfigDict(extra="forbid")

    wait: float = Field(0, ge=0, le=25, description="seconds; the command comes back as it is by then")
    wait_for: Literal["answer", "effect"] = Field("answer", description="effect: until it was seen, or its time is over")


class CommandView(View):
    """A command and its answer."""

    id: CommandId
    charger_id: ChargerId
    charge_point_id: str
    action: str
    payload: dict[str, Any]
    status: CommandStatus
    actor: str
    trigger: str
    transaction_id: TransactionId | None
    attempts: int
    response: dict[str, Any] | None = Field(description="the charger's answer")
    error_code: str | None
    error_description: str | None
    late_response: dict[str, Any] | None
    deadline_at: datetime
    created_at: datetime
    dispatched_at: datetime | None
    completed_at: datetime | None
    batch_id: CommandBatchId | None = Field(description="of a command to many chargers")
    effect: Effect = Field(description="whether it did what it is for: accepted is not done")
    effect_waits_for: str | None = Field(description="what would show it")
    effect_due_at: datetime | None = Field(description="to be seen by then; null until the command ended")
    effect_evidence: str | None = Field(description="the message that showed it, or why nothing is expected any more")
    effect_at: datetime | None


class CommandBatchView(View):
    """One operation for many chargers, and how far it is."""

    id: CommandBatchId
    action: str
    payload: dict[str, Any]
    station_id: StationId | None
    actor: str
    requested: int = Field(description="chargers asked for")
    refused: list[RefusedCharger] = Field(description="those that got no command")
    by_status: dict[CommandStatus, int]
    by_effect: dict[Effect, int]
    results: Page[CommandView] = Field(description="newest first; go on with ?cursor=")
    created_at: datetime
