"""Razorpay's events as they came, to read."""

from chassis.database import UnitOfWork
from chassis.web import Page, fetch_page
from payments import tables
from payments.repository import webhook_events
from payments.views import WebhookEventDetail, WebhookEventId, WebhookEventQuery, WebhookEventView


async def list_webhook_events(uow: UnitOfWork, query: WebhookEventQuery) -> Page[WebhookEventView]:
    """`GET /v1/webhook-events`, newest first."""
    statement = webhook_events.listing(
        state=query.state, event=query.event, razorpay_event_id=query.razorpay_event_id, account_id=query.account_id
    )
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
