"""Stations and tariffs: where chargers stand, and what their energy costs."""

from typing import Any

import sqlalchemy as sa

from charging.tables import chargers, stations, tariffs
from charging.usecases import announce
from charging.usecases.scope import at_own_stations, missing, own_stations
from charging.views import (
    StationChange,
    StationCreate,
    StationId,
    StationQuery,
    StationView,
    TariffCreate,
    TariffId,
    TariffQuery,
    TariffView,
    given,
    whole,
)
from chassis.database import UnitOfWork
from chassis.web import Page, Principal, fetch_page, invalid_field


async def create_station(uow: UnitOfWork, body: StationCreate, principal: Principal) -> StationView:
    """`POST /v1/stations`."""
    values = whole(body)
    row = (
        await uow.connection.execute(
            sa.insert(stations).values(**values, created_at=uow.now, updated_at=uow.now).returning(*stations.c)
        )
    ).one()
    announce.audit(
        uow,
        entity="station",
        entity_id=row.id,
        action="created",
        actor=principal.subject,
        trigger="api",
        at=uow.now,
        after=values,
    )
    return StationView.model_validate(row)


async def list_stations(uow: UnitOfWork, query: StationQuery, principal: Principal) -> Page[StationView]:
    """`GET /v1/stations`, newest first."""
    statement = sa.select(stations).where(own_stations(principal))
    if query.franchisee_id is not None:
        statement = statement.where(stations.c.franchisee_id == query.franchisee_id)
    return await fetch_page(uow, statement, query, order=(stations.c.id,), view=StationView.model_validate)


async def show_station(uow: UnitOfWork, station_id: StationId, principal: Principal) -> StationView:
    """`GET /v1/stations/{id}`."""
    return StationView.model_validate(await _station(uow, station_id, principal))


async def change_station(uow: UnitOfWork, station_id: StationId, body: StationChange, principal: Principal) -> StationView:
    """`PATCH /v1/stations/{id}`. A new owner holds for sessions that start from now on: terms are snapshotted."""
    before = await _station(uow, station_id, principal)
    changes = given(body)
    for name, value in changes.items():
        if value is None and not stations.c[name].nullable:
            raise invalid_field(f"#/body/{name}", "It can't be null")
    row = (
        await uow.connection.execute(
            sa.update(stations).where(stations.c.id == station_id).values(**changes, updated_at=uow.now).returning(*stations.c)
        )
    ).one()
    announce.audit(
        uow,
        entity="station",
        entity_id=station_id,
        action="changed",
        actor=principal.subject,
        trigger="api",
        at=uow.now,
        before={name: getattr(before, name) for name in changes},
        after=changes,
    )
    return StationView.model_validate(row)


async def _station(uow: UnitOfWork, station_id: int, principal: Principal) -> Any:
    row = (
        await uow.connection.execute(sa.select(stations).where(stations.c.id == station_id, own_stations(principal)))
    ).one_or_none()
    if row is None:
        raise missing("station", "stn", station_id)
    return row


async def create_tariff(uow: UnitOfWork, body: TariffCreate, principal: Principal) -> TariffView:
    """`POST /v1/tariffs`: a new version; earlier ones stay for what they were charged by."""
    if body.station_id is not None and body.charger_id is not None:
        raise invalid_field("#/body/charger_id", "Either a station or a charger, not both")
    if body.station_id is not None:
        await _station(uow, body.station_id, principal)
    if body.charger_id is not None and not await uow.connection.scalar(
        sa.select(chargers.c.id).where(chargers.c.id == body.charger_id)
    ):
        raise missing("charger", "chg", body.charger_id)
    values = whole(body) | {"effective_from": body.effective_from or uow.now}
    row = (await uow.connection.execute(sa.insert(tariffs).values(**values, created_at=uow.now).returning(*tariffs.c))).one()
    announce.audit(
        uow,
        entity="tariff",
        entity_id=row.id,
        action="created",
        actor=principal.subject,
        trigger="api",
        at=uow.now,
        after=values | {"effective_from": values["effective_from"].isoformat()},
    )
    return TariffView.model_validate(row)


async def list_tariffs(uow: UnitOfWork, query: TariffQuery, principal: Principal) -> Page[TariffView]:
    """`GET /v1/tariffs`, newest version first. A franchisee sees those of its stations and those that hold everywhere."""
    statement = sa.select(tariffs).where(_in_sight(principal))
    if query.station_id is not None:
        statement = statement.where(tariffs.c.station_id == query.station_id)
    if query.charger_id is not None:
        statement = statement.where(tariffs.c.charger_id == query.charger_id)
    return await fetch_page(uow, statement, query, order=(tariffs.c.id,), view=TariffView.model_validate)


def _in_sight(principal: Principal) -> sa.ColumnElement[bool]:
    """The tariffs that a caller may see."""
    everywhere = sa.and_(tariffs.c.station_id.is_(None), tariffs.c.charger_id.is_(None))
    of_chargers = sa.select(chargers.c.id).where(at_own_stations(principal, chargers.c.station_id))
    return sa.or_(everywhere, at_own_stations(principal, tariffs.c.station_id), tariffs.c.charger_id.in_(of_chargers))


async def show_tariff(uow: UnitOfWork, tariff_id: TariffId, principal: Principal) -> TariffView:
    """`GET /v1/tariffs/{id}`: what a franchisee does not find in its list is not there."""
    statement = sa.select(tariffs).where(tariffs.c.id == tariff_id, _in_sight(principal))
    row = (await uow.connection.execute(statement)).one_or_none()
    if row is None:
        raise missing("tariff", "trf", tariff_id)
    return TariffView.model_validate(row)
