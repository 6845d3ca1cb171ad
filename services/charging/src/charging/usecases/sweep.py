"""Sweeps: they look for columns that are due and say so in the lane. They never finalize, and never write the rows they watch.

A notice is remembered in `deadline_notices`, so that a due row is not announced every second, and again after a minute should
its first notice have come to nothing.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from charging.domain.states import StartRequestState
from charging.gateway_registry import leases
from charging.tables import (
    chargers,
    charging_profiles,
    commands,
    deadline_notices,
    gateways,
    local_lists,
    reservations,
    start_requests,
    transactions,
)
from charging.usecases.complete_command import GATEWAY_REPORT_SLACK
from charging.usecases.configure_charger import due_chargers
from charging.usecases.context import Charging
from chassis.database import UnitOfWork
from contracts.charging import DeadlineDue, DeadlineKind

DUE_ROWS_MAX = 500
"""Most rows of a kind announced in one sweep: after an outage the rest follows a second later."""

NOTICE_REPEAT = timedelta(seconds=60)
"""A row still due this long after its notice is announced again: the notice was put off, or parked."""

NOTICE_KEPT = timedelta(days=1)
"""Then it is forgotten."""

LEASE_SWEEP_SECONDS = 5.0
"""How often gateways' leases are looked at."""


def _due(
    kind: DeadlineKind, table: sa.Table, due_at: sa.ColumnElement[Any], now: datetime, which: sa.ColumnElement[bool]
) -> sa.Subquery:
    """(kind, id, charge_point_id, due_at) of rows that are due, the longest overdue first. `which` has a small partial index."""
    return (
        sa.select(sa.literal(kind.value).label("kind"), table.c.id, table.c.charge_point_id, due_at.label("due_at"))
        .where(which, due_at <= now)
        .order_by(due_at)
        .limit(DUE_ROWS_MAX)
        .subquery()
    )


async def sweep_deadlines(app: Charging) -> None:
    """Every second, and at start-up: what is due goes into its charger's lane. One statement looks at all columns."""
    active = transactions.c.state != "STOPPED"
    unstopped = sa.and_(transactions.c.stop_intent.is_not(None), transactions.c.charger_stopped_at.is_(None))
    requested = start_requests.c.state == StartRequestState.REQUESTED.value
    reserving = reservations.c.state.in_(("REQUESTED", "ACCEPTED"))
    pending, dispatched = commands.c.status == "PENDING", commands.c.status == "DISPATCHED"
    slack_seconds = GATEWAY_REPORT_SLACK.total_seconds()
    report_due = commands.c.deadline_at + sa.func.make_interval(0, 0, 0, 0, 0, 0, commands.c.timeout_seconds + slack_seconds)
    async with app.database.transaction() as uow:
        now = uow.now
        columns = (
            _due(DeadlineKind.STOP_DUE, transactions, transactions.c.stop_due_at, now + app.limits.stop_lookahead, active),
            _due(DeadlineKind.STOP_UNCONFIRMED, transactions, transactions.c.stop_confirm_due_at, now, unstopped),
            _due(DeadlineKind.SUSPENSION, transactions, transactions.c.suspension_deadline_at, now, active),
            _due(DeadlineKind.SUSPENSION, transactions, transactions.c.availability_deadline_at, now, active),
            _due(DeadlineKind.START_REQUEST, start_requests, start_requests.c.deadline_at, now, requested),
            _due(DeadlineKind.START_REQUEST, start_requests, start_requests.c.judge_at, now, requested),
            _due(DeadlineKind.COMMAND, commands, commands.c.deadline_at, now, pending),
            _due(DeadlineKind.COMMAND, commands, report_due, now, dispatched),
            _due(DeadlineKind.RESERVATION, reservations, reservations.c.expires_at, now, reserving),
            _due(DeadlineKind.LOCAL_LIST, local_lists, local_lists.c.sync_due_at, now, sa.true()),
            _due(DeadlineKind.OFFLINE_CAP, charging_profiles, charging_profiles.c.renew_at, now, sa.true()),
            _due(DeadlineKind.COMMAND_EFFECT, commands, commands.c.effect_due_at, now, commands.c.effect == "AWAITED"),
        )
        rows = (await uow.connection.execute(sa.union_all(*(sa.select(column) for column in columns)))).all()
        await _announce(uow, [(DeadlineKind(row.kind), str(row.id), row.charge_point_id, row.due_at) for row in rows])


