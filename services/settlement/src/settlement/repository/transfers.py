"""Transfers and their allocations: claimed before Razorpay is called, persisted after."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from settlement.domain.transfer import Observed, TransferStatus
from settlement.repository.ledger import Entry
from settlement.repository.ledger import find as find_entry
from settlement.tables import allocations, ledger_entries, transfers

_T = transfers.c


@dataclass(frozen=True, slots=True)
class Transfer:
    """A row of `transfers`."""

    id: int
    key: str
    lead_entry_id: int
    attempt: int
    franchisee_id: int
    amount_paise: int
    body: Mapping[str, Any]
    status: TransferStatus
    razorpay_transfer_id: str | None
    fee_paise: int | None
    tax_paise: int | None
    reversed_paise: int
    razorpay_settlement_id: str | None
    utr: str | None
    calls: int
    last_error: str | None
    paid_twice_status: TransferStatus | None
    traceparent: str | None
    next_attempt_at: datetime | None
    created_at: datetime
    updated_at: datetime
    processed_at: datetime | None
    settled_at: datetime | None


def transfer_from(row: Any) -> Transfer:
    """The transfer of a row."""
    twice = TransferStatus(row.paid_twice_status) if row.paid_twice_status is not None else None
    return Transfer(**{**row._mapping, "status": TransferStatus(row.status), "paid_twice_status": twice})  # noqa: SLF001


async def add(
    connection: AsyncConnection,
    *,
    key: str,
    lead: Entry,
    entries: Sequence[Entry],
    attempt: int,
    amount_paise: int,
    body: Mapping[str, Any],
    now: datetime,
    lapses_at: datetime,
) -> Transfer:
    """A transfer, CLAIMED, with its allocations. The tables refuse a second one that lives for any of its entries."""
    made = (
        insert(transfers)
        .values(
            key=key,
            lead_entry_id=lead.id,
            attempt=attempt,
            franchisee_id=lead.franchisee_id,
            amount_paise=amount_paise,
            body=dict(body),
            status=TransferStatus.CLAIMED.value,
            calls=1,
            traceparent=lead.traceparent,
            next_attempt_at=lapses_at,
            created_at=now,
            updated_at=now,
        )
        .returning(transfers)
    )
    transfer = transfer_from((await connection.execute(made)).one())
    await connection.execute(
        insert(allocations),
        [
            {"transfer_id": transfer.id, "ledger_entry_id": entry.id, "amount_paise": entry.payout_paise, "live": True}
            for entry in entries
        ],
    )
    return transfer


async def find(connection: AsyncConnection, transfer_id: int, *, lock: bool = False) -> Transfer | None:
    """One transfer; `lock` its row until the transaction ends."""
    query = select(transfers).where(_T.id == transfer_id)
    row = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else transfer_from(row)


async def find_observed(connection: AsyncConnection, seen: Observed, *, environment: str) -> Transfer | None:
    """The transfer that Razorpay speaks of, locked: by its id there, else by our key in the notes of our environment.

    The key serves where an event overtakes the answer to our own call.
    """
    by_id = select(transfers).where(_T.razorpay_transfer_id == seen.razorpay_transfer_id).with_for_update()
    row = (await connection.execute(by_id)).one_or_none()
    if row is None and seen.key is not None and seen.environment == environment:
        by_key = select(transfers).where(_T.key == seen.key, _T.razorpay_transfer_id.is_(None)).with_for_update()
        row = (await connection.execute(by_key)).one_or_none()
    return None if row is None else transfer_from(row)


async def claim_due(connection: AsyncConnection, *, now: datetime, lapses_at: datetime) -> Transfer | None:
    """The transfer that has waited longest, as it is, ours until the claim lapses; others pass it over."""
    query = (
        select(transfers).where(_T.next_attempt_at <= now).order_by(_T.next_attempt_at).limit(1).with_for_update(skip_locked=True)
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    await set_values(connection, row.id, next_attempt_at=lapses_at)
    return transfer_from(row)


async def attempts_of(connection: AsyncConnection, lead_entry_id: int) -> list[Transfer]:
    """All transfers that an entry led, oldest first."""
    query = select(transfers).where(_T.lead_entry_id == lead_entry_id).order_by(_T.attempt)
    return [transfer_from(row) for row in await connection.execute(query)]


async def set_values(connection: AsyncConnection, transfer_id: int, **values: Any) -> Transfer:
    """Change columns of one transfer."""
    changed = update(transfers).where(_T.id == transfer_id).values(**values).returning(transfers)
    return transfer_from((await connection.execute(changed)).one())


async def living_of(connection: AsyncConnection, entry_id: int) -> Transfer | None:
    """The living transfer that pays an entry, locked."""
    query = (
        select(transfers)
        .join(allocations, allocations.c.transfer_id == _T.id)
        .where(allocations.c.ledger_entry_id == entry_id, allocations.c.live)
        .with_for_update(of=transfers)
    )
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else transfer_from(row)


async def entries_of(connection: AsyncConnection, transfer_id: int) -> list[Entry]:
    """The entries that a transfer pays, locked, in the order of their ids."""
    query = (
        select(ledger_entries.c.id)
        .join(allocations, allocations.c.ledger_entry_id == ledger_entries.c.id)
        .where(allocations.c.transfer_id == transfer_id)
        .order_by(ledger_entries.c.id)
    )
    found = [await find_entry(connection, entry_id, lock=True) for entry_id in (await connection.execute(query)).scalars().all()]
    return [entry for entry in found if entry is not None]


async def free_entries(connection: AsyncConnection, transfer_id: int) -> None:
    """A failed transfer lets its entries go."""
    await connection.execute(update(allocations).where(allocations.c.transfer_id == transfer_id).values(live=False))


async def take_entries_back(connection: AsyncConnection, transfer: Transfer, entries: Sequence[Entry]) -> bool:
    """A transfer that was taken for failed lives: its entries are its own again; False where another transfer has one."""
    ids = [entry.id for entry in entries]
    taken = select(func.count()).where(
        allocations.c.ledger_entry_id.in_(ids), allocations.c.live, allocations.c.transfer_id != transfer.id
    )
    if (await connection.execute(taken)).scalar_one():
        return False
    await connection.execute(update(allocations).where(allocations.c.transfer_id == transfer.id).values(live=True))
    return True


async def hurry_waiting(connection: AsyncConnection, franchisee_id: int, *, now: datetime) -> None:
    """What waits to be sent again to a franchisee is due now."""
    waiting = update(transfers).where(_T.franchisee_id == franchisee_id, _T.status == TransferStatus.WAITING.value)
    await connection.execute(waiting.values(next_attempt_at=now))
