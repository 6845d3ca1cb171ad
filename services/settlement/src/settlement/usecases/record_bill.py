"""A session was billed: book its one ledger entry."""

import structlog

from chassis.database import UnitOfWork
from chassis.telemetry import current_traceparent
from contracts.settlement import LedgerEntryCreated
from money import Split
from settlement.domain.books import DirectEntryBooked, EntryBooked, MoneyEvent
from settlement.domain.franchisee import terms_in_force
from settlement.domain.ledger_entry import EntryStatus
from settlement.domain.session_bill import SessionBill, WalletBill
from settlement.domain.tax import YearSoFar, divide, financial_year, india_day, payee, rule_in_force, withholding, year_after
from settlement.domain.transfer import transfer_key
from settlement.repository import franchisees, ledger, tax, unowned_bills
from settlement.repository.franchisees import Franchisee
from settlement.repository.ledger import Entry
from settlement.usecases.announce import change_entry
from settlement.usecases.context import Settlement
from settlement.usecases.correct_entry import correct_entries
from settlement.usecases.keep_books import post
from settlement.usecases.keep_direct_books import book_any_bill

log = structlog.get_logger(__name__)


async def record_bill(app: Settlement, uow: UnitOfWork, bill: SessionBill) -> None:
    """Emits LedgerEntryCreated. A platform-owned site has no entry, and is in the books all the same;
    a second bill of a transaction changes nothing.

    Owner and terms are those at StartTransaction. A bill whose owner we don't have is kept for a person to assign, and so is one
    whose money another franchisee has: the site changed hands after its QR code was made.
    """
    await book_any_bill(app, uow, bill)
    if bill.collected_by_franchisee_id not in (None, bill.franchisee_id):
        await _keep_unowned(app, uow, bill, bill.franchisee_id or bill.collected_by_franchisee_id)
        return
    if bill.franchisee_id is None:
        return
    owner = await franchisees.find(uow.connection, bill.franchisee_id)
    if owner is None:
        await _keep_unowned(app, uow, bill, bill.franchisee_id)
        return
    await book(app, uow, bill, owner=owner, traceparent=current_traceparent())


async def _keep_unowned(app: Settlement, uow: UnitOfWork, bill: SessionBill, named: int) -> None:
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
        log.error(
            "bill.without_owner",
            transaction_id=bill.transaction_id,
            franchisee_id=named,
            station_id=bill.station_id,
            collected_by=bill.collected_by_franchisee_id,
        )


async def book(
    app: Settlement, uow: UnitOfWork, bill: SessionBill, *, owner: Franchisee, traceparent: str | None
) -> Entry | None:
    """The ledger entry of a bill for a franchisee who exists, due at once; None where the transaction has one.

    One that the franchisee collected itself is settled by that: it has its payout, and owes us commission and TDS.
    """
    terms = terms_in_force(await franchisees.terms_of(uow.connection, owner.id), bill.started_at)
    who = payee(business_type=owner.business_type, pan=owner.pan, stakeholder_pan=owner.stakeholder.get("pan"))
    rule = rule_in_force(await tax.rules(uow.connection), who, india_day(bill.started_at))
    by = withholding(terms, rule)
    # Entries of a year with a threshold queue here, whatever taxes them: each takes up where the one before it ended.
    begin = rule.annual_threshold_paise is not None
    year = await tax.lock_year(uow.connection, owner.id, financial_year(bill.started_at), begin=begin)
    if year is not None and await ledger.figures_of(uow.connection, bill.transaction_id) is not None:
        await _compare(app, uow, bill)
        return None
    split = divide(
        gross_paise=bill.paid_paise,
        refund_paise=bill.refund_paise,
        residue_paise=bill.residue_paise,
        pg_fee_paise=bill.platform_fee_paise,
        gst_collected_paise=bill.gst_paise,
        commission_bps=terms.commission_bps,
        by=by,
        year=year,
    )
    entry = await ledger.add(
        uow.connection,
        key=transfer_key(bill.transaction_id, 1),
        transaction_id=bill.transaction_id,
        franchisee_id=owner.id,
        qr_payment_id=bill.qr_payment_id,
        razorpay_payment_id=bill.razorpay_payment_id,
        wallet_session_id=bill.wallet_session_id if isinstance(bill, WalletBill) else None,
        station_id=bill.station_id,
        charge_point_id=bill.charge_point_id,
        connector_id=bill.connector_id,
        energy_wh=bill.energy_wh,
        started_at=bill.started_at,
        stopped_at=bill.stopped_at,
        billed_at=bill.billed_at,
        commission_bps=terms.commission_bps,
        tds_bps=by.tds_bps,
        tds_base=by.tds_base.value,
        tds_section=by.section,
        tax_rule_id=by.tax_rule_id,
        **_year_before(year if by.annual_threshold_paise is not None else None),
        fee_source=None if isinstance(bill, WalletBill) else bill.fee_source.value,
        **_lines(split),
        implausible=bill.implausible,
        collected_by_account_id=bill.collected_by_account,
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
    if year is not None:
        await tax.set_year(uow.connection, owner.id, year_after(year, split, by))
    app.metrics.entries_created.inc()
    ids = {"ledger_entry_id": entry.id, "transaction_id": bill.transaction_id, "franchisee_id": owner.id}
    shares = {"commission_paise": split.commission_paise, "tds_paise": split.tds_paise}
    booked: MoneyEvent
    if bill.collected_by_account is None:
        booked = EntryBooked(occurred_at=uow.now, **ids, **shares, payout_paise=split.payout_paise)
    else:
        booked = DirectEntryBooked(occurred_at=uow.now, **ids, **shares)
    await post(app, uow, booked)
    uow.publish(
        LedgerEntryCreated(
            ledger_entry_id=entry.id,
            transaction_id=bill.transaction_id,
            franchisee_id=owner.id,
            **_lines(split),
            created_at=uow.now,
            collected_by_account=bill.collected_by_account,
        ),
        subject=entry.subject,
        subject_version=0,
    )
    if entry.payout_paise == 0 or bill.collected_by_account is not None:
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


def _year_before(year: YearSoFar | None) -> dict[str, int | None]:
    """The columns that an entry under a threshold keeps, so that its TDS can be worked out again from itself."""
    return {
        "tds_year": year.year if year is not None else None,
        "tds_year_sales_paise": year.sales_paise if year is not None else None,
        "tds_year_due_paise_bps": year.due_paise_bps if year is not None else None,
        "tds_year_withheld_paise": year.withheld_paise if year is not None else None,
    }


async def _compare(app: Settlement, uow: UnitOfWork, bill: SessionBill) -> None:
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
