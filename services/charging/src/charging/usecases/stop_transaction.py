"""StopTransaction: a session's ordinary end. Never refused, whatever it says (OCPP 1.6 §4.10, ocpp.md rows 75-83)."""

from typing import Any

import structlog
from sqlalchemy.dialects.postgresql import insert

from charging.domain.samples import read_message, sane_time
from charging.domain.transaction import Transaction
from charging.repository import Charger, insert_meter_values, load_chargers, lock_transactions, save_transactions
from charging.tables import orphans
from charging.usecases import announce
from charging.usecases.connection import alive
from charging.usecases.context import Charging
from charging.usecases.finalize import finalize
from charging.usecases.record_meter_values import meter_rows
from charging.usecases.stop_session import charger_stopped
from chassis.database import UnitOfWork
from chassis.messaging import Received
from contracts.charging import LateEnergyReported, StopReason
from contracts.ocpp_gateway import StopTransactionReceived

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
    if transaction is None:
        await _keep_orphan(app, uow, charger, event)
        return
    await _store_samples(app, uow, charger, transaction, event, received.data)
    if transaction.charger_stopped_at is not None and not transaction.active:
        return  # the same Stop again (row 79), or closing values after it: meterStop stands (row 71)
    late_before_wh = transaction.late_wh
    transaction.take_meter_stop(event.meter_stop_wh, event.received_at, sane_time(event.timestamp, event.received_at))
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
            uow.publish(
                LateEnergyReported(
                    transaction_id=transaction.id, charge_point_id=charger.charge_point_id, late_wh=transaction.late_wh
                ),
                subject=announce.subject_of(transaction),
                traceparent=transaction.traceparent,
            )
            uow.after_commit(app.metrics.late_energy.inc)
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


def _bind(found: list[Transaction], reported: int | None) -> Transaction | None:
    """The sender's own transaction of this id (or of the id that it uses); for 0, -1 or none: its only open one (row 77)."""
    if reported is not None:
        for transaction in found:
            if reported in (transaction.id, transaction.reported_transaction_id):
                return transaction
        return None  # never issued to this charger: free mode, a lost start, another charger's id (rows 41, 78, 83)
    active = [transaction for transaction in found if transaction.active]
    return active[0] if len(active) == 1 else None


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


async def _store_samples(
    app: Charging, uow: UnitOfWork, charger: Charger, transaction: Transaction, event: StopTransactionReceived, data: Any
) -> None:
    """transactionData is stored like any samples, for the record: energy comes from meterStop alone."""
    readings = read_message(event.transaction_data, received_at=event.received_at, quirks=app.quirk_profile_of(charger))
    if readings:
        said = [samples.get("sampled_value", []) for samples in data["transaction_data"]]
        rows = meter_rows(charger, event, transaction.connector_id, transaction, readings, said)
        await insert_meter_values(uow, rows)
