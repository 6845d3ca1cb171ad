"""What is booked otherwise where a franchisee's linked account has the payment: the same raw records, other journals."""

from collections.abc import Iterator
from datetime import datetime

from settlement.domain.books import (
    CommissionReceived,
    DirectBilled,
    DirectCaptured,
    DirectEntryBooked,
    DirectFeeRecorded,
    DirectRefunded,
    EntryBooked,
    MoneyEvent,
    PaymentBilled,
    PaymentCaptured,
    PaymentFeeRecorded,
    RefundProcessed,
)
from voltlync.books.records import Json, Records, moment


def number(identifier: str) -> int:
    """17 of qrp_17."""
    return int(identifier.partition("_")[2])


def collector_of(payment: Json) -> int | None:
    """The franchisee who has the payment; None: it is in our own balance."""
    collector = payment["collected_by_franchisee_id"]
    return None if collector is None else number(collector)


def as_collected(event: MoneyEvent, *, by: int | None) -> MoneyEvent | None:
    """What is booked of an event of a payment that this franchisee has; None: nothing. `by` None: the event itself."""
    if by is None:
        return event
    match event:
        case PaymentCaptured():
            return DirectCaptured(
                occurred_at=event.occurred_at,
                qr_payment_id=event.qr_payment_id,
                franchisee_id=by,
                amount_paise=event.amount_paise,
                fee_paise=event.fee_paise,
            )
        case PaymentFeeRecorded():
            return DirectFeeRecorded(
                occurred_at=event.occurred_at,
                qr_payment_id=event.qr_payment_id,
                franchisee_id=by,
                fee_before_paise=event.fee_before_paise,
                fee_paise=event.fee_paise,
            )
        case PaymentBilled():
            return DirectBilled(
                occurred_at=event.occurred_at,
                qr_payment_id=event.qr_payment_id,
                franchisee_id=by,
                energy_charge_paise=event.energy_charge_paise,
                gst_paise=event.gst_paise,
                platform_fee_paise=event.platform_fee_paise,
            )
        case RefundProcessed():
            return DirectRefunded(
                occurred_at=event.occurred_at,
                qr_payment_id=event.qr_payment_id,
                franchisee_id=by,
                refund_id=event.refund_id,
                amount_paise=event.amount_paise,
            )
        case EntryBooked():
            return DirectEntryBooked(
                occurred_at=event.occurred_at,
                ledger_entry_id=event.ledger_entry_id,
                transaction_id=event.transaction_id,
                franchisee_id=event.franchisee_id,
                commission_paise=event.commission_paise,
                tds_paise=event.tds_paise,
            )
    return None  # given back whole: it was due to the rider all the time


def who_has(record: Json) -> str:
    """`acc_... has` of a payment or a ledger entry."""
    return f"{record['collected_by_account_id'] or 'our own account'} has"


def wrong_account(payment: Json, told_account: str | None, franchisees_accounts: set[str]) -> str | None:
    """In whose account Razorpay's event has the payment, in words; None: where the payment says that it is."""
    theirs = told_account if told_account in franchisees_accounts else None
    return None if payment["collected_by_account_id"] == theirs else (theirs or "our own account")


def receipts(records: Records) -> Iterator[CommissionReceived]:
    """What franchisees paid us, where it was not taken back."""
    for receipt in records.commission_receipts:
        if receipt["withdrawn_at"] is None:
            yield CommissionReceived(
                occurred_at=moment(receipt["created_at"]),
                receipt_id=number(receipt["id"]),
                franchisee_id=number(receipt["franchisee_id"]),
                amount_paise=receipt["amount_paise"],
            )


def needs_an_entry(payment: Json) -> bool:
    """Whether a billed payment has a franchisee in it, so that it must have a ledger entry, or wait for its owner."""
    return payment["bill"]["franchisee_id"] is not None or payment["collected_by_franchisee_id"] is not None


def recorded_fee(payment: Json, journals: dict[str, Json]) -> tuple[Json, datetime] | None:
    """The facts and time of the journal that put an estimated fee right."""
    base = "payment" if payment["collected_by_franchisee_id"] is None else "direct"
    journal = journals.get(f"{base}/{number(payment['id'])}/fee_recorded")
    return None if journal is None else (journal["facts"], moment(journal["occurred_at"]))
