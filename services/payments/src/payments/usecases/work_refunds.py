"""Bring owed refunds to Razorpay: claim (committed) → call → persist (razorpay.md 0a). No transaction is open during a call.

A claim is a due time in the future. Whatever dies in between, the claim lapses, and the next worker looks at Razorpay before it
sends anything again.
"""

from datetime import timedelta

import structlog

from payments.domain.refund import (
    ATTEMPTS_MAX,
    Observed,
    RefundStatus,
    Speed,
    backoff_seconds,
    find_by_key,
    find_live,
    look_again_seconds,
)
from payments.domain.refund_history import Step, ToldBy
from payments.repository import refund_steps, refunds
from payments.repository.refunds import UNSENT, Refund
from payments.usecases.context import Payments
from payments.usecases.follow_refund import REFERENCE_EVERY, REFERENCE_WITHIN, observe
from payments.usecases.give_back import add_attempt, announce
from razorpay_client import OutcomeUnknown, Permanent, RazorpayError

log = structlog.get_logger(__name__)

INSTANT_UNSUPPORTED = "Instant refund not supported for the payment."
"""Razorpay's refusal of speed=optimum: the same amount goes at normal speed, under a new key (razorpay.md §4)."""


async def take_up_refund(app: Payments) -> bool:
    """Claim the refund that is due longest and take its next step. False: nothing is due."""
    async with app.database.transaction() as uow:
        lapses_at = uow.now + timedelta(seconds=app.settings.refund_lease_seconds)
        claimed = await refunds.claim_due(uow.connection, now=uow.now, lapses_at=lapses_at)
    if claimed is None:
        return False
    span = app.telemetry.span("refund.work", traceparent=claimed.traceparent, refund_id=claimed.id, status=claimed.status.value)
    with span:
        try:
            await _work(app, claimed)
        except Exception:
            # Ours to mend. The claim lapses by itself and the refund comes again; meanwhile the others go on.
            log.exception("refund.step_failed", refund_id=claimed.id, qr_payment_id=claimed.qr_payment_id)
    return True


async def _work(app: Payments, refund: Refund) -> None:
    """One step of one refund, as it was before the claim."""
    try:
        if refund.status in (RefundStatus.PROCESSING, RefundStatus.PROCESSED):
            await _poll(app, refund)
        elif refund.status is RefundStatus.FAILED:
            await _try_again(app, refund)
        else:
            await _send(app, refund)
    except RazorpayError as error:
        await _come_back(app, refund, error)


async def _send(app: Payments, refund: Refund) -> None:
    """Ask Razorpay for the refund, unless an earlier call of this key, or an earlier attempt, turns out to have made it."""
    may_exist = refund.calls > 0 or refund.attempt > 1
    if may_exist:
        made = find_by_key(await _listed(app, refund), refund.key)
        if made is not None:
            await _persist(app, refund, made, told_by=ToldBy.FETCH)
            return
    try:
        entity = await app.razorpay.create_refund(
            refund.razorpay_payment_id, key=refund.key, body=refund.body, account=refund.collected_by_account_id
        )
    except Permanent as error:
        await _refused(app, refund, error)
        return
    seen = Observed.from_entity(entity)
    # An answer that says "processed" already is not yet Razorpay's final word (razorpay.md §4): its event or our fetch is.
    await _persist(app, refund, seen, told_by=ToldBy.ANSWER, at_most=RefundStatus.PROCESSING)


async def _refused(app: Payments, refund: Refund, error: Permanent) -> None:
    """A refusal may hide that the refund exists ("fully refunded already", "duplicate receipt"): look, then call it failed."""
    live = await _live(app, refund)
    if live is not None:
        await _persist(app, refund, live, told_by=ToldBy.FETCH)
        return
    ids = {"refund_id": refund.id, "qr_payment_id": refund.qr_payment_id}
    log.error("refund.refused", **ids, status=error.status, error=error.description)
    instantly_again = INSTANT_UNSUPPORTED in error.description and refund.speed_requested is Speed.OPTIMUM
    async with app.database.transaction() as uow:
        row = await refunds.get(uow.connection, refund.id, lock=True)
        if row.status is not RefundStatus.CALLING:
            return  # an event has told more meanwhile
        given_up = row.attempt >= ATTEMPTS_MAX
        pause = 0 if instantly_again else app.settings.retry_seconds
        await refunds.set_values(
            uow.connection,
            row.id,
            status=RefundStatus.FAILED.value,
            last_error=error.description,
            next_attempt_at=None if given_up else uow.now + timedelta(seconds=pause),
            subject_version=row.subject_version + 1,
            updated_at=uow.now,
        )
        await refund_steps.add(uow.connection, row.id, Step.FAILED, told_by=ToldBy.ANSWER, now=uow.now, detail=error.description)
        failed = await refunds.get(uow.connection, row.id)
        announce(uow, failed)
        if not instantly_again:
            uow.after_commit(app.metrics.refund_failed.inc)
        if given_up:
            uow.after_commit(app.metrics.refund_given_up.inc)


