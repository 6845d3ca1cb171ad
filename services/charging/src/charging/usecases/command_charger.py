"""Remote commands over REST: any operation that OCPP 1.6 lets a Central System start, as a resource with its answer."""

from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from charging.domain.states import COMMAND_FINAL, CommandStatus
from charging.ocpp_schemas import check_command
from charging.tables import chargers, commands
from charging.usecases import announce
from charging.usecases.context import Charging
from charging.usecases.scope import at_own_stations, missing, of_own_chargers
from charging.views import ChargerId, CommandCreate, CommandId, CommandQuery, CommandView, WaitQuery
from chassis.database import UnitOfWork
from chassis.web import Answer, Page, Principal, fetch_page
from contracts.charging import CommandRequested

POLL_SECONDS = 0.2
"""How often a waiting caller's command is looked at: a charger answers in 0.1 to 1 s (row 94)."""


async def command_charger(
    app: Charging, charger_id: ChargerId, body: CommandCreate, query: WaitQuery, principal: Principal
) -> Answer[CommandView]:
    """`POST /v1/chargers/{id}/commands?wait=seconds`: 201 with its outcome if that came in time, 202 while it is under way.

    The command waits for a charger that is away, until its deadline. Accepted means what OCPP means by it: "will attempt".
    """
    check_command(body.action, body.payload)
    async with app.database.transaction() as uow:
        command_id = await _write(app, uow, charger_id, body, principal)
    row = await _look(app, command_id)
    until = app.clock.monotonic() + min(query.wait, app.settings.command_wait_max_seconds)
    while CommandStatus(row.status) not in COMMAND_FINAL and app.clock.monotonic() < until:
        await app.clock.sleep(min(POLL_SECONDS, until - app.clock.monotonic()))
        row = await _look(app, command_id)
    done = CommandStatus(row.status) in COMMAND_FINAL
    return Answer(
        CommandView.model_validate(row), status=201 if done else 202, headers={"Location": f"/v1/commands/cmd_{command_id}"}
    )


async def _write(app: Charging, uow: UnitOfWork, charger_id: int, body: CommandCreate, principal: Principal) -> int:
    charge_point_id = await uow.connection.scalar(
        sa.select(chargers.c.charge_point_id).where(
            chargers.c.id == charger_id, at_own_stations(principal, chargers.c.station_id)
        )
    )
    if charge_point_id is None:
        raise missing("charger", "chg", charger_id)
    command_id: int = (
        await uow.connection.execute(
            sa.insert(commands)
            .values(
                charger_id=charger_id,
                charge_point_id=charge_point_id,
                action=body.action,
                payload=body.payload,
                status=CommandStatus.PENDING.value,
                actor=principal.subject,
                trigger="api",
                deadline_at=uow.now + timedelta(seconds=app.settings.command_deadline_seconds),
                timeout_seconds=app.settings.command_timeout_seconds,
                created_at=uow.now,
            )
            .returning(commands.c.id)
        )
    ).scalar_one()
    uow.publish(CommandRequested(charge_point_id=charge_point_id, command_id=str(command_id)), subject=f"command/{command_id}")
    announce.audit(
        uow,
        entity="charger",
        entity_id=charger_id,
        action="commanded",
        actor=principal.subject,
        trigger="api",
        at=uow.now,
        after={"command_id": command_id, "action": body.action},
    )
    return command_id


async def _look(app: Charging, command_id: int) -> Any:
    async with app.database.reading() as uow:
        return (await uow.connection.execute(sa.select(commands).where(commands.c.id == command_id))).one()


async def show_command(uow: UnitOfWork, command_id: CommandId, principal: Principal) -> CommandView:
    """`GET /v1/commands/{id}`."""
    row = (
        await uow.connection.execute(
            sa.select(commands).where(commands.c.id == command_id, of_own_chargers(principal, commands.c.charger_id))
        )
    ).one_or_none()
    if row is None:
        raise missing("command", "cmd", command_id)
    return CommandView.model_validate(row)


async def list_commands(uow: UnitOfWork, charger_id: ChargerId, query: CommandQuery, principal: Principal) -> Page[CommandView]:
    """`GET /v1/chargers/{id}/commands`, newest first."""
    statement = sa.select(commands).where(commands.c.charger_id == charger_id, of_own_chargers(principal, commands.c.charger_id))
    if query.status is not None:
        statement = statement.where(commands.c.status == query.status.value)
    return await fetch_page(uow, statement, query, order=(commands.c.id,), view=CommandView.model_validate)
