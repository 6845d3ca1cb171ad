"""Making OCPP commands and handing them to the gateway that holds the charger's socket.

A command goes out again on the next connection only if it was certainly not sent (`command_completed`).
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from charging.domain.commands import CARE, priority_of
from charging.domain.effects import Effect, waits_for
from charging.domain.states import CommandHappening, CommandStatus, next_command_status
from charging.repository import Charger, load_chargers
from charging.tables import commands
from charging.usecases.announce import ACTOR
from charging.usecases.context import Charging
from chassis.database import UnitOfWork
from chassis.messaging import Received
from contracts.charging import CommandRequested
from contracts.ocpp_gateway import CommandSendRequested
from contracts.topology import gateway_address

TRIGGER_EVERY = timedelta(seconds=60)
"""A TriggerMessage of one kind goes to a charger at most so often: some accept it, send nothing, and block (row 73)."""


def expecting(action: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Columns of a new command that say what it is to bring about."""
    sign = waits_for(action, payload)
    return {"effect": (Effect.NONE_EXPECTED if sign is None else Effect.AWAITED).value, "effect_waits_for": sign}


NEVER_SENT: Mapping[str, Any] = {
    "status": CommandStatus.EXPIRED.value,
    "effect": Effect.NONE_EXPECTED.value,
    "effect_evidence": "never sent",
}
"""Columns of a PENDING command that is not to be sent any more."""


def new_command(app: Charging, charger: Any, *, action: str, payload: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    """Columns of a PENDING command that a person wishes for. `charger`: a row or a Charger; actor and trigger come apart."""
    return {
        "charger_id": charger.id,
        "charge_point_id": charger.charge_point_id,
        "action": action,
        "payload": dict(payload),
        "status": CommandStatus.PENDING.value,
        "deadline_at": at + timedelta(seconds=app.settings.command_deadline_seconds),
        "timeout_seconds": app.quirk_profile_of(charger).call_timeout_seconds or app.settings.command_timeout_seconds,
        "created_at": at,
        **expecting(action, payload),
    }


async def triggered_lately(uow: UnitOfWork, charger_ids: Collection[int], requested_message: str) -> set[int]:
    """The chargers that have been sent this TriggerMessage within the last minute, or are about to be."""
    not_sent = (CommandStatus.EXPIRED.value,)
    statement = (
        sa.select(commands.c.charger_id)
        .where(
            commands.c.charger_id.in_(charger_ids),
            commands.c.action == "TriggerMessage",
            commands.c.payload["requestedMessage"].astext == requested_message,
            commands.c.created_at > uow.now - TRIGGER_EVERY,
            commands.c.status.not_in(not_sent),
        )
        .distinct()
    )
    return set((await uow.connection.scalars(statement)).all())


async def create_command(
    app: Charging,
    uow: UnitOfWork,
    charger: Charger,
    *,
    action: str,
    payload: Mapping[str, Any],
    trigger: str,
    deadline_at: datetime,
    actor: str = ACTOR,
    start_request_id: int | None = None,
    transaction_id: int | None = None,
    sealed: str | None = None,
) -> int:
    """Write a PENDING command and, if the charger is connected, hand it over at once. Only the lane calls this."""
    command_id: int = (
        await uow.connection.execute(
            sa.insert(commands)
            .values(
                charger_id=charger.id,
                charge_point_id=charger.charge_point_id,
                action=action,
                payload=dict(payload),
                status=CommandStatus.PENDING.value,
                actor=actor,
                trigger=trigger,
                start_request_id=start_request_id,
                transaction_id=transaction_id,
                deadline_at=deadline_at,
                timeout_seconds=app.quirk_profile_of(charger).call_timeout_seconds or app.settings.command_timeout_seconds,
                created_at=uow.now,
                sealed=sealed,
                **expecting(action, payload),
            )
            .returning(commands.c.id)
        )
    ).scalar_one()
    await dispatch(uow, charger, command_id=command_id)
    return command_id


async def dispatch(uow: UnitOfWork, charger: Charger, *, command_id: int | None = None) -> None:
    """Hand PENDING commands of a connected charger to its gateway: this one, or all; stops first, then starts, then by age."""
    if not charger.online or charger.gateway is None:
        return
    # A fresh connection is left in peace: what configuration could not send expires, and the conversation begins again later.
    wanted = commands.c.id == command_id if command_id is not None else commands.c.trigger != CARE
    rows = (
        await uow.connection.execute(
            sa.select(commands)
            .where(
                commands.c.charger_id == charger.id,
                commands.c.status == CommandStatus.PENDING.value,
                commands.c.deadline_at > uow.now,
                wanted,
            )
            .order_by(commands.c.id)
            .with_for_update()
        )
    ).all()
    for row in sorted(rows, key=lambda row: (priority_of(row.action, row.trigger), row.id)):
        status = next_command_status(CommandStatus(row.status), CommandHappening.DISPATCHED)
        await uow.connection.execute(
            sa.update(commands)
            .where(commands.c.id == row.id)
            .values(
                status=status.value,
                attempts=row.attempts + 1,
                epoch=charger.epoch,
                gateway=charger.gateway,
                dispatched_at=uow.now,
            )
        )
        uow.publish(
            CommandSendRequested(
                command_id=wire_id(row.id, row.attempts + 1),
                charge_point_id=charger.charge_point_id,
                epoch=charger.epoch,
                action=row.action,
                payload=row.payload,
                priority=priority_of(row.action, row.trigger),
                deadline=row.deadline_at,
                timeout_seconds=row.timeout_seconds,
                sealed=row.sealed,
            ),
            subject=f"charger/{charger.charge_point_id}/commands",
            to=gateway_address(charger.gateway),
            message_id=f"command/{row.id}/{row.attempts + 1}",
        )


def wire_id(command_id: int, attempt: int) -> str:
    """A command's name on the wire: each handing over is its own, since a gateway knows a name it has reported for done."""
    return f"{command_id}.{attempt}"


def read_wire_id(text: str) -> tuple[int, int] | None:
    """(command id, attempt) of a name that `wire_id` made; None for any other."""
    command_id, dot, attempt = text.partition(".")
    return (int(command_id), int(attempt)) if dot and command_id.isdecimal() and attempt.isdecimal() else None


async def with_waiting_commands(uow: UnitOfWork, charger_ids: Collection[int]) -> set[int]:
    """Which of these chargers have commands that wait for a connection."""
    driver = await uow.asyncpg()
    return {row[0] for row in await driver.fetch(_WITH_WAITING_COMMANDS, list(charger_ids))}


_WITH_WAITING_COMMANDS = "SELECT DISTINCT charger_id FROM commands WHERE status = 'PENDING' AND charger_id = ANY($1::bigint[])"


async def command_requested(app: Charging, uow: UnitOfWork, received: Received) -> None:
    """The lane's turn of a command that the REST surface wrote: hand it over, or let it wait for the charger to connect."""
    del app
    event: CommandRequested = received.model
    charger = (await load_chargers(uow, [event.charge_point_id])).get(event.charge_point_id)
    if charger is not None:
        await dispatch(uow, charger, command_id=int(event.command_id))
