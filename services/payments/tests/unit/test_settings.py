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


SELLER = {
    "seller_gstin": "29AAACV4321F1ZJ",
    "seller_legal_name": "VoltLync Energy Private Limited",
    "seller_address": "Bengaluru",
}


def test_a_seller_is_named_whole_or_not_at_all() -> None:
    assert make().seller is None
    assert make(seller_gstin="").seller is None
    seller = make(**SELLER).seller
    assert seller is not None
    assert (seller.state_code, seller.name, seller.sac) == ("29", "VoltLync Energy Private Limited", "999799")
    for missing in ("seller_legal_name", "seller_address"):
        with pytest.raises(ValidationError, match="all three"):
            make(**{**SELLER, missing: ""})
    for gstin in ("29AAACV4321F1ZK", "29aaacv4321f1zj", "39AAACV4321F1ZJ", "29AAACV4321F1Z"):
        with pytest.raises(ValidationError, match="no GSTIN"):
            make(**{**SELLER, "seller_gstin": gstin})


@pytest.mark.parametrize("prefix", ["", "VOLT", "vl", "V/", "V-"])
def test_a_prefix_that_would_make_a_number_too_long_or_odd_is_refused(prefix: str) -> None:
    with pytest.raises(ValidationError, match="invoice_prefix"):
        make(invoice_prefix=prefix)
