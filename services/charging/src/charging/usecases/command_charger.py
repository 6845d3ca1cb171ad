"""Remote commands over REST: any operation that a Central System may start in OCPP 1.6, with its answer and its effect."""

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from charging.domain.effects import AUTHORIZATION_KEY, Effect
from charging.domain.errors import ConflictError, InvalidCommandError
from charging.domain.redaction import is_secret, redact_payload
from charging.domain.states import COMMAND_FINAL, CommandStatus
from charging.ocpp_schemas import check_command
from charging.tables import chargers, commands
from charging.usecases import announce
from charging.usecases.context import Charging
from charging.usecases.hand_over_credentials import SEALED_FOR
from charging.usecases.scope import at_own_stations, missing, of_own_chargers
from charging.usecases.send_command import TRIGGER_EVERY, new_command, triggered_lately
from charging.views import ChargerId, CommandCreate, CommandId, CommandQuery, CommandView, WaitQuery
from chassis.database import UnitOfWork
from chassis.web import Answer, Page, Principal, Problem, fetch_page
from contracts.charging import CommandRequested

POLL_SECONDS = 0.2
"""How often a waiting caller's command is looked at: a charger answers in 0.1 to 1 s (row 94)."""


async def command_charger(
    app: Charging, charger_id: ChargerId, body: CommandCreate, query: WaitQuery, principal: Principal
) -> Answer[CommandView]:
    """`POST /v1/chargers/{id}/commands?wait=seconds`: 201 with its outcome if that came in time, 202 while it is under way.

    The command waits for a charger that is away, until its deadline. Accepted means what OCPP means by it: "will attempt";
    with `wait_for=effect` the answer is waited for, and then what shows that it was done.
    """
    payload, sealed = conceal(app, body.action, body.payload)
    async with app.database.transaction() as uow:
        command_id = await _write(app, uow, charger_id, body.action, payload, sealed, principal)
    row = await _look(app, command_id)
    until = app.clock.monotonic() + min(query.wait, app.settings.command_wait_max_seconds)
    while not _known(row, query) and app.clock.monotonic() < until:
        await app.clock.sleep(min(POLL_SECONDS, until - app.clock.monotonic()))
        row = await _look(app, command_id)
    return Answer(
        CommandView.model_validate(row),
        status=201 if _known(row, query) else 202,
        headers={"Location": f"/v1/commands/cmd_{command_id}"},
    )


def _known(row: Any, query: WaitQuery) -> bool:
    if CommandStatus(row.status) not in COMMAND_FINAL:
        return False
    return query.wait_for == "answer" or row.effect != Effect.AWAITED.value


def conceal(app: Charging, action: str, payload: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """(the payload as it is kept, what is secret in it, sealed). Raises InvalidCommandError for what the schema refuses."""
    check_command(action, payload)
    key = str(payload.get("key", ""))
    if action != "ChangeConfiguration" or not is_secret(key):
        return dict(payload), None
    if key.strip().casefold() == AUTHORIZATION_KEY:
        raise InvalidCommandError(
            "A charger's password is handed over by POST /v1/chargers/{id}/credentials with deliver: set here, it would lock "
            "the charger out."
        )
    if app.sealing is None:
        raise ConflictError(
            f"{key} is a secret, and this installation has no command secrets key (VOLTLYNC_COMMAND_SECRETS_KEY) to seal it with."
        )
    sealed = app.sealing.seal(json.dumps({"value": payload["value"]}).encode(), purpose=SEALED_FOR)
    return redact_payload(action, payload), sealed


async def _write(
    app: Charging,
    uow: UnitOfWork,
    charger_id: int,
    action: str,
    payload: dict[str, Any],
    sealed: str | None,
    principal: Principal,
) -> int:
    own = at_own_stations(principal, chargers.c.station_id)
    # Locked, so that of two callers at once one is told that the other was first.
    charger = (
        await uow.connection.execute(sa.select(chargers).where(chargers.c.id == charger_id, own).with_for_update(key_share=True))
    ).one_or_none()
    if charger is None:
        raise missing("charger", "chg", charger_id)
    if action == "TriggerMessage" and await triggered_lately(uow, [charger_id], str(payload.get("requestedMessage"))):
        raise Problem(
            429,
            "This message was triggered less than a minute ago",
            "Some chargers accept a trigger, send nothing and block when asked again at once; wait a minute.",
            type="triggered-too-soon",
            headers={"Retry-After": str(int(TRIGGER_EVERY.total_seconds()))},
        )
    command_id: int = (
        await uow.connection.execute(
            sa.insert(commands)
            .values(
                **new_command(app, charger, action=action, payload=payload, at=uow.now),
                actor=principal.subject,
                trigger="api",
                sealed=sealed,
            )
            .returning(commands.c.id)
        )
    ).scalar_one()
    uow.publish(
        CommandRequested(charge_point_id=charger.charge_point_id, command_id=str(command_id)), subject=f"command/{command_id}"
    )
    announce.audit(
        uow,
        entity="charger",
        entity_id=charger_id,
        action="commanded",
        actor=principal.subject,
        trigger="api",
        at=uow.now,
        after={"command_id": command_id, "action": action},
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
