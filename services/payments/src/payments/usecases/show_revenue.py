"""What QR codes brought in: per code, charger, station or day."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from chassis.database import UnitOfWork
from chassis.web import Page, Principal, Role, fetch_page
from payments.repository.revenue import revenue
from payments.tables import qr_payments
from payments.views import RevenueQuery, RevenueView

INDIA = ZoneInfo("Asia/Kolkata")


async def show_revenue(uow: UnitOfWork, query: RevenueQuery, principal: Principal) -> Page[RevenueView]:
    """`GET /v1/qr-codes/revenue`. A franchisee sees what ran on its own sites, and nothing else."""
    statement = revenue(
        query.by,
        paid_from=datetime.combine(query.first_day, time(), INDIA),
        paid_before=datetime.combine(query.last_day + timedelta(days=1), time(), INDIA),
        visible=_visible(query, principal),
    )
    order = (statement.selected_columns["key"],)
    return await fetch_page(uow, statement, query, order=order, view=lambda row: RevenueView.of(query.by, row))


def _visible(query: RevenueQuery, principal: Principal) -> sa.ColumnElement[bool]:
    owner = qr_payments.c.franchisee_id
    asked = sa.true() if query.franchisee_id is None else owner == query.franchisee_id
    if principal.has(Role.ADMIN, Role.OPERATOR, Role.FINANCE):
        return asked
    return sa.and_(owner == principal.franchisee_id, asked) if principal.franchisee_id is not None else sa.false()
