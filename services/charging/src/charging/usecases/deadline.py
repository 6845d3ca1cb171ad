"""Deadlines fall due in the lane, behind all that arrived before, and are checked again under the row's lock.

Sweeps only say that a column may be due (`sweep.py`); whether it is, is decided here against what the row says now.
"""

from collections.abc import Awaitable, Callable, Mapping

import structlog

from charging.domain.deadlines import STOP_REASON_OF_CAUSE, is_stale
from charging.domain.states import TransactionState
from charging.domain.transaction import Transaction
from charging.gateway_registry import connection_of
from charging.repository import Charger, load_chargers, lock_transactions, save_transactions
from charging.usecases import configure_charger, decide_start, observe_effects
from charging.usecases.cap_offline import cap_due
from charging.usecases.complete_command import command_overdue
from charging.usecases.connection import gateway_lost
from charging.usecases.context import Charging
from charging.usecases.finalize import finalize
from charging.usecases.follow_reservations import reservation_due
from charging.usecases.stop_session import stop_unconfirmed, want_stop
from charging.usecases.sync_local_list import local_list_due
from chassis.database import UnitOfWork
from chassis.messaging import Received
from contracts.charging import DeadlineDue, DeadlineKind, StopReason

log = structlog.get_logger(__name__)


async def deadline_due(app: Charging, uow: UnitOfWork, received: Received) -> None:
    """One column may be due. What is not, or not any more, changes nothing: told twice, it is handled once."""
    event: DeadlineDue = received.model
    charger = (await load_chargers(uow, [event.charge_point_id])).get(event.charge_point_id)
    if charger is None:
        return
    if event.kind is DeadlineKind.START_REQUEST:
        await decide_start.request_due(app, uow, charger, int(event.subject_id))
    elif event.kind is DeadlineKind.COMMAND:
        await command_overdue(app, uow, charger, int(event.subject_id))
    elif event.kind is DeadlineKind.COMMAND_EFFECT:
        await observe_effects.effect_due(app, uow, charger, int(event.subject_id))
    elif event.kind is DeadlineKind.CONFIGURATION:
        await configure_charger.due(app, uow, charger)
    elif event.kind is DeadlineKind.GATEWAY_LEASE:
        await gateway_lost(app, uow, event.charge_point_id, int(event.subject_id))
    elif event.kind is DeadlineKind.LOCAL_LIST:
        await local_list_due(app, uow, charger, int(event.subject_id))
    elif event.kind is DeadlineKind.RESERVATION:
        await reservation_due(app, uow, charger, int(event.subject_id))
    elif event.kind is DeadlineKind.OFFLINE_CAP:
        await cap_due(app, uow, charger, int(event.subject_id))
    else:
        transaction_id = int(event.subject_id)
        for transaction in await lock_transactions(uow, [charger.id], ids=[transaction_id]):
            if transaction.id == transaction_id:
                await _OF_TRANSACTION[event.kind](app, uow, charger, transaction)
                await save_transactions(uow, [transaction])


async def _suspension(app: Charging, uow: UnitOfWork, charger: Charger, transaction: Transaction) -> None:
    """A session whose charger, connector or meter has been silent too long. The deadline's own column says which end it is."""
    if not transaction.active:
        return
    deadline_at, free_at = transaction.suspension_deadline_at, transaction.availability_deadline_at
    silent = is_stale(transaction.last_activity_at, uow.now, app.limits)
    free_reason = transaction.availability_reason
    if free_at is not None and free_reason is not None and free_at <= uow.now:
        reason = transaction.stop_intent or free_reason
        finalize(app, uow, transaction, reason, at=uow.now, trigger="the connector reported free")
    elif transaction.state is TransactionState.SUSPENDED:
        cause = transaction.suspension_cause
        if deadline_at is not None and cause is not None and deadline_at <= uow.now:
            if await _came_back_unheard(app, charger):
                return
            finalize(app, uow, transaction, STOP_REASON_OF_CAUSE[cause], at=uow.now, trigger=f"suspended: {cause.value}")
        elif deadline_at is None and silent:
            finalize(app, uow, transaction, StopReason.SWEPT, at=uow.now, trigger="stale-suspended sweep")
    elif silent and transaction.budget_paise is not None and charger.online and transaction.stop_intent is None:
        # Prepaid, connected, and no reading for 900 s (row 72): it can't be let run on unmetered.
        await want_stop(app, uow, charger, transaction, StopReason.METER_LOST)


async def _came_back_unheard(app: Charging, charger: Charger) -> bool:
    """Whether the registry knows a newer connection than we do: its news waits in a gateway's spool. A backlog is no absence.

    The notice is repeated within a minute, so the deadline is only put off until the news is here.
    """
    registered = await connection_of(app.redis, charger.charge_point_id)
    if registered is not None and registered.epoch > charger.epoch:
        log.warning("deadline.backlog", charge_point_id=charger.charge_point_id, epoch=registered.epoch)
        return True
    return False


async def _stop_due(app: Charging, uow: UnitOfWork, charger: Charger, transaction: Transaction) -> None:
    """The forecast crossing of the budget is here: stop, without waiting for the next reading."""
    due_at = transaction.stop_due_at
    if transaction.active and due_at is not None and due_at <= uow.now + app.limits.stop_lookahead:
        transaction.stop_due_at = None
        await want_stop(app, uow, charger, transaction, StopReason.BUDGET_EXHAUSTED)


_OF_TRANSACTION: Mapping[DeadlineKind, Callable[[Charging, UnitOfWork, Charger, Transaction], Awaitable[None]]] = {
    DeadlineKind.SUSPENSION: _suspension,
    DeadlineKind.STOP_DUE: _stop_due,
    DeadlineKind.STOP_UNCONFIRMED: stop_unconfirmed,
}
