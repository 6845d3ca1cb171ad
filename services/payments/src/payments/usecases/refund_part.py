"""An operator gives a part of a billed payment back, and says why."""

from collections.abc import Sequence
from typing import Any

import structlog

from chassis.database import UnitOfWork
from chassis.web import Principal, invalid_field
from contracts.payments import OperatorRefundDecided
from money import MIN_REFUND_PAISE, rupees
from payments.domain.errors import ConflictError
from payments.domain.operator_refund import Decision, Given, decide
from payments.domain.qr_payment import PaymentState
from payments.repository import operator_refunds, qr_payments, refunds
from payments.repository.operator_refunds import OperatorRefund
from payments.repository.qr_payments import BillRow
from payments.repository.wallet_sessions import WalletBill
from payments.usecases.audit import audit
from payments.usecases.context import Payments
from payments.usecases.give_back import add_attempt
from payments.usecases.issue_credit_notes import owe_credit_note
from payments.usecases.show_payments import view_refund
from payments.views import OperatorRefundCreate, QrPaymentId, RefundDetail

log = structlog.get_logger(__name__)


async def refund_part(
    app: Payments, uow: UnitOfWork, payment_id: QrPaymentId, body: OperatorRefundCreate, principal: Principal
) -> RefundDetail:
    """`POST /v1/payments/{id}/refunds`: owed from now on, and walks the life of every refund. Emits OperatorRefundDecided.

    The payment's row is locked, so that two operators at once are one after the other. Raises NotFoundError, ConflictError.
    """
    if body.amount_paise < MIN_REFUND_PAISE:
        raise invalid_field("#/body/amount_paise", f"Razorpay refunds no less than {rupees(MIN_REFUND_PAISE)}.")
    payment = await qr_payments.get(uow.connection, payment_id, lock=True)
    bill = await qr_payments.bill_of(uow.connection, payment.id)
    if bill is None or payment.state is not PaymentState.BILLED:
        raise ConflictError(f"It is {payment.state}: only of a payment that is BILLED a part can be given back.")
    if payment.collected_by_account_id is not None:
        # Its books, and the commission that it owes, would have to follow: ADR 0019 has it as not built.
        raise ConflictError("A franchisee collected this payment itself: it gives more back in its own Razorpay dashboard.")
    given = await operator_refunds.of_payment(uow.connection, payment.id)
    kept = await decide_and_keep(app, uow, principal, body, bill, given, qr_payment_id=payment.id)
    uow.publish(
        OperatorRefundDecided(
            operator_refund_id=kept.id,
            qr_payment_id=payment.id,
            razorpay_payment_id=payment.razorpay_payment_id,
            transaction_id=bill.transaction_id,
            franchisee_id=bill.franchisee_id,
            **decided(kept),
        ),
        subject=payment.request_key,
    )
    row = await add_attempt(
        app,
        uow,
        payment.id,
        number=kept.number,
        attempt=1,
        amount_paise=kept.amount_paise,
        speed=app.settings.refund_speed,
    )
    audit(
        uow,
        principal,
        entity="qr_payment",
        entity_id=f"qrp_{payment.id}",
        action="refund_part",
        before={"given_back_paise": sum(refund.amount_paise for refund in given)},
        after={"refund_id": f"rfd_{row.id}", **audited(kept)},
    )
    log.info(
        "refund.decided_by_operator",
        qr_payment_id=payment.id,
        number=kept.number,
        amount_paise=kept.amount_paise,
        borne_by=kept.borne_by,
    )
    return await view_refund(uow, await refunds.get(uow.connection, row.id))


async def decide_and_keep(
    app: Payments,
    uow: UnitOfWork,
    principal: Principal,
    body: OperatorRefundCreate,
    bill: BillRow | WalletBill,
    given: Sequence[OperatorRefund],
    **payer: int,
) -> OperatorRefund:
    """The next decision on a bill of which `given` was given back before, kept, and its credit note due.

    The caller holds the payer's row, and brings the money on its way. Raises ConflictError.
    """
    decision = decide(
        amount_paise=body.amount_paise,
        energy_charge_paise=bill.energy_charge_paise,
        gst_paise=bill.gst_paise,
        franchised=bill.franchisee_id is not None,
        borne_by=body.borne_by,
        given=[given_before(refund) for refund in given],
    )
    lines = {name: getattr(decision, name) for name in type(decision).__slots__}
    kept = await operator_refunds.add(
        uow.connection,
        **{**lines, "borne_by": decision.borne_by.value},
        **payer,
        reason=body.reason,
        decided_by=principal.subject,
        decided_at=uow.now,
    )
    if not kept.goodwill_paise:
        await owe_credit_note(app, uow, kept.id)
    return kept


def decided(kept: OperatorRefund) -> dict[str, Any]:
    """What the event of a decision says of it, whoever paid the bill."""
    return {**audited(kept), "decided_by": kept.decided_by, "decided_at": kept.decided_at}


def audited(kept: OperatorRefund) -> dict[str, Any]:
    """A decision's figures, who bears it, and why."""
    return {name: getattr(kept, name) for name in (*Decision.__slots__, "reason")}


def given_before(refund: OperatorRefund) -> Given:
    """An earlier decision, for the rule of the next."""
    return Given(amount_paise=refund.amount_paise, energy_charge_paise=refund.energy_charge_paise, gst_paise=refund.gst_paise)
