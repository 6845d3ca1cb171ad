"""Bring what franchisees are due to Razorpay: claim → call → persist, one transfer per entry, whatever goes wrong.

    entry due ──claim──> transfer CLAIMED ──POST /v1/transfers──> ACCEPTED | PROCESSED
                                 │                                FAILED    (refused: a new key, after a scan)
                                 │                                WAITING   (not now: the same key again)
                                 └── process dies ─────────────>  UNKNOWN   (scan first, then the same key again)

The claim is committed before the call, with its key, amount and body; no transaction is open during it.
"""

from datetime import datetime, timedelta

import structlog

from chassis.database import UnitOfWork
from razorpay_client import OutcomeUnknown, Permanent, RazorpayError, Retryable
from settlement.domain.due import backoff_seconds, later
from settlement.domain.ledger_entry import (
    BUSY_WORDS,
    IMPLAUSIBLE_WORDS,
    LOW_BALANCE_WORDS,
    EntryKind,
    EntryStatus,
    HoldKind,
)
from settlement.domain.settlement_event import read_settlement
from settlement.domain.transfer import (
    MINIMUM_PAISE,
    UNSENT,
    Observed,
    TransferStatus,
    find_by_key,
    request_body,
    transfer_key,
    waiting_kind,
)
from settlement.repository import franchisees, ledger, reversals, settlements, transfers
from settlement.repository.ledger import Entry
from settlement.repository.transfers import Transfer
from settlement.usecases.announce import change_entry
from settlement.usecases.context import Settlement
from settlement.usecases.follow_transfer import fail_transfer, follow_transfer
from settlement.usecases.keep_books import book_claim
from settlement.usecases.recover import record_reversals, recover, take_up_reversal

log = structlog.get_logger(__name__)

SCAN_MARGIN = timedelta(minutes=5)
"""Razorpay's clock and ours may differ by this much: a scan begins so long before the claim."""

LATE_MARGIN = timedelta(hours=6)
"""And so long after the last word on an attempt its call, or one before it, may still have arrived."""

KEY_TRUSTED = timedelta(hours=12)
"""Razorpay does not say how long it knows a key. So long after the claim its list is read before even what waited is sent again:
one of its calls may have gone through after all, a conflict (409) among them, and its event may have been lost."""


async def take_up_payout(app: Settlement) -> bool:
    """Claim the transfer, reversal or entry that is due longest and do what is to be done with it. False: nothing is due."""
    async with app.database.transaction() as uow:
        lapses_at = later(uow.now, app.settings.transfer_lease_seconds)
        transfer = await transfers.claim_due(uow.connection, now=uow.now, lapses_at=lapses_at)
        reversal = None if transfer is not None else await reversals.claim_due(uow.connection, now=uow.now, lapses_at=lapses_at)
        nothing = transfer is None and reversal is None
        entry = await ledger.claim_due(uow.connection, now=uow.now, lapses_at=lapses_at) if nothing else None
    if transfer is not None:
        with app.telemetry.span("settlement.transfer", traceparent=transfer.traceparent, key=transfer.key):
            await _go_on(app, transfer)
        return True
    if reversal is not None:
        with app.telemetry.span("settlement.reversal", traceparent=reversal.traceparent, reversal_id=reversal.id):
            await take_up_reversal(app, reversal)
        return True
    if entry is not None:
        with app.telemetry.span("settlement.pay_out", traceparent=entry.traceparent, ledger_entry_id=entry.id):
            await (recover(app, entry) if entry.kind is EntryKind.CORRECTION else _begin(app, entry))
        return True
    return False


async def _begin(app: Settlement, entry: Entry) -> None:
    """A new transfer for a due entry, unless something speaks against it."""
    async with app.database.reading() as uow:
        earlier = await transfers.attempts_of(uow.connection, entry.id)
    if earlier:
        # A new key is a new payment: first look whether one of the old keys went through after all.
        try:
            made = await _scan(app, first=earlier[0], last=earlier[-1])
        except RazorpayError as error:
            log.warning("transfer.scan_failed", ledger_entry_id=entry.id, error=error.description)
            return  # the entry's claim lapses, and it is tried again
        for attempt in earlier:
            seen = find_by_key(made, key=attempt.key, environment=app.settings.environment_mark)
            if seen is not None and seen.lives:
                await _persist(app, attempt, seen)
                return
    async with app.database.transaction() as uow:
        transfer = await _claim(app, uow, entry, attempt=len(earlier) + 1)
    if transfer is not None:
        await _send(app, transfer)


