"""What must be true when all is over. Two pure functions over the evidence, each returning sentences; no sentence is good news.

`unfinished`: something is still on its way; given time it must end. `wrongs`: something that no time can mend.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from money import MIN_REFUND_PAISE, final_bill
from razorpay_simulator.entities import Refund
from tests.chaos.evidence import Evidence, Row

BILL_LINES = ("energy_charge_paise", "gst_paise", "platform_fee_paise", "refund_paise", "residue_paise")
ENTRY_LINES = ("refund_paise", "residue_paise", "pg_fee_paise", "gst_paise", "commission_paise", "tds_paise", "payout_paise")

PAYMENT_FINAL = frozenset({"BILLED", "REFUNDED", "RESIDUE_OWED"})
COMMAND_OPEN = frozenset({"PENDING", "DISPATCHED"})

# Ends that wait for the charger's own StopTransaction: its figure, and no guess of ours, is billed.
STOPPED_BY_CHARGER = frozenset({"CHARGER", "BUDGET_EXHAUSTED"})


def unfinished(evidence: Evidence) -> list[str]:
    """What is still on its way."""
    return [
        *_money_under_way(evidence),
        *_payouts_under_way(evidence),
        *_sessions_under_way(evidence),
        *_messages_under_way(evidence),
    ]


def wrongs(evidence: Evidence) -> list[str]:
    """What contradicts itself, or is lost, doubled or of the wrong amount. Complete only once nothing is under way."""
    return [
        *_payments_are_accounted_for(evidence),
        *_refunds_are_right(evidence),
        *_bills_are_honest(evidence),
        *_payouts_are_right(evidence),
        *_sessions_are_single(evidence),
        *_nothing_was_given_up(evidence),
        *_nothing_was_invented(evidence),
    ]


def moved(evidence: Evidence) -> dict[str, list[tuple[Any, ...]]]:
    """All money that was billed, sent back and paid out. Once at rest, nothing may change it any more."""
    return {
        "bills": sorted((row["transaction_id"], row["qr_payment_id"], row["paid_paise"]) for row in evidence.tables["bills"]),
        "refunds": sorted((refund.id, refund.status, refund.amount) for refund in evidence.bank.refunds.values()),
        "transfers": sorted((transfer.id, transfer.status, transfer.amount) for transfer in evidence.bank.transfers.values()),
    }


# -- on its way


def _money_under_way(evidence: Evidence) -> Iterator[str]:
    known = {row["razorpay_payment_id"] for row in evidence.tables["payments"]}
    for payment in evidence.bank.payments.values():
        if payment.id not in known:
            yield f"{payment.id} ({payment.amount} paise) was paid and is not known to us"
    live = {row["qr_payment_id"] for row in evidence.tables["refunds"] if row["status"] != "FAILED"}
    for row in evidence.tables["payments"]:
        if row["state"] not in PAYMENT_FINAL:
            yield f"{row['razorpay_payment_id']} is {row['state']}"
    for refund in evidence.tables["refunds"]:
        if refund["status"] not in ("PROCESSED", "FAILED"):
            yield f"refund {refund['key']} of {refund['amount_paise']} paise is {refund['status']} ({refund['last_error']})"
        elif refund["status"] == "FAILED" and refund["qr_payment_id"] not in live:
            yield f"refund {refund['key']} failed and has no successor"
    for at_bank in evidence.bank.refunds.values():
        if at_bank.status == "pending":
            yield f"the bank has {at_bank.id} of {at_bank.amount} paise pending"


def _payouts_under_way(evidence: Evidence) -> Iterator[str]:
    entered = {row["transaction_id"] for row in evidence.tables["entries"]}
    for bill in evidence.tables["bills"]:
        if bill["franchisee_id"] is not None and bill["transaction_id"] not in entered:
            yield f"the bill of txn_{bill['transaction_id']} has no ledger entry"
    for entry in evidence.tables["entries"]:
        if entry["status"] != "SETTLED" and not _carried(entry) and not entry["implausible"]:
            yield f"the payout of {entry['key']}, {entry['payout_paise']} paise, is {entry['status']} ({entry['hold_reason']})"


def _carried(entry: Row) -> bool:
    """Too little to transfer: it rightly waits for the franchisee's next payouts."""
    return bool(0 < entry["payout_paise"] < MIN_REFUND_PAISE and entry["hold_kind"] == "BELOW_MINIMUM")


