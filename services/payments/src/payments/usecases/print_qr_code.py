"""A QR code to hang up: as a picture, or as the sticker of its connector. Drawn in a thread, cached by a strong ETag."""

from datetime import datetime

from aiohttp import web

from chassis.messaging import MessagingError
from contracts.charging import TariffAnswer, TariffRequested
from contracts.topology import address_of
from payments.domain.errors import ConflictError, UnansweredError
from payments.domain.qr_code import QrCodeStatus, default_name
from payments.printing import Drawing, Sticker, fingerprint
from payments.repository import qr_codes
from payments.repository.qr_codes import QrCode
from payments.usecases.context import Payments
from payments.usecases.printed import answer_printed
from payments.views import DrawingQuery, QrCodeId, StickerQuery

ANSWER_SECONDS = 10
"""How long charging may take to say what a kWh costs: it looks it up in its own tables."""


async def draw_qr_code_png(app: Payments, qr_code_id: QrCodeId, query: DrawingQuery, request: web.Request) -> web.Response:
    """`GET /v1/qr-codes/{id}/image.png`."""
    row = await _read(app, qr_code_id)
    return await _answer(app, request, Drawing(_content(row), "png", **dict(query)), content_type="image/png")


async def draw_qr_code_svg(app: Payments, qr_code_id: QrCodeId, query: DrawingQuery, request: web.Request) -> web.Response:
    """`GET /v1/qr-codes/{id}/image.svg`."""
    row = await _read(app, qr_code_id)
    return await _answer(app, request, Drawing(_content(row), "svg", **dict(query)), content_type="image/svg+xml")


async def print_sticker(app: Payments, qr_code_id: QrCodeId, query: StickerQuery, request: web.Request) -> web.Response:
    """`GET /v1/qr-codes/{id}/sticker.pdf`, with the price that charging says is in force.

    Raises ConflictError for a code that serves nobody any more and where no tariff is in force, UnansweredError.
    """
    row = await _read(app, qr_code_id)
    if row.status in (QrCodeStatus.CLOSING, QrCodeStatus.CLOSED):
        raise ConflictError("This QR code is closed, and payments on it are refunded. Print the one in its place.")
    content = _content(row)
    tariff = await _tariff(app, row.charge_point_id, query.at or app.clock.now()) if query.price else TariffAnswer()
    sticker = Sticker(
        reference=f"qrc_{row.id}",
        content=content,
        platform=app.settings.platform_name,
        charge_point_id=row.charge_point_id,
        connector_id=row.connector_id,
        name=row.name if row.name != default_name(row.charge_point_id, row.connector_id) else None,
        paise_per_kwh=tariff.paise_per_kwh,
        gst_bps=tariff.gst_bps,
    )
    return await _answer(app, request, sticker, content_type="application/pdf")


async def _tariff(app: Payments, charge_point_id: str, at: datetime) -> TariffAnswer:
    """The tariff in force at a charger, by charging: tariffs are its own."""
    question = TariffRequested(charge_point_id=charge_point_id, at=at)
    to = address_of(question, sender="payments")
    try:
        answer = await app.bus.ask(question, to=to, answer=TariffAnswer, timeout_seconds=ANSWER_SECONDS)
    except MessagingError as error:
        raise UnansweredError("charging did not say what a kWh costs. Try again, or print without a price.") from error
    if answer.tariff_id is None:
        raise ConflictError(f"No tariff is in force at {charge_point_id} then. Set one, or print without a price.")
    return answer


async def _read(app: Payments, qr_code_id: int) -> QrCode:
    """In a transaction of its own, that no drawing holds open."""
    async with app.database.reading() as uow:
        return await qr_codes.get(uow.connection, qr_code_id)


def _content(row: QrCode) -> str:
    if row.image_content is None:
        raise ConflictError("Razorpay has not said yet what this QR code encodes.")
    return row.image_content


async def _answer(app: Payments, request: web.Request, printed: Drawing | Sticker, *, content_type: str) -> web.Response:
    return await answer_printed(app, request, tag=fingerprint(printed), draw=printed.draw, content_type=content_type)
