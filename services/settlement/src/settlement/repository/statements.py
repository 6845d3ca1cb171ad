"""What a franchisee earned and was paid, by when it was booked: sums by one query each, rows in pages.

`BOOKED` and `PAID` are the only places that say which tables count. Whatever else moves a franchisee's balance is one more SELECT
in one of them, with its amounts signed.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Date, Row, Select, case, cast, func, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from settlement.domain.franchisee_statement import FIGURES, Figures, Payment, RowKind
from settlement.domain.franchisee_statement import Row as StatementRow
from settlement.domain.ledger_entry import EntryKind, EntryStatus, HoldKind
from settlement.domain.payout_calendar import Open
from settlement.tables import allocations, ledger_entries, transfers

ROWS_AT_ONCE = 2000
"""Rows of a statement in memory at a time."""

_E, _T, _A = ledger_entries.c, transfers.c, allocations.c
BOOKED = union_all(
    select(
        _E.kind,
        _E.id,
        _E.franchisee_id,
        _E.created_at.label("booked_at"),
        _E.transaction_id,
        _E.station_id,
        _E.charge_point_id,
        _E.connector_id,
        _E.started_at,
        _E.stopped_at,
        _E.tds_section,
        _E.tds_bps,
        case((_E.kind == EntryKind.SESSION.value, 1), else_=0).label("sessions"),
        _E.energy_wh,
        _E.gross_paise,
        _E.refund_paise,
        _E.residue_paise,
        _E.pg_fee_paise,
        _E.gst_paise,
        _E.commission_paise,
        _E.tds_paise,
        _E.payout_paise,
    ).where(_E.collected_by_account_id.is_(None))
).subquery("booked")
"""Whatever was earned, or taken back with the sign turned. What a franchisee collected itself it has already."""

PAID = union_all(
    select(
        _T.id,
        _T.franchisee_id,
        _T.settled_at.label("paid_at"),
        _T.razorpay_settlement_id,
        _T.utr,
        (_T.amount_paise - _T.reversed_paise).label("amount_paise"),
    ).where(_T.settled_at.is_not(None))
).subquery("paid")
"""Whatever reached the bank, less what was taken back.

A transfer that was replaced and went through all the same is in it: it was paid."""

_B, _P = BOOKED.c, PAID.c


def day_of(at: ColumnElement[datetime]) -> ColumnElement[date]:
    """The day in India."""
    return cast(func.timezone("Asia/Kolkata", at), Date)


def total(amount: ColumnElement[Any]) -> ColumnElement[int]:
    """Of nothing it is 0; PostgreSQL's sum of bigints is numeric, and no amount of ours needs that."""
    return func.coalesce(func.sum(amount), 0).cast(BigInteger)


def _figures(row: Row[Any]) -> Figures:
    return Figures(**{name: getattr(row, name) for name in FIGURES})


def _sums() -> list[ColumnElement[int]]:
    return [total(_B[name]).label(name) for name in FIGURES]


async def balance(connection: AsyncConnection, franchisee_id: int, *, before: datetime) -> int:
    """What the franchisee was owed at a time: everything earned less everything paid, in paise."""
    earned = select(total(_B.payout_paise)).where(_B.franchisee_id == franchisee_id, _B.booked_at < before)
    paid = select(total(_P.amount_paise)).where(_P.franchisee_id == franchisee_id, _P.paid_at < before)
    return int(await connection.scalar(select(earned.scalar_subquery() - paid.scalar_subquery())) or 0)


async def sums(connection: AsyncConnection, franchisee_id: int, *, since: datetime, until: datetime) -> Figures:
    """Everything booked in a time."""
    query = select(*_sums()).where(_B.franchisee_id == franchisee_id, _B.booked_at >= since, _B.booked_at < until)
    return _figures((await connection.execute(query)).one())


async def sums_by_day(
    connection: AsyncConnection, franchisee_id: int, *, since: datetime, until: datetime
) -> dict[date, Figures]:
    """Everything booked in a time, by day in India; days of nothing are left out."""
    day = day_of(_B.booked_at).label("day")
    query = (
        select(day, *_sums())
        .where(_B.franchisee_id == franchisee_id, _B.booked_at >= since, _B.booked_at < until)
        .group_by(day)
        .order_by(day)
    )
    return {row.day: _figures(row) for row in await connection.execute(query)}


async def paid_by_day(connection: AsyncConnection, franchisee_id: int, *, since: datetime, until: datetime) -> dict[date, int]:
    """What reached the bank in a time, by day in India."""
    day = day_of(_P.paid_at).label("day")
    query = (
        select(day, total(_P.amount_paise).label("paise"))
        .where(_P.franchisee_id == franchisee_id, _P.paid_at >= since, _P.paid_at < until)
        .group_by(day)
    )
    return {row.day: row.paise for row in await connection.execute(query)}


