"""How many refunds wait for longer than they should: the alarm for a Razorpay outage, a low balance, or a stuck one."""

from datetime import timedelta

from payments.domain.refund import PROCESSING_WITHIN
from payments.repository import refunds
from payments.usecases.context import Payments


async def watch_refunds(app: Payments) -> None:
    """Sets two gauges: owed since more than `retry_seconds`, and Razorpay is not known to have them; or it has them for days."""
    async with app.database.reading() as uow:
        since = uow.now - timedelta(seconds=app.settings.retry_seconds)
        app.metrics.refunds_overdue.set(await refunds.count_overdue(uow.connection, owed_before=since))
        app.metrics.refunds_stuck.set(await refunds.count_processing(uow.connection, since_before=uow.now - PROCESSING_WITHIN))
