"""What operators decided to give back after the bill."""

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
    qr_payment_id: int
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


async def of_payment(connection: AsyncConnection, qr_payment_id: int) -> list[OperatorRefund]:
    """All that were decided on a payment, by number."""
    rows = await connection.execute(select(operator_refunds).where(_O.qr_payment_id == qr_payment_id).order_by(_O.number))
    return [OperatorRefund(**columns_of(row, OperatorRefund)) for row in rows]
