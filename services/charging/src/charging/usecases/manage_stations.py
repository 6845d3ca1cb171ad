"""Stations: where chargers stand."""

from typing import Any

import sqlalchemy as sa

from charging.tables import stations
from charging.usecases import announce
from charging.usecases.scope import missing, own_stations
from charging.views import (
    StationChange,
    StationCreate,
    StationId,
    StationQuery,
    StationView,
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
    return StationView.model_validate(await read_station(uow, station_id, principal))


async def change_station(uow: UnitOfWork, station_id: StationId, body: StationChange, principal: Principal) -> StationView:
    """`PATCH /v1/stations/{id}`. A new owner holds for sessions that start from now on: terms are snapshotted."""
    before = await read_station(uow, station_id, principal)
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


async def read_station(uow: UnitOfWork, station_id: int, principal: Principal) -> Any:
    """The row. Raises NotFoundError where there is none, or where it is not the caller's."""
    row = (
        await uow.connection.execute(sa.select(stations).where(stations.c.id == station_id, own_stations(principal)))
    ).one_or_none()
    if row is None:
        raise missing("station", "stn", station_id)
    return row
