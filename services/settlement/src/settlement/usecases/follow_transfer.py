"""Razorpay spoke of a transfer, in an answer, an event, a scan, a poll or a settlement: take it over, forward only."""

from typing import Any

import structlog

from chassis.database import UnitOfWork
from settlement.domain.due import later
from settlement.domain.ledger_entry import LOW_BALANCE_WORDS, EntryStatus, HoldKind
from settlement.domain.transfer import ENTRY_STATUS, Observed, TransferStatus, advance, waiting_kind
from settlement.repository import ledger, matches, transfers
from settlement.repository.transfers import Transfer
from settlement.usecases.announce import change_entry
from settlement.usecases.context import Settlement
from settlement.usecases.keep_books import book_transfer

log = structlog.get_logger(__name__)

LOW_BALANCE_DOUBLINGS = 4
"""After half an hour, one, two, four, and from then on every eight: each try is a transfer of its own at Razorpay."""


async def follow_transfer(
    app: Settlement, uow: UnitOfWork, transfer: Transfer, seen: Observed, *, utr: str | None = None
) -> Transfer:
    """Bring a locked transfer and its entries to where Razorpay has them. Late and repeated words change nothing.

    Emits LedgerEntryChanged per entry whose status changes.
    """
    if seen.amount_paise not in (None, transfer.amount_paise):
        uow.after_commit(app.metrics.transfer_mismatch.inc)
        log.error("transfer.amount_differs", key=transfer.key, ours_paise=transfer.amount_paise, theirs_paise=seen.amount_paise)
    facts = {
        "razorpay_transfer_id": seen.razorpay_transfer_id,
        "fee_paise": seen.fee_paise,
        "tax_paise": seen.tax_paise,
        "razorpay_settlement_id": seen.razorpay_settlement_id,
        "utr": utr,
    }
    # Facts are added, never taken back: a shorter word (a settlement's list) does not unsay a longer one.
    news = {name: value for name, value in facts.items() if value is not None and value != getattr(transfer, name)}
    if {"fee_paise", "tax_paise"} & news.keys() and await matches.is_matched(uow.connection, seen.razorpay_transfer_id):
        # Razorpay's statement has the last word on what it took: an event or a look that says otherwise does not unsay it.
        news = {name: value for name, value in news.items() if name not in ("fee_paise", "tax_paise")}
    status = advance(transfer.status, seen.status)
    if status is TransferStatus.FAILED and status is not transfer.status:
        error = seen.error or "failed at Razorpay"
        return await fail_transfer(app, uow, transfer, error=error, low_balance=seen.low_balance, **news)
    if transfer.status is TransferStatus.FAILED and status is not TransferStatus.FAILED:
        entries = await transfers.entries_of(uow.connection, transfer.id)
        if not await transfers.take_entries_back(uow.connection, transfer, entries):
            app.metrics.transfer_twice.inc()
            log.error("transfer.lives_beside_another", key=transfer.key, razorpay_transfer_id=seen.razorpay_transfer_id)
            transfer = await _paid_twice(app, uow, transfer, status, news)
            return await _look_at_reversals(app, uow, transfer, seen)
    if status is transfer.status:
        if news:
            transfer = await transfers.set_values(uow.connection, transfer.id, **news)
            await book_transfer(app, uow, transfer)
        return await _look_at_reversals(app, uow, transfer, seen)
    transfer = await transfers.set_values(
        uow.connection,
        transfer.id,
        status=status.value,
        last_error=None,
        updated_at=uow.now,
        **_times(app, uow, transfer, status),
        **news,
    )
    await book_transfer(app, uow, transfer)
    log.info("transfer.moved", key=transfer.key, status=status.value, amount_paise=transfer.amount_paise)
    entries = await transfers.entries_of(uow.connection, transfer.id)
    for entry in entries:
        await change_entry(uow, entry, ENTRY_STATUS[status], transfer=transfer, due_at=None)
    await _look_at_corrections(app, uow, [entry.id for entry in entries])
    return await _look_at_reversals(app, uow, transfer, seen)


async def _look_at_corrections(app: Settlement, uow: UnitOfWork, entry_ids: list[int]) -> None:
    """Corrections of what was on its way can be made good now: out of the linked account, or off what goes out next."""
    if await ledger.hurry_corrections(uow.connection, entry_ids, now=uow.now):
        uow.after_commit(app.payouts.wake)


