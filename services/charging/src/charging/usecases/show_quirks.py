"""Quirk profiles as people see them: all of them, and what applies to one charger, from where."""

import sqlalchemy as sa

from charging.tables import chargers
from charging.usecases.context import Charging
from charging.usecases.scope import at_own_stations, missing
from charging.views import ChargerId, ChargerQuirksView, QuirkProfileList, QuirkProfileView
from chassis.database import UnitOfWork
from chassis.web import Principal


async def list_quirk_profiles(app: Charging) -> QuirkProfileList:
    """`GET /v1/quirk-profiles`: all that this release and the operator's directory have, by name."""
    return QuirkProfileList(items=[QuirkProfileView.of(profile) for profile in app.quirk_profiles.profiles])


async def show_charger_quirks(app: Charging, uow: UnitOfWork, charger_id: ChargerId, principal: Principal) -> ChargerQuirksView:
    """`GET /v1/chargers/{id}/quirks`: what applies, which profiles match, and what is this charger's own."""
    c = chargers.c
    row = (
        await uow.connection.execute(
            sa.select(c.id, c.vendor, c.model, c.firmware_version, c.quirks).where(
                c.id == charger_id, at_own_stations(principal, c.station_id)
            )
        )
    ).one_or_none()
    if row is None:
        raise missing("charger", "chg", charger_id)
    applied = app.quirk_profiles.applied(row.vendor, row.model, row.firmware_version, row.quirks)
    return ChargerQuirksView.of(row, applied)
