"""A QR code to hang up: as a picture, or as the sticker of its connector. Drawn in a thread, cached by a strong ETag."""

import asyncio

from aiohttp import web

from payments.domain.errors import ConflictError
from payments.domain.qr_code import QrCodeStatus, default_name
from payments.printing import Drawing, Sticker, TooLong, fingerprint
from payments.repository import qr_codes
from payments.repository.qr_codes import QrCode
from payments.usecases.context import Payments
from payments.views import DrawingQuery, QrCodeId, StickerQuery

CACHE_CONTROL = "private, no-cache"
"""The caller may keep it and has to ask each time: a code is closed, a price changes."""


async def draw_qr_code_png(app: Payments, qr_code_id: QrCodeId, query: DrawingQuery, request: web.Request) -> web.Response:
    """`GET /v1/qr-codes/{id}/image.png`."""
    row = await _read(app, qr_code_id)
    return await _answer(app, request, Drawing(_content(row), "png", **dict(query)), content_type="image/png")


async def draw_qr_code_svg(app: Payments, qr_code_id: QrCodeId, query: DrawingQuery, request: web.Request) -> web.Response:
    """`GET /v1/qr-codes/{id}/image.svg`."""
    row = await _read(app, qr_code_id)
    return await _answer(app, request, Drawing(_content(row), "svg", **dict(query)), content_type="image/svg+xml")


async def print_sticker(app: Payments, qr_code_id: QrCodeId, query: StickerQuery, request: web.Request) -> web.Response:
    """`GET /v1/qr-codes/{id}/sticker.pdf`. Raises ConflictError for a code that serves nobody any more."""
    row = await _read(app, qr_code_id)
    if row.status in (QrCodeStatus.CLOSING, QrCodeStatus.CLOSED):
        raise ConflictError("This QR code is closed, and payments on it are refunded. Print the one in its place.")
    sticker = Sticker(
        reference=f"qrc_{row.id}",
        content=_content(row),
        platform=app.settings.platform_name,
        charge_point_id=row.charge_point_id,
        connector_id=row.connector_id,
        name=row.name if row.name != default_name(row.charge_point_id, row.connector_id) else None,
        paise_per_kwh=query.paise_per_kwh,
        gst_bps=query.gst_bps,
    )
    return await _answer(app, request, sticker, content_type="application/pdf")


async def _read(app: Payments, qr_code_id: int) -> QrCode:
    """In a transaction of its own, that no drawing holds open."""
    async with app.database.reading() as uow:
        return await qr_codes.get(uow.connection, qr_code_id)


def _content(row: QrCode) -> str:
    if row.image_content is None:
        raise ConflictError("Razorpay has not said yet what this QR code encodes.")
    return row.image_content


async def _answer(app: Payments, request: web.Request, printed: Drawing | Sticker, *, content_type: str) -> web.Response:
    """304 where the caller has these very bytes; drawn only where it has not."""
    tag = fingerprint(printed)
    headers = {"ETag": f'"{tag}"', "Cache-Control": CACHE_CONTROL}
    known = request.if_none_match or ()
    if any(given.value in (tag, "*") for given in known):
        return web.Response(status=304, headers=headers)
    async with app.drawing:
        try:
            body = await asyncio.to_thread(printed.draw)
        except TooLong as error:
            raise ConflictError(f"What it encodes is too long to draw: {error}.") from error
    return web.Response(body=body, content_type=content_type, headers=headers)
