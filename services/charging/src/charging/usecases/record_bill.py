"""What payments billed is read back: transactions keep energy charge, GST and total as columns."""

import sqlalchemy as sa

from charging.tables import transactions
from charging.usecases.context import Charging
from chassis.database import UnitOfWork
from contracts.payments import PaymentBilled


async def record_bill(app: Charging, uow: UnitOfWork, event: PaymentBilled) -> None:
    """Not through the lane: these columns are nobody else's, and the transaction is final."""
    del app
    await uow.connection.execute(
        sa.update(transactions)
        .where(transactions.c.id == event.transaction_id)
        .values(
            energy_charge_paise=event.energy_charge_paise,
            gst_amount_paise=event.gst_paise,
            total_billed_paise=event.energy_charge_paise + event.gst_paise + event.platform_fee_paise,
        )
    )
