"""Receipts of commands: what chargers show is held against what commands are to bring about (domain/effects.py).

It stands behind the handlers of a batch, not in them: every event passes here once it was handled, and only those of chargers
for which something is awaited are looked at. That is one small read per batch. A command leaves after the commit that hands it
over, so its effect can't be in the same batch.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
import structlog

from charging.domain.effects import Awaiting, Effect, Happened, Sign, after_outcome, available_as_wished, shows
from charging.domain.states import COMMAND_FINAL, CommandStatus, StartRequestState, TransactionState
from charging.repository import Charger, load_chargers
from charging.tables import commands, connectors, start_requests, transactions
from charging.usecases import announce, hand_over_credentials
from charging.usecases.context import Charging
from chassis.database import UnitOfWork
from chassis.messaging import Received
from contracts.base import LaneEvent
from contracts.ocpp_gateway import (
    BootNotificationReceived,
    ChargePointConnected,
    DiagnosticsStatusReceived,
    FirmwareStatusReceived,
    MeterValuesReceived,
    StartTransactionReceived,
    StatusNotificationReceived,
    StopTransactionReceived,
)

log = structlog.get_logger(__name__)

SIGNS: Mapping[type[LaneEvent], Sign] = {
    BootNotificationReceived: Sign.BOOT,
    ChargePointConnected: Sign.CONNECTED,
    StartTransactionReceived: Sign.START,
    StopTransactionReceived: Sign.STOP,
    MeterValuesReceived: Sign.METER_VALUES,
    StatusNotificationReceived: Sign.STATUS,
    FirmwareStatusReceived: Sign.FIRMWARE,
    DiagnosticsStatusReceived: Sign.DIAGNOSTICS,
}

EVIDENCE_CHARACTERS_MAX = 200
"""A message's id is bounded by the gateway; this bounds ours."""

EffectFollower = Callable[[Charging, UnitOfWork, Charger, "sa.Row[Any]", Effect], Awaitable[None]]

EFFECT_FOLLOWERS: Mapping[str, EffectFollower] = {"credentials": hand_over_credentials.effect_known}
"""By `commands.trigger`: told once when an effect was SEEN or NOT_SEEN."""

_AWAITED = """
    SELECT DISTINCT charge_point_id FROM commands
    WHERE effect = 'AWAITED' AND status <> 'PENDING' AND charge_point_id = ANY($1::text[])
"""


async def awaited_of(uow: UnitOfWork, charge_point_ids: Collection[str]) -> set[str]:
    """Which of these chargers have a command out whose effect is awaited."""
    driver = await uow.asyncpg()
    return {row[0] for row in await driver.fetch(_AWAITED, list(charge_point_ids))}


async def observe(app: Charging, uow: UnitOfWork, received: Received) -> None:
    """An event of a charger was handled: is it what a command waits for? One event may be the effect of several commands."""
    sign = SIGNS.get(type(received.model))
    if sign is None:
        return
    event: Any = received.model
    rows = (
        await uow.connection.execute(
            sa.select(commands)
            .where(
                commands.c.charge_point_id == event.charge_point_id,
                commands.c.effect == Effect.AWAITED.value,
                commands.c.status != CommandStatus.PENDING.value,
            )
            .order_by(commands.c.id)
            .with_for_update()
        )
    ).all()
    if not rows:
        return
    happened = await _happened(uow, rows[0].charger_id, sign, event)
    for row in rows:
        if row.action == "ChangeAvailability" and sign is Sign.STATUS:
            seen = await _available(uow, row)
        elif sign is Sign.CONNECTED:
            seen = shows(_awaiting(row), happened) and await hand_over_credentials.proves(uow, row, event)
        elif sign is Sign.START and row.start_request_id is not None:
            # A charger that alters the idTag (row 53) has started it all the same: start_transaction linked them.
            seen = shows(_awaiting(row), happened) or await _linked(uow, row.start_request_id)
        else:
            seen = shows(_awaiting(row), happened)
        if seen:
            message = f"{sign.value} {received.message_id}"[:EVIDENCE_CHARACTERS_MAX]
            await _settle(app, uow, row, Effect.SEEN, evidence=message, at=event.received_at)


async def outcome_known(
    app: Charging, uow: UnitOfWork, row: "sa.Row[Any]", status: CommandStatus, said: str, at: datetime
) -> None:
    """A command ended: its effect is due from now on, or not expected any more. `row`: the command as it was before."""
    effect = Effect(row.effect)
    if effect is Effect.NONE_EXPECTED:
        return
    timeout = app.settings.effect_timeouts().of(row.action, row.payload)
    step = after_outcome(effect, row.effect_evidence, status=status, said=said, at=at, timeout=timeout)
    await _set(uow, row.id, effect=step.effect.value, effect_due_at=step.due_at, effect_evidence=step.evidence)
    if step.effect is Effect.AWAITED and row.action == "ChangeAvailability" and await _available(uow, row):
        # It was so already, or said so before it answered: no status will come, for statuses tell changes.
        await _settle(app, uow, row, Effect.SEEN, evidence="the connectors report it", at=at)


async def handed_back(uow: UnitOfWork, row: "sa.Row[Any]") -> None:
    """It was certainly not sent: whatever was taken for its effect was not."""
    if row.effect == Effect.SEEN.value:
        await _set(uow, row.id, effect=Effect.AWAITED.value, effect_evidence=None, effect_at=None)


