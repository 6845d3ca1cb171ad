"""Payments that charging has not answered: alarm, ask again, ask to cancel. Never a refund on our own clock."""

from datetime import timedelta

import structlog

from payments.repository import qr_payments
from payments.usecases.accept_qr_credit import cancel_request, lane_subject, start_request
from payments.usecases.context import Payments

log = structlog.get_logger(__name__)

CHASED_AT_ONCE_MAX = 100
"""After a long outage there are many; each sweep takes some."""


async def chase_unanswered_starts(app: Payments) -> None:
    """The same wish again, under the same key, then a wish to cancel it, both into the charger's lane.

    If charging never got the first, it reads this one after its deadline and answers "expired" at once. If it knows the
    request, the repeat changes nothing and the cancel ends it, unless a transaction runs, which then is the answer.
    """
    async with app.database.transaction() as uow:
        overdue = uow.now - timedelta(seconds=app.settings.start_answer_grace_seconds)
        chased_before = uow.now - timedelta(seconds=app.settings.retry_seconds)
        app.metrics.unanswered.set(await qr_payments.count_unanswered(uow.connection, due_before=overdue))
        waiting = await qr_payments.take_unanswered(
            uow.connection, due_before=overdue, chased_before=chased_before, limit=CHASED_AT_ONCE_MAX
        )
        for payment in waiting:
            uow.publish(start_request(payment, deadline=payment.start_deadline), subject=lane_subject(payment))
            uow.publish(cancel_request(payment), subject=lane_subject(payment))
            await qr_payments.set_values(uow.connection, payment.id, start_chased_at=uow.now)
            log.error(
                "payment.unanswered",
                qr_payment_id=payment.id,
                charge_point_id=payment.charge_point_id,
                deadline=payment.start_deadline,
            )
        uow.after_commit(lambda: app.metrics.start_unanswered.inc(len(waiting)))
