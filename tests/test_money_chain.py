"""A network's money from scan to bank, in any order, told more than once: one set of books, and every paisa in it, once.

Hypothesis makes a history (payments served and unserved, refunds that fail, splits by changing terms, small payouts carried,
transfers retried, fees told late), and lets it be told twice: straight on, and shuffled with repeats. Pure and fast; the
same over the real services is in `test_money_services.py`.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import Phase, event, given, settings
from hypothesis import strategies as st

from contracts.payments import PaymentBilled, PaymentReceived, RefundChanged
from money import MIN_REFUND_PAISE
from payments.domain.refund import RefundStatus
from settlement.domain import books
from settlement.domain.books import ACCOUNTS, CHART, AccountKind
from settlement.domain.franchisee import Terms
from settlement.domain.transfer import MINIMUM_PAISE, TransferStatus
from tests.money_model import (
    BILL_LINES,
    SPLIT_LINES,
    Books,
    ByFinance,
    Claimed,
    Credited,
    FeeTold,
    OwnSettlement,
    Payments,
    RefundTold,
    Refused,
    Started,
    Stopped,
    TransferTold,
    Word,
    balances,
    hear_all,
)

PHASES = (Phase.explicit, Phase.reuse, Phase.generate) if settings.default.derandomize else tuple(Phase)
"""In CI what is found is shown as it was found: shrinking it takes minutes."""
BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
PERMIL = st.integers(0, 1000)
SESSIONS = st.fixed_dictionaries(
    {
        "paid": st.one_of(st.integers(1, 300), st.integers(2_000, 60_000), st.integers(2_000, 60_000)),
        "fee_permil": st.one_of(st.integers(0, 60), st.integers(0, 1500)),
        "tax_permil": PERMIL,
        "fee_told": st.sampled_from(["at once", "later", "never"]),
        "ends": st.sampled_from(["unserved", "no energy", "served", "served", "served", "served"]),
        "energy_wh": st.one_of(st.integers(1, 60), st.integers(500, 30_000), st.integers(500, 30_000)),
        "tariff": st.sampled_from([0, 1, 999, 1800, 2450, 4000]),
        "gst_bps": st.sampled_from([0, 500, 1800, 2800]),
        "refunds_fail": st.integers(0, 3),
        "refund_ends": st.booleans(),
        "speed_charge": st.lists(st.integers(0, 900), max_size=2),
        "corrections": st.lists(st.tuples(st.integers(0, 900), st.one_of(st.none(), st.integers(0, 900))), max_size=2),
        "owner": st.sampled_from([None, 1, 2, 2]),
        "days": st.integers(0, 29),
    }
)
TRANSFERS = st.fixed_dictionaries(
    {
        "fail": st.integers(0, 2),
        "ends": st.sampled_from(["claimed", "failed", "revived", "revived", "processed", "settled", "settled", "settled"]),
        "fee": st.one_of(st.none(), st.integers(0, 300)),
        "takes": st.integers(1, 3),
    }
)
RATES = st.tuples(
    st.one_of(st.integers(0, 3_000), st.integers(0, 10_000)),
    st.integers(0, 1_000),
    st.sampled_from(["NET_EXCL_GST", "NET_LESS_COMMISSION"]),
)


def of_sessions(sessions: list[dict[str, Any]]) -> Iterator[Word]:
    """What Razorpay and charging say, each word once, in the order in which it happens.

    A fee that is told later is told while the session runs: what is not started has ended by then.
    """
    for number, plan in enumerate(sessions, 1):
        at = BEGIN + timedelta(days=plan["days"])
        fee = plan["paid"] * plan["fee_permil"] // 1000
        tax = fee * plan["tax_permil"] // 1000
        if plan["fee_told"] == "at once":
            yield Credited(number, plan["paid"], fee, tax, at)
        else:
            yield Credited(number, plan["paid"], plan["paid"] // 50, None, at)
        if plan["fee_told"] == "later" and plan["ends"] != "unserved":
            yield FeeTold(number, fee, tax, at + timedelta(minutes=1))
        end = at + timedelta(hours=1)
        if plan["ends"] == "unserved":
            yield Refused(number, end)
        else:
            yield Started(number)
            yield Stopped(
                number,
                plan["energy_wh"] if plan["ends"] == "served" else 0,
                plan["tariff"],
                plan["gst_bps"],
                plan["owner"],
                at,
                end,
                needs_fee=plan["fee_told"] == "later",
            )


def of_refunds(told: Payments, sessions: list[dict[str, Any]]) -> Iterator[Word]:
    """What Razorpay says of the refunds that are owed: some attempts fail, the last may stay on its way."""
    for number, payment in told.payments.items():
        if not payment.attempts:
            continue
        plan, at = sessions[number - 1], BEGIN + timedelta(days=30)
        for attempt in range(1, plan["refunds_fail"] + 1):
            yield RefundTold(number, attempt, RefundStatus.PROCESSING, at)
            yield RefundTold(number, attempt, RefundStatus.FAILED, at)
        last = plan["refunds_fail"] + 1
        yield RefundTold(number, last, RefundStatus.PROCESSING, at)
        if plan["refund_ends"]:
            yield RefundTold(number, last, RefundStatus.PROCESSED, at)


def of_transfers(kept: Books, bills: list[PaymentBilled], plans: list[dict[str, Any]]) -> Iterator[Word]:
    """Who is paid, and what Razorpay says of it: payouts in groups, those under a rupee along with others."""
    at, number = BEGIN + timedelta(days=31), 0
    waiting: dict[int | None, list[tuple[int, int]]] = {}
    for bill in bills:
        split = kept.splits.get(bill.transaction_id)
        if split is not None and split.payout_paise:
            waiting.setdefault(bill.franchisee_id, []).append((bill.transaction_id, split.payout_paise))
    for index, entries in enumerate(waiting.values()):
        left = entries
        while left and sum(payout for _, payout in left) >= MINIMUM_PAISE:
            plan = plans[(index + number) % len(plans)]
            pays = tuple(left[: plan["takes"]])
            while sum(payout for _, payout in pays) < MINIMUM_PAISE:
                pays = tuple(left[: len(pays) + 1])
            left = left[len(pays) :]
            before = None
            for attempt in range(plan["fail"] + 1):
                number += 1
                yield Claimed(number, pays, at, after=before)
                before = number
                if attempt < plan["fail"]:
                    yield TransferTold(number, TransferStatus.ACCEPTED, None, None, at)
                    yield TransferTold(number, TransferStatus.FAILED, None, None, at)
            if plan["ends"] in ("failed", "revived"):
                yield TransferTold(number, TransferStatus.FAILED, None, None, at)
            if plan["ends"] in ("revived", "processed", "settled"):
                fee = plan["fee"]
                yield TransferTold(number, TransferStatus.PROCESSED, fee, fee and fee * 18 // 118, at)
            if plan["ends"] == "settled":
                yield TransferTold(number, TransferStatus.SETTLED, None, None, at)


def of_people(told: Payments, sessions: list[dict[str, Any]]) -> Iterator[Word]:
    """What finance enters from Razorpay's statement, and our own settlements."""
    at = BEGIN + timedelta(days=32)
    for number, payment in told.payments.items():
        plan = sessions[number - 1]
        fee, tax = payment.fee_paise, payment.tax_paise
        for correction, (fee_after, tax_after) in enumerate(plan["corrections"], 1):
            yield ByFinance(
                books.PaymentFeeCorrected(
                    occurred_at=at,
                    qr_payment_id=number,
                    fee_before_paise=fee,
                    tax_before_paise=tax,
                    fee_paise=fee_after,
                    tax_paise=tax_after,
                    correction=correction,
                )
            )
            fee, tax = fee_after, tax_after
        for charge in plan["speed_charge"]:
            yield ByFinance(
                books.RefundCharged(
                    occurred_at=at, qr_payment_id=number, refund_id=10 * number + 1, fee_paise=charge, tax_paise=charge // 9
                )
            )
    yield OwnSettlement("setl_ours", 5_000, True, at)
    yield OwnSettlement("setl_theirs", 700, True, at)
    yield OwnSettlement("setl_theirs", 700, False, at)