def _sessions_under_way(evidence: Evidence) -> Iterator[str]:
    for request in evidence.tables["start_requests"]:
        if request["state"] == "REQUESTED":
            yield f"start request {request['request_key']} is undecided, its deadline was {request['deadline_at']:%H:%M:%S}"
    billed = {row["transaction_id"] for row in evidence.tables["bills"]}
    for row in evidence.tables["transactions"]:
        if row["state"] != "STOPPED":
            yield f"txn_{row['id']} is {row['state']}"
        elif row["id"] in billed and row["total_billed_paise"] is None:
            yield f"txn_{row['id']} has not heard of its bill"
    for command in evidence.tables["commands"]:
        if command["status"] in COMMAND_OPEN:
            named = f"command {command['id']} ({command['action']})"
            yield f"{named} is {command['status']}, its deadline was {command['deadline_at']:%H:%M:%S}"
    for charge_point_id in evidence.points.running:
        yield f"{charge_point_id} is still charging"
    for charge_point_id, count in evidence.points.unsent.items():
        yield f"{charge_point_id} still has {count} transaction messages to send"


def _messages_under_way(evidence: Evidence) -> Iterator[str]:
    for service, count in evidence.unpublished.items():
        yield f"the outbox of {service} holds {count}"
    for queue, count in evidence.queues.items():
        yield f"queue {queue} holds {count}"
    for event in evidence.bank.events.values():
        if not event.acknowledged:
            states = ", ".join(delivery.state for delivery in event.deliveries)
            yield f"webhook {event.event} {event.id} is {states}"
    for webhook in evidence.tables["webhooks"]:
        if webhook["state"] == "RECEIVED":
            yield f"webhook {webhook['event']} {webhook['razorpay_event_id']} is not worked off ({webhook['reason']})"
    missing = evidence.points.acknowledged - evidence.stored
    if missing:
        first = min(missing)
        yield (
            f"{missing.total()} acknowledged meter values are not in Postgres; the first: "
            f"{first.charge_point_id} {first.at:%H:%M:%S.%f} {first.energy_wh} Wh"
        )


# -- wrong for ever


def _payments_are_accounted_for(evidence: Evidence) -> Iterator[str]:
    """Every payment of the bank is one row of ours, and every row of ours is a payment of the bank."""
    at_bank = evidence.bank.payments
    for payment_id, amount_paise in evidence.paid.items():
        if payment_id not in at_bank or at_bank[payment_id].amount != amount_paise:
            yield f"a rider paid {amount_paise} paise as {payment_id}, and the bank knows nothing of it"
    rows = _by(evidence.tables["payments"], "razorpay_payment_id")
    for payment_id, same in rows.items():
        if len(same) != 1:
            yield f"{payment_id} has {len(same)} rows"
        if payment_id not in at_bank:
            yield f"{payment_id} was never paid"
        elif same[0]["amount_paise"] != at_bank[payment_id].amount:
            yield f"{payment_id} is booked as {same[0]['amount_paise']} paise, the rider paid {at_bank[payment_id].amount}"


