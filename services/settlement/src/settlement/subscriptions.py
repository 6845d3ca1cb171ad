"""The broker's door: message type → use case."""

from collections.abc import Mapping

from chassis.messaging.events import Handler
from contracts.payments import (
    OperatorRefundDecided,
    PaymentBilled,
    PaymentFeeRecorded,
    PaymentReceived,
    PaymentRefundedInFull,
    RazorpayEventReceived,
    RefundChanged,
)
from settlement.usecases.correct_entry import hear_refund_decision
from settlement.usecases.keep_books import book_fee, book_given_back, book_payment, book_refund
from settlement.usecases.receive_razorpay_event import receive_razorpay_event
from settlement.usecases.record_bill import record_bill

QUEUE = "settlement.events"

HANDLERS: Mapping[type, Handler] = {
    PaymentReceived: book_payment,
    PaymentFeeRecorded: book_fee,
    PaymentBilled: record_bill,
    PaymentRefundedInFull: book_given_back,
    OperatorRefundDecided: hear_refund_decision,
    RefundChanged: book_refund,
    RazorpayEventReceived: receive_razorpay_event,
}
