"""Who is paid, how often, and how much: by ids and sums alone, without a rule of those who wrote the books.

Bills, splits and journals are derived again by the very functions that made them, from what the rows say of themselves. A row
that is right in itself may still be the wrong one: another's session, a payout in two transfers, a year that was not counted, a
payment that was heard of and lost. That shows between rows only, and is looked at here.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from voltlync.books.after_the_bill import Finding, number
from voltlync.books.records import Json, Records, moment
from voltlync.books.wallets import bills_as_payments

IST = timedelta(hours=5, minutes=30)


def payee_differences(records: Records) -> Iterator[Finding]:
    """Everything that is looked at here."""
    yield from _owners(records)
    yield from _paid_once(records)
    yield from _banked(records)
    yield from _tax_years(records.entries)
    yield from _lost_credits(records)
    yield from _denied(records)


def _owners(records: Records) -> Iterator[Finding]:
    """A session is his whose site it began at, in the bill and in the split, unless a person said otherwise."""
    entries = {entry["transaction_id"]: entry for entry in records.entries if entry["kind"] == "SESSION"}
    for payment in (*records.payments, *bills_as_payments(records).values()):
        bill, name = payment["bill"], payment["transaction_id"]
        if bill is None:
            continue
        session = records.transactions.get(name)
        if session is not None and session["franchisee_id"] != bill["franchisee_id"]:
            says = f"is {_whose(bill['franchisee_id'])}"
            yield moment(bill["billed_at"]), f"bill of {payment['id']}", says, f"{name} is {_whose(session['franchisee_id'])}"
        entry, owner = entries.get(name), bill["franchisee_id"] or payment["collected_by_franchisee_id"]
        if entry is not None and entry["franchisee_id"] != owner and name not in records.assigned:
            should = f"the bill of {payment['id']} is {_whose(owner)}"
            yield moment(entry["created_at"]), entry["id"], f"is {_whose(entry['franchisee_id'])}", should


def _whose(franchisee: str | None) -> str:
    return f"{franchisee}'s" if franchisee is not None else "the platform's own"


def _paid_once(records: Records) -> Iterator[Finding]:
    """A payout goes out whole, by one transfer, to its owner; a correction is made good once, by a transfer or a reversal.

    One that Razorpay made after we had replaced it (`paid_twice_status`) is known, and counted elsewhere.
    """
    entries = {entry["id"]: entry for entry in records.entries}
    done_by: dict[str, str] = {}
    for transfer in records.transfers:
        if transfer["status"] == "FAILED":
            continue
        at = moment(transfer["created_at"])
        for part in transfer["pays"]:
            name, entry = part["ledger_entry_id"], entries.get(part["ledger_entry_id"])
            if entry is None:
                yield at, transfer["id"], f"pays {name}", "there is no such entry"
                continue
            if entry["franchisee_id"] != transfer["franchisee_id"]:
                yield at, transfer["id"], f"pays {name} to {transfer['franchisee_id']}", f"it is {_whose(entry['franchisee_id'])}"
            if entry["payout_paise"] != part["amount_paise"]:
                yield at, transfer["id"], f"pays {name} with {part['amount_paise']} paise", f"it is due {entry['payout_paise']}"
            if name in done_by:
                yield at, transfer["id"], f"pays {name}", f"{done_by[name]} has done so"
            done_by[name] = transfer["id"]
        for reversal in transfer["reversals"]:
            name = reversal["ledger_entry_id"]
            if name is None or reversal["status"] != "DONE":
                continue
            if name in done_by:
                yield moment(reversal["done_at"]), reversal["id"], f"makes {name} good", f"{done_by[name]} has done so"
            done_by[name] = reversal["id"]


def _banked(records: Records) -> Iterator[Finding]:
    """By each settlement of a franchisee's, its bank has had at least what its transfers came to by then.

    What was reversed of a transfer after it was settled is taken from a later settlement, so the sums count. One that collects
    itself has other money in its settlements, and other refunds out of them: nothing follows for it.
    """
    collectors = {entry["franchisee_id"] for entry in records.entries if entry["collected_by_account_id"] is not None}
    due: dict[str, Counter[str]] = {}
    for transfer in records.transfers:
        if transfer["status"] == "SETTLED" and transfer["settlement_id"] and transfer["franchisee_id"] not in collectors:
            of_franchisee = due.setdefault(transfer["franchisee_id"], Counter())
            of_franchisee[transfer["settlement_id"]] += transfer["amount_paise"] - transfer["reversed_paise"]
    told = {settled["id"]: settled for settled in records.settlements}
    for franchisee, settled_in in due.items():
        banked, came_to = 0, 0
        for name in sorted(settled_in.keys() & told.keys(), key=lambda one: moment(told[one]["processed_at"])):
            banked, came_to = banked + told[name]["amount_paise"], came_to + settled_in[name]
            if banked < came_to:
                row, says = f"{franchisee}'s {name}", f"is of {told[name]['amount_paise']} paise, {banked} in all"
                yield moment(told[name]["processed_at"]), row, says, f"its transfers come to {came_to} in all"
                break


def _tax_years(entries: Iterable[Json]) -> Iterator[Finding]:
    """What an entry under a threshold takes for its financial year so far is what the entries before it come to."""
    so_far: dict[tuple[str, int], tuple[int, int, int]] = {}
    for entry in sorted(entries, key=lambda one: number(one["id"])):
        if entry["kind"] != "SESSION":
            continue
        started_at = moment(entry["started_at"]) + IST
        year = started_at.year - (started_at.month < 4)
        before = so_far.get((entry["franchisee_id"], year), (0, 0, 0))
        if entry["tds_year"] is not None:
            says = tuple(entry[f"tds_year_{name}"] for name in ("sales_paise", "due_paise_bps", "withheld_paise"))
            if (entry["tds_year"], *says) != (year, *before):
                words = f"has {says} of sales, tax due and withheld before it in {entry['tds_year']}"
                yield moment(entry["created_at"]), entry["id"], words, f"its owner's entries make them {before} in {year}"
        billed = entry["gross_paise"] - entry["refund_paise"] - entry["residue_paise"]
        base = billed - entry["pg_fee_paise"] - entry["gst_paise"]
        if entry["tds_base"] == "NET_LESS_COMMISSION":
            base -= entry["commission_paise"]
        sales, due, withheld = before
        after = (sales + billed, due + base * entry["tds_bps"], withheld + entry["tds_paise"])
        so_far[entry["franchisee_id"], year] = after


def _lost_credits(records: Records) -> Iterator[Finding]:
    """Of each credit of Razorpay's that payments took for ours there is a payment."""
    for event in records.webhook_events:
        if event["event"] != "qr_code.credited" or event["state"] != "HANDLED":
            continue
        for figure in event["figures"]:
            if figure["entity"] == "payment" and figure["razorpay_id"] not in records.payments_known:
                says = f"tells of {figure['razorpay_id']}, {figure['amount_paise']} paise paid"
                yield moment(event["created_at"]), event["id"], says, "there is no payment of it"


def _denied(records: Records) -> Iterator[Finding]:
    """Money that moved by our records, and that Razorpay's webhooks say has failed: all of them, whatever their order."""
    told: dict[str, Counter[str | None]] = {}
    for event in records.webhook_events:
        for figure in event["figures"]:
            told.setdefault(figure["razorpay_id"], Counter())[figure["status"]] += 1
    moved: list[tuple[datetime, Json, str | None]] = [
        (moment(refund["processed_at"] or refund["updated_at"]), refund, refund["razorpay_refund_id"])
        for payment in records.payments
        for refund in payment["refunds"]
        if refund["status"] == "PROCESSED"
    ]
    moved += [
        (moment(transfer["processed_at"]), transfer, transfer["razorpay_transfer_id"])
        for transfer in records.transfers
        if transfer["status"] in ("PROCESSED", "SETTLED")
    ]
    for at, row, name in moved:
        words = told.get(name or "", Counter())
        if words["failed"] and not words["processed"]:
            yield at, row["id"], f"is {row['status']}", f"Razorpay says that {name} failed"
