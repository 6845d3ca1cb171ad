"""A charger's password: shown once to a person, or handed to the charger over its live socket (C13; OCPP 1.6 security TC_073).

    deliver ──> ChangeConfiguration AuthorizationKey, both passwords accepted
                  │ refused, or never sent ──> the new one is dropped
                  │ answered, or unanswered
                  └──> it connects with the new one ──> the old one is retired
                       a day later: accepted ──> the old one is retired;  it still comes with the old ──> the new one is dropped
                                    nobody knows ──> both stay, an alarm says so

The new password is never kept: the database has its salted hash, and command, outbox and broker hold it sealed (AES-GCM, a key
that only charging and the gateways have), until the command has ended; then the sealed text goes too.
"""

import hashlib
import json
import secrets
from typing import Any

import sqlalchemy as sa
import structlog

from charging.domain.effects import Effect
from charging.domain.errors import ConflictError
from charging.domain.redaction import HIDDEN
from charging.domain.states import CommandStatus
from charging.repository import Charger
from charging.tables import chargers, commands
from charging.usecases import announce
from charging.usecases.context import Charging
from charging.usecases.outcome import Outcome
from charging.usecases.scope import missing
from charging.usecases.send_command import NEVER_SENT, new_command
from charging.views import ChargerId, CredentialsRotate, RotatedCredentials
from chassis.database import UnitOfWork
from chassis.web import Principal
from contracts.charging import ChargerCredentialsChanged, CommandRequested
from contracts.ocpp_gateway import ChargePointConnected

log = structlog.get_logger(__name__)

PASSWORD_BYTES = 20
"""OCPP 1.6's AuthorizationKey is 20 bytes, given as 40 hex digits; long and random, so a salted fast hash serves."""
SALT_BYTES = 16

TRIGGER = "credentials"
"""Of the command that hands a password over."""

SEALED_FOR = "command"
"""What commands' sealed values are sealed for; gateways open them with the same word."""

KEY = "AuthorizationKey"

_NO_PREVIOUS: dict[str, Any] = {"previous_password_salt": None, "previous_password_hash": None}


def new_password() -> tuple[str, dict[str, Any]]:
    """(40 hex digits, the columns that are kept of them)."""
    password, salt = secrets.token_hex(PASSWORD_BYTES), secrets.token_hex(SALT_BYTES)
    hashed = hashlib.sha256(salt.encode() + password.encode()).hexdigest()
    return password, {"password_salt": salt, "password_hash": hashed}


def announce_credentials(app: Charging, uow: UnitOfWork, row: Any) -> None:
    """Tell the gateways what they need to know of a charger. `row`: the charger as it is now."""
    uow.publish(
        ChargerCredentialsChanged(
            charge_point_id=row.charge_point_id,
            salt=row.password_salt,
            password_hash=row.password_hash,
            version=row.credentials_version,
            enabled=row.enabled,
            previous_salt=row.previous_password_salt,
            previous_password_hash=row.previous_password_hash,
            close_without_frame=app.quirk_profile_of(row).close_without_frame,
        ),
        subject=f"charger/{row.id}/credentials",
        subject_version=row.credentials_version,
    )


async def rotate_credentials(
    app: Charging, uow: UnitOfWork, charger_id: ChargerId, body: CredentialsRotate | None, principal: Principal
) -> RotatedCredentials:
    """`POST /v1/chargers/{id}/credentials`: a new password. Shown this once, and the old one ends with the next handshake; or,
    with `deliver`, told to the charger alone, and the old one ends when the charger has come back with the new one.
    """
    before = (
        await uow.connection.execute(sa.select(chargers).where(chargers.c.id == charger_id).with_for_update())
    ).one_or_none()
    if before is None:
        raise missing("charger", "chg", charger_id)
    if body is not None and body.deliver:
        return await _deliver(app, uow, before, principal)
    password, hashed = new_password()
    await uow.connection.execute(
        sa.update(commands)
        .where(
            commands.c.charger_id == charger_id, commands.c.trigger == TRIGGER, commands.c.status == CommandStatus.PENDING.value
        )
        .values(**NEVER_SENT, sealed=None, completed_at=uow.now)
    )
    row = await _write(app, uow, charger_id, {**hashed, **_NO_PREVIOUS})
    _audit(uow, charger_id, "credentials_rotated", actor=principal.subject, version=row.credentials_version)
    return RotatedCredentials.model_validate({**row._mapping, "password": password, "command_id": None})  # noqa: SLF001  (SQLAlchemy's public name)


