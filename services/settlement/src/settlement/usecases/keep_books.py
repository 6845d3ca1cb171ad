"""Keep the books: each event of money is booked in the transaction that handles it, once, in whatever order events come."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import structlog

from chassis.database import UnitOfWork
from contracts.payments import PaymentBilled as BillHeard
from contracts.payments import PaymentFeeRecorded as FeeHeard
from contracts.payments import PaymentReceived, PaymentRefundedInFull, RefundChanged
from settlement.domain.books import (
    MoneyEvent,
    OwnSettled,
    PaymentBilled,
    PaymentCaptured,
    PaymentFeeRecorded,
    PaymentGivenBack,
    RefundProcessed,
    TransferCharged,
    TransferClaimed,
    TransferProcessed,
    TransferSettled,
    WalletSessionBilled,
    payout_account,
    reversal_of,
)
from settlement.domain.reconcile import Move, MoveKind, Outcome
from settlement.domain.session_bill import SessionBill, WalletBill
from settlement.domain.transfer import TransferStatus
from settlement.repository import books, matches
from settlement.repository.ledger import Entry
from settlement.repository.transfers import Transfer
from settlement.usecases.context import Settlement
from settlement.usecases.note_moves import note_move, note_payment

log = structlog.get_logger(__name__)

REFUND_PROCESSED = "PROCESSED"
"""The one status of a refund in which money has left; all others leave it owed."""

REFUND_OUTCOMES = {REFUND_PROCESSED: Outcome.DONE, "FAILED": Outcome.FAILED}
"""How a refund ended; any other status is under way."""

OUTCOME_RANK = {Outcome.UNDER_WAY: 0, Outcome.FAILED: 1, Outcome.DONE: 2}
"""A transfer goes forward only, and may have gone through after it was taken for failed."""


async def post(app: Settlement, uow: UnitOfWork, event: MoneyEvent) -> None:
    """Book an event of money. Told again it changes nothing; with other figures it is an alarm, and the first stays."""
    journal = event.journal()
    if journal is None or await books.add(uow.connection, journal, posted_at=uow.now):
        return
    first = await books.find(uow.connection, journal.key)
    if first is not None and dict(first.facts) != dict(journal.facts):
        app.metrics.books_conflict.inc()
        log.error("books.told_differently", key=journal.key, first=dict(first.facts), now=dict(journal.facts))


async def set_standing(uow: UnitOfWork, key: str, *, stands: bool, reason: str) -> None:
    """Whether a booked journal stands: where it does not as wanted, the last of its chain of reversals is reversed."""
    booked = await books.find(uow.connection, key)
    if booked is None:
        return
    tail, standing = await books.tail_of(uow.connection, booked)
    if standing is not stands:
        reversal = reversal_of(tail.journal, occurred_at=uow.now, reason=reason)
        await books.add(uow.connection, reversal, posted_at=uow.now)


async def book_payment(app: Settlement, uow: UnitOfWork, event: PaymentReceived) -> None:
    """`payments.payment_received`."""
    captured = PaymentCaptured(
        occurred_at=event.received_at,
        qr_payment_id=event.qr_payment_id,
        amount_paise=event.amount_paise,
        fee_paise=event.platform_fee_paise,
        tax_paise=event.platform_fee_tax_paise,
    )
    await post(app, uow, captured)
    await _note_payment(app, uow, event, amount_paise=event.amount_paise, at=event.received_at)


async def book_fee(app: Settlement, uow: UnitOfWork, event: FeeHeard) -> None:
    """`payments.payment_fee_recorded`: what was booked as an estimate is put right before the bill."""
    recorded = PaymentFeeRecorded(
        occurred_at=event.recorded_at,
        qr_payment_id=event.qr_payment_id,
        fee_before_paise=event.fee_before_paise,
        tax_before_paise=event.tax_before_paise,
        fee_paise=event.platform_fee_paise,
        tax_paise=event.platform_fee_tax_paise,
    )
    await post(app, uow, recorded)
    if await matches.hurry(uow.connection, [event.razorpay_payment_id], now=uow.now):
        uow.after_commit(app.statement.wake)


async def book_bill(app: Settlement, uow: UnitOfWork, bill: SessionBill) -> None:
    """The bill of a session, whoever owns its site."""
    if isinstance(bill, WalletBill):
        from_wallet = WalletSessionBilled(
            occurred_at=bill.billed_at,
            wallet_session_id=bill.wallet_session_id,
            billed_paise=bill.billed_paise,
            energy_charge_paise=bill.energy_charge_paise,
            gst_paise=bill.gst_paise,
            shortfall_paise=bill.shortfall_paise,
        )
        await post(app, uow, from_wallet)
        return
    billed = PaymentBilled(
        occurred_at=bill.billed_at,
        qr_payment_id=bill.qr_payment_id,
        paid_paise=bill.paid_paise,
        energy_charge_paise=bill.energy_charge_paise,
        gst_paise=bill.gst_paise,
        platform_fee_paise=bill.platform_fee_paise,
        refund_paise=bill.refund_paise,
        residue_paise=bill.residue_paise,
        shortfall_paise=bill.shortfall_paise,
    )
    await post(app, uow, billed)
    await _note_payment(app, uow, bill, amount_paise=bill.paid_paise, at=bill.billed_at)


async def book_given_back(app: Settlement, uow: UnitOfWork, event: PaymentRefundedInFull) -> None:
    """`payments.payment_refund_decided`: all of the payment goes back. What a franchisee has was the rider's all the time."""
    if event.collected_by_franchisee_id is not None:
        return
    given_back = PaymentGivenBack(
        occurred_at=event.decided_at,
        qr_payment_id=event.qr_payment_id,
        amount_paise=event.amount_paise,
        fee_paise=event.platform_fee_paise,
        tax_paise=event.platform_fee_tax_paise,
        reason=event.reason,
    )
    await post(app, uow, given_back)
    await _note_payment(app, uow, event, amount_paise=event.amount_paise, at=event.decided_at)


