"""What payments billed is read back: transactions keep energy charge, GST and total as columns."""

import sqlalchemy as sa

from charging.tables import transactions
from charging.usecases.context import Charging
from chassis.database import UnitOfWork
from contracts.payments import PaymentBilled
from contracts.wallets import WalletSessionBilled


async def record_bill(app: Charging, uow: UnitOfWork, event: PaymentBilled) -> None:
    """Not through the lane: these columns are nobody else's, and the transaction is final."""
    del app
    total = event.energy_charge_paise + event.gst_paise + event.platform_fee_paise
    await _write(uow, event, total_billed_paise=total)


async def record_wallet_bill(app: Charging, uow: UnitOfWork, event: WalletSessionBilled) -> None:
    """The same of a session that a wallet paid."""
    del app
    await _write(uow, event, total_billed_paise=event.billed_paise)


async def _write(uow: UnitOfWork, event: PaymentBilled | WalletSessionBilled, *, total_billed_paise: int) -> None:
    await uow.connection.execute(
        sa.update(transactions)
        .where(transactions.c.id == event.transaction_id)
        .values(
            energy_charge_paise=event.energy_charge_paise,
            gst_amount_paise=event.gst_paise,
            total_billed_paise=total_billed_paise,
        )
    )
