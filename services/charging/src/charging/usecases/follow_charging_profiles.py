"""Charging profiles as chargers hold them: whoever sent one, and by whatever command, its answer is recorded here in the lane."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
import structlog

from charging.domain.charging_profiles import (
    HELD,
    Profile,
    ProfileHappening,
    ProfileState,
    Purpose,
    clears,
    next_profile_state,
    read_profile,
    replaces,
)
from charging.domain.start import normalise_id_tag
from charging.domain.states import CommandStatus
from charging.repository import Charger
from charging.tables import charging_profiles, transactions
from charging.usecases import announce
from charging.usecases.context import Charging
from charging.usecases.outcome import Outcome
from chassis.database import UnitOfWork

log = structlog.get_logger(__name__)

Row = sa.Row[Any]


async def profile_set(app: Charging, uow: UnitOfWork, charger: Charger, command: Row, outcome: Outcome) -> None:
    """A SetChargingProfile ended. What the charger took replaces what stood in its place (§5.16)."""
    del app
    row = await _of_command(uow, command) or await _record(
        uow, charger, command, command.payload["connectorId"], command.payload["csChargingProfiles"]
    )
    if row is None or ProfileState(row.state) is not ProfileState.REQUESTED:
        return
    await _answered(uow, charger, row, outcome)


async def start_with_profile_answered(app: Charging, uow: UnitOfWork, charger: Charger, command: Row, outcome: Outcome) -> None:
    """A RemoteStartTransaction that brings a TxProfile (§5.11) ended: the transaction's, as soon as there is one."""
    del app
    said = command.payload.get("chargingProfile")
    if said is None or outcome.said != "Accepted":
        return
    id_tag = normalise_id_tag(command.payload["idTag"])
    row = await _record(uow, charger, command, command.payload.get("connectorId", 0), said, id_tag=id_tag)
    if row is None:
        return
    begun = (
        await uow.connection.execute(
            sa.select(transactions.c.id, transactions.c.connector_id).where(
                transactions.c.charger_id == charger.id, transactions.c.id_tag == id_tag, transactions.c.state != "STOPPED"
            )
        )
    ).first()
    if begun is not None:  # the StartTransaction overtook the answer (row 86)
        await profiles_of_start(uow, charger, begun.connector_id, id_tag, begun.id)
    fresh = await _of_command(uow, command)
    if fresh is not None:
        await _answered(uow, charger, fresh, outcome)


async def profiles_of_start(uow: UnitOfWork, charger: Charger, connector_id: int, id_tag: str, transaction_id: int) -> None:
    """A transaction began: profiles that came with its RemoteStart are its own from now on."""
    c = charging_profiles.c
    await uow.connection.execute(
        sa.update(charging_profiles)
        .where(
            c.charger_id == charger.id,
            c.id_tag == id_tag,
            c.transaction_id.is_(None),
            c.state.in_([ProfileState.REQUESTED.value, ProfileState.ACCEPTED.value]),
        )
        .values(transaction_id=transaction_id, connector_id=connector_id)
    )


async def profile_cleared(app: Charging, uow: UnitOfWork, charger: Charger, command: Row, outcome: Outcome) -> None:
    """A ClearChargingProfile ended. Unknown (§7.19): the charger holds none that matches, so ours that match are gone as well."""
    del app
    if outcome.said not in ("Accepted", "Unknown"):
        return
    matching = [row for row, profile in await held_profiles(uow, charger.id) if clears(command.payload, profile)]
    await _end(uow, matching, ProfileHappening.CLEARED, reason=f"ClearChargingProfile: {outcome.said}")


async def held_profiles(uow: UnitOfWork, charger_id: int) -> list[tuple[Row, Profile]]:
    """What a charger holds, or may."""
    c = charging_profiles.c
    rows = await uow.connection.execute(
        sa.select(charging_profiles)
        .where(c.charger_id == charger_id, c.state.in_([state.value for state in HELD]))
        .order_by(c.id)
    )
    return [(row, read_profile(row.connector_id, row.profile)) for row in rows]


async def _of_command(uow: UnitOfWork, command: Row) -> "Row | None":
    return (
        await uow.connection.execute(
            sa.select(charging_profiles).where(charging_profiles.c.command_id == command.id).with_for_update()
        )
    ).one_or_none()


