"""A QR code was closed at Razorpay, by us or in its dashboard: nobody is served on it any more."""

from chassis.database import UnitOfWork
from payments.domain.qr_code import QrCodeStatus
from payments.domain.webhook import Envelope
from payments.repository import qr_codes
from payments.repository.webhook_events import WebhookEvent
from payments.usecases.context import Payments
from payments.usecases.lookups import Lookups
from payments.usecases.outcome import Ignored


async def follow_qr_code_closed(
    _app: Payments, uow: UnitOfWork, _event: WebhookEvent, envelope: Envelope, _lookups: Lookups
) -> Ignored | None:
    """`qr_code.closed`. Razorpay sends it for a manual close only, which is the only kind that a multiple-use code has."""
    entity = envelope.entity("qr_code")
    razorpay_id = entity.get("id") if entity is not None else None
    known = await qr_codes.find_by_razorpay_id(uow.connection, razorpay_id) if isinstance(razorpay_id, str) else None
    if known is None:
        return Ignored("UNKNOWN_QR_CODE")
    row = await qr_codes.get(uow.connection, known.id, lock=True)
    if row.status is not QrCodeStatus.CLOSED:
        await qr_codes.set_values(
            uow.connection, row.id, status=QrCodeStatus.CLOSED.value, closed_at=row.closed_at or uow.now, next_attempt_at=None
        )
    return None