async def _deliver(app: Charging, uow: UnitOfWork, before: Any, principal: Principal) -> RotatedCredentials:
    if app.sealing is None:
        raise ConflictError("This installation has no command secrets key (VOLTLYNC_COMMAND_SECRETS_KEY): nothing can be sealed.")
    if before.previous_password_hash is not None:
        raise ConflictError("Another password is being handed over; see the charger's commands with trigger credentials.")
    profile = app.quirk_profile_of(before)
    if profile.denies("ChangeConfiguration") or profile.denies_key(KEY):
        raise ConflictError("Its quirk profile says that this charger takes no such command; set the password by hand.")
    password, hashed = new_password()
    previous = {"previous_password_salt": before.password_salt, "previous_password_hash": before.password_hash}
    row = await _write(app, uow, before.id, {**hashed, **previous})
    command_id: int = (
        await uow.connection.execute(
            sa.insert(commands)
            .values(
                **new_command(app, before, action="ChangeConfiguration", payload={"key": KEY, "value": HIDDEN}, at=uow.now),
                actor=principal.subject,
                trigger=TRIGGER,
                sealed=app.sealing.seal(json.dumps({"value": password}).encode(), purpose=SEALED_FOR),
            )
            .returning(commands.c.id)
        )
    ).scalar_one()
    uow.publish(
        CommandRequested(charge_point_id=before.charge_point_id, command_id=str(command_id)), subject=f"command/{command_id}"
    )
    _audit(
        uow,
        before.id,
        "credentials_handover_begun",
        actor=principal.subject,
        version=row.credentials_version,
        command_id=command_id,
    )
    return RotatedCredentials.model_validate({**row._mapping, "password": None, "command_id": command_id})  # noqa: SLF001


async def answered(app: Charging, uow: UnitOfWork, charger: Charger, row: "sa.Row[Any]", outcome: Outcome) -> None:
    """Follower of the command's answer: a charger that declined, or was never asked, keeps the old password alone."""
    if outcome.status in (CommandStatus.REJECTED, CommandStatus.CALL_ERROR, CommandStatus.EXPIRED):
        await _drop_new(app, uow, charger, row, why=outcome.said)


async def proves(uow: UnitOfWork, row: "sa.Row[Any]", event: ChargePointConnected) -> bool:
    """Whether this connection was made with the new password. One with the old is noted: it decides at the deadline."""
    if event.previous_password:
        if row.completed_at is not None:
            old = f"it came back with the old password: connection {event.epoch}"
            await uow.connection.execute(sa.update(commands).where(commands.c.id == row.id).values(effect_evidence=old))
        return False
    version = await uow.connection.scalar(sa.select(chargers.c.credentials_version).where(chargers.c.id == row.charger_id))
    # A gateway that did not know of the hand-over yet took the old password for the only one: its word proves nothing.
    return event.password_version is not None and version is not None and event.password_version >= version


async def effect_known(app: Charging, uow: UnitOfWork, charger: Charger, row: "sa.Row[Any]", effect: Effect) -> None:
    """The charger has shown that it has the new password, or had a day to."""
    if effect is Effect.SEEN:
        await _retire_old(app, uow, charger, row, why="it connected with the new one")
    elif row.effect_evidence is not None:
        await _drop_new(app, uow, charger, row, why=row.effect_evidence)
    elif row.status == CommandStatus.ANSWERED.value:
        await _retire_old(app, uow, charger, row, why="it accepted, and has not connected since")
    else:
        uow.after_commit(app.metrics.handovers_failed.labels("unknown").inc)
        log.error("credentials.unknown", charge_point_id=charger.charge_point_id, command_id=row.id, status=row.status)
        _audit(uow, charger.id, "credentials_handover_unknown", command_id=row.id, why="no answer, and no connection since")


async def _retire_old(app: Charging, uow: UnitOfWork, charger: Charger, row: "sa.Row[Any]", *, why: str) -> None:
    after = await _write(app, uow, charger.id, _NO_PREVIOUS, chargers.c.previous_password_hash.is_not(None))
    if after is not None:
        _audit(uow, charger.id, "credentials_handed_over", version=after.credentials_version, command_id=row.id, why=why)


async def _drop_new(app: Charging, uow: UnitOfWork, charger: Charger, row: "sa.Row[Any]", *, why: str) -> None:
    c = chargers.c
    values = {"password_salt": c.previous_password_salt, "password_hash": c.previous_password_hash, **_NO_PREVIOUS}
    after = await _write(app, uow, charger.id, values, c.previous_password_hash.is_not(None))
    if after is None:
        return
    uow.after_commit(app.metrics.handovers_failed.labels("refused").inc)
    log.warning("credentials.not_handed_over", charge_point_id=charger.charge_point_id, command_id=row.id, why=why)
    _audit(uow, charger.id, "credentials_handover_failed", version=after.credentials_version, command_id=row.id, why=why)


async def _write(app: Charging, uow: UnitOfWork, charger_id: int, values: dict[str, Any], *where: sa.ColumnElement[bool]) -> Any:
    """Change a charger's credentials and tell the gateways; None if the condition does not hold."""
    row = (
        await uow.connection.execute(
            sa.update(chargers)
            .where(chargers.c.id == charger_id, *where)
            .values(**values, credentials_version=chargers.c.credentials_version + 1, updated_at=uow.now)
            .returning(*chargers.c)
        )
    ).one_or_none()
    if row is not None:
        announce_credentials(app, uow, row)
    return row


def _audit(
    uow: UnitOfWork,
    charger_id: int,
    action: str,
    *,
    actor: str = announce.ACTOR,
    version: int | None = None,
    command_id: int | None = None,
    why: str | None = None,
) -> None:
    told = {"credentials_version": version, "command_id": command_id, "why": why}
    announce.audit(
        uow,
        entity="charger",
        entity_id=charger_id,
        action=action,
        actor=actor,
        trigger="api" if actor != announce.ACTOR else TRIGGER,
        at=uow.now,
        after={name: value for name, value in told.items() if value is not None},
    )
