"""Razorpay's statement as it was read: readings, days, rows. Rows are added, never changed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Row, case, exists, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_not
from sqlalchemy.ext.asyncio import AsyncConnection

from settlement.domain.reconcile import MatchState, SettlementSums
from settlement.domain.statement import IST, ReadStatus, StatementRow, read_row
from settlement.statement_tables import statement_days, statement_matches, statement_readings, statement_rows

_D, _M, _R, _W = statement_days.c, statement_matches.c, statement_readings.c, statement_rows.c
_NEWER = statement_rows.alias("newer")

IS_LATEST = ~exists().where(
    _NEWER.c.entity_id == _W.entity_id,
    _NEWER.c.type == _W.type,
    _NEWER.c.moved_at == _W.moved_at,
    _NEWER.c.version > _W.version,
)
"""Of a row's versions the last one counts."""

COLUMNS = (
    "entity_id", "type", "moved_at", "debit_paise", "credit_paise", "amount_paise", "fee_paise", "tax_paise", "settlement_id",
    "settled_at", "utr", "payment_id", "order_id", "order_receipt", "dispute_id", "description", "environment", "body", "digest",
)  # fmt: skip
"""What a row's table has of the row itself."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the worker needs of a row of `statement_readings`."""

    id: int
    from_day: date
    to_day: date
    day: date
    skip: int
    calls: int


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of a page: how many of its rows were new, how many came with other contents than before."""

    new: int
    changed: tuple[StatementRow, ...]


async def ask_for(
    connection: AsyncConnection, *, key: str, from_day: date, to_day: date, asked_by: str, now: datetime
) -> tuple[Row[Any], bool]:
    """(the reading of this key, whether it was made now)."""
    made = (
        insert_or_not(statement_readings)
        .values(
            key=key,
            from_day=from_day,
            to_day=to_day,
            day=from_day,
            status=ReadStatus.READING.value,
            asked_by=asked_by,
            next_attempt_at=now,
            created_at=now,
        )
        .on_conflict_do_nothing(index_elements=[_R.key])
        .returning(_R.id)
    )
    new = (await connection.execute(made)).scalar_one_or_none() is not None
    return (await connection.execute(select(statement_readings).where(_R.key == key))).one(), new


async def claim_reading(connection: AsyncConnection, *, now: datetime, lapses_at: datetime) -> Reading | None:
    """The reading that has waited longest, ours until the claim lapses."""
    query = (
        select(*(_R[name] for name in Reading.__dataclass_fields__))
        .where(_R.next_attempt_at <= now)
        .order_by(_R.next_attempt_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    await set_reading(connection, row.id, next_attempt_at=lapses_at, calls=row.calls + 1)
    return Reading(**{**row._mapping, "calls": row.calls + 1})  # noqa: SLF001


async def set_reading(connection: AsyncConnection, reading_id: int, **values: Any) -> None:
    """Change columns of one reading."""
    await connection.execute(update(statement_readings).where(_R.id == reading_id).values(**values))


async def keep(connection: AsyncConnection, rows: Sequence[StatementRow], *, reading_id: int, now: datetime) -> Kept:
    """Keep a page's rows: each once, another version of one beside the first. Two readings at once are told apart by the key."""
    query = select(_W.entity_id, _W.type, _W.moved_at, _W.version, _W.digest).where(
        _W.entity_id.in_({row.entity_id for row in rows}), IS_LATEST
    )
    last = {(found.entity_id, found.type, found.moved_at): found for found in await connection.execute(query)}
    versions = {key: (found.version, found.digest) for key, found in last.items()}
    values, new, changed = [], 0, []
    for row in rows:
        version, digest = versions.get(row.key, (0, None))
        if digest == row.digest:
            continue
        if digest is None:
            new += 1
        else:
            changed.append(row)
        versions[row.key] = version + 1, row.digest
        own = {name: getattr(row, name) for name in COLUMNS}
        values.append({**own, "version": version + 1, "reading_id": reading_id, "read_at": now})
    if values:
        await connection.execute(insert_or_not(statement_rows).on_conflict_do_nothing(), values)
    return Kept(new, tuple(changed))