async def effect_due(app: Charging, uow: UnitOfWork, charger: Charger, command_id: int) -> None:
    """A receipt's time is over: nothing showed the effect, or it shows in what we know by now."""
    row = (await uow.connection.execute(sa.select(commands).where(commands.c.id == command_id).with_for_update())).one_or_none()
    if row is None or row.charger_id != charger.id or row.effect != Effect.AWAITED.value:
        return
    if row.effect_due_at is None or row.effect_due_at > uow.now:
        return
    if row.action == "ChangeAvailability" and await _scheduled(uow, row):
        # It takes effect when the transaction ends, whenever that is (§5.2).
        timeout = app.settings.effect_timeouts().of(row.action, row.payload)
        await _set(uow, row.id, effect_due_at=uow.now + timeout)
        return
    if row.action == "RemoteStopTransaction" and await _flat(uow, row):
        await _settle(app, uow, row, Effect.SEEN, evidence="flat energy", at=uow.now)
        return
    await _settle(app, uow, row, Effect.NOT_SEEN, evidence=f"no {row.effect_waits_for} in time", at=uow.now)


async def _settle(app: Charging, uow: UnitOfWork, row: "sa.Row[Any]", effect: Effect, *, evidence: str, at: datetime) -> None:
    await _set(uow, row.id, effect=effect.value, effect_evidence=evidence, effect_at=at, effect_due_at=None)
    if effect is Effect.NOT_SEEN:
        log.warning("command.no_effect", command_id=row.id, charge_point_id=row.charge_point_id, action=row.action)
        uow.after_commit(app.metrics.effects_not_seen.labels(row.action).inc)
        announce.audit(
            uow,
            entity="charger",
            entity_id=row.charger_id,
            action="command_without_effect",
            trigger=row.trigger,
            at=at,
            after={"command_id": row.id, "action": row.action, "waited_for": row.effect_waits_for},
        )
    follower = EFFECT_FOLLOWERS.get(row.trigger)
    if follower is not None:
        charger = (await load_chargers(uow, [row.charge_point_id])).get(row.charge_point_id)
        if charger is not None:
            await follower(app, uow, charger, row, effect)


def _awaiting(row: "sa.Row[Any]") -> Awaiting:
    status = CommandStatus(row.status)
    completed_at = row.completed_at if status in COMMAND_FINAL else None
    return Awaiting(row.action, row.payload, status, row.epoch or 0, completed_at)


async def _happened(uow: UnitOfWork, charger_id: int, sign: Sign, event: Any) -> Happened:
    names: set[int] = set()
    numbers: set[int] = set()
    if sign is Sign.STOP:
        # Those that its handler has just ended: whichever way the charger names them, or does not (rows 51, 59, 77).
        ended = await uow.connection.execute(
            sa.select(transactions.c.id, transactions.c.reported_transaction_id, transactions.c.connector_id).where(
                transactions.c.charger_id == charger_id, transactions.c.charger_stopped_at == uow.now
            )
        )
        for row in ended:
            names |= {row.id} if row.reported_transaction_id is None else {row.id, row.reported_transaction_id}
            numbers.add(row.connector_id)
        if event.transaction_id is not None and event.transaction_id > 0:
            names.add(event.transaction_id)
    elif sign in (Sign.STATUS, Sign.METER_VALUES, Sign.START):
        numbers.add(event.connector_id)
    return Happened(
        sign,
        event.epoch,
        event.received_at,
        id_tag=event.id_tag if sign is Sign.START else None,
        connector_ids=frozenset(numbers),
        transaction_ids=frozenset(names),
    )


async def _available(uow: UnitOfWork, row: "sa.Row[Any]") -> bool:
    statuses = await uow.connection.execute(
        sa.select(connectors.c.connector_id, connectors.c.status).where(connectors.c.charger_id == row.charger_id)
    )
    return available_as_wished(row.payload, {found.connector_id: found.status for found in statuses})


async def _scheduled(uow: UnitOfWork, row: "sa.Row[Any]") -> bool:
    """Whether the change waits for a transaction that is still running."""
    if (row.response or {}).get("status") != "Scheduled":
        return False
    running = sa.select(transactions.c.id).where(
        transactions.c.charger_id == row.charger_id, transactions.c.state != TransactionState.STOPPED.value
    )
    number = row.payload.get("connectorId")
    if number:
        running = running.where(transactions.c.connector_id == number)
    return await uow.connection.scalar(running.limit(1)) is not None


async def _flat(uow: UnitOfWork, row: "sa.Row[Any]") -> bool:
    """Whether the transaction's energy was off after the stop, though no StopTransaction came."""
    wanted = row.payload.get("transactionId")
    t = transactions.c
    found = (
        await uow.connection.execute(
            sa.select(t.charger_stopped_at, t.read_at, t.last_progress_at).where(
                t.charger_id == row.charger_id,
                sa.or_(t.id == row.transaction_id, t.id == wanted, t.reported_transaction_id == wanted),
            )
        )
    ).first()
    if found is None or row.dispatched_at is None:
        return False
    sent_at: datetime = row.dispatched_at
    stopped: bool = found.charger_stopped_at is not None and found.charger_stopped_at >= sent_at
    flat: bool = found.read_at > sent_at and found.read_at > found.last_progress_at
    return stopped or flat


async def _linked(uow: UnitOfWork, start_request_id: int) -> bool:
    state = await uow.connection.scalar(sa.select(start_requests.c.state).where(start_requests.c.id == start_request_id))
    return state == StartRequestState.STARTED.value


async def _set(uow: UnitOfWork, command_id: int, **values: object) -> None:
    await uow.connection.execute(sa.update(commands).where(commands.c.id == command_id).values(**values))
