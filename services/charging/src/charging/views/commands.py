"""OCPP operations and their answers."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from charging.domain.states import CommandStatus
from charging.views.base import ChargerId, CommandId, TransactionId, View
from chassis.web import Body, PageQuery


class CommandCreate(Body):
    """An OCPP operation to send."""

    action: Annotated[str, Field(min_length=1, max_length=50)] = Field(
        description="as OCPP 1.6 names it: Reset, GetConfiguration"
    )
    payload: dict[str, Any] = Field(default_factory=dict, description="the request in OCPP's own words")


class CommandQuery(PageQuery):
    """Filters of a charger's commands."""

    status: CommandStatus | None = None


class WaitQuery(BaseModel):
    """How long to wait for the charger's answer."""

    model_config = ConfigDict(extra="forbid")

    wait: float = Field(0, ge=0, le=25, description="seconds; the command comes back as it is by then")


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
