"""What settlement announces of its rows: the one place where an entry changes its status, and the audit record."""

from collections.abc import Mapping
from typing import Any

from chassis.database import UnitOfWork
from contracts.settlement import AuditRecorded, FranchiseeChanged, LedgerEntryChanged
from settlement.domain.ledger_entry import EntryStatus, HoldKind, step
from settlement.repository import franchisees, ledger
from settlement.repository.franchisees import Franchisee
from settlement.repository.ledger import Entry
from settlement.repository.transfers import Transfer


async def change_entry(
    uow: UnitOfWork,
    entry: Entry,
    status: EntryStatus,
    *,
    hold: tuple[HoldKind, str] | None = None,
    transfer: Transfer | None = None,
    **values: Any,
) -> Entry:
    """Step a locked entry and announce it: LedgerEntryChanged. `hold` says what an entry ON_HOLD waits for.

    Where neither status nor hold changes, only `values` are written and nothing is announced. Raises ForbiddenTransition.
    """
    kind, reason = hold if hold is not None else (None, None)
    if status is entry.status and (kind, reason) == (entry.hold_kind, entry.hold_reason):
        return await ledger.set_values(uow.connection, entry.id, **values) if values else entry
    if status is not entry.status:
        step(entry.status, status)
    changed = await ledger.set_values(
        uow.connection,
        entry.id,
        status=status.value,
        hold_kind=kind.value if kind is not None else None,
        hold_reason=reason,
        subject_version=entry.subject_version + 1,
        updated_at=uow.now,
        **values,
    )
    fee = None
    if transfer is not None and transfer.fee_paise is not None:
        # A transfer of several entries has one fee: the leading entry bears it, so that the fees add up to the paisa.
        fee = transfer.fee_paise if entry.id == transfer.lead_entry_id else 0
    uow.publish(
        LedgerEntryChanged(
            ledger_entry_id=entry.id,
            transaction_id=entry.transaction_id,
            franchisee_id=entry.franchisee_id,
            status=status.value,
            hold_reason=reason,
            razorpay_transfer_id=transfer.razorpay_transfer_id if transfer is not None else None,
            razorpay_settlement_id=transfer.razorpay_settlement_id if transfer is not None else None,
            utr=transfer.utr if transfer is not None else None,
            transfer_fee_paise=fee,
            subject_version=changed.subject_version,
            at=uow.now,
        ),
        subject=entry.subject,
        traceparent=entry.traceparent,
    )
    return changed


async def announce_franchisee(uow: UnitOfWork, franchisee: Franchisee, *, before: Franchisee | None = None) -> None:
    """Tell others of a locked franchisee: FranchiseeChanged, where what they know is not so any more."""
    known = None if before is None else (before.razorpay_account_id, *before.direct_collection)
    collection, reason = franchisee.direct_collection
    if franchisee.razorpay_account_id is None or known == (franchisee.razorpay_account_id, collection, reason):
        return
    version = franchisee.subject_version + 1
    await franchisees.set_values(uow.connection, franchisee.id, subject_version=version)
    uow.publish(
        FranchiseeChanged(
            franchisee_id=franchisee.id,
            razorpay_account_id=franchisee.razorpay_account_id,
            direct_collection=collection,
            reason=reason,
            subject_version=version,
            at=uow.now,
        ),
        subject=f"franchisee/{franchisee.id}",
    )


def audit(
    uow: UnitOfWork,
    *,
    entity: str,
    entity_id: str,
    action: str,
    actor: str,
    trigger: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Announce a material change: who did what to which thing, why, before and after."""
    uow.publish(
        AuditRecorded(
            entity=entity,
            entity_id=entity_id,
            action=action,
            actor=actor,
            trigger=trigger,
            before=dict(before) if before is not None else None,
            after=dict(after) if after is not None else None,
            at=uow.now,
        ),
        subject=f"{entity}/{entity_id}",
    )
