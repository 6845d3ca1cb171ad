"""Keys and addresses that must not meet, and the kinds of Razorpay's errors."""

from typing import Any

import pytest
from pydantic import ValidationError

from settlement.domain.link import account_body, account_that_has_the_email, stakeholder_body
from settlement.razorpay import OutcomeUnknown, Permanent, Retryable, kind_of
from settlement.settings import LIVE_URL, SettlementSettings

SANDBOX = "http://127.0.0.1:8900"


def settings(**changes: Any) -> SettlementSettings:
    values: dict[str, Any] = {
        "amqp_url": "amqp://x",
        "database_url": "postgresql://x",
        "RAZORPAY_KEY_ID": "rzp_test_1",
        "RAZORPAY_KEY_SECRET": "s",
        "RAZORPAY_API_URL": SANDBOX,
    }
    return SettlementSettings(**{**values, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"RAZORPAY_KEY_ID": "rzp_live_1"},
        {"RAZORPAY_KEY_ID": "rzp_live_1", "RAZORPAY_API_URL": f"http://evil.example/?{LIVE_URL}"},
        {"RAZORPAY_API_URL": LIVE_URL},
        {"environment": "production"},
    ],
)
def test_a_key_and_an_address_that_do_not_belong_together_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(**changes)


def test_what_belongs_together_is_taken() -> None:
    assert settings().environment_mark == "development"
    assert settings(transfer_environment="blue").environment_mark == "blue"
    live = settings(RAZORPAY_KEY_ID="rzp_live_1", RAZORPAY_API_URL=LIVE_URL, environment="production")
    assert live.environment_mark == "production"


# status, description, told by Razorpay itself, reading → what the caller may do
KINDS = [
    (400, "The input field is required", True, False, Permanent),
    (400, "Transfer cannot be made due to insufficient balance", True, False, Retryable),
    (400, "Linked account is not activated for transfers", True, False, Permanent),
    (401, "The api key provided is invalid", True, False, Retryable),
    (409, "another request with the key is in progress", True, False, Retryable),
    (429, "Too many requests", True, False, Retryable),
    (404, "HTTP 404", False, False, OutcomeUnknown),
    (500, "We are facing some trouble", True, False, OutcomeUnknown),
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


def test_details_without_a_value_are_left_out() -> None:
    body = account_body(
        franchisee_id=7, email="a@b.example", phone="9000090000", legal_business_name="Acme", display_name="Acme",
        business_type="proprietorship", contact_name="Asha", category="utilities", subcategory="electricity", address={},
        pan=None, gstin=None, environment="x",
    )  # fmt: skip
    assert "legal_info" not in body
    assert body["reference_id"] == "franchisee_7"
    assert stakeholder_body({"name": "Asha", "email": "a@b.example", "pan": None}) == {"name": "Asha", "email": "a@b.example"}


def test_a_refusal_names_the_account_that_has_the_address() -> None:
    assert account_that_has_the_email("Merchant email already exists for account - GRWKk7qQsLnDjX") == "acc_GRWKk7qQsLnDjX"
    assert account_that_has_the_email("Invalid business type: xyz") is None
