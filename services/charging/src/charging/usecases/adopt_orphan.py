"""A StopTransaction whose start never reached us (ocpp.md row 41): whether a waiting payment is to pay for it, by rule.

A charger that was offline and then reset may keep the end of a session and lose its beginning. Somebody's payment waits for
that session. The rule, in full:

1. The Stop bears the idTag that was minted for one start request of the same charger. A tag is minted once, so this names the
   rider; a Stop without one, or with any other, is nobody's, whoever may be waiting.
2. The request still waits (REQUESTED). What was decided, and refunded perhaps, stays so.
3. transactionData holds the register at Transaction.Begin and at Transaction.End. `meterStop` alone tells no energy.
4. No session runs on the request's connector.

If all hold, the session is written as it was, from the time of the request, and finalized: the meter's own rules bound what is
billed by rated power x that time. If only the first two hold, the request ends at once and the rider gets everything back.
"""

from datetime import datetime

import sqlalchemy as sa

from charging.domain.samples import read_message, sane_time
from charging.domain.start import normalise_id_tag
from charging.domain.states import StartRequestState
from charging.repository import Charger, load_connectors, lock_transactions, save_transactions
from charging.tables import orphans, start_requests
from charging.usecases.context import Charging
from charging.usecases.decide_start import end_request
from charging.usecases.finalize import finalize
from charging.usecases.start_transaction import begin_session, write_transaction
from charging.usecases.stop_session import charger_stopped
from chassis.database import UnitOfWork
from contracts.charging import StartRefusal, StopReason
from contracts.ocpp_gateway import IdTagStatus, StartTransactionReceived, StopTransactionReceived


async def adopt_orphan(app: Charging, uow: UnitOfWork, charger: Charger, event: StopTransactionReceived, orphan_id: int) -> None:
    """Apply the rule to a StopTransaction that fits no session, just kept as an orphan."""
    id_tag = normalise_id_tag(event.id_tag or "")
    request = (
        await uow.connection.execute(
            sa.select(start_requests)
            .where(start_requests.c.charger_id == charger.id, start_requests.c.id_tag == id_tag)
            .with_for_update()
        )
    ).one_or_none()
    if request is None:
        return
    await uow.connection.execute(sa.update(orphans).where(orphans.c.id == orphan_id).values(start_request_id=request.id))
    if request.state != StartRequestState.REQUESTED.value:
        return
    begin_wh, begin_at = _register(app, charger, event, "Transaction.Begin")
    end_wh, end_at = _register(app, charger, event, "Transaction.End")
    running = any(t.connector_id == request.connector_id for t in await lock_transactions(uow, [charger.id]))
    if begin_wh is None or end_wh is None or running:
        await end_request(
            app,
            uow,
            start_requests.c.id == request.id,
            reason=StartRefusal.DEADLINE_PASSED,
            detail="The charger lost the start of the session: what it delivered can't be told.",
            expired=True,
        )
        return
    known = await load_connectors(uow, charger.id)
    start = StartTransactionReceived(
        charge_point_id=event.charge_point_id,
        epoch=event.epoch,
        seq=event.seq,
        received_at=request.requested_at,
        gateway=event.gateway,
        connector_id=request.connector_id,
        id_tag=id_tag,
        meter_start_wh=begin_wh,
        timestamp=begin_at,
        timestamp_text=f"orphan {orphan_id}",
    )
    transaction_id = await write_transaction(
        app,
        uow,
        start,
        charger,
        known.get(request.connector_id),
        request.connector_id,
        id_tag,
        request,
        IdTagStatus.ACCEPTED,
        traceparent=request.traceparent,
    )
    [transaction] = [t for t in await lock_transactions(uow, [charger.id]) if t.id == transaction_id]
    await begin_session(app, uow, transaction, request)
    transaction.take_meter_stop(end_wh, event.received_at, end_at or sane_time(event.timestamp, event.received_at))
    finalize(
        app,
        uow,
        transaction,
        StopReason.CHARGER,
        at=event.received_at,
        trigger="StopTransaction, its start lost",
        ocpp_stop_reason=event.original_reason or event.reason,
        meter_stop_wh=event.meter_stop_wh,
    )
    await charger_stopped(app, uow, charger, transaction)
    await save_transactions(uow, [transaction])


def _register(
    app: Charging, charger: Charger, event: StopTransactionReceived, context: str
) -> tuple[int | None, datetime | None]:
    """(import register in Wh, the charger's time of it) that transactionData gives for this context."""
    said = [value for value in event.transaction_data if any(sample.context == context for sample in value.sampled_value)]
    unparsed = [
        value.model_copy(update={"sampled_value": [s.model_dump() for s in value.sampled_value if s.context == context]})
        for value in said
    ]
    readings = read_message(unparsed, received_at=event.received_at, quirks=app.quirk_profile_of(charger))  # type: ignore[arg-type]
    for reading in readings:
        if reading.energy_wh is not None:
            return reading.energy_wh, reading.charger_at
    return None, None