async def _claim(app: Settlement, uow: UnitOfWork, due: Entry, *, attempt: int) -> Transfer | None:
    """The transfer of a due entry, CLAIMED with everything frozen; None where the entry waits (ON_HOLD, with its reason)."""
    franchisee = await franchisees.find(uow.connection, due.franchisee_id, lock=True)
    entry = await ledger.lock_claimable(uow.connection, due.id)
    if franchisee is None or entry is None:
        return None
    if entry.needs_review:
        await change_entry(uow, entry, EntryStatus.ON_HOLD, hold=(HoldKind.IMPLAUSIBLE, IMPLAUSIBLE_WORDS), due_at=None)
        return None
    if franchisee.gate is not None or franchisee.razorpay_account_id is None:
        reason = franchisee.gate or "Razorpay has no account for this franchisee yet."
        again_at = later(uow.now, app.settings.retry_seconds)
        await change_entry(uow, entry, EntryStatus.ON_HOLD, hold=(HoldKind.GATED, reason), due_at=again_at)
        return None
    entries = [entry, *await ledger.lock_carried(uow.connection, franchisee_id=franchisee.id, but=entry.id)]
    amount_paise = sum(part.payout_paise for part in entries)
    if amount_paise < MINIMUM_PAISE:
        # Too little by itself, or used up by what corrections take off: it goes with the next, and they with it.
        await change_entry(uow, entry, EntryStatus.ON_HOLD, hold=waiting_kind(entry.payout_paise), due_at=None)
        return None
    key = transfer_key(entry.transaction_id, attempt)
    transfer = await transfers.add(
        uow.connection,
        key=key,
        lead=entry,
        entries=entries,
        attempt=attempt,
        amount_paise=amount_paise,
        body=request_body(
            account=franchisee.razorpay_account_id,
            amount_paise=amount_paise,
            key=key,
            ledger_entry_id=entry.id,
            transaction_id=entry.transaction_id,
            environment=app.settings.environment_mark,
        ),
        now=uow.now,
        lapses_at=later(uow.now, app.settings.transfer_lease_seconds),
    )
    await book_claim(app, uow, transfer, entries)
    for part in entries:
        await change_entry(uow, part, EntryStatus.TRANSFERRING, transfer=transfer, due_at=None)
    return transfer


async def _send(app: Settlement, transfer: Transfer) -> None:
    """The call, and what came of it."""
    try:
        entity = await app.razorpay.create_transfer(key=transfer.key, body=transfer.body)
        seen = _observed(entity)
    except Permanent as error:
        await _refused(app, transfer, error)
        return
    except Retryable as error:
        words = LOW_BALANCE_WORDS if error.low_balance else BUSY_WORDS
        await _wait(app, transfer, hold=(HoldKind.RAZORPAY, words), error=error)
        return
    except OutcomeUnknown as error:
        app.metrics.transfer_unknown.inc()
        await _set_unknown(app, transfer, error)
        return
    await _persist(app, transfer, seen)


async def _refused(app: Settlement, transfer: Transfer, error: Permanent) -> None:
    """A refusal may hide that it exists: look, then call it failed. What was carried along is free for another at once."""
    try:
        made = await _scan(app, first=transfer, last=transfer)
    except RazorpayError as unseen:
        await _set_unknown(app, transfer, unseen)
        return
    seen = find_by_key(made, key=transfer.key, environment=app.settings.environment_mark)
    if seen is not None:
        await _persist(app, transfer, seen)
        return
    async with app.database.transaction() as uow:
        ours = await transfers.find(uow.connection, transfer.id, lock=True)
        if ours is not None and ours.status in UNSENT:
            await fail_transfer(app, uow, ours, error=error.description)


