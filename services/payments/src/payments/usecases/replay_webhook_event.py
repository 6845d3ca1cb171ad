"""An operator has a stored event worked again, or looks first at what that would do."""

from dataclasses import replace
from typing import Any, cast

import structlog

from chassis.database import UnitOfWork
from chassis.web import Principal
from payments.domain.errors import ConflictError
from payments.domain.webhook import WebhookState, storable
from payments.repository import webhook_events
from payments.repository.changes import watching
from payments.repository.webhook_events import WebhookEvent
from payments.tables import webhook_events as webhook_events_table
from payments.usecases.audit import audit
from payments.usecases.context import Payments
from payments.usecases.lookups import Unasked
from payments.usecases.work_webhooks import is_final, work_events
from payments.views import WebhookEventId, WebhookEventView, WebhookReplayPreview, WebhookReplayQuery
from razorpay_client import Razorpay


async def replay_webhook_event(
    app: Payments, webhook_event_id: WebhookEventId, query: WebhookReplayQuery, principal: Principal
) -> WebhookEventView | WebhookReplayPreview:
    """`POST /v1/webhook-events/{id}/replay`: work it again from its bytes. What it did before is not done twice.

    `?preview=true` says what that would do, and does nothing. Raises NotFoundError, and ConflictError for one that is still
    being worked.
    """
    if query.preview:
        return await _preview(app, webhook_event_id)
    async with app.database.transaction() as uow:
        event = await _finished(uow, webhook_event_id)
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


async def _finished(uow: UnitOfWork, webhook_event_id: int) -> WebhookEvent:
    event = await webhook_events.get(uow.connection, webhook_event_id, lock=True)
    if event.state == WebhookState.RECEIVED:
        raise ConflictError("It has not been worked to its end yet.")
    return event


class _Seen(Exception):
    """Ends the rehearsal's transaction, which must never commit."""

    def __init__(self, preview: WebhookReplayPreview) -> None:
        self.preview = preview


class _NobodyIsCalled:
    """In the place of whatever would reach beyond the transaction."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"{name} was called in a preview, which calls nobody")


async def _preview(app: Payments, webhook_event_id: int) -> WebhookReplayPreview:
    """The real handler on the real rows, in a transaction that is rolled back: hints after its commit are never given."""
    rehearsed = replace(app, razorpay=cast("Razorpay", _NobodyIsCalled()))
    try:
        with structlog.contextvars.bound_contextvars(preview=True):  # or the log would tell of payments that nobody made
            async with app.database.transaction() as uow:
                raise _Seen(await _rehearse(rehearsed, uow, webhook_event_id))
    except _Seen as seen:
        return seen.preview


async def _rehearse(app: Payments, uow: UnitOfWork, webhook_event_id: int) -> WebhookReplayPreview:
    was = await _finished(uow, webhook_event_id)
    await webhook_events.replay(uow.connection, was.id, now=uow.now)
    event = await webhook_events.get(uow.connection, was.id)
    unasked = Unasked()
    with watching(uow.connection) as changes:
        try:
            waits = await work_events(app, uow, [event], unasked)
        except Exception as error:  # noqa: BLE001  (whatever hinders it is what the operator wants to see)
            state = WebhookState.FAILED if is_final(event, error) else WebhookState.RECEIVED
            reason = storable(f"{type(error).__name__}: {error}")
            return WebhookReplayPreview.undecided(was, state=state, reason=reason, asks=unasked.asked)
    if waits is not None:
        _, needed = waits
        return WebhookReplayPreview.undecided(was, state=WebhookState.RECEIVED, reason=str(needed), asks=unasked.asked)
    now_is = await webhook_events.get(uow.connection, was.id)
    written = [change for change in await changes.read(uow.connection) if change.table != webhook_events_table.name]
    return WebhookReplayPreview.of(was, now_is, asks=unasked.asked, changes=written, announced=uow.announced)
