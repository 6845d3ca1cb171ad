"""Charging profiles over REST (OCPP 1.6 §3.13): set, listed, cleared, and what they come to."""

from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from charging.domain.charging_profiles import (
    HELD,
    Profile,
    ProfileState,
    Purpose,
    RateUnit,
    capabilities_of,
    complaints,
    read_profile,
)
from charging.domain.composite_schedule import compose
from charging.domain.errors import ConflictError, InvalidCommandError
from charging.domain.states import COMMAND_FINAL, CommandStatus
from charging.ocpp_schemas import check_command
from charging.tables import charging_profiles, commands, connectors, transactions
from charging.usecases import announce
from charging.usecases.command_charger import POLL_SECONDS
from charging.usecases.context import Charging
from charging.usecases.follow_charging_profiles import add_profile, held_profiles
from charging.usecases.request_command import own_charger, reported_configuration, request_command
from charging.usecases.scope import missing
from charging.views import (
    ChargerId,
    ChargingProfileClear,
    ChargingProfileCreate,
    ChargingProfileId,
    ChargingProfileQuery,
    ChargingProfileView,
    CommandView,
    CompositePeriodView,
    CompositeQuery,
    CompositeReported,
    CompositeScheduleView,
)
from chassis.database import UnitOfWork
from chassis.web import Page, Principal, fetch_page, invalid_field

TRIGGER = "charging_profile"

OWN_PROFILE_IDS = 2**30
"""chargingProfileIds that we give begin here: below are those that stops and caps take from their transactions."""

Row = sa.Row[Any]


async def create_charging_profile(
    app: Charging, uow: UnitOfWork, charger_id: ChargerId, body: ChargingProfileCreate, principal: Principal
) -> ChargingProfileView:
    """`POST /v1/chargers/{id}/charging-profiles`: 201 REQUESTED; the charger's answer makes it ACCEPTED or REFUSED.

    What the specification or the charger's own bounds forbid is 422; a TxProfile without a transaction is 409.
    """
    charger = await own_charger(uow, charger_id, principal)
    said = {"chargingProfileId": OWN_PROFILE_IDS} | body.profile
    running = None
    if said.get("chargingProfilePurpose") == Purpose.TX.value:
        running = await _running(uow, charger_id, body.connector_id)
        if running is None:
            raise ConflictError(f"No transaction runs on connector {body.connector_id}: a TxProfile is one transaction's.")
        known_as = {running.id, running.reported_transaction_id}
        said.setdefault("transactionId", running.reported_transaction_id or running.id)
        if said["transactionId"] not in known_as:
            raise ConflictError(f"Transaction {said['transactionId']} does not run on connector {body.connector_id}.")
    check_command("SetChargingProfile", {"connectorId": body.connector_id, "csChargingProfiles": said})
    profile = read_profile(body.connector_id, said)
    await _check(uow, charger_id, profile)
    row = await add_profile(
        uow,
        charger,
        profile,
        said,
        command_id=None,
        actor=principal.subject,
        transaction_id=running.id if running is not None else None,
    )
    if "chargingProfileId" not in body.profile:
        said["chargingProfileId"] = OWN_PROFILE_IDS + row.id
    command_id = await request_command(
        app,
        uow,
        charger,
        action="SetChargingProfile",
        payload={"connectorId": body.connector_id, "csChargingProfiles": said},
        trigger=TRIGGER,
        principal=principal,
    )
    row = (
        await uow.connection.execute(
            sa.update(charging_profiles)
            .where(charging_profiles.c.id == row.id)
            .values(command_id=command_id, profile=said, charging_profile_id=said["chargingProfileId"])
            .returning(*charging_profiles.c)
        )
    ).one()
    announce.audit(
        uow,
        entity="charger",
        entity_id=charger_id,
        action="charging_profile_requested",
        actor=principal.subject,
        trigger="api",
        at=uow.now,
        after={"connector_id": body.connector_id, "profile": said},
    )
    return ChargingProfileView.of(row, in_force=False)