async def _note_payment(
    app: Settlement,
    uow: UnitOfWork,
    event: PaymentReceived | BillHeard | PaymentRefundedInFull,
    *,
    amount_paise: int,
    at: datetime,
) -> None:
    subject = f"qrp_{event.qr_payment_id}"
    await note_payment(app, uow, razorpay_payment_id=event.razorpay_payment_id, subject=subject, amount_paise=amount_paise, at=at)


async def book_refund(app: Settlement, uow: UnitOfWork, event: RefundChanged) -> None:
    """`payments.refund_changed`: money moved if the rider has it, and in no other status."""
    if event.status == REFUND_PROCESSED:
        processed = RefundProcessed(
            occurred_at=event.at,
            qr_payment_id=event.qr_payment_id,
            refund_id=event.refund_id,
            amount_paise=event.amount_paise,
        )
        await post(app, uow, processed)
    if event.razorpay_refund_id is not None:
        outcome = REFUND_OUTCOMES.get(event.status, Outcome.UNDER_WAY)
        subject = f"rfd_{event.refund_id}"
        move = Move(event.razorpay_refund_id, MoveKind.REFUND, subject, event.amount_paise, outcome)
        await note_move(app, uow, move, version=event.subject_version, at=event.at)


async def book_claim(app: Settlement, uow: UnitOfWork, transfer: Transfer, entries: Sequence[Entry]) -> None:
    """A transfer was claimed: what it pays is in it now."""
    carried = sum(part.payout_paise for part in entries if payout_account(part.payout_paise) == "franchisee_carried")
    claimed = TransferClaimed(
        occurred_at=transfer.created_at, transfer_id=transfer.id, amount_paise=transfer.amount_paise, carried_paise=carried
    )
    await post(app, uow, claimed)


async def book_transfer(app: Settlement, uow: UnitOfWork, transfer: Transfer) -> None:
    """Bring the books to where a transfer stands now, its status and fee being written."""
    status = transfer.paid_twice_status or transfer.status
    alive = status is not TransferStatus.FAILED
    claimed = f"transfer/{transfer.id}/claimed"
    await set_standing(uow, claimed, stands=alive, reason="it lives" if alive else transfer.last_error or "it failed")
    await _note_transfer(app, uow, transfer, status)
    if status not in (TransferStatus.PROCESSED, TransferStatus.SETTLED):
        return
    facts = {"transfer_id": transfer.id, "amount_paise": transfer.amount_paise}
    processed_at = transfer.processed_at or uow.now
    await post(app, uow, TransferProcessed(occurred_at=processed_at, **facts))
    if transfer.fee_paise is not None:
        await restate(
            app,
            uow,
            TransferCharged(occurred_at=processed_at, **facts, fee_paise=transfer.fee_paise, tax_paise=transfer.tax_paise),
        )
    if status is TransferStatus.SETTLED:
        # What was taken back never reached the bank, or was taken from what would: whenever it was, the bank got that much less.
        banked = {**facts, "amount_paise": transfer.amount_paise - transfer.reversed_paise}
        await restate(app, uow, TransferSettled(occurred_at=transfer.settled_at or uow.now, **banked))


async def _note_transfer(app: Settlement, uow: UnitOfWork, transfer: Transfer, status: TransferStatus) -> None:
    if transfer.razorpay_transfer_id is None:
        return
    done = {TransferStatus.FAILED: Outcome.FAILED, TransferStatus.PROCESSED: Outcome.DONE, TransferStatus.SETTLED: Outcome.DONE}
    outcome = done.get(status, Outcome.UNDER_WAY)
    move = Move(transfer.razorpay_transfer_id, MoveKind.TRANSFER, f"xfr_{transfer.id}", transfer.amount_paise, outcome)
    await note_move(app, uow, move, version=OUTCOME_RANK[outcome], at=transfer.created_at)


async def restate(app: Settlement, uow: UnitOfWork, event: MoneyEvent) -> None:
    """Book a figure that may be told anew: another one reverses the last. What orders the tellings is locked by the caller."""
    versions = await books.versions_of(uow.connection, subject=event.subject, key=event.key)
    if not versions:
        await post(app, uow, event)
        return
    last, journal = versions[-1], event.journal()
    same = dict(last.facts) == event.facts()
    await set_standing(uow, last.key, stands=same, reason="another figure was told" if not same else "this figure was told again")
    if not same and journal is not None:
        await books.add(uow.connection, replace(journal, key=f"{event.key}#{len(versions) + 1}"), posted_at=uow.now)


async def unbook(uow: UnitOfWork, event: MoneyEvent, *, reason: str) -> None:
    """Take back a figure that was booked, in whichever version it stands."""
    versions = await books.versions_of(uow.connection, subject=event.subject, key=event.key)
    if versions:
        await set_standing(uow, versions[-1].key, stands=False, reason=reason)


async def book_own_settlement(
    app: Settlement, uow: UnitOfWork, *, razorpay_settlement_id: str, amount_paise: int, processed_at: datetime, own: bool
) -> None:
    """A settlement was looked into: ours went to our bank. What was taken for ours and is not is taken back.

    `amount_paise`: this environment's share of it. Another share, by Razorpay's statement, reverses the first.
    """
    event = OwnSettled(occurred_at=processed_at, razorpay_settlement_id=razorpay_settlement_id, amount_paise=amount_paise)
    if own:
        await restate(app, uow, event)
        return
    await unbook(uow, event, reason="a franchisee's, or another environment's")
