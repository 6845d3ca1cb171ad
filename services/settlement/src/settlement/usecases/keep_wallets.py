"""Wallets in the books: recharges, their fees, sessions paid from them; and what payments counted, to be held against them."""

from datetime import timedelta

import structlog

from chassis.database import UnitOfWork
from contracts.wallets import RechargeFeeRecorded as FeeHeard
from contracts.wallets import WalletRecharged, WalletsCounted, WalletSessionBilled
from settlement.domain.books import RechargeCaptured, RechargeFeeRecorded
from settlement.domain.difference import Difference
from settlement.domain.session_bill import WalletBill
from settlement.repository import books, matches, wallet_counts
from settlement.usecases.context import Settlement
from settlement.usecases.keep_books import post
from settlement.usecases.note_moves import note_payment
from settlement.usecases.record_bill import record_bill

log = structlog.get_logger(__name__)

ON_ITS_WAY = timedelta(hours=1)
"""What payments counted is compared when it has rested for so long: the news of a recharge may come after the count's."""


async def book_recharge(app: Settlement, uow: UnitOfWork, event: WalletRecharged) -> None:
    """`payments.wallet_recharged`."""
    captured = RechargeCaptured(
        occurred_at=event.credited_at,
        recharge_payment_id=event.recharge_payment_id,
        amount_paise=event.amount_paise,
        fee_paise=event.fee_paise,
        tax_paise=event.fee_tax_paise,
    )
    await post(app, uow, captured)
    await note_payment(
        app,
        uow,
        razorpay_payment_id=event.razorpay_payment_id,
        subject=captured.subject,
        amount_paise=event.amount_paise,
        at=event.credited_at,
    )


async def book_recharge_fee(app: Settlement, uow: UnitOfWork, event: FeeHeard) -> None:
    """`payments.recharge_fee_recorded`."""
    recorded = RechargeFeeRecorded(
        occurred_at=event.recorded_at,
        recharge_payment_id=event.recharge_payment_id,
        fee_paise=event.fee_paise,
        tax_paise=event.fee_tax_paise,
    )
    await post(app, uow, recorded)
    if await matches.hurry(uow.connection, [event.razorpay_payment_id], now=uow.now):
        uow.after_commit(app.statement.wake)


async def record_wallet_bill(app: Settlement, uow: UnitOfWork, event: WalletSessionBilled) -> None:
    """`payments.wallet_session_billed`: booked, and split like any bill. Emits LedgerEntryCreated."""
    await record_bill(app, uow, WalletBill.model_validate(event.model_dump()))


async def keep_wallet_count(_app: Settlement, uow: UnitOfWork, event: WalletsCounted) -> None:
    """`payments.wallets_counted`: kept for the nightly check."""
    await wallet_counts.add(
        uow.connection, at=event.at, wallets=event.wallets, balance_paise=event.balance_paise, received_at=uow.now
    )


async def check_wallets(app: Settlement) -> list[Difference]:
    """The control account was, at the last count that has rested, what all wallets came to by payments' own entries."""
    async with app.database.reading() as uow:
        counted = await wallet_counts.newest(uow.connection, before=uow.now - ON_ITS_WAY)
        if counted is None:
            return []
        debits, credits_, _ = (await books.sums(uow.connection, before=counted.at)).get("wallet_liability", (0, 0, 0))
    booked = credits_ - debits
    if booked == counted.balance_paise:
        return []
    words = f"was {booked} paise at {counted.at.isoformat()}; {counted.wallets} wallets came to {counted.balance_paise}"
    return [Difference("account wallet_liability", words)]
