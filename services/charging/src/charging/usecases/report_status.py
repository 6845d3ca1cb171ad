"""StatusNotification (OCPP 1.6 §4.9): what a connector says of itself, and what that means to a session on it.

Energy, not status, proves charging (row 46). Only Available may begin a grace; a fault ends the session (architecture.md §4).
"""

from datetime import datetime

from charging.domain.deadlines import ConnectorKind
from charging.domain.transaction import Transaction
from charging.grace_cache import cache_grace
from charging.repository import Charger, Connector
from charging.usecases import announce
from charging.usecases.connection import heard
from charging.usecases.context import Charging
from charging.usecases.known_chargers import KnownChargers
from charging.usecases.record_error import record_error
from charging.usecases.stop_session import want_stop
from chassis.database import UnitOfWork
from contracts.charging import StopReason
from contracts.ocpp_gateway import StatusNotificationReceived

GONE = frozenset({"Faulted", "Unavailable", "Reserved"})
"""Statuses in which no session can go on. They never earn a grace."""

FREE = frozenset({"Available", "Preparing"})
"""Statuses of a connector that serves nobody; a socket's are no proof (row 42)."""

SERVING = frozenset({"Charging", "SuspendedEV", "SuspendedEVSE"})
"""Statuses of a connector that serves its session. Preparing is none, nor an end: some never say anything else (row 46)."""


async def status_reported(
    app: Charging, uow: UnitOfWork, known: KnownChargers, charger: Charger, event: StatusNotificationReceived
) -> None:
    """Keep the newest status of the connector (made on sight), and judge the session on it."""
    await heard(uow, known, charger, event)
    connector = known.connectors.get((charger.id, event.connector_id))
    if connector is None:
        connector = _made_on_sight(charger, event)
    elif (event.epoch, event.seq) <= (connector.epoch, connector.seq):
        return  # an older one
    connector.status, connector.epoch, connector.seq = event.status, event.epoch, event.seq
    if event.status in FREE and (connector.kind or charger.connector_kind) != ConnectorKind.SOCKET.value:
        connector.late_transaction_id = None
    known.reported(connector, event)
    await record_error(uow, known, charger, event)
    if event.connector_id == 0:
        return  # the whole box's: that never ends a session (row 47)
    for transaction in known.active_of(charger):
        if transaction.connector_id == event.connector_id:
            await _judge(app, uow, charger, transaction, event.status, event.received_at)


def _made_on_sight(charger: Charger, event: StatusNotificationReceived) -> Connector:
    return Connector(
        charger_id=charger.id,
        connector_id=event.connector_id,
        kind=None,
        rated_power_w=None,
        operative=True,
        status=event.status,
        epoch=event.epoch,
        seq=event.seq,
        late_transaction_id=None,
    )


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
