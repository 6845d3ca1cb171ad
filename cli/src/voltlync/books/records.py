"""What the services' own APIs tell of money: raw records, read through the door, nothing interpreted."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from settlement.domain.tax import TaxRule
from settlement.views.tax import TaxRuleView

Json = dict[str, Any]
Get = Callable[[str], Awaitable[Any]]
"""One GET at the door, as somebody of finance; the JSON answer."""
Say = Callable[[str], None]

PAGE = 100

OPEN_STATES = ("RECEIVED", "START_REQUESTED", "CHARGING")
"""A payment whose fee may still be told, which leaves `updated_at` as it was."""


@dataclass
class Records:
    """Everything that the books are derived from, and the books. Lists oldest first."""

    payments: list[Json] = field(default_factory=list)
    """With their bills and refunds."""
    payments_known: set[str] = field(default_factory=set)
    """Razorpay's ids of all payments, also of those that are not read."""
    recharge_payments: list[Json] = field(default_factory=list)
    wallet_sessions: list[Json] = field(default_factory=list)
    """With their bills."""
    wallet_control: Json = field(default_factory=dict)
    """What all wallets came to at `to`."""
    transactions: dict[str, Json] = field(default_factory=dict)
    webhook_events: list[Json] = field(default_factory=list)
    terms: dict[str, list[Json]] = field(default_factory=dict)
    """Terms of each franchisee."""
    business_types: dict[str, str] = field(default_factory=dict)
    """Of each franchisee: tax rules ask for it."""
    tax_rules: list[TaxRule] = field(default_factory=list)
    accounts_of_franchisees: set[str] = field(default_factory=set)
    """Linked accounts at Razorpay."""
    commission_receipts: list[Json] = field(default_factory=list)
    """What franchisees who collect themselves paid us."""
    entries: list[Json] = field(default_factory=list)
    unowned: set[str] = field(default_factory=set)
    """Transactions whose bill waits for an owner."""
    assigned: set[str] = field(default_factory=set)
    """Transactions of whose bill a person said whose it is."""
    transfers: list[Json] = field(default_factory=list)
    settlements: list[Json] = field(default_factory=list)
    invoices: list[Json] = field(default_factory=list)
    """All of them: that numbers have no gap shows in the whole series only."""
    credit_notes: list[Json] = field(default_factory=list)
    """All of them."""
    statement_rows: list[Json] = field(default_factory=list)
    """Razorpay's own statement, as settlement keeps it."""
    journals: list[Json] = field(default_factory=list)
    trial_before: Json = field(default_factory=dict)
    """The trial balance at `from`; empty where there is none."""
    trial: Json = field(default_factory=dict)
    """The trial balance at `to`."""


def moment(text: str) -> datetime:
    """A time as the API writes it."""
    return datetime.fromisoformat(text)


def number(identifier: str) -> int:
    """17 of qrp_17."""
    return int(identifier.partition("_")[2])


async def read_all(get: Get, path: str) -> list[Json]:
    """Every item of a cursor-paged list, oldest first."""
    items: list[Json] = []
    cursor: str | None = None
    while True:
        step = f"{path}{'&' if '?' in path else '?'}limit={PAGE}" + (f"&cursor={cursor}" if cursor else "")
        page = await get(step)
        items += page["items"]
        cursor = page["next_cursor"]
        if not cursor:
            return items[::-1]


async def read_records(get: Get, say: Say, *, from_: datetime | None, to: datetime) -> Records:
    """All of it. The books last: what happens meanwhile is younger than `to` and is not compared."""
    records = Records()

    async def all_of(noun: str, query: str = "") -> list[Json]:
        found = await read_all(get, f"/v1/{noun}{query}")
        say(f"read {len(found)} {noun}")
        return found

    records.webhook_events = await all_of("webhook-events")
    records.entries = await all_of("ledger-entries")
    moved = {refund["qr_payment_id"] for refund in await all_of("refunds") if _since(refund["updated_at"], from_)}
    moved |= {entry["qr_payment_id"] for entry in records.entries if _since(entry["created_at"], from_)}
    for payment in await all_of("payments"):
        records.payments_known.add(payment["razorpay_payment_id"])
        # One that came to rest before the time asked for has no event of money in it, and its bill need not be read.
        if payment["id"] in moved or payment["state"] in OPEN_STATES or _since(payment["updated_at"], from_):
            records.payments.append(await get(f"/v1/payments/{payment['id']}"))
    records.recharge_payments = await all_of("wallets/recharge-payments")
    records.wallet_sessions = await all_of("wallets/sessions")
    records.transactions = {item["id"]: item for item in await all_of("transactions")}
    for franchisee in await all_of("franchisees"):
        records.terms[franchisee["id"]] = await read_all(get, f"/v1/franchisees/{franchisee['id']}/terms")
        records.commission_receipts += await read_all(get, f"/v1/franchisees/{franchisee['id']}/commission-receipts")
        records.business_types[franchisee["id"]] = franchisee["business_type"]
        if franchisee["razorpay_account_id"]:
            records.accounts_of_franchisees.add(franchisee["razorpay_account_id"])
    records.tax_rules = [TaxRuleView.model_validate(rule).rule() for rule in await all_of("tax-rules")]
    for bill in await read_all(get, "/v1/ledger-entries/unowned-bills?assigned=true"):
        (records.assigned if bill["assigned_at"] else records.unowned).add(bill["transaction_id"])
    for transfer in await all_of("transfers"):
        whole = transfer["status"] != "FAILED" or transfer["paid_twice_status"]
        records.transfers.append(await get(f"/v1/transfers/{transfer['id']}") if whole else transfer)
    records.settlements = await all_of("settlements")
    records.invoices = await all_of("invoices")
    records.credit_notes = await all_of("credit-notes")
    records.statement_rows = await all_of("reconciliations/rows", f"?from={_in_query(from_)}" if from_ else "")
    records.journals = await all_of("books/journals", f"?from={_in_query(from_)}" if from_ else "")
    records.trial = await get(f"/v1/books/trial-balance?at={_in_query(to)}")
    records.wallet_control = await get(f"/v1/wallets/control?at={_in_query(to)}")
    if from_ is not None:
        records.trial_before = await get(f"/v1/books/trial-balance?at={_in_query(from_)}")
    return records


def _since(text: str, from_: datetime | None) -> bool:
    return from_ is None or moment(text) >= from_


def _in_query(at: datetime) -> str:
    return quote(at.isoformat())
