"""Chargers and their connectors: entered, changed, given passwords. What a charger says of itself comes through the lane."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from charging.domain.errors import ConflictError
from charging.tables import chargers, connectors, stations, unknown_charge_points
from charging.usecases import announce
from charging.usecases.context import Charging
from charging.usecases.hand_over_credentials import announce_credentials, new_password
from charging.usecases.scope import at_own_stations, missing, of_own_chargers
from charging.usecases.tell_availability import check_asked, tell_availability
from charging.views import (
    ChargerChange,
    ChargerCreate,
    ChargerId,
    ChargerQuery,
    ChargerView,
    ChargerWithPassword,
    ConnectorChange,
    ConnectorQuery,
    ConnectorView,
    given,
)
from chassis.database import UnitOfWork
from chassis.web import Page, Principal, fetch_page, invalid_field


async def create_charger(app: Charging, uow: UnitOfWork, body: ChargerCreate, principal: Principal) -> ChargerWithPassword:
    """`POST /v1/chargers`: the answer holds the generated password, this once."""
    if not await uow.connection.scalar(sa.select(stations.c.id).where(stations.c.id == body.station_id)):
        raise missing("station", "stn", body.station_id)
    password, hashed = new_password()
    values = {
        "charge_point_id": body.charge_point_id,
        "station_id": body.station_id,
        "name": body.name,
        "connector_kind": body.connector_kind.value,
        "rated_power_w": body.rated_power_w,
        "quirks": body.quirks.said(),
    }
    row = (
        await uow.connection.execute(
            insert(chargers)
            .values(**values, **hashed, created_at=uow.now, updated_at=uow.now)
            .on_conflict_do_nothing()
            .returning(*chargers.c)
        )
    ).one_or_none()
    if row is None:
        raise ConflictError(f"A charger {body.charge_point_id} exists already (case makes no difference).")
    await uow.connection.execute(
        sa.insert(connectors), [{"charger_id": row.id, "connector_id": n} for n in range(1, body.connectors + 1)]
    )
    await uow.connection.execute(
        sa.delete(unknown_charge_points).where(
            sa.func.lower(unknown_charge_points.c.charge_point_id) == body.charge_point_id.lower()
        )
    )
    announce_credentials(app, uow, row)
    _audit(uow, row.id, "created", principal, after=values)
    return ChargerWithPassword.model_validate({**row._mapping, "password": password})  # noqa: SLF001  (SQLAlchemy's public name)


async def change_charger(
    app: Charging, uow: UnitOfWork, charger_id: ChargerId, body: ChargerChange, principal: Principal
) -> ChargerView:
    """`PATCH /v1/chargers/{id}`. Running sessions keep the terms they started with."""
    before = await _charger(uow, charger_id, principal)
    check_asked(body.operative, body.tell_charger)
    changes = given(body)
    changes.pop("tell_charger", None)
    for name, value in changes.items():
        if value is None:
            raise invalid_field(f"#/body/{name}", "It can't be null")
    if body.quirks is not None:
        changes["quirks"] = body.quirks.said()
    if body.station_id is not None and not await uow.connection.scalar(
        sa.select(stations.c.id).where(stations.c.id == body.station_id)
    ):
        raise missing("station", "stn", body.station_id)
    enabling = body.enabled is not None and body.enabled != before.enabled
    version = before.credentials_version + (1 if enabling else 0)
    row = (
        await uow.connection.execute(
            sa.update(chargers)
            .where(chargers.c.id == charger_id)
            .values(**changes, credentials_version=version, updated_at=uow.now)
            .returning(*chargers.c)
        )
    ).one()
    closes_otherwise = app.quirk_profile_of(row).close_without_frame != app.quirk_profile_of(before).close_without_frame
    if enabling or closes_otherwise:
        announce_credentials(app, uow, row)
    if body.tell_charger and body.operative is not None:
        await tell_availability(app, uow, row, 0, body.operative, principal)
    _audit(uow, charger_id, "changed", principal, before={name: getattr(before, name) for name in changes}, after=changes)
    return ChargerView.model_validate(row)


async def list_chargers(uow: UnitOfWork, query: ChargerQuery, principal: Principal) -> Page[ChargerView]:
    """`GET /v1/chargers`, newest first."""
    statement = sa.select(chargers).where(at_own_stations(principal, chargers.c.station_id))
    if query.station_id is not None:
        statement = statement.where(chargers.c.station_id == query.station_id)
    if query.charge_point_id is not None:
        statement = statement.where(sa.func.lower(chargers.c.charge_point_id) == query.charge_point_id.lower())
    if query.online is not None:
        statement = statement.where(chargers.c.online == query.online)
    return await fetch_page(uow, statement, query, order=(chargers.c.id,), view=ChargerView.model_validate)


async def show_charger(uow: UnitOfWork, charger_id: ChargerId, principal: Principal) -> ChargerView:
    """`GET /v1/chargers/{id}`."""
    return ChargerView.model_validate(await _charger(uow, charger_id, principal))


async def list_connectors(uow: UnitOfWork, query: ConnectorQuery, principal: Principal) -> Page[ConnectorView]:
    """`GET /v1/connectors`."""
    statement = sa.select(connectors).where(connectors.c.connector_id > 0, of_own_chargers(principal, connectors.c.charger_id))
    if query.charger_id is not None:
        statement = statement.where(connectors.c.charger_id == query.charger_id)
    if query.station_id is not None:
        there = sa.select(chargers.c.id).where(chargers.c.station_id == query.station_id)
        statement = statement.where(connectors.c.charger_id.in_(there))
    if query.status is not None:
        statement = statement.where(connectors.c.status == query.status)
    order = (connectors.c.charger_id, connectors.c.connector_id)
    return await fetch_page(uow, statement, query, order=order, view=ConnectorView.model_validate)


async def show_connector(uow: UnitOfWork, charger_id: ChargerId, connector_id: int, principal: Principal) -> ConnectorView:
    """`GET /v1/chargers/{charger_id}/connectors/{connector_id}`."""
    await _charger(uow, charger_id, principal)
    return ConnectorView.model_validate(await _connector(uow, charger_id, connector_id))


async def change_connector(
    app: Charging, uow: UnitOfWork, charger_id: ChargerId, connector_id: int, body: ConnectorChange, principal: Principal
) -> ConnectorView:
    """`PATCH /v1/chargers/{charger_id}/connectors/{connector_id}`: where it differs from its charger, and whether it sells."""
    charger = await _charger(uow, charger_id, principal)
    before = await _connector(uow, charger_id, connector_id)
    check_asked(body.operative, body.tell_charger)
    changes = given(body)
    changes.pop("tell_charger", None)
    if "operative" in changes and (body.operative is None or connector_id == 0):
        raise invalid_field("#/body/operative", "Set it on the charger" if connector_id == 0 else "It can't be null")
    row = before
    if changes:
        row = (
            await uow.connection.execute(
                sa.update(connectors)
                .where(connectors.c.charger_id == charger_id, connectors.c.connector_id == connector_id)
                .values(**changes)
                .returning(*connectors.c)
            )
        ).one()
    if body.tell_charger and body.operative is not None:
        await tell_availability(app, uow, charger, connector_id, body.operative, principal)
    _audit(
        uow,
        charger_id,
        "connector_changed",
        principal,
        before={name: getattr(before, name) for name in changes},
        after={"connector_id": connector_id, **changes},
    )
    return ConnectorView.model_validate(row)


async def _charger(uow: UnitOfWork, charger_id: int, principal: Principal) -> Any:
    own = at_own_stations(principal, chargers.c.station_id)
    row = (await uow.connection.execute(sa.select(chargers).where(chargers.c.id == charger_id, own))).one_or_none()
    if row is None:
        raise missing("charger", "chg", charger_id)
    return row


async def _connector(uow: UnitOfWork, charger_id: int, connector_id: int) -> Any:
    row = (
        await uow.connection.execute(
            sa.select(connectors).where(connectors.c.charger_id == charger_id, connectors.c.connector_id == connector_id)
        )
    ).one_or_none()
    if row is None:
        raise missing(f"connector {connector_id} of charger", "chg", charger_id)
    return row


def _audit(
    uow: UnitOfWork,
    charger_id: int,
    action: str,
    principal: Principal,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    announce.audit(
        uow,
        entity="charger",
        entity_id=charger_id,
        action=action,
        actor=principal.subject,
        trigger="api",
        at=uow.now,
        before=before,
        after=after,
    )
