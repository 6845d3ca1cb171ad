"""A session was billed: book its one ledger entry."""

import structlog

from chassis.database import UnitOfWork
from chassis.telemetry import current_traceparent
from contracts.payments import PaymentBilled
from contracts.settlement import LedgerEntryCreated
from money import Split, TdsBase, calculate_settlement
from settlement.domain.books import EntryBooked
from settlement.domain.franchisee import terms_in_force
from settlement.domain.ledger_entry import EntryStatus
from settlement.domain.transfer import transfer_key
from settlement.repository import franchisees, ledger, unowned_bills
from settlement.repository.ledger import Entry
from settlement.usecases.announce import change_entry
from settlement.usecases.context import Settlement
from settlement.usecases.correct_entry import correct_entries
from settlement.usecases.keep_books import book_bill, post

log = structlog.get_logger(__name__)


async def record_bill(app: Settlement, uow: UnitOfWork, bill: PaymentBilled) -> None:
    """Emits LedgerEntryCreated. A platform-owned site has no entry, and is in the books all the same;
    a second bill of a transaction changes nothing.

    Owner and terms are those at StartTransaction. A bill whose owner we don't have is kept for a person to assign.
    """
    await book_bill(app, uow, bill)
    if bill.franchisee_id is None:
        return
    if await franchisees.find(uow.connection, bill.franchisee_id) is None:
        await _keep_unowned(app, uow, bill, bill.franchisee_id)
        return
    await book(app, uow, bill, franchisee_id=bill.franchisee_id, traceparent=current_traceparent())


async def _keep_unowned(app: Settlement, uow: UnitOfWork, bill: PaymentBilled, named: int) -> None:
    new = await unowned_bills.add(
        uow.connection,
        transaction_id=bill.transaction_id,
        named_franchisee_id=named,
        bill=bill.model_dump(mode="json"),
        traceparent=current_traceparent(),
        received_at=uow.now,
    )
    if new:
        uow.after_commit(app.metrics.bills_unowned.inc)
        log.error("bill.without_owner", transaction_id=bill.transaction_id, franchisee_id=named, station_id=bill.station_id)


async def book(
    app: Settlement, uow: UnitOfWork, bill: PaymentBilled, *, franchisee_id: int, traceparent: str | None
) -> Entry | None:
    """The ledger entry of a bill for a franchisee who exists, due at once; None where the transaction has one."""
    terms = terms_in_force(await franchisees.terms_of(uow.connection, franchisee_id), bill.started_at)
    split = calculate_settlement(
        gross_paise=bill.paid_paise,
        refund_paise=bill.refund_paise,
        residue_paise=bill.residue_paise,
        pg_fee_paise=bill.platform_fee_paise,
        gst_collected_paise=bill.gst_paise,
        commission_bps=terms.commission_bps,
        tds_bps=terms.tds_bps,
        tds_base=TdsBase(terms.tds_base),
    )
    entry = await ledger.add(
        uow.connection,
        key=transfer_key(bill.transaction_id, 1),
        transaction_id=bill.transaction_id,
        franchisee_id=franchisee_id,
        qr_payment_id=bill.qr_payment_id,
        razorpay_payment_id=bill.razorpay_payment_id,
        station_id=bill.station_id,
        charge_point_id=bill.charge_point_id,
        connector_id=bill.connector_id,
        energy_wh=bill.energy_wh,
        started_at=bill.started_at,
        stopped_at=bill.stopped_at,
        billed_at=bill.billed_at,
        commission_bps=terms.commission_bps,
        tds_bps=terms.tds_bps,
        tds_base=terms.tds_base,
        **_lines(split),
        implausible=bill.implausible,
        status=EntryStatus.PENDING.value,
        subject_version=0,
        traceparent=traceparent,
        due_at=uow.now,
        created_at=uow.now,
        updated_at=uow.now,
    )
    if entry is None:
        await _compare(app, uow, bill)
        return None
    app.metrics.entries_created.inc()
    booked = EntryBooked(
        occurred_at=uow.now,
        ledger_entry_id=entry.id,
        transaction_id=bill.transaction_id,
        franchisee_id=franchisee_id,
        commission_paise=split.commission_paise,
        tds_paise=split.tds_paise,
        payout_paise=split.payout_paise,
    )
    await post(app, uow, booked)
    uow.publish(
        LedgerEntryCreated(
            ledger_entry_id=entry.id,
            transaction_id=bill.transaction_id,
            franchisee_id=franchisee_id,
            **_lines(split),
            created_at=uow.now,
        ),
        subject=entry.subject,
        subject_version=0,
    )
    if entry.payout_paise == 0:
        entry = await change_entry(uow, entry, EntryStatus.SETTLED, due_at=None)
    else:
        uow.after_commit(app.payouts.wake)
    await correct_entries(app, uow, bill.transaction_id)
    return entry


def _lines(split: Split) -> dict[str, int]:
    """Every line of the split by its column's name."""
    return {
        "gross_paise": split.gross_paise,
        "refund_paise": split.refund_paise,
        "residue_paise": split.residue_paise,
        "pg_fee_paise": split.pg_fee_paise,
        "gst_paise": split.gst_collected_paise,
        "commission_paise": split.commission_paise,
        "tds_paise": split.tds_paise,
        "payout_paise": split.payout_paise,
    }


async def _compare(app: Settlement, uow: UnitOfWork, bill: PaymentBilled) -> None:
    """A transaction is billed once. Another bill with other figures is somebody's mistake, and the first one stays."""
    first = await ledger.figures_of(uow.connection, bill.transaction_id)
    told = (bill.paid_paise, bill.refund_paise, bill.residue_paise, bill.platform_fee_paise, bill.gst_paise)
    if first is not None and told != (
        first.gross_paise,
        first.refund_paise,
        first.residue_paise,
        first.pg_fee_paise,
        first.gst_paise,
    ):
        app.metrics.bill_conflict.inc()
        log.error("bill.differs_from_first", transaction_id=bill.transaction_id, ledger_entry_id=first.id)
