"""One credit note per refund that reduced a supply, numbered as invoices are, and never before its session's invoice.

It is due from the operator's decision on, which is when the books and the franchisee's share are reduced: the refund is owed from
then, and is tried until the rider has it (ADR 0020).
"""

from datetime import timedelta

import structlog

from chassis.database import UnitOfWork
from money import MoneyError
from payments.domain.credit_note import CreditNote, make_credit_note, series_of
from payments.domain.errors import PaymentsError
from payments.repository import credit_notes, invoices
from payments.repository.credit_notes import Due
from payments.usecases.context import Payments
from payments.usecases.issue_invoices import NUMBERED_AT_ONCE, WAITS_TOO_LONG, issue_invoices

log = structlog.get_logger(__name__)


async def owe_credit_note(app: Payments, uow: UnitOfWork, operator_refund_id: int) -> None:
    """A refund reduced the supply: its note is due, from this transaction's commit on."""
    await credit_notes.add_due(uow.connection, operator_refund_id, now=uow.now)
    uow.after_commit(app.invoices.wake)


async def issue_documents(app: Payments) -> bool:
    """Number what is due: invoices, then the notes on them. False: nothing is due, or we don't know yet who sells."""
    if app.settings.seller is None:
        return False
    invoiced = await issue_invoices(app)
    return await issue_credit_notes(app) or invoiced


async def issue_credit_notes(app: Payments) -> bool:
    """Number what is due and has its invoice, in the order of the decisions. False: there is none."""
    async with app.database.transaction() as uow:
        due = await credit_notes.take_due(uow.connection, now=uow.now, limit=NUMBERED_AT_ONCE)
        if not due:
            return False
        series, year = series_of(app.settings.invoice_prefix, uow.now)
        last, last_issued_at = await invoices.hold_series(uow.connection, series, year)
        issued_at = max(uow.now, last_issued_at) if last_issued_at is not None else uow.now
        issued: list[CreditNote] = []
        for waits in due:
            serial = last + len(issued) + 1
            try:
                made = make_credit_note(waits.reduced, series=series, year=year, serial=serial, issued_at=issued_at)
            except (MoneyError, PaymentsError, AssertionError) as error:
                await _put_off(app, uow, waits, error)
            else:
                issued.append(made)
        if issued:
            await credit_notes.issue(uow.connection, issued)
            uow.after_commit(lambda: app.metrics.credit_notes.inc(len(issued)))
            log.info("credit_notes.issued", first=issued[0].number, last=issued[-1].number, count=len(issued))
    return True


async def _put_off(app: Payments, uow: UnitOfWork, due: Due, error: Exception) -> None:
    until = uow.now + timedelta(seconds=app.settings.retry_seconds)
    await credit_notes.put_off(uow.connection, due, error=f"{type(error).__name__}: {error}", until=until)
    uow.after_commit(app.metrics.invoice_failed.inc)
    log.error("credit_note.failed", operator_refund_id=due.reduced.operator_refund_id, attempts=due.attempts + 1, exc_info=error)


async def watch_documents(app: Payments) -> None:
    """Say how many bills, and refunds, have waited for too long."""
    async with app.database.reading() as uow:
        since = uow.now - WAITS_TOO_LONG
        bills = await invoices.waiting(uow.connection, since=since)
        app.metrics.invoices_waiting.set(bills + await credit_notes.waiting(uow.connection, since=since))
