"""Start requests: the one arbiter of a paid start. REQUESTED → STARTED | REFUSED | EXPIRED, once, in the lane.

A connector that is busy is given 15 s to become free before the rider is refused: after an outage payments' wish overtakes the
StopTransaction that its gateway spooled. Nothing tells a session that still runs from one whose end is on its way, so all wait.
"""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from charging.domain.start import Place, may_free_up, refusal, tariff_in_force
from charging.domain.states import StartRequestHappening, StartRequestState, next_start_request_state
from charging.repository import Charger, load_chargers, load_connectors, lock_transactions, save_transactions, tariffs_for
from charging.tables import commands, connectors, start_requests, transactions
from charging.usecases import announce
from charging.usecases.context import Charging
from charging.usecases.follow_reservations import reserved_for_others
from charging.usecases.send_command import NEVER_SENT, create_command
from chassis.database import UnitOfWork
from chassis.messaging import Received
from contracts.charging import (
    PlatformFeeRecorded,
    StartCancelRequested,
    StartExpired,
    StartRefusal,
    StartRefused,
    StartRequested,
)


async def start_requested(app: Charging, uow: UnitOfWork, received: Received) -> None:
    """Payments wants a session started. Refused where it can't be served, else the charger is asked.

    Idempotent by `request_key`: a repeat changes nothing, whatever became of the first.
    """
    event: StartRequested = received.model
    if await uow.connection.scalar(sa.select(start_requests.c.id).where(start_requests.c.request_key == event.request_key)):
        return
    charger = (await load_chargers(uow, [event.charge_point_id])).get(event.charge_point_id)
    id_tag = app.ids.id_tag()
    values: dict[str, Any] = {
        "request_key": event.request_key,
        "charge_point_id": event.charge_point_id,
        "charger_id": charger.id if charger is not None else None,
        "connector_id": event.connector_id,
        "budget_paise": event.budget_paise,
        "platform_fee_paise": event.platform_fee_paise,
        "payer_reference": event.payer_reference,
        "id_tag": id_tag,
        "deadline_at": event.deadline,
        "traceparent": received.traceparent,
        "requested_at": uow.now,
    }
    late = event.deadline <= uow.now
    place = await _place(uow, charger, event.connector_id)
    refused = None if late else refusal(place)
    waits = _waits(refused, place) and app.limits.busy_wait > timedelta(0)
    if late:
        values |= _decided(uow, StartRefusal.DEADLINE_PASSED, "The request was read after its deadline.", expired=True)
    elif refused is not None and not waits:
        values |= _decided(uow, *refused, expired=False)
    else:
        values["state"] = StartRequestState.REQUESTED.value
        values["judge_at"] = uow.now + app.limits.busy_look if waits else None
    request_id = (
        await uow.connection.execute(sa.insert(start_requests).values(**values).returning(start_requests.c.id))
    ).scalar_one()
    if charger is None or values["state"] != StartRequestState.REQUESTED.value:
        _announce_end(app, uow, values)
        return
    if not waits:
        await _ask_charger(
            app, uow, charger, request_id, connector_id=event.connector_id, id_tag=id_tag, deadline_at=event.deadline
        )
    announce.audit(
        uow,
        entity="start_request",
        entity_id=event.request_key,
        action="requested",
        actor="payments",
        trigger="charging.session_start_requested.v1",
        at=uow.now,
        after={
            "state": StartRequestState.REQUESTED.value,
            "charge_point_id": event.charge_point_id,
            "connector_id": event.connector_id,
            "budget_paise": event.budget_paise,
            "waits_for": refused[0].value if refused is not None else None,
        },
        traceparent=received.traceparent,
    )


def _waits(refused: tuple[StartRefusal, str] | None, place: Place) -> bool:
    return refused is not None and refused[0] is StartRefusal.CONNECTOR_BUSY and may_free_up(place)


async def _ask_charger(
    app: Charging,
    uow: UnitOfWork,
    charger: Charger,
    request_id: int,
    *,
    connector_id: int,
    id_tag: str,
    deadline_at: datetime,
) -> None:
    await create_command(
        app,
        uow,
        charger,
        action="RemoteStartTransaction",
        # Always with the connector: some chargers refuse it otherwise (row 85).
        payload={"connectorId": connector_id, "idTag": id_tag},
        trigger="start",
        deadline_at=deadline_at,
        start_request_id=request_id,
    )


