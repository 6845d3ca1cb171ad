"""Where is my money: summary, days, payouts past and expected, and what a UTR paid. A franchisee sees its own data only."""

from datetime import date, datetime, time, timedelta

import sqlalchemy as sa

from chassis.database import UnitOfWork
from chassis.web import Page, PageQuery, Principal, fetch_page, invalid_field
from settlement.domain.franchisee_statement import Figures
from settlement.domain.payout_calendar import PayoutStatus, outlook
from settlement.domain.tax import INDIA, india_day
from settlement.repository import statements
from settlement.tables import allocations, ledger_entries, transfers
from settlement.usecases.see import visible, visible_franchisee
from settlement.views import FranchiseeId
from settlement.views.statements import (
    DAYS_MAX,
    DailyView,
    DaysQuery,
    DayView,
    PaidSessionView,
    PayoutLookup,
    PayoutsView,
    PayoutView,
    SummaryView,
    figures_of,
)

UNDER_WAY = (PayoutStatus.EXPECTED, PayoutStatus.LATE, PayoutStatus.IN_TRANSFER)


async def show_summary(uow: UnitOfWork, franchisee_id: FranchiseeId, query: DaysQuery, principal: Principal) -> SummaryView:
    """`GET /v1/franchisees/{id}/summary`. Raises NoSuchFranchisee."""
    await visible_franchisee(uow, franchisee_id, principal)
    first, last, since, until = _span(query, uow.now)
    earned = await statements.sums(uow.connection, franchisee_id, since=since, until=until)
    paid = await statements.paid_by_day(uow.connection, franchisee_id, since=since, until=until)
    waiting = await _expected(uow, franchisee_id)
    held = [item for item in waiting if item.status in (PayoutStatus.ON_HOLD, PayoutStatus.RETRIED)]
    coming = [item for item in waiting if item.expected_on is not None]
    return SummaryView(
        franchisee_id=franchisee_id,
        first_day=first,
        last_day=last,
        **figures_of(earned),
        paid_paise=sum(paid.values()),
        balance_paise=await statements.balance(uow.connection, franchisee_id, before=uow.now + timedelta(microseconds=1)),
        in_transfer_paise=sum(item.amount_paise for item in waiting if item.status in UNDER_WAY),
        on_hold_paise=sum(item.amount_paise for item in held),
        carried_paise=sum(item.amount_paise for item in waiting if item.status is PayoutStatus.CARRIED),
        on_hold=held,
        next_expected=min(coming, key=lambda item: item.expected_on or date.max, default=None),
    )


async def show_daily(uow: UnitOfWork, franchisee_id: FranchiseeId, query: DaysQuery, principal: Principal) -> DailyView:
    """`GET /v1/franchisees/{id}/daily`. Raises NoSuchFranchisee."""
    await visible_franchisee(uow, franchisee_id, principal)
    first, last, since, until = _span(query, uow.now)
    earned = await statements.sums_by_day(uow.connection, franchisee_id, since=since, until=until)
    paid = await statements.paid_by_day(uow.connection, franchisee_id, since=since, until=until)
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    nothing = Figures()
    return DailyView(days=[DayView(day=day, paid_paise=paid.get(day, 0), **figures_of(earned.get(day, nothing))) for day in days])


async def list_payouts(uow: UnitOfWork, franchisee_id: FranchiseeId, query: PageQuery, principal: Principal) -> PayoutsView:
    """`GET /v1/franchisees/{id}/payouts`: a line per settlement, newest first. Raises NoSuchFranchisee."""
    await visible_franchisee(uow, franchisee_id, principal)
    paid = statements.PAID.c
    grouped = statements.by_settlement().where(paid.franchisee_id == franchisee_id).subquery("payouts")
    # Two settlements may come in the same moment; what was settled without a settlement that we know is one line.
    key = sa.func.coalesce(grouped.c.settlement_id, "", type_=sa.Text).label("key")
    lines = sa.select(grouped, key).subquery("lines")
    page = await fetch_page(uow, sa.select(lines), query, order=(lines.c.paid_at, lines.c.key), view=PayoutView.paid)
    expected = await _expected(uow, franchisee_id) if query.cursor is None else []
    return PayoutsView(items=page.items, next_cursor=page.next_cursor, expected=expected)


async def look_up_payout(uow: UnitOfWork, query: PayoutLookup, principal: Principal) -> Page[PaidSessionView]:
    """`GET /v1/payouts?utr=`: every session behind a line of a bank statement. Nothing, where it is somebody else's."""
    entries, moved, pays = ledger_entries.c, transfers.c, allocations.c
    statement = (
        sa.select(
            moved.utr,
            moved.razorpay_settlement_id.label("settlement_id"),
            moved.franchisee_id,
            moved.id.label("transfer_id"),
            moved.razorpay_transfer_id,
            entries.id.label("ledger_entry_id"),
            entries.transaction_id,
            entries.station_id,
            entries.charge_point_id,
            entries.started_at,
            entries.energy_wh,
            pays.amount_paise,
            moved.settled_at.label("paid_at"),
        )
        .select_from(transfers.join(allocations, pays.transfer_id == moved.id))
        .join(ledger_entries, entries.id == pays.ledger_entry_id)
        .where(moved.utr == query.utr, visible(moved.franchisee_id, principal))
        .subquery("sessions")
    )
    order = (statement.c.transfer_id, statement.c.ledger_entry_id)
    return await fetch_page(
        uow,
        sa.select(statement),
        query,
        order=order,
        view=lambda row: PaidSessionView.model_validate(row._mapping),  # noqa: SLF001
    )


async def _expected(uow: UnitOfWork, franchisee_id: int) -> list[PayoutView]:
    today = india_day(uow.now)
    return [
        PayoutView.expected(outlook(waiting, today=today), sessions=sessions, amount_paise=paise)
        for waiting, sessions, paise in await statements.open_payouts(uow.connection, franchisee_id)
    ]


def _span(query: DaysQuery, now: datetime) -> tuple[date, date, datetime, datetime]:
    """(first day, last day, the first's beginning, the last's end). Raises Problem 422 for a span without end."""
    last = query.last_day or india_day(now)
    first = query.first_day or last.replace(day=1)
    if not 0 <= (last - first).days < DAYS_MAX:
        raise invalid_field("#/query/from", f"`to` is on or after `from`, and within {DAYS_MAX} days")
    return first, last, datetime.combine(first, time(), INDIA), datetime.combine(last + timedelta(days=1), time(), INDIA)
