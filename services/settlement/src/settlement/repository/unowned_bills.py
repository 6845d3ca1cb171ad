"""Bills that name a franchisee whom we don't have, until a person says whose they are."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from settlement.tables import unowned_bills

_B = unowned_bills.c


@dataclass(frozen=True, slots=True)
class UnownedBill:
    """A row of `unowned_bills`; `bill` is the message as JSON has it."""

    transaction_id: int
    bill: dict[str, Any]
    traceparent: str | None
    assigned_at: datetime | None


_COLUMNS = [_B[name] for name in UnownedBill.__dataclass_fields__]


async def add(connection: AsyncConnection, **values: Any) -> bool:
    """Keep a bill; False where the transaction has one."""
    made = insert(unowned_bills).values(**values).on_conflict_do_nothing().returning(_B.transaction_id)
    return (await connection.execute(made)).one_or_none() is not None


async def find(connection: AsyncConnection, transaction_id: int, *, lock: bool = False) -> UnownedBill | None:
    """The bill of a transaction; `lock` its row until the transaction ends."""
    query = select(*_COLUMNS).where(_B.transaction_id == transaction_id)
    row = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else UnownedBill(**row._mapping)  # noqa: SLF001


async def set_values(connection: AsyncConnection, transaction_id: int, **values: Any) -> None:
    """Change columns of one."""
    await connection.execute(update(unowned_bills).where(_B.transaction_id == transaction_id).values(**values))


async def count_open(connection: AsyncConnection) -> int:
    """How many wait for a person."""
    return await connection.scalar(select(func.count()).where(_B.assigned_at.is_(None))) or 0
