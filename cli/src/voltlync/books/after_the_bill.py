"""What happened after the bill: operators' refunds, corrections of splits, money taken back. Derived again from raw records.

The parts of a refund are worked out from the bill's lines and the refunds before it, a correction from the bill, the terms and
the refund, what came back from the reversals as Razorpay has them.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from money import RefundExceedsSupplyError, supply_reduction
from settlement.domain.books import (
    EntryCorrected,
    EntryNetted,
    MoneyEvent,
    OperatorRefundDecided,
    ReversalApplied,
    TransferReversed,
    WalletSessionRefunded,
)
from settlement.domain.correction import Correction, SplitFigures, correction_of
from voltlync.books.records import Json, moment

Finding = tuple[datetime, str, str, str]
"""(when, which row, what it says, what it should)."""


def number(identifier: str) -> int:
    """17 of qrp_17."""
    return int(identifier.partition("_")[2])


def refunds_decided(payment: Json) -> Iterator[MoneyEvent | Finding]:
    """The journal of each refund that operators decided on a bill, of a payment or of a wallet's session, worked out from it."""
    bill = payment["bill"]
    lines = {"energy_charge_paise": bill["energy_charge_paise"], "gst_paise": bill["gst_paise"]}
    given, before = 0, 0
    for decision in payment["operator_refunds"]:
        at, row = moment(decision["decided_at"]), f"refund {decision['number']} of {payment['id']} by {decision['decided_by']}"
        amount = decision["amount_paise"]
        given += amount
        if given > sum(lines.values()):
            yield at, row, f"makes {given} paise given back", f"{sum(lines.values())} were billed for energy and GST"
        supply = 0 if decision["goodwill_paise"] else amount
        try:
            part = supply_reduction(amount_paise=supply, before_paise=before, **lines)
        except RefundExceedsSupplyError:
            continue  # told just now
        before += supply
        told = (decision["energy_charge_paise"], decision["gst_paise"], decision["goodwill_paise"])
        should = (part.energy_charge_paise, part.gst_paise, amount - supply)
        if told != should:
            yield at, row, f"takes {told} paise off energy, GST and goodwill", f"the bill makes it {should}"
        facts: dict[str, Any] = {
            "occurred_at": at,
            "number": decision["number"],
            "energy_charge_paise": should[0],
            "gst_paise": should[1],
            "goodwill_paise": should[2],
        }
        if payment["id"].startswith("wse_"):
            yield WalletSessionRefunded(**facts, wallet_session_id=number(payment["id"]))
        else:
            yield OperatorRefundDecided(**facts, qr_payment_id=number(payment["id"]))


def due_back(payment: Json, by_itself: int) -> dict[int, int]:
    """{number: paise}: what is due back of a payment by itself (0), and by each decision of an operator's."""
    return {0: by_itself, **{decision["number"]: decision["amount_paise"] for decision in payment["operator_refunds"]}}


def corrections(payment: Json, entries: list[Json], session: Json) -> Iterator[MoneyEvent | Finding]:
    """The correction of each refund that reduces the supply of a franchisee's session: there, right, and booked."""
    bill = payment["bill"]
    figures = SplitFigures(
        gross_paise=bill["paid_paise"],
        refund_paise=bill["refund_paise"],
        residue_paise=bill["residue_paise"],
        pg_fee_paise=bill["platform_fee_paise"],
        gst_paise=bill["gst_paise"],
        commission_bps=session["commission_bps"],
        tds_bps=session["tds_bps"],
        tds_base=session["tds_base"],
        tds_year=session["tds_year"],
    )
    there = {entry["refund_number"]: entry for entry in entries if entry["kind"] == "CORRECTION"}
    for decision in payment["operator_refunds"]:
        if decision["goodwill_paise"]:
            continue
        entry = there.pop(decision["number"], None)
        if entry is None:
            row = f"refund {decision['number']} of {payment['id']} by {decision['decided_by']}"
            words = f"reduces the supply of {payment['transaction_id']}"
            yield moment(decision["decided_at"]), row, words, "no ledger entry corrects its split"
            continue
        parts = ("energy_charge_paise", "gst_paise", "energy_charge_before_paise", "gst_before_paise")
        should = correction_of(figures, **{part: decision[part] for part in parts})
        at = moment(entry["created_at"])
        for line in Correction.__slots__:
            if entry[line] != getattr(should, line):
                words = f"refund {decision['number']} of {payment['id']} makes it {getattr(should, line)}"
                yield at, entry["id"], f"{line} is {entry[line]}", words
        yield EntryCorrected(
            occurred_at=at,
            ledger_entry_id=number(entry["id"]),
            transaction_id=number(entry["transaction_id"]),
            franchisee_id=number(entry["franchisee_id"]),
            commission_paise=should.commission_paise,
            tds_paise=should.tds_paise,
            payout_paise=should.payout_paise,
        )
    for entry in there.values():
        words = f"corrects {entry['transaction_id']} for refund {entry['refund_number']}"
        yield moment(entry["created_at"]), entry["id"], words, f"{payment['id']} has no such refund"


def netted(entry: Json) -> MoneyEvent:
    """The journal of a session that was given back whole before it was paid out: it is settled, and in no transfer."""
    at = moment(entry["updated_at"])
    return EntryNetted(occurred_at=at, ledger_entry_id=number(entry["id"]), payout_paise=entry["payout_paise"])


def taken_back(transfer: Json) -> Iterator[MoneyEvent | Finding]:
    """The journals of a transfer's reversals. When one was found to make a correction good is in the books alone."""
    done = [reversal for reversal in transfer["reversals"] if reversal["status"] == "DONE"]
    total = sum(reversal["amount_paise"] for reversal in done)
    if total != transfer["reversed_paise"]:
        at = moment(transfer["processed_at"] or transfer["created_at"])
        yield at, transfer["id"], f"says that {transfer['reversed_paise']} paise were taken back", f"its reversals are {total}"
    for reversal in done:
        facts: dict[str, Any] = {
            "occurred_at": moment(reversal["done_at"]),
            "transfer_id": number(transfer["id"]),
            "razorpay_reversal_id": reversal["razorpay_reversal_id"],
            "amount_paise": reversal["amount_paise"],
        }
        yield TransferReversed(**facts)
        if reversal["ledger_entry_id"] is not None:
            yield ReversalApplied(**facts, ledger_entry_id=number(reversal["ledger_entry_id"]))
