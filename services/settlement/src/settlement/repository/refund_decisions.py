"""Refunds after the bill that a session's split has to follow, until its entry is here and is corrected."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import exists, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from settlement.domain.ledger_entry import EntryKind
from settlement.tables import ledger_entries, refund_decisions

_D = refund_decisions.c


@dataclass(frozen=True, slots=True)
class RefundDecision:
    """A row of `refund_decisions`; `decision` is the message as JSON has it."""

    operator_refund_id: int
    transaction_id: int
    decision: dict[str, Any]
    traceparent: str | None


_COLUMNS = [_D[name] for name in RefundDecision.__dataclass_fields__]


async def add(connection: AsyncConnection, **values: Any) -> bool:
    """Keep a decision; False where it is known."""
    made = insert(refund_decisions).values(**values).on_conflict_do_nothing().returning(_D.operator_refund_id)
    return (await connection.execute(made)).one_or_none() is not None


async def open_of(connection: AsyncConnection, transaction_id: int) -> list[RefundDecision]:
    """A session's decisions that its split does not follow yet, locked, in the order in which they were made."""
    query = (
        select(*_COLUMNS)
        .where(_D.transaction_id == transaction_id, _D.ledger_entry_id.is_(None))
        .order_by(_D.operator_refund_id)
        .with_for_update()
    )
    return [RefundDecision(**row._mapping) for row in await connection.execute(query)]  # noqa: SLF001


async def forgotten(connection: AsyncConnection, *, limit: int) -> list[int]:
    """Sessions that have their entry and a decision that it does not follow: bill and decision came at the same moment."""
    here = exists().where(ledger_entries.c.transaction_id == _D.transaction_id, ledger_entries.c.kind == EntryKind.SESSION.value)
    query = (
        select(_D.transaction_id).where(_D.ledger_entry_id.is_(None), here).distinct().order_by(_D.transaction_id).limit(limit)
    )
    return list((await connection.execute(query)).scalars())


async def set_entry(connection: AsyncConnection, operator_refund_id: int, ledger_entry_id: int) -> None:
    """Its correction is booked."""
    await connection.execute(
        update(refund_decisions).where(_D.operator_refund_id == operator_refund_id).values(ledger_entry_id=ledger_entry_id)
    )
