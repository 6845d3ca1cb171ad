"""What franchisees who collect themselves owe us, and what they paid."""

from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, and_, func, or_, select, true, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from settlement.domain.receivable import AGES_DAYS
from settlement.tables import commission_receipts, franchisees, ledger_entries

_E, _R = ledger_entries.c, commission_receipts.c


def receivables(*, now: datetime, of: ColumnElement[bool] | None = None) -> Select[Any]:
    """A row per franchisee who ever owed or paid: owed, received, open by age. What is paid pays the oldest session first.

    `of`: which franchisees, by `franchisees.id`.
    """
    due = _E.commission_paise + _E.tds_paise
    owed = (
        select(
            _E.franchisee_id,
            _E.created_at,
            due.label("due"),
            func.sum(due).over(partition_by=_E.franchisee_id, order_by=_E.id).label("upto"),
        )
        .where(_E.collected_by_account_id.is_not(None))
        .subquery("owed")
    )
    paid = (
        select(_R.franchisee_id, func.sum(_R.amount_paise).label("paise"))
        .where(_R.withdrawn_at.is_(None))
        .group_by(_R.franchisee_id)
        .subquery("paid")
    )
    received = func.coalesce(paid.c.paise, 0)
    still = and_(owed.c.upto > received)
    part = func.least(owed.c.due, owed.c.upto - received)

    def older(least: int, below: int | None) -> ColumnElement[bool]:
        bounds = [still, owed.c.created_at <= now - timedelta(days=least)]
        return and_(*bounds, owed.c.created_at > now - timedelta(days=below) if below is not None else true())

    def paise(amount: ColumnElement[Any]) -> ColumnElement[int]:
        return func.coalesce(amount, 0).cast(BigInteger)

    lines = (
        select(
            franchisees.c.id,
            paise(func.sum(owed.c.due)).label("owed_paise"),
            paise(func.max(paid.c.paise)).label("received_paise"),
            func.min(owed.c.created_at).filter(still).label("oldest_open_at"),
            *(paise(func.sum(part).filter(older(least, below))).label(name) for name, least, below in AGES_DAYS),
        )
        .select_from(
            franchisees.outerjoin(owed, owed.c.franchisee_id == franchisees.c.id).outerjoin(
                paid, paid.c.franchisee_id == franchisees.c.id
            )
        )
        .where(or_(owed.c.due.is_not(None), paid.c.paise.is_not(None)), of if of is not None else true())
        .group_by(franchisees.c.id)
        .subquery("receivables")
    )
    return select(lines)


async def add_receipt(
    connection: AsyncConnection,
    *,
    franchisee_id: int,
    amount_paise: int,
    bank_reference: str,
    received_on: date,
    entered_by: str,
    now: datetime,
) -> Any | None:
    """The receipt's row; None where one of this franchisee's with that reference stands."""
    made = (
        insert(commission_receipts)
        .values(
            franchisee_id=franchisee_id,
            amount_paise=amount_paise,
            bank_reference=bank_reference,
            received_on=received_on,
            entered_by=entered_by,
            created_at=now,
        )
        .on_conflict_do_nothing()
        .returning(commission_receipts)
    )
    return (await connection.execute(made)).one_or_none()


async def find_receipt(connection: AsyncConnection, receipt_id: int, *, lock: bool = False) -> Any | None:
    """One receipt's row."""
    query = select(commission_receipts).where(_R.id == receipt_id)
    return (await connection.execute(query.with_for_update() if lock else query)).one_or_none()


async def withdraw_receipt(connection: AsyncConnection, receipt_id: int, *, by: str, reason: str, now: datetime) -> Any:
    """It was entered by mistake; the row as it is now."""
    withdrawn = update(commission_receipts).where(_R.id == receipt_id)
    values = {"withdrawn_by": by, "withdrawn_reason": reason, "withdrawn_at": now}
    return (await connection.execute(withdrawn.values(**values).returning(commission_receipts))).one()


async def collectors(connection: AsyncConnection) -> dict[int, str]:
    """{franchisee: linked account} of all who ever collected a session themselves."""
    query = (
        select(_E.franchisee_id, franchisees.c.razorpay_account_id)
        .join(franchisees, franchisees.c.id == _E.franchisee_id)
        .where(_E.collected_by_account_id.is_not(None))
        .distinct()
        .order_by(_E.franchisee_id)
    )
    return {row.franchisee_id: row.razorpay_account_id for row in await connection.execute(query)}


async def collects_itself(connection: AsyncConnection, franchisee_id: int) -> bool:
    """Whether it ever collected a session itself."""
    query = select(_E.id).where(_E.franchisee_id == franchisee_id, _E.collected_by_account_id.is_not(None)).limit(1)
    return (await connection.execute(query)).first() is not None
