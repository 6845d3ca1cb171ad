"""Razorpay's statement to read: the days that were read, its rows, and what does not agree with it."""

from typing import Any

import sqlalchemy as sa

from chassis.database import UnitOfWork
from chassis.web import Page, PageQuery, Principal, fetch_page
from settlement.domain.books import AdjustmentBooked
from settlement.domain.errors import ExceptionResolved, NoSuchException, NothingToBook
from settlement.domain.reconcile import ExceptionKind
from settlement.repository import matches, statement
from settlement.statement_tables import recon_exceptions, statement_days, statement_rows
from settlement.usecases.announce import audit
from settlement.usecases.context import Settlement
from settlement.usecases.keep_books import restate
from settlement.views.statement import (
    DayView,
    ExceptionId,
    ExceptionQuery,
    ExceptionResolve,
    ExceptionView,
    RowQuery,
    RowView,
)

BOOKABLE = frozenset({ExceptionKind.ADJUSTMENT, ExceptionKind.DISPUTE, ExceptionKind.UNKNOWN_HERE})
"""What Razorpay moved and no record of ours explains."""

ROWS_OF_AN_EXCEPTION_MAX = 50
"""An entity has a row or two; a settlement may have thousands, which the list of rows shows."""


async def list_days(uow: UnitOfWork, query: PageQuery) -> Page[DayView]:
    """`GET /v1/reconciliations/days`: newest first."""
    return await fetch_page(uow, sa.select(statement_days), query, order=(statement_days.c.day,), view=DayView.of)


async def list_rows(uow: UnitOfWork, query: RowQuery) -> Page[RowView]:
    """`GET /v1/reconciliations/rows`: as last told, by when they were kept, newest first."""
    found, rows = statement.LISTING, statement_rows.c
    if query.from_ is not None:
        found = found.where(rows.settled_at >= query.from_)
    if query.to is not None:
        found = found.where(rows.settled_at < query.to)
    if query.razorpay_id is not None:
        found = found.where(rows.entity_id == query.razorpay_id)
    if query.settlement_id is not None:
        found = found.where(rows.settlement_id == query.settlement_id)
    return await fetch_page(uow, found, query, order=(rows.id,), view=RowView.of)


async def list_exceptions(uow: UnitOfWork, query: ExceptionQuery) -> Page[ExceptionView]:
    """`GET /v1/reconciliations/exceptions`: newest first; those that are open, unless asked for the others."""
    columns = recon_exceptions.c
    done = columns.resolved_at.is_not(None) if query.resolved else columns.resolved_at.is_(None)
    found = sa.select(recon_exceptions).where(done)
    if query.kind is not None:
        found = found.where(columns.kind == query.kind.value)
    if query.razorpay_id is not None:
        found = found.where(columns.razorpay_id == query.razorpay_id)
    return await fetch_page(uow, found, query, order=(columns.id,), view=ExceptionView.of)


async def show_exception(uow: UnitOfWork, exception_id: ExceptionId) -> ExceptionView:
    """`GET /v1/reconciliations/exceptions/{id}`, with Razorpay's rows. Raises NoSuchException."""
    found = await uow.connection.execute(sa.select(recon_exceptions).where(recon_exceptions.c.id == exception_id))
    row = found.one_or_none()
    if row is None:
        raise NoSuchException(exception_id)
    rows = statement_rows.c
    about = sa.or_(rows.entity_id == row.razorpay_id, rows.settlement_id == row.razorpay_id)
    shown = await uow.connection.execute(statement.LISTING.where(about).order_by(rows.id).limit(ROWS_OF_AN_EXCEPTION_MAX))
    return ExceptionView.of(row).model_copy(update={"rows": [RowView.of(one) for one in shown]})


async def resolve_exception(
    app: Settlement, uow: UnitOfWork, exception_id: ExceptionId, body: ExceptionResolve, principal: Principal
) -> ExceptionView:
    """`POST /v1/reconciliations/exceptions/{id}/resolve`: it stays so until its figures change.

    Raises NoSuchException, ExceptionResolved, NothingToBook.
    """
    row = await matches.find_exception(uow.connection, exception_id)
    if row is None:
        raise NoSuchException(exception_id)
    if row.resolved_at is not None:
        raise ExceptionResolved(exception_id)
    if body.book:
        await _book(app, uow, row)
    await matches.resolve(uow.connection, exception_id, by=principal.subject, reason=body.reason, now=uow.now)
    audit(
        uow,
        entity="recon_exception",
        entity_id=f"exc_{exception_id}",
        action="resolve",
        actor=principal.subject,
        trigger="api",
        before={"kind": row.kind, "razorpay_id": row.razorpay_id},
        after={"reason": body.reason, "booked": body.book},
    )
    return await show_exception(uow, exception_id)


async def _book(app: Settlement, uow: UnitOfWork, row: Any) -> None:
    """What the statement's rows moved, where no record of ours stands for them. The exception is locked: it is booked once."""
    known = await matches.moves_of(uow.connection, [row.razorpay_id])
    rows = (await statement.rows_of(uow.connection, [row.razorpay_id])).get(row.razorpay_id, [])
    if known or not rows or row.kind not in BOOKABLE:
        raise NothingToBook(row.id)
    net = sum(one.net_paise for one in rows)
    await restate(app, uow, AdjustmentBooked(occurred_at=uow.now, razorpay_id=row.razorpay_id, net_paise=net))
