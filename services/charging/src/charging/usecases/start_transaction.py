"""StartTransaction (OCPP 1.6 §4.8): the decision that makes a session, answered after the commit, with a real id in any case.

Idempotent on (charger, connector, idTag, timestamp text, meterStart): a repeated start gets the same id and answer. A minted
idTag is one session's: started again under another timestamp it is the same session still.
"""

from dataclasses import replace
from typing import Any

import sqlalchemy as sa
import structlog

from charging.budget_cache import cache_budget
from charging.domain.energy import start_meter
from charging.domain.evidence import Trail
from charging.domain.id_tags import IdTagInfo
from charging.domain.samples import sane_time
from charging.domain.start import Tariff, normalise_id_tag, tariff_in_force
from charging.domain.states import StartRequestHappening, StartRequestState, TransactionState, next_start_request_state
from charging.domain.transaction import Transaction, affordable_wh
from charging.repository import (
    Charger,
    Connector,
    load_chargers,
    load_connectors,
    lock_transactions,
    save_transactions,
    tariffs_for,
)
from charging.tables import commands, connectors, id_tags, start_requests, stations, transactions
from charging.usecases import announce
from charging.usecases.cap_offline import cap_offline
from charging.usecases.connection import alive
from charging.usecases.context import Charging
from charging.usecases.decide_start import end_request
from charging.usecases.finalize import finalize
from charging.usecases.follow_charging_profiles import profiles_of_start
from charging.usecases.follow_reservations import use_reservation
from charging.usecases.look_up_id_tag import id_tag_info, starting_id_tag_info
from charging.usecases.stop_session import charger_stopped, want_stop
from chassis.database import UnitOfWork
from chassis.messaging import Received
from contracts.charging import SegmentBegin, StartRefusal, StopReason
from contracts.ocpp_gateway import IdTagStatus, StartTransactionDecision, StartTransactionReceived
from money import state_code

log = structlog.get_logger(__name__)


async def start_transaction(app: Charging, uow: UnitOfWork, received: Received) -> None:
    """Decide, write, answer. A start that may not be gets a real id, Blocked or Invalid, and a RemoteStop."""
    event: StartTransactionReceived = received.model
    charger = (await load_chargers(uow, [event.charge_point_id])).get(event.charge_point_id)
    if charger is None:
        log.error("start.unknown_charger", charge_point_id=event.charge_point_id)
        return
    await alive(uow, charger, event)
    known = await load_connectors(uow, charger.id)
    connector_id = _connector_of(event, known)
    id_tag = normalise_id_tag(event.id_tag)
    repeated = await _same_start(uow, charger, event, connector_id, id_tag)
    if repeated is not None:
        told = await id_tag_info(uow, id_tag)
        received.answer(_decision(repeated.id, replace(told, status=IdTagStatus(repeated.answer_status))))
        return

    request = await _request_of(uow, charger, connector_id, id_tag)
    info = IdTagInfo(IdTagStatus.BLOCKED)
    if request is not None and request.state == StartRequestState.REQUESTED.value and event.received_at > request.deadline_at:
        await end_request(
            app,
            uow,
            start_requests.c.id == request.id,
            reason=StartRefusal.NOT_PLUGGED_IN,
            detail="The car was plugged in after the deadline.",
            expired=True,
        )
    elif request is not None and request.state == StartRequestState.STARTED.value:
        first = await _transaction_row(uow, request.transaction_id)
        if first.state != TransactionState.STOPPED.value:
            # The charger's clock was set between two tries of one start: the same session.
            received.answer(StartTransactionDecision(transaction_id=first.id, status=IdTagStatus.ACCEPTED))
            return
    elif request is not None:
        if request.state == StartRequestState.REQUESTED.value:
            info = IdTagInfo(IdTagStatus.ACCEPTED)
    else:
        info = await starting_id_tag_info(uow, id_tag, charger_id=charger.id, connector_id=connector_id)

    status = info.status
    accepted = status is IdTagStatus.ACCEPTED
    await _end_predecessor(app, uow, charger, connector_id)
    if connector_id not in known:
        await uow.connection.execute(sa.insert(connectors).values(charger_id=charger.id, connector_id=connector_id))
    transaction_id = await write_transaction(
        app,
        uow,
        event,
        charger,
        known.get(connector_id),
        connector_id,
        id_tag,
        request,
        status,
        traceparent=received.traceparent,
    )
    received.answer(_decision(transaction_id, info))
    [transaction] = [t for t in await lock_transactions(uow, [charger.id], ids=[transaction_id]) if t.id == transaction_id]
    if not accepted:
        await want_stop(app, uow, charger, transaction, StopReason.START_REFUSED)
        await save_transactions(uow, [transaction])
        announce.audit(
            uow,
            entity="transaction",
            entity_id=transaction_id,
            action="start_refused",
            trigger="StartTransaction",
            at=uow.now,
            after={"status": status.value, "id_tag": id_tag, "request_key": request.request_key if request is not None else None},
        )
        return
    await begin_session(app, uow, transaction, request)
    await profiles_of_start(uow, charger, connector_id, id_tag, transaction_id)
    if request is None:
        await use_reservation(
            uow,
            charger,
            connector_id=connector_id,
            id_tag=id_tag,
            info=info,
            reservation_id=event.reservation_id,
            transaction_id=transaction_id,
        )
    await cap_offline(app, uow, charger, transaction)
    transaction.forecast(event.received_at, app.limits)
    await save_transactions(uow, [transaction])


