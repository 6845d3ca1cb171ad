"""Finance enters what Razorpay's own statement shows: another fee on a payment, a charge for a refund's speed."""

from chassis.database import UnitOfWork
from chassis.web import Principal
from settlement.domain.errors import NothingToCorrect
from settlement.repository import books
from settlement.usecases.announce import audit
from settlement.usecases.context import Settlement
from settlement.usecases.correct_fee import charge_refund, correct_payment_fee
from settlement.views import FeeCorrection, JournalView, RefundCharge


async def correct_fee(app: Settlement, uow: UnitOfWork, body: FeeCorrection, principal: Principal) -> JournalView:
    """`POST /v1/books/fee-corrections`: the bill stands, the difference is ours. The payment's journals stay as they are.

    Raises NotInTheBooks, FeeStillOpen while payments may still learn the fee, NothingToCorrect.
    """
    subject = f"qrp_{body.payment_id}"
    key, before = await correct_payment_fee(app, uow, subject, fee_paise=body.fee_paise, tax_paise=body.tax_paise)
    if key is None:
        raise NothingToCorrect(subject)
    _audit(uow, subject, "correct_fee", principal, before=before.fee_paise, fee_paise=body.fee_paise, statement=body.statement)
    return await _shown(uow, key)


async def enter_refund_charge(app: Settlement, uow: UnitOfWork, body: RefundCharge, principal: Principal) -> JournalView:
    """`POST /v1/books/refund-charges`: our expense. Another figure for the same refund reverses the first.

    Raises NotInTheBooks, NothingToCorrect.
    """
    subject = f"rfd_{body.refund_id}"
    key, before = await charge_refund(app, uow, body.refund_id, fee_paise=body.fee_paise, tax_paise=body.tax_paise)
    if key is None:
        raise NothingToCorrect(subject)
    _audit(uow, subject, "enter_charge", principal, before=before, fee_paise=body.fee_paise, statement=body.statement)
    return await _shown(uow, key)


async def _shown(uow: UnitOfWork, key: str) -> JournalView:
    booked = await books.find(uow.connection, key)
    assert booked is not None  # noqa: S101  just booked
    return JournalView.of(booked)


def _audit(
    uow: UnitOfWork, entity_id: str, action: str, principal: Principal, *, before: int | None, fee_paise: int, statement: str
) -> None:
    audit(
        uow,
        entity="fee",
        entity_id=entity_id,
        action=action,
        actor=principal.subject,
        trigger="api",
        before={"fee_paise": before} if before is not None else None,
        after={"fee_paise": fee_paise, "statement": statement},
    )
