"""Invoices and credit notes against bills and books: one of each billed session, and of each refund that reduced its supply, the
tax the tax that was booked, the number the next one.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime

from money import Reduction, credit_note_lines, invoice_lines
from voltlync.books.records import Json, Records, moment, number
from voltlync.books.wallets import bills_as_payments

LINES = ("taxable_paise", "cgst_paise", "sgst_paise", "igst_paise", "round_off_paise", "platform_fee_paise", "total_paise")
NOTE_LINES = ("taxable_paise", "cgst_paise", "sgst_paise", "igst_paise", "round_off_paise", "total_paise")

Found = tuple[datetime, str, str, str]
"""When, which row, what it says, what the records say."""


def invoice_differences(records: Records) -> Iterator[Found]:
    """Every invoice, and every bill with energy, that the other does not bear out."""
    of_transactions: dict[str, list[Json]] = defaultdict(list)
    for invoice in records.invoices:
        of_transactions[invoice["transaction_id"]].append(invoice)
    journals = {journal["key"]: journal for journal in records.journals}
    for payment in (*records.payments, *bills_as_payments(records).values()):
        bill = payment["bill"]
        issued = of_transactions[payment["transaction_id"]] if payment["transaction_id"] else []
        if bill is None or bill["energy_wh"] == 0 or payment["collected_by_franchisee_id"] is not None:
            for invoice in issued:
                yield moment(invoice["issued_at"]), _named(invoice), f"is of {payment['id']}", "we sold nothing by it"
            continue
        if len(issued) != 1:
            have = "it has no invoice" if not issued else f"it has {len(issued)}: {', '.join(map(_named, issued))}"
            yield moment(bill["billed_at"]), f"bill of {payment['id']}", f"is of {payment['transaction_id']}", have
            continue
        yield from _of_bill(issued[0], payment, journals.get(f"{_payer_key(payment['id'])}/billed"))
    yield from _numbers(records.invoices, dated="invoice_date")
    yield from _credit_notes(records, journals)
    yield from _numbers(records.credit_notes, dated="note_date")


def _credit_notes(records: Records, journals: dict[str, Json]) -> Iterator[Found]:
    """One of each refund that reduced a supply, of what the books take off, on the session's invoice."""
    issued: dict[tuple[str, int], list[Json]] = defaultdict(list)
    for note in records.credit_notes:
        issued[note["qr_payment_id"] or note["wallet_session_id"], note["refund_number"]].append(note)
    interstate = {invoice["transaction_id"]: (invoice["id"], invoice["interstate"]) for invoice in records.invoices}
    billed = (*records.payments, *bills_as_payments(records).values())
    for payment in billed:
        for decision in payment["operator_refunds"]:
            of = f"operators' refund {decision['number']} of {payment['id']}"
            notes = issued.pop((payment["id"], decision["number"]), [])
            if decision["goodwill_paise"]:
                for note in notes:
                    yield moment(note["issued_at"]), _named(note), f"is of {of}", "goodwill leaves the supply as it is"
                continue
            if len(notes) != 1:
                have = "it has no credit note" if not notes else f"it has {len(notes)}: {', '.join(map(_named, notes))}"
                yield moment(decision["decided_at"]), of, f"takes {decision['amount_paise']} paise off the supply", have
                continue
            journal = journals.get(f"{_payer_key(payment['id'])}/operator_refund/{decision['number']}")
            yield from _of_decision(notes[0], decision, *interstate.get(payment["transaction_id"], (None, False)), journal)
    known = {payment["id"] for payment in billed}
    for (payer, refund), notes in issued.items():
        for note in notes if payer in known else ():
            yield moment(note["issued_at"]), _named(note), f"is of refund {refund} of {payer}", "no operator decided that"


def _of_decision(note: Json, decision: Json, invoice_id: str | None, interstate: bool, journal: Json | None) -> Iterator[Found]:
    at = moment(note["issued_at"])
    if note["invoice_id"] != invoice_id:
        payer = note["qr_payment_id"] or note["wallet_session_id"]
        yield at, _named(note), f"reduces {note['invoice_id']}", f"{payer} was invoiced by {invoice_id}"
    anew = credit_note_lines(
        Reduction(energy_charge_paise=decision["energy_charge_paise"], gst_paise=decision["gst_paise"]),
        gst_before_paise=decision["gst_before_paise"],
        interstate=interstate,
    )
    for line in NOTE_LINES:
        if note[line] != getattr(anew, line):
            yield at, _named(note), f"{line} is {note[line]}", f"the decision makes it {getattr(anew, line)}"
    if journal is not None and note["gst_paise"] != -_gst_booked(journal):
        words = f"{journal['id']} ({journal['key']}) takes {-_gst_booked(journal)} off the GST collected"
        yield at, _named(note), f"its GST is {note['gst_paise']}", words


def _of_bill(invoice: Json, payment: Json, journal: Json | None) -> Iterator[Found]:
    at, bill = moment(invoice["issued_at"]), payment["bill"]
    anew = invoice_lines(
        energy_charge_paise=bill["energy_charge_paise"],
        gst_paise=bill["gst_paise"],
        platform_fee_paise=bill["platform_fee_paise"],
        interstate=invoice["interstate"],
    )
    for line in LINES:
        if invoice[line] != getattr(anew, line):
            words = f"the bill of {payment['id']} makes it {getattr(anew, line)}"
            yield at, _named(invoice), f"{line} is {invoice[line]}", words
    place, state = invoice["place_of_supply"][:2], invoice["seller_gstin"][:2]
    if invoice["interstate"] != (place != state):
        yield at, _named(invoice), f"interstate is {invoice['interstate']}", f"it was supplied in {place} by a seller of {state}"
    if journal is not None:
        booked = _gst_booked(journal)
        if invoice["gst_paise"] != booked:
            words = f"{journal['id']} ({journal['key']}) books {booked} as GST collected"
            yield at, _named(invoice), f"its GST is {invoice['gst_paise']}", words


def _payer_key(payer: str) -> str:
    """What its journals' keys begin with: paid by scanning, or out of a wallet."""
    return f"payment/{number(payer)}" if payer.startswith("qrp_") else f"wallet_session/{number(payer)}"


def _gst_booked(journal: Json) -> int:
    """What a journal adds to the GST that we owe the state."""
    lines = (line for line in journal["postings"] if line["account"] == "gst_output")
    return sum(int(line["credit_paise"]) - int(line["debit_paise"]) for line in lines)


def _numbers(documents: list[Json], *, dated: str) -> Iterator[Found]:
    """Each series counts from 1, and its dates ascend with its numbers."""
    series: dict[str, list[Json]] = defaultdict(list)
    for document in documents:
        series[document["number"].rpartition("/")[0]].append(document)
    for name, members in series.items():
        before: Json | None = None
        for expected, document in enumerate(sorted(members, key=lambda item: str(item["number"])), start=1):
            at = moment(document["issued_at"])
            if int(document["number"].rpartition("/")[2].removeprefix("C")) != expected:
                yield at, _named(document), "has this number", f"{name} has no {expected}, or it was given twice"
                break
            if before is not None and before[dated] > document[dated]:
                yield at, _named(document), f"is of {document[dated]}", f"{_named(before)} is of {before[dated]}"
            before = document


def _named(document: Json) -> str:
    return f"{document['id']} ({document['number']})"