def _observed(entity: dict[str, object]) -> Observed:
    try:
        return Observed.from_entity(entity)
    except KeyError as error:
        raise OutcomeUnknown("an answer without a transfer id") from error


async def _persist(app: Settlement, transfer: Transfer, seen: Observed) -> None:
    async with app.database.transaction() as uow:
        ours = await transfers.find(uow.connection, transfer.id, lock=True)
        if ours is not None:
            await follow_transfer(app, uow, ours, seen)


async def _wait(app: Settlement, transfer: Transfer, *, hold: tuple[HoldKind, str], error: RazorpayError) -> None:
    """It had no effect: the same key and body again later, which counts as no try."""
    async with app.database.transaction() as uow:
        ours = await transfers.find(uow.connection, transfer.id, lock=True)
        if ours is None or ours.status not in UNSENT:
            return
        log.warning("transfer.waits", key=ours.key, calls=ours.calls, error=error.description)
        await transfers.set_values(
            uow.connection,
            ours.id,
            status=TransferStatus.WAITING.value,
            last_error=error.description,
            next_attempt_at=later(uow.now, backoff_seconds(ours.key, ours.calls)),
            updated_at=uow.now,
        )
        for entry in await transfers.entries_of(uow.connection, ours.id):
            await change_entry(uow, entry, EntryStatus.ON_HOLD, hold=hold, transfer=ours)


async def _set_unknown(app: Settlement, transfer: Transfer, error: RazorpayError) -> None:
    async with app.database.transaction() as uow:
        ours = await transfers.find(uow.connection, transfer.id, lock=True)
        if ours is None or ours.status not in UNSENT:
            return
        log.warning("transfer.unknown", key=ours.key, calls=ours.calls, error=error.description)
        await transfers.set_values(
            uow.connection,
            ours.id,
            status=TransferStatus.UNKNOWN.value,
            last_error=error.description,
            next_attempt_at=later(uow.now, backoff_seconds(ours.key, ours.calls)),
            updated_at=uow.now,
        )
        for entry in await transfers.entries_of(uow.connection, ours.id):
            await change_entry(uow, entry, EntryStatus.UNKNOWN, transfer=ours)


async def _go_on(app: Settlement, transfer: Transfer) -> None:
    """A transfer is due: unknown is resolved, waiting is sent again, what Razorpay has is looked up."""
    if transfer.status not in UNSENT:
        await _poll(app, transfer)
        return
    is_old = app.clock.now() - transfer.created_at > KEY_TRUSTED
    if transfer.status is not TransferStatus.WAITING or is_old:
        if transfer.status is TransferStatus.CLAIMED:
            app.metrics.transfer_unknown.inc()
            log.warning("transfer.claim_lapsed", key=transfer.key)
        try:
            made = await _scan(app, first=transfer, last=transfer)
        except RazorpayError as error:
            await _postpone(app, transfer, error)
            return
        seen = find_by_key(made, key=transfer.key, environment=app.settings.environment_mark)
        if seen is not None:
            await _persist(app, transfer, seen)
            return
    # Razorpay does not show it. Should the first call arrive only now, the key makes both one transfer.
    async with app.database.transaction() as uow:
        ready = await _claim_again(app, uow, transfer)
    if ready is not None:
        await _send(app, ready)


async def _claim_again(app: Settlement, uow: UnitOfWork, transfer: Transfer) -> Transfer | None:
    """The same transfer, CLAIMED for another call with the same key and body; None where it has to wait."""
    franchisee = await franchisees.find(uow.connection, transfer.franchisee_id, lock=True)
    ours = await transfers.find(uow.connection, transfer.id, lock=True)
    if franchisee is None or ours is None or ours.status not in UNSENT:
        return None
    entries = await transfers.entries_of(uow.connection, ours.id)
    if franchisee.gate is not None:
        await transfers.set_values(
            uow.connection,
            ours.id,
            status=TransferStatus.WAITING.value,
            next_attempt_at=later(uow.now, app.settings.retry_seconds),
            updated_at=uow.now,
        )
        for entry in entries:
            await change_entry(uow, entry, EntryStatus.ON_HOLD, hold=(HoldKind.GATED, franchisee.gate), transfer=ours)
        return None
    ours = await transfers.set_values(
        uow.connection,
        ours.id,
        status=TransferStatus.CLAIMED.value,
        calls=ours.calls + 1,
        next_attempt_at=later(uow.now, app.settings.transfer_lease_seconds),
        updated_at=uow.now,
    )
    for entry in entries:
        await change_entry(uow, entry, EntryStatus.TRANSFERRING, transfer=ours)
    return ours


