"""A command's outcome, taken by compare-and-set: exactly one counts, a late answer is recorded and changes nothing.

What a use case wants to know of the commands that it makes, it is told here: `FOLLOWERS` by what led to the command
(`commands.trigger`), `OBSERVERS` by its OCPP operation, whoever sent it.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog

from charging.domain.commands import happening_of
from charging.domain.states import CommandHappening, CommandStatus, next_command_status
from charging.repository import Charger, load_chargers
from charging.tables import commands
from charging.usecases import decide_start
from charging.usecases.context import Charging
from charging.usecases.send_command import dispatch, read_wire_id
from charging.usecases.stop_session import stop_rejected
from chassis.database import UnitOfWork
from chassis.messaging import Received
from contracts.ocpp_gateway import CommandCompleted

log = structlog.get_logger(__name__)

GATEWAY_REPORT_SLACK = timedelta(seconds=15)
"""A gateway reports an outcome this soon after a command's deadline and timeout; if it does not, it is gone: UNKNOWN."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended. `response` and the error are there only where the charger sent them."""

    status: CommandStatus
    at: datetime
    response: Mapping[str, Any] | None = None
    error_code: str | None = None
    error_description: str | None = None

    @property
    def said(self) -> str:
        """The charger's word for it: its `status`, the code of its CALLERROR, else what became of the command."""
        return (self.response or {}).get("status") or self.error_code or self.status.value

    @property
    def unsupported(self) -> bool:
        """Whether the charger does not know the operation at all (OCPP-J table 7; some answer it as a status)."""
        return self.said in ("NotImplemented", "NotSupported")


Follower = Callable[[Charging, UnitOfWork, Charger, "sa.Row[Any]", Outcome], Awaitable[None]]
"""`(app, uow, charger, row, outcome)`, called once per command, in the lane, after its final status is set.

`row` is the command as it was before. TIMED_OUT, UNKNOWN and EXPIRED are told too; an answer that comes late is not."""


async def _start_answered(app: Charging, uow: UnitOfWork, charger: Charger, row: "sa.Row[Any]", outcome: Outcome) -> None:
    del charger
    if outcome.status in REFUSED and row.start_request_id is not None:
        await decide_start.command_failed(app, uow, row.start_request_id, detail=f"The charger refused to start: {outcome.said}.")


async def _stop_answered(app: Charging, uow: UnitOfWork, charger: Charger, row: "sa.Row[Any]", outcome: Outcome) -> None:
    if outcome.status in REFUSED and row.action == "RemoteStopTransaction" and row.transaction_id is not None:
        await stop_rejected(app, uow, charger, row.transaction_id)


REFUSED = frozenset({CommandStatus.REJECTED, CommandStatus.CALL_ERROR})

FOLLOWERS: Mapping[str, Follower] = {
    "start": _start_answered,
    "stop": _stop_answered,
    "escalation": _stop_answered,
}
"""By `commands.trigger`."""

OBSERVERS: Mapping[str, Follower] = {}
"""By OCPP operation, whatever led to the command: an operator's raw command changes the charger as ours do."""


async def command_completed(app: Charging, uow: UnitOfWork, received: Received) -> None:
    """What the gateway says became of a command."""
    event: CommandCompleted = received.model
    charger = (await load_chargers(uow, [event.charge_point_id])).get(event.charge_point_id)
    named = read_wire_id(event.command_id)
    row = await _locked(uow, named[0]) if named is not None else None
    if charger is None or named is None or row is None or row.charger_id != charger.id:
        log.warning("command.unknown", command_id=event.command_id, charge_point_id=event.charge_point_id)
        return
    status = CommandStatus(row.status)
    if event.late:
        await _set(uow, row.id, late_response=event.response)
        return
    if status is not CommandStatus.DISPATCHED or row.attempts != named[1]:
        return  # the same outcome again, one of an earlier handing over, or one after we had given it up
    happening = happening_of(event.outcome, event.response)
    after = next_command_status(status, happening)
    if after is CommandStatus.PENDING:
        if row.deadline_at <= uow.now:
            await _expire(app, uow, charger, row)
            return
        await _set(uow, row.id, status=after.value)
        if row.epoch is not None and charger.epoch > row.epoch:
            await dispatch(uow, charger, command_id=row.id)
        return
    await _finish(
        app,
        uow,
        charger,
        row,
        Outcome(after, event.received_at, event.response, event.error_code, event.error_description),
    )


async def command_overdue(app: Charging, uow: UnitOfWork, charger: Charger, command_id: int) -> None:
    """A command's deadline: unsent it expires; sent, with a gateway that never reported, it is UNKNOWN."""
    row = await _locked(uow, command_id)
    if row is None or row.charger_id != charger.id:
        return
    status = CommandStatus(row.status)
    if status is CommandStatus.PENDING and row.deadline_at <= uow.now:
        await _expire(app, uow, charger, row)
    elif status is CommandStatus.DISPATCHED and report_due_at(row) <= uow.now:
        log.warning("command.unreported", command_id=row.id, charge_point_id=charger.charge_point_id, gateway=row.gateway)
        after = next_command_status(status, CommandHappening.DEADLINE_PASSED)
        await _finish(app, uow, charger, row, Outcome(after, uow.now))


def report_due_at(row: "sa.Row[Any]") -> datetime:
    """When a gateway must have reported a dispatched command."""
    due_at: datetime = row.deadline_at + timedelta(seconds=row.timeout_seconds) + GATEWAY_REPORT_SLACK
    return due_at


async def _expire(app: Charging, uow: UnitOfWork, charger: Charger, row: "sa.Row[Any]") -> None:
    after = next_command_status(CommandStatus.PENDING, CommandHappening.DEADLINE_PASSED)
    await _finish(app, uow, charger, row, Outcome(after, uow.now))


async def _finish(app: Charging, uow: UnitOfWork, charger: Charger, row: "sa.Row[Any]", outcome: Outcome) -> None:
    await _set(
        uow,
        row.id,
        status=outcome.status.value,
        response=outcome.response,
        error_code=outcome.error_code,
        error_description=outcome.error_description,
        completed_at=outcome.at,
    )
    for follower in (OBSERVERS.get(row.action), FOLLOWERS.get(row.trigger)):
        if follower is not None:
            await follower(app, uow, charger, row, outcome)


async def _locked(uow: UnitOfWork, command_id: int) -> "sa.Row[Any] | None":
    return (await uow.connection.execute(sa.select(commands).where(commands.c.id == command_id).with_for_update())).one_or_none()


async def _set(uow: UnitOfWork, command_id: int, **values: object) -> None:
    await uow.connection.execute(sa.update(commands).where(commands.c.id == command_id).values(**values))