async def _announce(uow: UnitOfWork, due: Iterable[tuple[DeadlineKind, str, str, datetime]]) -> None:
    """Put each into its lane, unless that was done within the last minute."""
    found = {(kind.value, subject_id, due_at): charge_point_id for kind, subject_id, charge_point_id, due_at in due}
    if not found:
        return
    # Sorted: two replicas that sweep at once meet the same rows in the same order.
    n = deadline_notices.c
    statement = insert(deadline_notices).values(
        [
            {"kind": kind, "subject_id": subject, "due_at": due_at, "published_at": uow.now}
            for kind, subject, due_at in sorted(found)
        ]
    )
    statement = statement.on_conflict_do_update(
        index_elements=[n.kind, n.subject_id, n.due_at],
        set_={"published_at": uow.now},
        where=n.published_at <= uow.now - NOTICE_REPEAT,
    )
    for kind, subject_id, due_at in await uow.connection.execute(statement.returning(n.kind, n.subject_id, n.due_at)):
        uow.publish(
            DeadlineDue(
                charge_point_id=found[kind, subject_id, due_at],
                kind=DeadlineKind(kind),
                subject_id=subject_id,
                due_at=due_at,
            ),
            subject=f"deadline/{kind}/{subject_id}",
        )


async def sweep_configurations(app: Charging) -> None:
    """Every few seconds: chargers whose configuration is due, a limited number at once, and those whose conversation is stuck."""
    if not app.settings.configuration_enabled:
        return
    async with app.database.transaction() as uow:
        rows = (await uow.connection.execute(due_chargers(app, uow.now))).all()
        await _announce(uow, [(DeadlineKind.CONFIGURATION, str(row.id), row.charge_point_id, row.due_at) for row in rows])


async def sweep_stale(app: Charging) -> None:
    """Every 30 minutes, and at start-up: sessions silent beyond the guard that no other deadline will end."""
    async with app.database.transaction() as uow:
        silent = transactions.c.last_activity_at < uow.now - app.limits.resume_gap_max
        rows = await uow.connection.execute(
            sa.select(transactions.c.id, transactions.c.charge_point_id)
            .where(transactions.c.state != "STOPPED", silent, transactions.c.suspension_deadline_at.is_(None))
            .limit(DUE_ROWS_MAX)
        )
        await _announce(uow, [(DeadlineKind.SUSPENSION, str(row.id), row.charge_point_id, uow.now) for row in rows])
        await uow.connection.execute(sa.delete(deadline_notices).where(deadline_notices.c.published_at < uow.now - NOTICE_KEPT))


async def sweep_gateways(app: Charging) -> None:
    """Connections whose gateway lost its lease, or came back as another process, count as dropped (`gateway_lost`)."""
    async with app.database.transaction() as uow:
        online = sa.select(chargers.c.gateway).where(chargers.c.online, chargers.c.gateway.is_not(None)).distinct()
        names = sorted((await uow.connection.scalars(online)).all())
        held = await leases(app.redis, [name for name in names if name is not None])
        if not held:
            return  # nobody is online, or Redis does not answer: absent means unknown
        for name, process in held.items():
            await uow.connection.execute(_note_gateway(name, process, uow.now))
        lost_before = uow.now - timedelta(seconds=app.settings.gateway_lost_seconds)
        # A charger that reached the new process before we noticed it must not be taken for one of the old.
        noticed_within = timedelta(seconds=LEASE_SWEEP_SECONDS + 1)
        rows = await uow.connection.execute(
            sa.select(chargers.c.epoch, chargers.c.charge_point_id, chargers.c.online_since)
            .join(gateways, gateways.c.name == chargers.c.gateway)
            .where(
                chargers.c.online,
                sa.or_(
                    # A lease that was never seen says nothing: absent means unknown.
                    sa.and_(gateways.c.missing_since <= lost_before, gateways.c.process.is_not(None)),
                    chargers.c.online_since < gateways.c.process_since - noticed_within,
                ),
            )
            .limit(DUE_ROWS_MAX)
        )
        await _announce(
            uow, [(DeadlineKind.GATEWAY_LEASE, str(row.epoch), row.charge_point_id, row.online_since) for row in rows]
        )


def _note_gateway(name: str, process: str | None, now: datetime) -> Any:
    """What a look at a gateway's lease says: whose it is since when, or since when it is missing."""
    statement = insert(gateways).values(
        name=name,
        process=process,
        process_since=None,
        missing_since=now if process is None else None,
    )
    if process is None:
        values: dict[str, Any] = {"missing_since": sa.func.coalesce(gateways.c.missing_since, now)}
    else:
        changed = sa.and_(gateways.c.process.is_not(None), gateways.c.process != process)
        values = {
            "process": process,
            "process_since": sa.case((changed, now), else_=gateways.c.process_since),
            "missing_since": None,
        }
    return statement.on_conflict_do_update(index_elements=[gateways.c.name], set_=values)
