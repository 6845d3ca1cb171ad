"""Tax rules, and the financial years of franchisees whose rule has a threshold."""

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, case, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from money import TdsBase
from settlement.domain.ledger_entry import EntryKind
from settlement.domain.tax import TaxRule, YearSoFar, start_of_financial_year
from settlement.tables import ledger_entries, tax_rules, tds_years

_E, _R, _Y = ledger_entries.c, tax_rules.c, tds_years.c


def rule_from(row: Any) -> TaxRule:
    """The rule of a row."""
    return TaxRule(
        id=row.id,
        section=row.section,
        rate_bps=row.rate_bps,
        base=TdsBase(row.base),
        with_pan=row.with_pan,
        business_types=frozenset(row.business_types) if row.business_types is not None else None,
        annual_threshold_paise=row.annual_threshold_paise,
        effective_from=row.effective_from,
    )


async def rules(connection: AsyncConnection) -> list[TaxRule]:
    """All of them: a handful a decade."""
    return [rule_from(row) for row in await connection.execute(select(tax_rules).order_by(_R.id))]


async def add_rule(connection: AsyncConnection, **values: Any) -> Any:
    """A new rule as a row."""
    return (await connection.execute(insert(tax_rules).values(**values).returning(tax_rules))).one()


async def lock_rules(connection: AsyncConnection) -> None:
    """Whoever adds a rule waits for whoever is adding one."""
    await connection.execute(select(func.pg_advisory_xact_lock(func.hashtext("settlement.tax_rules"))))


def _sums(franchisee_id: int, year: int) -> Select[Any]:
    """A row of `tds_years`, as the entries make it."""
    zero = literal(0, BigInteger)
    net = _E.gross_paise - _E.refund_paise - _E.residue_paise - _E.pg_fee_paise - _E.gst_paise
    base = net - case((_E.tds_base == TdsBase.NET_LESS_COMMISSION.value, _E.commission_paise), else_=zero)
    return select(
        literal(franchisee_id, BigInteger).label("franchisee_id"),
        literal(year).label("year"),
        _sum(_E.gross_paise - _E.refund_paise - _E.residue_paise).label("sales_paise"),
        _sum(base * _E.tds_bps).label("due_paise_bps"),
        _sum(_E.tds_paise).label("withheld_paise"),
    ).where(
        _E.franchisee_id == franchisee_id,
        _E.kind == EntryKind.SESSION.value,
        _E.started_at >= start_of_financial_year(year),
        _E.started_at < start_of_financial_year(year + 1),
    )


def _sum(amount: ColumnElement[Any]) -> ColumnElement[int]:
    """Of nothing it is 0; PostgreSQL's sum of bigints is numeric, and no amount of ours needs that."""
    return func.coalesce(func.sum(amount), 0).cast(BigInteger)


def _year_from(row: Any) -> YearSoFar:
    return YearSoFar(
        year=row.year, sales_paise=row.sales_paise, due_paise_bps=row.due_paise_bps, withheld_paise=row.withheld_paise
    )


async def years(connection: AsyncConnection) -> list[tuple[int, YearSoFar]]:
    """(franchisee, its year as kept), all of them."""
    rows = await connection.execute(select(tds_years).order_by(_Y.franchisee_id, _Y.year))
    return [(row.franchisee_id, _year_from(row)) for row in rows]


async def sum_year(connection: AsyncConnection, franchisee_id: int, year: int) -> YearSoFar:
    """A year as its entries make it."""
    return _year_from((await connection.execute(_sums(franchisee_id, year))).one())


async def lock_year(connection: AsyncConnection, franchisee_id: int, year: int, *, begin: bool) -> YearSoFar | None:
    """A franchisee's financial year, ours until the transaction ends; None where it has not begun, and is not to.

    It begins with its first entry under a threshold, summed up from the entries there are; from then on every entry is in it.
    """
    mine = select(tds_years).where(_Y.franchisee_id == franchisee_id, _Y.year == year).with_for_update()
    row = (await connection.execute(mine)).one_or_none()
    if row is None and not begin:
        return None
    if row is None:
        await connection.execute(insert(tds_years).from_select(list(_Y), _sums(franchisee_id, year)).on_conflict_do_nothing())
        row = (await connection.execute(mine)).one()
    return _year_from(row)


async def set_year(connection: AsyncConnection, franchisee_id: int, year: YearSoFar) -> None:
    """Keep a locked year as it is with one entry more."""
    await connection.execute(
        update(tds_years)
        .where(_Y.franchisee_id == franchisee_id, _Y.year == year.year)
        .values(sales_paise=year.sales_paise, due_paise_bps=year.due_paise_bps, withheld_paise=year.withheld_paise)
    )
