"""Work stored webhooks off: many in one transaction with their effects, so that each is worked once, or again from the start."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import structlog

from chassis.database import UnitOfWork
from chassis.messaging import is_transient
from payments.domain import rider, webhook
from payments.domain.errors import ContradictionError, MalformedEventError
from payments.domain.webhook import Envelope, WebhookState
from payments.repository import riders, webhook_events
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

BATCH_MAX = 50
"""Events in one transaction, sharing its claim and its commit. The first waits for the last: a few tenths of a second."""

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


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What one transaction took, and what hindered it."""

    events: Sequence[WebhookEvent] = ()
    waits: tuple[WebhookEvent, LookupNeeded] | None = None
    """Leased with the commit: Razorpay is to be asked first."""
    problem: Exception | None = None
    """Everything was rolled back."""


async def take_up_webhooks(app: Payments) -> bool:
    """Work the events that are due longest, in one transaction; False where none is. A failure is written down for later."""
    attempt = await _attempt(app, Lookups(), lambda uow: webhook_events.take_due(uow.connection, now=uow.now, limit=BATCH_MAX))
    await _conclude(app, attempt)
    return bool(attempt.events)


async def _conclude(app: Payments, attempt: _Attempt) -> None:
    """Find who hindered the others, by halves; ask Razorpay for the one that waits for it."""
    if attempt.problem is not None and len(attempt.events) > 1:
        log.warning("webhook.batch_divided", webhooks=len(attempt.events), error=repr(attempt.problem))
        ids = [event.id for event in attempt.events]
        for half in (ids[: len(ids) // 2], ids[len(ids) // 2 :]):
            await _conclude(app, await _attempt(app, Lookups(), partial(_take_again, half)))
    elif attempt.problem is not None:
        await _failed(app, attempt.events[0], attempt.problem)
    elif attempt.waits is not None:
        await _look_up(app, *attempt.waits)


async def _take_again(ids: Sequence[int], uow: UnitOfWork) -> list[WebhookEvent]:
    return await webhook_events.take_due(uow.connection, now=uow.now, limit=len(ids), among=ids)


async def _take_leased(event_id: int, uow: UnitOfWork) -> list[WebhookEvent]:
    return await webhook_events.take_leased(uow.connection, event_id)


async def _look_up(app: Payments, event: WebhookEvent, needed: LookupNeeded) -> None:
    """Ask, outside any transaction, and work the event anew with the answer, until it asks no more."""
    lookups = Lookups()
    while True:
        try:
            await lookups.look_up(app.razorpay, needed)
        except RazorpayError as error:
            await _failed(app, event, error)
            return
        attempt = await _attempt(app, lookups, partial(_take_leased, event.id))
        if attempt.waits is None:
            await _conclude(app, attempt)
            return
        event, needed = attempt.waits


async def _attempt(app: Payments, lookups: Lookups, take: Callable[[UnitOfWork], Awaitable[list[WebhookEvent]]]) -> _Attempt:
    """Take events and work them, in one transaction. Raises where none could be taken: the database is away."""
    events: list[WebhookEvent] = []
    try:
        async with app.database.transaction() as uow:
            events = await take(uow)
            waits = await work_events(app, uow, events, lookups)
            if waits is not None:
                # Asked for before anything of it is written. The due time keeps others away when the row's lock goes.
                event, needed = waits
                until = uow.now + timedelta(seconds=LOOKUP_LEASE_SECONDS)
                await webhook_events.postpone(uow.connection, event, reason=str(needed), until=until, attempts=event.attempts)
    except Exception as problem:
        if not events:
            raise
        return _Attempt(events, problem=problem)
    return _Attempt(events, waits)


async def work_events(
    app: Payments, uow: UnitOfWork, events: Sequence[WebhookEvent], lookups: Lookups
) -> tuple[WebhookEvent, LookupNeeded] | None:
    """The events' effects and what became of them, in the caller's transaction and their order.

    Returns the first that needs Razorpay's word, of which nothing is written yet. The others are worked up to the second of that
    kind, which is for somebody else: one call to Razorpay keeps nobody waiting but who needs it.
    """
    envelopes = [(event, webhook.parse(event.body, received_at=event.received_at)) for event in events]
    paid = [webhook.read_credit(envelope) for _, envelope in envelopes if envelope.event == "qr_code.credited"]
    if paid:
        await riders.take_turns(uow.connection, [rider.identity(contact=one.contact, vpa=one.vpa) for one in paid])
    waits: tuple[WebhookEvent, LookupNeeded] | None = None
    finished: dict[tuple[WebhookState, str | None], list[int]] = defaultdict(list)
    for event, envelope in envelopes:
        try:
            with app.telemetry.span(f"webhook {event.event}", traceparent=event.traceparent, webhook_event_id=event.id):
                result = await _handle(app, uow, event, envelope, lookups)
        except LookupNeeded as needed:
            if waits is not None:
                break
            waits = event, needed
            continue
        if isinstance(result, Later):
            until = uow.now + result.after
            await webhook_events.postpone(uow.connection, event, reason=result.reason, until=until, attempts=event.attempts)
            log.info("webhook.waits", webhook_event_id=event.id, razorpay_event=envelope.event, reason=result.reason)
            continue
        state = WebhookState.IGNORED if result is not None else WebhookState.HANDLED
        reason = result.reason if result is not None else None
        finished[state, reason].append(event.id)
        label = envelope.event if envelope.event in HANDLERS else envelope.event.partition(".")[0][:40]
        uow.after_commit(app.metrics.webhooks.labels(label, state.value).inc)
        log.info("webhook.worked", webhook_event_id=event.id, razorpay_event=envelope.event, state=state, reason=reason)
    for (state, reason), ids in finished.items():
        await webhook_events.finish_all(uow.connection, ids, state=state, reason=reason, now=uow.now)
    return waits


async def _handle(
    app: Payments, uow: UnitOfWork, event: WebhookEvent, envelope: Envelope, lookups: Lookups
) -> Ignored | Later | None:
    handler = HANDLERS.get(envelope.event)
    if handler is not None:
        return await handler(app, uow, event, envelope, lookups)
    if envelope.event.startswith(webhook.FORWARDED_PREFIXES):
        await forward_razorpay_event(app, uow, event, envelope)
        return None
    return Ignored("payments does not act on this event")


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