async def _record(
    uow: UnitOfWork, charger: Charger, command: Row, connector_id: int, said: dict[str, Any], *, id_tag: str | None = None
) -> "Row | None":
    """The row of a profile that no REST resource made: an operator's raw command, a stop's 0 A. None: it can't be read."""
    try:
        profile = read_profile(connector_id, said)
    except (KeyError, ValueError) as error:
        log.warning("charging_profile.unreadable", command_id=command.id, error=repr(error))
        return None
    return await add_profile(
        uow,
        charger,
        profile,
        said,
        command_id=command.id,
        actor=command.actor,
        id_tag=id_tag,
        transaction_id=None if id_tag is not None else await _transaction_of(uow, charger, profile),
    )


async def add_profile(
    uow: UnitOfWork,
    charger: "Charger | Row",
    profile: Profile,
    said: dict[str, Any],
    *,
    command_id: int | None,
    actor: str,
    transaction_id: int | None,
    id_tag: str | None = None,
    **more: Any,
) -> Row:
    """A row, REQUESTED."""
    return (
        await uow.connection.execute(
            sa.insert(charging_profiles)
            .values(
                charger_id=charger.id,
                charge_point_id=charger.charge_point_id,
                connector_id=profile.connector_id,
                charging_profile_id=profile.profile_id,
                purpose=profile.purpose.value,
                stack_level=profile.stack_level,
                transaction_id=transaction_id,
                profile=said,
                id_tag=id_tag,
                command_id=command_id,
                actor=actor,
                created_at=uow.now,
                **more,
            )
            .returning(*charging_profiles.c)
        )
    ).one()


async def _transaction_of(uow: UnitOfWork, charger: Charger, profile: Profile) -> int | None:
    """Our id of a TxProfile's transaction: the one that it names, by whichever id, else the one that runs there."""
    if profile.purpose is not Purpose.TX:
        return None
    t = transactions.c
    named = sa.or_(t.id == profile.transaction_id, t.reported_transaction_id == profile.transaction_id)
    which = named if profile.transaction_id is not None else t.connector_id == profile.connector_id
    found = await uow.connection.scalar(
        sa.select(t.id).where(t.charger_id == charger.id, t.state != "STOPPED", which).order_by(t.id.desc()).limit(1)
    )
    return found if found is not None else profile.transaction_id


async def _answered(uow: UnitOfWork, charger: Charger, row: Row, outcome: Outcome) -> None:
    if outcome.said == "Accepted":
        happening = ProfileHappening.ACCEPTED
        new = read_profile(row.connector_id, row.profile)
        others = [old for old, profile in await held_profiles(uow, charger.id) if old.id != row.id and replaces(new, profile)]
        await _end(uow, others, ProfileHappening.REPLACED, reason=f"by {row.charging_profile_id}")
    elif outcome.status in (CommandStatus.TIMED_OUT, CommandStatus.UNKNOWN):
        happening = ProfileHappening.UNANSWERED
    else:
        happening = ProfileHappening.REFUSED
    after = next_profile_state(ProfileState(row.state), happening)
    values: dict[str, Any] = {"state": after.value, "decided_at": uow.now}
    if after is not ProfileState.ACCEPTED:
        values |= {"reason": outcome.said}
    if after is ProfileState.REFUSED:
        values |= {"renew_at": None}
    await uow.connection.execute(sa.update(charging_profiles).where(charging_profiles.c.id == row.id).values(**values))
    announce.audit(
        uow,
        entity="charger",
        entity_id=charger.id,
        action=f"charging_profile_{after.value.lower()}",
        actor=row.actor,
        trigger="SetChargingProfile" if row.id_tag is None else "RemoteStartTransaction",
        at=uow.now,
        after={"charging_profile_id": row.charging_profile_id, "connector_id": row.connector_id, "reason": outcome.said},
    )


async def _end(uow: UnitOfWork, rows: Iterable[Row], happening: ProfileHappening, *, reason: str) -> None:
    for row in rows:
        after = next_profile_state(ProfileState(row.state), happening)
        await uow.connection.execute(
            sa.update(charging_profiles)
            .where(charging_profiles.c.id == row.id)
            .values(state=after.value, reason=reason, ended_at=uow.now, renew_at=None)
        )