async def _try_again(app: Payments, refund: Refund) -> None:
    """A definitively failed attempt: a new one with a key of its own, once Razorpay shows that no live refund exists.

    The amount is the failed attempt's; nothing is computed again.
    """
    live = await _live(app, refund)
    async with app.database.transaction() as uow:
        row = await refunds.get(uow.connection, refund.id, lock=True)
        newest = await refunds.newest_attempt(uow.connection, row)
        if row.status is not RefundStatus.FAILED or newest > row.attempt:
            return
        if live is not None:
            await observe(app, uow, row, live, told_by=ToldBy.FETCH, revive=True)
            return
        normal = INSTANT_UNSUPPORTED in (row.last_error or "")
        await refunds.set_values(uow.connection, row.id, next_attempt_at=None)
        await add_attempt(
            app,
            uow,
            row.qr_payment_id,
            number=row.number,
            attempt=row.attempt + 1,
            amount_paise=row.amount_paise,
            speed=Speed.NORMAL if normal else row.speed_requested,
        )


async def _poll(app: Payments, refund: Refund) -> None:
    """Razorpay has it and has not said how it ended, its webhook may be lost; or it ended, and the bank's reference lacks."""
    entity = await app.razorpay.fetch_refund(str(refund.razorpay_refund_id), account=refund.collected_by_account_id)
    await _persist(app, refund, Observed.from_entity(entity), told_by=ToldBy.FETCH)
    async with app.database.transaction() as uow:
        row = await refunds.find(uow.connection, refund.id, lock=True)
        if row is not None and row.status is RefundStatus.PROCESSING:
            later = uow.now + timedelta(seconds=app.settings.refund_poll_seconds)
            await refunds.set_values(uow.connection, row.id, next_attempt_at=later)
        elif row is not None and row.status is RefundStatus.PROCESSED:
            wanted = row.bank_reference is None and uow.now < (row.processed_at or uow.now) + REFERENCE_WITHIN
            await refunds.set_values(uow.connection, row.id, next_attempt_at=uow.now + REFERENCE_EVERY if wanted else None)


async def _listed(app: Payments, refund: Refund) -> list[Observed]:
    """Every refund of the payment, as Razorpay has them now."""
    listed = await app.razorpay.refunds_of(refund.razorpay_payment_id, account=refund.collected_by_account_id)
    return [Observed.from_entity(entity) for entity in listed]


async def _live(app: Payments, refund: Refund) -> Observed | None:
    """What already does, at Razorpay, what a new attempt of this refund would do."""
    listed = await _listed(app, refund)
    async with app.database.reading() as uow:
        taken = await refunds.known_of_others(uow.connection, refund)
    return find_live(
        listed, qr_payment_id=refund.qr_payment_id, number=refund.number, amount_paise=refund.amount_paise, taken=taken
    )


async def _persist(
    app: Payments, refund: Refund, seen: Observed, *, told_by: ToldBy, at_most: RefundStatus | None = None
) -> None:
    if at_most is not None and seen.status is RefundStatus.PROCESSED:
        seen = seen.with_status(at_most)
    async with app.database.transaction() as uow:
        row = await refunds.get(uow.connection, refund.id, lock=True)
        await observe(app, uow, row, seen, told_by=told_by)


async def _come_back(app: Payments, refund: Refund, error: RazorpayError) -> None:
    """The step brought no result. UNKNOWN where a call may have had its effect; due again after a pause that doubles."""
    tries = refund.calls + 1
    unknown = isinstance(error, OutcomeUnknown)
    if unknown:
        app.metrics.refund_unknown.inc()
    log.warning(
        "refund.unknown" if unknown else "refund.retry_later",
        refund_id=refund.id,
        qr_payment_id=refund.qr_payment_id,
        tries=tries,
        status=error.status,
        error=error.description,
    )
    async with app.database.transaction() as uow:
        row = await refunds.get(uow.connection, refund.id, lock=True)
        if row.status is not RefundStatus.CALLING:
            # A failed look at one that Razorpay has, or has refused; or an event told the result meanwhile.
            if refund.status not in UNSENT and row.next_attempt_at is not None:
                pause = look_again_seconds((uow.now - row.updated_at).total_seconds())
                await refunds.set_values(uow.connection, row.id, next_attempt_at=uow.now + timedelta(seconds=pause))
            return
        later = uow.now + timedelta(seconds=backoff_seconds(refund.key, tries))
        # Once unknown it stays unknown until Razorpay has been asked: a later refusal for now says nothing of the first call.
        status = RefundStatus.UNKNOWN if unknown or refund.status is not RefundStatus.PENDING else RefundStatus.PENDING
        version = row.subject_version + (status is RefundStatus.UNKNOWN and refund.status is not RefundStatus.UNKNOWN)
        await refunds.set_values(
            uow.connection,
            row.id,
            status=status.value,
            last_error=error.description,
            next_attempt_at=later,
            subject_version=version,
            updated_at=uow.now,
        )
        if version > row.subject_version:
            await refund_steps.add(uow.connection, row.id, Step.UNKNOWN, told_by=ToldBy.US, now=uow.now, detail=error.description)
            changed = await refunds.get(uow.connection, row.id)
            announce(uow, changed)
