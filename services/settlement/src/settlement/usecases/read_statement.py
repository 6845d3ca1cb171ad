"""Razorpay's statement is read: once a day over the last days, and on demand. A page at a time: claim, call, persist."""

from datetime import date, timedelta

import structlog

from chassis.database import UnitOfWork
from chassis.web import Page, Principal, fetch_page, invalid_field
from razorpay_client import Permanent, RazorpayError
from settlement.domain.due import backoff_seconds, later
from settlement.domain.errors import NoSuchReading
from settlement.domain.statement import DAYS_MAX, ReadStatus, day_of, days_to_read, read_row
from settlement.repository import matches, statement
from settlement.repository.statement import Reading
from settlement.statement_tables import statement_readings
from settlement.usecases.announce import audit
from settlement.usecases.context import Settlement
from settlement.usecases.judge_statement import judge_due
from settlement.usecases.look_for_missing import look_for_missing
from settlement.views.statement import ReadingAsked, ReadingId, ReadingQuery, ReadingView

log = structlog.get_logger(__name__)

PAGE_ROWS = 500
"""Rows asked for at once, of the 1,000 that Razorpay gives at most: what is held in memory, and written in one transaction."""

PAGE_LEASE_SECONDS = 120
"""How long a page in hand is left alone: longer than a call and its rows take."""


async def schedule_reading(app: Settlement) -> None:
    """Sweep: today's readings, once per day of India's."""
    async with app.database.transaction() as uow:
        today = day_of(uow.now)
        read = set(await statement.days_read(uow.connection, since=date.min))
        for name, (first, last) in days_to_read(today, days_back=app.settings.recon_days_back, read=read).items():
            _, new = await statement.ask_for(
                uow.connection, key=f"{name}/{today}", from_day=first, to_day=last, asked_by="the clock", now=uow.now
            )
            if new:
                uow.after_commit(app.statement.wake)


async def ask_for_reading(app: Settlement, uow: UnitOfWork, body: ReadingAsked, principal: Principal) -> ReadingView:
    """`POST /v1/reconciliations`: read these days now. Reading a day again does no harm: what is kept is passed over."""
    today = day_of(uow.now)
    if body.to > today:
        raise invalid_field("#/body/to", f"Razorpay has no statement of days to come; it is {today} in India")
    if not timedelta() <= body.to - body.from_ < timedelta(days=DAYS_MAX):
        raise invalid_field("#/body/from", f"from is on or before to, and at most {DAYS_MAX} days are read at once")
    key = f"asked/{body.from_}/{body.to}/{uow.now.isoformat()}"
    row, _ = await statement.ask_for(
        uow.connection, key=key, from_day=body.from_, to_day=body.to, asked_by=principal.subject, now=uow.now
    )
    audit(
        uow,
        entity="reconciliation",
        entity_id=f"rec_{row.id}",
        action="ask",
        actor=principal.subject,
        trigger="api",
        after={"from": str(body.from_), "to": str(body.to)},
    )
    uow.after_commit(app.statement.wake)
    return ReadingView.of(row)


async def list_readings(uow: UnitOfWork, query: ReadingQuery) -> Page[ReadingView]:
    """`GET /v1/reconciliations`: newest first."""
    found = statement_readings.select()
    if query.status is not None:
        found = found.where(statement_readings.c.status == query.status.value)
    return await fetch_page(uow, found, query, order=(statement_readings.c.id,), view=ReadingView.of)


async def show_reading(uow: UnitOfWork, reading_id: ReadingId) -> ReadingView:
    """`GET /v1/reconciliations/{id}`. Raises NoSuchReading."""
    found = await uow.connection.execute(statement_readings.select().where(statement_readings.c.id == reading_id))
    row = found.one_or_none()
    if row is None:
        raise NoSuchReading(reading_id)
    return ReadingView.of(row)


async def take_up_statement(app: Settlement) -> bool:
    """Read the next page; where none is due, judge what is. False: nothing is due."""
    return await take_up_page(app) or await judge_due(app)


