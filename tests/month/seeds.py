"""Errors put into the tables by an administrator's hand, past every trigger, one at a time; `books verify` must name each.

A seed picks its row, changes it, and says how the first difference begins that verify finds. What it took away or changed is
put back afterwards, row by row, so that the next one is alone again.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg


@dataclass(frozen=True)
class Seed:
    """One error. `pick`: the row's values as $1, $2, ... of `change`; `words` may name them as {0}, {1}, ..."""

    name: str
    tables: tuple[str, ...]
    """What it touches, to be put back."""
    pick: str
    change: str
    words: str


_BILLED = "SELECT qr_payment_id FROM payments.bills WHERE gst_paise > 20 AND refund_paise > 1000 AND franchisee_id IS NOT NULL"
_JOURNAL = "SELECT id, key FROM settlement.journals WHERE kind = '{}' ORDER BY id DESC LIMIT 1"
_OF_JOURNAL = ("settlement.journals", "settlement.postings")
_GONE = "WITH gone AS (DELETE FROM settlement.postings WHERE journal_id = $1) DELETE FROM settlement.journals WHERE id = $1"

SEEDS = (
    Seed(
        "a bill with other lines",
        ("payments.bills",),
        f"{_BILLED} LIMIT 1",
        "UPDATE payments.bills SET gst_paise = gst_paise - 7, refund_paise = refund_paise + 7 WHERE qr_payment_id = $1",
        "bill of qrp_{0}: gst_paise is",
    ),
    Seed(
        "more energy than was billed",
        ("charging.transactions",),
        "SELECT b.qr_payment_id, b.transaction_id FROM payments.bills b WHERE refund_paise > 3000 LIMIT 1",
        "UPDATE charging.transactions SET energy_wh = energy_wh + 400 + 0 * $1::bigint WHERE id = $2",
        "bill of qrp_{0}: energy_charge_paise is",
    ),
    Seed(
        "another rate than was billed",
        ("charging.transactions",),
        f"{_BILLED} LIMIT 1",
        "UPDATE charging.transactions t SET tariff_paise_per_kwh = t.tariff_paise_per_kwh + 5"
        " FROM payments.bills b WHERE b.transaction_id = t.id AND b.qr_payment_id = $1",
        "bill of qrp_{0}: energy_charge_paise is",
    ),
    Seed(
        "another amount paid",
        ("payments.qr_payments",),
        "SELECT id FROM payments.qr_payments WHERE state = 'REFUNDED' LIMIT 1",
        "UPDATE payments.qr_payments SET amount_paise = amount_paise + 1 WHERE id = $1",
        "qrp_{0}: says that",
    ),
    Seed(
        "another fee",
        ("payments.qr_payments",),
        "SELECT id FROM payments.qr_payments WHERE fee_source = 'WEBHOOK' AND state = 'BILLED' LIMIT 1",
        "UPDATE payments.qr_payments SET platform_fee_paise = platform_fee_paise - 1 WHERE id = $1",
        "qrp_{0}: says that the fee is",
    ),
    Seed(
        "other bytes of a webhook",
        ("payments.webhook_events",),
        "SELECT p.webhook_event_id, p.id, p.amount_paise FROM payments.qr_payments p WHERE p.amount_paise = 10000 LIMIT 1",
        "UPDATE payments.webhook_events SET body ="
        " convert_to(replace(convert_from(body, 'UTF8'), '\"amount\":' || $3::bigint, '\"amount\":' || ($3::bigint + 5)), 'UTF8')"
        " WHERE id = $1 AND $2::bigint > 0",
        "qrp_{1}: says that {2} paise were paid; Razorpay's whe_{0} says",
    ),
    Seed(
        "a webhook that is gone",
        ("payments.webhook_events",),
        "SELECT webhook_event_id, id FROM payments.qr_payments LIMIT 1",
        "DELETE FROM payments.webhook_events WHERE id = $1 AND $2::bigint > 0",
        "qrp_{1}: says that",
    ),
    Seed(
        "a refund of another amount",
        ("payments.refunds",),
        "SELECT id FROM payments.refunds WHERE status = 'PROCESSED' AND amount_paise > 500 LIMIT 1",
        "UPDATE payments.refunds SET amount_paise = amount_paise - 100 WHERE id = $1",
        "rfd_{0}: is of",
    ),
    Seed(
        "a refund that the books never heard of",
        _OF_JOURNAL,
        _JOURNAL.format("refund_processed"),
        _GONE + " AND $2::text <> ''",
        "journal {1}: is not in the books",
    ),
    Seed(
        "a bill that the books never heard of",
        _OF_JOURNAL,
        _JOURNAL.format("payment_billed"),
        _GONE + " AND $2::text <> ''",
        "journal {1}: is not in the books",
    ),
    Seed(
        "a refund that was never made",
        ("payments.refunds",),
        "SELECT id FROM payments.refunds WHERE status = 'PROCESSED' LIMIT 1",
        "DELETE FROM payments.refunds WHERE id = $1",
        "no such refund",
    ),
    Seed(
        "another commission",
        ("settlement.ledger_entries",),
        "SELECT id FROM settlement.ledger_entries WHERE payout_paise > 500 LIMIT 1",
        "UPDATE settlement.ledger_entries SET commission_paise = commission_paise + 1, payout_paise = payout_paise - 1"
        " WHERE id = $1",
        "led_{0}: commission_paise is",
    ),
    Seed(
        "other terms",
        ("settlement.franchisee_terms",),
        "SELECT min(id) FROM settlement.franchisee_terms",
        "UPDATE settlement.franchisee_terms SET commission_bps = commission_bps + 100 WHERE id = $1",
        "commission_paise is",
    ),
    Seed(
        "a split that is gone",
        ("settlement.ledger_entries",),
        "SELECT e.transaction_id, e.franchisee_id FROM settlement.ledger_entries e LIMIT 1",
        "DELETE FROM settlement.ledger_entries WHERE transaction_id = $1 AND franchisee_id = $2",
        "is frn_{1}'s session txn_{0}; it has no ledger entry",
    ),
    Seed(
        "a transfer of another amount",
        ("settlement.transfers",),
        "SELECT id FROM settlement.transfers WHERE status = 'SETTLED' LIMIT 1",
        "UPDATE settlement.transfers SET amount_paise = amount_paise - 1 WHERE id = $1",
        "xfr_{0}: is of",
    ),
    Seed(
        "another charge for a transfer",
        ("settlement.transfers",),
        "SELECT id FROM settlement.transfers WHERE status = 'SETTLED' AND fee_paise > 0 LIMIT 1",
        "UPDATE settlement.transfers SET fee_paise = fee_paise + 1 WHERE id = $1",
        "(transfer/{0}/charged): has",
    ),
    Seed(
        "a transfer taken for failed",
        ("settlement.transfers",),
        "SELECT id FROM settlement.transfers WHERE status = 'SETTLED' LIMIT 1",
        "UPDATE settlement.transfers SET status = 'FAILED' WHERE id = $1",
        "(transfer/{0}/claimed): is in the books; no record bears it out",
    ),
    Seed(
        "a transfer to another franchisee",
        ("settlement.transfers",),
        "SELECT t.id, min(f.id) FROM settlement.transfers t JOIN settlement.franchisees f ON f.id <> t.franchisee_id"
        " WHERE t.status = 'SETTLED' GROUP BY t.id LIMIT 1",
        "UPDATE settlement.transfers SET franchisee_id = $2 WHERE id = $1",
        "to frn_{1}; it is",
    ),
    Seed(
        "a settlement that brought less to a franchisee's bank",
        ("settlement.settlements",),
        "SELECT razorpay_settlement_id FROM settlement.settlements WHERE status = 'MATCHED' LIMIT 1",
        "UPDATE settlement.settlements SET amount_paise = amount_paise - 1 WHERE razorpay_settlement_id = $1",
        "'s {0}: is of",
    ),
    Seed(
        "a payment that was heard of and lost",
        ("payments.qr_payments",),
        "SELECT id, razorpay_payment_id FROM payments.qr_payments WHERE state = 'BILLED' LIMIT 1",
        "DELETE FROM payments.qr_payments WHERE id = $1 AND $2::text <> ''",
        "tells of {1}, ",
    ),
    Seed(
        "another amount of our own settlement",
        ("settlement.settlements",),
        "SELECT razorpay_settlement_id FROM settlement.settlements WHERE status = 'OWN' LIMIT 1",
        "UPDATE settlement.settlements SET amount_paise = amount_paise + 1 WHERE razorpay_settlement_id = $1",
        "(settlement/{0}/own): has",
    ),
    Seed(
        "a posting of more, on both sides",
        ("settlement.postings",),
        _JOURNAL.format("transfer_processed"),
        "UPDATE settlement.postings SET debit_paise = debit_paise + 3 * (debit_paise > 0)::int,"
        " credit_paise = credit_paise + 3 * (credit_paise > 0)::int WHERE journal_id = $1 AND $2::text <> ''",
        "({1}): has",
    ),
    Seed(
        "a posting that unbalances",
        ("settlement.postings",),
        _JOURNAL.format("payment_captured"),
        "UPDATE settlement.postings SET credit_paise = credit_paise + 1"
        " WHERE journal_id = $1 AND account = 'rider_held' AND $2::text <> ''",
        "({1}): its debits exceed its credits by -1 paise",
    ),
    Seed(
        "the wrong account",
        ("settlement.postings",),
        _JOURNAL.format("payment_billed"),
        "UPDATE settlement.postings SET account = 'commission'"
        " WHERE journal_id = $1 AND account = 'platform_fee' AND $2::text <> ''",
        "({1}): has",
    ),
    Seed(
        "a journal twice",
        _OF_JOURNAL,
        _JOURNAL.format("payment_captured"),
        "WITH again AS (INSERT INTO settlement.journals OVERRIDING SYSTEM VALUE SELECT"
        " (jsonb_populate_record(j, jsonb_build_object('id', j.id + 1000000, 'key', 'payment/999999/captured'))).*"
        " FROM settlement.journals j WHERE id = $1 RETURNING id)"
        " INSERT INTO settlement.postings SELECT journal_id + 1000000, line, account, occurred_at, debit_paise, credit_paise"
        " FROM settlement.postings WHERE journal_id = $1 AND $2::text <> ''",
        "(payment/999999/captured): is in the books; no record bears it out",
    ),
)


