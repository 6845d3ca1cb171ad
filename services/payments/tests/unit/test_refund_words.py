"""What riders are told of a refund, and its history: in every state, and whatever order Razorpay's words come in."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.domain.refund import Observed, RefundStatus, Speed, advance
from payments.domain.refund_history import Step, steps_of
from payments.domain.refund_words import INSTANT_EXPECTED, NORMAL_EXPECTED, RefundStanding, RefundWords, words_of

_S = RefundStatus
CREDITED = ("credited", "is in your account", "you have it", "has been paid")
"""What nobody but the bank can say."""


UNANSWERED = (
    "₹26.85 is due back to you. We asked Razorpay to send it and did not hear back; "
    "we look before we ask again, so that it is sent once."
)


def told(status: RefundStatus, **more: Any) -> RefundWords:
    standing: dict[str, Any] = {
        "amount_paise": 2685,
        "speed_requested": Speed.OPTIMUM,
        "speed_processed": None,
        "bank_reference": None,
        "reference_kind": None,
        "replaced": False,
        "given_up": False,
    }
    return words_of(RefundStanding(status=status, **{**standing, **more}))


@pytest.mark.parametrize(
    ("status", "more", "words", "expected"),
    [
        (_S.PENDING, {}, "₹26.85 is due back to you. We are asking Razorpay to send it.", None),
        (_S.CALLING, {}, "₹26.85 is due back to you. We are asking Razorpay to send it.", None),
        (
            _S.UNKNOWN,
            {},
            UNANSWERED,
            None,
        ),
        (
            _S.PROCESSING,
            {},
            "Razorpay has taken the order to send ₹26.85 back to you. It is not with your bank yet.",
            INSTANT_EXPECTED,
        ),
        (
            _S.PROCESSING,
            {"speed_requested": Speed.NORMAL},
            "Razorpay has taken the order to send ₹26.85 back to you. It is not with your bank yet.",
            NORMAL_EXPECTED,
        ),
        (
            _S.PROCESSING,
            {"speed_processed": "normal"},
            "Razorpay is sending ₹26.85 back the normal way, as it could not be done instantly. It is not with your bank yet.",
            NORMAL_EXPECTED,
        ),
        (_S.PROCESSED, {"speed_processed": "instant"}, "Razorpay has sent ₹26.85 to your bank instantly.", None),
        (_S.PROCESSED, {"speed_processed": "normal"}, "Razorpay has sent ₹26.85 to your bank.", NORMAL_EXPECTED),
        (_S.PROCESSED, {}, "Razorpay has sent ₹26.85 to your bank.", NORMAL_EXPECTED),
        (
            _S.PROCESSED,
            {"speed_processed": "instant", "bank_reference": "116812981837", "reference_kind": "RRN"},
            "Razorpay has sent ₹26.85 to your bank instantly. Your bank can find it by RRN 116812981837.",
            None,
        ),
        (
            _S.PROCESSED,
            {"speed_processed": "normal", "bank_reference": "a1"},
            "Razorpay has sent ₹26.85 to your bank. Your bank can find it by a1.",
            NORMAL_EXPECTED,
        ),
        (_S.FAILED, {}, "A try to send ₹26.85 back did not go through. It is still due to you, and we try again.", None),
        (_S.FAILED, {"replaced": True}, "This try to send ₹26.85 back did not go through. A new one was made.", None),
        (
            _S.FAILED,
            {"given_up": True},
            "We could not send ₹26.85 back to you. It is still due to you, and a person is looking into it.",
            None,
        ),
    ],
)
def test_the_words_of_every_state(status: RefundStatus, more: dict[str, Any], words: str, expected: str | None) -> None:
    assert told(status, **more) == RefundWords(words=words, expected=expected)


@given(
    status=st.sampled_from(RefundStatus),
    more=st.fixed_dictionaries(
        {
            "speed_requested": st.sampled_from(Speed),
            "speed_processed": st.sampled_from([None, "instant", "normal", "optimum"]),
            "bank_reference": st.sampled_from([None, "116812981837"]),
            "reference_kind": st.sampled_from([None, "RRN", "ARN"]),
            "replaced": st.booleans(),
            "given_up": st.booleans(),
        }
    ),
)
def test_nothing_is_said_that_has_not_happened(status: RefundStatus, more: dict[str, Any]) -> None:
    answer = told(status, **more)
    text = f"{answer.words} {answer.expected or ''}"
    assert "₹26.85" in answer.words
    assert not any(claim in text.lower() for claim in CREDITED)
    assert ("has sent" in text) is (status is _S.PROCESSED)
    assert ("instantly." in answer.words) is (status is _S.PROCESSED and more["speed_processed"] == "instant") or (
        "could not be done instantly" in answer.words
    )
    on_its_way = status is _S.PROCESSING or (status is _S.PROCESSED and more["speed_processed"] != "instant")
    assert (answer.expected is not None) is on_its_way
    assert ("can find it by" in text) is (status is _S.PROCESSED and more["bank_reference"] is not None)


WORDS = {
    "answer": {"status": "pending"},
    "created": {"status": "processed", "speed_processed": None},
    "speed_changed": {"status": "pending", "speed_processed": "normal"},
    "processed": {"status": "processed", "speed_processed": "normal", "acquirer_data": {"rrn": "116812981837"}},
    "failed": {"status": "failed"},
}


def heard(order: tuple[str, ...]) -> tuple[RefundStatus, list[Step]]:
    """How a refund stands, and its history, after Razorpay's words in this order."""
    status, speed, reference = _S.CALLING, None, None
    history: list[Step] = []
    for name in order:
        seen = Observed.from_entity({"id": "rfnd_1", "amount": 2685, **WORDS[name]})
        after, speed_after = advance(status, seen.status), seen.speed_processed or speed
        reference_after = seen.bank_reference or reference
        steps = steps_of(
            status_before=status,
            status=after,
            speed_requested=Speed.OPTIMUM,
            speed_before=speed,
            speed=speed_after,
            reference_before=reference,
            reference=reference_after,
            reference_kind=seen.reference_kind,
        )
        history += [step for step, _ in steps]
        status, speed, reference = after, speed_after, reference_after
    return status, history


