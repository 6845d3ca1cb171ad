"""Razorpay posts an event: verify the bytes, store them, answer. The work comes after the answer (razorpay.md §2: 5 seconds)."""

import structlog
from aiohttp import web

from chassis.telemetry import current_traceparent
from chassis.web import read_body
from payments.domain import webhook
from payments.domain.errors import InvalidSignatureError, MalformedEventError
from payments.repository.webhook_events import Incoming
from payments.usecases.context import Payments
from payments.views import WebhookAccepted

log = structlog.get_logger(__name__)

SIGNATURE_HEADER = "X-Razorpay-Signature"
EVENT_ID_HEADER = "X-Razorpay-Event-Id"
KEPT_HEADERS = ("Content-Type", "User-Agent", EVENT_ID_HEADER, SIGNATURE_HEADER)
"""What tells something about a delivery; the rest is the way through our own proxies."""

BODY_BYTES_MAX = 256 * 1024
"""Razorpay's events are a few KiB; a settlement event with its transfers listed is the longest."""


async def receive_webhook(app: Payments, request: web.Request) -> WebhookAccepted:
    """`POST /webhooks/razorpay`. Stored once per event id and body, however often and however many at once it is delivered.

    Raises InvalidSignatureError (401): nothing of such a request is stored.
    """
    body = await read_body(request, BODY_BYTES_MAX)
    previous = app.settings.razorpay_webhook_secret_previous
    try:
        verified_by = webhook.verify(
            body,
            request.headers.get(SIGNATURE_HEADER),
            current=app.settings.razorpay_webhook_secret.get_secret_value(),
            previous=previous.get_secret_value() if previous is not None else None,
        )
    except InvalidSignatureError:
        app.metrics.webhook_rejected.inc()
        log.warning("webhook.rejected", body_bytes=len(body), has_signature=SIGNATURE_HEADER in request.headers)
        raise
    try:
        envelope = webhook.parse(body, received_at=app.clock.now())
    except MalformedEventError:
        # Signed by Razorpay and not understood: kept all the same, and failed where it is worked, for an operator to see.
        envelope = None
    event_id, new = await app.inbox.store(
        Incoming(
            razorpay_event_id=webhook.event_id(request.headers.get(EVENT_ID_HEADER), body),
            body_sha256=webhook.body_hash(body),
            event=webhook.storable(envelope.event) if envelope else None,
            account_id=webhook.storable(envelope.account_id) if envelope and envelope.account_id else None,
            body=body,
            headers={name: webhook.storable(request.headers[name]) for name in KEPT_HEADERS if name in request.headers},
            verified_by=verified_by,
            traceparent=current_traceparent(),
            created_at=envelope.created_at if envelope else None,
        )
    )
    log.info("webhook.received", webhook_event_id=event_id, razorpay_event=envelope.event if envelope else None, repeat=not new)
    return WebhookAccepted()
