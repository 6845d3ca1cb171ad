"""Razorpay's word on settlements, transfers and linked accounts: settlement's business, passed on as it came."""

import json

from chassis.database import UnitOfWork
from contracts.payments import RazorpayEventReceived
from payments.domain.errors import MalformedEventError
from payments.domain.webhook import Envelope
from payments.repository.webhook_events import WebhookEvent
from payments.usecases.context import Payments


async def forward_razorpay_event(_app: Payments, uow: UnitOfWork, event: WebhookEvent, envelope: Envelope) -> None:
    """Emits RazorpayEventReceived, in order per account; the message id is the event's, so that a replay is recognised.

    Raises MalformedEventError for a text that no message can bear.
    """
    try:
        json.dumps(envelope.payload, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise MalformedEventError("half a character in a text") from error  # JSON may escape it, UTF-8 has none
    uow.publish(
        RazorpayEventReceived(
            webhook_event_id=event.id,
            razorpay_event_id=event.razorpay_event_id,
            event=envelope.event,
            account_id=envelope.account_id,
            payload=dict(envelope.payload),
            created_at=envelope.created_at,
        ),
        subject=f"razorpay_account/{envelope.account_id}",
        message_id=f"razorpay/{event.id}",
    )
