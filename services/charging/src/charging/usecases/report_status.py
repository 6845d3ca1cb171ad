"""StatusNotification (OCPP 1.6 §4.9): what a connector says of itself, and what that means to a session on it.

Energy, not status, proves charging (row 46). Only Available may begin a grace; a fault ends the session (architecture.md §4).
"""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from charging.domain.deadlines import ConnectorKind
from charging.domain.transaction import Transaction
from charging.grace_cache import cache_grace
from charging.repository import Charger, load_chargers, lock_transactions, save_transactions
from charging.tables import connectors
from charging.usecases import announce
from charging.usecases.connection import alive
from charging.usecases.context import Charging
from charging.usecases.record_error import record_error
from charging.usecases.stop_session import want_stop
from chassis.database import UnitOfWork
from chassis.messaging import Received
from contracts.charging import StopReason
from contracts.ocpp_gateway import StatusNotificationReceived

GONE = frozenset({"Faulted", "Unavailable", "Reserved"})
"""Statuses in which no session can go on. They never earn a grace."""

FREE = frozenset({"Available", "Preparing"})
"""Statuses of a connector that serves nobody; a socket's are no proof (row 42)."""

SERVING = frozenset({"Charging", "SuspendedEV", "SuspendedEVSE"})
"""Statuses of a connector that serves its session. Preparing is none, nor an end: some never say anything else (row 46)."""


async def status_reported(app: Charging, uow: UnitOfWork, received: Received) -> None:
    """Keep the newest status of the connector (made on sight), and judge the session on it."""
    event: StatusNotificationReceived = received.model
    charger = (await load_chargers(uow, [event.charge_point_id])).get(event.charge_point_id)
    if charger is None:
        return
    await alive(uow, charger, event)
    values = {
        "status": event.status,
        "error_code": event.error_code,
        "info": event.info,
        "vendor_id": event.vendor_id,
        "vendor_error_code": event.vendor_error_code,
        "status_at": event.timestamp,
        "status_received_at": event.received_at,
        "epoch": event.epoch,
        "seq": event.seq,
    }
    if event.status in FREE and not await _is_socket(uow, charger, event.connector_id):
        values["late_transaction_id"] = None
    applied = await uow.connection.scalar(
        insert(connectors)
        .values(charger_id=charger.id, connector_id=event.connector_id, **values)
        .on_conflict_do_update(
            index_elements=[connectors.c.charger_id, connectors.c.connector_id],
            set_=values,
            where=sa.tuple_(connectors.c.epoch, connectors.c.seq) < sa.tuple_(sa.literal(event.epoch), sa.literal(event.seq)),
        )
        .returning(connectors.c.connector_id)
    )
    if applied is None:
        return  # an older one
    await record_error(uow, charger, event)
    if event.connector_id == 0:
        return  # the whole box's: that never ends a session (row 47)
    for transaction in await lock_transactions(uow, [charger.id]):
        if transaction.connector_id == event.connector_id:
            await _judge(app, uow, charger, transaction, event.status, event.received_at)
            await save_transactions(uow, [transaction])


async def _is_socket(uow: UnitOfWork, charger: Charger, connector_id: int) -> bool:
    own = await uow.connection.scalar(
        sa.select(connectors.c.kind).where(connectors.c.charger_id == charger.id, connectors.c.connector_id == connector_id)
    )
    return (own or charger.connector_kind) == ConnectorKind.SOCKET.value


async def _judge(app: Charging, uow: UnitOfWork, charger: Charger, transaction: Transaction, status: str, at: datetime) -> None:
    """What the status means to the session on the connector: its end in a moment, a grace, the grace's end, or nothing."""
    before = _availability(transaction)
    if status in GONE:
        # Some go on charging while faulted (row 47): told to stop at once, and given a moment for the StopTransaction.
        transaction.connector_gone(at, app.limits)
        await want_stop(app, uow, charger, transaction, StopReason.CONNECTOR_UNAVAILABLE)
    elif status == "Available":
        transaction.connector_free(at, app.limits)
    elif status in SERVING:
        transaction.connector_serves()
    after = _availability(transaction)
    if after == before:
        return
    cache_grace(app.redis, app.service.tasks, uow, transaction)
    announce.audit(
        uow,
        entity="transaction",
        entity_id=transaction.id,
        action="availability",
        trigger=f"StatusNotification: {status}",
        at=at,
        before=before,
        after=after,
        traceparent=transaction.traceparent,
    )


def _availability(transaction: Transaction) -> dict[str, str | None]:
    ends_at = transaction.availability_deadline_at
    return {
        "ends_as": transaction.availability_reason,
        "ends_at": ends_at.isoformat() if ends_at is not None else None,
    }
