"""The history of refunds: added and read, never changed."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from payments.domain.refund_history import Step, ToldBy
from payments.repository.rows import columns_of
from payments.tables import refund_steps

_S = refund_steps.c


@dataclass(frozen=True, slots=True)
class StepRow:
    """What was learnt of a refund, when, and from whom."""

    step: str
    told_by: str
    webhook_event_id: int | None
    detail: str | None
    at: datetime


async def add(
    connection: AsyncConnection,
    refund_id: int,
    step: Step,
    *,
    told_by: ToldBy,
    now: datetime,
    detail: str | None = None,
    webhook_event_id: int | None = None,
) -> None:
    """Note one step."""
    await connection.execute(
        insert(refund_steps).values(
            refund_id=refund_id,
            step=step.value,
            told_by=told_by.value,
            webhook_event_id=webhook_event_id,
            detail=detail,
            at=now,
        )
    )


async def of_refund(connection: AsyncConnection, refund_id: int) -> list[StepRow]:
    """All steps of a refund, oldest first."""
    rows = await connection.execute(select(refund_steps).where(_S.refund_id == refund_id).order_by(_S.id))
    return [StepRow(**columns_of(row, StepRow)) for row in rows]
