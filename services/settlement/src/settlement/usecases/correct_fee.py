"""Another fee on a payment than was known when its session ended, and a charge for a refund's speed: booked, never rewritten."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from chassis.database import UnitOfWork
from settlement.domain.books import KINDS, PaymentFeeCorrected, RechargeFeeCorrected, RefundCharged
from settlement.domain.errors import FeeStillOpen, NotInTheBooks
from settlement.domain.reconcile import Fee, booked_fee
from settlement.repository import books
from settlement.usecases.context import Settlement
from settlement.usecases.keep_books import post, restate

FEE_KINDS = (
    "payment_captured", "payment_fee_recorded", "payment_fee_corrected",
    "recharge_captured", "recharge_fee_recorded", "recharge_fee_corrected",
)  # fmt: skip
AT_ANY_TIME = datetime.min.replace(tzinfo=UTC)
END_KINDS = ("payment_billed", "payment_given_back")


async def correct_payment_fee(
    app: Settlement, uow: UnitOfWork, subject: str, *, fee_paise: int, tax_paise: int | None
) -> tuple[str | None, Fee]:
    """(key of the correction, None where the books say so already; the fee before). The bill stands, the difference is ours.

    `subject`: a QR payment (qrp_17), or a recharge's (rcp_3), whose fee is ours from the beginning.
    Raises NotInTheBooks, FeeStillOpen while payments may still learn the fee and the session's bill would take it.
    """
    name, _, number = subject.partition("_")
    recharge = name == "rcp"
    # Corrections of one payment go one after the other: each is counted, and is what the last one left to correct.
    if await books.lock(uow.connection, f"{'recharge_payment' if recharge else 'payment'}/{number}/captured") is None:
        raise NotInTheBooks(subject)
    booked = (await books.facts_of(uow.connection, [subject], FEE_KINDS + END_KINDS))[subject]
    if not recharge and not any(kind in END_KINDS for kind, _ in booked):
        raise FeeStillOpen(subject)
    before = fee_in(booked)
    figures: dict[str, Any] = {
        "occurred_at": uow.now,
        "fee_before_paise": before.fee_paise,
        "tax_before_paise": before.tax_paise,
        "fee_paise": fee_paise,
        "tax_paise": tax_paise,
        "correction": 1 + sum(kind.endswith("_fee_corrected") for kind, _ in booked),
    }
    correction = (
        RechargeFeeCorrected(recharge_payment_id=int(number), **figures)
        if recharge
        else PaymentFeeCorrected(qr_payment_id=int(number), **figures)
    )
    if correction.journal() is None:
        return None, before
    await post(app, uow, correction)
    return correction.key, before


def fee_in(booked: Sequence[tuple[str, Mapping[str, Any]]]) -> Fee:
    """The fee by the kinds and facts of a payment's journals."""
    # The time of none of them matters to what it put where.
    return booked_fee(KINDS[kind].of_facts(facts, occurred_at=AT_ANY_TIME) for kind, facts in booked if kind in FEE_KINDS)


async def charge_refund(
    app: Settlement, uow: UnitOfWork, refund_id: int, *, fee_paise: int, tax_paise: int | None
) -> tuple[str | None, int | None]:
    """Book what Razorpay charged for a refund; another figure reverses the first.

    Returns (key of the charge, None where there is none to book; the figure before). Raises NotInTheBooks where the
    refund has not gone through.
    """
    refunded = await books.lock(uow.connection, f"refund/{refund_id}/processed")
    if refunded is None:
        raise NotInTheBooks(f"rfd_{refund_id}")
    charged = RefundCharged(
        occurred_at=uow.now,
        qr_payment_id=refunded.facts["qr_payment_id"],
        refund_id=refund_id,
        fee_paise=fee_paise,
        tax_paise=tax_paise,
    )
    before = await books.versions_of(uow.connection, subject=charged.subject, key=charged.key)
    if not before and charged.journal() is None:
        return None, None
    await restate(app, uow, charged)
    versions = await books.versions_of(uow.connection, subject=charged.subject, key=charged.key)
    return versions[-1].key, before[-1].facts["fee_paise"] if before else None