async def take_up_page(app: Settlement) -> bool:
    """Claim the reading that is due longest and read its next page. False: none is due."""
    async with app.database.transaction() as uow:
        reading = await statement.claim_reading(uow.connection, now=uow.now, lapses_at=later(uow.now, PAGE_LEASE_SECONDS))
    if reading is None:
        return False
    with app.telemetry.span("statement.read", day=str(reading.day), skip=reading.skip):
        try:
            raw = await app.razorpay.statement_page(reading.day, count=PAGE_ROWS, skip=reading.skip)
        except RazorpayError as error:
            await _again(app, reading, error)
            return True
        if await _keep(app, reading, raw):
            await look_for_missing(app)
    return True


async def _keep(app: Settlement, reading: Reading, raw: list[dict[str, object]]) -> bool:
    """Keep a page's rows, and say what is to be judged. True: it was the last page of the last day."""
    rows = [read_row(item) for item in raw]
    last_page = len(raw) < PAGE_ROWS
    done = last_page and reading.day == reading.to_day
    async with app.database.transaction() as uow:
        kept = await statement.keep(uow.connection, rows, reading_id=reading.id, now=uow.now)
        moved = [(row.entity_id, False, row.payment_id if row.payment_id != row.entity_id else None) for row in rows]
        known = await matches.known(uow.connection, [entity_id for entity_id, _, _ in moved])
        changed = {row.entity_id for row in kept.changed}
        await matches.look_at(uow.connection, [one for one in moved if one[0] not in known or one[0] in changed], now=uow.now)
        paid = {row.entity_id for row in rows if row.type == "payment" and row.entity_id not in known}
        if paid:
            # Whose a refund is may stand in its payment's row.
            await matches.hurry(uow.connection, paid, now=uow.now)
        settled = [(row.settlement_id, True, None) for row in rows if row.settlement_id is not None]
        await matches.look_at(uow.connection, settled, now=None)
        values: dict[str, object] = {"skip": reading.skip + len(rows), "next_attempt_at": uow.now}
        if last_page:
            await statement.finish_day(uow.connection, reading.day, rows=reading.skip + len(rows), now=uow.now)
            values |= {"skip": 0, "day": min(reading.day + timedelta(days=1), reading.to_day)}
        if done:
            values |= {"status": ReadStatus.DONE.value, "next_attempt_at": None, "finished_at": uow.now}
            await matches.hurry_open(uow.connection, now=uow.now)
        counts = statement_readings.c
        await statement.set_reading(
            uow.connection,
            reading.id,
            **values,
            calls=0,
            last_error=None,
            rows_read=counts.rows_read + len(rows),
            rows_new=counts.rows_new + kept.new,
            rows_changed=counts.rows_changed + len(kept.changed),
        )
    app.metrics.statement_rows.inc(kept.new)
    app.metrics.statement_rows_changed.inc(len(kept.changed))
    for row in kept.changed:
        log.warning("statement.row_changed", razorpay_id=row.entity_id, type=row.type, reading_id=reading.id)
    if done:
        log.info("statement.read", reading_id=reading.id, from_day=str(reading.from_day), to_day=str(reading.to_day))
    return done


async def _again(app: Settlement, reading: Reading, error: RazorpayError) -> None:
    """A page that did not come is asked for later; one that Razorpay refuses ends the reading, and a person is told."""
    app.metrics.statement_read_failed.inc()
    refused = isinstance(error, Permanent)
    log.warning("statement.not_read", reading_id=reading.id, day=str(reading.day), refused=refused, error=error.description)
    async with app.database.transaction() as uow:
        pause = backoff_seconds(f"statement/{reading.id}", reading.calls)
        await statement.set_reading(
            uow.connection,
            reading.id,
            last_error=error.description,
            status=(ReadStatus.FAILED if refused else ReadStatus.READING).value,
            next_attempt_at=None if refused else later(uow.now, pause),
        )
