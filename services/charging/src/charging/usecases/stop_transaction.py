"""StopTransaction: a session's ordinary end. Never refused, whatever it says (OCPP 1.6 §4.10, ocpp.md rows 75-83)."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert

from charging.domain.samples import read_message, sane_time
from charging.domain.stopping import learn_latency
from charging.domain.transaction import Transaction
from charging.repository import (
    Charger,
    insert_meter_values,
    load_chargers,
    lock_transactions,
    save_transactions,
    update_charger,
)
from charging.tables import orphans, transactions
from charging.usecases import announce
from charging.usecases.adopt_orphan import adopt_orphan
from charging.usecases.connection import alive
from charging.usecases.context import Charging
from charging.usecases.finalize import finalize
from charging.usecases.record_meter_values import meter_rows
from charging.usecases.stop_session import charger_stopped
from chassis.database import UnitOfWork
from chassis.messaging import Received
from contracts.charging import StopReason
from contracts.ocpp_gateway import StopTransactionReceived, UnparsedMeterValue

log = structlog.get_logger(__name__)


async def stop_transaction(app: Charging, uow: UnitOfWork, received: Received) -> None:
    """Bind it, take meterStop as the last sample, finalize. A duplicate, or one after our own end, changes no bill."""
    event: StopTransactionReceived = received.model
    charger = (await load_chargers(uow, [event.charge_point_id])).get(event.charge_point_id)
    if charger is None:
        log.error("stop.unknown_charger", charge_point_id=event.charge_point_id, message_id=event.message_id)
        return
    await alive(uow, charger, event)
    reported = event.transaction_id if event.transaction_id is not None and event.transaction_id > 0 else None
    found = await lock_transactions(uow, [charger.id], ids=[reported] if reported is not None else [])
    transaction = _bind(found, reported)
    named = transaction is not None and transaction.id == reported
    if not named:
        # Whose it is depends on what is open just now: that is asked once. Delivered again, it is nobody else's.
        if await _heard_before(uow, charger, event):
            return
        if transaction is not None and not await _may_be_its_stop(uow, transaction, event):
            transaction = None
    if transaction is None:
        await _keep_orphan(app, uow, charger, event)
        return
    await _store_samples(app, uow, charger, transaction, event, received.data)
    if transaction.charger_stopped_at is not None and not transaction.active:
        return  # the same Stop again (row 79), or closing values after it: meterStop stands (row 71)
    late_before_wh = transaction.late_wh
    took_ms = transaction.stop_took_ms(event.meter_stop_wh, event.received_at) if transaction.active else None
    if took_ms is not None:
        await update_charger(uow, charger.id, stop_latency_ms=learn_latency(charger.stop_latency_ms, took_ms))
    transaction.take_meter_stop(
        event.meter_stop_wh,
        event.received_at,
        sane_time(event.timestamp, event.received_at),
        epoch=event.epoch,
        seq=event.seq,
    )
    word = event.original_reason or event.reason
    # The end is called what we decided, where we did: a budget stop shows up as Remote, or as anything (row 76).
    reason = transaction.stop_intent or StopReason.CHARGER
    if not finalize(
        app,
        uow,
        transaction,
        reason,
        at=event.received_at,
        trigger="StopTransaction",
        ocpp_stop_reason=word,
        meter_stop_wh=event.meter_stop_wh,
    ):
        transaction.ocpp_stop_reason = word
        transaction.meter_stop_wh = event.meter_stop_wh
        if transaction.late_wh > late_before_wh:
            announce.late_energy(app, uow, transaction)
        announce.audit(
            uow,
            entity="transaction",
            entity_id=transaction.id,
            action="stopped_late",
            trigger="StopTransaction",
            at=event.received_at,
            after={"ocpp_stop_reason": word, "late_wh": transaction.late_wh},
            traceparent=transaction.traceparent,
        )
    await charger_stopped(app, uow, charger, transaction)
    await save_transactions(uow, [transaction])
    if not named:
        await uow.connection.execute(
            sa.update(transactions)
            .where(transactions.c.id == transaction.id)
            .values(unnamed_stop_epoch=event.epoch, unnamed_stop_seq=event.seq)
        )


def _bind(found: list[Transaction], reported: int | None) -> Transaction | None:
    """The sender's own transaction of this id (or of the id that it uses); for 0, -1 or none: its only open one (row 77)."""
    if reported is not None:
        for transaction in found:
            if reported in (transaction.id, transaction.reported_transaction_id):
                return transaction
        return None  # never issued to this charger: free mode, a lost start, another charger's id (rows 41, 78, 83)
    active = [transaction for transaction in found if transaction.active]
    return active[0] if len(active) == 1 else None


async def _heard_before(uow: UnitOfWork, charger: Charger, event: StopTransactionReceived) -> bool:
    """Whether this very message ended a session before, or was kept as nobody's."""
    t, o = transactions.c, orphans.c
    ended = sa.exists().where(t.charger_id == charger.id, t.unnamed_stop_epoch == event.epoch, t.unnamed_stop_seq == event.seq)
    kept = sa.exists().where(o.charger_id == charger.id, o.epoch == event.epoch, o.seq == event.seq)
    return bool(await uow.connection.scalar(sa.select(sa.or_(ended, kept))))


async def _may_be_its_stop(uow: UnitOfWork, transaction: Transaction, event: StopTransactionReceived) -> bool:
    """Whether a Stop that does not name this session by our id can be its: it came, and by the charger's clock was made, later.

    An older session's Stop comes late from a charger's queue, and any message comes again after a broker's death.
    """
    if event.received_at < transaction.started_at:
        return False
    made_at = sane_time(event.timestamp, event.received_at)
    text = await uow.connection.scalar(sa.select(transactions.c.timestamp_text).where(transactions.c.id == transaction.id))
    started_at = sane_time(_time(text or ""), transaction.started_at)
    return made_at is None or started_at is None or made_at >= started_at


def _time(text: str) -> datetime | None:
    """A charger's timestamp, where it is one that says its zone."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo is not None else None


async def _keep_orphan(app: Charging, uow: UnitOfWork, charger: Charger, event: StopTransactionReceived) -> None:
    stored = await uow.connection.scalar(
        insert(orphans)
        .values(
            charger_id=charger.id,
            epoch=event.epoch,
            seq=event.seq,
            kind="StopTransaction",
            reported_transaction_id=event.transaction_id,
            payload=event.model_dump(mode="json"),
            received_at=event.received_at,
        )
        .on_conflict_do_nothing()
        .returning(orphans.c.id)
    )
    if stored is None:
        return
    announce.audit(
        uow,
        entity="charger",
        entity_id=charger.id,
        action="orphan_stop",
        trigger="StopTransaction",
        at=event.received_at,
        after={"transaction_id": event.transaction_id, "meter_stop_wh": event.meter_stop_wh, "orphan_id": stored},
    )
    uow.after_commit(app.metrics.orphan_stops.inc)
    await adopt_orphan(app, uow, charger, event, stored)


async def _store_samples(
    app: Charging, uow: UnitOfWork, charger: Charger, transaction: Transaction, event: StopTransactionReceived, data: Any
) -> None:
    """transactionData is stored like any samples, for the record: energy comes from meterStop alone."""
    meter_values = (
        [UnparsedMeterValue.model_validate(said) for said in data["transaction_data"]] if event.transaction_data else []
    )
    readings = read_message(meter_values, received_at=event.received_at, quirks=app.quirk_profile_of(charger))
    await insert_meter_values(
        uow, meter_rows(charger, event, meter_values, transaction.connector_id, transaction, readings), repeated=True
    )