_COLUMNS = """SELECT string_agg(quote_ident(column_name), ', ') FROM information_schema.columns
    WHERE table_schema || '.' || table_name = $1 AND is_generated = 'NEVER'"""


@asynccontextmanager
async def sown(admin: "asyncpg.Connection[Any]", seed: Seed) -> AsyncIterator[str]:
    """The error is there within the block; yields the words that verify must find. Raises AssertionError without a row for it."""
    picked = await admin.fetchrow(seed.pick)
    assert picked is not None, f"{seed.name}: the month has no such row"
    await admin.execute("SET session_replication_role = replica")
    for table in seed.tables:
        name = table.replace(".", "_")
        await admin.execute(f"CREATE TEMP TABLE kept_{name} AS TABLE {table}")
    changed = await admin.execute(seed.change, *picked)
    assert not changed.endswith(" 0"), f"{seed.name}: nothing was changed"
    try:
        yield seed.words.format(*picked)
    finally:
        for table in seed.tables:
            name = table.replace(".", "_")
            await admin.execute(f"DELETE FROM {table}")  # noqa: S608  (our own names)
            own = await admin.fetchval(_COLUMNS, table)
            await admin.execute(f"INSERT INTO {table} ({own}) OVERRIDING SYSTEM VALUE SELECT {own} FROM kept_{name}")  # noqa: S608
            await admin.execute(f"DROP TABLE kept_{name}")
