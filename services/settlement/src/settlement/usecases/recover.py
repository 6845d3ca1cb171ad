"""A correction takes a payout back: off what has not gone out, out of the linked account, or off the next payouts.

correction due ──the session's payout──> in no transfer, or at the bank:  taken off what goes out next
                                         in a transfer on its way:        looked at again when it has arrived
                                         in the linked account:           a reversal, claim → call → persist

reversal CLAIMED ──POST /v1/transfers/:id/reversals──> DONE     the correction is SETTLED
             │                                         FAILED   (refused, after a look): taken off the next payouts
             │                                         WAITING  (not now): sent again
             └── no answer, process dies ────────────> UNKNOWN  the list of reversals first, then the call again
"""

from typing import Any

import structlog

from chassis.database import UnitOfWork
from contracts.settlement import TransferReversed as ReversalAnnounced
from razorpay_client import OutcomeUnknown, Permanent, RazorpayError, Retryable
from settlement.domain.books import EntryNetted, ReversalApplied, TransferReversed
from settlement.domain.due import backoff_seconds, later
from settlement.domain.ledger_entry import EntryKind, EntryStatus
from settlement.domain.reconcile import Move, MoveKind, Outcome
from settlement.domain.reversal import OPEN, ReversalStatus, SeenReversal, find_ours, request_body
from settlement.domain.transfer import UNSENT, Observed, TransferStatus, waiting_kind
from settlement.repository import franchisees, ledger, reversals, transfers
from settlement.repository.ledger import Entry
from settlement.repository.reversals import Reversal, is_open
from settlement.repository.transfers import Transfer
from settlement.usecases.announce import change_entry
from settlement.usecases.context import Settlement
from settlement.usecases.follow_transfer import follow_transfer
from settlement.usecases.keep_books import book_transfer, post
from settlement.usecases.note_moves import note_move

log = structlog.get_logger(__name__)

ON_THEIR_WAY = UNSENT | {TransferStatus.ACCEPTED}
"""Transfers that have not reached the linked account: nothing can be reversed yet."""


async def recover(app: Settlement, due: Entry) -> None:
    """What is to be done with a due correction."""
    async with app.database.transaction() as uow:
        claimed = await _claim(app, uow, due)
    if claimed is not None:
        await _send(app, *claimed)


async def _claim(app: Settlement, uow: UnitOfWork, due: Entry) -> tuple[Reversal, Transfer] | None:
    """A reversal, CLAIMED with everything frozen; None where the correction is made good otherwise, or waits.

    Locked in the order franchisee, transfer, entry, as everywhere.
    """
    assert due.corrects_id is not None  # noqa: S101  a correction has it
    await franchisees.find(uow.connection, due.franchisee_id, lock=True)
    transfer = await transfers.living_of(uow.connection, due.corrects_id)
    correction = await ledger.lock_claimable(uow.connection, due.id)
    if correction is None:
        return None
    if transfer is None and await _nothing_left(app, uow, correction):
        return None
    owed_paise, waits = -correction.payout_paise, waiting_kind(correction.payout_paise)
    if transfer is None or transfer.status is TransferStatus.SETTLED or owed_paise <= 0:
        await change_entry(uow, correction, EntryStatus.ON_HOLD, hold=waits, due_at=None)
        return None
    if transfer.status in ON_THEIR_WAY:
        await change_entry(uow, correction, EntryStatus.ON_HOLD, hold=waits, due_at=later(uow.now, app.settings.retry_seconds))
        return None
    earlier = await reversals.of_transfer(uow.connection, transfer.id)
    by_hand = next(
        (item for item in earlier if item.by_hand and item.ledger_entry_id is None and item.amount_paise == owed_paise), None
    )
    if by_hand is not None:
        await _apply(app, uow, transfer, by_hand, correction)
        return None
    if (
        any(item.ledger_entry_id == correction.id for item in earlier)
        or transfer.amount_paise - transfer.reversed_paise < owed_paise
    ):
        # Refused before, or there is less in the transfer than is owed: the whole of it goes by the carried balance.
        await change_entry(uow, correction, EntryStatus.ON_HOLD, hold=waits, due_at=None)
        return None
    if any(is_open(item) for item in earlier):
        await change_entry(uow, correction, EntryStatus.ON_HOLD, hold=waits, due_at=later(uow.now, app.settings.retry_seconds))
        return None
    reversal = await reversals.add(
        uow.connection,
        transfer_id=transfer.id,
        ledger_entry_id=correction.id,
        amount_paise=owed_paise,
        by_hand=False,
        status=ReversalStatus.CLAIMED.value,
        body=request_body(amount_paise=owed_paise, key=correction.key, environment=app.settings.environment_mark),
        calls=1,
        traceparent=correction.traceparent,
        next_attempt_at=later(uow.now, app.settings.transfer_lease_seconds),
        created_at=uow.now,
    )
    await change_entry(uow, correction, EntryStatus.TRANSFERRING, due_at=None)
    return reversal, transfer


