"""The journals by example, with the arithmetic in words, and by property: whatever happens, the books balance and agree."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from money import calculate_settlement, final_bill
from settlement.domain.books import (
    ACCOUNTS,
    CHART,
    KINDS,
    AccountKind,
    DirectBilled,
    DirectCaptured,
    DirectEntryBooked,
    DirectRefunded,
    EntryBooked,
    Journal,
    MoneyEvent,
    PaymentBilled,
    PaymentCaptured,
    PaymentFeeRecorded,
    PaymentGivenBack,
    Posting,
    RefundProcessed,
    Side,
    TransferCharged,
    TransferClaimed,
    TransferProcessed,
    TransferSettled,
    UnbalancedJournal,
    reversal_of,
    standing,
)

GOLDEN = Path(__file__).parent / "golden"
NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
ROWS = [
    row for name in ("books", "books_direct") for row in yaml.safe_load((GOLDEN / f"{name}.yaml").read_text(encoding="utf-8"))
]
SESSION = yaml.safe_load((GOLDEN / "books_session.yaml").read_text(encoding="utf-8"))


def event_of(given_: Mapping[str, Any]) -> MoneyEvent:
    facts = dict(given_)
    return KINDS[facts.pop("kind")].of_facts(facts, occurred_at=NOW)


def journal_of(event: MoneyEvent) -> Journal:
    journal = event.journal()
    assert journal is not None
    return journal


def balances(journals: Iterable[Journal]) -> Counter[str]:
    """Debits less credits by account."""
    sums: Counter[str] = Counter()
    for journal in journals:
        for line in journal.postings:
            sums[line.account] += line.debit_paise - line.credit_paise
    return sums


def on_normal_side(sums: Mapping[str, int], account: str) -> int:
    return sums[account] if ACCOUNTS[account].normal_side is Side.DEBIT else -sums[account]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_golden(row: dict[str, Any]) -> None:
    journal = journal_of(event_of(row["given"]))
    assert [[line.account, line.debit_paise, line.credit_paise] for line in journal.postings] == row["expect"]
    assert row["math"]


def test_every_kind_has_a_golden_row() -> None:
    assert {row["given"]["kind"] for row in ROWS} == KINDS.keys()
    assert len({row["id"] for row in ROWS}) == len(ROWS)


def test_one_session_from_scan_to_bank() -> None:
    journals = []
    for row in SESSION:
        journals.append(journal_of(event_of(row["event"])))
        sums = balances(journals)
        told = {account: on_normal_side(sums, account) for account in sums}
        assert told == row["balances"], row["math"]


@given(
    paid=st.integers(1, 10**7),
    energy_wh=st.integers(1, 10**6),
    tariff=st.integers(0, 10**4),
    fee=st.integers(0, 10**4),
    commission_bps=st.integers(0, 10_000),
    tds_bps=st.integers(0, 10_000),
)
def test_what_a_franchisee_collected_is_its_own_the_riders_and_ours_to_claim(
    paid: int, energy_wh: int, tariff: int, fee: int, commission_bps: int, tds_bps: int
) -> None:
    bill = final_bill(energy_wh=energy_wh, tariff_paise_per_kwh=tariff, gst_bps=1800, platform_fee_paise=fee, paid_paise=paid)
    split = calculate_settlement(
        gross_paise=paid,
        refund_paise=bill.refund_paise,
        residue_paise=bill.residue_paise,
        pg_fee_paise=bill.platform_fee_paise,
        gst_collected_paise=bill.gst_paise,
        commission_bps=commission_bps,
        tds_bps=tds_bps,
    )
    of = {"qr_payment_id": 1, "franchisee_id": 7, "occurred_at": NOW}
    entry = {"ledger_entry_id": 1, "transaction_id": 1, "franchisee_id": 7, "occurred_at": NOW}
    events: list[MoneyEvent] = [
        DirectCaptured(**of, amount_paise=paid, fee_paise=fee),
        DirectBilled(
            **of,
            energy_charge_paise=bill.energy_charge_paise,
            gst_paise=bill.gst_paise,
            platform_fee_paise=bill.platform_fee_paise,
        ),
        DirectEntryBooked(**entry, commission_paise=split.commission_paise, tds_paise=split.tds_paise),
    ]
    if bill.refund_paise:
        events.append(DirectRefunded(**of, refund_id=1, amount_paise=bill.refund_paise))
    sums = balances(journal for event in events if (journal := event.journal()) is not None)
    assert on_normal_side(sums, "direct_riders") == bill.residue_paise, "all else went back, or was billed"
    assert on_normal_side(sums, "direct_collected") == paid - fee - bill.refund_paise, "what is in the linked account"
    # It keeps its payout, and out of the rest it owes: us, the state its GST, the rider his residue. A fee beyond what the
    # bill bore is its loss.
    kept = on_normal_side(sums, "direct_collected") + (fee - bill.platform_fee_paise)
    assert kept == split.payout_paise + sums["commission_receivable"] + bill.gst_paise + bill.residue_paise
    assert sums["commission_receivable"] == split.commission_paise + split.tds_paise
    assert not any(sums[account] for account in ("nodal", "rider_held", "energy_revenue", "gst_output", "franchisee_payable"))


def test_facts_kept_as_json_give_the_same_journal_again() -> None:
    for row in ROWS:
        event = event_of(row["given"])
        assert KINDS[event.KIND].of_facts(event.facts(), occurred_at=NOW).journal() == event.journal()


def test_the_chart_says_what_each_account_holds() -> None:
    assert len({account.code for account in CHART}) == len({account.name for account in CHART}) == len(CHART)
    assert all(account.holds for account in CHART)
    assert ACCOUNTS["nodal"].normal_side is Side.DEBIT
    assert ACCOUNTS["rider_held"].normal_side is Side.CREDIT
    memos = {account.code: account.normal_side for account in CHART if account.kind is AccountKind.MEMO}
    assert {code for code, side in memos.items() if side is Side.DEBIT} == {"shortfall", "direct_collected"}


BAD: dict[str, tuple[Posting, ...]] = {
    "debits 5 and credits 4 paise": (Posting("nodal", 5, 0), Posting("residue", 0, 4)),
    "which is no account": (Posting("nodal", 5, 0), Posting("pocket", 0, 5)),
    "posts (5, 5) to nodal": (Posting("nodal", 5, 5), Posting("residue", 0, 0)),
    "posts (-5, 0) to nodal": (Posting("nodal", -5, 0), Posting("residue", 0, -5)),
    "posts nothing to residue": (Posting("nodal", 5, 0), Posting("rider_held", 0, 5), Posting("residue")),
    "has 1 postings": (Posting("nodal", 0, 0),),
    "posts (5.0, 0) to nodal": (Posting("nodal", 5.0, 0), Posting("residue", 0, 5)),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("words", BAD)
def test_no_journal_exists_that_does_not_add_up(words: str) -> None:
    with pytest.raises(UnbalancedJournal) as refusal:
        Journal("k", "own_settled", "setl_1", NOW, {}, BAD[words])
    assert words in str(refusal.value)


def test_a_bill_that_does_not_add_up_makes_no_journal() -> None:
    facts = next(row["given"] for row in ROWS if row["id"] == "billed/unplugged-early")
    with pytest.raises(UnbalancedJournal, match="debits 10000 and credits 10001"):
        event_of({**facts, "gst_paise": facts["gst_paise"] + 1}).journal()


def test_a_reversal_takes_a_journal_back_and_can_be_taken_back() -> None:
    claimed = journal_of(TransferClaimed(occurred_at=NOW, transfer_id=7, amount_paise=500, carried_paise=0))
    failed = reversal_of(claimed, occurred_at=NOW, reason="failed")
    assert not any(balances([claimed, failed]).values())
    revived = reversal_of(failed, occurred_at=NOW, reason="lives")
    assert balances([claimed, failed, revived]) == balances([claimed])
    keys = {journal.key: journal.reverses for journal in (claimed, failed, revived)}
    assert standing({claimed.key: None}) == {claimed.key}
    assert standing({key: keys[key] for key in (claimed.key, failed.key)}) == frozenset()
    assert standing(keys) == {claimed.key}


PAYOUTS = ("franchisee_payable", "franchisee_carried", "franchisee_in_transfer")
SESSIONS = st.fixed_dictionaries(
    {
        "paid": st.integers(1, 60_000),
        "energy_wh": st.one_of(st.just(0), st.integers(1, 60), st.integers(1, 30_000)),
        "tariff": st.integers(0, 4_000),
        "gst_bps": st.sampled_from([0, 500, 1800, 2800]),
        "fee": st.integers(0, 1_500),
        "fee_told": st.booleans(),
        "tax_bps": st.integers(0, 2_000),
        "franchised": st.booleans(),
        "commission_bps": st.integers(0, 10_000),
        "tds_bps": st.integers(0, 1_000),
        "refund": st.sampled_from(["processed", "owed"]),
        "transfer": st.sampled_from(["none", "claimed", "failed", "revived", "processed", "settled"]),
        "transfer_fee": st.integers(0, 300),
    }
)


def told_of(number: int, session: Mapping[str, Any]) -> list[Journal]:
    """All journals of one session, as the services would tell of it, with what must hold asserted on the way."""
    at = NOW + timedelta(minutes=number)
    fee, tax = session["fee"], session["fee"] * session["tax_bps"] // 10_000
    estimate = session["paid"] // 50
    events: list[MoneyEvent] = [
        PaymentCaptured(
            occurred_at=at,
            qr_payment_id=number,
            amount_paise=session["paid"],
            fee_paise=fee if session["fee_told"] else estimate,
            tax_paise=tax if session["fee_told"] else None,
        )
    ]
    if not session["fee_told"]:
        events.append(
            PaymentFeeRecorded(
                occurred_at=at,
                qr_payment_id=number,
                fee_before_paise=estimate,
                tax_before_paise=None,
                fee_paise=fee,
                tax_paise=tax,
            )
        )
    bill = final_bill(
        energy_wh=session["energy_wh"],
        tariff_paise_per_kwh=session["tariff"],
        gst_bps=session["gst_bps"],
        platform_fee_paise=fee,
        paid_paise=session["paid"],
    )
    if session["energy_wh"] == 0:
        events.append(
            PaymentGivenBack(
                occurred_at=at,
                qr_payment_id=number,
                amount_paise=session["paid"],
                fee_paise=fee,
                tax_paise=tax,
                reason="NO_ENERGY",
            )
        )
    else:
        lines = ("paid", "energy_charge", "gst", "platform_fee", "refund", "residue", "shortfall")
        events.append(
            PaymentBilled(
                occurred_at=at, qr_payment_id=number, **{f"{line}_paise": getattr(bill, f"{line}_paise") for line in lines}
            )
        )
    if bill.refund_paise and session["refund"] == "processed":
        events.append(RefundProcessed(occurred_at=at, qr_payment_id=number, refund_id=number, amount_paise=bill.refund_paise))
    journals = [journal for event in events if (journal := event.journal()) is not None]
    if session["energy_wh"] and session["franchised"]:
        journals += paid_out(number, session, bill, at)
    return journals


def paid_out(number: int, session: Mapping[str, Any], bill: Any, at: datetime) -> list[Journal]:
    split = calculate_settlement(
        gross_paise=bill.paid_paise,
        refund_paise=bill.refund_paise,
        residue_paise=bill.residue_paise,
        pg_fee_paise=bill.platform_fee_paise,
        gst_collected_paise=bill.gst_paise,
        commission_bps=session["commission_bps"],
        tds_bps=session["tds_bps"],
    )
    entry = EntryBooked(
        occurred_at=at,
        ledger_entry_id=number,
        transaction_id=number,
        franchisee_id=1,
        commission_paise=split.commission_paise,
        tds_paise=split.tds_paise,
        payout_paise=split.payout_paise,
    )
    journals = [entry.journal()]
    amount = split.payout_paise
    reached = session["transfer"]
    if reached != "none" and amount >= 100:
        claimed = journal_of(TransferClaimed(occurred_at=at, transfer_id=number, amount_paise=amount, carried_paise=0))
        journals.append(claimed)
        if reached in ("failed", "revived"):
            failed = reversal_of(claimed, occurred_at=at, reason="failed")
            journals += [failed, reversal_of(failed, occurred_at=at, reason="lives")] if reached == "revived" else [failed]
        if reached in ("revived", "processed", "settled"):
            journals.append(TransferProcessed(occurred_at=at, transfer_id=number, amount_paise=amount).journal())
            charged = TransferCharged(
                occurred_at=at, transfer_id=number, amount_paise=amount, fee_paise=session["transfer_fee"], tax_paise=None
            )
            journals.append(charged.journal())
        if reached == "settled":
            journals.append(TransferSettled(occurred_at=at, transfer_id=number, amount_paise=amount).journal())
    return [journal for journal in journals if journal is not None]


@given(sessions=st.lists(SESSIONS, min_size=1, max_size=4), data=st.data())
def test_whatever_happens_the_books_balance_and_both_identities_hold(sessions: list[dict[str, Any]], data: st.DataObject) -> None:
    told = [journal for number, session in enumerate(sessions, 1) for journal in told_of(number, session)]
    again = data.draw(st.lists(st.sampled_from(told), max_size=5), label="told twice")
    kept: dict[str, Journal] = {}
    for journal in data.draw(st.permutations([*told, *again]), label="order"):
        kept.setdefault(journal.key, journal)
    books = balances(kept.values())
    assert books == balances(told), "order and repetition change nothing"
    assert sum(books.values()) == 0
    memo = [books[account.code] for account in CHART if account.kind is AccountKind.MEMO]
    assert sum(memo) == 0

    of = {account.code: on_normal_side(books, account.code) for account in CHART}
    paid = sum(session["paid"] for session in sessions)
    # paid = energy_charge + gst + platform_fee + refund + residue, whatever of it has moved on since.
    refunded = sum(
        line.credit_paise for journal in kept.values() if journal.kind == "refund_processed" for line in journal.postings
    )
    shares = (
        of["commission"] + of["tds_payable"] + of["franchisee_payable"] + of["franchisee_carried"] + of["franchisee_in_transfer"]
    )
    settled = sum(
        line.debit_paise
        for journal in kept.values()
        if journal.kind == "transfer_settled"
        for line in journal.postings
        if line.account == "franchisee_in_transfer"
    )
    energy = of["energy_revenue"] + shares + settled
    assert paid == energy + of["gst_output"] + of["platform_fee"] + of["refund_payable"] + refunded + of["residue"]
    assert of["rider_held"] == 0
    assert min(of[code] for code in ("refund_payable", "residue", "franchisee_payable", "franchisee_in_transfer")) >= 0
    # What Razorpay charged is where it belongs, to the paisa.
    charged = sum(session["fee"] for session in sessions)
    assert of["pg_fee"] + of["unserved_fees"] + of["gst_input"] == charged
