"""What settlement said of franchisees, the newest word of each."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.settlement import DirectCollection, FranchiseeChanged
from payments.repository.rows import columns_of
from payments.tables import franchisees

_F = franchisees.c


@dataclass(frozen=True, slots=True)
class Franchisee:
    """A row of `franchisees`."""

    id: int
    razorpay_account_id: str | None
    direct_collection: DirectCollection
    reason: str | None
    subject_version: int


def _franchisee(row: Any) -> Franchisee:
    return Franchisee(**{**columns_of(row, Franchisee), "direct_collection": DirectCollection(row.direct_collection)})


async def note(connection: AsyncConnection, event: FranchiseeChanged, *, now: datetime) -> bool:
    """Keep settlement's word; False where a newer one was heard before."""
    values = {
        "razorpay_account_id": event.razorpay_account_id,
        "direct_collection": event.direct_collection.value,
        "reason": event.reason,
        "subject_version": event.subject_version,
        "updated_at": now,
    }
    told = insert(franchisees).values(id=event.franchisee_id, **values)
    newer = told.on_conflict_do_update(
        index_elements=[_F.id], set_=values, where=_F.subject_version < told.excluded.subject_version
    ).returning(_F.id)
    return (await connection.execute(newer)).first() is not None


async def find(connection: AsyncConnection, franchisee_id: int, *, hold: bool = False) -> Franchisee | None:
    """One franchisee; `hold`: no newer word of settlement is taken in until the transaction ends."""
    query = select(franchisees).where(_F.id == franchisee_id)
    row = (await connection.execute(query.with_for_update(read=True) if hold else query)).one_or_none()
    return None if row is None else _franchisee(row)


async def find_by_account(connection: AsyncConnection, razorpay_account_id: str) -> Franchisee | None:
    """The franchisee of a linked account; None for our own account, and for one that is nobody's we know."""
    row = (await connection.execute(select(franchisees).where(_F.razorpay_account_id == razorpay_account_id))).one_or_none()
    return None if row is None else _franchisee(row)