async def _nothing_left(app: Settlement, uow: UnitOfWork, correction: Entry) -> bool:
    """Whether all of a session was given back before any of it went out: then it is done with, and no transfer is waited for."""
    session = await ledger.session_of(uow.connection, int(correction.corrects_id or 0))
    parts = [part for part in session or [] if part.status is not EntryStatus.SETTLED]
    if not parts or sum(part.payout_paise for part in session or []) != 0:
        return False
    if any(part.status not in (EntryStatus.PENDING, EntryStatus.ON_HOLD) for part in parts):
        return False
    for part in parts:
        await change_entry(uow, part, EntryStatus.SETTLED, due_at=None)
        if part.kind is EntryKind.SESSION:
            await post(app, uow, EntryNetted(occurred_at=uow.now, ledger_entry_id=part.id, payout_paise=part.payout_paise))
    return True


async def take_up_reversal(app: Settlement, reversal: Reversal) -> None:
    """A reversal is due: unknown is resolved by the list, waiting is sent again."""
    async with app.database.reading() as uow:
        transfer = await transfers.find(uow.connection, reversal.transfer_id)
    if transfer is None:
        return
    if reversal.status is not ReversalStatus.WAITING:
        if reversal.status is ReversalStatus.CLAIMED:
            app.metrics.reversal_unknown.inc()
            log.warning("reversal.claim_lapsed", reversal_id=reversal.id, transfer=transfer.key)
        try:
            found = await _found(app, transfer, reversal)
        except RazorpayError as error:
            await _wait(app, reversal, error, status=ReversalStatus.UNKNOWN)
            return
        if found:
            return
    async with app.database.transaction() as uow:
        ours = await reversals.find(uow.connection, reversal.id, lock=True)
        if ours is None or ours.status not in OPEN:
            return
        ours = await reversals.set_values(
            uow.connection,
            ours.id,
            status=ReversalStatus.CLAIMED.value,
            calls=ours.calls + 1,
            next_attempt_at=later(uow.now, app.settings.transfer_lease_seconds),
        )
    await _send(app, ours, transfer)


async def _send(app: Settlement, reversal: Reversal, transfer: Transfer) -> None:
    """The call, and what came of it."""
    try:
        entity = await app.razorpay.reverse_transfer(str(transfer.razorpay_transfer_id), reversal.body or {})
        seen = SeenReversal.from_entity(entity)
        if seen is None:
            raise OutcomeUnknown("an answer without a reversal")
    except Permanent as error:
        await _refused(app, reversal, transfer, error)
        return
    except Retryable as error:
        await _wait(app, reversal, error, status=ReversalStatus.WAITING)
        return
    except OutcomeUnknown as error:
        app.metrics.reversal_unknown.inc()
        await _wait(app, reversal, error, status=ReversalStatus.UNKNOWN)
        return
    async with app.database.transaction() as uow:
        ours = await transfers.find(uow.connection, transfer.id, lock=True)
        row = await reversals.find(uow.connection, reversal.id, lock=True)
        if ours is not None and row is not None:
            await _done(app, uow, ours, row, seen)


