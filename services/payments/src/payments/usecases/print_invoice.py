"""Invoices and credit notes on a page, for staff and for the rider they were issued to."""

from aiohttp import web

from chassis.web import Principal
from payments.invoice_pdf import CreditNotePage, InvoicePage, Page
from payments.repository import credit_notes, invoices
from payments.repository.credit_notes import NoteOnInvoice
from payments.usecases.context import Payments
from payments.usecases.printed import answer_printed
from payments.usecases.show_invoices import my_credit_note, my_invoice
from payments.views import CreditNoteId, InvoiceId


async def print_invoice(app: Payments, invoice_id: InvoiceId, request: web.Request) -> web.Response:
    """`GET /v1/invoices/{id}/invoice.pdf`. Raises NotFoundError."""
    async with app.database.reading() as uow:
        row = await invoices.get(uow.connection, invoice_id)
    return await _answer(app, request, InvoicePage(row, app.settings.platform_name), row.number)


async def print_my_invoice(app: Payments, invoice_id: InvoiceId, principal: Principal, request: web.Request) -> web.Response:
    """`GET /v1/riders/me/invoices/{id}/invoice.pdf`. Raises NotFoundError for anybody else's."""
    async with app.database.reading() as uow:
        row = await my_invoice(uow, invoice_id, principal)
    return await _answer(app, request, InvoicePage(row, app.settings.platform_name), row.number)


async def print_credit_note(app: Payments, credit_note_id: CreditNoteId, request: web.Request) -> web.Response:
    """`GET /v1/credit-notes/{id}/credit-note.pdf`. Raises NotFoundError."""
    async with app.database.reading() as uow:
        note = await credit_notes.get(uow.connection, credit_note_id)
        of = NoteOnInvoice(note, await invoices.get(uow.connection, note.invoice_id))
    return await _answer(app, request, CreditNotePage(of, app.settings.platform_name), note.number)


async def print_my_credit_note(
    app: Payments, credit_note_id: CreditNoteId, principal: Principal, request: web.Request
) -> web.Response:
    """`GET /v1/riders/me/credit-notes/{id}/credit-note.pdf`. Raises NotFoundError for anybody else's."""
    async with app.database.reading() as uow:
        of = await my_credit_note(uow, credit_note_id, principal)
    return await _answer(app, request, CreditNotePage(of, app.settings.platform_name), of.note.number)


async def _answer(app: Payments, request: web.Request, page: Page, number: str) -> web.Response:
    """The PDF, named by the document's number."""
    return await answer_printed(
        app,
        request,
        tag=page.fingerprint(),
        draw=page.draw,
        content_type="application/pdf",
        file_name=f"{number.replace('/', '-')}.pdf",
    )