async def _scan(app: Settlement, *, first: Transfer, last: Transfer) -> list[Observed]:
    """What Razorpay made while these attempts were. Razorpay finds no transfer by key or notes, so the list is read.

    Nothing is sent without `updated_at`: what was made of an attempt was made about then, and not in the weeks after it.
    """
    since, until = first.created_at - SCAN_MARGIN, last.updated_at + LATE_MARGIN
    found = await app.razorpay.transfers_since(int(since.timestamp()), until=int(until.timestamp()))
    return [Observed.from_entity(entity) for entity in found if "id" in entity]


async def _poll(app: Settlement, transfer: Transfer) -> None:
    """Look a transfer up whose event should have come by now, or of which more was taken back than we know of.

    A settlement found this way is recorded like an announced one.
    """
    if transfer.razorpay_transfer_id is None:
        return
    listed = None
    try:
        seen = _observed(await app.razorpay.fetch_transfer(transfer.razorpay_transfer_id))
        if (seen.reversed_paise or 0) > transfer.reversed_paise:
            listed = await app.razorpay.reversals_of(transfer.razorpay_transfer_id)
        settled_in = seen.razorpay_settlement_id
        entity = None
        if settled_in is not None:
            entity = await app.razorpay.fetch_settlement(settled_in, account=str(transfer.body["account"]))
    except RazorpayError as error:
        await _postpone(app, transfer, error)
        return
    async with app.database.transaction() as uow:
        ours = await transfers.find(uow.connection, transfer.id, lock=True)
        if ours is None:
            return
        followed = await follow_transfer(app, uow, ours, seen, utr=str(entity["utr"]) if entity and entity.get("utr") else None)
        if listed is not None:
            followed = await record_reversals(app, uow, followed, listed)
        await transfers.set_values(uow.connection, ours.id, next_attempt_at=_next_look(app, uow, followed, seen))
        if entity is not None:
            known = not await settlements.add(
                uow.connection,
                read_settlement({"settlement": {"entity": entity}}),
                razorpay_account_id=str(transfer.body["account"]),
                processed_at=uow.now,
                traceparent=transfer.traceparent,
                now=uow.now,
            )
            if known:
                # Its transfers were not found when it was looked into, or this one would be settled by now.
                await settlements.look_again(uow.connection, seen.razorpay_settlement_id, now=uow.now)
            uow.after_commit(app.settlements.wake)


def _next_look(app: Settlement, uow: UnitOfWork, transfer: Transfer, seen: Observed) -> datetime | None:
    """When a transfer is looked up again; None: no more."""
    if transfer.status is TransferStatus.ACCEPTED or (seen.reversed_paise or 0) > transfer.reversed_paise:
        return later(uow.now, app.settings.transfer_poll_seconds)
    if transfer.status is TransferStatus.PROCESSED:
        return later(uow.now, app.settings.settlement_poll_seconds)
    return None


async def _postpone(app: Settlement, transfer: Transfer, error: RazorpayError) -> None:
    """Nothing could be learnt: the same look again later."""
    async with app.database.transaction() as uow:
        ours = await transfers.find(uow.connection, transfer.id, lock=True)
        if ours is None or ours.status is not transfer.status:
            return
        log.warning("transfer.not_looked_up", key=ours.key, status=ours.status.value, error=error.description)
        await transfers.set_values(
            uow.connection,
            ours.id,
            calls=ours.calls + 1,
            last_error=error.description,
            next_attempt_at=later(uow.now, backoff_seconds(ours.key, ours.calls)),
        )
