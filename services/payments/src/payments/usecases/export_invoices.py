"""`GET /v1/invoices/export.csv`: a month's invoices for finance, one a line, with the columns that a GST return asks for."""

import csv
from collections.abc import Iterable
from datetime import date, timedelta
from io import StringIO

from aiohttp import web

from payments.repository import invoices
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


async def export_invoices(app: Payments, query: InvoiceExportQuery, request: web.Request) -> web.StreamResponse:
    """The month's invoices in order of their numbers, sent as they are read: an invoice never changes, so pages fit together."""
    first = query.first_day
    last = (first.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/csv; charset=utf-8",
            "Content-Disposition": f'attachment; filename="invoices-{query.month}.csv"',
        }
    )
    await response.prepare(request)
    await response.write(_lines([COLUMNS]))
    after_id = 0
    while True:
        async with app.database.reading() as uow:
            page = await invoices.of_days(uow.connection, first_day=first, last_day=last, after_id=after_id, limit=LINES_AT_ONCE)
        if not page:
            break
        await response.write(_lines(map(_line, page)))
        after_id = page[-1].id
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
