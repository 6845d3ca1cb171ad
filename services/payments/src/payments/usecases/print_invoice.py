"""`GET /v1/invoices/{id}/invoice.pdf`: what was issued, on a page."""

from aiohttp import web

from payments.invoice_pdf import InvoicePage
from payments.repository import invoices
from payments.usecases.context import Payments
from payments.usecases.printed import answer_printed
from payments.views import InvoiceId


async def print_invoice(app: Payments, invoice_id: InvoiceId, request: web.Request) -> web.Response:
    """The PDF, named by the invoice's number. Raises NotFoundError."""
    async with app.database.reading() as uow:
        row = await invoices.get(uow.connection, invoice_id)
    page = InvoicePage(row, app.settings.platform_name)
    return await answer_printed(
        app,
        request,
        tag=page.fingerprint(),
        draw=page.draw,
        content_type="application/pdf",
        file_name=f"{row.number.replace('/', '-')}.pdf",
    )
