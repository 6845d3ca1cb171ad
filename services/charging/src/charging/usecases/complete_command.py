"""A command's outcome, taken by compare-and-set: exactly one counts, a late answer is recorded and changes nothing."""

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
            await _expire(uow, row)
            return
        await _set(uow, row.id, status=after.value)
        if row.epoch is not None and charger.epoch > row.epoch:
            await dispatch(uow, charger, command_id=row.id)
        return
    await _set(
        uow,
        row.id,
        status=after.value,
        response=event.response,
        error_code=event.error_code,
        error_description=event.error_description,
        completed_at=event.received_at,
    )
    if happening not in (CommandHappening.REJECTED, CommandHappening.CALL_ERROR):
        return
    if row.start_request_id is not None:
        said = (event.response or {}).get("status") or event.error_code or "an error"
        await decide_start.command_failed(app, uow, row.start_request_id, detail=f"The charger refused to start: {said}.")
    elif row.transaction_id is not None and row.action == "RemoteStopTransaction":
        await stop_rejected(app, uow, charger, row.transaction_id)


async def command_overdue(uow: UnitOfWork, charger: Charger, command_id: int) -> None:
    """A command's deadline: unsent it expires; sent, with a gateway that never reported, it is UNKNOWN."""
    row = await _locked(uow, command_id)
    if row is None or row.charger_id != charger.id:
        return
    status = CommandStatus(row.status)
    if status is CommandStatus.PENDING and row.deadline_at <= uow.now:
        await _expire(uow, row)
    elif status is CommandStatus.DISPATCHED and report_due_at(row) <= uow.now:
        after = next_command_status(status, CommandHappening.DEADLINE_PASSED)
        await _set(uow, row.id, status=after.value, completed_at=uow.now)
        log.warning("command.unreported", command_id=row.id, charge_point_id=charger.charge_point_id, gateway=row.gateway)


def report_due_at(row: "sa.Row[Any]") -> datetime:
    """When a gateway must have reported a dispatched command."""
    due_at: datetime = row.deadline_at + timedelta(seconds=row.timeout_seconds) + GATEWAY_REPORT_SLACK
    return due_at


async def _expire(uow: UnitOfWork, row: "sa.Row[Any]") -> None:
    after = next_command_status(CommandStatus.PENDING, CommandHappening.DEADLINE_PASSED)
    await _set(uow, row.id, status=after.value, completed_at=uow.now)


async def _locked(uow: UnitOfWork, command_id: int) -> "sa.Row[Any] | None":
    return (await uow.connection.execute(sa.select(commands).where(commands.c.id == command_id).with_for_update())).one_or_none()


async def _set(uow: UnitOfWork, command_id: int, **values: object) -> None:
    await uow.connection.execute(sa.update(commands).where(commands.c.id == command_id).values(**values))