async def _place(uow: UnitOfWork, charger: Charger | None, connector_id: int, *, request_id: int | None = None) -> Place:
    """What is known now; `request_id`: of the request that asks, which is not in its own way."""
    if charger is None:
        return Place(
            charger_known=False,
            enabled=False,
            online=False,
            operative=False,
            connector_operative=False,
            connector_exists=False,
            connector_status="Unknown",
            active_transaction=False,
            pending_request=False,
            late_energy=False,
            has_tariff=False,
        )
    known = await load_connectors(uow, charger.id)
    connector = known.get(connector_id)
    numbered = [number for number in known if number > 0]
    if connector is None and not numbered:
        # Nothing has been reported yet: the charger itself will say whether it has such a connector.
        await uow.connection.execute(sa.insert(connectors).values(charger_id=charger.id, connector_id=connector_id))
    active = [t for t in await lock_transactions(uow, [charger.id]) if t.connector_id == connector_id]
    pending = await uow.connection.scalar(
        sa.select(start_requests.c.id).where(
            start_requests.c.charger_id == charger.id,
            start_requests.c.connector_id == connector_id,
            start_requests.c.state == StartRequestState.REQUESTED.value,
            start_requests.c.id.is_distinct_from(request_id),
        )
    )
    late = None
    if connector is not None and connector.late_transaction_id is not None:
        # Held for as long as that energy is being stopped; a sign of it later holds the connector again.
        late = await uow.connection.scalar(
            sa.select(transactions.c.id).where(
                transactions.c.id == connector.late_transaction_id, transactions.c.charger_stopped_at.is_(None)
            )
        )
    tariff = tariff_in_force(await tariffs_for(uow, charger_id=charger.id, station_id=charger.station_id), uow.now)
    return Place(
        charger_known=True,
        enabled=charger.enabled,
        online=charger.online,
        operative=charger.operative,
        connector_operative=connector is None or connector.operative,
        connector_exists=connector is not None or not numbered,
        connector_status=connector.status if connector is not None else "Unknown",
        active_transaction=bool(active),
        pending_request=pending is not None,
        late_energy=late is not None,
        has_tariff=tariff is not None,
        reserved=await reserved_for_others(uow, charger, connector_id, known),
    )


def _decided(uow: UnitOfWork, reason: StartRefusal, detail: str, *, expired: bool) -> dict[str, Any]:
    happening = StartRequestHappening.DEADLINE_PASSED if expired else StartRequestHappening.REFUSED
    state = next_start_request_state(StartRequestState.REQUESTED, happening)
    return {"state": state.value, "reason": reason.value, "detail": detail, "decided_at": uow.now, "judge_at": None}


def _announce_end(app: Charging, uow: UnitOfWork, request: dict[str, Any]) -> None:
    expired = request["state"] == StartRequestState.EXPIRED.value
    event = (StartExpired if expired else StartRefused)(
        request_key=request["request_key"],
        charge_point_id=request["charge_point_id"],
        connector_id=request["connector_id"],
        payer_reference=request["payer_reference"],
        reason=request["reason"],
        detail=request["detail"],
        refused_at=uow.now,
    )
    subject = f"start_request/{request['request_key']}"
    uow.publish(event, subject=subject, message_id=f"{subject}/ended", traceparent=request["traceparent"])
    announce.audit(
        uow,
        entity="start_request",
        entity_id=request["request_key"],
        action=request["state"].lower(),
        trigger=request["reason"],
        at=uow.now,
        before={"state": StartRequestState.REQUESTED.value},
        after={"state": request["state"], "reason": request["reason"], "detail": request["detail"]},
        traceparent=request["traceparent"],
    )
    uow.after_commit(lambda: app.metrics.start_refused.labels(request["reason"]).inc())


async def end_request(
    app: Charging, uow: UnitOfWork, *where: sa.ColumnElement[bool], reason: StartRefusal, detail: str, expired: bool = False
) -> bool:
    """End a request that is still REQUESTED, under its lock. False if there is none such: it was decided before."""
    row = (
        await uow.connection.execute(
            sa.select(start_requests).where(*where, start_requests.c.state == StartRequestState.REQUESTED.value).with_for_update()
        )
    ).one_or_none()
    if row is None:
        return False
    decided = _decided(uow, reason, detail, expired=expired)
    await uow.connection.execute(sa.update(start_requests).where(start_requests.c.id == row.id).values(**decided))
    # What has not gone out yet must not: a car that starts after the refund would charge for nothing.
    await uow.connection.execute(
        sa.update(commands)
        .where(commands.c.start_request_id == row.id, commands.c.status == "PENDING")
        .values(**NEVER_SENT, completed_at=uow.now)
    )
    _announce_end(app, uow, {**row._mapping, **decided})  # noqa: SLF001  (SQLAlchemy's public name)
    return True


