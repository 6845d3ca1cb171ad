"""A part of a billed payment was given back: the books hear of it, and the session's split follows by an entry of differences."""

import structlog

from chassis.database import UnitOfWork
from chassis.telemetry import current_traceparent
from contracts.payments import GivenBackAfterBill
from contracts.payments import OperatorRefundDecided as DecisionHeard
from contracts.settlement import LedgerEntryCorrected
from contracts.wallets import WalletRefundDecided
from settlement.domain.books import EntryCorrected, OperatorRefundDecided, WalletSessionRefunded
from settlement.domain.correction import SplitFigures, correction_key, correction_of
from settlement.domain.ledger_entry import EntryKind, EntryStatus
from settlement.repository import ledger, refund_decisions
from settlement.usecases.announce import change_entry
from settlement.usecases.context import Settlement
from settlement.usecases.keep_books import post

log = structlog.get_logger(__name__)

SESSIONS_AT_ONCE = 100
"""Sessions whose corrections one sweep makes up for."""


async def hear_refund_decision(app: Settlement, uow: UnitOfWork, event: DecisionHeard) -> None:
    """`payments.operator_refund_decided`. Of goodwill, and at a site of our own, only the books hear."""
    decided = OperatorRefundDecided(
        occurred_at=event.decided_at,
        qr_payment_id=event.qr_payment_id,
        number=event.number,
        energy_charge_paise=event.energy_charge_paise,
        gst_paise=event.gst_paise,
        goodwill_paise=event.goodwill_paise,
    )
    await post(app, uow, decided)
    await _follow(app, uow, event)


async def hear_wallet_refund(app: Settlement, uow: UnitOfWork, event: WalletRefundDecided) -> None:
    """`payments.wallet_refund_decided`: the same of a session that a wallet paid, and where the money is again."""
    refunded = WalletSessionRefunded(
        occurred_at=event.decided_at,
        wallet_session_id=event.wallet_session_id,
        number=event.number,
        energy_charge_paise=event.energy_charge_paise,
        gst_paise=event.gst_paise,
        goodwill_paise=event.goodwill_paise,
    )
    await post(app, uow, refunded)
    await _follow(app, uow, event)


async def _follow(app: Settlement, uow: UnitOfWork, event: DecisionHeard | WalletRefundDecided) -> None:
    """The franchisee's share of what was given back."""
    if event.franchisee_id is None or event.goodwill_paise:
        return
    await refund_decisions.add(
        uow.connection,
        operator_refund_id=event.operator_refund_id,
        transaction_id=event.transaction_id,
        decision=event.model_dump(mode="json"),
        traceparent=current_traceparent(),
        received_at=uow.now,
    )
    await correct_entries(app, uow, event.transaction_id)


async def correct_entries(app: Settlement, uow: UnitOfWork, transaction_id: int) -> None:
    """Book every correction that a session's entry lacks. Without an entry (its bill is on its way, or has no owner) they wait.

    Emits LedgerEntryCorrected. Each is the difference of two splits, so their order changes nothing.
    """
    entry = await ledger.figures_of(uow.connection, transaction_id)
    if entry is None:
        return
    figures = SplitFigures(**{name: getattr(entry, name) for name in SplitFigures.__slots__})
    for decision in await refund_decisions.open_of(uow.connection, transaction_id):
        refund = GivenBackAfterBill.model_validate(decision.decision)
        correction = correction_of(
            figures,
            energy_charge_paise=refund.energy_charge_paise,
            gst_paise=refund.gst_paise,
            energy_charge_before_paise=refund.energy_charge_before_paise,
            gst_before_paise=refund.gst_before_paise,
        )
        lines = {name: getattr(correction, name) for name in type(correction).__slots__}
        copied = (
            "qr_payment_id",
            "wallet_session_id",
            "razorpay_payment_id",
            "station_id",
            "charge_point_id",
            "connector_id",
            "started_at",
            "stopped_at",
        )
        terms = ("commission_bps", "tds_bps", "tds_base", "tds_section")
        made = await ledger.add(
            uow.connection,
            kind=EntryKind.CORRECTION.value,
            key=correction_key(transaction_id, refund.number),
            transaction_id=transaction_id,
            corrects_id=entry.id,
            refund_number=refund.number,
            reason=refund.reason,
            franchisee_id=entry.franchisee_id,
            **{name: getattr(entry, name) for name in (*copied, *terms)},
            energy_wh=0,
            billed_at=refund.decided_at,
            gross_paise=0,
            residue_paise=0,
            pg_fee_paise=0,
            **lines,
            implausible=False,
            status=EntryStatus.PENDING.value,
            subject_version=0,
            traceparent=decision.traceparent,
            due_at=uow.now,
            created_at=uow.now,
            updated_at=uow.now,
        )
        if made is None:
            continue
        await refund_decisions.set_entry(uow.connection, decision.operator_refund_id, made.id)
        app.metrics.entries_corrected.inc()
        booked = EntryCorrected(
            occurred_at=uow.now,
            ledger_entry_id=made.id,
            transaction_id=transaction_id,
            franchisee_id=made.franchisee_id,
            commission_paise=correction.commission_paise,
            tds_paise=correction.tds_paise,
            payout_paise=correction.payout_paise,
        )
        await post(app, uow, booked)
        uow.publish(
            LedgerEntryCorrected(
                ledger_entry_id=made.id,
                corrects_id=entry.id,
                transaction_id=transaction_id,
                franchisee_id=made.franchisee_id,
                refund_number=refund.number,
                **lines,
                reason=refund.reason,
                created_at=uow.now,
            ),
            subject=made.subject,
            subject_version=0,
        )
        log.info("entry.corrected", transaction_id=transaction_id, refund_number=refund.number, **lines)
        if made.payout_paise == 0:
            await change_entry(uow, made, EntryStatus.SETTLED, due_at=None)
        else:
            uow.after_commit(app.payouts.wake)


async def correct_forgotten(app: Settlement) -> None:
    """Sweep: bill and refund came at the same moment, on two replicas, and neither saw the other."""
    async with app.database.reading() as uow:
        sessions = await refund_decisions.forgotten(uow.connection, limit=SESSIONS_AT_ONCE)
    for transaction_id in sessions:
        try:
            async with app.database.transaction() as uow:
                await correct_entries(app, uow, transaction_id)
        except Exception:
            # Looked at again with the next sweep; the other sessions' franchisees and riders must not wait for it.
            app.metrics.work_failed.labels("corrections").inc()
            log.exception("entry.not_corrected", transaction_id=transaction_id)
