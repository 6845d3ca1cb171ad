"""Nightly: is what is booked what the facts and our own records make it? `voltlync books verify` asks the other services too."""

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
import structlog

from chassis.database import UnitOfWork
from settlement.domain.books import (
    KINDS,
    CommissionReceived,
    DirectEntryBooked,
    EntryBooked,
    EntryCorrected,
    EntryNetted,
    Journal,
    MoneyEvent,
    ReversalApplied,
    TransferClaimed,
    TransferProcessed,
    TransferReversed,
    UnbalancedJournal,
    reversal_of,
)
from settlement.domain.correction import Correction, SplitFigures, correction_of
from settlement.domain.difference import Difference
from settlement.domain.franchisee import terms_in_force
from settlement.domain.ledger_entry import EntryKind, EntryStatus
from settlement.domain.reversal import ReversalStatus
from settlement.domain.tax import divide, withholding_kept, year_kept
from settlement.domain.transfer import MINIMUM_PAISE, TransferStatus
from settlement.repository import books, franchisees, tax
from settlement.repository.books import Booked
from settlement.repository.transfers import Transfer, transfer_from
from settlement.tables import (
    allocations,
    commission_receipts,
    journals,
    ledger_entries,
    postings,
    refund_decisions,
    reversals,
    transfers,
)
from settlement.tables import franchisees as franchisees_table
from settlement.usecases.context import Settlement
from settlement.usecases.keep_wallets import check_wallets

log = structlog.get_logger(__name__)

ROWS_AT_ONCE = 500
"""Rows looked at in one transaction: the check goes through everything, and hinders nobody."""

ON_ITS_WAY = timedelta(hours=1)
"""A payment's events may come in any order, and its bill late: what it owes is judged when it has rested for so long."""


async def check_books(app: Settlement) -> None:
    """Set the gauge of rows that differ, and log each of the first hundred: 0 is what it should say every morning."""
    found = [
        *await _check_journals(app),
        *await _check_entries(app),
        *await _check_corrections(app),
        *await _check_tds_years(app),
        *await _check_transfers(app),
        *await _check_receipts(app),
        *await _check_payments(app),
        *await check_wallets(app),
    ]
    app.metrics.books_differences.set(len(found))
    for difference in found[:100]:
        log.error("books.differ", row=difference.row, words=difference.words)
    log.info("books.checked", differences=len(found))


async def _check_journals(app: Settlement) -> list[Difference]:
    """Every journal is what its facts make it; a reversal what its original makes it."""
    found: list[Difference] = []
    last = 0
    while True:
        async with app.database.reading() as uow:
            page = await books.after(uow.connection, last, limit=ROWS_AT_ONCE)
            for booked in page:
                found += _differences(booked, await _derived(uow, booked))
        if not page:
            return found
        last = page[-1].id


async def _derived(uow: UnitOfWork, booked: Booked) -> Journal | None:
    """The journal anew; None where its facts make none."""
    try:
        if booked.reverses is None:
            return KINDS[booked.kind].of_facts(booked.facts, occurred_at=booked.occurred_at).journal()
        original = await books.find(uow.connection, booked.reverses)
        return None if original is None else reversal_of(original.journal, occurred_at=booked.occurred_at, reason="")
    except (KeyError, TypeError, UnbalancedJournal):
        return None


def _differences(booked: Booked, should: Journal | None) -> list[Difference]:
    is_, derived = Counter(booked.postings), Counter(should.postings if should is not None else ())
    if is_ == derived:
        return []
    odd = next(iter((is_ - derived) or (derived - is_)))
    return [Difference(f"jnl_{booked.id}", f"{booked.key}: {odd} is not what its facts make it")]


async def _not_as(uow: UnitOfWork, wanted: Iterable[tuple[MoneyEvent, bool]]) -> list[Difference]:
    """Of (event, whether its journal should stand): those that are not booked, booked with other facts, or reversed wrongly."""
    events = {event.key: (event, stands) for event, stands in wanted if event.journal() is not None}
    booked_by = await books.find_many(uow.connection, events)
    found = []
    for key, (event, stands) in events.items():
        booked = booked_by.get(key)
        if booked is None:
            found.append(Difference(event.subject, f"journal {key} is missing"))
            continue
        if dict(booked.facts) != event.facts():
            found.append(Difference(f"jnl_{booked.id}", f"{key} is booked with {dict(booked.facts)}, {event.facts()} is true"))
        if (await books.tail_of(uow.connection, booked))[1] is not stands:
            found.append(Difference(f"jnl_{booked.id}", f"{key} is {'reversed' if stands else 'not reversed'}"))
    return found


