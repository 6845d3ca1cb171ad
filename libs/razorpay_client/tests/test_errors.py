"""What an answer leaves certain: one of three errors, whoever asked."""

import pytest

from razorpay_client import OutcomeUnknown, Permanent, RazorpayError, Retryable
from razorpay_client.errors import kind_of, without_answer

# status, description, told by Razorpay itself, reading → what the caller may do
KINDS = [
    (400, "The input field is required", True, False, Permanent),
    (400, "Transfer cannot be made due to insufficient balance", True, False, Retryable),
    (400, "Your account does not have enough balance to carry out the refund operation.", True, False, Retryable),
    (400, "Linked account is not activated for transfers", True, False, Permanent),
    (401, "The api key provided is invalid", True, False, Retryable),
    (409, "another request with the key is in progress", True, False, Retryable),
    (400, "Different request with the same idempotency key has already been processed.", True, False, Permanent),
    (409, "Different request with the same idempotency key has already been processed.", True, False, Permanent),
    (429, "Too many requests", True, False, Retryable),
    (404, "HTTP 404", False, False, OutcomeUnknown),
    (500, "We are facing some trouble", True, False, OutcomeUnknown),
    (500, "Another request with the same idempotency key is still in progress.", True, False, OutcomeUnknown),
    (502, "HTTP 502", False, False, OutcomeUnknown),
    (503, "too many requests", True, False, OutcomeUnknown),
    (302, "HTTP 302", False, False, OutcomeUnknown),
    (200, "HTTP 200", False, False, OutcomeUnknown),
    (500, "We are facing some trouble", True, True, Retryable),
    (502, "HTTP 502", False, True, Retryable),
    (400, "The id provided does not exist", True, True, Permanent),
]


@pytest.mark.parametrize(("status", "description", "told", "reads", "kind"), KINDS)
def test_an_answer_is_one_of_three_errors(status: int, description: str, told: bool, reads: bool, kind: type[Exception]) -> None:
    assert kind_of(status, description, told=told, reads=reads) is kind


@pytest.mark.parametrize(
    "description", ["invalid request sent", "Request failed because another payment operation is in progress."]
)
def test_words_that_pass_where_a_refund_is_asked_for_and_are_final_elsewhere(description: str) -> None:
    assert kind_of(400, description, told=True, reads=False, refunds=True) is Retryable
    assert kind_of(400, description, told=True, reads=False) is Permanent


def test_silence_had_no_effect_only_where_nothing_was_to_change() -> None:
    assert without_answer(reads=True) is Retryable
    assert without_answer(reads=False) is OutcomeUnknown


def test_a_low_balance_is_told_from_other_refusals() -> None:
    assert RazorpayError("Transfer cannot be made due to insufficient Balance").low_balance
    assert not RazorpayError("Too many requests").low_balance