def one_after_the_other(word: Any) -> str | None:
    """What comes under a lock, by people or by our own looks: its last word counts, so its order is kept and nothing repeats."""
    if isinstance(word, ByFinance):
        return word.event.key
    return word.name if isinstance(word, OwnSettlement) else None


def astray(draw: Callable[..., Any], words: list[Any], label: str) -> list[Any]:
    """The words in another order, some of them again."""
    free = [word for word in words if one_after_the_other(word) is None]
    again = draw(st.lists(st.sampled_from(free), max_size=6), label=f"{label} told again") if free else []
    order = draw(st.permutations([*words, *again]), label=f"{label} in this order")
    kept = {name: iter([w for w in words if one_after_the_other(w) == name]) for name in map(one_after_the_other, words) if name}
    return [next(kept[name]) if (name := one_after_the_other(word)) else word for word in order]


def money_of(said: list[Any]) -> Counter[str]:
    """What was said that moves money; where a refund stands on its way depends on what was heard first."""
    relevant = (word for word in said if not isinstance(word, RefundChanged) or word.status == RefundStatus.PROCESSED)
    return Counter(word.TYPE + word.model_dump_json(exclude={"message_id"}) for word in relevant)


@settings(max_examples=300, phases=PHASES)
@given(
    sessions=st.lists(SESSIONS, min_size=1, max_size=5),
    transfers=st.lists(TRANSFERS, min_size=1, max_size=3),
    rates=st.lists(RATES, min_size=4, max_size=4),
    data=st.data(),
)
def test_the_same_books_in_any_order(
    sessions: list[dict[str, Any]], transfers: list[dict[str, Any]], rates: list[tuple[int, int, str]], data: st.DataObject
) -> None:
    terms = {
        owner: [Terms(*rates[2 * owner - 2], BEGIN), Terms(*rates[2 * owner - 1], BEGIN + timedelta(days=15))] for owner in (1, 2)
    }
    straight, words = Payments(), list(of_sessions(sessions))
    hear_all(straight.hear, words)
    words += (refunds := list(of_refunds(straight, sessions)))
    hear_all(straight.hear, refunds)
    shuffled = Payments()

    def hear(word: Any) -> None:
        shuffled.hear(word)
        assert all(payment.live_refunds <= 1 for payment in shuffled.payments.values()), "two refunds live"

    hear_all(hear, astray(data.draw, words, "words of Razorpay and charging"))
    assert money_of(shuffled.said) == money_of(straight.said)

    bills = [word for word in straight.said if isinstance(word, PaymentBilled)]
    first = Books(terms)
    hear_all(first.hear, straight.said)
    later = [*of_transfers(first, bills, transfers), *of_people(straight, sessions)]
    hear_all(first.hear, later)
    second = Books(terms)

    def book(word: Any) -> None:
        second.hear(word)
        assert set(second.live_transfers().values()) <= {1}, "two transfers of one session live"

    hear_all(book, astray(data.draw, [*shuffled.said, *later], "words of payments, Razorpay and people"))
    assert second.lines() == first.lines(), "order and repetition change nothing"
    every_identity_holds(second, shuffled)
    what_has_moved_is_booked(second, [*words, *later])
    event(f"{len(first.journals) // 10 * 10} journals and more")
    for plan in ("reversed", "reversed/reversed", "#2"):
        event(f"{plan}: {any(key.endswith(plan) for key in second.journals)}")