async def _check_entries(app: Settlement) -> list[Difference]:
    """Every ledger entry is the split that its figures and the terms in force make, and is booked."""
    found: list[Difference] = []
    last = 0
    while True:
        async with app.database.reading() as uow:
            sessions = ledger_entries.c.kind == EntryKind.SESSION.value
            paid = sa.exists().where(allocations.c.ledger_entry_id == ledger_entries.c.id, allocations.c.live)
            query = sa.select(ledger_entries, paid.label("paid"), franchisees_table.c.business_type)
            query = query.join(franchisees_table, franchisees_table.c.id == ledger_entries.c.franchisee_id)
            query = query.where(sessions, ledger_entries.c.id > last)
            query = query.order_by(ledger_entries.c.id).limit(ROWS_AT_ONCE)
            rules = await tax.rules(uow.connection)
            page = (await uow.connection.execute(query)).all()
            terms_of = {
                franchisee_id: await franchisees.terms_of(uow.connection, franchisee_id)
                for franchisee_id in {row.franchisee_id for row in page}
            }
            wanted: list[tuple[MoneyEvent, bool]] = []
            for row in page:
                terms = terms_in_force(terms_of[row.franchisee_id], row.started_at)
                try:
                    split = divide(
                        gross_paise=row.gross_paise,
                        refund_paise=row.refund_paise,
                        residue_paise=row.residue_paise,
                        pg_fee_paise=row.pg_fee_paise,
                        gst_collected_paise=row.gst_paise,
                        commission_bps=terms.commission_bps,
                        by=withholding_kept(
                            terms,
                            rules,
                            tax_rule_id=row.tax_rule_id,
                            section=row.tds_section,
                            business_type=row.business_type,
                            started_at=row.started_at,
                        ),
                        year=year_kept(
                            row.tds_year, row.tds_year_sales_paise, row.tds_year_due_paise_bps, row.tds_year_withheld_paise
                        ),
                    )
                except ValueError as error:
                    found.append(Difference(f"led_{row.id}", str(error)))
                    continue
                shares = (split.commission_paise, split.tds_paise, split.payout_paise)
                if shares != (row.commission_paise, row.tds_paise, row.payout_paise):
                    found.append(Difference(f"led_{row.id}", f"commission, TDS and payout should be {shares} paise"))
                ids = {
                    "ledger_entry_id": row.id,
                    "transaction_id": row.transaction_id,
                    "franchisee_id": row.franchisee_id,
                    "commission_paise": split.commission_paise,
                    "tds_paise": split.tds_paise,
                }
                if row.collected_by_account_id is not None:
                    wanted.append((DirectEntryBooked(occurred_at=row.created_at, **ids), True))
                    continue
                wanted.append((EntryBooked(occurred_at=row.created_at, **ids, payout_paise=split.payout_paise), True))
                if row.status == EntryStatus.SETTLED.value and row.payout_paise and not row.paid:
                    netted = EntryNetted(occurred_at=row.updated_at, ledger_entry_id=row.id, payout_paise=row.payout_paise)
                    wanted.append((netted, True))
            found += await _not_as(uow, wanted)
        if not page:
            return found
        last = page[-1].id


