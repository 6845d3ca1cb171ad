"""A command's outcome, taken by compare-and-set: exactly one counts, a late answer is recorded and changes nothing.

What a use case wants to know of the commands that it makes, it is told here: `FOLLOWERS` by what led to the command
(`commands.trigger`), `OBSERVERS` by its OCPP operation, whoever sent it.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog

from charging.domain.commands import CARE, happening_of
from charging.domain.redaction import redact_response
from charging.domain.states import CommandHappening, CommandStatus, next_command_status
from charging.repository import Charger, load_chargers
from charging.tables import commands
from charging.usecases import configure_charger, decide_start, hand_over_credentials, observe_effects
from charging.usecases.context import Charging
from charging.usecases.follow_charging_profiles import profile_cleared, profile_set, start_with_profile_answered
from charging.usecases.follow_reservations import reservation_answered
from charging.usecases.outcome import Follower, Outcome
from charging.usecases.send_command import dispatch, read_wire_id
from charging.usecases.stop_session import stop_rejected
from charging.usecases.sync_local_list import configuration_told, local_list_answered
from chassis.database import UnitOfWork
from chassis.messaging import Received
from contracts.ocpp_gateway import CommandCompleted

log = structlog.get_logger(__name__)

GATEWAY_REPORT_SLACK = timedelta(seconds=15)
"""A gateway reports an outcome this soon after a command's deadline and timeout; if it does not, it is gone: UNKNOWN."""


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
    "local_list": local_list_answered,
    CARE: configure_charger.answered,
    hand_over_credentials.TRIGGER: hand_over_credentials.answered,
}
"""By `commands.trigger`."""

OBSERVERS: Mapping[str, tuple[Follower, ...]] = {
    "SetChargingProfile": (profile_set,),
    "ClearChargingProfile": (profile_cleared,),
    "RemoteStartTransaction": (start_with_profile_answered,),
    "GetConfiguration": (configuration_told,),
    "ReserveNow": (reservation_answered,),
    "CancelReservation": (reservation_answered,),
}
"""By OCPP operation, in this order, before the follower: an operator's raw command changes the charger as ours do."""


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
        await _set(uow, row.id, late_response=redact_response(row.action, event.response))
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
        await observe_effects.handed_back(uow, row)
        if row.epoch is not None and charger.epoch > row.epoch and row.trigger != CARE:
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
        response=redact_response(row.action, outcome.response),
        error_code=outcome.error_code,
        error_description=outcome.error_description,
        completed_at=outcome.at,
        sealed=None,
    )
    await observe_effects.outcome_known(app, uow, row, outcome.status, outcome.said, outcome.at)
    for observer in OBSERVERS.get(row.action, ()):
        await observer(app, uow, charger, row, outcome)
    follower = FOLLOWERS.get(row.trigger)
    if follower is not None:
        await follower(app, uow, charger, row, outcome)


async def _locked(uow: UnitOfWork, command_id: int) -> "sa.Row[Any] | None":
    return (await uow.connection.execute(sa.select(commands).where(commands.c.id == command_id).with_for_update())).one_or_none()


async def _set(uow: UnitOfWork, command_id: int, **values: object) -> None:
    await uow.connection.execute(sa.update(commands).where(commands.c.id == command_id).values(**values))
