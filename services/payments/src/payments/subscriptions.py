"""The broker door: what charging and settlement say, and what payments does about it."""

from collections.abc import Mapping

from chassis.messaging.events import Handler
from contracts import Event
from contracts.charging import StartExpired, StartRefused, TransactionStarted, TransactionStopped
from contracts.settlement import FranchiseeChanged
from payments.usecases.bill_session import bill_session
from payments.usecases.follow_start import link_transaction, refund_unstarted
from payments.usecases.stop_collection import follow_franchisee

QUEUE = "payments.events"

SUBSCRIPTIONS: Mapping[type[Event], Handler] = {
    StartRefused: refund_unstarted,
    StartExpired: refund_unstarted,
    TransactionStarted: link_transaction,
    TransactionStopped: bill_session,
    FranchiseeChanged: follow_franchisee,
}
