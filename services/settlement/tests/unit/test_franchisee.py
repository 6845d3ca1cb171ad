"""KYC standings: every event of both families, in every order."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement.domain.franchisee import (
    EFFECTS,
    FranchiseeStatus,
    KycEvent,
    Standing,
    Terms,
    gate_reason,
    read_kyc_event,
    standing,
    terms_in_force,
)

AT = datetime(2026, 1, 5, 4, 30, tzinfo=UTC)
S = FranchiseeStatus


def word(event: str, minute: int = 0, *, hold: bool | None = None, name: str | None = None) -> KycEvent:
    return KycEvent(name or f"{event}/{minute}", event, AT + timedelta(minutes=minute), hold)


# The table of razorpay.md §5.4: event, hold_funds as sent → status, transfers_enabled, funds_on_hold, of a fresh account.
TABLE = [
    ("account.instantly_activated", True, S.INSTANTLY_ACTIVATED, False, True),
    ("account.payments_enabled", False, S.LINKED, False, False),
    ("account.under_review", True, S.UNDER_REVIEW, False, True),
    ("account.needs_clarification", True, S.NEEDS_CLARIFICATION, False, True),
    ("account.activated_kyc_pending", False, S.ACTIVATED_KYC_PENDING, True, False),
    ("account.activated", False, S.ACTIVATED, True, False),
    ("account.activated", True, S.ACTIVATED, True, True),
    ("account.rejected", True, S.REJECTED, False, True),
    ("account.funds_hold", True, S.LINKED, False, True),
    ("account.funds_unhold", False, S.LINKED, False, False),
    ("account.suspended", True, S.SUSPENDED, False, True),
    ("product.route.under_review", None, S.UNDER_REVIEW, False, False),
    ("product.route.needs_clarification", None, S.NEEDS_CLARIFICATION, False, False),
    ("product.route.activated", None, S.ACTIVATED, True, False),
]


@pytest.mark.parametrize(("event", "hold", "status", "enabled", "held"), TABLE)
def test_each_event_means_what_the_table_says(
    event: str, hold: bool | None, status: FranchiseeStatus, enabled: bool, held: bool
) -> None:
    assert standing([word(event, hold=hold)]) == Standing(status, enabled, held)


def test_the_table_has_every_event_of_razorpays() -> None:
    assert {row[0] for row in TABLE} == {name for name in EFFECTS if not name.startswith("poll.")}


def test_the_order_of_arrival_does_not_matter() -> None:
    story = [
        word("account.under_review", 0, hold=True),
        word("account.needs_clarification", 5, hold=True),
        word("product.route.activated", 10),
        word("account.activated", 10, hold=False),
    ]
    for order in permutations(story):
        assert standing([*order, order[0]]) == Standing(S.ACTIVATED, transfers_enabled=True, funds_on_hold=False)


def test_a_later_hold_and_its_end_leave_the_status() -> None:
    story = [word("account.activated", 0, hold=False), word("account.funds_hold", 1, hold=True)]
    assert standing(story) == Standing(S.ACTIVATED, transfers_enabled=True, funds_on_hold=True)
    assert standing([*story, word("account.funds_unhold", 2, hold=False)]) == Standing(S.ACTIVATED, True, False)


def test_in_the_same_second_the_cautious_word_counts() -> None:
    assert standing([word("account.rejected", hold=True), word("account.activated", hold=False)]).status is S.REJECTED
    assert standing([word("account.funds_unhold", hold=False), word("account.funds_hold", hold=True)]).funds_on_hold


EVENTS = st.lists(
    st.builds(
        KycEvent,
        event_id=st.uuids().map(str),
        event=st.sampled_from([*EFFECTS, "account.international_enabled"]),
        occurred_at=st.integers(0, 5).map(lambda minute: AT + timedelta(minutes=minute)),
        hold_funds=st.sampled_from([True, False, None]),
    ),
    max_size=8,
)


@given(events=EVENTS, data=st.data())
def test_a_standing_is_the_same_in_any_order_and_however_often_told(events: list[KycEvent], data: st.DataObject) -> None:
    repeats = data.draw(st.lists(st.sampled_from(events), max_size=4)) if events else []
    shuffled = data.draw(st.permutations([*events, *repeats]))
    assert standing(shuffled) == standing(events)


@given(events=EVENTS)
def test_nothing_is_transferred_to_whom_razorpay_rejected_or_suspended_or_still_checks(events: list[KycEvent]) -> None:
    found = standing(events)
    if found.transfers_enabled:
        assert found.status in (S.ACTIVATED, S.ACTIVATED_KYC_PENDING)


GATES: list[tuple[dict[str, Any], str | None]] = [
    ({}, None),
    ({"operator_hold": True}, "VoltLync holds the payouts."),
    ({"operator_hold": True, "operator_reason": "dispute"}, "VoltLync holds the payouts: dispute"),
    ({"funds_on_hold": True}, "Razorpay holds this franchisee's funds."),
    ({"transfers_enabled": False, "status": S.REJECTED}, "Razorpay rejected this franchisee."),
    ({"transfers_enabled": False, "status": S.CREATED}, "Razorpay has no account for this franchisee yet."),
    ({"transfers_enabled": False}, "Razorpay does not take transfers for this franchisee."),
]


@pytest.mark.parametrize(("change", "words"), GATES)
def test_a_gate_says_why(change: dict[str, Any], words: str | None) -> None:
    open_gate: dict[str, Any] = {
        "status": S.ACTIVATED,
        "transfers_enabled": True,
        "funds_on_hold": False,
        "operator_hold": False,
        "operator_reason": None,
    }
    figures = open_gate | change
    assert gate_reason(figures.pop("status"), **figures) == words


def terms(commission_bps: int, minute: int) -> Terms:
    return Terms(commission_bps, 10, "NET_EXCL_GST", AT + timedelta(minutes=minute))


def test_terms_are_those_in_force_at_the_start() -> None:
    agreed = [terms(2000, 10), terms(1000, 0), terms(3000, 20)]
    found = {
        minute: terms_in_force(agreed, AT + timedelta(minutes=minute)).commission_bps for minute in (-5, 0, 9, 10, 19, 20, 99)
    }
    assert found == {-5: 1000, 0: 1000, 9: 1000, 10: 2000, 19: 2000, 20: 3000, 99: 3000}
    with pytest.raises(ValueError, match="without terms"):
        terms_in_force([], AT)


def test_both_families_name_the_account_with_its_prefix() -> None:
    merchant = {"account": {"entity": {"id": "JNraR8O85H1atC", "hold_funds": True, "merchant_detail": {"issue_fields": "pan"}}}}
    found = read_kyc_event("account.needs_clarification", merchant, event_id="e1", account_id=None, occurred_at=AT)
    assert found == ("acc_JNraR8O85H1atC", KycEvent("e1", "account.needs_clarification", AT, True, "pan"))
    product = {"merchant_product": {"entity": {"id": "acc_prd_1", "merchant_id": "acc_Q"}, "data": []}}
    found = read_kyc_event("product.route.activated", product, event_id="e2", account_id=None, occurred_at=AT)
    assert found == ("acc_Q", KycEvent("e2", "product.route.activated", AT, None, None))


@pytest.mark.parametrize("payload", [{}, {"account": None}, {"account": []}, {"account": {"entity": "x"}}])
def test_a_word_on_nobody_is_none(payload: dict[str, Any]) -> None:
    assert read_kyc_event("account.activated", payload, event_id="e", account_id=None, occurred_at=AT) is None
    assert read_kyc_event("payment.captured", payload, event_id="e", account_id="acc_1", occurred_at=AT) is None
