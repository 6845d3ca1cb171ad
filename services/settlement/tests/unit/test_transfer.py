"""The life of entries and transfers as data: every step, and every one that is forbidden."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement.domain.due import BACKOFF_SECONDS_MAX, FIRST_BACKOFF_SECONDS, backoff_seconds
from settlement.domain.errors import ForbiddenTransition
from settlement.domain.ledger_entry import (
    BELOW_MINIMUM_WORDS,
    NETTED_WORDS,
    OWED_WORDS,
    TRANSITIONS,
    EntryStatus,
    HoldKind,
    step,
)
from settlement.domain.settlement_event import observed_in_settlement
from settlement.domain.transfer import (
    ENTRY_STATUS,
    Observed,
    TransferStatus,
    advance,
    find_by_key,
    request_body,
    transfer_key,
    waiting_kind,
)

E = EntryStatus
T = TransferStatus

# before → what it may become; anything else is forbidden.
STEPS = {
    E.PENDING: "ON_HOLD TRANSFERRING SETTLED",
    E.ON_HOLD: "PENDING TRANSFERRING TRANSFERRED SETTLED FAILED",
    E.TRANSFERRING: "ON_HOLD UNKNOWN TRANSFERRED SETTLED FAILED",
    E.UNKNOWN: "ON_HOLD TRANSFERRING TRANSFERRED SETTLED FAILED",
    E.TRANSFERRED: "SETTLED",
    E.FAILED: "ON_HOLD TRANSFERRING TRANSFERRED SETTLED",
    E.SETTLED: "",
}


@pytest.mark.parametrize(("before", "after"), list(itertools.product(EntryStatus, EntryStatus)))
def test_an_entry_takes_the_steps_of_the_table_and_no_other(before: EntryStatus, after: EntryStatus) -> None:
    if after.value in STEPS[before].split():
        assert step(before, after) is after
    else:
        with pytest.raises(ForbiddenTransition, match=f"{before} does not become {after}"):
            step(before, after)


def test_settled_is_final_and_can_be_reached_from_everywhere() -> None:
    assert TRANSITIONS[E.SETTLED] == frozenset()
    assert all(E.SETTLED in after for before, after in TRANSITIONS.items() if before is not E.SETTLED)


@given(words=st.lists(st.sampled_from(list(TransferStatus)), min_size=1))
def test_razorpays_words_move_a_transfer_forward_only(words: list[TransferStatus]) -> None:
    """And every step of the transfer is one that its entry has, too."""
    current, entry = T.CLAIMED, E.TRANSFERRING
    for seen in words:
        following = advance(current, seen)
        if following is not current:
            after = ENTRY_STATUS[following]
            entry = step(entry, after) if after is not entry else entry
        assert not (current is T.SETTLED and following is not T.SETTLED)
        assert not (current is T.PROCESSED and following is T.FAILED)
        current = following


@given(words=st.lists(st.sampled_from([T.ACCEPTED, T.FAILED, T.PROCESSED, T.SETTLED]), min_size=1), data=st.data())
def test_the_order_of_razorpays_words_does_not_matter(words: list[TransferStatus], data: st.DataObject) -> None:
    def end(of: list[TransferStatus]) -> TransferStatus:
        current = T.CLAIMED
        for seen in of:
            current = advance(current, seen)
        return current

    assert end(data.draw(st.permutations(words))) is end(words)


@given(transaction_id=st.integers(1, 2**63 - 1), attempt=st.integers(1, 99))
def test_a_key_is_one_that_razorpay_takes(transaction_id: int, attempt: int) -> None:
    assert re.fullmatch(r"[A-Za-z0-9 _-]{4,36}", transfer_key(transaction_id, attempt))


def test_keys_of_attempts_differ_and_the_first_is_plain() -> None:
    assert [transfer_key(17, n) for n in (1, 2, 3)] == ["txn_17", "txn_17_r2", "txn_17_r3"]


def test_the_body_bears_what_a_scan_needs() -> None:
    body = request_body(
        account="acc_1", amount_paise=5393, key="txn_5", ledger_entry_id=9, transaction_id=5, environment="staging"
    )
    assert body == {
        "account": "acc_1",
        "amount": 5393,
        "currency": "INR",
        "notes": {"key": "txn_5", "ledger_entry_id": "led_9", "transaction_id": "txn_5", "environment": "staging"},
    }


PROCESSED = {
    "id": "trf_1",
    "status": "processed",
    "amount": 90000,
    "fees": 265,
    "tax": 40,
    "notes": {"key": "txn_5", "environment": "x"},
}


def test_an_entity_is_read_as_razorpay_writes_it() -> None:
    assert Observed.from_entity(PROCESSED) == Observed("trf_1", T.PROCESSED, 90000, "txn_5", "x", 265, 40)
    settled = Observed.from_entity(
        {**PROCESSED, "settlement_status": "settled", "recipient_settlement_id": "setl_1", "notes": []}
    )
    assert (settled.status, settled.razorpay_settlement_id, settled.key) == (T.SETTLED, "setl_1", None)
    failed = Observed.from_entity({"id": "trf_2", "status": "failed", "error": {"description": "no balance", "code": "X"}})
    assert (failed.status, failed.error, failed.lives) == (T.FAILED, "no balance", False)
    assert not failed.low_balance
    for error in (
        {"reason": "insufficient_balance"},
        {"code": "BAD_REQUEST_TRANSFER_INSUFFICIENT_BALANCE"},
        {"reason": "insufficient_balance", "code": "BAD_REQUEST_TRANSFER_INSUFFICIENT_BALANCE"},
    ):
        assert Observed.from_entity({"id": "trf_2", "status": "failed", "error": error}).low_balance, error
    assert Observed.from_entity({"id": "trf_3", "status": "a word of tomorrow"}).status is T.ACCEPTED
    assert Observed.from_entity({**PROCESSED, "amount_reversed": 500}).reversed_paise == 500
    in_settlement = observed_in_settlement({**PROCESSED, "amount_reversed": 500}, "setl_1")
    assert (in_settlement.status, in_settlement.reversed_paise, in_settlement.fee_paise) == (T.SETTLED, 500, 265)
    # 0 is a figure, null is unknown; a settlement's list calls it `fee`.
    assert Observed.from_entity({"id": "t", "fee": 0}).fee_paise == 0
    assert Observed.from_entity({"id": "t", "fees": None}).fee_paise is None


@pytest.mark.parametrize(
    ("paise", "kind", "words"),
    [
        (-1, HoldKind.NETTED, OWED_WORDS),
        (0, HoldKind.BELOW_MINIMUM, BELOW_MINIMUM_WORDS),
        (1, HoldKind.BELOW_MINIMUM, BELOW_MINIMUM_WORDS),
        (99, HoldKind.BELOW_MINIMUM, BELOW_MINIMUM_WORDS),
        (100, HoldKind.NETTED, NETTED_WORDS),
    ],
)
def test_why_an_entry_waits_for_the_next_transfer(paise: int, kind: HoldKind, words: str) -> None:
    assert waiting_kind(paise) == (kind, words)


def test_a_scan_takes_ours_alone_and_prefers_what_lives() -> None:
    failed = Observed("trf_1", T.FAILED, key="txn_5", environment="x")
    lives = Observed("trf_2", T.PROCESSED, key="txn_5", environment="x")
    theirs = Observed("trf_3", T.PROCESSED, key="txn_5", environment="y")
    assert find_by_key([failed, theirs, lives], key="txn_5", environment="x") == lives
    assert find_by_key([failed, theirs], key="txn_5", environment="x") == failed
    assert find_by_key([theirs], key="txn_5", environment="x") is None


@given(key=st.text(max_size=20), tries=st.integers(0, 10_000))
def test_a_pause_grows_and_has_an_end(key: str, tries: int) -> None:
    pause = backoff_seconds(key, tries)
    assert FIRST_BACKOFF_SECONDS * 3 // 4 <= pause <= BACKOFF_SECONDS_MAX
    assert backoff_seconds(key, tries + 4) >= pause or pause > BACKOFF_SECONDS_MAX * 3 // 4