async def _refused(app: Settlement, reversal: Reversal, transfer: Transfer, error: Permanent) -> None:
    """A refusal may hide that it exists: look, then call it failed, and take what is owed off the next payouts."""
    try:
        found = await _found(app, transfer, reversal)
    except RazorpayError as unseen:
        await _wait(app, reversal, unseen, status=ReversalStatus.UNKNOWN)
        return
    if found:
        return
    app.metrics.reversal_failed.inc()
    log.warning("reversal.refused", reversal_id=reversal.id, transfer=transfer.key, error=error.description)
    async with app.database.transaction() as uow:
        row = await reversals.find(uow.connection, reversal.id, lock=True)
        if row is None or row.status not in OPEN:
            return
        await reversals.set_values(
            uow.connection, row.id, status=ReversalStatus.FAILED.value, last_error=error.description, next_attempt_at=None
        )
        correction = await ledger.find(uow.connection, int(row.ledger_entry_id or 0), lock=True)
        if correction is not None and correction.status in (EntryStatus.TRANSFERRING, EntryStatus.UNKNOWN):
            hold = waiting_kind(correction.payout_paise)
            await change_entry(uow, correction, EntryStatus.ON_HOLD, hold=hold, due_at=None, last_error=error.description)
        await ledger.hurry_used_up(uow.connection, transfer.franchisee_id, now=uow.now)
        uow.after_commit(app.payouts.wake)


async def _found(app: Settlement, transfer: Transfer, reversal: Reversal) -> bool:
    """Whether Razorpay's list has it by now: then it is done."""
    listed = await app.razorpay.reversals_of(str(transfer.razorpay_transfer_id))
    async with app.database.transaction() as uow:
        ours = await transfers.find(uow.connection, transfer.id, lock=True)
        if ours is not None:
            await record_reversals(app, uow, ours, listed)
        row = await reversals.find(uow.connection, reversal.id)
        return row is not None and row.status not in OPEN


async def _wait(app: Settlement, reversal: Reversal, error: RazorpayError, *, status: ReversalStatus) -> None:
    async with app.database.transaction() as uow:
        row = await reversals.find(uow.connection, reversal.id, lock=True)
        if row is None or row.status not in OPEN:
            return
        log.warning("reversal.waits", reversal_id=row.id, status=status.value, calls=row.calls, error=error.description)
        pause = backoff_seconds(f"reversal/{row.id}", row.calls)
        if status is ReversalStatus.UNKNOWN:
            # Nothing at Razorpay joins a late first call and a second one: so long as the first may arrive, none is sent.
            pause = max(pause, app.settings.transfer_lease_seconds)
        await reversals.set_values(
            uow.connection, row.id, status=status.value, last_error=error.description, next_attempt_at=later(uow.now, pause)
        )
        correction = await ledger.find(uow.connection, int(row.ledger_entry_id or 0), lock=True)
        if correction is not None and status is ReversalStatus.UNKNOWN and correction.status is EntryStatus.TRANSFERRING:
            await change_entry(uow, correction, EntryStatus.UNKNOWN, due_at=None)


async def record_reversals(app: Settlement, uow: UnitOfWork, transfer: Transfer, listed: list[dict[str, object]]) -> Transfer:
    """Take over Razorpay's list of a locked transfer's reversals, newest first: ours that is under way, and any made by hand."""
    kept = await reversals.of_transfer(uow.connection, transfer.id)
    known = {str(item.razorpay_reversal_id) for item in kept if item.razorpay_reversal_id is not None}
    seen = [found for entity in listed if (found := SeenReversal.from_entity(entity)) is not None]
    under_way = next((item for item in kept if is_open(item)), None)
    if under_way is not None:
        key = str((under_way.body or {})["notes"]["key"])
        ours = find_ours(seen, key=key, amount_paise=under_way.amount_paise, known=known)
        if ours is not None:
            known.add(ours.razorpay_reversal_id)
            transfer = await _done(app, uow, transfer, under_way, ours)
    for item in reversed(seen):
        if item.razorpay_reversal_id not in known and item.amount_paise > 0:
            transfer = await _by_hand(app, uow, transfer, item)
    return transfer


async def _by_hand(app: Settlement, uow: UnitOfWork, transfer: Transfer, seen: SeenReversal) -> Transfer:
    """Somebody took money back at Razorpay. It is due again in the books, and a correction of that amount is made good by it."""
    app.metrics.reversed_by_hand.inc()
    log.error(
        "transfer.reversed_by_hand",
        key=transfer.key,
        razorpay_reversal_id=seen.razorpay_reversal_id,
        amount_paise=seen.amount_paise,
    )
    reversal = await reversals.add(
        uow.connection,
        transfer_id=transfer.id,
        amount_paise=seen.amount_paise,
        by_hand=True,
        status=ReversalStatus.DONE.value,
        razorpay_reversal_id=seen.razorpay_reversal_id,
        created_at=uow.now,
        done_at=uow.now,
    )
    transfer = await _book(app, uow, transfer, reversal)
    paid = [entry.id for entry in await transfers.entries_of(uow.connection, transfer.id)]
    for correction in await ledger.open_corrections(uow.connection, paid, payout_paise=-seen.amount_paise):
        return await _apply(app, uow, transfer, reversal, correction)
    return transfer


