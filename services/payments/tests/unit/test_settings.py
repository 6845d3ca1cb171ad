"""Settings refuse what would send live money to a sandbox or sandbox keys to Razorpay."""

from typing import Any

import pytest
from pydantic import ValidationError

from payments.settings import PaymentsSettings

SANDBOX, LIVE = "http://127.0.0.1:8900", "https://api.razorpay.com"


def make(key: str, url: str | None, **more: Any) -> PaymentsSettings:
    values = {
        "amqp_url": "amqp://x",
        "database_url": "postgresql://x",
        "razorpay_key_secret": "s",
        "razorpay_webhook_secret": "w",
    }
    given = values | {"razorpay_key_id": key} | ({"razorpay_api_url": url} if url else {}) | more
    return PaymentsSettings.model_validate(given)


@pytest.mark.parametrize(
    ("key", "url", "more"),
    [
        ("rzp_live_x", SANDBOX, {}),
        ("rzp_live_x", "https://api.razorpay.com.evil.example", {}),
        ("rzp_test_x", LIVE, {}),
        ("rzp_test_x", None, {}),
        ("rzp_test_x", "https://api.razorpay.com/", {}),
        ("rzp_test_x", SANDBOX, {"environment": "production"}),
        ("rzp_test_x", LIVE, {"environment": "production", "razorpay_test_mode": True}),
    ],
)
def test_keys_and_addresses_that_do_not_belong_together(key: str, url: str | None, more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="live"):
        make(key, url, **more)


@pytest.mark.parametrize(
    ("key", "url", "more"),
    [
        ("rzp_live_x", LIVE, {"environment": "production"}),
        ("rzp_test_x", SANDBOX, {}),
        ("rzp_test_x", LIVE, {"razorpay_test_mode": True}),
    ],
)
def test_those_that_do(key: str, url: str, more: dict[str, Any]) -> None:
    assert make(key, url, **more).razorpay_key_id == key


def test_a_claim_outlasts_the_calls_made_under_it() -> None:
    with pytest.raises(ValidationError, match="refund_lease_seconds"):
        make("rzp_test_x", SANDBOX, refund_lease_seconds=60, razorpay_call_seconds=31)


def test_an_empty_webhook_secret_is_refused() -> None:
    with pytest.raises(ValidationError):
        make("rzp_test_x", SANDBOX, razorpay_webhook_secret="")


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