async def _check_corrections(app: Settlement) -> list[Difference]:
    """Every correction is what its refund makes of the session's entry, and is booked."""
    found: list[Difference] = []
    last, session = 0, ledger_entries.alias("session")
    figures = [session.c[name].label(f"session_{name}") for name in SplitFigures.__slots__]
    while True:
        async with app.database.reading() as uow:
            query = (
                sa.select(ledger_entries, refund_decisions.c.decision, *figures)
                .join(session, session.c.id == ledger_entries.c.corrects_id)
                .outerjoin(refund_decisions, refund_decisions.c.ledger_entry_id == ledger_entries.c.id)
                .where(ledger_entries.c.id > last)
                .order_by(ledger_entries.c.id)
                .limit(ROWS_AT_ONCE)
            )
            page = (await uow.connection.execute(query)).all()
            wanted: list[tuple[MoneyEvent, bool]] = []
            for row in page:
                if row.decision is None:
                    found.append(Difference(f"led_{row.id}", "no refund makes this correction"))
                    continue
                entry = SplitFigures(**{name: getattr(row, f"session_{name}") for name in SplitFigures.__slots__})
                parts = ("energy_charge_paise", "gst_paise", "energy_charge_before_paise", "gst_before_paise")
                should = correction_of(entry, **{part: row.decision[part] for part in parts})
                lines = {line: getattr(should, line) for line in Correction.__slots__}
                if any(getattr(row, line) != paise for line, paise in lines.items()):
                    found.append(Difference(f"led_{row.id}", f"its refund makes it {lines}"))
                booked = EntryCorrected(
                    occurred_at=row.created_at,
                    ledger_entry_id=row.id,
                    transaction_id=row.transaction_id,
                    franchisee_id=row.franchisee_id,
                    commission_paise=should.commission_paise,
                    tds_paise=should.tds_paise,
                    payout_paise=should.payout_paise,
                )
                wanted.append((booked, True))
            found += await _not_as(uow, wanted)
        if not page:
            return found
        last = page[-1].id


async def _check_tds_years(app: Settlement) -> list[Difference]:
    """Every financial year that is kept for a threshold is the sum of its entries."""
    found = []
    async with app.database.reading() as uow:
        for franchisee_id, kept in await tax.years(uow.connection):
            summed = await tax.sum_year(uow.connection, franchisee_id, kept.year)
            if summed != kept:
                found.append(Difference(f"frn_{franchisee_id}", f"its TDS year is kept as {kept}, its entries make it {summed}"))
    return found


async def _check_transfers(app: Settlement) -> list[Difference]:
    """Every transfer is the sum of what it pays, and booked as far as it has come."""
    found: list[Difference] = []
    last = 0
    while True:
        async with app.database.reading() as uow:
            query = sa.select(transfers).where(transfers.c.id > last).order_by(transfers.c.id).limit(ROWS_AT_ONCE)
            page = [transfer_from(row) for row in (await uow.connection.execute(query)).all()]
            paid = await _paid_by(uow, [transfer.id for transfer in page])
            taken_back = await _reversals_of(uow, [transfer.id for transfer in page])
            wanted: list[tuple[MoneyEvent, bool]] = []
            for transfer in page:
                amount, carried = paid.get(transfer.id, (0, 0))
                if amount != transfer.amount_paise:
                    words = f"is of {transfer.amount_paise} paise, and pays entries of {amount}"
                    found.append(Difference(f"xfr_{transfer.id}", words))
                status = transfer.paid_twice_status or transfer.status
                facts = {"transfer_id": transfer.id, "amount_paise": transfer.amount_paise}
                at = transfer.created_at
                alive = status is not TransferStatus.FAILED
                wanted.append((TransferClaimed(occurred_at=at, carried_paise=carried, **facts), alive))
                if status in (TransferStatus.PROCESSED, TransferStatus.SETTLED):
                    wanted.append((TransferProcessed(occurred_at=at, **facts), True))
                    found += await _charge_differs(uow, transfer)
                back = taken_back.get(transfer.id, [])
                if sum(row.amount_paise for row in back) != transfer.reversed_paise:
                    words = f"says that {transfer.reversed_paise} paise were taken back; its reversals say otherwise"
                    found.append(Difference(f"xfr_{transfer.id}", words))
                for row in back:
                    told = {"transfer_id": transfer.id, "amount_paise": row.amount_paise}
                    told["razorpay_reversal_id"] = row.razorpay_reversal_id
                    wanted.append((TransferReversed(occurred_at=at, **told), True))
                    if row.ledger_entry_id is not None:
                        wanted.append((ReversalApplied(occurred_at=at, ledger_entry_id=row.ledger_entry_id, **told), True))
                if status is TransferStatus.SETTLED:
                    found += await _banked_differs(uow, transfer)
            found += await _not_as(uow, wanted)
        if not page:
            return found
        last = page[-1].id