async def begin_session(app: Charging, uow: UnitOfWork, transaction: Transaction, request: Any | None) -> None:
    """A transaction was accepted: its start request (a row; None for a staff tag) is decided, and it is announced."""
    if request is not None:
        state = next_start_request_state(StartRequestState(request.state), StartRequestHappening.TRANSACTION_STARTED)
        await uow.connection.execute(
            sa.update(start_requests)
            .where(start_requests.c.id == request.id)
            .values(state=state.value, transaction_id=transaction.id, decided_at=uow.now, judge_at=None)
        )
    announce.started(uow, transaction)
    if transaction.budget_paise is not None:
        cache_budget(app.redis, app.service.tasks, uow, transaction)
    uow.after_commit(app.metrics.sessions_started.inc)


def _decision(transaction_id: int, info: IdTagInfo) -> StartTransactionDecision:
    return StartTransactionDecision(
        transaction_id=transaction_id, status=info.status, expiry_date=info.expiry_date, parent_id_tag=info.parent_id_tag
    )


def _connector_of(event: StartTransactionReceived, known: dict[int, Connector]) -> int:
    """Connector 0 of a box with one connector means that one; a start needs one in any case."""
    numbered = [number for number in known if number > 0]
    if event.connector_id == 0:
        return numbered[0] if len(numbered) == 1 else 1
    return event.connector_id


async def _same_start(
    uow: UnitOfWork, charger: Charger, event: StartTransactionReceived, connector_id: int, id_tag: str
) -> Any | None:
    return (
        await uow.connection.execute(
            sa.select(transactions.c.id, transactions.c.answer_status).where(
                transactions.c.charger_id == charger.id,
                transactions.c.connector_id == connector_id,
                transactions.c.id_tag == id_tag,
                transactions.c.timestamp_text == event.timestamp_text,
                transactions.c.meter_start_wh == max(0, event.meter_start_wh),
            )
        )
    ).one_or_none()


async def _transaction_row(uow: UnitOfWork, transaction_id: int) -> Any:
    return (
        await uow.connection.execute(
            sa.select(transactions.c.id, transactions.c.state).where(transactions.c.id == transaction_id)
        )
    ).one()


async def _request_of(uow: UnitOfWork, charger: Charger, connector_id: int, id_tag: str) -> Any | None:
    """The start request of this idTag; for a tag that nobody knows, the one whose RemoteStart is out there (row 53)."""
    locked = sa.select(start_requests).where(start_requests.c.charger_id == charger.id).with_for_update()
    found = (await uow.connection.execute(locked.where(start_requests.c.id_tag == id_tag))).one_or_none()
    if found is not None:
        return found
    if await uow.connection.scalar(sa.select(id_tags.c.id).where(id_tags.c.id_tag == id_tag)):
        return None
    sent = sa.exists().where(
        commands.c.start_request_id == start_requests.c.id,
        commands.c.status.in_(("DISPATCHED", "ANSWERED", "TIMED_OUT", "UNKNOWN")),
    )
    pending = start_requests.c.state == StartRequestState.REQUESTED.value
    return (
        await uow.connection.execute(locked.where(start_requests.c.connector_id == connector_id, pending, sent))
    ).one_or_none()


