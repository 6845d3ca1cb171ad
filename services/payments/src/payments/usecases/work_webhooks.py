"""Work stored webhooks off: each in one transaction with its effects, so that it is worked once, or again from the beginning."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from chassis.database import UnitOfWork
from chassis.messaging import is_transient
from payments.domain import webhook
from payments.domain.errors import ContradictionError, MalformedEventError
from payments.domain.webhook import Envelope, WebhookState
from payments.repository import webhook_events
from payments.repository.webhook_events import WebhookEvent
from payments.usecases.accept_qr_credit import accept_qr_credit
from payments.usecases.context import Payments
from payments.usecases.credit_recharge import credit_recharge
from payments.usecases.follow_qr_code import follow_qr_code_closed
from payments.usecases.follow_refund import follow_refund
from payments.usecases.forward_razorpay_event import forward_razorpay_event
from payments.usecases.lookups import LookupNeeded, Lookups
from payments.usecases.outcome import Ignored, Later
from razorpay_client import RazorpayError

log = structlog.get_logger(__name__)

RETRY_SECONDS = (5, 10, 60, 300, 1800, 7200)
"""After a failure; then FAILED, with an alarm, until an operator replays it. Two and a half hours outlast a deployment."""

PASSING_SECONDS_MAX = 60
"""Razorpay or the database is away: a rider's money waits behind this event, so it is tried every minute until they are back."""

LOOKUP_LEASE_SECONDS = 90
"""How long an event that is being looked up at Razorpay is left alone by others: longer than any call."""

Handler = Callable[[Payments, UnitOfWork, WebhookEvent, Envelope, Lookups], Awaitable[Ignored | Later | None]]

HANDLERS: dict[str, Handler] = {
    "qr_code.credited": accept_qr_credit,
    "qr_code.closed": follow_qr_code_closed,
    "payment.captured": credit_recharge,
    "refund.created": follow_refund,
    "refund.processed": follow_refund,
    "refund.failed": follow_refund,
    "refund.speed_changed": follow_refund,
}
"""What payments acts on itself. A QR payment fires `payment.captured` too, without an order: sessions act on `qr_code.credited`
only, wallets on `payment.captured` with an order only."""


async def take_up_webhook(app: Payments) -> bool:
    """Work the event that is due longest; False where none is. A failure is written down, and the event comes again later."""
    lookups = Lookups()
    event, problem = await _attempt(app, lookups)
    taken = event is not None
    while event is not None and isinstance(problem, LookupNeeded):
        try:
            await lookups.look_up(app.razorpay, problem)
        except RazorpayError as error:
            problem = error
        else:
            event, problem = await _attempt(app, lookups, event_id=event.id)
    if event is not None and problem is not None:
        await _failed(app, event, problem)
    return taken


async def _attempt(
    app: Payments, lookups: Lookups, *, event_id: int | None = None
) -> tuple[WebhookEvent | None, Exception | None]:
    """Take an event and work it, in one transaction: (the event, what hindered it). Raises where none could be taken."""
    event: WebhookEvent | None = None
    try:
        async with app.database.transaction() as uow:
            event = await webhook_events.take_due(uow.connection, now=uow.now, event_id=event_id)
            if event is None:
                return None, None
            try:
                with app.telemetry.span(f"webhook {event.event}", traceparent=event.traceparent, webhook_event_id=event.id):
                    await work_event(app, uow, event, lookups)
            except LookupNeeded as needed:
                # Asked for before anything is written. The due time keeps others away when the row's lock goes.
                until = uow.now + timedelta(seconds=LOOKUP_LEASE_SECONDS)
                await webhook_events.postpone(uow.connection, event, reason=str(needed), until=until, attempts=event.attempts)
                return event, needed
    except Exception as problem:
        if event is None:
            raise  # the database is away: the sweep comes back
        return event, problem
    return event, None


async def work_event(app: Payments, uow: UnitOfWork, event: WebhookEvent, lookups: Lookups) -> None:
    """The event's effects and what became of it, in the caller's transaction. Raises LookupNeeded before anything is written."""
    envelope = webhook.parse(event.body, received_at=event.received_at)
    handler = HANDLERS.get(envelope.event)
    result: Ignored | Later | None
    if handler is not None:
        result = await handler(app, uow, event, envelope, lookups)
    elif envelope.event.startswith(webhook.FORWARDED_PREFIXES):
        await forward_razorpay_event(app, uow, event, envelope)
        result = None
    else:
        result = Ignored("payments does not act on this event")
    if isinstance(result, Later):
        until = uow.now + result.after
        await webhook_events.postpone(uow.connection, event, reason=result.reason, until=until, attempts=event.attempts)
        log.info("webhook.waits", webhook_event_id=event.id, razorpay_event=envelope.event, reason=result.reason)
        return
    state = WebhookState.IGNORED if result is not None else WebhookState.HANDLED
    await webhook_events.finish(uow.connection, event, state=state, reason=result.reason if result else None, now=uow.now)
    label = envelope.event if handler is not None else envelope.event.partition(".")[0][:40]
    uow.after_commit(lambda: app.metrics.webhooks.labels(label, state.value).inc())
    log.info(
        "webhook.worked",
        webhook_event_id=event.id,
        razorpay_event=envelope.event,
        state=state,
        reason=result.reason if result else None,
    )


def _passes(error: Exception) -> bool:
    return is_transient(error) or isinstance(error, RazorpayError)


def is_final(event: WebhookEvent, error: Exception) -> bool:
    """Whether the event is FAILED by this error rather than tried again."""
    if isinstance(error, MalformedEventError | ContradictionError):
        return True
    return event.attempts >= len(RETRY_SECONDS) and not _passes(error)


async def _failed(app: Payments, event: WebhookEvent, error: Exception) -> None:
    """Try again by the ladder. What can't be read, or can't be true, is FAILED at once; what passes by itself never fails."""
    passing, final = _passes(error), is_final(event, error)
    reason = webhook.storable(f"{type(error).__name__}: {error}")
    async with app.database.transaction() as uow:
        if final:
            ours = await webhook_events.finish(uow.connection, event, state=WebhookState.FAILED, reason=reason, now=uow.now)
        else:
            pause = RETRY_SECONDS[min(event.attempts, len(RETRY_SECONDS) - 1)]
            until = uow.now + timedelta(seconds=min(pause, PASSING_SECONDS_MAX) if passing else pause)
            ours = await webhook_events.postpone(uow.connection, event, reason=reason, until=until, attempts=event.attempts + 1)
    if not ours:
        return  # its lock went with the rollback, and somebody else tried, and wrote down, the same
    if final:
        app.metrics.webhook_failed.inc()
        log.error(
            "webhook.failed", webhook_event_id=event.id, razorpay_event=event.event, attempts=event.attempts, exc_info=error
        )
    else:
        log.warning("webhook.retry_later", webhook_event_id=event.id, razorpay_event=event.event, error=reason, exc_info=error)
