"""Show franchisees, entries, transfers and settlements. A franchisee sees its own data only: another's does not exist for it."""

from typing import Any

import sqlalchemy as sa

from chassis.database import UnitOfWork
from chassis.web import Page, PageQuery, Principal, Role, fetch_page
from settlement.domain.errors import NoSuchFranchisee, NoSuchLedgerEntry, NoSuchSettlement, NoSuchTransfer
from settlement.repository import franchisees
from settlement.repository.franchisees import Franchisee, franchisee_from
from settlement.repository.reversals import listing as reversals_with_transfers
from settlement.tables import allocations, franchisee_terms, ledger_entries, reversals, settlements, transfers
from settlement.tables import franchisees as franchisees_table
from settlement.views import (
    AllocationView,
    BankAccountView,
    FranchiseeId,
    FranchiseeQuery,
    FranchiseeView,
    LedgerEntryId,
    LedgerEntryQuery,
    LedgerEntryView,
    ReversalQuery,
    ReversalView,
    SettlementId,
    SettlementQuery,
    SettlementView,
    TermsView,
    TransferId,
    TransferQuery,
    TransferView,
)


def visible(column: sa.ColumnElement[Any], principal: Principal) -> sa.ColumnElement[bool]:
    """What this caller may see of rows whose owner is in `column`: staff everything, a franchisee its own."""
    if principal.has(Role.ADMIN, Role.OPERATOR, Role.FINANCE):
        return sa.true()
    return column == principal.franchisee_id if principal.franchisee_id is not None else sa.false()


def view_franchisee(franchisee: Franchisee) -> FranchiseeView:
    """A franchisee as the API shows it: of the bank account only the end."""
    number = str(franchisee.bank["account_number"])
    return FranchiseeView(
        id=franchisee.id,
        legal_business_name=franchisee.legal_business_name,
        display_name=franchisee.display_name,
        business_type=franchisee.business_type,
        email=franchisee.email,
        phone=franchisee.phone,
        contact_name=franchisee.contact_name,
        pan=franchisee.pan,
        gstin=franchisee.gstin,
        address=dict(franchisee.address),
        bank=BankAccountView(
            account_number_ends=number[-4:],
            ifsc_code=franchisee.bank["ifsc_code"],
            beneficiary_name=franchisee.bank["beneficiary_name"],
        ),
        status=franchisee.status,
        status_detail=franchisee.status_detail,
        transfers_enabled=franchisee.transfers_enabled,
        funds_on_hold=franchisee.funds_on_hold,
        operator_hold=franchisee.operator_hold,
        gate=franchisee.gate,
        direct_collection=franchisee.direct_collection[0],
        direct_collection_reason=franchisee.direct_collection[1],
        razorpay_account_id=franchisee.razorpay_account_id,
        link_step=franchisee.link_step,
        link_error=franchisee.link_error,
        created_at=franchisee.created_at,
        updated_at=franchisee.updated_at,
    )


async def list_franchisees(uow: UnitOfWork, query: FranchiseeQuery, principal: Principal) -> Page[FranchiseeView]:
    """Newest first."""
    statement = sa.select(franchisees_table).where(visible(franchisees_table.c.id, principal))
    if query.status is not None:
        statement = statement.where(franchisees_table.c.status == query.status.value)
    return await fetch_page(
        uow, statement, query, order=(franchisees_table.c.id,), view=lambda row: view_franchisee(franchisee_from(row))
    )


async def get_franchisee(uow: UnitOfWork, franchisee_id: FranchiseeId, principal: Principal) -> FranchiseeView:
    """Raises NoSuchFranchisee."""
    return view_franchisee(await visible_franchisee(uow, franchisee_id, principal))


async def list_terms(uow: UnitOfWork, franchisee_id: FranchiseeId, query: PageQuery, principal: Principal) -> Page[TermsView]:
    """Newest first. Raises NoSuchFranchisee."""
    await visible_franchisee(uow, franchisee_id, principal)
    statement = sa.select(franchisee_terms).where(franchisee_terms.c.franchisee_id == franchisee_id)
    order = (franchisee_terms.c.effective_from, franchisee_terms.c.id)
    return await fetch_page(uow, statement, query, order=order, view=view_terms)


def view_terms(row: Any) -> TermsView:
    """Terms as the API shows them."""
    return TermsView.model_validate(row._mapping)  # noqa: SLF001


async def visible_franchisee(uow: UnitOfWork, franchisee_id: int, principal: Principal) -> Franchisee:
    """A franchisee that this caller may see. Raises NoSuchFranchisee: another's does not exist for it."""
    own = principal.has(Role.ADMIN, Role.OPERATOR, Role.FINANCE) or principal.franchisee_id == franchisee_id
    franchisee = await franchisees.find(uow.connection, franchisee_id) if own else None
    if franchisee is None:
        raise NoSuchFranchisee(franchisee_id)
    return franchisee


_ENTRIES = (
    sa.select(
        ledger_entries,
        transfers.c.id.label("transfer_id"),
        transfers.c.razorpay_transfer_id,
        sa.case((transfers.c.lead_entry_id == ledger_entries.c.id, transfers.c.fee_paise), else_=0 * transfers.c.fee_paise).label(
            "transfer_fee_paise"
        ),
        transfers.c.razorpay_settlement_id.label("settlement_id"),
        transfers.c.utr,
    )
    .outerjoin(allocations, (allocations.c.ledger_entry_id == ledger_entries.c.id) & allocations.c.live)
    .outerjoin(transfers, transfers.c.id == allocations.c.transfer_id)
)


