"""Invoices, and the bills that wait for theirs."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any

from sqlalchemy import CompoundSelect, Select, delete, func, select, union_all, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from money import FinancialYear
from payments.domain.errors import NotFoundError
from payments.domain.invoice import Invoice, Supply
from payments.invoice_tables import invoice_series, invoices, invoices_due
from payments.repository.rows import columns_of
from payments.tables import qr_payments
from payments.wallet_tables import wallet_bills, wallet_sessions, wallets

_T = invoices.c


@dataclass(frozen=True, slots=True)
class InvoiceRow:
    """A row of `invoices`."""

    id: int
    number: str
    series: str
    serial: int
    financial_year: int
    invoice_date: date
    source_key: str
    qr_payment_id: int | None
    transaction_id: int
    charge_point_id: str
    connector_id: int
    station_id: int
    station_name: str | None
    franchisee_id: int | None
    buyer_reference: str
    buyer_masked: str | None
    seller_name: str
    seller_gstin: str
    seller_address: str
    place_of_supply: str
    interstate: bool
    sac: str
    energy_wh: int
    tariff_id: int | None
    tariff_paise_per_kwh: int
    gst_bps: int
    paid_paise: int | None
    taxable_paise: int
    cgst_paise: int
    sgst_paise: int
    igst_paise: int
    round_off_paise: int
    platform_fee_paise: int
    total_paise: int
    shortfall_paise: int
    started_at: datetime
    stopped_at: datetime
    billed_at: datetime
    issued_at: datetime


@dataclass(frozen=True, slots=True)
class Due:
    """A bill that waits for its invoice."""

    id: int
    supply: Supply
    attempts: int


def invoice_from(row: Any) -> InvoiceRow:
    """The invoice of a row of the table."""
    return InvoiceRow(**columns_of(row, InvoiceRow))


async def add_due(connection: AsyncConnection, supply: Supply, *, now: datetime) -> None:
    """A bill was made: its invoice is due. Told twice it is due once."""
    await connection.execute(
        insert(invoices_due)
        .values(source_key=supply.source_key, supply=supply.model_dump(mode="json"), next_attempt_at=now, created_at=now)
        .on_conflict_do_nothing(index_elements=[invoices_due.c.source_key])
    )


async def take_due(connection: AsyncConnection, *, now: datetime, limit: int) -> list[Due]:
    """What is due, in the order in which it was billed, locked; what another numbers is left to it."""
    d = invoices_due.c
    query = select(d.id, d.supply, d.attempts).where(d.next_attempt_at <= now).order_by(d.id).limit(limit)
    rows = (await connection.execute(query.with_for_update(skip_locked=True))).all()
    return [Due(row.id, Supply.model_validate(row.supply), row.attempts) for row in rows]


async def put_off(connection: AsyncConnection, due: Due, *, error: str, until: datetime) -> None:
    """No invoice can be made of it now; the others go on."""
    await connection.execute(
        update(invoices_due)
        .where(invoices_due.c.id == due.id)
        .values(attempts=due.attempts + 1, last_error=error, next_attempt_at=until)
    )


async def waiting(connection: AsyncConnection, *, since: datetime) -> int:
    """How many bills have waited for their invoice since before a moment."""
    return (await connection.scalar(select(func.count()).select_from(invoices_due).where(invoices_due.c.created_at < since))) or 0


async def hold_series(connection: AsyncConnection, series: str, year: FinancialYear) -> tuple[int, datetime | None]:
    """(the last number, when it was given) of a series, which nobody else numbers in until the transaction ends."""
    s = invoice_series.c
    made = insert(invoice_series).values(series=series, financial_year=year.first, last_number=0)
    await connection.execute(made.on_conflict_do_nothing(index_elements=[s.series]))
    held = select(s.last_number, s.last_issued_at).where(s.series == series).with_for_update()
    row = (await connection.execute(held)).one()
    return row.last_number, row.last_issued_at


async def issue(connection: AsyncConnection, issued: Sequence[tuple[Due, Invoice]]) -> None:
    """Write invoices of one series, in order of their numbers; their bills wait no longer. The caller holds the series."""
    last = issued[-1][1]
    await connection.execute(invoices.insert(), [_values(invoice) for _, invoice in issued])
    await connection.execute(delete(invoices_due).where(invoices_due.c.id.in_([due.id for due, _ in issued])))
    await connection.execute(
        update(invoice_series)
        .where(invoice_series.c.series == last.series)
        .values(last_number=last.serial, last_issued_at=last.issued_at)
    )


_OF_SUPPLY = frozenset(Supply.model_fields) & {field.name for field in fields(InvoiceRow)}


def _values(invoice: Invoice) -> dict[str, Any]:
    lines, seller = invoice.lines, invoice.seller
    return {
        **{name: getattr(invoice.supply, name) for name in _OF_SUPPLY},
        "number": invoice.number,
        "series": invoice.series,
        "serial": invoice.serial,
        "financial_year": invoice.financial_year,
        "invoice_date": invoice.invoice_date,
        "issued_at": invoice.issued_at,
        "seller_name": seller.name,
        "seller_gstin": seller.gstin,
        "seller_address": seller.address,
        "sac": seller.sac,
        "place_of_supply": invoice.place_of_supply,
        "interstate": invoice.interstate,
        "taxable_paise": lines.taxable_paise,
        "cgst_paise": lines.cgst_paise,
        "sgst_paise": lines.sgst_paise,
        "igst_paise": lines.igst_paise,
        "round_off_paise": lines.round_off_paise,
        "platform_fee_paise": lines.platform_fee_paise,
        "total_paise": lines.total_paise,
    }


async def get(connection: AsyncConnection, invoice_id: int) -> InvoiceRow:
    """One invoice. Raises NotFoundError."""
    row = (await connection.execute(select(invoices).where(_T.id == invoice_id))).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no invoice inv_{invoice_id}.")
    return invoice_from(row)


async def id_of_payment(connection: AsyncConnection, qr_payment_id: int) -> int | None:
    """The invoice of a payment's session, once issued."""
    return await connection.scalar(select(_T.id).where(_T.qr_payment_id == qr_payment_id))


