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
from contracts.wallets import RechargeFeeRecorded, WalletRecharged, WalletRefundDecided, WalletsCounted, WalletSessionBilled
from settlement.usecases.correct_entry import hear_refund_decision, hear_wallet_refund
from settlement.usecases.keep_books import book_given_back
from settlement.usecases.keep_direct_books import book_any_fee, book_any_payment, book_any_refund
from settlement.usecases.keep_wallets import book_recharge, book_recharge_fee, keep_wallet_count, record_wallet_bill
from settlement.usecases.receive_razorpay_event import receive_razorpay_event
from settlement.usecases.record_bill import record_bill

QUEUE = "settlement.events"

HANDLERS: Mapping[type, Handler] = {
    PaymentReceived: book_any_payment,
    PaymentFeeRecorded: book_any_fee,
    PaymentBilled: record_bill,
    PaymentRefundedInFull: book_given_back,
    OperatorRefundDecided: hear_refund_decision,
    RefundChanged: book_any_refund,
    RazorpayEventReceived: receive_razorpay_event,
    WalletRecharged: book_recharge,
    RechargeFeeRecorded: book_recharge_fee,
    WalletSessionBilled: record_wallet_bill,
    WalletRefundDecided: hear_wallet_refund,
    WalletsCounted: keep_wallet_count,
}