def _refunds_are_right(evidence: Evidence) -> Iterator[str]:
    """What the bank sent back is what was due, in one refund."""
    bills = _by(evidence.tables["bills"], "qr_payment_id")
    ours = _by(evidence.tables["refunds"], "qr_payment_id")
    residues = _by(evidence.tables["residues"], "qr_payment_id")
    at_bank: dict[str, list[Refund]] = defaultdict(list)
    for refund in evidence.bank.refunds.values():
        if refund.status != "failed":
            at_bank[refund.payment_id].append(refund)
    for payment in evidence.tables["payments"]:
        payment_id, bill = payment["razorpay_payment_id"], bills.get(payment["id"], [])
        owed = bill[0]["refund_paise"] + bill[0]["residue_paise"] if bill else payment["amount_paise"]
        due = owed if owed >= MIN_REFUND_PAISE else 0
        made = [refund.amount for refund in at_bank.pop(payment_id, [])]
        if made != ([due] if due else []):
            yield f"{payment_id}: {due} paise were due back, the bank's refunds are {made}"
        live = [refund["amount_paise"] for refund in ours.get(payment["id"], []) if refund["status"] != "FAILED"]
        if live != ([due] if due else []):
            yield f"{payment_id}: {due} paise were due back, our refunds are {live}"
        kept = [row["amount_paise"] for row in residues.get(payment["id"], [])]
        if kept != ([owed] if 0 < owed < MIN_REFUND_PAISE else []):
            yield f"{payment_id}: {owed} paise are owed and too few to send, the residues are {kept}"
        if bill and payment["state"] != "BILLED":
            yield f"{payment_id} has a bill and is {payment['state']}"
        if not bill and payment["state"] == "BILLED":
            yield f"{payment_id} is BILLED and has no bill"
    for payment_id, refunds in at_bank.items():
        yield f"the bank made {len(refunds)} refunds of {payment_id}, which is no payment of ours"


def _bills_are_honest(evidence: Evidence) -> Iterator[str]:
    """One bill per payment and session; its lines are the rule's and add up; no more energy than the meter delivered."""
    payments = {row["id"]: row for row in evidence.tables["payments"]}
    transactions = {row["id"]: row for row in evidence.tables["transactions"]}
    for name in ("qr_payment_id", "transaction_id"):
        for key, same in _by(evidence.tables["bills"], name).items():
            if len(same) > 1:
                yield f"{name} {key} has {len(same)} bills"
    for bill in evidence.tables["bills"]:
        payment, transaction = payments.get(bill["qr_payment_id"]), transactions.get(bill["transaction_id"])
        named = f"the bill of txn_{bill['transaction_id']}"
        if payment is None or transaction is None:
            yield f"{named} has no payment or no transaction"
            continue
        if sum(bill[line] for line in BILL_LINES) != payment["amount_paise"]:
            yield f"{named}: its lines add up to {sum(bill[line] for line in BILL_LINES)}, {payment['amount_paise']} were paid"
        if bill["energy_charge_paise"] + bill["gst_paise"] + bill["platform_fee_paise"] > payment["amount_paise"]:
            yield f"{named} is higher than what was paid"
        expected = final_bill(
            energy_wh=transaction["energy_wh"] or 0,
            tariff_paise_per_kwh=transaction["tariff_paise_per_kwh"],
            gst_bps=transaction["gst_bps"],
            platform_fee_paise=payment["platform_fee_paise"],
            paid_paise=payment["amount_paise"],
        )
        for line in ("energy_wh", *BILL_LINES):
            if bill[line] != getattr(expected, line):
                yield f"{named}: {line} is {bill[line]}, by the rule {getattr(expected, line)}"
        yield from _energy_is_honest(evidence, bill, transaction)


def _energy_is_honest(evidence: Evidence, bill: Row, transaction: Row) -> Iterator[str]:
    metered = evidence.points.metered.get(transaction["id"])
    named = f"txn_{transaction['id']}"
    if metered is None:
        yield f"{named} was billed, and no charge point ever heard of it"
        return
    if bill["energy_wh"] > metered.delivered_wh:
        yield f"{named} was billed {bill['energy_wh']} Wh, its meter delivered {metered.delivered_wh}"
    by_charger = transaction["stop_reason"] in STOPPED_BY_CHARGER and transaction["ocpp_stop_reason"] is not None
    if by_charger and bill["energy_wh"] != metered.delivered_wh:
        yield f"{named} was ended by its charger at {metered.delivered_wh} Wh and billed {bill['energy_wh']}"


