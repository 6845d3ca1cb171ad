"""Sweep: how much waits, for what, and for how long."""

from datetime import datetime, timedelta

from settlement.domain.ledger_entry import EntryStatus
from settlement.domain.reconcile import ExceptionKind
from settlement.domain.statement import IST
from settlement.repository import ledger, matches, statement, unowned_bills
from settlement.usecases.context import Settlement


async def measure_ledger(app: Settlement) -> None:
    """Set the gauges of what is not settled, and of what nobody owns."""
    async with app.database.reading() as uow:
        rows = await ledger.unsettled(uow.connection)
        unowned = await unowned_bills.count_open(uow.connection)
        owed_paise = await ledger.owed_by_franchisees(uow.connection)
        now = uow.now
    app.metrics.entries.clear()
    app.metrics.entries_paise.clear()
    for row in rows:
        app.metrics.entries.labels(row.status, row.hold_kind or "").set(row.n)
        app.metrics.entries_paise.labels(row.status, row.hold_kind or "").set(int(row.paise))
    app.metrics.unowned_open.set(unowned)
    app.metrics.owed_by_franchisees.set(owed_paise)
    moving = [row.oldest for row in rows if row.status != EntryStatus.ON_HOLD.value]
    app.metrics.oldest_unsettled_seconds.set((now - min(moving)).total_seconds() if moving else 0)


async def measure_statement(app: Settlement) -> None:
    """Set the gauges of what does not agree with Razorpay's statement, and of how far that was read."""
    async with app.database.reading() as uow:
        listed = await matches.count_open(uow.connection)
        last = await statement.last_day_read(uow.connection)
        now = uow.now
    for kind in ExceptionKind:
        app.metrics.exceptions_open.labels(kind.value).set(listed.get(kind.value, 0))
    if last is not None:
        end = datetime.combine(last + timedelta(days=1), datetime.min.time(), IST)
        app.metrics.statement_age_seconds.set(max((now - end).total_seconds(), 0))