@pytest.mark.parametrize("names", [("answer", "speed_changed", "processed", "created"), tuple(WORDS)])
def test_in_any_order_and_twice_each_step_is_noted_once_and_goes_forward(names: tuple[str, ...]) -> None:
    for order in itertools.permutations(names):
        status, history = heard((*order, *order))
        assert status is _S.PROCESSED, order
        assert len(history) == len(set(history)), order
        assert {Step.PROCESSED, Step.REFERENCE, Step.SPEED_CHANGED} <= set(history)
        ends = [step for step in history if step in (Step.PENDING, Step.FAILED, Step.PROCESSED)]
        assert ends == sorted(ends, key=[Step.PENDING, Step.FAILED, Step.PROCESSED].index), order


def test_what_was_asked_for_at_normal_speed_does_not_change_it() -> None:
    quiet = {"status_before": _S.PROCESSING, "status": _S.PROCESSING, "reference_before": None, "reference": None}
    assert list(steps_of(speed_requested=Speed.NORMAL, speed_before=None, speed="normal", **quiet)) == []
    changed = list(steps_of(speed_requested=Speed.OPTIMUM, speed_before=None, speed="normal", **quiet))
    assert changed == [(Step.SPEED_CHANGED, "normal instead of instant")]
    unknown = {**quiet, "status_before": _S.CALLING, "status": _S.UNKNOWN}
    assert list(steps_of(speed_requested=Speed.NORMAL, speed_before=None, speed=None, error="no answer", **unknown)) == [
        (Step.UNKNOWN, "no answer")
    ]
    done = {**quiet, "status": _S.PROCESSED, "reference": "123456789012"}
    told = {"speed_requested": Speed.NORMAL, "speed_before": None, "speed": None, "error": "an old one", **done}
    assert list(steps_of(**told)) == [(Step.PROCESSED, None), (Step.REFERENCE, "123456789012")]
    assert list(steps_of(**told, reference_kind="RRN"))[1] == (Step.REFERENCE, "RRN 123456789012")
