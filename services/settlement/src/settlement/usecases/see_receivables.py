"""What franchisees who collect themselves owe us. A franchisee sees its own."""

import sqlalchemy as sa

from chassis.database import UnitOfWork
from chassis.web import Page, PageQuery, Principal, fetch_page
from settlement.repository import receivables
from settlement.tables import commission_receipts
from settlement.tables import franchisees as franchisees_table
from settlement.usecases.see import get_franchisee
from settlement.views import CommissionReceiptView, FranchiseeId, ReceivableView


async def list_receivables(uow: UnitOfWork, query: PageQuery) -> Page[ReceivableView]:
    """`GET /v1/receivables`: everybody who ever owed or paid, newest franchisee first."""
    statement = receivables.receivables(now=uow.now)
    return await fetch_page(
        uow, statement, query, order=(statement.selected_columns.id,), view=lambda row: ReceivableView.of(row, now=uow.now)
    )


async def show_receivable(uow: UnitOfWork, franchisee_id: FranchiseeId, principal: Principal) -> ReceivableView:
    """`GET /v1/franchisees/{id}/receivables`. Raises NoSuchFranchisee."""
    await get_franchisee(uow, franchisee_id, principal)
    statement = receivables.receivables(now=uow.now, of=franchisees_table.c.id == franchisee_id)
    row = (await uow.connection.execute(statement)).one_or_none()
    return ReceivableView.nothing(franchisee_id) if row is None else ReceivableView.of(row, now=uow.now)


async def list_commission_receipts(
    uow: UnitOfWork, franchisee_id: FranchiseeId, query: PageQuery, principal: Principal
) -> Page[CommissionReceiptView]:
    """`GET /v1/franchisees/{id}/commission-receipts`, newest first, withdrawn ones among them. Raises NoSuchFranchisee."""
    await get_franchisee(uow, franchisee_id, principal)
    statement = sa.select(commission_receipts).where(commission_receipts.c.franchisee_id == franchisee_id)
    return await fetch_page(uow, statement, query, order=(commission_receipts.c.id,), view=CommissionReceiptView.of)
