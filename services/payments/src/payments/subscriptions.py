"""The broker door: what charging says, and what payments does about it."""

from collections.abc import Mapping

from chassis.messaging.events import Handler
from contracts import Event
from contracts.charging import StartExpired, StartRefused, TransactionStarted, TransactionStopped
from payments.usecases.bill_session import bill_session
from payments.usecases.follow_start import link_transaction, refund_unstarted

QUEUE = "payments.events"

SUBSCRIPTIONS: Mapping[type[Event], Handler] = {
    StartRefused: refund_unstarted,
    StartExpired: refund_unstarted,
    TransactionStarted: link_transaction,
    TransactionStopped: bill_session,
}
