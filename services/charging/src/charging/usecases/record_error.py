"""Errors of StatusNotifications as a history: opened, seen again, resolved by NoError of the same connector."""

from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert

from charging.domain.charger_errors import OPEN_MAX, reported_error, said_text
from charging.repository import Charger
from charging.tables import charger_errors
from charging.usecases import announce
from charging.usecases.known_chargers import KnownChargers
from chassis.database import UnitOfWork
from contracts.ocpp_gateway import StatusNotificationReceived

log = structlog.get_logger(__name__)


async def record_error(uow: UnitOfWork, known: KnownChargers, charger: Charger, event: StatusNotificationReceived) -> None:
    """Keep what this report says of errors. The caller has made sure that it is newer than the last one of its connector."""
    error = reported_error(event.error_code, event.vendor_id, event.vendor_error_code)
    place = (charger.id, event.connector_id)
    if error is None:
        if place in known.open_errors:
            known.open_errors.discard(place)
            await _resolve(uow, charger, event)
        return
    known.open_errors.add(place)
    e = charger_errors.c
    identity = {
        "charger_id": charger.id,
        "connector_id": event.connector_id,
        "error_code": error.error_code,
        "vendor_id": error.vendor_id,
        "vendor_error_code": error.vendor_error_code,
    }
    said = {"status": event.status, "info": said_text(event.info), "last_seen_at": event.received_at}
    again = await uow.connection.scalar(
        sa.update(charger_errors)
        .where(e.resolved_at.is_(None), *(e[name] == value for name, value in identity.items()))
        .values(**said, occurrences=e.occurrences + 1)
        .returning(e.id)
    )
    if again is not None:
        return
    open_ones = await uow.connection.scalar(
        sa.select(sa.func.count()).where(
            e.charger_id == charger.id, e.connector_id == event.connector_id, e.resolved_at.is_(None)
        )
    )
    if (open_ones or 0) >= OPEN_MAX:
        log.warning("charger_error.too_many", charge_point_id=charger.charge_point_id, connector_id=event.connector_id)
        return
    error_id = (
        await uow.connection.execute(
            insert(charger_errors)
            .values(**identity, **said, opened_at=event.received_at, reported_at=event.timestamp)
            .returning(e.id)
        )
    ).scalar_one()
    _audit(uow, charger, event, "error_opened", {"error_id": error_id, "status": event.status, **identity})


async def _resolve(uow: UnitOfWork, charger: Charger, event: StatusNotificationReceived) -> None:
    e = charger_errors.c
    rows = (
        await uow.connection.execute(
            sa.update(charger_errors)
            .where(e.charger_id == charger.id, e.connector_id == event.connector_id, e.resolved_at.is_(None))
            .values(resolved_at=event.received_at, resolution=f"NoError with status {event.status}")
            .returning(e.id, e.error_code, e.vendor_id, e.vendor_error_code)
        )
    ).all()
    for row in rows:
        after = {"error_id": row.id, "connector_id": event.connector_id, "error_code": row.error_code}
        _audit(uow, charger, event, "error_resolved", after | {"status": event.status})


def _audit(uow: UnitOfWork, charger: Charger, event: StatusNotificationReceived, action: str, after: dict[str, Any]) -> None:
    announce.audit(
        uow,
        entity="charger",
        entity_id=charger.id,
        action=action,
        trigger="StatusNotification",
        at=event.received_at,
        after={name: value for name, value in after.items() if name != "charger_id"},
    )