def every_identity_holds(kept: Books, told: Payments) -> None:
    """From the postings of each journal, not from the plan that led to them."""
    lines = kept.lines()
    total: Counter[str] = Counter()
    for journal in kept.journals.values():
        assert sum(balances(journal.postings).values()) == 0, journal.key
        total.update(balances(journal.postings))
    assert sum(total.values()) == 0
    assert _summed(lines) == {code: paise for code, paise in total.items() if paise}, "what does not stand cancels out"
    assert not sum(total[account.code] for account in CHART if account.kind is AccountKind.MEMO)
    for word in told.said:
        if isinstance(word, PaymentBilled):
            bill = lines[f"payment/{word.qr_payment_id}/billed"]
            income = -bill["energy_revenue"] - bill["gst_output"] - bill["platform_fee"]
            assert word.paid_paise == bill["rider_held"] == income - bill["refund_payable"] - bill["residue"]
            assert word.paid_paise == sum(getattr(word, line) for line in BILL_LINES)
    for transaction, split in kept.splits.items():
        assert split.gross_paise == sum(getattr(split, line) for line in SPLIT_LINES)
        bill, entry = lines[f"payment/{transaction}/billed"], lines.get(f"entry/{transaction}/booked", Counter())
        assert -bill["energy_revenue"] == entry["energy_revenue"] == split.net_excl_gst_paise
    ended = {key.split("/")[1] for key in lines if key.endswith(("/billed", "/given_back"))}
    paid = {str(word.qr_payment_id): word.amount_paise for word in told.said if isinstance(word, PaymentReceived)}
    assert ended == paid.keys()
    assert total["rider_held"] == 0
    moved = {name: _moved(lines, f"/{name}", "nodal") for name in ("processed", "charged", "own", "captured", "fee_recorded")}
    corrected = sum(sums["nodal"] for key, sums in lines.items() if "/fee_corrected/" in key)
    assert total["nodal"] == sum(moved.values()) + corrected, "every movement of the nodal balance has its journal"
    residue = sum(payment.residue_paise for payment in told.payments.values())
    assert -total["residue"] == residue
    refunded = -sum(sums["nodal"] for key, sums in lines.items() if key.startswith("refund/") and key.endswith("/processed"))
    assert refunded - total["refund_payable"] == sum(
        payment.attempts[0].amount_paise for payment in told.payments.values() if payment.attempts
    )
    for code in ("refund_payable", "residue", "franchisee_payable", "franchisee_carried", "franchisee_in_transfer"):
        assert total[code] <= 0, f"{ACCOUNTS[code].name} is below nothing"
    assert all(payment.residue_paise < MIN_REFUND_PAISE for payment in told.payments.values())


def what_has_moved_is_booked(kept: Books, words: list[Any]) -> None:
    """Money that left can't be called back by a word: it is in the books, and what never left is not."""
    lines = kept.lines()
    for word in words:
        match word:
            case RefundTold():
                moved = RefundTold(word.payment, word.attempt, RefundStatus.PROCESSED, word.at) in words
                assert (f"refund/{10 * word.payment + word.attempt}/processed" in lines) is moved
            case TransferTold():
                told = {other.status for other in words if isinstance(other, TransferTold) and other.transfer == word.transfer}
                moved = bool(told & {TransferStatus.PROCESSED, TransferStatus.SETTLED})
                assert (f"transfer/{word.transfer}/processed" in lines) is moved
                assert (f"transfer/{word.transfer}/claimed" in lines) is (moved or TransferStatus.FAILED not in told)


def _summed(lines: dict[str, Counter[str]]) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for line in lines.values():
        sums.update(line)
    return {code: paise for code, paise in sums.items() if paise}


def _moved(lines: dict[str, Counter[str]], suffix: str, code: str) -> int:
    return sum(sums[code] for key, sums in lines.items() if key.endswith(suffix))
