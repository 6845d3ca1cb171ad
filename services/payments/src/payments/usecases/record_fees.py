"""The fee of a running session is an estimate: ask Razorpay again, so that budget and bill take the true figure (P8)."""

import structlog

from contracts.charging import PlatformFeeRecorded
from contracts.payments import FeeSource, PaymentFeeRecorded
from payments.domain.qr_payment import PaymentState
from payments.domain.webhook import read_paise
from payments.repository import qr_payments
from payments.usecases.accept_qr_credit import lane_subject
from payments.usecases.context import Payments
from razorpay_client import Permanent, RazorpayError

log = structlog.get_logger(__name__)

ASKED_AT_ONCE_MAX = 20
"""Calls in one sweep: an estimate does no harm, a flood of calls might."""


async def record_fees(app: Payments) -> None:
    """Estimated → API, while the session runs. After its bill a later figure is settlement's correction, never a rewrite.

    Emits PlatformFeeRecorded into the charger's lane, and PaymentFeeRecorded for the books.
    """
    for _ in range(ASKED_AT_ONCE_MAX):
        async with app.database.transaction() as uow:
            payment = await qr_payments.claim_fee_due(uow.connection, now=uow.now)
        if payment is None:
            return
        try:
            entity = await app.razorpay.fetch_payment(payment.razorpay_payment_id, account=payment.collected_by_account_id)
        except Permanent as error:
            # Of this one payment nothing can be learnt; the others' riders need not wait for it.
            log.warning("fee.refused", qr_payment_id=payment.id, error=error.description)
            continue
        except RazorpayError:
            return  # Razorpay can't be asked; the next sweep goes on with the others
        fee_paise, tax_paise = read_paise(entity.get("fee")), read_paise(entity.get("tax"))
        if fee_paise is None:
            continue
        async with app.database.transaction() as uow:
            current = await qr_payments.find(uow.connection, payment.id, lock=True)
            open_states = (PaymentState.START_REQUESTED, PaymentState.CHARGING)
            if current is None or current.fee_source is not FeeSource.ESTIMATE or current.state not in open_states:
                continue
            await qr_payments.set_values(
                uow.connection,
                current.id,
                platform_fee_paise=fee_paise,
                platform_fee_tax_paise=tax_paise,
                fee_source=FeeSource.API.value,
            )
            uow.publish(
                PlatformFeeRecorded(
                    charge_point_id=str(current.charge_point_id), request_key=current.request_key, platform_fee_paise=fee_paise
                ),
                subject=lane_subject(current),
            )
            uow.publish(
                PaymentFeeRecorded(
                    qr_payment_id=current.id,
                    razorpay_payment_id=current.razorpay_payment_id,
                    fee_before_paise=current.platform_fee_paise,
                    tax_before_paise=current.platform_fee_tax_paise,
                    platform_fee_paise=fee_paise,
                    platform_fee_tax_paise=tax_paise,
                    recorded_at=uow.now,
                    collected_by_franchisee_id=current.collected_by_franchisee_id,
                ),
                subject=current.request_key,
            )
            log.info("fee.recorded", qr_payment_id=current.id, estimate_paise=current.platform_fee_paise, fee_paise=fee_paise)