async def _check(uow: UnitOfWork, charger_id: int, profile: Profile) -> None:
    """What this charger has against the profile (`check_command` has asked the specification)."""
    can = capabilities_of(await reported_configuration(uow, charger_id))
    found = complaints(profile, can)
    if found:
        raise InvalidCommandError(" ".join(found))
    held = await held_profiles(uow, charger_id)
    if can.profiles_max is not None and len({row.charging_profile_id for row, _ in held}) >= can.profiles_max:
        raise ConflictError(f"The charger holds {len(held)} profiles already (MaxChargingProfilesInstalled).")
    numbers = await uow.connection.scalars(
        sa.select(connectors.c.connector_id).where(connectors.c.charger_id == charger_id, connectors.c.connector_id > 0)
    )
    known = set(numbers)
    if known and profile.connector_id and profile.connector_id not in known:
        raise invalid_field("#/body/connector_id", f"The charger has connectors {', '.join(map(str, sorted(known)))}")


async def _running(uow: UnitOfWork, charger_id: int, connector_id: int) -> "Row | None":
    t = transactions.c
    return (
        await uow.connection.execute(
            sa.select(t.id, t.reported_transaction_id, t.started_at).where(
                t.charger_id == charger_id, t.connector_id == connector_id, t.state != "STOPPED"
            )
        )
    ).one_or_none()


_IN_FORCE = sa.and_(
    charging_profiles.c.state == ProfileState.ACCEPTED.value,
    sa.or_(
        charging_profiles.c.purpose != Purpose.TX.value,
        sa.exists().where(transactions.c.id == charging_profiles.c.transaction_id, transactions.c.state != "STOPPED"),
    ),
)
"""Accepted, and, for a TxProfile, of a transaction that runs: it ends with it (§3.13.2)."""


async def list_charging_profiles(
    uow: UnitOfWork, charger_id: ChargerId, query: ChargingProfileQuery, principal: Principal
) -> Page[ChargingProfileView]:
    """`GET /v1/chargers/{id}/charging-profiles`, newest first."""
    await own_charger(uow, charger_id, principal)
    c = charging_profiles.c
    statement = sa.select(charging_profiles, _IN_FORCE.label("in_force")).where(c.charger_id == charger_id)
    if query.connector is not None:
        statement = statement.where(c.connector_id == query.connector)
    if query.purpose is not None:
        statement = statement.where(c.purpose == query.purpose.value)
    if query.state is not None:
        statement = statement.where(c.state == query.state.value)
    if query.in_force is not None:
        statement = statement.where(_IN_FORCE if query.in_force else sa.not_(_IN_FORCE))
    return await fetch_page(
        uow, statement, query, order=(c.id,), view=lambda row: ChargingProfileView.of(row, in_force=row.in_force)
    )


async def delete_charging_profile(
    app: Charging, uow: UnitOfWork, charger_id: ChargerId, profile_id: ChargingProfileId, principal: Principal
) -> ChargingProfileView:
    """`DELETE /v1/chargers/{id}/charging-profiles/{profile_id}`: 202; CLEARED once the charger has answered."""
    charger = await own_charger(uow, charger_id, principal)
    c = charging_profiles.c
    row = (
        await uow.connection.execute(
            sa.select(charging_profiles, _IN_FORCE.label("in_force")).where(c.id == profile_id, c.charger_id == charger_id)
        )
    ).one_or_none()
    if row is None:
        raise missing("charging profile", "chp", profile_id)
    if ProfileState(row.state) not in HELD:
        raise ConflictError(f"The charger does not hold it: {row.state}.")
    await _clear(app, uow, charger, {"id": row.charging_profile_id}, principal)
    return ChargingProfileView.of(row, in_force=row.in_force)


