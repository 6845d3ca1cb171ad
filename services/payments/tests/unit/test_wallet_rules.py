"""What a wallet may take and hold, what its sessions can come to, and what a captured payment says."""

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.domain import recharge
from payments.domain.errors import ConflictError, ContradictionError, MalformedEventError
from payments.domain.recharge import find_order, order_body, read_capture
from payments.domain.wallet import WalletLimits, check_recharge, hold_of
from payments.domain.wallet_session import (
    ALREADY_TRUE,
    HOLDING,
    RUNNING,
    TRANSITIONS,
    SessionState,
    SessionTrigger,
    next_session_state,
    session_of_request_key,
)
from payments.domain.webhook import Envelope

NOW = datetime(2026, 12, 1, 6, 0, tzinfo=UTC)
LIMITS = WalletLimits(recharge_min_paise=10_000, recharge_max_paise=500_000, balance_max_paise=1_000_000, session_min_paise=2_000)


def test_what_riders_are_told_of_limits() -> None:
    assert hold_of(available_paise=5_000, limit_paise=2_000, limits=LIMITS) == 2_000
    assert hold_of(available_paise=5_000, limit_paise=None, limits=LIMITS) == 5_000
    with pytest.raises(ConflictError) as too_little:
        hold_of(available_paise=5_000, limit_paise=1_999, limits=LIMITS)
    assert str(too_little.value) == "A session needs ₹20.00 at least; ₹19.99 can be put aside for it."
    for balance, room in ((999_000, "₹10.00"), (1_200_000, "₹0.00")):
        with pytest.raises(ConflictError, match=rf"{room} more can be added\.$"):
            check_recharge(10_000, balance_paise=balance, limits=LIMITS)
    with pytest.raises(ContradictionError, match="NOTHING_DELIVERED can't happen to a wallet's session that is BILLED"):
        next_session_state(SessionState.BILLED, SessionTrigger.NOTHING_DELIVERED)


def test_an_order_as_razorpay_takes_it() -> None:
    assert order_body(17, amount_paise=50_000, environment="staging") == {
        "amount": 50_000,
        "currency": "INR",
        "receipt": "recharge_17",
        "payment_capture": True,
        "notes": {"voltlync_environment": "staging", "voltlync_recharge": "17"},
    }
    assert recharge.read_mark(None) is None
    assert recharge.read_mark({"notes": {"voltlync_environment": "staging"}}) is None


@given(free=st.integers(0, 2_000_000), limit=st.one_of(st.none(), st.integers(1, 2_000_000)))
def test_a_hold_is_never_more_than_is_free_nor_than_the_limit(free: int, limit: int | None) -> None:
    try:
        held = hold_of(available_paise=free, limit_paise=limit, limits=LIMITS)
    except ConflictError:
        assert min(free, free if limit is None else limit) < LIMITS.session_min_paise
        return
    assert LIMITS.session_min_paise <= held <= free
    assert held in (free, limit)


@pytest.mark.parametrize(
    ("amount", "balance", "taken"),
    [
        (10_000, 0, True),
        (9_999, 0, False),
        (500_000, 500_000, True),
        (500_001, 0, False),
        (10_000, 990_000, True),
        (10_000, 990_001, False),
        (10_000, 1_200_000, False),  # a second payment of one order may have filled it beyond the cap
    ],
)
def test_a_recharge_is_of_a_sensible_amount_into_a_wallet_that_has_room(amount: int, balance: int, taken: bool) -> None:
    if taken:
        check_recharge(amount, balance_paise=balance, limits=LIMITS)
    else:
        with pytest.raises(ConflictError, match="₹"):
            check_recharge(amount, balance_paise=balance, limits=LIMITS)


def test_every_step_of_a_session_is_decided() -> None:
    for state, trigger in itertools.product(SessionState, SessionTrigger):
        decided = (state, trigger) in TRANSITIONS
        repeat = state in ALREADY_TRUE[trigger]
        assert not (decided and repeat)
        if decided or repeat:
            assert next_session_state(state, trigger) == (TRANSITIONS[state, trigger] if decided else None)
        else:
            with pytest.raises(ContradictionError):
                next_session_state(state, trigger)
    final = {SessionState.BILLED, SessionState.RELEASED}
    assert set(SessionState) - final == HOLDING > RUNNING
    assert not any(state in final for state, _ in TRANSITIONS)


