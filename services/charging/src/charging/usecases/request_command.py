"""An OCPP command that a REST resource wishes for: written with the resource, handed over by the lane."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from charging.ocpp_schemas import check_command
from charging.tables import chargers, commands, configuration_keys
from charging.usecases.context import Charging
from charging.usecases.scope import at_own_stations, missing
from charging.usecases.send_command import new_command
from chassis.database import UnitOfWork
from chassis.web import Principal
from contracts.charging import CommandRequested


async def own_charger(uow: UnitOfWork, charger_id: int, principal: Principal) -> "sa.Row[Any]":
    """The charger's row. Raises NotFoundError where it is not there, or not the caller's."""
    row = (
        await uow.connection.execute(
            sa.select(chargers).where(chargers.c.id == charger_id, at_own_stations(principal, chargers.c.station_id))
        )
    ).one_or_none()
    if row is None:
        raise missing("charger", "chg", charger_id)
    return row


async def request_command(
    app: Charging,
    uow: UnitOfWork,
    charger: "sa.Row[Any]",
    *,
    action: str,
    payload: Mapping[str, Any],
    trigger: str,
    principal: Principal,
) -> int:
    """A PENDING command on behalf of a person; its follower hears of the outcome. Raises InvalidCommandError."""
    check_command(action, payload)
    values = new_command(app, charger, action=action, payload=payload, at=uow.now)
    inserted = await uow.connection.execute(
        sa.insert(commands).values(**values, actor=principal.subject, trigger=trigger).returning(commands.c.id)
    )
    command_id: int = inserted.scalar_one()
    uow.publish(
        CommandRequested(charge_point_id=charger.charge_point_id, command_id=str(command_id)), subject=f"command/{command_id}"
    )
    return command_id


async def reported_configuration(uow: UnitOfWork, charger_id: int) -> dict[str, str]:
    """What a charger last said of its configuration, by key in lower case; what it never spoke of is left out."""
    c = configuration_keys.c
    rows = await uow.connection.execute(sa.select(c.name, c.reported).where(c.charger_id == charger_id, c.reported.is_not(None)))
    return {row.name: row.reported for row in rows}
