"""Finance enters what Razorpay's own statement shows: another fee on a payment, a charge for a refund's speed."""

from chassis.database import UnitOfWork
from chassis.web import Principal
from settlement.domain.books import PaymentFeeCorrected, RefundCharged
from settlement.domain.errors import FeeStillOpen, NothingToCorrect, NotInTheBooks
from settlement.repository import books
from settlement.repository.books import Booked
from settlement.usecases.announce import audit
from settlement.usecases.context import Settlement
from settlement.usecases.keep_books import post, restate
from settlement.views import FeeCorrection, JournalView, RefundCharge


async def correct_fee(app: Settlement, uow: UnitOfWork, body: FeeCorrection, principal: Principal) -> JournalView:
    """`POST /v1/books/fee-corrections`: the bill stands, the difference is ours. The payment's journals stay as they are.

    Raises NotInTheBooks, FeeStillOpen while payments may still learn the fee, NothingToCorrect.
    """
    base = f"payment/{body.payment_id}"
    captured = await books.lock(uow.connection, f"{base}/captured")
    if captured is None:
        raise NotInTheBooks(f"qrp_{body.payment_id}")
    ended = await books.find_many(uow.connection, [f"{base}/billed", f"{base}/given_back"])
    if not ended:
        raise FeeStillOpen(body.payment_id)
    number = 1
    last = (await books.find(uow.connection, f"{base}/fee_recorded")) or captured
    while (corrected := await books.find(uow.connection, f"{base}/fee_corrected/{number}")) is not None:
        last, number = corrected, number + 1
    correction = PaymentFeeCorrected(
        occurred_at=uow.now,
        qr_payment_id=body.payment_id,
        fee_before_paise=last.facts["fee_paise"] or 0,
        tax_before_paise=last.facts["tax_paise"],
        fee_paise=body.fee_paise,
        tax_paise=body.tax_paise,
        correction=number,
    )
    if correction.journal() is None:
        raise NothingToCorrect(f"qrp_{body.payment_id}")
    await post(app, uow, correction)
    _audit(
        uow, f"qrp_{body.payment_id}", "correct_fee", principal, before=last, fee_paise=body.fee_paise, statement=body.statement
    )
    return await _shown(uow, correction.key)


async def enter_refund_charge(app: Settlement, uow: UnitOfWork, body: RefundCharge, principal: Principal) -> JournalView:
    """`POST /v1/books/refund-charges`: our expense. Another figure for the same refund reverses the first.

    Raises NotInTheBooks, NothingToCorrect.
    """
    refunded = await books.lock(uow.connection, f"refund/{body.refund_id}/processed")
    if refunded is None:
        raise NotInTheBooks(f"rfd_{body.refund_id}")
    charged = RefundCharged(
        occurred_at=uow.now,
        qr_payment_id=refunded.facts["qr_payment_id"],
        refund_id=body.refund_id,
        fee_paise=body.fee_paise,
        tax_paise=body.tax_paise,
    )
    before = await books.versions_of(uow.connection, subject=charged.subject, key=charged.key)
    if not before and charged.journal() is None:
        raise NothingToCorrect(f"rfd_{body.refund_id}")
    await restate(app, uow, charged)
    last = before[-1] if before else None
    _audit(
        uow, f"rfd_{body.refund_id}", "enter_charge", principal, before=last, fee_paise=body.fee_paise, statement=body.statement
    )
    versions = await books.versions_of(uow.connection, subject=charged.subject, key=charged.key)
    return JournalView.of(versions[-1])


async def _shown(uow: UnitOfWork, key: str) -> JournalView:
    booked = await books.find(uow.connection, key)
    assert booked is not None  # noqa: S101  just booked
    return JournalView.of(booked)


def _audit(
    uow: UnitOfWork, entity_id: str, action: str, principal: Principal, *, before: Booked | None, fee_paise: int, statement: str
) -> None:
    audit(
        uow,
        entity="fee",
        entity_id=entity_id,
        action=action,
        actor=principal.subject,
        trigger="api",
        before={"fee_paise": before.facts["fee_paise"]} if before is not None else None,
        after={"fee_paise": fee_paise, "statement": statement},
    )