async def _look_at_reversals(app: Settlement, uow: UnitOfWork, transfer: Transfer, seen: Observed) -> Transfer:
    """More of it was taken back than we know of: the worker asks Razorpay for the list of its reversals."""
    moved = transfer.status is not TransferStatus.FAILED or transfer.paid_twice_status is not None
    if not moved or (seen.reversed_paise or 0) <= transfer.reversed_paise:
        return transfer
    uow.after_commit(app.payouts.wake)
    return await transfers.set_values(uow.connection, transfer.id, next_attempt_at=uow.now)


async def _paid_twice(
    app: Settlement, uow: UnitOfWork, transfer: Transfer, status: TransferStatus, news: dict[str, Any]
) -> Transfer:
    """It stays FAILED, for another pays its entries; but its money went, and the books say so."""
    if status in (TransferStatus.PROCESSED, TransferStatus.SETTLED):
        news |= {"paid_twice_status": status.value, "processed_at": transfer.processed_at or uow.now}
    if status is TransferStatus.SETTLED:
        news["settled_at"] = transfer.settled_at or uow.now
    transfer = await transfers.set_values(uow.connection, transfer.id, last_error="Went through after all: paid twice", **news)
    await book_transfer(app, uow, transfer)
    return transfer


def _times(app: Settlement, uow: UnitOfWork, transfer: Transfer, status: TransferStatus) -> dict[str, Any]:
    """When it is looked at next, and since when it is what it is."""
    if status is TransferStatus.ACCEPTED:
        return {"next_attempt_at": later(uow.now, app.settings.transfer_poll_seconds)}
    processed_at = transfer.processed_at or uow.now
    if status is TransferStatus.PROCESSED:
        return {"next_attempt_at": later(uow.now, app.settings.settlement_poll_seconds), "processed_at": processed_at}
    return {"next_attempt_at": None, "processed_at": processed_at, "settled_at": uow.now}


async def fail_transfer(
    app: Settlement, uow: UnitOfWork, transfer: Transfer, *, error: str, low_balance: bool = False, **facts: Any
) -> Transfer:
    """A locked transfer failed definitively: its entries are free, and its leading one has a try less.

    `low_balance`: ours did not cover it. That is no try: the payout waits, longer each time, until there is money again.
    """
    app.metrics.transfer_failed.inc()
    failed = await transfers.set_values(
        uow.connection,
        transfer.id,
        status=TransferStatus.FAILED.value,
        last_error=error,
        next_attempt_at=None,
        updated_at=uow.now,
        **facts,
    )
    await book_transfer(app, uow, failed)
    log.warning("transfer.failed", key=transfer.key, attempt=transfer.attempt, error=error)
    entries = await transfers.entries_of(uow.connection, transfer.id)
    await transfers.free_entries(uow.connection, transfer.id)
    for entry in entries:
        if entry.id != transfer.lead_entry_id:
            # What was carried along did not fail by itself: it goes with the next.
            await change_entry(uow, entry, EntryStatus.ON_HOLD, hold=waiting_kind(entry.payout_paise), due_at=None)
            continue
        if low_balance:
            pause = app.settings.retry_seconds << min(transfer.attempt - 1, LOW_BALANCE_DOUBLINGS)
            waits, due_at = (HoldKind.RAZORPAY, LOW_BALANCE_WORDS), later(uow.now, pause)
            await change_entry(uow, entry, EntryStatus.ON_HOLD, hold=waits, transfer=failed, last_error=error, due_at=due_at)
            continue
        tries = entry.failed_attempts + 1
        again = tries < app.settings.transfer_retries_max
        if not again:
            app.metrics.transfer_given_up.inc()
            log.error("transfer.given_up", ledger_entry_id=entry.id, transaction_id=entry.transaction_id, attempts=tries)
        await change_entry(
            uow,
            entry,
            EntryStatus.FAILED,
            transfer=failed,
            failed_attempts=tries,
            last_error=error,
            due_at=later(uow.now, app.settings.retry_seconds) if again else None,
        )
    await _look_at_corrections(app, uow, [entry.id for entry in entries])
    return failed