async def _end_predecessor(app: Charging, uow: UnitOfWork, charger: Charger, connector_id: int) -> None:
    """A new start on a connector proves that the session before it is over: its StopTransaction was lost.

    One that is refused proves it as well: what the connector delivers from here on is not the session's before. Late energy
    of an older one is over too, and the connector is free of it.
    """
    for before in await lock_transactions(uow, [charger.id], unstopped=True):
        if before.connector_id == connector_id:
            finalize(app, uow, before, StopReason.CHARGER, at=uow.now, trigger="another start on its connector")
            await charger_stopped(app, uow, charger, before)
            await save_transactions(uow, [before])


async def write_transaction(
    app: Charging,
    uow: UnitOfWork,
    event: StartTransactionReceived,
    charger: Charger,
    connector: Connector | None,
    connector_id: int,
    id_tag: str,
    request: Any | None,
    status: IdTagStatus,
    *,
    traceparent: str | None,
) -> int:
    """The transaction with its terms. One that is refused is final from its first moment: real id, no energy, no events."""
    tariff: Tariff | None = tariff_in_force(
        await tariffs_for(uow, charger_id=charger.id, station_id=charger.station_id), event.received_at
    )
    accepted = status is IdTagStatus.ACCEPTED
    payer = request if accepted else None
    station = (
        await uow.connection.execute(
            sa.select(stations.c.franchisee_id, stations.c.name, stations.c.state).where(stations.c.id == charger.station_id)
        )
    ).one()
    paise_per_kwh, gst_bps = (tariff.paise_per_kwh, tariff.gst_bps) if tariff is not None else (0, 0)
    meter = start_meter(
        meter_start_wh=event.meter_start_wh,
        received_at=event.received_at,
        charger_at=sane_time(event.timestamp, event.received_at),
    )
    relative: dict[str, Any] = {}
    if app.quirk_profile_of(charger).session_relative_register:
        # Known of its model, so not to be found out from the first two readings.
        trail = Trail(began=SegmentBegin.SESSION_RELATIVE, from_wh=0)
        relative = {"offset_wh": meter.start_wh, "meter_trail": trail.model_dump(mode="json")}
    final = (
        {}
        if accepted
        else {
            "stopped_at": event.received_at,
            "stop_reason": StopReason.START_REFUSED.value,
            "energy_wh": 0,
        }
    )
    inserted = await uow.connection.execute(
        sa.insert(transactions)
        .values(
            charger_id=charger.id,
            charge_point_id=charger.charge_point_id,
            connector_id=connector_id,
            station_id=charger.station_id,
            franchisee_id=station.franchisee_id,
            station_name=station.name,
            station_state_code=state_code(station.state),
            start_request_id=request.id if request is not None else None,
            request_key=payer.request_key if payer is not None else None,
            payer_reference=payer.payer_reference if payer is not None else None,
            id_tag=id_tag,
            tariff_id=tariff.id if tariff is not None else None,
            tariff_paise_per_kwh=paise_per_kwh,
            gst_bps=gst_bps,
            tariff_effective_from=tariff.effective_from if tariff is not None else None,
            budget_paise=payer.budget_paise if payer is not None else None,
            platform_fee_paise=payer.platform_fee_paise if payer is not None else 0,
            affordable_wh=affordable_wh(
                budget_paise=payer.budget_paise if payer is not None else None,
                tariff_paise_per_kwh=paise_per_kwh,
                gst_bps=gst_bps,
                platform_fee_paise=payer.platform_fee_paise if payer is not None else 0,
            ),
            rated_power_w=(connector.rated_power_w if connector is not None else None) or charger.rated_power_w,
            connector_kind=(connector.kind if connector is not None else None) or charger.connector_kind,
            started_at=event.received_at,
            timestamp_text=event.timestamp_text,
            traceparent=payer.traceparent if payer is not None else traceparent,
            answer_status=status.value,
            state=(TransactionState.STARTED if accepted else TransactionState.STOPPED).value,
            last_activity_at=event.received_at,
            last_progress_at=event.received_at,
            # What this charger said before belongs to the sessions before, however often it is delivered.
            applied_epoch=event.epoch,
            applied_seq=event.seq,
            meter_start_wh=meter.start_wh,
            register_wh=meter.register_wh,
            read_at=meter.read_at,
            charger_read_at=meter.charger_read_at,
            **relative,
            **final,
        )
        .returning(transactions.c.id)
    )
    transaction_id: int = inserted.scalar_one()
    return transaction_id
