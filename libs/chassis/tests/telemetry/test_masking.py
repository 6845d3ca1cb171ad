"""What a log line may show."""

import pytest

from chassis.telemetry import mask, mask_phone, mask_text, mask_vpa


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("paid by rahul.sharma@okaxis", "paid by ra***@okaxis"),
        ("called +919876543210 twice", "called ******3210 twice"),
        ("9876543210", "******3210"),
        ("amqp://payments:s3cr3t@broker:5672/vh", "amqp://***@broker:5672/vh"),
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer ***"),
        ("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "token ***"),
        # What looks like personal data and is none stays readable.
        ("transaction 17 took 1700000000 s", "transaction 17 took 1700000000 s"),
        ("epoch 1763830000123456", "epoch 1763830000123456"),
        ("id 9876543210abc", "id 9876543210abc"),
        ("amount_paise=10000", "amount_paise=10000"),
    ],
)
def test_texts_lose_credentials_and_personal_data_only(text: str, expected: str) -> None:
    assert mask_text(text) == expected


def test_fields_are_masked_by_their_names_at_every_depth() -> None:
    fields = {
        "event": "payment.received",
        "payer": {"vpa": "rahul@okaxis", "contact": "+91 98765 43210", "payer_name": "Rahul"},
        "headers": [{"Authorization": "Basic Zm9vOmJhcg=="}],
        "phone": 9876543210,
        "amount_paise": 10000,
        "razorpay_key_secret": "abc",
        "fine": True,
        "nothing": None,
    }
    assert mask(fields) == {
        "event": "payment.received",
        "payer": {"vpa": "ra***@okaxis", "contact": "******3210", "payer_name": "R***"},
        "headers": [{"Authorization": "***"}],
        "phone": "******3210",
        "amount_paise": 10000,
        "razorpay_key_secret": "***",
        "fine": True,
        "nothing": None,
    }


def test_a_structure_too_deep_to_search_is_hidden_not_shown() -> None:
    secret: object = "rahul@okaxis"
    for _ in range(10):
        secret = {"next": secret}
    assert "rahul" not in str(mask(secret))


def test_short_values_do_not_show_whole() -> None:
    assert mask_phone("3210") == "***"
    assert mask_vpa("ra@upi") == "ra***@upi"
