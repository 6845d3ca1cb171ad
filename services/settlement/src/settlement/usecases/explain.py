"""Every amount opens its derivation (B9): of a ledger entry, a transfer, a settlement. A franchisee sees its own data only."""

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from chassis.database import UnitOfWork
from chassis.web import Principal
from money import Derivation, TdsBase
from settlement.domain.correction import Correction, SplitFigures
from settlement.domain.errors import NoSuchLedgerEntry
from settlement.domain.explain import (
    EntryFacts,
    SettlementFacts,
    TransferFacts,
    explain_entry,
    explain_settlement,
    explain_transfer,
    owed_words,
    where_it_is,
)
from settlement.domain.explain_correction import explain_correction
from settlement.domain.franchisee import terms_in_force
from settlement.domain.ledger_entry import EntryKind
from settlement.domain.payout_calendar import Open, outlook
from settlement.domain.tax import india_day
from settlement.repository import franchisees
from settlement.tables import ledger_entries, refund_decisions, tax_rules, transfers
from settlement.usecases.see import get_ledger_entry, get_settlement, get_transfer, visible
from settlement.views import LedgerEntryId, SettlementId, TransferId
from settlement.views.explain import ExplanationView


async def explain_ledger_entry(uow: UnitOfWork, ledger_entry_id: LedgerEntryId, principal: Principal) -> ExplanationView:
    """`GET /v1/ledger-entries/{id}/explanation`. Raises NoSuchLedgerEntry."""
    query = (
        sa.select(ledger_entries, tax_rules.c.annual_threshold_paise)
        .outerjoin(tax_rules, tax_rules.c.id == ledger_entries.c.tax_rule_id)
        .where(ledger_entries.c.id == ledger_entry_id, visible(ledger_entries.c.franchisee_id, principal))
    )
    row = (await uow.connection.execute(query)).one_or_none()
    if row is None:
        raise NoSuchLedgerEntry(ledger_entry_id)
    if row.kind != EntryKind.CORRECTION.value:
        terms = terms_in_force(await franchisees.terms_of(uow.connection, row.franchisee_id), row.started_at)
        facts = _entry_facts(row, india_day(terms.effective_from))
        if facts.collected:
            return ExplanationView.of(f"led_{row.id}", explain_entry(facts), owed_words(facts))
        return ExplanationView.of(f"led_{row.id}", explain_entry(facts), await _ending(uow, row, principal))
    return ExplanationView.of(f"led_{row.id}", await _explain_correction(uow, row), await _ending(uow, row, principal))


async def _ending(uow: UnitOfWork, row: Any, principal: Principal) -> str:
    """Where the money of an entry is."""
    entry = await get_ledger_entry(uow, row.id, principal)
    if entry.utr is not None or entry.settlement_id is not None:
        return where_it_is(entry.settlement_id, entry.utr)
    if row.payout_paise == 0:
        return "There is nothing to pay out."
    processed_at = await _processed_at(uow, entry.transfer_id)
    waiting = Open(
        status=entry.status,
        hold_kind=entry.hold_kind,
        hold_reason=entry.hold_reason,
        processed_on=india_day(processed_at) if processed_at is not None else None,
    )
    return outlook(waiting, today=india_day(uow.now)).words


async def _explain_correction(uow: UnitOfWork, row: Any) -> list[Derivation]:
    query = (
        sa.select(ledger_entries, refund_decisions.c.decision)
        .join(refund_decisions, refund_decisions.c.transaction_id == ledger_entries.c.transaction_id)
        .where(ledger_entries.c.id == row.corrects_id, refund_decisions.c.ledger_entry_id == row.id)
    )
    first = (await uow.connection.execute(query)).one()
    parts = ("energy_charge_paise", "gst_paise", "energy_charge_before_paise", "gst_before_paise")
    return explain_correction(
        SplitFigures(**{name: getattr(first, name) for name in SplitFigures.__slots__}),
        Correction(**{name: getattr(row, name) for name in Correction.__slots__}),
        first_entry_id=first.id,
        refund_number=row.refund_number,
        **{part: first.decision[part] for part in parts},
    )


async def explain_route_transfer(uow: UnitOfWork, transfer_id: TransferId, principal: Principal) -> ExplanationView:
    """`GET /v1/transfers/{id}/explanation`. Raises NoSuchTransfer."""
    transfer = await get_transfer(uow, transfer_id, principal)
    lead = await uow.connection.scalar(sa.select(transfers.c.lead_entry_id).where(transfers.c.id == transfer_id))
    facts = TransferFacts(
        amount_paise=transfer.amount_paise,
        entries={part.ledger_entry_id: part.amount_paise for part in transfer.pays},
        lead_entry_id=lead or 0,
        fee_paise=transfer.fee_paise,
        tax_paise=transfer.tax_paise,
    )
    return ExplanationView.of(f"xfr_{transfer_id}", explain_transfer(facts), where_it_is(transfer.settlement_id, transfer.utr))


async def explain_bank_settlement(uow: UnitOfWork, settlement_id: SettlementId, principal: Principal) -> ExplanationView:
    """`GET /v1/settlements/{id}/explanation`. Raises NoSuchSettlement."""
    settlement = await get_settlement(uow, settlement_id, principal)
    facts = SettlementFacts(
        settlement_id=settlement_id,
        amount_paise=settlement.amount_paise,
        transfers=settlement.transfers_count or 0,
        transfers_paise=settlement.transfers_paise or 0,
    )
    reference = f"The bank's reference (UTR) is {settlement.utr}." if settlement.utr else "Razorpay has told no UTR yet."
    return ExplanationView.of(settlement_id, explain_settlement(facts), reference)


async def _processed_at(uow: UnitOfWork, transfer_id: int | None) -> datetime | None:
    if transfer_id is None:
        return None
    return await uow.connection.scalar(sa.select(transfers.c.processed_at).where(transfers.c.id == transfer_id))


def _entry_facts(row: Any, terms_since: date) -> EntryFacts:
    return EntryFacts(
        ledger_entry_id=row.id,
        transaction_id=row.transaction_id,
        qr_payment_id=row.qr_payment_id,
        collected=row.collected_by_account_id is not None,
        gross_paise=row.gross_paise,
        refund_paise=row.refund_paise,
        residue_paise=row.residue_paise,
        pg_fee_paise=row.pg_fee_paise,
        gst_paise=row.gst_paise,
        commission_paise=row.commission_paise,
        tds_paise=row.tds_paise,
        payout_paise=row.payout_paise,
        fee_source=row.fee_source,
        commission_bps=row.commission_bps,
        terms_since=terms_since,
        tds_bps=row.tds_bps,
        tds_base=TdsBase(row.tds_base),
        tds_section=row.tds_section,
        tax_rule_id=row.tax_rule_id,
        annual_threshold_paise=row.annual_threshold_paise,
        year_sales_paise=row.tds_year_sales_paise,
        year_due_paise_bps=row.tds_year_due_paise_bps,
        year_withheld_paise=row.tds_year_withheld_paise,
    )
