"""One operation for many chargers in one call: a batch, with a command, an answer and an effect for each."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from charging.domain.effects import Effect
from charging.domain.states import CommandStatus
from charging.tables import chargers, command_batches, commands
from charging.usecases import announce
from charging.usecases.command_charger import conceal
from charging.usecases.context import Charging
from charging.usecases.scope import at_own_stations, missing, of_own_chargers
from charging.usecases.send_command import new_command, triggered_lately
from charging.views import CommandBatchId, CommandBatchView, CommandManyCreate, CommandView
from chassis.database import UnitOfWork
from chassis.web import Page, PageQuery, Principal, fetch_page, invalid_field
from contracts.charging import CommandRequested


async def command_many(app: Charging, uow: UnitOfWork, body: CommandManyCreate, principal: Principal) -> CommandBatchView:
    """`POST /v1/commands`: the batch as it begins. Chargers that get no command are told apart, each with its reason.

    Three statements whatever the number: read the chargers, write the batch, write the commands.
    """
    payload, sealed = conceal(app, body.action, body.payload)
    if (body.charger_ids is None) == (body.station_id is None):
        raise invalid_field("#/body/charger_ids", "Name either chargers or a station")
    wanted = list(dict.fromkeys(body.charger_ids or []))
    if len(wanted) > app.settings.command_batch_max:
        raise invalid_field("#/body/charger_ids", f"At most {app.settings.command_batch_max} chargers in one call")
    which = chargers.c.id.in_(wanted) if body.station_id is None else chargers.c.station_id == body.station_id
    found = {
        row.id: row
        for row in await uow.connection.execute(
            sa.select(chargers)
            .where(which, at_own_stations(principal, chargers.c.station_id))
            .order_by(chargers.c.id)
            .limit(app.settings.command_batch_max + 1)
            .with_for_update(key_share=True)
        )
    }
    if body.station_id is not None:
        if not found:
            raise missing("station with chargers", "stn", body.station_id)
        if len(found) > app.settings.command_batch_max:
            raise invalid_field("#/body/station_id", f"It has more than {app.settings.command_batch_max} chargers")
    lately: set[int] = set()
    if body.action == "TriggerMessage":
        lately = await triggered_lately(uow, list(found), str(payload.get("requestedMessage")))
    refused = [
        *(_refused(charger_id, "UNKNOWN", "There is no such charger.") for charger_id in wanted if charger_id not in found),
        *(_refused(charger_id, "TOO_SOON", "It was asked for this less than a minute ago.") for charger_id in sorted(lately)),
    ]
    batch_id: int = (
        await uow.connection.execute(
            sa.insert(command_batches)
            .values(
                action=body.action,
                payload=payload,
                station_id=body.station_id,
                actor=principal.subject,
                requested=len(wanted) if body.station_id is None else len(found),
                refused=refused,
                created_at=uow.now,
            )
            .returning(command_batches.c.id)
        )
    ).scalar_one()
    await _write(
        app, uow, [row for row in found.values() if row.id not in lately], batch_id, body.action, payload, sealed, principal
    )
    announce.audit(
        uow,
        entity="command_batch",
        entity_id=batch_id,
        action="commanded",
        actor=principal.subject,
        trigger="api",
        at=uow.now,
        after={
            "action": body.action,
            "charger_ids": [charger_id for charger_id in found if charger_id not in lately],
            "refused": len(refused),
        },
    )
    return await _view(uow, batch_id, PageQuery(), principal)


def _refused(charger_id: int, reason: str, detail: str) -> dict[str, Any]:
    return {"charger_id": charger_id, "reason": reason, "detail": detail}


async def _write(
    app: Charging,
    uow: UnitOfWork,
    rows: Iterable[Any],
    batch_id: int,
    action: str,
    payload: dict[str, Any],
    sealed: str | None,
    principal: Principal,
) -> None:
    values = [
        {
            **new_command(app, row, action=action, payload=payload, at=uow.now),
            "actor": principal.subject,
            "trigger": "api",
            "batch_id": batch_id,
            "sealed": sealed,
        }
        for row in rows
    ]
    if not values:
        return
    written = await uow.connection.execute(sa.insert(commands).returning(commands.c.id, commands.c.charge_point_id), values)
    for command_id, charge_point_id in written:
        uow.publish(
            CommandRequested(charge_point_id=charge_point_id, command_id=str(command_id)), subject=f"command/{command_id}"
        )


async def show_command_batch(
    uow: UnitOfWork, command_batch_id: CommandBatchId, query: PageQuery, principal: Principal
) -> CommandBatchView:
    """`GET /v1/command-batches/{id}`: how many are where, and a page of the commands themselves."""
    return await _view(uow, command_batch_id, query, principal)


async def _view(uow: UnitOfWork, batch_id: int, query: PageQuery, principal: Principal) -> CommandBatchView:
    batch = (await uow.connection.execute(sa.select(command_batches).where(command_batches.c.id == batch_id))).one_or_none()
    if batch is None:
        raise missing("command batch", "bat", batch_id)
    own = of_own_chargers(principal, commands.c.charger_id)
    counted = await uow.connection.execute(
        sa.select(commands.c.status, commands.c.effect, sa.func.count())
        .where(commands.c.batch_id == batch_id, own)
        .group_by(commands.c.status, commands.c.effect)
    )
    by_status: dict[CommandStatus, int] = {}
    by_effect: dict[Effect, int] = {}
    for status, effect, count in counted:
        by_status[CommandStatus(status)] = by_status.get(CommandStatus(status), 0) + count
        by_effect[Effect(effect)] = by_effect.get(Effect(effect), 0) + count
    results: Page[CommandView] = await fetch_page(
        uow,
        sa.select(commands).where(commands.c.batch_id == batch_id, own),
        query,
        order=(commands.c.id,),
        view=CommandView.model_validate,
    )
    return CommandBatchView.model_validate(
        {**batch._mapping, "by_status": by_status, "by_effect": by_effect, "results": results}  # noqa: SLF001  (SQLAlchemy's public name)
    )