def test_nothing_that_was_released_is_billed_and_nothing_that_was_billed_is_released() -> None:
    for state, trigger in (
        (SessionState.RELEASED, SessionTrigger.BILLED),
        (SessionState.BILLED, SessionTrigger.NOTHING_DELIVERED),
        (SessionState.BILLED, SessionTrigger.START_FAILED),
        (SessionState.CHARGING, SessionTrigger.START_FAILED),
    ):
        with pytest.raises(ContradictionError):
            next_session_state(state, trigger)


@pytest.mark.parametrize(
    ("key", "number"),
    [
        ("wallet_session_17", 17),
        ("qr_payment_17", None),
        ("wallet_session_", None),
        ("wallet_session_x", None),
        ("wallet_session_٣", None),
        (None, None),
    ],
)
def test_a_request_key_names_its_session(key: str | None, number: int | None) -> None:
    assert session_of_request_key(key) == number


def test_an_order_is_found_by_its_mark_among_those_of_its_receipt() -> None:
    ours = {"id": "order_1", **order_body(17, amount_paise=50_000, environment="production")}
    theirs = {"id": "order_2", **order_body(17, amount_paise=50_000, environment="staging")}
    foreign = {"id": "order_3", "receipt": "recharge_17", "notes": []}
    listed = [foreign, theirs, ours]
    assert find_order(listed, recharge_id=17, environment="production") == ours
    assert find_order([foreign, theirs], recharge_id=17, environment="production") is None
    assert len(str(ours["receipt"])) <= 40
    assert recharge.read_mark({"notes": {"voltlync_environment": "production", "voltlync_recharge": "x"}}) is None


def captured(**entity: Any) -> Envelope:
    payment = {"id": "pay_1", "order_id": "order_1", "amount": 50_000, "currency": "INR"} | entity
    return Envelope("payment.captured", None, {"payment": {"entity": payment}}, NOW)


def test_a_captured_payment_of_an_order_is_read_and_one_without_is_none() -> None:
    capture = read_capture(captured(fee=0, tax=None, created_at=1_764_570_000))
    assert capture is not None
    assert (capture.amount_paise, capture.fee_paise, capture.tax_paise) == (50_000, 0, None)
    assert capture.paid_at == datetime.fromtimestamp(1_764_570_000, UTC)
    assert read_capture(captured(order_id=None)) is None
    whole = read_capture(captured(fee=236, tax=36))
    assert whole is not None
    assert (whole.razorpay_payment_id, whole.razorpay_order_id, whole.fee_paise, whole.tax_paise) == ("pay_1", "order_1", 236, 36)
    assert whole.payment_entity["amount"] == 50_000
    envelope = captured()
    entity = {name: value for name, value in envelope.payload["payment"]["entity"].items() if name != "currency"}
    for amount in (1, 10**12):
        least = read_capture(Envelope("payment.captured", None, {"payment": {"entity": {**entity, "amount": amount}}}, NOW))
        assert least is not None
        assert (least.amount_paise, least.paid_at) == (amount, NOW)


@pytest.mark.parametrize(
    "wrong", [{"amount": 0}, {"amount": True}, {"amount": "5"}, {"currency": "USD"}, {"id": None}, {"order_id": 5}]
)
def test_what_no_wallet_can_be_credited_with_is_refused(wrong: dict[str, Any]) -> None:
    words = {
        "amount": f"^payment.captured of {wrong.get('amount')!r} paise$",
        "currency": "^payment.captured in 'USD'$",
        "id": "^payment.captured without ids$",
        "order_id": "^payment.captured without ids$",
    }
    with pytest.raises(MalformedEventError, match=words[next(iter(wrong))]):
        read_capture(captured(**wrong))
    with pytest.raises(MalformedEventError, match=r"^payment\.captured without a payment$"):
        read_capture(Envelope("payment.captured", None, {}, NOW))
