"""Payments with their bills and refunds, and riders, to read."""

from chassis.database import UnitOfWork
from chassis.web import Page, PageQuery, fetch_page
from payments import tables
from payments.repository import credit_notes, invoices, operator_refunds, qr_payments, refund_steps, refunds, riders
from payments.repository.refunds import Refund
from payments.views import (
    BillView,
    OperatorRefundView,
    QrPaymentDetail,
    QrPaymentId,
    QrPaymentQuery,
    QrPaymentView,
    RefundDetail,
    RefundId,
    RefundQuery,
    RefundStepView,
    RefundView,
    RiderId,
    RiderView,
)


async def list_payments(uow: UnitOfWork, query: QrPaymentQuery) -> Page[QrPaymentView]:
    """`GET /v1/payments`, newest first. A merged guest's are those of the rider who it turned out to be."""
    statement = qr_payments.listing(
        state=query.state,
        charge_point_id=query.charge_point_id,
        rider_id=None if query.rider_id is None else await riders.survivor_of(uow.connection, query.rider_id),
        qr_code_id=query.qr_code_id,
        transaction_id=query.transaction_id,
        razorpay_payment_id=query.razorpay_payment_id,
    )
    return await fetch_page(
        uow, statement, query, order=(tables.qr_payments.c.id,), view=lambda row: QrPaymentView.of(qr_payments.payment_from(row))
    )


async def show_payment(uow: UnitOfWork, payment_id: QrPaymentId) -> QrPaymentDetail:
    """`GET /v1/payments/{id}`, with its bill and every attempt of its refund."""
    payment = await qr_payments.get(uow.connection, payment_id)
    bill = await qr_payments.bill_of(uow.connection, payment.id)
    attempts = (await refunds.of_payments(uow.connection, [payment.id]))[payment.id]
    decided = await operator_refunds.of_payment(uow.connection, payment.id)
    notes = await credit_notes.ids_of(uow.connection, decided)
    return QrPaymentDetail(
        **QrPaymentView.fields_of(payment),
        bill=BillView.of(bill) if bill is not None else None,
        residue_paise=await qr_payments.residue_of(uow.connection, payment.id),
        refunds=[RefundView.of(attempt) for attempt in attempts],
        invoice_id=await invoices.id_of_payment(uow.connection, payment.id) if bill is not None else None,
        operator_refunds=[OperatorRefundView.of(decision, credit_note_id=notes.get(decision.id)) for decision in decided],
        refundable_paise=0
        if bill is None
        else bill.energy_charge_paise + bill.gst_paise - sum(decision.amount_paise for decision in decided),
    )


async def list_refunds(uow: UnitOfWork, query: RefundQuery) -> Page[RefundView]:
    """`GET /v1/refunds`, newest first."""
    statement = refunds.listing(status=query.status, qr_payment_id=query.qr_payment_id, by_operators=query.by_operators)
    return await fetch_page(
        uow, statement, query, order=(tables.refunds.c.id,), view=lambda row: RefundView.of(refunds.refund_from(row))
    )


async def show_refund(uow: UnitOfWork, refund_id: RefundId) -> RefundDetail:
    """`GET /v1/refunds/{id}`, with its history."""
    return await view_refund(uow, await refunds.get(uow.connection, refund_id))


async def view_refund(uow: UnitOfWork, refund: Refund) -> RefundDetail:
    """A refund with its history, and the decision behind it."""
    decided = [] if refund.is_automatic else await operator_refunds.of_payment(uow.connection, refund.qr_payment_id)
    decision = next((item for item in decided if item.number == refund.number), None)
    notes = await credit_notes.ids_of(uow.connection, [decision]) if decision is not None else {}
    return RefundDetail(
        **RefundView.fields_of(refund),
        decision=OperatorRefundView.of(decision, credit_note_id=notes.get(decision.id)) if decision is not None else None,
        history=[RefundStepView.of(step) for step in await refund_steps.of_refund(uow.connection, refund.id)],
    )


async def list_riders(uow: UnitOfWork, query: PageQuery) -> Page[RiderView]:
    """`GET /v1/riders`, newest first."""
    return await fetch_page(
        uow, riders.listing(), query, order=(tables.riders.c.id,), view=lambda row: RiderView.of(riders.rider_from(row))
    )


async def show_rider(uow: UnitOfWork, rider_id: RiderId) -> RiderView:
    """`GET /v1/riders/{id}`."""
    return RiderView.of(await riders.get(uow.connection, rider_id))
