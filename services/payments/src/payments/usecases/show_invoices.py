"""Invoices to read."""

from chassis.database import UnitOfWork
from chassis.web import Page, fetch_page
from payments.invoice_tables import invoices as invoices_table
from payments.repository import invoices
from payments.views import InvoiceId, InvoiceQuery, InvoiceView


async def list_invoices(uow: UnitOfWork, query: InvoiceQuery) -> Page[InvoiceView]:
    """`GET /v1/invoices`, newest first; by day, financial year, station, payment, session or number."""
    statement = invoices.listing(
        financial_year=query.year,
        first_day=query.first_day,
        last_day=query.last_day,
        station_id=query.station_id,
        qr_payment_id=query.payment_id,
        transaction_id=query.transaction_id,
        number=query.number,
    )
    return await fetch_page(
        uow, statement, query, order=(invoices_table.c.id,), view=lambda row: InvoiceView.of(invoices.invoice_from(row))
    )


async def show_invoice(uow: UnitOfWork, invoice_id: InvoiceId) -> InvoiceView:
    """`GET /v1/invoices/{id}`."""
    return InvoiceView.of(await invoices.get(uow.connection, invoice_id))
