"""QR codes to read and to print."""

from io import BytesIO

import segno
from aiohttp import web

from chassis.database import UnitOfWork
from chassis.web import Page, fetch_page
from payments.domain.errors import ConflictError
from payments.repository import qr_codes
from payments.tables import qr_codes as qr_codes_table
from payments.views import QrCodeId, QrCodeQuery, QrCodeView

PNG_PIXELS_PER_MODULE = 16
"""About 700 pixels a side: sharp at 6 cm in print."""
QUIET_ZONE_MODULES = 4
"""ISO/IEC 18004 asks for four modules of white around the code."""
ERROR_CORRECTION = "q"
"""A quarter of the code may be scratched or dirty: it hangs outdoors."""


async def list_qr_codes(uow: UnitOfWork, query: QrCodeQuery) -> Page[QrCodeView]:
    """`GET /v1/qr-codes`, newest first."""
    statement = qr_codes.listing(charge_point_id=query.charge_point_id, status=query.status)
    return await fetch_page(
        uow, statement, query, order=(qr_codes_table.c.id,), view=lambda row: QrCodeView.of(qr_codes.qr_code_from(row))
    )


async def show_qr_code(uow: UnitOfWork, qr_code_id: QrCodeId) -> QrCodeView:
    """`GET /v1/qr-codes/{id}`."""
    return QrCodeView.of(await qr_codes.get(uow.connection, qr_code_id))


async def draw_qr_code_png(uow: UnitOfWork, qr_code_id: QrCodeId) -> web.Response:
    """`GET /v1/qr-codes/{id}/image.png`."""
    return web.Response(body=await _draw(uow, qr_code_id, "png"), content_type="image/png")


async def draw_qr_code_svg(uow: UnitOfWork, qr_code_id: QrCodeId) -> web.Response:
    """`GET /v1/qr-codes/{id}/image.svg`."""
    return web.Response(body=await _draw(uow, qr_code_id, "svg"), content_type="image/svg+xml")


async def _draw(uow: UnitOfWork, qr_code_id: int, kind: str) -> bytes:
    """Drawn here from what Razorpay's code encodes: printing does not depend on somebody else's picture."""
    row = await qr_codes.get(uow.connection, qr_code_id)
    if row.image_content is None:
        raise ConflictError("Razorpay has not said yet what this QR code encodes.")
    drawn = BytesIO()
    segno.make(row.image_content, error=ERROR_CORRECTION, micro=False).save(
        drawn, kind=kind, scale=PNG_PIXELS_PER_MODULE, border=QUIET_ZONE_MODULES
    )
    return drawn.getvalue()
