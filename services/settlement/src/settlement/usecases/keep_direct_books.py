"""Keep the books of payments that franchisees collected themselves: memos of what happened, and what they owe us for it."""

from chassis.database import UnitOfWork
from contracts.payments import PaymentFeeRecorded, PaymentReceived, RefundChanged
from settlement.domain.books import DirectBilled, DirectCaptured, DirectFeeRecorded, DirectRefunded
from settlement.domain.session_bill import SessionBill, WalletBill
from settlement.usecases.context import Settlement
from settlement.usecases.keep_books import (
    REFUND_PROCESSED,
    book_bill,
    book_fee,
    book_payment,
    book_refund,
    post,
)


async def book_any_payment(app: Settlement, uow: UnitOfWork, event: PaymentReceived) -> None:
    """`payments.payment_received`, by who has the money."""
    if event.collected_by_franchisee_id is None:
        await book_payment(app, uow, event)
        return
    captured = DirectCaptured(
        occurred_at=event.received_at,
        qr_payment_id=event.qr_payment_id,
        franchisee_id=event.collected_by_franchisee_id,
        amount_paise=event.amount_paise,
        fee_paise=event.platform_fee_paise,
    )
    await post(app, uow, captured)


async def book_any_fee(app: Settlement, uow: UnitOfWork, event: PaymentFeeRecorded) -> None:
    """`payments.payment_fee_recorded`, by whose fee it is."""
    if event.collected_by_franchisee_id is None:
        await book_fee(app, uow, event)
        return
    recorded = DirectFeeRecorded(
        occurred_at=event.recorded_at,
        qr_payment_id=event.qr_payment_id,
        franchisee_id=event.collected_by_franchisee_id,
        fee_before_paise=event.fee_before_paise,
        fee_paise=event.platform_fee_paise,
    )
    await post(app, uow, recorded)


async def book_any_bill(app: Settlement, uow: UnitOfWork, bill: SessionBill) -> None:
    """The bill of a session, by who has the money."""
    if isinstance(bill, WalletBill) or bill.collected_by_franchisee_id is None:
        await book_bill(app, uow, bill)
        return
    billed = DirectBilled(
        occurred_at=bill.billed_at,
        qr_payment_id=bill.qr_payment_id,
        franchisee_id=bill.collected_by_franchisee_id,
        energy_charge_paise=bill.energy_charge_paise,
        gst_paise=bill.gst_paise,
        platform_fee_paise=bill.platform_fee_paise,
    )
    await post(app, uow, billed)


async def book_any_refund(app: Settlement, uow: UnitOfWork, event: RefundChanged) -> None:
    """`payments.refund_changed`, by out of whose account it is paid."""
    if event.collected_by_franchisee_id is None:
        await book_refund(app, uow, event)
        return
    if event.status != REFUND_PROCESSED:
        return
    refunded = DirectRefunded(
        occurred_at=event.at,
        qr_payment_id=event.qr_payment_id,
        franchisee_id=event.collected_by_franchisee_id,
        refund_id=event.refund_id,
        amount_paise=event.amount_paise,
    )
    await post(app, uow, refunded)
