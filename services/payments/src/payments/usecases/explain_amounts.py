"""How amounts came about: of a payment and its bill, a refund, an invoice."""

from chassis.database import UnitOfWork
from contracts.charging import TransactionStopped
from money import (
    Bill,
    CreditNoteLines,
    Derivation,
    FeeSource,
    InvoiceLines,
    Reduction,
    explain_bill,
    explain_credit_note,
    explain_given_back,
    explain_invoice,
    explain_reduction,
    rupees,
    state_tax_name,
)
from payments.domain.errors import ConflictError
from payments.domain.qr_payment import GIVEN_BACK
from payments.repository import credit_notes, invoices, operator_refunds, qr_payments, refunds
from payments.repository.operator_refunds import OperatorRefund
from payments.repository.qr_payments import BillRow, QrPayment
from payments.repository.refunds import Refund
from payments.repository.wallet_sessions import WalletBill
from payments.views import CreditNoteId, ExplanationView, InvoiceId, QrPaymentId, RefundId, SessionReadings

BILL_FIGURES = (
    "energy_wh",
    "energy_charge_paise",
    "gst_paise",
    "platform_fee_paise",
    "refund_paise",
    "residue_paise",
    "shortfall_paise",
    "paid_paise",
)


async def explain_payment(uow: UnitOfWork, payment_id: QrPaymentId) -> ExplanationView:
    """`GET /v1/payments/{id}/explanation`: where every paisa of it went. 409 until that is decided."""
    payment = await qr_payments.get(uow.connection, payment_id)
    amounts = await _of_payment(uow, payment)
    return ExplanationView.made(f"qrp_{payment.id}", amounts, session=_readings(payment))


async def explain_refund(uow: UnitOfWork, refund_id: RefundId) -> ExplanationView:
    """`GET /v1/refunds/{id}/explanation`: what the payment's bill left, and which attempt this is."""
    refund = await refunds.get(uow.connection, refund_id)
    payment = await qr_payments.get(uow.connection, refund.qr_payment_id)
    first = f"rfd_{refund.id} is of {rupees(refund.amount_paise)}, of payment qrp_{payment.id}; it is {refund.status.value}."
    if refund.attempt > 1:
        first += f" It is attempt {refund.attempt} at the same amount, which was frozen when it was decided."
    amounts = await _of_payment(uow, payment) if refund.is_automatic else await _of_decision(uow, refund)
    return ExplanationView.made(f"rfd_{refund.id}", amounts, session=_readings(payment), first=first)


async def _of_decision(uow: UnitOfWork, refund: Refund) -> tuple[Derivation, ...]:
    """What an operator gave back after the bill."""
    bill = await qr_payments.bill_of(uow.connection, refund.qr_payment_id)
    decided = {one.number: one for one in await operator_refunds.of_payment(uow.connection, refund.qr_payment_id)}
    if bill is None or refund.number not in decided:
        raise ConflictError("Nobody's decision of it is kept.")
    return explain_decision(decided[refund.number], bill, lines=f"bill of qrp_{refund.qr_payment_id}")


def explain_decision(decision: OperatorRefund, bill: BillRow | WalletBill, *, lines: str) -> tuple[Derivation, ...]:
    """The parts of what an operator gave back of a bill, which `lines` names."""
    return explain_reduction(
        amount_paise=decision.amount_paise,
        reduction=Reduction(energy_charge_paise=decision.energy_charge_paise, gst_paise=decision.gst_paise),
        before_paise=decision.energy_charge_before_paise + decision.gst_before_paise,
        energy_charge_paise=bill.energy_charge_paise,
        gst_paise=bill.gst_paise,
        sources={
            "amount_paise": f"{decision.decided_by}: {decision.reason}",
            "billed_gst_paise": lines,
            "supply_paise": lines,
            "before_paise": "operators' refunds before it",
        },
    )


