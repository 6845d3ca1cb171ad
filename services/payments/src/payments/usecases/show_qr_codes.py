"""QR codes to read."""

from chassis.database import UnitOfWork
from chassis.web import Page, fetch_page
from payments.repository import qr_codes
from payments.tables import qr_codes as qr_codes_table
from payments.views import QrCodeId, QrCodeQuery, QrCodeView


async def list_qr_codes(uow: UnitOfWork, query: QrCodeQuery) -> Page[QrCodeView]:
    """`GET /v1/qr-codes`, newest first."""
    statement = qr_codes.listing(charge_point_id=query.charge_point_id, status=query.status, franchisee_id=query.franchisee_id)
    return await fetch_page(
        uow, statement, query, order=(qr_codes_table.c.id,), view=lambda row: QrCodeView.of(qr_codes.qr_code_from(row))
    )


async def show_qr_code(uow: UnitOfWork, qr_code_id: QrCodeId) -> QrCodeView:
    """`GET /v1/qr-codes/{id}`."""
    return QrCodeView.of(await qr_codes.get(uow.connection, qr_code_id))
