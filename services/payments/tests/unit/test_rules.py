"""Riders, credits, refunds, QR marks: what payments decides without asking anybody."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.domain import qr_code, refund, rider
from payments.domain.credit import QrBinding, RefundReason, refusal
from payments.domain.qr_code import QrCodeStatus
from payments.domain.refund import BACKOFF_SECONDS_MAX, Observed, RefundStatus, Speed, backoff_seconds, find_by_key, find_live

NOW = datetime(2026, 1, 5, 4, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("contact", "phone"),
    [
        ("+919000090000", "+919000090000"),
        ("9000090000", "+919000090000"),
        ("+9000090000", "+919000090000"),
        ("09000090000", "+919000090000"),
        ("90000 90000", "+919000090000"),
        ("+14155550123", "+14155550123"),
        ("", None),
        (None, None),
        ("void", None),
        ("12345", None),
        ("+", None),
        ("0" * 30, None),
    ],
)
def test_a_phone_is_one_phone_however_it_is_written(contact: str | None, phone: str | None) -> None:
    assert rider.normalise_phone(contact) == phone


@pytest.mark.parametrize(
    ("vpa", "known_as"),
    [
        ("Rider@OKHDFCbank", "rider@okhdfcbank"),
        (" a.b-c@x9 ", "a.b-c@x9"),
        ("@bank", None),
        ("rider@", None),
        ("rider", None),
        (None, None),
    ],
)
def test_a_vpa_compares_without_case(vpa: str | None, known_as: str | None) -> None:
    assert rider.normalise_vpa(vpa) == known_as


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_text_is_too_strange_for_a_payer(contact: str, vpa: str) -> None:
    payer = rider.identity(contact=contact, vpa=vpa)
    assert payer.phone is None or payer.phone.startswith("+")
    assert payer.vpa is None or "@" in payer.vpa


BOUND = QrBinding(QrCodeStatus.ACTIVE, "CP-1", 1)
STALE_AFTER = timedelta(seconds=600)


@pytest.mark.parametrize(
    ("binding", "age", "reason"),
    [
        (BOUND, 0, None),
        (BOUND, 600, None),
        (BOUND, 601, RefundReason.STALE),
        (BOUND, -3600, None),
        (QrBinding(QrCodeStatus.CREATING, "CP-1", 1), 0, None),
        (QrBinding(QrCodeStatus.CLOSING, "CP-1", 1), 0, RefundReason.QR_CODE_CLOSED),
        (QrBinding(QrCodeStatus.CLOSED, "CP-1", 1), 0, RefundReason.QR_CODE_CLOSED),
        (QrBinding(QrCodeStatus.FAILED, "CP-1", 1), 0, RefundReason.QR_CODE_CLOSED),
        (QrBinding(QrCodeStatus.ACTIVE, None, None), 0, RefundReason.NO_CONNECTOR),
        (None, 0, RefundReason.QR_CODE_UNKNOWN),
    ],
)
def test_what_can_be_served(binding: QrBinding | None, age: int, reason: RefundReason | None) -> None:
    assert refusal(binding, paid_at=NOW - timedelta(seconds=age), now=NOW, stale_after=STALE_AFTER) is reason


OWN = QrBinding(QrCodeStatus.ACTIVE, "CP-1", 1, owner_franchisee_id=7)


@pytest.mark.parametrize(
    ("binding", "collected_by", "reason"),
    [
        (OWN, 7, None),
        (OWN, 8, RefundReason.WRONG_ACCOUNT),
        (OWN, None, RefundReason.WRONG_ACCOUNT),
        (BOUND, 7, RefundReason.WRONG_ACCOUNT),
        (QrBinding(QrCodeStatus.ACTIVE, "CP-1", 1, 7, owner_may_collect=False), 7, RefundReason.COLLECTION_STOPPED),
        # In the wrong account is the graver thing, whatever else speaks against it.
        (QrBinding(QrCodeStatus.CLOSED, "CP-1", 1, 7, owner_may_collect=False), 8, RefundReason.WRONG_ACCOUNT),
        (QrBinding(QrCodeStatus.CLOSED, "CP-1", 1, 7, owner_may_collect=False), 7, RefundReason.QR_CODE_CLOSED),
    ],
)
def test_money_is_served_from_the_codes_own_account_only(
    binding: QrBinding, collected_by: int | None, reason: RefundReason | None
) -> None:
    assert refusal(binding, collected_by=collected_by, paid_at=NOW, now=NOW, stale_after=STALE_AFTER) is reason


def test_a_refunds_keys_fit_razorpays_rules() -> None:
    assert [refund.refund_key(1, attempt) for attempt in (1, 2, 3)] == ["qr_payment_1", "qr_payment_1_r2", "qr_payment_1_r3"]
    longest = refund.refund_key(2**63 - 1, 99)
    assert len(refund.refund_key(1, 1)) >= 10
    assert len(longest) <= 40
    assert refund.is_key_of("qr_payment_1_r2", 1)
    for other in ("qr_payment_11", "qr_payment_1_op1", "qr_payment_2", None, 17):
        assert not refund.is_key_of(other, 1)


@given(st.text("abc_123", min_size=1), st.integers(1, 40))
def test_pauses_double_to_half_an_hour_and_repeat(key: str, tries: int) -> None:
    pause = backoff_seconds(key, tries)
    full = min(5 * 2 ** (tries - 1), BACKOFF_SECONDS_MAX)
    assert full * 3 // 4 <= pause <= full
    assert pause == backoff_seconds(key, tries)


def seen(**entity: Any) -> Observed:
    return Observed.from_entity({"id": "rfnd_1", "payment_id": "pay_1", "amount": 500, "status": "pending", **entity})


@pytest.mark.parametrize(
    ("acquirer", "reference"),
    [
        ({}, None),
        ([], None),
        (None, None),
        ({"arn": None}, None),
        ({"arn": "a1"}, "a1"),
        ({"rrn": 12, "arn": "a1"}, "12"),
        ({"utr": "u"}, "u"),
    ],
)
def test_the_banks_reference_wherever_it_stands(acquirer: Any, reference: str | None) -> None:
    assert seen(acquirer_data=acquirer).bank_reference == reference


@pytest.mark.parametrize(
    ("status", "ours"),
    [
        ("pending", RefundStatus.PROCESSING),
        ("processed", RefundStatus.PROCESSED),
        ("failed", RefundStatus.FAILED),
        ("new", RefundStatus.PROCESSING),
    ],
)
def test_razorpays_statuses(status: str, ours: RefundStatus) -> None:
    assert seen(status=status).status is ours


def test_which_refund_does_already_what_a_new_one_would() -> None:
    ours = seen(id="rfnd_a", receipt="qr_payment_7", status="processed")
    failed = seen(id="rfnd_b", receipt="qr_payment_7", status="failed")
    by_hand = seen(id="rfnd_c", receipt=None, amount=500)
    goodwill = seen(id="rfnd_d", receipt="qr_payment_7_op1", amount=500)
    other_amount = seen(id="rfnd_e", receipt=None, amount=499)
    assert find_live([failed, by_hand, ours], qr_payment_id=7, amount_paise=500) is ours
    assert find_live([failed, goodwill, by_hand], qr_payment_id=7, amount_paise=500) is by_hand
    assert find_live([failed, goodwill, other_amount], qr_payment_id=7, amount_paise=500) is None
    assert find_live([ours, goodwill], qr_payment_id=7, amount_paise=500, number=1) is goodwill
    assert find_by_key([by_hand, failed], "qr_payment_7") is failed
    assert find_by_key([by_hand], "qr_payment_7") is None


def test_a_refunds_body_is_what_razorpay_documents() -> None:
    body = refund.request_body(key="qr_payment_7", amount_paise=500, speed=Speed.OPTIMUM, notes={"qr_payment": "7"})
    assert body == {"amount": 500, "speed": "optimum", "receipt": "qr_payment_7", "notes": {"qr_payment": "7"}}


@pytest.mark.parametrize(
    "notes",
    [
        [],
        None,
        {},
        {"voltlync_environment": "x"},
        {"voltlync_environment": 1, "voltlync_qr_code": "1"},
        {"voltlync_environment": "x", "voltlync_qr_code": "1;"},
        "x",
    ],
)
def test_notes_that_are_no_mark_of_ours(notes: Any) -> None:
    assert qr_code.read_mark({"notes": notes}) is None
    assert qr_code.read_mark(None) is None


def test_a_mark_is_read_as_it_was_made() -> None:
    notes = qr_code.notes_for(environment="staging", qr_code_id=42, charge_point_id="C" * 300, connector_id=2)
    mark = qr_code.read_mark({"notes": notes})
    assert mark == qr_code.Mark("staging", 42)
    assert all(len(value) <= 256 for value in notes.values())