async def explain_invoice_amounts(uow: UnitOfWork, invoice_id: InvoiceId) -> ExplanationView:
    """`GET /v1/invoices/{id}/explanation`: CGST, SGST or IGST, and the round-off, from the bill's one figure of GST."""
    row = await invoices.get(uow.connection, invoice_id)
    lines = InvoiceLines(
        taxable_paise=row.taxable_paise,
        cgst_paise=row.cgst_paise,
        sgst_paise=row.sgst_paise,
        igst_paise=row.igst_paise,
        round_off_paise=row.round_off_paise,
        platform_fee_paise=row.platform_fee_paise,
        total_paise=row.total_paise,
    )
    bill = f"the bill of {row.source_key}"
    amounts = explain_invoice(
        lines,
        gst_bps=row.gst_bps,
        interstate=row.interstate,
        state_tax=state_tax_name(row.place_of_supply),
        sources={"energy_charge_paise": bill, "gst_paise": bill, "platform_fee_paise": bill},
    )
    first = f"{row.number} was issued to {row.buyer_reference} for session txn_{row.transaction_id}."
    payment = await qr_payments.find(uow.connection, row.qr_payment_id) if row.qr_payment_id is not None else None
    session = _readings(payment) if payment is not None else None
    return ExplanationView.made(f"inv_{row.id}", amounts, session=session, first=first)


async def explain_credit_note_amounts(uow: UnitOfWork, credit_note_id: CreditNoteId) -> ExplanationView:
    """`GET /v1/credit-notes/{id}/explanation`: the halves and the round-off of what the refund took off the invoice."""
    note = await credit_notes.get(uow.connection, credit_note_id)
    row = await invoices.get(uow.connection, note.invoice_id)
    lines = CreditNoteLines(
        taxable_paise=note.taxable_paise,
        cgst_paise=note.cgst_paise,
        sgst_paise=note.sgst_paise,
        igst_paise=note.igst_paise,
        round_off_paise=note.round_off_paise,
        total_paise=note.total_paise,
    )
    payer = f"qrp_{note.qr_payment_id}" if note.qr_payment_id is not None else f"wse_{note.wallet_session_id}"
    decision = f"the operators' refund {note.refund_number} of {payer}"
    amounts = explain_credit_note(
        lines,
        gst_before_paise=note.gst_before_paise,
        gst_bps=row.gst_bps,
        interstate=row.interstate,
        state_tax=state_tax_name(row.place_of_supply),
        sources={"energy_charge_paise": decision, "gst_paise": decision, "gst_before_paise": f"notes on {row.number} before"},
    )
    first = f"{note.number} takes a refund off {row.number}, because: {note.reason}"
    return ExplanationView.made(f"crn_{note.id}", amounts, session=None, first=first)


async def _of_payment(uow: UnitOfWork, payment: QrPayment) -> tuple[Derivation, ...]:
    bill = await qr_payments.bill_of(uow.connection, payment.id)
    event = f"webhook event whe_{payment.webhook_event_id}"
    paid = f"Razorpay's payment {payment.razorpay_payment_id}, told by {event}"
    if bill is None:
        if payment.state not in GIVEN_BACK:
            raise ConflictError("Nothing is decided yet: the payment is neither billed nor given back.")
        return explain_given_back(
            paid_paise=payment.amount_paise,
            provider_fee_paise=payment.platform_fee_paise,
            fee_source=FeeSource(payment.fee_source.value),
            because=payment.refund_detail or "",
            sources={"paid_paise": paid},
        )
    stopped = _stopped(payment)
    tariff = f"tariff trf_{stopped.tariff_id}, snapshotted by txn_{bill.transaction_id}" if stopped is not None else None
    terms = tariff or f"snapshot of transaction txn_{bill.transaction_id}"
    fees = {
        FeeSource.WEBHOOK: event,
        FeeSource.API: f"Razorpay's API, payment {payment.razorpay_payment_id}",
        FeeSource.ESTIMATE: "our estimate: neither webhook nor API had told it",
    }
    fee_source = FeeSource(bill.fee_source)
    return explain_bill(
        _bill(bill),
        tariff_paise_per_kwh=bill.tariff_paise_per_kwh,
        gst_bps=bill.gst_bps,
        provider_fee_paise=payment.platform_fee_paise,
        fee_source=fee_source,
        sources={
            "paid_paise": paid,
            "provider_fee_paise": fees[fee_source],
            "energy_wh": f"transaction txn_{bill.transaction_id}",
            "tariff_paise_per_kwh": terms,
            "gst_bps": terms,
        },
    )


def _bill(row: BillRow) -> Bill:
    return Bill(**{name: getattr(row, name) for name in BILL_FIGURES})


def _stopped(payment: QrPayment) -> TransactionStopped | None:
    return TransactionStopped.model_validate(payment.stopped) if payment.stopped is not None else None


def _readings(payment: QrPayment) -> SessionReadings | None:
    stopped = _stopped(payment)
    return SessionReadings.of(stopped) if stopped is not None else None