async def sums_by_place(
    connection: AsyncConnection, franchisee_id: int, *, since: datetime, until: datetime
) -> list[StatementRow]:
    """Everything booked in a time, a row per kind, day in India, charger and tax: what a statement's fold takes."""
    day = day_of(_B.booked_at).label("day")
    keys = (_B.kind, day, _B.station_id, _B.charge_point_id, _B.tds_section, _B.tds_bps)
    query = (
        select(*keys, func.min(_B.booked_at).label("booked_at"), *_sums())
        .where(_B.franchisee_id == franchisee_id, _B.booked_at >= since, _B.booked_at < until)
        .group_by(*keys)
        .order_by(*keys)
    )
    return [
        StatementRow(
            kind=RowKind(row.kind),
            reference=str(row.day),
            booked_at=row.booked_at,
            transaction_id=None,
            station_id=row.station_id,
            charge_point_id=row.charge_point_id,
            connector_id=None,
            started_at=None,
            stopped_at=None,
            tds_section=row.tds_section,
            tds_bps=row.tds_bps,
            figures=_figures(row),
        )
        for row in await connection.execute(query)
    ]


async def rows(
    connection: AsyncConnection, franchisee_id: int, *, since: datetime, until: datetime, limit: int | None
) -> AsyncIterator[list[StatementRow]]:
    """Everything booked in a time, in order, in lists of ROWS_AT_ONCE: one query, read from the server as it is used."""
    query = (
        select(BOOKED)
        .where(_B.franchisee_id == franchisee_id, _B.booked_at >= since, _B.booked_at < until)
        .order_by(_B.booked_at, _B.id)
        .limit(limit)
        .execution_options(yield_per=ROWS_AT_ONCE)
    )
    async with connection.stream(query) as result:
        async for page in result.partitions(ROWS_AT_ONCE):
            yield [_row(row) for row in page]


def _row(row: Any) -> StatementRow:
    return StatementRow(
        kind=RowKind(row.kind),
        reference=f"led_{row.id}",
        booked_at=row.booked_at,
        transaction_id=row.transaction_id,
        station_id=row.station_id,
        charge_point_id=row.charge_point_id,
        connector_id=row.connector_id,
        started_at=row.started_at,
        stopped_at=row.stopped_at,
        tds_section=row.tds_section,
        tds_bps=row.tds_bps,
        figures=_figures(row),
    )


def by_settlement() -> Select[Any]:
    """What reached the bank, a line per settlement, to be narrowed to somebody and a time."""
    return select(
        _P.razorpay_settlement_id.label("settlement_id"),
        func.max(_P.utr).label("utr"),
        func.min(_P.paid_at).label("paid_at"),
        func.count().label("transfers"),
        total(_P.amount_paise).label("amount_paise"),
    ).group_by(_P.razorpay_settlement_id)


async def payments(connection: AsyncConnection, franchisee_id: int, *, since: datetime, until: datetime) -> Sequence[Payment]:
    """What reached the bank in a time, a line per settlement, oldest first."""
    query = by_settlement().where(_P.franchisee_id == franchisee_id, _P.paid_at >= since, _P.paid_at < until)
    lines = query.subquery("lines")
    found = await connection.execute(select(lines).order_by(lines.c.paid_at, lines.c.settlement_id))
    return [Payment(**row._mapping) for row in found]  # noqa: SLF001


async def open_payouts(connection: AsyncConnection, franchisee_id: int) -> list[tuple[Open, int, int]]:
    """(what they have in common, how many sessions, their payouts in paise) of all that is not at the bank."""
    processed_on = case((_E.status == EntryStatus.TRANSFERRED.value, day_of(_T.processed_at))).label("processed_on")
    keys = (_E.status, _E.hold_kind, _E.hold_reason, processed_on)
    query = (
        select(*keys, func.count().label("sessions"), total(_E.payout_paise).label("paise"))
        .select_from(
            ledger_entries.outerjoin(allocations, (_A.ledger_entry_id == _E.id) & _A.live).outerjoin(
                transfers, _T.id == _A.transfer_id
            )
        )
        .where(_E.franchisee_id == franchisee_id, _E.status != EntryStatus.SETTLED.value)
        .group_by(*keys)
        .order_by(processed_on.nulls_last(), _E.status, _E.hold_kind, _E.hold_reason)
    )
    return [
        (
            Open(
                status=EntryStatus(row.status),
                hold_kind=HoldKind(row.hold_kind) if row.hold_kind is not None else None,
                hold_reason=row.hold_reason,
                processed_on=row.processed_on,
            ),
            row.sessions,
            row.paise,
        )
        for row in await connection.execute(query)
    ]