async def cancel_requested(app: Charging, uow: UnitOfWork, received: Received) -> None:
    """Payments or a rider gives up on a start. If the session has begun, or was refused already, nothing happens."""
    event: StartCancelRequested = received.model
    await end_request(
        app,
        uow,
        start_requests.c.request_key == event.request_key,
        reason=StartRefusal.CANCELLED,
        detail=f"Cancelled by {event.actor}.",
    )


async def command_failed(app: Charging, uow: UnitOfWork, start_request_id: int, *, detail: str) -> None:
    """The charger refused the RemoteStart."""
    await end_request(app, uow, start_requests.c.id == start_request_id, reason=StartRefusal.REMOTE_START_REJECTED, detail=detail)


async def request_due(app: Charging, uow: UnitOfWork, charger: Charger, start_request_id: int) -> None:
    """A start request's `judge_at` or `deadline_at` may be due."""
    row = (
        await uow.connection.execute(
            sa.select(start_requests)
            .where(start_requests.c.id == start_request_id, start_requests.c.state == StartRequestState.REQUESTED.value)
            .with_for_update()
        )
    ).one_or_none()
    if row is None:
        return
    if row.judge_at is None or row.deadline_at <= uow.now:
        await deadline_passed(app, uow, start_request_id)
    elif row.judge_at <= uow.now:
        await _judge_again(app, uow, charger, row)


async def _judge_again(app: Charging, uow: UnitOfWork, charger: Charger, row: "sa.Row[Any]") -> None:
    """The connector was busy: is it free now, or is the wait for it over?"""
    place = await _place(uow, charger, row.connector_id, request_id=row.id)
    refused = refusal(place)
    if refused is None:
        judge_at = None
        await _ask_charger(
            app, uow, charger, row.id, connector_id=row.connector_id, id_tag=row.id_tag, deadline_at=row.deadline_at
        )
        announce.audit(
            uow,
            entity="start_request",
            entity_id=row.request_key,
            action="connector_free",
            trigger="looked at again",
            at=uow.now,
            before={"waits_for": StartRefusal.CONNECTOR_BUSY.value},
            after={"waits_for": None},
            traceparent=row.traceparent,
        )
    elif _waits(refused, place) and uow.now < row.requested_at + app.limits.busy_wait:
        judge_at = uow.now + app.limits.busy_look
    else:
        await end_request(app, uow, start_requests.c.id == row.id, reason=refused[0], detail=refused[1])
        return
    await uow.connection.execute(sa.update(start_requests).where(start_requests.c.id == row.id).values(judge_at=judge_at))


async def deadline_passed(app: Charging, uow: UnitOfWork, start_request_id: int) -> None:
    """A start request's deadline: if it is still undecided, nothing was plugged in, or nobody could be asked."""
    accepted = await uow.connection.scalar(
        sa.select(commands.c.id).where(commands.c.start_request_id == start_request_id, commands.c.status == "ANSWERED")
    )
    await end_request(
        app,
        uow,
        start_requests.c.id == start_request_id,
        start_requests.c.deadline_at <= uow.now,
        reason=StartRefusal.NOT_PLUGGED_IN if accepted else StartRefusal.DEADLINE_PASSED,
        detail="The charger was ready, but no car was plugged in." if accepted else "The charger did not answer in time.",
        expired=True,
    )


async def fee_recorded(app: Charging, uow: UnitOfWork, received: Received) -> None:
    """The payment's fee became known: the budget check of its session takes it from now on."""
    event: PlatformFeeRecorded = received.model
    row = (
        await uow.connection.execute(
            sa.update(start_requests)
            .where(start_requests.c.request_key == event.request_key)
            .values(platform_fee_paise=event.platform_fee_paise)
            .returning(start_requests.c.charger_id, start_requests.c.transaction_id)
        )
    ).one_or_none()
    if row is None or row.transaction_id is None:
        return
    for transaction in await lock_transactions(uow, [row.charger_id]):
        if transaction.id == row.transaction_id:
            transaction.change_fee(event.platform_fee_paise)
            transaction.forecast(transaction.meter.read_at, app.limits)
            await save_transactions(uow, [transaction])
