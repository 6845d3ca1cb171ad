"""What Razorpay says of a refund, by webhook, answer or fetch: forward only, whatever order the words come in."""

from datetime import timedelta

import structlog

from chassis.database import UnitOfWork
from payments.domain.errors import ContradictionError, MalformedEventError
from payments.domain.qr_payment import Trigger, next_state
from payments.domain.refund import ATTEMPTS_MAX, Observed, RefundStatus, advance
from payments.domain.refund_history import ToldBy, steps_of
from payments.domain.webhook import Envelope
from payments.repository import qr_payments, refund_steps, refunds
from payments.repository.refunds import Refund
from payments.repository.webhook_events import WebhookEvent
from payments.usecases.context import Payments
from payments.usecases.give_back import announce
from payments.usecases.lookups import Lookups
from payments.usecases.outcome import Ignored

log = structlog.get_logger(__name__)

REFERENCE_EVERY = timedelta(days=1)
"""How often a processed refund without a bank's reference is looked up."""
REFERENCE_WITHIN = timedelta(days=8)
"""And for how long: a week and a day, after which a bank that has not told it will not."""


async def follow_refund(
    app: Payments, uow: UnitOfWork, event: WebhookEvent, envelope: Envelope, _lookups: Lookups
) -> Ignored | None:
    """`refund.created`, `.processed`, `.failed`, `.speed_changed`. The entity's own status counts, not the event's name:
    refund.created's sample says "processed", and a late event may be a snapshot of an earlier moment.
    """
    entity = envelope.entity("refund")
    if entity is None or not isinstance(entity.get("id"), str):
        raise MalformedEventError(f"{envelope.event} without a refund")
    seen = Observed.from_entity(entity)
    row = await refunds.find_for_event(
        uow.connection,
        razorpay_refund_id=seen.razorpay_refund_id,
        receipt=seen.receipt,
        razorpay_payment_id=seen.razorpay_payment_id,
    )
    if row is None:
        return Ignored("UNKNOWN_REFUND: not made by us")
    await observe(app, uow, row, seen, told_by=ToldBy.WEBHOOK, webhook_event_id=event.id)
    return None


async def observe(
    app: Payments,
    uow: UnitOfWork,
    row: Refund,
    seen: Observed,
    *,
    told_by: ToldBy,
    webhook_event_id: int | None = None,
    revive: bool = False,
) -> Refund:
    """Write down what Razorpay says of a refund whose row is locked. Returns the row as it is now. Emits RefundChanged.

    `revive`: Razorpay itself lists as live what we took for failed, so its word counts in place of ours.
    Raises ContradictionError where a failed refund went through after a new attempt was made: two may be on their way.
    """
    status = seen.status if revive and row.status is RefundStatus.FAILED else advance(row.status, seen.status)
    if row.status is RefundStatus.FAILED and status is not RefundStatus.FAILED:
        newest = await refunds.newest_attempt(uow.connection, row)
        if newest > row.attempt:
            raise ContradictionError(f"refund {row.id} failed, was followed by attempt {newest}, and is {seen.status} after all")
    changed: dict[str, object] = {
        "razorpay_refund_id": row.razorpay_refund_id or seen.razorpay_refund_id,
        "bank_reference": seen.bank_reference or row.bank_reference,
        "reference_kind": seen.reference_kind or row.reference_kind,
        "speed_processed": seen.speed_processed or row.speed_processed,
    }
    moved = status is not row.status
    if not moved and all(getattr(row, name) == value for name, value in changed.items()):
        return row
    changed |= {"status": status.value, "subject_version": row.subject_version + 1, "updated_at": uow.now}
    if moved:
        changed |= _next_step(app, uow, row, status, referenced=changed["bank_reference"] is not None)
    await refunds.set_values(uow.connection, row.id, **changed)
    now_is = await refunds.get(uow.connection, row.id)
    for step, detail in steps_of(
        status_before=row.status,
        status=status,
        speed_requested=row.speed_requested,
        speed_before=row.speed_processed,
        speed=now_is.speed_processed,
        reference_before=row.bank_reference,
        reference=now_is.bank_reference,
        reference_kind=now_is.reference_kind,
    ):
        await refund_steps.add(
            uow.connection,
            row.id,
            step,
            told_by=told_by,
            now=uow.now,
            detail=detail,
            webhook_event_id=webhook_event_id,
        )
    announce(uow, now_is)
    log.info(
        "refund.changed",
        refund_id=row.id,
        qr_payment_id=row.qr_payment_id,
        before=row.status,
        after=status,
        amount_paise=row.amount_paise,
        razorpay_refund_id=now_is.razorpay_refund_id,
        bank_reference=now_is.bank_reference,
    )
    if moved and status is RefundStatus.PROCESSED:
        await _rider_has_it(uow, row)
    return now_is


def _next_step(app: Payments, uow: UnitOfWork, row: Refund, status: RefundStatus, *, referenced: bool) -> dict[str, object]:
    """When the worker looks at it again, and what is counted."""
    if status is RefundStatus.PROCESSED:
        # The bank's reference often comes after "processed", and by no event of its own.
        look = None if referenced else uow.now + REFERENCE_EVERY
        return {"next_attempt_at": look, "processed_at": uow.now, "last_error": None}
    if status is RefundStatus.PROCESSING:
        return {"next_attempt_at": uow.now + timedelta(seconds=app.settings.refund_poll_seconds), "last_error": None}
    uow.after_commit(app.metrics.refund_failed.inc)
    if row.attempt >= ATTEMPTS_MAX:
        uow.after_commit(app.metrics.refund_given_up.inc)
        log.error("refund.given_up", refund_id=row.id, qr_payment_id=row.qr_payment_id, attempts=row.attempt)
        return {"next_attempt_at": None}
    return {"next_attempt_at": uow.now + timedelta(seconds=app.settings.retry_seconds)}


async def _rider_has_it(uow: UnitOfWork, row: Refund) -> None:
    payment = await qr_payments.get(uow.connection, row.qr_payment_id, lock=True)
    state = next_state(payment.state, Trigger.REFUND_PROCESSED)
    if state is not None:
        await qr_payments.set_values(uow.connection, payment.id, state=state.value, updated_at=uow.now)
