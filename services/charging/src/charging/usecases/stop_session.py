"""Making a charger stop: decided once, tried until the energy is really off (features.md B1).

One attempt is in flight at a time. Each is a row, unique per (transaction, attempt), written with what led to it. A stop that
does not show within 60 s is repeated and escalated, with an alarm.
"""

from datetime import timedelta

import sqlalchemy as sa
import structlog

from charging.domain.states import CommandStatus
from charging.domain.stopping import PLAIN_STOPS_FIRST, StopMeans, means_of_attempt, stop_command
from charging.domain.transaction import Transaction
from charging.repository import Charger, load_chargers, lock_transactions, save_transactions
from charging.tables import commands, connectors, stop_attempts
from charging.usecases import announce
from charging.usecases.context import Charging
from charging.usecases.finalize import finalize
from charging.usecases.send_command import NEVER_SENT, create_command
from chassis.database import UnitOfWork
from chassis.messaging import Received
from contracts.charging import SessionStopRequested, StopReason

log = structlog.get_logger(__name__)

STOP_COMMAND_DEADLINE = timedelta(seconds=60)
"""A stop that could not be sent within this is replaced by the next attempt."""


async def want_stop(
    app: Charging, uow: UnitOfWork, charger: Charger, transaction: Transaction, intent: StopReason, *, rising: bool = False
) -> None:
    """Decide that this transaction's energy must end, and try it now unless an attempt is in flight or the charger is away.

    A charger that is away is told when it connects. `rising`: energy was seen after a stop, so a stronger means is due.
    The caller saves the transaction.
    """
    if transaction.stop_intent is None:
        transaction.stop_intent = intent
        announce.audit(
            uow,
            entity="transaction",
            entity_id=transaction.id,
            action="stop_wanted",
            trigger=intent.value,
            at=uow.now,
            after={"energy_wh": transaction.meter.confirmed_wh, "affordable_wh": transaction.affordable_wh},
            traceparent=transaction.traceparent,
        )
    transaction.charger_stopped_at = None
    if transaction.stop_confirm_due_at is not None or not charger.online:
        return
    transaction.stop_attempt += 1
    attempt = transaction.stop_attempt
    profile = app.quirk_profile_of(charger)
    means = StopMeans.REMOTE_STOP
    if rising and attempt > PLAIN_STOPS_FIRST:
        means = means_of_attempt(attempt, profile.stop_escalation, await _means_tried(uow, transaction))
    action, payload = stop_command(
        means,
        transaction_id=transaction.id,
        reported_transaction_id=transaction.reported_transaction_id,
        attempt=attempt,
        connector_id=transaction.connector_id,
        reported_first=profile.stop_by_reported_id,
    )
    # Never more than one in flight: what an earlier attempt could not send is replaced by this one.
    await uow.connection.execute(
        sa.update(commands)
        .where(
            commands.c.charger_id == charger.id,
            commands.c.transaction_id == transaction.id,
            commands.c.status == CommandStatus.PENDING.value,
        )
        .values(**NEVER_SENT, completed_at=uow.now)
    )
    transaction.stop_attempt_at = uow.now
    transaction.stop_attempt_energy_wh = transaction.meter.confirmed_wh
    transaction.stop_confirm_due_at = uow.now + app.limits.stop_confirm
    command_id = await create_command(
        app,
        uow,
        charger,
        action=action,
        payload=payload,
        trigger="stop" if attempt == 1 else "escalation",
        deadline_at=uow.now + STOP_COMMAND_DEADLINE,
        transaction_id=transaction.id,
    )
    await uow.connection.execute(
        sa.insert(stop_attempts).values(
            transaction_id=transaction.id,
            attempt=attempt,
            means=means.value,
            command_id=command_id,
            intent=transaction.stop_intent,
            energy_wh=transaction.meter.confirmed_wh,
            attempted_at=uow.now,
        )
    )
    if attempt > 1:
        announce.audit(
            uow,
            entity="transaction",
            entity_id=transaction.id,
            action="stop_repeated",
            trigger="the energy goes on" if rising else "no sign that it stopped",
            at=uow.now,
            after={"attempt": attempt, "means": means.value, "energy_wh": transaction.meter.confirmed_wh},
            traceparent=transaction.traceparent,
        )
        uow.after_commit(lambda: app.metrics.stop_ignored.labels(means.value).inc())
        log.warning(
            "stop.repeated",
            transaction_id=transaction.id,
            charge_point_id=charger.charge_point_id,
            attempt=attempt,
            means=means.value,
            energy_wh=transaction.meter.confirmed_wh,
        )


async def _means_tried(uow: UnitOfWork, transaction: Transaction) -> set[StopMeans]:
    rows = await uow.connection.scalars(
        sa.select(stop_attempts.c.means).where(stop_attempts.c.transaction_id == transaction.id).distinct()
    )
    return {StopMeans(means) for means in rows}


