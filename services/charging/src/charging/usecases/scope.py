"""What a caller may see: staff everything, a franchisee what belongs to its own sites."""

import sqlalchemy as sa

from charging.domain.errors import NotFoundError
from charging.tables import chargers, stations
from chassis.web import STAFF, Principal

Where = sa.ColumnElement[bool]


def own_stations(principal: Principal) -> Where:
    """The stations that a caller may see."""
    if principal.has(*STAFF):
        return sa.true()
    # A franchisee token without a franchisee sees nothing: null equals nothing.
    return stations.c.franchisee_id == sa.literal(principal.franchisee_id, sa.BigInteger)


def at_own_stations(principal: Principal, station_id: sa.ColumnElement[int]) -> Where:
    """Rows of the stations that a caller may see."""
    if principal.has(*STAFF):
        return sa.true()
    return station_id.in_(sa.select(stations.c.id).where(own_stations(principal)))


def of_own_chargers(principal: Principal, charger_id: sa.ColumnElement[int]) -> Where:
    """Rows of the chargers that a caller may see."""
    if principal.has(*STAFF):
        return sa.true()
    own = sa.select(chargers.c.id).where(at_own_stations(principal, chargers.c.station_id))
    return charger_id.in_(own)


def missing(what: str, prefix: str, number: int) -> NotFoundError:
    """`raise missing("station", "stn", 17)`; the same whether it is not there or not the caller's."""
    return NotFoundError(f"There is no {what} {prefix}_{number}.")
