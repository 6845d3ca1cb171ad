"""The broker door: what charging and settlement say, and what payments does about it."""

from collections.abc import Mapping
from typing import Any

from chassis.database import UnitOfWork
from chassis.messaging.events import Handler
from contracts import Event
from contracts.charging import StartExpired, StartRefused, TransactionStarted, TransactionStopped
from contracts.settlement import FranchiseeChanged
from payments.usecases.bill_session import bill_session
from payments.usecases.bill_wallet_session import bill_wallet_session
from payments.usecases.context import Payments
from payments.usecases.follow_start import link_transaction, refund_unstarted
from payments.usecases.follow_wallet_session import link_wallet_transaction, release_unstarted
from payments.usecases.stop_collection import follow_franchisee

QUEUE = "payments.events"


def whoever_pays(*handlers: Handler) -> Handler:
    """A session of charging's is paid by a QR payment or by a wallet, as its request key says: each passes over the other's."""

    async def handle(app: Payments, uow: UnitOfWork, event: Any) -> None:
        for handler in handlers:
            await handler(app, uow, event)

    handle.__name__ = "_or_".join(handler.__name__ for handler in handlers)
    return handle


SUBSCRIPTIONS: Mapping[type[Event], Handler] = {
    FranchiseeChanged: follow_franchisee,
    StartRefused: whoever_pays(refund_unstarted, release_unstarted),
    StartExpired: whoever_pays(refund_unstarted, release_unstarted),
    TransactionStarted: whoever_pays(link_transaction, link_wallet_transaction),
    TransactionStopped: whoever_pays(bill_session, bill_wallet_session),
}
