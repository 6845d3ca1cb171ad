"""The broker's door: message type → use case."""

from collections.abc import Mapping

from chassis.messaging.events import Handler
from contracts.payments import PaymentBilled, RazorpayEventReceived
from settlement.usecases.receive_razorpay_event import receive_razorpay_event
from settlement.usecases.record_bill import record_bill

QUEUE = "settlement.events"

HANDLERS: Mapping[type, Handler] = {
    PaymentBilled: record_bill,
    RazorpayEventReceived: receive_razorpay_event,
}
