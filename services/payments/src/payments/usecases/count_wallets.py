"""Every night: are wallets what their entries and holds make them, and what do they come to altogether?"""

from datetime import timedelta

import structlog

from chassis.database import UnitOfWork
from contracts.wallets import WalletsCounted
from payments.repository import wallets
from payments.usecases.context import Payments
from payments.views import WalletControlQuery, WalletControlView

log = structlog.get_logger(__name__)

ON_ITS_WAY = timedelta(minutes=2)
"""An entry bears its transaction's begin: what is so old is committed, or will never be."""


async def count_wallets(app: Payments) -> None:
    """Set the gauge of wallets that differ: 0 is what it should say every morning. Emits WalletsCounted for the books."""
    async with app.database.transaction() as uow:
        differ = await wallets.that_differ(uow.connection)
        at = uow.now - ON_ITS_WAY
        made, balance_paise = await wallets.total(uow.connection, before=at)
        uow.publish(WalletsCounted(at=at, wallets=made, balance_paise=balance_paise), subject="wallets")
    app.metrics.wallets_differing.set(len(differ))
    for wallet_id, words in differ[:100]:
        log.error("wallet.differs", wallet_id=wallet_id, words=words)
    log.info("wallets.counted", wallets=made, balance_paise=balance_paise, differences=len(differ))


async def show_wallet_control(uow: UnitOfWork, query: WalletControlQuery) -> WalletControlView:
    """`GET /v1/wallets/control`: the sum of all wallets at a time, which the books' wallet_liability must be."""
    made, balance_paise = await wallets.total(uow.connection, before=query.at)
    return WalletControlView(at=query.at or uow.now, wallets=made, balance_paise=balance_paise)
