"""The operator's will about a charger or connector, told to the charger where that is asked for (ChangeAvailability, §5.2).

Whether it sells is decided here by `operative` alone, told or not: a charger that is away, or says no, changes nothing in that.
"""

from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from charging.domain.states import CommandStatus
from charging.tables import commands
from charging.usecases.context import Charging
from chassis.database import UnitOfWork
from chassis.web import Principal, invalid_field
from contracts.charging import CommandRequested


def check_asked(operative: bool | None, tell_charger: bool) -> None:
    """Raises a 422 problem where there is nothing to tell."""
    if tell_charger and operative is None:
        raise invalid_field("#/body/tell_charger", "It goes with `operative`")


async def tell_availability(
    app: Charging, uow: UnitOfWork, charger: Any, connector_id: int, operative: bool, principal: Principal
) -> None:
    """Write the command, for the lane to hand over. `charger`: its row; connector 0 is the whole charger (§5.2)."""
    command_id = (
        await uow.connection.execute(
            sa.insert(commands)
            .values(
                charger_id=charger.id,
                charge_point_id=charger.charge_point_id,
                action="ChangeAvailability",
                payload={"connectorId": connector_id, "type": "Operative" if operative else "Inoperative"},
                status=CommandStatus.PENDING.value,
                actor=principal.subject,
                trigger="availability",
                deadline_at=uow.now + timedelta(seconds=app.settings.command_deadline_seconds),
                timeout_seconds=app.quirk_profile_of(charger).call_timeout_seconds or app.settings.command_timeout_seconds,
                created_at=uow.now,
            )
            .returning(commands.c.id)
        )
    ).scalar_one()
    uow.publish(
        CommandRequested(charge_point_id=charger.charge_point_id, command_id=str(command_id)), subject=f"command/{command_id}"
    )
