"""What of its settings payments refuses by itself; keys and addresses are razorpay_client's."""

from typing import Any

import pytest
from pydantic import ValidationError

from payments.settings import PaymentsSettings

SANDBOX = "http://127.0.0.1:8900"


def make(**more: Any) -> PaymentsSettings:
    values = {
        "amqp_url": "amqp://x",
        "database_url": "postgresql://x",
        "razorpay_key_secret": "s",
        "razorpay_webhook_secret": "w",
        "razorpay_key_id": "rzp_test_x",
        "razorpay_api_url": SANDBOX,
    }
    return PaymentsSettings.model_validate(values | more)


def test_a_claim_outlasts_the_calls_made_under_it() -> None:
    with pytest.raises(ValidationError, match="refund_lease_seconds"):
        make(refund_lease_seconds=60, razorpay_call_seconds=31)


def test_an_empty_webhook_secret_is_refused() -> None:
    with pytest.raises(ValidationError):
        make(razorpay_webhook_secret="")


def test_razorpays_variables_bear_razorpays_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "RAZORPAY_KEY_ID": "rzp_test_env",
        "RAZORPAY_KEY_SECRET": "s",
        "RAZORPAY_WEBHOOK_SECRET": "w",
        "RAZORPAY_API_URL": SANDBOX,
        "VOLTLYNC_AMQP_URL": "amqp://x",
        "VOLTLYNC_DATABASE_URL": "postgresql://x",
        "VOLTLYNC_STALE_PAYMENT_SECONDS": "60",
    }.items():
        monkeypatch.setenv(name, value)
    settings = PaymentsSettings()
    assert (settings.razorpay_key_id, settings.stale_after.total_seconds(), settings.qr_mark) == (
        "rzp_test_env",
        60,
        "development",
    )