async def _charge_differs(uow: UnitOfWork, transfer: Transfer) -> list[Difference]:
    """The charge that stands is the one that Razorpay told last."""
    told = transfer.fee_paise or 0
    subject = f"xfr_{transfer.id}"
    versions = await books.versions_of(uow.connection, subject=subject, key=f"transfer/{transfer.id}/charged")
    standing = [booked for booked in versions if (await books.tail_of(uow.connection, booked))[1]]
    paise = sum(booked.facts["fee_paise"] for booked in standing)
    return [] if paise == told else [Difference(subject, f"its charge is booked with {paise} paise, {told} is true")]


async def _banked_differs(uow: UnitOfWork, transfer: Transfer) -> list[Difference]:
    """What stands as settled to the bank is the transfer less what was taken back of it."""
    banked = transfer.amount_paise - transfer.reversed_paise
    subject, key = f"xfr_{transfer.id}", f"transfer/{transfer.id}/settled"
    versions = await books.versions_of(uow.connection, subject=subject, key=key)
    standing = [booked for booked in versions if (await books.tail_of(uow.connection, booked))[1]]
    paise = sum(booked.facts["amount_paise"] for booked in standing)
    if paise == banked:
        return []
    missing = f"journal {key} is missing" if not versions else f"{paise} paise of it are booked as settled, {banked} is true"
    return [Difference(subject, missing)]


async def _reversals_of(uow: UnitOfWork, ids: list[int]) -> dict[int, list[Any]]:
    """{transfer: its reversals that are done}."""
    done = sa.select(reversals).where(reversals.c.transfer_id.in_(ids), reversals.c.status == ReversalStatus.DONE.value)
    found: dict[int, list[Any]] = {}
    for row in await uow.connection.execute(done.order_by(reversals.c.id)):
        found.setdefault(row.transfer_id, []).append(row)
    return found


async def _paid_by(uow: UnitOfWork, ids: list[int]) -> dict[int, tuple[int, int]]:
    """{transfer: (sum of what it pays, how much of it was carried)}."""
    small = sa.case((allocations.c.amount_paise < MINIMUM_PAISE, allocations.c.amount_paise), else_=0)
    query = (
        sa.select(
            allocations.c.transfer_id, sa.func.sum(allocations.c.amount_paise).label("all"), sa.func.sum(small).label("small")
        )
        .where(allocations.c.transfer_id.in_(ids))
        .group_by(allocations.c.transfer_id)
    )
    return {row.transfer_id: (int(row.all), int(row.small)) for row in await uow.connection.execute(query)}


async def _check_receipts(app: Settlement) -> list[Difference]:
    """Every receipt of commission is booked, and one that was withdrawn is booked no more."""
    found: list[Difference] = []
    last = 0
    while True:
        async with app.database.reading() as uow:
            query = sa.select(commission_receipts).where(commission_receipts.c.id > last).order_by(commission_receipts.c.id)
            page = (await uow.connection.execute(query.limit(ROWS_AT_ONCE))).all()
            found += await _not_as(
                uow,
                (
                    (
                        CommissionReceived(
                            occurred_at=row.created_at,
                            receipt_id=row.id,
                            franchisee_id=row.franchisee_id,
                            amount_paise=row.amount_paise,
                        ),
                        row.withdrawn_at is None,
                    )
                    for row in page
                ),
            )
        if not page:
            return found
        last = page[-1].id


async def _check_payments(app: Settlement) -> list[Difference]:
    """Nothing was returned or billed beyond what was paid: what is held for a payment, and owed on it, is never below nothing.

    Whoever has the money: what franchisees have of riders' is looked at likewise.
    """
    owed = sa.func.sum(postings.c.credit_paise - postings.c.debit_paise)
    async with app.database.reading() as uow:
        rested = sa.func.max(journals.c.posted_at) < uow.now - ON_ITS_WAY
        query = (
            sa.select(journals.c.subject, postings.c.account, owed.label("paise"))
            .join(postings, postings.c.journal_id == journals.c.id)
            .where(postings.c.account.in_(("rider_held", "refund_payable", "direct_riders")))
            .group_by(journals.c.subject, postings.c.account)
            .having(sa.and_(owed < 0, rested))
        )
        rows = (await uow.connection.execute(query)).all()
    return [Difference(row.subject, f"{row.account} is {int(row.paise)} paise: more went than was owed") for row in rows]
