"""A person decides on an entry that waits for one: an implausible session is let go, a failed payout is tried again."""

from chassis.database import UnitOfWork
from chassis.web import Principal
from settlement.domain.errors import NoSuchLedgerEntry, NotHeldForReview, NothingToRetry
from settlement.domain.ledger_entry import CLAIMABLE, EntryStatus, HoldKind
from settlement.repository import ledger
from settlement.usecases.announce import audit
from settlement.usecases.context import Settlement
from settlement.usecases.see import get_ledger_entry
from settlement.views import LedgerEntryId, LedgerEntryView


async def release_ledger_entry(
    app: Settlement, uow: UnitOfWork, ledger_entry_id: LedgerEntryId, principal: Principal
) -> LedgerEntryView:
    """The session was looked at: its payout goes. Raises NoSuchLedgerEntry, NotHeldForReview."""
    entry = await ledger.find(uow.connection, ledger_entry_id, lock=True)
    if entry is None:
        raise NoSuchLedgerEntry(ledger_entry_id)
    if not entry.needs_review or entry.status not in CLAIMABLE:
        raise NotHeldForReview(ledger_entry_id)
    await ledger.set_values(uow.connection, entry.id, released_by=principal.subject, due_at=uow.now)
    _audit(uow, entry.id, "release", principal)
    uow.after_commit(app.payouts.wake)
    return await get_ledger_entry(uow, ledger_entry_id, principal)


async def retry_ledger_entry(
    app: Settlement, uow: UnitOfWork, ledger_entry_id: LedgerEntryId, principal: Principal
) -> LedgerEntryView:
    """One more attempt, now, of a failed payout or of one that our balance did not cover.

    Raises NoSuchLedgerEntry, NothingToRetry.
    """
    entry = await ledger.find(uow.connection, ledger_entry_id, lock=True)
    if entry is None:
        raise NoSuchLedgerEntry(ledger_entry_id)
    awaits_balance = entry.hold_kind is HoldKind.RAZORPAY and entry.due_at is not None
    if entry.status is not EntryStatus.FAILED and not awaits_balance:
        raise NothingToRetry(ledger_entry_id)
    await ledger.set_values(uow.connection, entry.id, due_at=uow.now)
    _audit(uow, entry.id, "retry", principal)
    uow.after_commit(app.payouts.wake)
    return await get_ledger_entry(uow, ledger_entry_id, principal)


def _audit(uow: UnitOfWork, ledger_entry_id: int, action: str, principal: Principal) -> None:
    audit(uow, entity="ledger_entry", entity_id=f"led_{ledger_entry_id}", action=action, actor=principal.subject, trigger="api")