async def charger_stopped(app: Charging, uow: UnitOfWork, charger: Charger, transaction: Transaction) -> None:
    """The energy is off: no more attempts, the connector sells again, and what an escalation closed is opened.

    It stays closed where the operator has meanwhile taken it out of service.
    """
    transaction.charger_stopped_at = uow.now
    transaction.stop_confirm_due_at = None
    await release_connector(uow, transaction)
    closed = (
        await uow.connection.scalar(
            sa.select(sa.func.count())
            .select_from(stop_attempts)
            .where(stop_attempts.c.transaction_id == transaction.id, stop_attempts.c.means == StopMeans.INOPERATIVE.value)
        )
        if transaction.stop_attempt > 0
        else 0
    )
    if closed and charger.operative and await _operative(uow, transaction):
        await create_command(
            app,
            uow,
            charger,
            action="ChangeAvailability",
            payload={"connectorId": transaction.connector_id, "type": "Operative"},
            trigger="escalation",
            deadline_at=uow.now + timedelta(seconds=app.settings.command_deadline_seconds),
            transaction_id=transaction.id,
        )


async def _operative(uow: UnitOfWork, transaction: Transaction) -> bool:
    """The operator's will about the connector."""
    wanted = await uow.connection.scalar(
        sa.select(connectors.c.operative).where(
            connectors.c.charger_id == transaction.charger_id, connectors.c.connector_id == transaction.connector_id
        )
    )
    return wanted is not False


async def hold_connector(uow: UnitOfWork, transaction: Transaction) -> None:
    """Energy flows for a transaction that is final: the connector sells nothing until it stops."""
    await uow.connection.execute(
        sa.update(connectors)
        .where(connectors.c.charger_id == transaction.charger_id, connectors.c.connector_id == transaction.connector_id)
        .values(late_transaction_id=transaction.id)
    )


async def release_connector(uow: UnitOfWork, transaction: Transaction) -> None:
    """The late energy has stopped."""
    await uow.connection.execute(
        sa.update(connectors)
        .where(connectors.c.charger_id == transaction.charger_id, connectors.c.late_transaction_id == transaction.id)
        .values(late_transaction_id=None)
    )


async def stop_requested(app: Charging, uow: UnitOfWork, received: Received) -> None:
    """An operator, rider or service wants a session stopped. One that is final already is left alone."""
    event: SessionStopRequested = received.model
    charger = (await load_chargers(uow, [event.charge_point_id])).get(event.charge_point_id)
    if charger is None:
        return
    for transaction in await lock_transactions(uow, [charger.id], ids=[event.transaction_id]):
        if transaction.id == event.transaction_id and transaction.active:
            announce.audit(
                uow,
                entity="transaction",
                entity_id=transaction.id,
                action="stop_requested",
                actor=event.actor,
                trigger=event.trigger,
                at=uow.now,
                traceparent=transaction.traceparent,
            )
            await want_stop(app, uow, charger, transaction, StopReason.OPERATOR)
            await save_transactions(uow, [transaction])


async def stop_unconfirmed(app: Charging, uow: UnitOfWork, charger: Charger, transaction: Transaction) -> None:
    """A stop's 60 s are over without StopTransaction. Flat energy confirms it; rising energy escalates; silence repeats it."""
    due_at = transaction.stop_confirm_due_at
    if due_at is None or due_at > uow.now:
        return
    transaction.stop_confirm_due_at = None
    intent = transaction.stop_intent
    if intent is None or transaction.charger_stopped_at is not None or transaction.stop_attempt_at is None:
        return
    meter = transaction.meter
    read_since = meter.read_at > transaction.stop_attempt_at
    if read_since and meter.read_at > transaction.last_progress_at:
        # The last reading added nothing: the energy is off, only the StopTransaction is missing.
        finalize(app, uow, transaction, intent, at=uow.now, trigger="flat energy after a stop")
        await charger_stopped(app, uow, charger, transaction)
    elif read_since:
        await want_stop(app, uow, charger, transaction, intent, rising=True)
    elif transaction.stop_attempt < app.limits.stops_without_reading_max:
        await want_stop(app, uow, charger, transaction, intent)
    else:
        # Nothing heard after several stops: the session ends at its last good reading. A sign of energy later starts this anew.
        finalize(app, uow, transaction, intent, at=uow.now, trigger="no answer to stops")
        transaction.charger_stopped_at = uow.now


async def stop_rejected(app: Charging, uow: UnitOfWork, charger: Charger, transaction_id: int) -> None:
    """The charger refused a RemoteStop: once more at once, by the id that it uses itself where it has another (row 87).

    A second refusal waits for its 60 s, and for what the meter says: it may have stopped, its StopTransaction on the way.

    If the session is final already, the charger knows nothing of it any more: done, until energy says otherwise.
    """
    for transaction in await lock_transactions(uow, [charger.id], ids=[transaction_id]):
        intent = transaction.stop_intent
        if transaction.id != transaction_id or intent is None or transaction.charger_stopped_at is not None:
            continue
        another_id = transaction.reported_transaction_id is not None
        if transaction.stop_attempt == 1 and (transaction.active or another_id):
            transaction.stop_confirm_due_at = None
            await want_stop(app, uow, charger, transaction, intent)
        elif not transaction.active:
            await charger_stopped(app, uow, charger, transaction)
        await save_transactions(uow, [transaction])
