"""MeterValues of a whole batch, set-based: one read of the sessions under lock, one insert of samples, one update of sessions.

The heart of the service. Per message it is a few µs of rules and a row; statements are per batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
import structlog

from charging.domain.samples import Reading, read_message
from charging.domain.states import TransactionState
from charging.domain.transaction import Transaction
from charging.grace_cache import cache_grace
from charging.repository import (
    Charger,
    MeterRow,
    insert_meter_values,
    load_chargers,
    lock_transactions,
    note_seen,
    only_connectors,
    save_transactions,
    turns_of,
)
from charging.usecases import announce
from charging.usecases.connection import come_back, end_stale, returned, seen_anew
from charging.usecases.context import Charging
from charging.usecases.stop_session import hold_connector, want_stop
from chassis.database import UnitOfWork
from chassis.messaging import Received
from contracts.base import ChargerEvent
from contracts.charging import StopReason
from contracts.ocpp_gateway import UnparsedMeterValue, UnparsedMeterValuesReceived

log = structlog.get_logger(__name__)


class _Sessions:
    """The transactions of a batch, found as a charger names them."""

    def __init__(self, transactions: Sequence[Transaction]) -> None:
        self.by_id = {(t.charger_id, t.id): t for t in transactions}
        self._reported = {
            (t.charger_id, t.reported_transaction_id): t for t in transactions if t.reported_transaction_id is not None
        }
        self._on_connector = {(t.charger_id, t.connector_id): t for t in transactions if t.active}

    def bind(self, charger_id: int, connector_id: int, reported: int | None) -> Transaction | None:
        """Whose reading it is (ocpp.md rows 58-60): its own id's; else the open one of its connector; else nobody's."""
        if reported is not None and reported > 0:
            known = self.by_id.get((charger_id, reported)) or self._reported.get((charger_id, reported))
            if known is not None:
                return known
        found = self._on_connector.get((charger_id, connector_id))
        if found is not None and not found.active:
            return None  # finalized within this batch
        if found is not None and reported is not None and reported > 0:
            # A constant or foreign id (row 59): the session is clear from the connector; the id is kept for RemoteStop.
            found.reported_transaction_id = reported
            self._reported[charger_id, reported] = found
        return found


@dataclass(slots=True)
class _Message:
    """One MeterValues of a batch, and whose it is."""

    event: UnparsedMeterValuesReceived
    charger: Charger
    connector_id: int
    readings: list[Reading]
    transaction: Transaction | None
    fresh: bool
    """Not applied to its transaction before: a redelivered one changes nothing."""

    @property
    def taken_at(self) -> datetime | None:
        """The charger's time of its first reading, where sane."""
        return self.readings[0].charger_at if self.readings else None


async def record_meter_values(app: Charging, uow: UnitOfWork, batch: Sequence[Received]) -> None:
    """Store every sample once, advance every session once. `batch`: MeterValuesReceived, in their order per charger."""
    events: list[UnparsedMeterValuesReceived] = [received.model for received in batch]
    chargers = await load_chargers(uow, {event.charge_point_id for event in events})
    whole = {chargers[e.charge_point_id].id for e in events if e.connector_id == 0 and e.charge_point_id in chargers}
    only = await only_connectors(uow, whole) if whole else {}
    transactions = await lock_transactions(
        uow,
        [charger.id for charger in chargers.values()],
        ids={event.transaction_id for event in events if event.transaction_id is not None and event.transaction_id > 0},
    )
    turns_before = {transaction.id: turns_of(transaction) for transaction in transactions}
    sessions = _Sessions(transactions)
    quirks = {charger.id: app.quirk_profile_of(charger) for charger in chargers.values()}
    messages: list[_Message] = []
    seen: dict[int, datetime] = {}
    for event in events:
        charger = chargers.get(event.charge_point_id)
        if charger is None:
            log.error("meter_values.unknown_charger", charge_point_id=event.charge_point_id, message_id=event.message_id)
            continue
        if returned(charger, event):
            await come_back(uow, charger, event)
        elif seen_anew(charger, event):
            seen[charger.id] = event.received_at
        connector_id = event.connector_id or only.get(charger.id, 0)
        readings = read_message(
            event.meter_value, received_at=event.received_at, quirks=quirks[charger.id], epoch=event.epoch, seq=event.seq
        )
        # Connector 0 of a box with several is its main meter: no session's (OCPP 1.6 §4.7).
        transaction = sessions.bind(charger.id, connector_id, event.transaction_id) if connector_id > 0 else None
        fresh = False
        if transaction is not None:
            # A message of before the start can only be one that comes again, and was nobody's then.
            place = (event.epoch, event.seq)
            fresh = place > (transaction.applied_epoch, transaction.applied_seq) and event.received_at >= transaction.started_at
            if fresh:
                transaction.applied_epoch, transaction.applied_seq = place
        messages.append(_Message(event, charger, connector_id, readings, transaction, fresh))
    touched: dict[int, Transaction] = {}
    late: dict[int, Transaction] = {}
    rows: list[MeterRow] = []
    for message in _as_taken(messages):
        transaction = message.transaction
        if transaction is not None and message.fresh:
            touched[transaction.id] = transaction
            if not transaction.active:
                if await _late(app, uow, message.charger, transaction, message.readings, message.event.received_at):
                    late[transaction.id] = transaction
            elif transaction.stale_at(message.event.received_at, app.limits):
                await end_stale(app, uow, message.charger, transaction, message.event.received_at, trigger="MeterValues")
            else:
                transaction.meter.note_energy_unit(quirks[message.charger.id].energy_unit)
                await _advance(app, uow, message.charger, transaction, message.readings, message.event.received_at)
        rows += meter_rows(
            message.charger, message.event, message.event.meter_value, message.connector_id, transaction, message.readings
        )
    await insert_meter_values(uow, rows, repeated=any(received.redelivered for received in batch))
    await save_transactions(uow, touched.values(), turns_before=turns_before)
    await note_seen(uow, seen)
    for transaction in late.values():
        announce.late_energy(app, uow, transaction)


