"""A paid session has ended: one bill, once; what it leaves goes back to the rider."""

import structlog

from chassis.database import UnitOfWork
from chassis.messaging import is_transient
from contracts.charging import TransactionStopped
from contracts.payments import PaymentBilled
from money import Bill, MoneyError, final_bill
from payments.domain.credit import RefundReason
from payments.domain.qr_payment import PaymentState, Trigger, next_state
from payments.repository import qr_payments
from payments.repository.qr_payments import QrPayment
from payments.usecases.context import Payments
from payments.usecases.follow_start import payment_for, refuse_other_transaction
from payments.usecases.give_back import give_back_all, owe
from payments.usecases.issue_invoices import owe_invoice_of_payment
from payments.usecases.stop_collection import close_where_the_owner_changed

log = structlog.get_logger(__name__)

RETRIED_AT_ONCE_MAX = 100
"""Failed bills looked up at once."""


async def bill_session(app: Payments, uow: UnitOfWork, event: TransactionStopped) -> None:
    """`charging.transaction_stopped`. Emits PaymentBilled and owes an invoice; without energy
    PaymentRefundedInFull: no bill, no invoice.

    Where no honest bill can be made the payment waits as BILLING_FAILED, with an alarm, and is tried every 30 minutes: neither
    a guess nor a dead letter. Raises ContradictionError for a second transaction on one payment.
    """
    payment = await payment_for(uow, event.request_key)
    if payment is None:
        return
    refuse_other_transaction(payment, event.transaction_id)
    if payment.station_id is None:
        # The stop has overtaken the start, and says as well whose site it was.
        await qr_payments.set_values(uow.connection, payment.id, station_id=event.station_id, franchisee_id=event.franchisee_id)
        await close_where_the_owner_changed(app, uow, payment, owner_id=event.franchisee_id)
    if event.energy_wh == 0:
        await _nothing_delivered(app, uow, payment, event)
        return
    try:
        bill = final_bill(
            energy_wh=event.energy_wh,
            tariff_paise_per_kwh=event.tariff_paise_per_kwh,
            gst_bps=event.gst_bps,
            platform_fee_paise=payment.platform_fee_paise,
            paid_paise=payment.amount_paise,
        )
    except (MoneyError, AssertionError) as error:
        await _failed(app, uow, payment, event, error)
        return
    state = next_state(payment.state, Trigger.BILLED)
    if state is None:
        return
    await qr_payments.add_bill(uow.connection, payment=payment, stopped=event, bill=bill, now=uow.now)
    await qr_payments.set_values(
        uow.connection,
        payment.id,
        state=state.value,
        transaction_id=event.transaction_id,
        stopped=event.model_dump(mode="json"),
        updated_at=uow.now,
    )
    await owe_invoice_of_payment(app, uow, payment, event, bill)
    uow.publish(_billed(payment, event, bill, now=uow.now), subject=payment.request_key)
    log.info(
        "payment.billed",
        qr_payment_id=payment.id,
        transaction_id=event.transaction_id,
        energy_wh=bill.energy_wh,
        paid_paise=bill.paid_paise,
        billed_paise=bill.total_billed_paise,
        refund_paise=bill.refund_paise,
        residue_paise=bill.residue_paise,
        shortfall_paise=bill.shortfall_paise,
    )
    due_back_paise = bill.refund_paise + bill.residue_paise
    if due_back_paise:
        await owe(app, uow, payment, amount_paise=due_back_paise, reason="BILL")


async def _nothing_delivered(app: Payments, uow: UnitOfWork, payment: QrPayment, event: TransactionStopped) -> None:
    if next_state(payment.state, Trigger.NOTHING_DELIVERED) is None:
        return
    await give_back_all(
        app,
        uow,
        payment,
        trigger=Trigger.NOTHING_DELIVERED,
        reason=RefundReason.NO_ENERGY,
        detail="The session ended without any energy delivered.",
        transaction_id=event.transaction_id,
    )
    uow.after_commit(app.metrics.zero_energy_stopped.inc)


async def _failed(
    app: Payments, uow: UnitOfWork, payment: QrPayment, event: TransactionStopped, error: MoneyError | AssertionError
) -> None:
    state = next_state(payment.state, Trigger.BILLING_FAILED)
    if state is not None:
        await qr_payments.set_values(
            uow.connection,
            payment.id,
            state=state.value,
            transaction_id=event.transaction_id,
            stopped=event.model_dump(mode="json"),
            updated_at=uow.now,
        )
    uow.after_commit(app.metrics.billing_failed.inc)
    log.error("payment.billing_failed", qr_payment_id=payment.id, transaction_id=event.transaction_id, exc_info=error)


def _billed(payment: QrPayment, event: TransactionStopped, bill: Bill, *, now: object) -> PaymentBilled:
    return PaymentBilled.model_validate(
        {
            "qr_payment_id": payment.id,
            "razorpay_payment_id": payment.razorpay_payment_id,
            "transaction_id": event.transaction_id,
            "charge_point_id": event.charge_point_id,
            "connector_id": event.connector_id,
            "station_id": event.station_id,
            "franchisee_id": event.franchisee_id,
            "started_at": event.started_at,
            "stopped_at": event.stopped_at,
            "energy_wh": bill.energy_wh,
            "tariff_paise_per_kwh": event.tariff_paise_per_kwh,
            "gst_bps": event.gst_bps,
            "paid_paise": bill.paid_paise,
            "energy_charge_paise": bill.energy_charge_paise,
            "gst_paise": bill.gst_paise,
            "platform_fee_paise": bill.platform_fee_paise,
            "fee_source": payment.fee_source,
            "refund_paise": bill.refund_paise,
            "residue_paise": bill.residue_paise,
            "shortfall_paise": bill.shortfall_paise,
            "implausible": event.implausible,
            "billed_at": now,
            "collected_by_franchisee_id": payment.collected_by_franchisee_id,
            "collected_by_account": payment.collected_by_account_id,
        }
    )


async def retry_failed_bills(app: Payments) -> None:
    """The 30-minute retry (P11): bill again what could not be billed, each in a transaction of its own.

    All of them, whatever becomes of one: a payment that can't be tried must keep no other rider waiting.
    """
    last_id = 0
    while not app.stopping:
        async with app.database.reading() as uow:
            waiting = await qr_payments.ids_in_state(
                uow.connection, PaymentState.BILLING_FAILED, after_id=last_id, limit=RETRIED_AT_ONCE_MAX
            )
        if not waiting:
            return
        for last_id in waiting:
            try:
                async with app.database.transaction() as uow:
                    payment = await qr_payments.find(uow.connection, last_id, lock=True)
                    if payment is not None and payment.state is PaymentState.BILLING_FAILED and payment.stopped is not None:
                        await bill_session(app, uow, TransactionStopped.model_validate(payment.stopped))
            except Exception as error:
                if is_transient(error):
                    raise  # the database is away, for the others too: the sweep comes back
                app.metrics.billing_failed.inc()
                log.exception("payment.billing_retry_failed", qr_payment_id=last_id)
