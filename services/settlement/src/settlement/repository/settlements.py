"""Settlements: what Razorpay paid to banks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from settlement.domain.settlement_event import SettlementSeen, SettlementStatus
from settlement.tables import settlements

_S = settlements.c


@dataclass(frozen=True, slots=True)
class Settled:
    """What the worker needs of a row of `settlements`."""

    id: int
    razorpay_settlement_id: str
    razorpay_account_id: str | None
    amount_paise: int
    utr: str | None
    listed: Sequence[dict[str, Any]] | None
    calls: int
    traceparent: str | None
    processed_at: datetime
    own_share_paise: int | None


_COLUMNS = [_S[name] for name in Settled.__dataclass_fields__]


async def add(
    connection: AsyncConnection,
    seen: SettlementSeen,
    *,
    razorpay_account_id: str | None,
    processed_at: datetime,
    traceparent: str | None,
    now: datetime,
) -> bool:
    """Record a settlement, due to be looked into; False where it is known."""
    made = (
        insert(settlements)
        .values(
            razorpay_settlement_id=seen.razorpay_settlement_id,
            razorpay_account_id=razorpay_account_id,
            amount_paise=seen.amount_paise,
            fee_paise=seen.fee_paise,
            tax_paise=seen.tax_paise,
            utr=seen.utr,
            status=SettlementStatus.RECEIVED.value,
            listed=list(seen.listed) if seen.listed is not None else None,
            traceparent=traceparent,
            next_attempt_at=now,
            processed_at=processed_at,
            created_at=now,
        )
        .on_conflict_do_nothing()
        .returning(_S.id)
    )
    return (await connection.execute(made)).one_or_none() is not None


async def claim_due(connection: AsyncConnection, *, now: datetime, lapses_at: datetime) -> Settled | None:
    """The settlement that has waited longest, ours until the claim lapses."""
    query = (
        select(*_COLUMNS).where(_S.next_attempt_at <= now).order_by(_S.next_attempt_at).limit(1).with_for_update(skip_locked=True)
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    await set_values(connection, row.id, next_attempt_at=lapses_at, calls=row.calls + 1)
    return Settled(**{**row._mapping, "calls": row.calls + 1})  # noqa: SLF001


async def known(connection: AsyncConnection, razorpay_settlement_ids: Iterable[str]) -> dict[str, Row[Any]]:
    """Those of these that we have, by their ids."""
    query = select(settlements).where(_S.razorpay_settlement_id.in_(list(razorpay_settlement_ids)))
    return {row.razorpay_settlement_id: row for row in await connection.execute(query)}


async def look_again(connection: AsyncConnection, razorpay_settlement_id: str | None, *, now: datetime) -> None:
    """A settlement that was taken for our own has a transfer of ours: its transfers are looked up anew."""
    mistaken = update(settlements).where(
        _S.razorpay_settlement_id == razorpay_settlement_id, _S.status == SettlementStatus.OWN.value
    )
    await connection.execute(mistaken.values(status=SettlementStatus.RECEIVED.value, listed=None, calls=0, next_attempt_at=now))


async def set_values(connection: AsyncConnection, settlement_id: int, **values: Any) -> None:
    """Change columns of one settlement."""
    await connection.execute(update(settlements).where(_S.id == settlement_id).values(**values))
