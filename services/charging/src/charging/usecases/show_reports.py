"""Errors and signal quality over REST."""

from datetime import timedelta

import sqlalchemy as sa

from charging.tables import charger_errors, chargers, signal_quality, unknown_charge_points
from charging.usecases.context import Charging
from charging.usecases.scope import at_own_stations
from charging.views import ChargerErrorQuery, ChargerErrorView, SignalQualityQuery, SignalQualityView
from chassis.database import UnitOfWork
from chassis.web import Page, Principal, fetch_page

ERRORS_SHOWN = timedelta(days=7)
"""What the list of errors shows unless asked otherwise: seen within a week, or still open."""

FORGET_SECONDS = 3600.0
"""How often what is past its retention is deleted."""


async def list_charger_errors(uow: UnitOfWork, query: ChargerErrorQuery, principal: Principal) -> Page[ChargerErrorView]:
    """`GET /v1/charger-errors`, the last seen first."""
    e = charger_errors.c
    statement = (
        sa.select(charger_errors, chargers.c.charge_point_id, chargers.c.station_id, e.resolved_at.is_(None).label("open"))
        .join(chargers, chargers.c.id == e.charger_id)
        .where(at_own_stations(principal, chargers.c.station_id))
    )
    if query.since is not None:
        statement = statement.where(e.last_seen_at >= query.since)
    elif query.open is None:
        statement = statement.where(sa.or_(e.last_seen_at >= uow.now - ERRORS_SHOWN, e.resolved_at.is_(None)))
    elif not query.open:
        statement = statement.where(e.last_seen_at >= uow.now - ERRORS_SHOWN)
    if query.open is not None:
        statement = statement.where(e.resolved_at.is_(None) if query.open else e.resolved_at.is_not(None))
    if query.charger_id is not None:
        statement = statement.where(e.charger_id == query.charger_id)
    if query.station_id is not None:
        statement = statement.where(chargers.c.station_id == query.station_id)
    if query.connector_id is not None:
        statement = statement.where(e.connector_id == query.connector_id)
    if query.error_code is not None:
        statement = statement.where(e.error_code == query.error_code)
    return await fetch_page(uow, statement, query, order=(e.last_seen_at, e.id), view=ChargerErrorView.model_validate)


async def list_signal_quality(uow: UnitOfWork, query: SignalQualityQuery, principal: Principal) -> Page[SignalQualityView]:
    """`GET /v1/signal-quality`, newest first: the history, or with `latest` the newest report of each charger."""
    s = signal_quality.c
    statement = (
        sa.select(signal_quality, chargers.c.charge_point_id)
        .join(chargers, chargers.c.id == s.charger_id)
        .where(at_own_stations(principal, chargers.c.station_id))
    )
    if query.charger_id is not None:
        statement = statement.where(s.charger_id == query.charger_id)
    if query.station_id is not None:
        statement = statement.where(chargers.c.station_id == query.station_id)
    if query.since is not None:
        statement = statement.where(s.received_at >= query.since)
    order = (s.received_at, s.charger_id, s.epoch, s.seq)
    if query.latest:
        newest = sa.alias(signal_quality)
        later = sa.tuple_(newest.c.epoch, newest.c.seq) > sa.tuple_(s.epoch, s.seq)
        statement = statement.where(~sa.exists().where(newest.c.charger_id == s.charger_id, later))
    return await fetch_page(uow, statement, query, order=order, view=SignalQualityView.of)


async def forget_reports(app: Charging) -> None:
    """Upkeep: what is older than its retention goes. Open errors stay, however old."""
    settings = app.settings
    async with app.database.transaction() as uow:
        for table, old in (
            (signal_quality, signal_quality.c.received_at < uow.now - timedelta(days=settings.signal_quality_kept_days)),
            (charger_errors, charger_errors.c.resolved_at < uow.now - timedelta(days=settings.charger_errors_kept_days)),
            (
                unknown_charge_points,
                unknown_charge_points.c.last_seen_at < uow.now - timedelta(days=settings.unknown_charge_points_kept_days),
            ),
        ):
            await uow.connection.execute(sa.delete(table).where(old))
