"""Settings refuse what would send a live key to a sandbox, or a sandbox key to Razorpay."""

from typing import Any

import pytest
from pydantic import ValidationError

from razorpay_client import LIVE_URL, RazorpaySettings

SANDBOX = "http://127.0.0.1:8900"


def make(key: str, url: str | None, **more: Any) -> RazorpaySettings:
    values = {"amqp_url": "amqp://x", "razorpay_key_id": key, "razorpay_key_secret": "s"}
    return RazorpaySettings.model_validate(values | ({"razorpay_api_url": url} if url else {}) | more)


@pytest.mark.parametrize(
    ("key", "url", "more"),
    [
        ("rzp_live_x", SANDBOX, {}),
        ("rzp_live_x", "https://api.razorpay.com.evil.example", {}),
        ("rzp_live_x", f"http://evil.example/?{LIVE_URL}", {}),
        ("rzp_live_x", "https://api.razorpay.com@evil.example", {}),
        ("rzp_test_x", LIVE_URL, {}),
        ("rzp_test_x", None, {}),
        ("rzp_test_x", f"{LIVE_URL}/", {}),
        ("rzp_test_x", SANDBOX, {"environment": "production"}),
        ("rzp_test_x", LIVE_URL, {"environment": "production", "razorpay_test_mode": True}),
    ],
)
def test_a_key_and_an_address_that_do_not_belong_together(key: str, url: str | None, more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="live"):
        make(key, url, **more)


@pytest.mark.parametrize(
    ("key", "url", "more", "at_razorpay_itself"),
    [
        ("rzp_live_x", LIVE_URL, {"environment": "production"}, True),
        ("rzp_test_x", SANDBOX, {}, False),
        ("rzp_test_x", LIVE_URL, {"razorpay_test_mode": True}, True),
    ],
)
def test_those_that_do(key: str, url: str, more: dict[str, Any], at_razorpay_itself: bool) -> None:
    assert make(key, url, **more).at_razorpay_itself is at_razorpay_itself


def test_razorpays_variables_bear_razorpays_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "RAZORPAY_KEY_ID": "rzp_test_env",
        "RAZORPAY_KEY_SECRET": "s",
        "RAZORPAY_API_URL": SANDBOX,
        "VOLTLYNC_AMQP_URL": "amqp://x",
        "VOLTLYNC_RAZORPAY_WORKERS": "2",
    }.items():
        monkeypatch.setenv(name, value)
    settings = RazorpaySettings()
    assert (settings.razorpay_key_id, settings.razorpay_api_url, settings.razorpay_workers) == ("rzp_test_env", SANDBOX, 2)
