"""Reversals of transfers: claimed before Razorpay is called, persisted after; and those that somebody made by hand."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from settlement.domain.reversal import OPEN, ReversalStatus
from settlement.tables import reversals, transfers

_R = reversals.c


@dataclass(frozen=True, slots=True)
class Reversal:
    """A row of `reversals`."""

    id: int
    transfer_id: int
    ledger_entry_id: int | None
    amount_paise: int
    by_hand: bool
    status: ReversalStatus
    body: Mapping[str, Any] | None
    razorpay_reversal_id: str | None
    calls: int
    last_error: str | None
    traceparent: str | None
    next_attempt_at: datetime | None
    created_at: datetime
    done_at: datetime | None


def reversal_from(row: Any) -> Reversal:
    """The reversal of a row."""
    return Reversal(**{**row._mapping, "status": ReversalStatus(row.status)})  # noqa: SLF001


async def add(connection: AsyncConnection, **values: Any) -> Reversal:
    """A reversal. The table refuses a second one under way of the same transfer, and a second one of a correction."""
    return reversal_from((await connection.execute(insert(reversals).values(**values).returning(reversals))).one())


async def find(connection: AsyncConnection, reversal_id: int, *, lock: bool = False) -> Reversal | None:
    """One reversal; `lock` its row until the transaction ends."""
    query = select(reversals).where(_R.id == reversal_id)
    row = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else reversal_from(row)


async def claim_due(connection: AsyncConnection, *, now: datetime, lapses_at: datetime) -> Reversal | None:
    """The reversal that has waited longest, as it is, ours until the claim lapses; others pass it over."""
    query = (
        select(reversals).where(_R.next_attempt_at <= now).order_by(_R.next_attempt_at).limit(1).with_for_update(skip_locked=True)
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    await set_values(connection, row.id, next_attempt_at=lapses_at)
    return reversal_from(row)


async def of_transfer(connection: AsyncConnection, transfer_id: int) -> list[Reversal]:
    """All of a transfer, oldest first, locked."""
    query = select(reversals).where(_R.transfer_id == transfer_id).order_by(_R.id).with_for_update()
    return [reversal_from(row) for row in await connection.execute(query)]


def is_open(reversal: Reversal) -> bool:
    """Whether it is under way."""
    return reversal.status in OPEN


async def set_values(connection: AsyncConnection, reversal_id: int, **values: Any) -> Reversal:
    """Change columns of one reversal."""
    changed = update(reversals).where(_R.id == reversal_id).values(**values).returning(reversals)
    return reversal_from((await connection.execute(changed)).one())


def listing() -> Select[Any]:
    """Reversals with their transfer's names."""
    return select(reversals, transfers.c.franchisee_id, transfers.c.razorpay_transfer_id).join(
        transfers, transfers.c.id == _R.transfer_id
    )
