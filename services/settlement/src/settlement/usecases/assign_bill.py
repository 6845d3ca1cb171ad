"""A bill came for an owner whom we don't have: staff see it, and say whose it is. Only then is it booked.

Never by itself when a franchisee of that number is entered: numbers are given here, at the entering, so nobody can have known it
before. Whoever wrote it at the station mistyped, and the money would go to the wrong one.
"""

import sqlalchemy as sa

from chassis.database import UnitOfWork
from chassis.web import Page, Principal, fetch_page, invalid_field
from settlement.domain.errors import BillAssigned, NoSuchUnownedBill
from settlement.domain.session_bill import read_bill
from settlement.repository import franchisees, unowned_bills
from settlement.tables import unowned_bills as table
from settlement.usecases.announce import audit
from settlement.usecases.context import Settlement
from settlement.usecases.record_bill import book
from settlement.usecases.see import get_ledger_entry
from settlement.views import AssignBill, LedgerEntryView, TransactionId, UnownedBillQuery, UnownedBillView


async def list_unowned_bills(uow: UnitOfWork, query: UnownedBillQuery) -> Page[UnownedBillView]:
    """Newest session first; those that wait for a person, unless asked for all."""
    statement = sa.select(table)
    if not query.assigned:
        statement = statement.where(table.c.assigned_at.is_(None))
    return await fetch_page(uow, statement, query, order=(table.c.transaction_id,), view=UnownedBillView.of)


async def assign_unowned_bill(
    app: Settlement, uow: UnitOfWork, transaction_id: TransactionId, body: AssignBill, principal: Principal
) -> LedgerEntryView:
    """Book the bill for this franchisee, by the terms in force when the session began. Raises NoSuchUnownedBill, BillAssigned."""
    kept = await unowned_bills.find(uow.connection, transaction_id, lock=True)
    if kept is None:
        raise NoSuchUnownedBill(transaction_id)
    if kept.assigned_at is not None:
        raise BillAssigned(transaction_id)
    owner = await franchisees.find(uow.connection, body.franchisee_id)
    if owner is None:
        raise invalid_field("#/body/franchisee_id", f"frn_{body.franchisee_id} does not exist")
    collector = kept.bill.get("collected_by_franchisee_id")
    if collector not in (None, body.franchisee_id):
        # Its money is in the collector's account: nobody else can be settled with it.
        raise invalid_field("#/body/franchisee_id", f"frn_{collector} took this payment itself, so only it can have the entry")
    bill = read_bill(kept.bill).model_copy(update={"franchisee_id": body.franchisee_id})
    entry = await book(app, uow, bill, owner=owner, traceparent=kept.traceparent)
    if entry is None:
        raise BillAssigned(transaction_id)
    await unowned_bills.set_values(
        uow.connection, transaction_id, ledger_entry_id=entry.id, assigned_by=principal.subject, assigned_at=uow.now
    )
    audit(
        uow,
        entity="ledger_entry",
        entity_id=f"led_{entry.id}",
        action="assign",
        actor=principal.subject,
        trigger="api",
        before={"franchisee_id": kept.bill["franchisee_id"]},
        after={"franchisee_id": body.franchisee_id},
    )
    return await get_ledger_entry(uow, entry.id, principal)
