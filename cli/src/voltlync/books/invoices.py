"""Invoices against bills and books: one of each billed session, its tax the tax that was booked, its number the next one."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime

from money import invoice_lines
from voltlync.books.records import Json, Records, moment
from voltlync.books.wallets import bills_as_payments

LINES = ("taxable_paise", "cgst_paise", "sgst_paise", "igst_paise", "round_off_paise", "platform_fee_paise", "total_paise")

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
        yield from _of_bill(issued[0], payment, journals.get(_journal_key(payment["id"])))
    yield from _numbers(records.invoices)


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
        booked = sum(
            line["credit_paise"] - line["debit_paise"] for line in journal["postings"] if line["account"] == "gst_output"
        )
        if invoice["gst_paise"] != booked:
            words = f"{journal['id']} ({journal['key']}) books {booked} as GST collected"
            yield at, _named(invoice), f"its GST is {invoice['gst_paise']}", words


def _journal_key(payer: str) -> str:
    """Of a bill's journal: paid by scanning, or out of a wallet."""
    prefix, _, number = payer.partition("_")
    return f"payment/{number}/billed" if prefix == "qrp" else f"wallet_session/{number}/billed"


def _numbers(invoices: list[Json]) -> Iterator[Found]:
    """Each series counts from 1, and its dates ascend with its numbers."""
    series: dict[str, list[Json]] = defaultdict(list)
    for invoice in invoices:
        series[invoice["number"].rpartition("/")[0]].append(invoice)
    for name, members in series.items():
        before: Json | None = None
        for expected, invoice in enumerate(sorted(members, key=lambda item: str(item["number"])), start=1):
            at = moment(invoice["issued_at"])
            if int(invoice["number"].rpartition("/")[2]) != expected:
                yield at, _named(invoice), "has this number", f"{name} has no {expected}, or it was given twice"
                break
            if before is not None and before["invoice_date"] > invoice["invoice_date"]:
                yield at, _named(invoice), f"is of {invoice['invoice_date']}", f"{_named(before)} is of {before['invoice_date']}"
            before = invoice


def _named(invoice: Json) -> str:
    return f"{invoice['id']} ({invoice['number']})"