def _payouts_are_right(evidence: Evidence) -> Iterator[str]:
    """One entry per bill of a franchisee's site, paid by one transfer that the bank made, of the right amount."""
    bills = {row["transaction_id"]: row for row in evidence.tables["bills"]}
    live = [row for row in evidence.tables["allocations"] if row["live"]]
    paying = _by(live, "ledger_entry_id")
    for transaction_id, same in _by(evidence.tables["entries"], "transaction_id").items():
        if len(same) != 1:
            yield f"txn_{transaction_id} has {len(same)} ledger entries"
    for entry in evidence.tables["entries"]:
        bill = bills.get(entry["transaction_id"])
        if bill is None or bill["franchisee_id"] != entry["franchisee_id"]:
            yield f"ledger entry {entry['key']} has no bill of that franchisee"
        elif (bill["paid_paise"], bill["refund_paise"]) != (entry["gross_paise"], entry["refund_paise"]):
            yield f"ledger entry {entry['key']} does not follow its bill"
        if sum(entry[line] for line in ENTRY_LINES) != entry["gross_paise"]:
            yield f"ledger entry {entry['key']} does not add up"
        paid = [row["amount_paise"] for row in paying.get(entry["id"], [])]
        due = [] if entry["payout_paise"] == 0 or _carried(entry) else [entry["payout_paise"]]
        if entry["implausible"]:
            yield f"ledger entry {entry['key']} is held for an implausible meter; all meters here are honest"
        elif paid != due:
            yield f"ledger entry {entry['key']}: {due} paise are due, its transfers pay {paid}"
    allocated = _by(live, "transfer_id")
    at_bank = {transfer.id: transfer for transfer in evidence.bank.transfers.values() if transfer.status != "failed"}
    for transfer in evidence.tables["transfers"]:
        if transfer["status"] == "FAILED":
            continue
        made = at_bank.pop(transfer["razorpay_transfer_id"] or "", None)
        if made is None or made.amount != transfer["amount_paise"] or made.settlement_status != "settled":
            yield f"transfer {transfer['key']} of {transfer['amount_paise']} paise is not so at the bank: {made}"
        if sum(row["amount_paise"] for row in allocated.get(transfer["id"], [])) != transfer["amount_paise"]:
            yield f"transfer {transfer['key']} pays for other sums than its own"
    for stray in at_bank.values():
        yield f"the bank made {stray.id} of {stray.amount} paise, which is no transfer of ours"


def _sessions_are_single(evidence: Evidence) -> Iterator[str]:
    """A payment has one start request and at most one session; a session belongs to the payment that asked for it."""
    keys = {row["request_key"]: row for row in evidence.tables["payments"]}
    for key, same in _by(evidence.tables["start_requests"], "request_key").items():
        if len(same) != 1 or key not in keys:
            yield f"start request {key} is there {len(same)} times, for {'a' if key in keys else 'no'} payment"
    # A start that came too late has a row of its own, refused: it is metered and billed to nobody.
    accepted = [row for row in evidence.tables["transactions"] if row["request_key"] and row["stop_reason"] != "START_REFUSED"]
    for key, same in _by(accepted, "request_key").items():
        payment = keys.get(key)
        if len(same) != 1 or payment is None or payment["transaction_id"] != same[0]["id"]:
            said = payment and payment["transaction_id"]
            yield f"{key} has the sessions {[row['id'] for row in same]}, its payment knows of {said}"


def _nothing_was_given_up(evidence: Evidence) -> Iterator[str]:
    for queue, count in evidence.dead.items():
        yield f"{count} messages were given up in {queue} (`voltlync dead show` tells why)"
    for webhook in evidence.tables["webhooks"]:
        if webhook["state"] == "FAILED":
            yield f"webhook {webhook['event']} {webhook['razorpay_event_id']} was given up: {webhook['reason']}"


def _nothing_was_invented(evidence: Evidence) -> Iterator[str]:
    """Postgres has no meter value that no charge point sent."""
    invented = set(evidence.stored) - evidence.points.sent
    if invented:
        yield f"{len(invented)} stored meter values were never sent, the first: {min(invented)}"


def _by(rows: Iterable[Row], name: str) -> dict[Any, list[Row]]:
    grouped: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row[name]].append(row)
    return grouped
