"""Charge points that nobody registered: noted when a gateway tells of one, shown, adopted, forgotten."""

from ipaddress import ip_address, ip_network

import sqlalchemy as sa
import structlog
from pydantic import ValidationError
from sqlalchemy.dialects.postgresql import insert

from charging.tables import chargers, unknown_charge_points
from charging.usecases import announce
from charging.usecases.context import Charging
from charging.usecases.manage_chargers import create_charger
from charging.usecases.scope import missing
from charging.views import (
    ChargerCreate,
    ChargerWithPassword,
    UnknownChargePointAdopt,
    UnknownChargePointId,
    UnknownChargePointView,
)
from chassis.database import UnitOfWork
from chassis.web import Page, PageQuery, Principal, fetch_page, invalid_field
from contracts.ocpp_gateway import UnknownChargePointSeen

log = structlog.get_logger(__name__)

REMEMBERED_MAX = 500
"""Rows kept: no installation has so many typing errors at once. Beyond it those seen least, and longest ago, go first."""

TEXT_MAX = 200
"""A header is kept so far."""

IPV4_NETWORK, IPV6_NETWORK = 24, 48
"""Bits of an address that are kept: enough to know whose network it is, not which subscriber."""


async def note_unknown_charge_point(app: Charging, uow: UnitOfWork, event: UnknownChargePointSeen) -> None:
    """Somebody connects under a name that nobody registered: a typing error at installation more often than an intruder."""
    del app
    log.warning("charge_point.unknown", charge_point_id=event.charge_point_id, remote_address=event.remote_address)
    known = await uow.connection.scalar(
        sa.select(chargers.c.id).where(sa.func.lower(chargers.c.charge_point_id) == event.charge_point_id.lower())
    )
    if known is not None:
        return  # disabled, or registered since
    u = unknown_charge_points.c
    said = {
        "charge_point_id": event.charge_point_id,
        "network": network_of(event.remote_address),
        "user_agent": (event.user_agent or "").strip()[:TEXT_MAX] or None,
    }
    statement = insert(unknown_charge_points).values(**said, first_seen_at=event.seen_at, last_seen_at=event.seen_at)
    await uow.connection.execute(
        statement.on_conflict_do_update(
            index_elements=[sa.func.lower(u.charge_point_id)],
            set_={
                **said,
                "first_seen_at": sa.func.least(u.first_seen_at, event.seen_at),
                "last_seen_at": sa.func.greatest(u.last_seen_at, event.seen_at),
                "times": u.times + 1,
            },
        )
    )
    beyond = sa.select(u.id).order_by(u.times.desc(), u.last_seen_at.desc(), u.id.desc()).offset(REMEMBERED_MAX)
    await uow.connection.execute(sa.delete(unknown_charge_points).where(u.id.in_(beyond)))


def network_of(address: str | None) -> str | None:
    """`203.0.113.9` → `203.0.113.0/24`; None where there is no readable address."""
    try:
        parsed = ip_address((address or "").partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(parsed, "ipv4_mapped", None)
    parsed = mapped or parsed
    return str(ip_network((parsed, IPV4_NETWORK if parsed.version == 4 else IPV6_NETWORK), strict=False))


async def list_unknown_charge_points(uow: UnitOfWork, query: PageQuery) -> Page[UnknownChargePointView]:
    """`GET /v1/unknown-charge-points`, the latest first."""
    u = unknown_charge_points.c
    return await fetch_page(
        uow,
        sa.select(unknown_charge_points),
        query,
        order=(u.last_seen_at, u.id),
        view=UnknownChargePointView.model_validate,
    )


async def adopt_unknown_charge_point(
    app: Charging, uow: UnitOfWork, unknown_id: UnknownChargePointId, body: UnknownChargePointAdopt, principal: Principal
) -> ChargerWithPassword:
    """`POST /v1/unknown-charge-points/{id}/adopt`: makes the charger; its password is shown this once."""
    tried = await uow.connection.scalar(
        sa.select(unknown_charge_points.c.charge_point_id).where(unknown_charge_points.c.id == unknown_id).with_for_update()
    )
    if tried is None:
        raise missing("unknown charge point", "ucp", unknown_id)
    try:
        wanted = ChargerCreate(
            charge_point_id=body.charge_point_id or tried,
            station_id=body.station_id,
            name=body.name,
            connector_kind=body.connector_kind,
            rated_power_w=body.rated_power_w,
            connectors=body.connectors,
            quirks=body.quirks,
        )
    except ValidationError as error:
        raise invalid_field(
            "#/body/charge_point_id", "As it was tried it can't be registered: give another spelling, and set it at the charger"
        ) from error
    charger = await create_charger(app, uow, wanted, principal)
    await uow.connection.execute(sa.delete(unknown_charge_points).where(unknown_charge_points.c.id == unknown_id))
    announce.audit(
        uow,
        entity="charger",
        entity_id=charger.id,
        action="adopted",
        actor=principal.subject,
        trigger="api",
        at=uow.now,
        after={"tried_as": tried},
    )
    return charger


async def forget_unknown_charge_point(uow: UnitOfWork, unknown_id: UnknownChargePointId, principal: Principal) -> None:
    """`DELETE /v1/unknown-charge-points/{id}`: off the list, until it knocks again."""
    forgotten = await uow.connection.scalar(
        sa.delete(unknown_charge_points)
        .where(unknown_charge_points.c.id == unknown_id)
        .returning(unknown_charge_points.c.charge_point_id)
    )
    if forgotten is None:
        raise missing("unknown charge point", "ucp", unknown_id)
    announce.audit(
        uow,
        entity="unknown_charge_point",
        entity_id=unknown_id,
        action="forgotten",
        actor=principal.subject,
        trigger="api",
        at=uow.now,
        before={"charge_point_id": forgotten},
    )
