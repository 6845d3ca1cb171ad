"""Tariffs: versions of prices, entered, listed, and which of them holds. A version never changes, a session keeps its own."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from charging.domain.start import planned_changes, tariff_in_force
from charging.repository import tariffs_for
from charging.tables import chargers, tariffs
from charging.usecases import announce
from charging.usecases.context import Charging
from charging.usecases.manage_stations import read_station
from charging.usecases.scope import at_own_stations, missing
from charging.views import (
    PlannedTariff,
    TariffCreate,
    TariffId,
    TariffInForceQuery,
    TariffInForceView,
    TariffQuery,
    TariffView,
    whole,
)
from chassis.database import UnitOfWork
from chassis.web import Page, Principal, fetch_page, invalid_field
from contracts.charging import TariffAnswer, TariffRequested
from money import all_in_paise_per_kwh


async def create_tariff(uow: UnitOfWork, body: TariffCreate, principal: Principal) -> TariffView:
    """`POST /v1/tariffs`: a new version; earlier ones stay for what they were charged by.

    It begins now or later. What was in force in the past is history: a rider's bill and sticker have to be found in it.
    """
    if body.station_id is not None and body.charger_id is not None:
        raise invalid_field("#/body/charger_id", "Either a station or a charger, not both")
    if body.effective_from is not None and body.effective_from < uow.now:
        raise invalid_field("#/body/effective_from", "A price can't hold in the past; leave it out to begin now")
    if body.station_id is not None:
        await read_station(uow, body.station_id, principal)
    if body.charger_id is not None and not await uow.connection.scalar(
        sa.select(chargers.c.id).where(chargers.c.id == body.charger_id)
    ):
        raise missing("charger", "chg", body.charger_id)
    values = whole(body) | {"effective_from": body.effective_from or uow.now}
    tariff_id = (
        await uow.connection.execute(sa.insert(tariffs).values(**values, created_at=uow.now).returning(tariffs.c.id))
    ).scalar_one()
    announce.audit(
        uow,
        entity="tariff",
        entity_id=tariff_id,
        action="created",
        actor=principal.subject,
        trigger="api",
        at=uow.now,
        after=values | {"effective_from": values["effective_from"].isoformat()},
    )
    return TariffView.of(await read_version(uow, tariff_id), now=uow.now)


async def list_tariffs(uow: UnitOfWork, query: TariffQuery, principal: Principal) -> Page[TariffView]:
    """`GET /v1/tariffs`, newest version first. A franchisee sees those of its stations and those that hold everywhere."""
    statement = _versions().where(_in_sight(principal))
    if query.station_id is not None:
        statement = statement.where(tariffs.c.station_id == query.station_id)
    if query.charger_id is not None:
        statement = statement.where(tariffs.c.charger_id == query.charger_id)
    now = uow.now
    return await fetch_page(uow, statement, query, order=(tariffs.c.id,), view=lambda row: TariffView.of(row, now=now))


def _in_sight(principal: Principal) -> sa.ColumnElement[bool]:
    """The tariffs that a caller may see."""
    everywhere = sa.and_(tariffs.c.station_id.is_(None), tariffs.c.charger_id.is_(None))
    of_chargers = sa.select(chargers.c.id).where(at_own_stations(principal, chargers.c.station_id))
    return sa.or_(everywhere, at_own_stations(principal, tariffs.c.station_id), tariffs.c.charger_id.in_(of_chargers))


async def show_tariff(uow: UnitOfWork, tariff_id: TariffId, principal: Principal) -> TariffView:
    """`GET /v1/tariffs/{id}`: what a franchisee does not find in its list is not there."""
    row = (await uow.connection.execute(_versions().where(tariffs.c.id == tariff_id, _in_sight(principal)))).one_or_none()
    if row is None:
        raise missing("tariff", "trf", tariff_id)
    return TariffView.of(row, now=uow.now)


async def show_tariff_in_force(uow: UnitOfWork, query: TariffInForceQuery, principal: Principal) -> TariffInForceView:
    """`GET /v1/tariffs/in-force`: by the very rule that a start goes by, for the charger as it stands today."""
    statement = sa.select(chargers.c.id, chargers.c.charge_point_id, chargers.c.station_id)
    statement = statement.where(at_own_stations(principal, chargers.c.station_id))
    if query.charger_id is not None:
        statement = statement.where(chargers.c.id == query.charger_id)
    else:
        statement = statement.where(sa.func.lower(chargers.c.charge_point_id) == (query.charge_point_id or "").lower())
    charger = (await uow.connection.execute(statement)).one_or_none()
    if charger is None:
        raise missing("charger", "chg", query.charger_id or 0)
    at = query.at or uow.now
    known = await tariffs_for(uow, charger_id=charger.id, station_id=charger.station_id)
    holds, changes = tariff_in_force(known, at), planned_changes(known, at)
    wanted = [tariff.id for _, tariff in changes] + ([holds.id] if holds is not None else [])
    rows = await uow.connection.execute(_versions().where(tariffs.c.id.in_(wanted)))
    views = {row.id: TariffView.of(row, now=uow.now) for row in rows}
    return TariffInForceView(
        charger_id=charger.id,
        charge_point_id=charger.charge_point_id,
        at=at,
        tariff=views[holds.id] if holds is not None else None,
        planned=[PlannedTariff(holds_from=begins, tariff=views[tariff.id]) for begins, tariff in changes],
    )


async def tell_tariff(app: Charging, uow: UnitOfWork, query: TariffRequested) -> TariffAnswer:
    """`charging.tariff_requested`: payments prints it. Of a charger that is not there, and where none holds, nothing is told."""
    del app
    charger = (
        await uow.connection.execute(
            sa.select(chargers.c.id, chargers.c.station_id).where(
                sa.func.lower(chargers.c.charge_point_id) == query.charge_point_id.lower()
            )
        )
    ).one_or_none()
    if charger is None:
        return TariffAnswer()
    known = await tariffs_for(uow, charger_id=charger.id, station_id=charger.station_id)
    holds, changes = tariff_in_force(known, query.at), planned_changes(known, query.at)
    if holds is None:
        return TariffAnswer()
    return TariffAnswer(
        tariff_id=holds.id,
        paise_per_kwh=holds.paise_per_kwh,
        gst_bps=holds.gst_bps,
        all_in_paise_per_kwh=all_in_paise_per_kwh(paise_per_kwh=holds.paise_per_kwh, gst_bps=holds.gst_bps),
        effective_from=holds.effective_from,
        effective_until=changes[0][0] if changes else None,
    )


def _versions() -> sa.Select[Any]:
    """Versions, each with the begin of the next one of the same scope; of two that begin together the later entry counts."""
    later = tariffs.alias("later")
    until: sa.ScalarSelect[datetime] = (
        sa.select(sa.func.min(later.c.effective_from))
        .where(
            sa.func.coalesce(later.c.charger_id, 0) == sa.func.coalesce(tariffs.c.charger_id, 0),
            sa.func.coalesce(later.c.station_id, 0) == sa.func.coalesce(tariffs.c.station_id, 0),
            sa.tuple_(later.c.effective_from, later.c.id) > sa.tuple_(tariffs.c.effective_from, tariffs.c.id),
        )
        .scalar_subquery()
    )
    return sa.select(tariffs, until.label("effective_until"))


async def read_version(uow: UnitOfWork, tariff_id: int) -> Any:
    """The row, with `effective_until`. Raises NotFoundError."""
    row = (await uow.connection.execute(_versions().where(tariffs.c.id == tariff_id))).one_or_none()
    if row is None:
        raise missing("tariff", "trf", tariff_id)
    return row
