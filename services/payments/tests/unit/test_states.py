"""The state machines, every pair of them."""

import itertools

import pytest

from payments.domain.errors import ContradictionError
from payments.domain.qr_payment import (
    GIVEN_BACK,
    TRANSITIONS,
    PaymentState,
    Trigger,
    moved,
    next_state,
    payment_of_request_key,
    request_key,
)
from payments.domain.refund import RefundStatus, advance

S, T = PaymentState, Trigger
FINAL = {S.BILLED, S.REFUNDED, S.RESIDUE_OWED}


@pytest.mark.parametrize(("state", "trigger"), list(itertools.product(S, T)))
def test_every_pair_moves_repeats_or_contradicts(state: S, trigger: T) -> None:
    if (state, trigger) in TRANSITIONS:
        after = next_state(state, trigger)
        assert after is not None
        assert after is not state
        # Told again, it changes nothing.
        assert next_state(after, trigger) is None
        return
    try:
        assert next_state(state, trigger) is None
    except ContradictionError as error:
        assert state in str(error)  # noqa: PT017  (both outcomes are right, for different pairs)


@pytest.mark.parametrize("trigger", list(T))
@pytest.mark.parametrize("state", sorted(FINAL))
def test_nothing_leaves_a_final_state(state: S, trigger: T) -> None:
    try:
        assert moved(state, trigger) is state
    except ContradictionError:
        assert (state, trigger) not in TRANSITIONS


@pytest.mark.parametrize(
    ("state", "trigger"),
    [
        (S.BILLED, T.START_FAILED),
        (S.BILLED, T.NOTHING_DELIVERED),
        (S.CHARGING, T.START_FAILED),
        (S.REFUND_DUE, T.BILLED),
        (S.REFUNDED, T.BILLED),
        (S.RESIDUE_OWED, T.BILLED),
        (S.RECEIVED, T.BILLED),
        (S.RECEIVED, T.TRANSACTION_STARTED),
        (S.START_REQUESTED, T.REFUND_PROCESSED),
        (S.REFUND_DUE, T.START),
        (S.BILLED, T.START),
    ],
)
def test_money_never_goes_two_ways(state: S, trigger: T) -> None:
    with pytest.raises(ContradictionError):
        next_state(state, trigger)


def test_every_state_can_be_reached_and_every_state_that_is_not_final_can_be_left() -> None:
    assert {S.RECEIVED} | set(TRANSITIONS.values()) == set(S)
    assert {state for state, _ in TRANSITIONS} == set(S) - FINAL
    assert FINAL - {S.BILLED} < GIVEN_BACK


def test_request_keys_name_payments() -> None:
    assert request_key(17) == "qr_payment_17"
    assert payment_of_request_key("qr_payment_17") == 17
    for foreign in (None, "", "qr_payment_", "qr_payment_x", "qr_payment_-1", "qr_payment_1_r2", "wallet_17", "qr_payment_१"):
        assert payment_of_request_key(foreign) is None


R = RefundStatus


@pytest.mark.parametrize(("current", "seen"), list(itertools.product(R, (R.PROCESSING, R.PROCESSED, R.FAILED))))
def test_a_refund_moves_forward_only(current: R, seen: R) -> None:
    order = [{R.PENDING}, {R.CALLING, R.UNKNOWN}, {R.PROCESSING}, {R.FAILED}, {R.PROCESSED}]
    rank = {status: place for place, statuses in enumerate(order) for status in statuses}
    after = advance(current, seen)
    assert rank[after] == max(rank[current], rank[seen])
    assert advance(after, seen) is after
    assert advance(after, current if current is not R.CALLING else seen) is after


def test_razorpays_words_in_any_order_end_alike() -> None:
    for words in itertools.permutations([R.PROCESSING, R.PROCESSED, R.PROCESSING]):
        status = R.CALLING
        for word in words:
            status = advance(status, word)
        assert status is R.PROCESSED