async def _done(app: Settlement, uow: UnitOfWork, transfer: Transfer, reversal: Reversal, seen: SeenReversal) -> Transfer:
    """Ours went through: once, whoever learns it first."""
    if reversal.status is ReversalStatus.DONE:
        return transfer
    reversal = await reversals.set_values(
        uow.connection,
        reversal.id,
        status=ReversalStatus.DONE.value,
        razorpay_reversal_id=seen.razorpay_reversal_id,
        last_error=None,
        next_attempt_at=None,
        done_at=uow.now,
    )
    transfer = await _book(app, uow, transfer, reversal)
    correction = await ledger.find(uow.connection, int(reversal.ledger_entry_id or 0), lock=True)
    assert correction is not None  # noqa: S101  a foreign key
    return await _apply(app, uow, transfer, reversal, correction)


async def _book(app: Settlement, uow: UnitOfWork, transfer: Transfer, reversal: Reversal) -> Transfer:
    """The money is back with us. Emits TransferReversed."""
    transfer = await transfers.set_values(
        uow.connection, transfer.id, reversed_paise=transfer.reversed_paise + reversal.amount_paise, updated_at=uow.now
    )
    await post(app, uow, TransferReversed(occurred_at=uow.now, **_facts(transfer, reversal)))
    name = str(reversal.razorpay_reversal_id)
    moved = Move(name, MoveKind.REVERSAL, f"xfr_{transfer.id}", reversal.amount_paise, Outcome.DONE)
    await note_move(app, uow, moved, version=0, at=uow.now)
    await book_transfer(app, uow, transfer)
    uow.publish(
        ReversalAnnounced(
            reversal_id=reversal.id,
            transfer_id=transfer.id,
            razorpay_transfer_id=str(transfer.razorpay_transfer_id),
            razorpay_reversal_id=str(reversal.razorpay_reversal_id),
            franchisee_id=transfer.franchisee_id,
            ledger_entry_id=reversal.ledger_entry_id,
            amount_paise=reversal.amount_paise,
            by_hand=reversal.by_hand,
            at=uow.now,
        ),
        subject=f"transfer/{transfer.id}",
        traceparent=reversal.traceparent,
    )
    log.info("transfer.reversed", key=transfer.key, amount_paise=reversal.amount_paise, by_hand=reversal.by_hand)
    return transfer


async def _apply(app: Settlement, uow: UnitOfWork, transfer: Transfer, reversal: Reversal, correction: Entry) -> Transfer:
    """What came back makes a correction good: both are done with."""
    if reversal.ledger_entry_id is None:
        reversal = await reversals.set_values(uow.connection, reversal.id, ledger_entry_id=correction.id)
    applied = ReversalApplied(occurred_at=uow.now, ledger_entry_id=correction.id, **_facts(transfer, reversal))
    await post(app, uow, applied)
    await change_entry(uow, correction, EntryStatus.SETTLED, due_at=None)
    # The franchisee owes less, and the next correction of the same transfer need not wait for this one.
    paid = [entry.id for entry in await transfers.entries_of(uow.connection, transfer.id)]
    await ledger.hurry_corrections(uow.connection, paid, now=uow.now)
    await ledger.hurry_used_up(uow.connection, transfer.franchisee_id, now=uow.now)
    uow.after_commit(app.payouts.wake)
    whole = transfer.reversed_paise == transfer.amount_paise and transfer.status is TransferStatus.PROCESSED
    kept = await reversals.of_transfer(uow.connection, transfer.id)
    if whole and all(item.ledger_entry_id is not None for item in kept):
        # Nothing of it is left for a settlement to take to the bank.
        return await follow_transfer(app, uow, transfer, Observed(str(transfer.razorpay_transfer_id), TransferStatus.SETTLED))
    return transfer


def _facts(transfer: Transfer, reversal: Reversal) -> dict[str, Any]:
    return {
        "transfer_id": transfer.id,
        "razorpay_reversal_id": str(reversal.razorpay_reversal_id),
        "amount_paise": reversal.amount_paise,
    }
