"""Our mark on transfers, and the bodies of the onboarding."""

from typing import Any

from settlement.domain.link import account_body, account_that_has_the_email, stakeholder_body
from settlement.settings import SettlementSettings

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


def test_transfers_are_marked_with_the_environment_unless_told_otherwise() -> None:
    assert settings().environment_mark == "development"
    assert settings(transfer_environment="blue").environment_mark == "blue"


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