async def finish_day(connection: AsyncConnection, day: date, *, rows: int, now: datetime) -> None:
    """A day was read to its last page: the settlements of its rows can be judged."""
    read = insert_or_not(statement_days).values(day=day, rows=rows, readings=1, read_at=now)
    again = {"rows": read.excluded.rows, "readings": _D.readings + 1, "read_at": read.excluded.read_at}
    await connection.execute(read.on_conflict_do_update(index_elements=[_D.day], set_=again))
    start = datetime.combine(day, datetime.min.time(), IST)
    settled = select(_W.settlement_id).where(_W.settled_at >= start, _W.settled_at < start + timedelta(days=1))
    await connection.execute(update(statement_matches).where(_M.razorpay_id.in_(settled)).values(next_look_at=now))


async def days_read(connection: AsyncConnection, *, since: date) -> list[date]:
    """Days that were read whole, from one on, in order."""
    return list((await connection.execute(select(_D.day).where(_D.day >= since).order_by(_D.day))).scalars())


async def last_day_read(connection: AsyncConnection) -> date | None:
    """The last day that was read whole."""
    last: date | None = (await connection.execute(select(func.max(_D.day)))).scalar_one()
    return last


async def rows_of(connection: AsyncConnection, entity_ids: Iterable[str]) -> dict[str, list[StatementRow]]:
    """The latest version of every row of these entities, in the order in which they moved."""
    query = select(_W.entity_id, _W.body).where(_W.entity_id.in_(list(entity_ids)), IS_LATEST).order_by(_W.moved_at, _W.id)
    found: dict[str, list[StatementRow]] = {}
    for row in await connection.execute(query):
        found.setdefault(row.entity_id, []).append(read_row(row.body))
    return found


async def settlements_seen(
    connection: AsyncConnection, settlement_ids: Iterable[str]
) -> Mapping[str, tuple[datetime, SettlementSums]]:
    """{settlement: (when it was settled, its rows' sums by whose they are)}."""
    foreign = _M.state == MatchState.FOREIGN.value
    net = _W.credit_paise - _W.debit_paise
    zero = literal(0)
    query = (
        select(
            _W.settlement_id,
            func.max(_W.settled_at).label("settled_at"),
            func.sum(case((foreign, 0), else_=1)).label("ours"),
            func.sum(case((foreign, zero), else_=net)).label("ours_paise"),
            func.sum(case((foreign, 1), else_=0)).label("foreign"),
            func.sum(case((foreign, net), else_=zero)).label("foreign_paise"),
        )
        .join(statement_matches, _M.razorpay_id == _W.entity_id)
        .where(_W.settlement_id.in_(list(settlement_ids)), IS_LATEST)
        .group_by(_W.settlement_id)
    )
    return {
        row.settlement_id: (
            row.settled_at,
            SettlementSums(int(row.ours), int(row.ours_paise), int(row.foreign), int(row.foreign_paise)),
        )
        for row in await connection.execute(query)
    }


async def environments_of_payments(connection: AsyncConnection, payment_ids: Iterable[str]) -> dict[str, str]:
    """{payment: whose it is by its notes}, where the statement has it and they say so."""
    query = select(_W.entity_id, _W.environment).where(
        _W.entity_id.in_(list(payment_ids)), _W.environment.is_not(None), IS_LATEST
    )
    return {row.entity_id: row.environment for row in await connection.execute(query)}


LISTING = (
    select(statement_rows, _M.state, _M.subject).outerjoin(statement_matches, _M.razorpay_id == _W.entity_id).where(IS_LATEST)
)
"""Latest versions of rows, with what they are here."""