def _as_taken(messages: list[_Message]) -> list[_Message]:
    """In the order of their arrival, but a session's own in the order in which its charger took them.

    A queue may be replayed in any order (ocpp.md row 74). Only where every one tells a sane time.
    """
    places: dict[int, list[int]] = {}
    for place, message in enumerate(messages):
        if message.transaction is not None and message.readings:
            places.setdefault(message.transaction.id, []).append(place)
    for own in places.values():
        times = [messages[place].taken_at for place in own]
        if len(own) > 1 and None not in times:
            in_time = sorted(own, key=lambda place: (messages[place].taken_at, place))
            if in_time != own:
                ordered = [messages[place] for place in in_time]
                for place, message in zip(own, ordered, strict=True):
                    messages[place] = message
    return messages


async def _advance(
    app: Charging, uow: UnitOfWork, charger: Charger, transaction: Transaction, readings: Sequence[Reading], at: datetime
) -> None:
    """An active session: it runs (again), its energy grows, its budget is checked and the stop forecast anew."""
    before = transaction.state
    graced_until = transaction.availability_deadline_at
    if transaction.meter_values(at, app.limits):
        trigger = "MeterValues: resumed" if before is TransactionState.SUSPENDED else "MeterValues"
        announce.stepped(uow, transaction, before, trigger=trigger, at=at)
    for reading in readings:
        transaction.read(reading, at, app.limits)
    if transaction.availability_deadline_at != graced_until:
        cache_grace(app.redis, app.service.tasks, uow, transaction)
    if transaction.stop_intent is not None or transaction.budget_used_up():
        # Decided already: this only acts if no attempt is in flight, as after a stop that was due while the charger was away.
        transaction.stop_due_at = None
        await want_stop(app, uow, charger, transaction, transaction.stop_intent or StopReason.BUDGET_EXHAUSTED)
    else:
        transaction.forecast(at, app.limits, stop_latency_ms=charger.stop_latency_ms)


async def _late(
    app: Charging, uow: UnitOfWork, charger: Charger, transaction: Transaction, readings: Sequence[Reading], at: datetime
) -> bool:
    """Energy after the end: counted apart, never billed. If it flows now, the charger is told to stop."""
    before_wh = transaction.late_wh
    # Closing values after the charger's own Stop may lie above meterStop (row 71). Only energy that keeps rising is charging.
    stopped_at, progress_at = transaction.charger_stopped_at, transaction.last_progress_at
    closing = stopped_at is not None and progress_at <= stopped_at
    live = False
    for reading in readings:
        credit_wh = transaction.read(reading, at, app.limits)
        live |= credit_wh > 0 and (reading.charger_at is None or at - reading.charger_at <= app.limits.live_within)
    if live and not closing and transaction.stop_confirm_due_at is None:
        await hold_connector(uow, transaction)
        intent = transaction.stop_intent or transaction.stop_reason or StopReason.OPERATOR
        await want_stop(app, uow, charger, transaction, intent, rising=transaction.stop_attempt > 0)
    return transaction.late_wh > before_wh


def meter_rows(
    charger: Charger,
    event: ChargerEvent,
    meter_values: Sequence[UnparsedMeterValue],
    connector_id: int,
    transaction: Transaction | None,
    readings: Sequence[Reading],
) -> list[MeterRow]:
    """Rows of what a message said; each meterValue's samples are kept as they came."""
    transaction_id, confirmed_wh = (None, None) if transaction is None else (transaction.id, transaction.meter.confirmed_wh)
    return [
        MeterRow(
            charger.id,
            event.epoch,
            event.seq,
            reading.n,
            connector_id,
            transaction_id,
            event.received_at,
            meter_values[reading.n].timestamp,
            reading.energy_wh,
            confirmed_wh,
            reading.power_w,
            reading.soc_percent,
            orjson.dumps(meter_values[reading.n].sampled_value).decode(),
        )
        for reading in readings
    ]
