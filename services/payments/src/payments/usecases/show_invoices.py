"""Invoices and credit notes to read: by staff all, by riders their own and nothing else."""

from typing import Any

from chassis.database import UnitOfWork
from chassis.web import Page, PageQuery, Principal, fetch_page
from payments.domain.errors import NotFoundError
from payments.invoice_tables import credit_notes as credit_notes_table
from payments.invoice_tables import invoices as invoices_table
from payments.repository import credit_notes, invoices
from payments.repository.credit_notes import NoteOnInvoice
from payments.repository.invoices import InvoiceRow
from payments.usecases.whose import rider_of
from payments.views import CreditNoteId, CreditNoteQuery, CreditNoteView, InvoiceId, InvoiceQuery, InvoiceView


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


async def list_credit_notes(uow: UnitOfWork, query: CreditNoteQuery) -> Page[CreditNoteView]:
    """`GET /v1/credit-notes`, newest first; by day, payment or invoice."""
    statement = credit_notes.listing(
        first_day=query.first_day, last_day=query.last_day, qr_payment_id=query.payment_id, invoice_id=query.invoice_id
    )
    return await fetch_page(uow, statement, query, order=(credit_notes_table.c.id,), view=_note_view)


async def show_credit_note(uow: UnitOfWork, credit_note_id: CreditNoteId) -> CreditNoteView:
    """`GET /v1/credit-notes/{id}`."""
    return CreditNoteView.of(await credit_notes.get(uow.connection, credit_note_id))


async def list_my_invoices(uow: UnitOfWork, query: PageQuery, principal: Principal) -> Page[InvoiceView]:
    """`GET /v1/riders/me/invoices`, newest first: of what the caller paid by QR code and out of the wallet."""
    statement = invoices.of_rider((await rider_of(uow, principal)).id)
    return await fetch_page(
        uow, statement, query, order=(invoices_table.c.id,), view=lambda row: InvoiceView.of(invoices.invoice_from(row))
    )


async def list_my_credit_notes(uow: UnitOfWork, query: PageQuery, principal: Principal) -> Page[CreditNoteView]:
    """`GET /v1/riders/me/credit-notes`, newest first."""
    statement = credit_notes.of_rider((await rider_of(uow, principal)).id)
    return await fetch_page(uow, statement, query, order=(credit_notes_table.c.id,), view=_note_view)


async def my_invoice(uow: UnitOfWork, invoice_id: int, principal: Principal) -> InvoiceRow:
    """The caller's own. Raises NotFoundError, whether there is none or it is somebody else's."""
    own = invoices.of_rider((await rider_of(uow, principal)).id).where(invoices_table.c.id == invoice_id)
    row = (await uow.connection.execute(own)).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no invoice inv_{invoice_id}.")
    return invoices.invoice_from(row)


async def my_credit_note(uow: UnitOfWork, credit_note_id: int, principal: Principal) -> NoteOnInvoice:
    """The same of a credit note, with its invoice."""
    own = credit_notes.of_rider((await rider_of(uow, principal)).id).where(credit_notes_table.c.id == credit_note_id)
    row = (await uow.connection.execute(own)).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no credit note crn_{credit_note_id}.")
    note = credit_notes.note_from(row)
    return NoteOnInvoice(note, await invoices.get(uow.connection, note.invoice_id))


def _note_view(row: Any) -> CreditNoteView:
    return CreditNoteView.of(credit_notes.note_from(row))
