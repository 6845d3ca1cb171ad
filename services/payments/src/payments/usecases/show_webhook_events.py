"""Razorpay's events as they came, to read and to work again."""

from chassis.database import UnitOfWork
from chassis.web import Page, Principal, fetch_page
from payments import tables
from payments.domain.errors import ConflictError
from payments.domain.webhook import WebhookState
from payments.repository import webhook_events
from payments.usecases.audit import audit
from payments.usecases.context import Payments
from payments.views import WebhookEventDetail, WebhookEventId, WebhookEventQuery, WebhookEventView


async def list_webhook_events(uow: UnitOfWork, query: WebhookEventQuery) -> Page[WebhookEventView]:
    """`GET /v1/webhook-events`, newest first."""
    statement = webhook_events.listing(state=query.state, event=query.event)
    return await fetch_page(
        uow,
        statement,
        query,
        order=(tables.webhook_events.c.id,),
        view=lambda row: WebhookEventView.of(webhook_events.event_from(row)),
    )


async def show_webhook_event(uow: UnitOfWork, webhook_event_id: WebhookEventId) -> WebhookEventDetail:
    """`GET /v1/webhook-events/{id}`, with its bytes."""
    return WebhookEventDetail.whole(await webhook_events.get(uow.connection, webhook_event_id))


async def replay_webhook_event(
    app: Payments, uow: UnitOfWork, webhook_event_id: WebhookEventId, principal: Principal
) -> WebhookEventView:
    """`POST /v1/webhook-events/{id}/replay`: work it again from its bytes. What it did before is not done twice.

    Raises NotFoundError, and ConflictError for one that is still being worked.
    """
    event = await webhook_events.get(uow.connection, webhook_event_id, lock=True)
    if event.state == WebhookState.RECEIVED:
        raise ConflictError("It has not been worked to its end yet.")
    await webhook_events.replay(uow.connection, event.id, now=uow.now)
    audit(
        uow,
        principal,
        entity="webhook_event",
        entity_id=f"whe_{event.id}",
        action="replay",
        before={"state": event.state, "reason": event.reason},
    )
    uow.after_commit(app.webhooks.wake)
    return WebhookEventView.of(await webhook_events.get(uow.connection, event.id))