def listing(
    *,
    financial_year: int | None,
    first_day: date | None,
    last_day: date | None,
    station_id: int | None,
    qr_payment_id: int | None,
    transaction_id: int | None,
    number: str | None,
) -> Select[Any]:
    """Invoices by what is given; days are India's, both included."""
    query = select(invoices)
    wanted = {
        _T.financial_year: financial_year,
        _T.station_id: station_id,
        _T.qr_payment_id: qr_payment_id,
        _T.transaction_id: transaction_id,
        _T.number: number,
    }
    for column, value in wanted.items():
        if value is not None:
            query = query.where(column == value)
    if first_day is not None:
        query = query.where(_T.invoice_date >= first_day)
    if last_day is not None:
        query = query.where(_T.invoice_date <= last_day)
    return query


def ids_of_rider(rider_id: int) -> CompoundSelect[tuple[int]]:
    """What was issued to a rider, of payments by scanning and of sessions that the rider's wallet paid."""
    scanned = select(_T.id).join(qr_payments, qr_payments.c.id == _T.qr_payment_id).where(qr_payments.c.rider_id == rider_id)
    from_wallet = (
        select(_T.id)
        .join(wallet_bills, wallet_bills.c.transaction_id == _T.transaction_id)
        .join(wallet_sessions, wallet_sessions.c.id == wallet_bills.c.wallet_session_id)
        .join(wallets, wallets.c.id == wallet_sessions.c.wallet_id)
        .where(wallets.c.rider_id == rider_id)
    )
    return union_all(scanned, from_wallet)


def of_rider(rider_id: int) -> Select[Any]:
    """A rider's invoices."""
    return select(invoices).where(_T.id.in_(ids_of_rider(rider_id)))


async def of_days(connection: AsyncConnection, *, first_day: date, last_day: date, after_id: int, limit: int) -> list[InvoiceRow]:
    """Invoices of these days after an id, in order of ids, which is the order of their numbers."""
    query = listing(
        financial_year=None,
        first_day=first_day,
        last_day=last_day,
        station_id=None,
        qr_payment_id=None,
        transaction_id=None,
        number=None,
    )
    rows = await connection.execute(query.where(_T.id > after_id).order_by(_T.id).limit(limit))
    return [invoice_from(row) for row in rows]
