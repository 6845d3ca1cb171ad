"""A month's invoices, and its credit notes, for finance: one a line, with the columns that a GST return asks for."""

import csv
from collections.abc import Awaitable, Callable, Iterable
from datetime import date, timedelta
from io import StringIO

from aiohttp import web

from chassis.database import UnitOfWork
from payments.repository import credit_notes, invoices
from payments.repository.credit_notes import NoteOnInvoice
from payments.repository.invoices import InvoiceRow
from payments.usecases.context import Payments
from payments.views import InvoiceExportQuery, place_in_words

LINES_AT_ONCE = 1000

COLUMNS = (
    "Invoice number",
    "Invoice date",
    "Invoice value",
    "Place of supply",
    "Reverse charge",
    "Invoice type",
    "SAC",
    "Rate",
    "Taxable value",
    "Integrated tax",
    "Central tax",
    "State/UT tax",
    "Cess",
    "Round-off",
    "Payment fee outside value",
    "GST as booked",
    "Quantity kWh",
    "Seller GSTIN",
    "Station",
    "Session",
    "Bill",
)
"""GSTR-1 wants sales to unregistered persons summed by place and rate (table 7): B2CS. The last seven are our own."""


NOTE_COLUMNS = (
    "Note number",
    "Note date",
    "Note type",
    "Note value",
    "Invoice number",
    "Invoice date",
    "Place of supply",
    "Reverse charge",
    "SAC",
    "Rate",
    "Taxable value",
    "Integrated tax",
    "Central tax",
    "State/UT tax",
    "Cess",
    "Round-off",
    "GST as booked",
    "Seller GSTIN",
    "Station",
    "Session",
    "Refund",
)
"""To unregistered persons: table 7 wants them taken off the sums of invoices, by place and rate."""


async def export_invoices(app: Payments, query: InvoiceExportQuery, request: web.Request) -> web.StreamResponse:
    """`GET /v1/invoices/export.csv`: the month's invoices in order of their numbers."""

    async def read(uow: UnitOfWork, last_day: date, after_id: int) -> list[tuple[int, tuple[str, ...]]]:
        page = await invoices.of_days(
            uow.connection, first_day=query.first_day, last_day=last_day, after_id=after_id, limit=LINES_AT_ONCE
        )
        return [(row.id, _line(row)) for row in page]

    return await _export(app, query, request, name="invoices", columns=COLUMNS, read=read)


async def export_credit_notes(app: Payments, query: InvoiceExportQuery, request: web.Request) -> web.StreamResponse:
    """`GET /v1/credit-notes/export.csv`: the month's credit notes in order of their numbers."""

    async def read(uow: UnitOfWork, last_day: date, after_id: int) -> list[tuple[int, tuple[str, ...]]]:
        page = await credit_notes.of_days(
            uow.connection, first_day=query.first_day, last_day=last_day, after_id=after_id, limit=LINES_AT_ONCE
        )
        return [(of.note.id, _note_line(of)) for of in page]

    return await _export(app, query, request, name="credit-notes", columns=NOTE_COLUMNS, read=read)


Read = Callable[[UnitOfWork, date, int], Awaitable[list[tuple[int, tuple[str, ...]]]]]
"""(id, line) of documents up to a day, after an id."""


async def _export(
    app: Payments, query: InvoiceExportQuery, request: web.Request, *, name: str, columns: Iterable[str], read: Read
) -> web.StreamResponse:
    """Sent as they are read: a document never changes, so pages fit together."""
    last_day = (query.first_day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/csv; charset=utf-8",
            "Content-Disposition": f'attachment; filename="{name}-{query.month}.csv"',
        }
    )
    await response.prepare(request)
    await response.write(_lines([columns]))
    after_id = 0
    while True:
        async with app.database.reading() as uow:
            page = await read(uow, last_day, after_id)
        if not page:
            break
        await response.write(_lines(line for _, line in page))
        after_id = page[-1][0]
    await response.write_eof()
    return response


def _line(row: InvoiceRow) -> tuple[str, ...]:
    """Only figures, dates and our own words: nothing that somebody typed in could be taken for a formula by a spreadsheet."""
    gst_paise = row.cgst_paise + row.sgst_paise + row.igst_paise + row.round_off_paise
    return (
        row.number,
        _day(row.invoice_date),
        _decimal(row.total_paise),
        place_in_words(row.place_of_supply),
        "N",
        "B2CS",
        row.sac,
        _decimal(row.gst_bps),
        _decimal(row.taxable_paise),
        _decimal(row.igst_paise),
        _decimal(row.cgst_paise),
        _decimal(row.sgst_paise),
        _decimal(0),
        _decimal(row.round_off_paise),
        _decimal(row.platform_fee_paise),
        _decimal(gst_paise),
        f"{row.energy_wh // 1000}.{row.energy_wh % 1000:03d}",
        row.seller_gstin,
        f"stn_{row.station_id}",
        f"txn_{row.transaction_id}",
        row.source_key,
    )


def _note_line(of: NoteOnInvoice) -> tuple[str, ...]:
    """The same for a note: the operator's reason is left out, as words are."""
    note, row = of.note, of.invoice
    return (
        note.number,
        _day(note.note_date),
        "C",
        _decimal(note.total_paise),
        row.number,
        _day(row.invoice_date),
        place_in_words(row.place_of_supply),
        "N",
        row.sac,
        _decimal(row.gst_bps),
        _decimal(note.taxable_paise),
        _decimal(note.igst_paise),
        _decimal(note.cgst_paise),
        _decimal(note.sgst_paise),
        _decimal(0),
        _decimal(note.round_off_paise),
        _decimal(note.total_paise - note.taxable_paise),
        row.seller_gstin,
        f"stn_{row.station_id}",
        f"txn_{row.transaction_id}",
        f"{note.source_key}_op{note.refund_number}",
    )


def _day(day: date) -> str:
    """As the returns' offline tool writes a date."""
    return f"{day:%d-%b-%Y}"


def _decimal(hundredths: int) -> str:
    """Paise as rupees, basis points as percent: two places, a point, nothing else."""
    whole, rest = divmod(abs(hundredths), 100)
    return f"{'-' if hundredths < 0 else ''}{whole}.{rest:02d}"


def _lines(rows: Iterable[Iterable[str]]) -> bytes:
    text = StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()
