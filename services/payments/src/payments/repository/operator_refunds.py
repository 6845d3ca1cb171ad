"""What operators decided to give back after the bill."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from payments.repository.rows import columns_of
from payments.tables import operator_refunds

_O = operator_refunds.c


@dataclass(frozen=True, slots=True)
class OperatorRefund:
    """A row of `operator_refunds`."""

    id: int
    qr_payment_id: int | None
    wallet_session_id: int | None
    number: int
    amount_paise: int
    energy_charge_paise: int
    gst_paise: int
    goodwill_paise: int
    energy_charge_before_paise: int
    gst_before_paise: int
    borne_by: str
    reason: str
    decided_by: str
    decided_at: datetime


async def add(connection: AsyncConnection, **values: Any) -> OperatorRefund:
    """Keep a decision."""
    made = insert(operator_refunds).values(**values).returning(operator_refunds)
    return OperatorRefund(**columns_of((await connection.execute(made)).one(), OperatorRefund))


async def of_wallet_sessions(connection: AsyncConnection, session_ids: Sequence[int]) -> dict[int, list[OperatorRefund]]:
    """All that were decided on these sessions of wallets, by session and number."""
    found: dict[int, list[OperatorRefund]] = {session_id: [] for session_id in session_ids}
    query = select(operator_refunds).where(_O.wallet_session_id.in_(session_ids)).order_by(_O.number)
    for row in await connection.execute(query) if found else ():
        found[row.wallet_session_id].append(OperatorRefund(**columns_of(row, OperatorRefund)))
    return found


async def of_payment(connection: AsyncConnection, qr_payment_id: int) -> list[OperatorRefund]:
    """All that were decided on a payment, by number."""
    rows = await connection.execute(select(operator_refunds).where(_O.qr_payment_id == qr_payment_id).order_by(_O.number))
    return [OperatorRefund(**columns_of(row, OperatorRefund)) for row in rows]
