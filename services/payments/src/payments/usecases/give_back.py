"""Money that goes back to the rider: decided in a transaction, carried out by the refund worker."""

import structlog

from chassis.database import UnitOfWork
from chassis.telemetry import current_traceparent
from contracts.payments import PaymentRefundedInFull, RefundChanged
from money import MIN_REFUND_PAISE
from payments.domain import refund
from payments.domain.qr_code import ENVIRONMENT_NOTE
from payments.domain.qr_payment import Trigger, moved, next_state
from payments.domain.refund import Speed
from payments.domain.refund_history import Step, ToldBy
from payments.repository import qr_payments, refund_steps, refunds
from payments.repository.qr_payments import QrPayment
from payments.repository.refunds import Refund
from payments.usecases.context import Payments

log = structlog.get_logger(__name__)


async def give_back_all(
    app: Payments,
    uow: UnitOfWork,
    payment: QrPayment,
    *,
    trigger: Trigger,
    reason: str,
    detail: str,
    transaction_id: int | None = None,
) -> None:
    """The payment was not served, or nothing was delivered for it: all of it is owed, the fee included. A repeat changes nothing.

    Raises ContradictionError where the payment was billed. Emits PaymentRefundedInFull.
    """
    state = next_state(payment.state, trigger)
    if state is None:
        return
    await qr_payments.set_values(
        uow.connection,
        payment.id,
        state=state.value,
        refund_reason=reason,
        refund_detail=detail,
        transaction_id=transaction_id,
        updated_at=uow.now,
    )
    uow.publish(
        PaymentRefundedInFull(
            qr_payment_id=payment.id,
            razorpay_payment_id=payment.razorpay_payment_id,
            transaction_id=transaction_id,
            amount_paise=payment.amount_paise,
            platform_fee_paise=payment.platform_fee_paise,
            platform_fee_tax_paise=payment.platform_fee_tax_paise,
            reason=reason,
            decided_at=uow.now,
        ),
        subject=payment.request_key,
    )
    uow.after_commit(lambda: app.metrics.not_served.labels(reason).inc())
    log.info("payment.given_back", qr_payment_id=payment.id, amount_paise=payment.amount_paise, reason=reason)
    refunded = await owe(app, uow, payment, amount_paise=payment.amount_paise, reason=reason)
    if not refunded:
        state = moved(state, Trigger.TOO_SMALL_TO_REFUND)
        await qr_payments.set_values(uow.connection, payment.id, state=state.value)


async def owe(app: Payments, uow: UnitOfWork, payment: QrPayment, *, amount_paise: int, reason: str) -> bool:
    """Owe the rider an amount: a refund from 100 paise, below that a residue. Returns whether it is a refund."""
    if amount_paise < MIN_REFUND_PAISE:
        await qr_payments.add_residue(
            uow.connection, qr_payment_id=payment.id, amount_paise=amount_paise, reason=reason, now=uow.now
        )
        uow.after_commit(lambda: app.metrics.residue.inc(amount_paise))
        log.info("residue.booked", qr_payment_id=payment.id, amount_paise=amount_paise, reason=reason)
        return False
    await add_attempt(app, uow, payment.id, attempt=1, amount_paise=amount_paise, speed=app.settings.refund_speed)
    return True


async def add_attempt(
    app: Payments,
    uow: UnitOfWork,
    qr_payment_id: int,
    *,
    attempt: int,
    amount_paise: int,
    speed: Speed,
    number: int = refund.AUTOMATIC,
) -> Refund:
    """A refund with its key, amount and body frozen, PENDING; the worker is woken once it is committed."""
    key = refund.refund_key(qr_payment_id, attempt, number)
    notes = {"qr_payment": str(qr_payment_id), ENVIRONMENT_NOTE: app.settings.qr_mark}
    row = await refunds.add(
        uow.connection,
        qr_payment_id=qr_payment_id,
        number=number,
        attempt=attempt,
        key=key,
        amount_paise=amount_paise,
        body=refund.request_body(key=key, amount_paise=amount_paise, speed=speed, notes=notes),
        speed=speed,
        traceparent=current_traceparent(),
        now=uow.now,
    )
    await refund_steps.add(uow.connection, row.id, Step.REQUESTED, told_by=ToldBy.US, now=uow.now)
    announce(uow, row)
    uow.after_commit(app.refunds.wake)
    log.info(
        "refund.owed", refund_id=row.id, qr_payment_id=qr_payment_id, amount_paise=amount_paise, number=number, attempt=attempt
    )
    return row


def announce(uow: UnitOfWork, row: Refund) -> None:
    """Say where a refund stands now."""
    uow.publish(
        RefundChanged(
            refund_id=row.id,
            qr_payment_id=row.qr_payment_id,
            razorpay_refund_id=row.razorpay_refund_id,
            status=row.status.value,
            amount_paise=row.amount_paise,
            bank_reference=row.bank_reference,
            number=row.number,
            subject_version=row.subject_version,
            at=uow.now,
        ),
        subject=f"refund/{row.id}",
    )