async def list_ledger_entries(uow: UnitOfWork, query: LedgerEntryQuery, principal: Principal) -> Page[LedgerEntryView]:
    """Newest first."""
    statement = _ENTRIES.where(visible(ledger_entries.c.franchisee_id, principal))
    if query.franchisee_id is not None:
        statement = statement.where(ledger_entries.c.franchisee_id == query.franchisee_id)
    if query.transaction_id is not None:
        statement = statement.where(ledger_entries.c.transaction_id == query.transaction_id)
    if query.status is not None:
        statement = statement.where(ledger_entries.c.status == query.status.value)
    if query.kind is not None:
        statement = statement.where(ledger_entries.c.kind == query.kind.value)
    if query.collected is not None:
        collected = ledger_entries.c.collected_by_account_id
        statement = statement.where(collected.is_not(None) if query.collected else collected.is_(None))
    return await fetch_page(uow, statement, query, order=(ledger_entries.c.id,), view=_view_entry)


async def get_ledger_entry(uow: UnitOfWork, ledger_entry_id: LedgerEntryId, principal: Principal) -> LedgerEntryView:
    """Raises NoSuchLedgerEntry."""
    statement = _ENTRIES.where(ledger_entries.c.id == ledger_entry_id, visible(ledger_entries.c.franchisee_id, principal))
    row = (await uow.connection.execute(statement)).one_or_none()
    if row is None:
        raise NoSuchLedgerEntry(ledger_entry_id)
    return _view_entry(row)


def _view_entry(row: Any) -> LedgerEntryView:
    return LedgerEntryView.model_validate(row._mapping)  # noqa: SLF001


async def list_transfers(uow: UnitOfWork, query: TransferQuery, principal: Principal) -> Page[TransferView]:
    """Newest first, without the entries they pay."""
    statement = sa.select(transfers).where(visible(transfers.c.franchisee_id, principal))
    if query.franchisee_id is not None:
        statement = statement.where(transfers.c.franchisee_id == query.franchisee_id)
    if query.status is not None:
        statement = statement.where(transfers.c.status == query.status.value)
    if query.settlement_id is not None:
        statement = statement.where(transfers.c.razorpay_settlement_id == query.settlement_id)
    return await fetch_page(uow, statement, query, order=(transfers.c.id,), view=_view_transfer)


async def get_transfer(uow: UnitOfWork, transfer_id: TransferId, principal: Principal) -> TransferView:
    """With the entries it pays. Raises NoSuchTransfer."""
    statement = sa.select(transfers).where(transfers.c.id == transfer_id, visible(transfers.c.franchisee_id, principal))
    row = (await uow.connection.execute(statement)).one_or_none()
    if row is None:
        raise NoSuchTransfer(transfer_id)
    paid = (
        sa.select(allocations.c.ledger_entry_id, ledger_entries.c.transaction_id, allocations.c.amount_paise)
        .join(ledger_entries, ledger_entries.c.id == allocations.c.ledger_entry_id)
        .where(allocations.c.transfer_id == transfer_id)
        .order_by(allocations.c.ledger_entry_id)
    )
    pays = [AllocationView.model_validate(found._mapping) for found in await uow.connection.execute(paid)]  # noqa: SLF001
    taken_back = sa.select(reversals).where(reversals.c.transfer_id == transfer_id).order_by(reversals.c.id)
    back = [_view_reversal(found) for found in await uow.connection.execute(taken_back)]
    return _view_transfer(row).model_copy(update={"pays": pays, "reversals": back})


async def list_reversals(uow: UnitOfWork, query: ReversalQuery, principal: Principal) -> Page[ReversalView]:
    """Newest first."""
    statement = reversals_with_transfers().where(visible(transfers.c.franchisee_id, principal))
    if query.unmatched:
        statement = statement.where(reversals.c.by_hand, reversals.c.ledger_entry_id.is_(None))
    return await fetch_page(uow, statement, query, order=(reversals.c.id,), view=_view_reversal)


def _view_reversal(row: Any) -> ReversalView:
    return ReversalView.model_validate(row._mapping)  # noqa: SLF001


def _view_transfer(row: Any) -> TransferView:
    return TransferView.model_validate({**row._mapping, "settlement_id": row.razorpay_settlement_id})  # noqa: SLF001


async def list_settlements(uow: UnitOfWork, query: SettlementQuery, principal: Principal) -> Page[SettlementView]:
    """Newest first."""
    statement = sa.select(settlements).where(visible(settlements.c.franchisee_id, principal))
    if query.franchisee_id is not None:
        statement = statement.where(settlements.c.franchisee_id == query.franchisee_id)
    if query.status is not None:
        statement = statement.where(settlements.c.status == query.status.value)
    if query.utr is not None:
        statement = statement.where(settlements.c.utr == query.utr)
    return await fetch_page(uow, statement, query, order=(settlements.c.id,), view=_view_settlement)


async def get_settlement(uow: UnitOfWork, settlement_id: SettlementId, principal: Principal) -> SettlementView:
    """Raises NoSuchSettlement."""
    statement = sa.select(settlements).where(
        settlements.c.razorpay_settlement_id == settlement_id, visible(settlements.c.franchisee_id, principal)
    )
    row = (await uow.connection.execute(statement)).one_or_none()
    if row is None:
        raise NoSuchSettlement(settlement_id)
    return _view_settlement(row)


def _view_settlement(row: Any) -> SettlementView:
    return SettlementView.model_validate({**row._mapping, "id": row.razorpay_settlement_id})  # noqa: SLF001
