"""Razorpay's signature and envelope."""

import contextlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
import razorpay
from hypothesis import given
from hypothesis import strategies as st

from payments.domain import webhook
from payments.domain.errors import InvalidSignatureError, MalformedEventError
from payments.domain.webhook import EntityFigures, Secret, read_figures

NOW = datetime(2026, 1, 5, 4, 30, tzinfo=UTC)


@given(st.text(max_size=200), st.text(st.characters(codec="utf-8"), min_size=1, max_size=40))
def test_our_signature_is_the_sdks(body: str, secret: str) -> None:
    raw = body.encode("utf-8", "replace")
    client = razorpay.Client(auth=("rzp_test_x", "y"))
    assert client.utility.verify_webhook_signature(raw.decode(), webhook.signature(raw, secret), secret)


@given(st.binary(max_size=100), st.one_of(st.none(), st.text(max_size=80)))
def test_whatever_stands_in_the_header_is_refused_quietly(body: bytes, header: str | None) -> None:
    with pytest.raises(InvalidSignatureError):
        webhook.verify(body, header, current="current", previous=None)


@given(st.binary(min_size=1, max_size=300), st.integers(min_value=0), st.integers(1, 255))
def test_a_body_with_any_byte_changed_is_refused(body: bytes, where: int, by: int) -> None:
    at = where % len(body)
    changed = body[:at] + bytes([body[at] ^ by]) + body[at + 1 :]
    given_for_the_first = webhook.signature(body, "current")
    assert webhook.verify(body, given_for_the_first, current="current", previous=None) is Secret.CURRENT
    with pytest.raises(InvalidSignatureError):
        webhook.verify(changed, given_for_the_first, current="current", previous="previous")


def test_either_secret_verifies_and_an_empty_one_never() -> None:
    body = b'{"a":1}'
    assert webhook.verify(body, webhook.signature(body, "new"), current="new", previous="old") is Secret.CURRENT
    assert webhook.verify(body, webhook.signature(body, "old"), current="new", previous="old") is Secret.PREVIOUS
    with pytest.raises(InvalidSignatureError):
        webhook.verify(body, webhook.signature(body, ""), current="new", previous="")


def test_half_a_character_in_the_header_is_refused_quietly() -> None:
    with pytest.raises(InvalidSignatureError):
        webhook.verify(b"", b"\xff\xfe".decode("utf-8", "surrogateescape"), current="x", previous=None)


@pytest.mark.parametrize("header", [None, "", "é", "x" * 65, "a\x00b"])
def test_without_an_event_id_the_bodys_hash_serves(header: str | None) -> None:
    assert webhook.event_id(header, b"body") == webhook.body_hash(b"body")
    assert webhook.event_id("Sdxj3X9w2qpc9V", b"body") == "Sdxj3X9w2qpc9V"


@given(st.binary(max_size=300))
def test_any_bytes_parse_or_are_malformed(body: bytes) -> None:
    with contextlib.suppress(MalformedEventError):
        webhook.parse(body, received_at=NOW)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from(["id", "amount", "currency", "fee", "tax", "vpa", "contact", "acquirer_data", "upi", "created_at"]),
        json_values,
    ),
    json_values,
)
def test_any_credit_reads_or_is_malformed(payment: dict[str, Any], code: Any) -> None:
    body = json.dumps({"event": "qr_code.credited", "payload": {"payment": {"entity": payment}, "qr_code": {"entity": code}}})
    envelope = webhook.parse(body.encode(), received_at=NOW)
    try:
        credit = webhook.read_credit(envelope)
    except MalformedEventError:
        return
    assert 0 < credit.amount_paise <= webhook.PAISE_MAX
    assert credit.paid_at.tzinfo is not None


@pytest.mark.parametrize(
    ("fee", "known"), [(0, 0), (236, 236), (None, None), (-1, None), (True, None), (2.36, None), ("236", None)]
)
def test_zero_is_a_fee_and_null_is_none(fee: Any, known: int | None) -> None:
    assert webhook.read_paise(fee) == known


@pytest.mark.parametrize(
    ("stamp", "year"), [(1623914419, 2021), ("1625077799", 2021), (None, None), ("soon", None), (10**30, None), (1.5, None)]
)
def test_times_are_unix_seconds_also_as_text(stamp: Any, year: int | None) -> None:
    time = webhook.unix_time(stamp)
    assert (time.year if time else None) == year


def test_speed_changed_bears_its_time_within_the_payload() -> None:
    body = b'{"event":"refund.speed_changed","payload":{"created_at":1623914419}}'
    assert webhook.parse(body, received_at=NOW).created_at.year == 2021
    assert webhook.parse(b'{"event":"x","payload":{}}', received_at=NOW).created_at == NOW


@given(st.text(max_size=2000))
def test_what_is_stored_is_storable(text: str) -> None:
    kept = webhook.storable(text)
    assert "\0" not in kept
    assert kept.encode().decode() == kept
    assert len(kept) <= 1000


def test_the_figures_of_an_event_are_read_from_its_bytes() -> None:
    payment = {"id": "pay_1", "amount": 10_000, "fee": 236, "tax": 36, "status": "captured", "contact": "+919000090000"}
    body = json.dumps({"payload": {"payment": {"entity": payment}, "qr_code": {"entity": {"id": "qr_1"}}}}).encode()
    assert read_figures(body) == (EntityFigures("payment", "pay_1", None, "captured", 10_000, 236, 36),)
    transfer = {"payload": {"transfer": {"entity": {"id": "trf_1", "amount": 5, "fees": 1, "tax": None}}}}
    assert read_figures(json.dumps(transfer).encode()) == (EntityFigures("transfer", "trf_1", None, None, 5, 1, None),)
    for unreadable in (b"", b"[]", b"{}", b'{"payload": 3}', b'{"payload": {"payment": {"entity": [1]}}}', b"\xff"):
        assert read_figures(unreadable) == ()
