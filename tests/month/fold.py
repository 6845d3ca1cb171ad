"""The month against the pure model of money (`tests/money_model.py`): told all over again, in another order, twice.

What payments announced is put into settlement's queue once more, shuffled, under new message ids, twice: nothing may change. And
the model, fed with the same words in yet another order and with what the sandbox's bank did, must have the very journals.
For days, not for a month: an outbox forgets what it has sent after some days.
"""

import json
from collections import Counter
from random import Random
from typing import Any

import asyncpg

from contracts import contract_for
from contracts.payments import PaymentBilled, PaymentFeeRecorded, PaymentReceived, PaymentRefundedInFull, RefundChanged
from contracts.topology import address_of
from settlement.domain.books import standing
from settlement.domain.franchisee import Terms
from settlement.domain.transfer import TransferStatus
from testkit.quiet import buses_of
from tests.money_model import BILL_LINES, Books, Claimed, OwnSettlement, TransferTold, Word, hear_all
from tests.month.world import Network

HEARD = "payments.%"
OF_MONEY = (PaymentReceived, PaymentFeeRecorded, PaymentBilled, PaymentRefundedInFull, RefundChanged)
BY_PEOPLE = ("payment_fee_corrected", "recharge_fee_corrected", "refund_charged")
"""They rest on the statement, not on what was said."""


async def told_again(network: Network, seed: int) -> None:
    """Nothing changes, and the model agrees. Raises AssertionError."""
    admin = await asyncpg.connect(network.dsn)
    try:
        said = [
            contract_for(row["type"]).model_validate_json(row["body"])  # type: ignore[union-attr]
            for row in await admin.fetch("SELECT type, body FROM payments.outbox WHERE type LIKE $1 ORDER BY id", HEARD)
        ]
        before = await _booked(admin)
        random = Random(seed)
        again = [*said, *said]
        random.shuffle(again)
        (bus,) = buses_of(network.services["payments"])
        for event in again:
            await bus.publish(event, to=address_of(event, sender="payments"))
        await network.rest()
        assert await _booked(admin) == before, "told again in another order, the books are others"
        modelled = await _modelled(network, admin, said, random)
        other = {key: (modelled.get(key), before.get(key)) for key in modelled | before if modelled.get(key) != before.get(key)}
        assert not other, f"the model has other books: {other}"
        await _identities(admin)
    finally:
        await admin.close()


async def _booked(admin: "asyncpg.Connection[Any]") -> dict[str, Counter[str]]:
    """What stands, by key: debits less credits by account. An entry is named by its transaction, as the model names it."""
    keys = {row["id"]: row["key"] for row in await admin.fetch("SELECT id, key FROM settlement.journals")}
    rows = await admin.fetch("SELECT id, key, kind, facts, reverses FROM settlement.journals")
    stands = standing({row["key"]: keys.get(row["reverses"]) for row in rows})
    lines: dict[int, Counter[str]] = {}
    for row in await admin.fetch("SELECT journal_id, account, debit_paise - credit_paise AS paise FROM settlement.postings"):
        lines.setdefault(row["journal_id"], Counter())[row["account"]] += row["paise"]
    booked = {}
    for row in rows:
        if row["key"] in stands and row["kind"] not in BY_PEOPLE:
            transaction = json.loads(row["facts"]).get("transaction_id")
            key = f"entry/{transaction}/booked" if row["kind"] == "entry_booked" else row["key"].partition("#")[0]
            assert key not in booked, f"{key} stands twice"
            booked[key] = lines[row["id"]]
    assert all(sum(line.values()) == 0 for line in lines.values()), "every journal balances"
    return booked


async def _modelled(
    network: Network, admin: "asyncpg.Connection[Any]", said: list[Any], random: Random
) -> dict[str, Counter[str]]:
    """The model's books of the same words, shuffled anew and doubled, and of the bank's own records."""
    terms: dict[int, list[Terms]] = {}
    for row in await admin.fetch("SELECT * FROM settlement.franchisee_terms"):
        own = Terms(row["commission_bps"], row["tds_bps"], row["tds_base"], row["effective_from"])
        terms.setdefault(row["franchisee_id"], []).append(own)
    pays: dict[int, list[tuple[int, int]]] = {}
    allocated = (
        "SELECT a.transfer_id, a.amount_paise, e.transaction_id FROM settlement.allocations a"
        " JOIN settlement.ledger_entries e ON e.id = a.ledger_entry_id"
    )
    for row in await admin.fetch(allocated):
        pays.setdefault(row["transfer_id"], []).append((row["transaction_id"], row["amount_paise"]))
    state = network.razorpay.state
    at_bank = {transfer.notes["key"]: transfer for transfer in state.transfers.values()}
    words: list[Word] = [event for event in said if isinstance(event, OF_MONEY)]
    for row in await admin.fetch("SELECT id, key, status, created_at FROM settlement.transfers"):
        words.append(Claimed(row["id"], tuple(pays[row["id"]]), row["created_at"]))
        made = at_bank.get(row["key"])
        if made is None and row["status"] != TransferStatus.FAILED:
            continue  # it waits for our balance: the bank has not heard of it
        status = TransferStatus.FAILED
        if made is not None and made.status != "failed":
            status = TransferStatus.SETTLED if made.recipient_settlement_id else TransferStatus.PROCESSED
        fees = (None, None) if made is None or status is TransferStatus.FAILED else (made.fees, made.tax)
        words.append(TransferTold(row["id"], status, *fees, row["created_at"]))
    ours = network.razorpay.settings.account_id
    own_settlements = [settlement for settlement in state.settlements.values() if settlement.account_id == ours]
    words += [OwnSettlement(one.id, one.amount, own=True, at=network.clock.now()) for one in own_settlements]
    words += words
    random.shuffle(words)
    model = Books(terms)
    hear_all(model.hear, words)
    return model.lines()


async def _identities(admin: "asyncpg.Connection[Any]") -> None:
    """Over every row: both identities, one live refund per payment, one live transfer per entry."""
    lines = " + ".join(BILL_LINES)
    wrong_bills = await admin.fetch(f"SELECT qr_payment_id FROM payments.bills WHERE paid_paise <> {lines}")  # noqa: S608
    assert not wrong_bills, "paid = energy + gst + fee + refund + residue"
    wrong_entries = await admin.fetch(
        "SELECT id FROM settlement.ledger_entries WHERE gross_paise <> refund_paise + residue_paise + pg_fee_paise"
        " + gst_paise + commission_paise + tds_paise + payout_paise"
    )
    assert not wrong_entries, "gross = refund + residue + pg_fee + gst + commission + tds + payout"
    live_refunds = "SELECT qr_payment_id FROM payments.refunds WHERE status <> 'FAILED' GROUP BY 1 HAVING count(*) > 1"
    assert not await admin.fetch(live_refunds), "two refunds of one payment live"
    live_transfers = (
        "SELECT a.ledger_entry_id FROM settlement.allocations a JOIN settlement.transfers t ON t.id = a.transfer_id"
        " WHERE t.status <> 'FAILED' GROUP BY 1 HAVING count(*) > 1"
    )
    assert not await admin.fetch(live_transfers), "two transfers of one entry live"
