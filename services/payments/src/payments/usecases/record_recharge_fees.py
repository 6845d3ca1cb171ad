"""A recharge came without its fee: ask Razorpay until it tells, so that the books bear what it charged."""

import structlog

from contracts.wallets import RechargeFeeRecorded
from payments.domain.webhook import read_paise
from payments.repository import recharges
from payments.usecases.context import Payments
from payments.usecases.record_fees import ASKED_AT_ONCE_MAX
from razorpay_client import Permanent, RazorpayError

log = structlog.get_logger(__name__)


async def record_recharge_fees(app: Payments) -> None:
    """Unknown → API. The rider has all of the money whatever it is. Emits RechargeFeeRecorded."""
    for _ in range(ASKED_AT_ONCE_MAX):
        async with app.database.transaction() as uow:
            payment = await recharges.claim_fee_due(uow.connection, now=uow.now)
        if payment is None:
            return
        try:
            entity = await app.razorpay.fetch_payment(payment.razorpay_payment_id)
        except Permanent as error:
            # Of this one payment nothing can be learnt; the others need not wait for it.
            log.warning("recharge_fee.refused", recharge_payment_id=payment.id, error=error.description)
            continue
        except RazorpayError:
            return  # Razorpay can't be asked; the next sweep goes on with the others
        fee_paise, tax_paise = read_paise(entity.get("fee")), read_paise(entity.get("tax"))
        if fee_paise is None:
            continue
        async with app.database.transaction() as uow:
            if not await recharges.tell_fee(uow.connection, payment.id, fee_paise=fee_paise, tax_paise=tax_paise):
                continue
            uow.publish(
                RechargeFeeRecorded(
                    recharge_payment_id=payment.id,
                    razorpay_payment_id=payment.razorpay_payment_id,
                    fee_paise=fee_paise,
                    fee_tax_paise=tax_paise,
                    recorded_at=uow.now,
                ),
                subject=f"recharge_payment/{payment.id}",
            )
            log.info("recharge_fee.recorded", recharge_payment_id=payment.id, fee_paise=fee_paise)