async def clear_charging_profiles(
    app: Charging, uow: UnitOfWork, charger_id: ChargerId, query: ChargingProfileClear, principal: Principal
) -> CommandView:
    """`DELETE /v1/chargers/{id}/charging-profiles?connector=&purpose=&stack_level=`: 202 with the command; without any, all."""
    charger = await own_charger(uow, charger_id, principal)
    wanted = {
        "connectorId": query.connector,
        "chargingProfilePurpose": query.purpose.value if query.purpose is not None else None,
        "stackLevel": query.stack_level,
    }
    payload = {name: value for name, value in wanted.items() if value is not None}
    command_id = await _clear(app, uow, charger, payload, principal)
    row = (await uow.connection.execute(sa.select(commands).where(commands.c.id == command_id))).one()
    return CommandView.model_validate(row)


async def _clear(app: Charging, uow: UnitOfWork, charger: Row, payload: dict[str, Any], principal: Principal) -> int:
    announce.audit(
        uow,
        entity="charger",
        entity_id=charger.id,
        action="charging_profiles_clear_requested",
        actor=principal.subject,
        trigger="api",
        at=uow.now,
        after=payload,
    )
    return await request_command(
        app, uow, charger, action="ClearChargingProfile", payload=payload, trigger=TRIGGER, principal=principal
    )


# --- the composite schedule -------------------------------------------------------------------------------------------


async def show_composite_schedule(
    uow: UnitOfWork, charger_id: ChargerId, query: CompositeQuery, principal: Principal
) -> CompositeScheduleView:
    """`GET /v1/chargers/{id}/composite-schedule?connector=&duration=&unit=`: what the profiles that it accepted come to."""
    await own_charger(uow, charger_id, principal)
    return await _composed(uow, charger_id, query)


async def ask_composite_schedule(
    app: Charging, charger_id: ChargerId, query: CompositeQuery, principal: Principal
) -> CompositeScheduleView:
    """`POST /v1/chargers/{id}/composite-schedule?…`: the same, and what the charger answers to GetCompositeSchedule (§5.7).

    It is waited for as long as for any command; `reported` then says how the command stands.
    """
    async with app.database.transaction() as uow:
        charger = await own_charger(uow, charger_id, principal)
        command_id = await request_command(
            app,
            uow,
            charger,
            action="GetCompositeSchedule",
            payload={"connectorId": query.connector, "duration": query.duration, "chargingRateUnit": query.unit.value},
            trigger=TRIGGER,
            principal=principal,
        )
    until = app.clock.monotonic() + app.settings.command_wait_max_seconds
    while True:
        async with app.database.reading() as uow:
            row = (await uow.connection.execute(sa.select(commands).where(commands.c.id == command_id))).one()
            if CommandStatus(row.status) in COMMAND_FINAL or app.clock.monotonic() >= until:
                shown = await _composed(uow, charger_id, query)
                return shown.model_copy(update={"reported": CompositeReported.of(row)})
        await app.clock.sleep(min(POLL_SECONDS, until - app.clock.monotonic()))


async def _composed(uow: UnitOfWork, charger_id: int, query: CompositeQuery) -> CompositeScheduleView:
    running = await _running(uow, charger_id, query.connector)
    profiles = [
        profile
        for row, profile in await held_profiles(uow, charger_id)
        if row.state == ProfileState.ACCEPTED.value
        and (profile.purpose is not Purpose.TX or (running is not None and row.transaction_id == running.id))
    ]
    at = uow.now.replace(microsecond=0)
    periods = compose(
        profiles,
        connector_id=query.connector,
        at=at,
        duration_seconds=query.duration,
        unit=RateUnit(query.unit),
        transaction_started_at=running.started_at.replace(microsecond=0) if running is not None else None,
    )
    return CompositeScheduleView(
        charger_id=charger_id,
        connector_id=query.connector,
        starts_at=at,
        ends_at=at + timedelta(seconds=query.duration),
        unit=query.unit,
        periods=[
            CompositePeriodView(
                start_period=period.start_seconds,
                limit=float(period.limit) if period.limit is not None else None,
                number_phases=period.phases,
            )
            for period in periods
        ],
        reported=None,
    )
