"""What Razorpay's words are read as, field by field: each has a value of its own here, so that none can stand for another."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from payments.domain import qr_code, rider, webhook
from payments.domain.credit import QrBinding, refusal
from payments.domain.errors import InvalidSignatureError, MalformedEventError
from payments.domain.qr_code import Mark, QrCodeStatus, notes_for, read_mark
from payments.domain.qr_payment import PaymentState, Trigger, moved, next_state
from payments.domain.refund import Observed, RefundStatus, advance, backoff_seconds
from payments.domain.webhook import EVENT_ID_CHARS_MAX, PAISE_MAX, EntityFigures, Envelope, Secret

AT = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
REFUND: dict[str, Any] = {
    "id": "rfnd_1",
    "payment_id": "pay_2",
    "status": "processed",
    "amount": 300,
    "receipt": "qr_payment_4",
    "speed_requested": "optimum",
    "speed_processed": "instant",
    "acquirer_data": {"rrn": "567"},
}
PAYMENT: dict[str, Any] = {
    "id": "pay_1",
    "amount": 20_000,
    "currency": "INR",
    "fee": 472,
    "tax": 72,
    "vpa": "rider@okhdfcbank",
    "contact": "+919000090000",
    "acquirer_data": {"rrn": 116812981837},
    "created_at": 1_764_504_000,
    "status": "captured",
}
QR = {"id": "qr_1"}


def test_a_refund_is_read_whole() -> None:
    assert Observed.from_entity(REFUND) == Observed(
        razorpay_refund_id="rfnd_1",
        razorpay_payment_id="pay_2",
        status=RefundStatus.PROCESSED,
        amount_paise=300,
        receipt="qr_payment_4",
        speed_requested="optimum",
        speed_processed="instant",
        bank_reference="567",
        reference_kind="RRN",
    )
    bare = Observed("rfnd_1", None, RefundStatus.PROCESSING, None, None, None, None, None)
    assert Observed.from_entity({"id": "rfnd_1"}) == bare
    assert Observed.from_entity({**REFUND, "amount": "300"}).amount_paise is None
    seen = Observed.from_entity(REFUND)
    assert seen.with_status(RefundStatus.PROCESSING).status is RefundStatus.PROCESSING
    assert seen.with_status(RefundStatus.PROCESSED) == seen


def test_a_refund_that_went_through_is_never_unsaid() -> None:
    assert advance(RefundStatus.PROCESSED, RefundStatus.FAILED) is RefundStatus.PROCESSED
    assert advance(RefundStatus.FAILED, RefundStatus.PROCESSED) is RefundStatus.PROCESSED
    # Of equal rank the first word stays: what is unknown isn't being called, and the reverse.
    assert advance(RefundStatus.CALLING, RefundStatus.UNKNOWN) is RefundStatus.CALLING
    assert advance(RefundStatus.UNKNOWN, RefundStatus.CALLING) is RefundStatus.UNKNOWN


@pytest.mark.parametrize(("tries", "seconds"), [(1, 5), (2, 9), (3, 19), (4, 31), (9, 1183), (10, 1774), (40, 1670)])
def test_pauses_to_the_second(tries: int, seconds: int) -> None:
    assert backoff_seconds("qr_payment_1", tries) == seconds


def envelope(payload: dict[str, Any]) -> Envelope:
    return Envelope("qr_code.credited", "acc_1", payload, AT)


def test_an_entity_is_found_in_its_wrapping_and_nowhere_else() -> None:
    assert envelope({"payment": {"entity": PAYMENT}}).entity("payment") == PAYMENT
    for payload in (
        {},
        {"payment": None},
        {"payment": []},
        {"payment": {}},
        {"payment": {"entity": []}},
        {"other": {"entity": {}}},
    ):
        assert envelope(payload).entity("payment") is None


def test_a_credit_is_read_whole() -> None:
    credit = webhook.read_credit(envelope({"payment": {"entity": PAYMENT}, "qr_code": {"entity": QR}}))
    assert (credit.razorpay_payment_id, credit.razorpay_qr_code_id) == ("pay_1", "qr_1")
    assert (credit.amount_paise, credit.fee_paise, credit.tax_paise) == (20_000, 472, 72)
    assert (credit.vpa, credit.contact, credit.rrn) == ("rider@okhdfcbank", "+919000090000", "116812981837")
    assert credit.paid_at == datetime.fromtimestamp(1_764_504_000, UTC)
    assert (credit.payment_entity, credit.qr_code_entity) == (PAYMENT, QR)
    bare = {"id": "pay_1", "amount": PAISE_MAX}
    least = webhook.read_credit(envelope({"payment": {"entity": bare}, "qr_code": {"entity": QR}}))
    assert (least.amount_paise, least.vpa, least.contact, least.rrn, least.paid_at) == (PAISE_MAX, None, None, None, AT)
    odd = webhook.read_credit(envelope({"payment": {"entity": {**bare, "amount": 1, "vpa": 7}}, "qr_code": {"entity": QR}}))
    assert (odd.amount_paise, odd.vpa) == (1, None)
    by_upi = {**bare, "upi": {"vpa": "a@upi"}}
    assert webhook.read_credit(envelope({"payment": {"entity": by_upi}, "qr_code": {"entity": QR}})).vpa == "a@upi"


@pytest.mark.parametrize(
    ("payment", "code", "words"),
    [
        (None, QR, "qr_code.credited without a payment or a qr_code"),
        (PAYMENT, None, "qr_code.credited without a payment or a qr_code"),
        ({**PAYMENT, "id": 7}, QR, "qr_code.credited without ids"),
        (PAYMENT, {"id": None}, "qr_code.credited without ids"),
        ({**PAYMENT, "amount": 0}, QR, "qr_code.credited of 0 paise"),
        ({**PAYMENT, "amount": True}, QR, "qr_code.credited of True paise"),
        ({**PAYMENT, "amount": PAISE_MAX + 1}, QR, f"qr_code.credited of {PAISE_MAX + 1} paise"),
        ({**PAYMENT, "currency": "USD"}, QR, "qr_code.credited in 'USD'"),
    ],
)
def test_what_no_session_can_be_made_of_is_said(payment: Any, code: Any, words: str) -> None:
    payload = {"payment": {"entity": payment}, "qr_code": {"entity": code}}
    with pytest.raises(MalformedEventError) as refusal_:
        webhook.read_credit(envelope(payload))
    assert str(refusal_.value) == words


def test_an_envelope_is_read_whole() -> None:
    body = b'{"event":"a.b","account_id":"acc_1","payload":{"x":1},"created_at":1764504000}'
    expected = Envelope("a.b", "acc_1", {"x": 1}, datetime.fromtimestamp(1_764_504_000, UTC))
    assert webhook.parse(body, received_at=AT) == expected
    assert webhook.parse(b'{"event":"a.b","account_id":7,"payload":{}}', received_at=AT) == Envelope("a.b", None, {}, AT)
    for bad, words in (
        (b"[]", "the body is no event"),
        (b'{"event":7}', "the body is no event"),
        (b'{"event":"a"}', "the event has no payload"),
    ):
        with pytest.raises(MalformedEventError) as refusal_:
            webhook.parse(bad, received_at=AT)
        assert str(refusal_.value) == words
    with pytest.raises(MalformedEventError, match=r"^the body is no JSON: "):
        webhook.parse(b"{", received_at=AT)


def test_figures_are_read_whole() -> None:
    body = (
        b'{"payload":{"refund":{"entity":{"id":"rfnd_1","payment_id":"pay_2","status":"failed","amount":3,"fee":4,"tax":5}},'
        b'"transfer":{"entity":{"id":"trf_1","amount":6,"fees":7,"fee":8}},"other":{"entity":{"id":"x"}},"plain":7,'
        b'"nameless":{"entity":{"amount":1}},"bare":{}}}'
    )
    assert webhook.read_figures(body) == (
        EntityFigures("refund", "rfnd_1", "pay_2", "failed", 3, 4, 5),
        EntityFigures("transfer", "trf_1", None, None, 6, 7, None),
    )
    assert webhook.read_figures(b"{}") == webhook.read_figures(b"[]") == webhook.read_figures(b"{") == ()


def test_paise_have_bounds() -> None:
    assert [webhook.read_paise(value) for value in (0, PAISE_MAX, -1, PAISE_MAX + 1, True, "5", None)] == [
        0,
        PAISE_MAX,
        *[None] * 5,
    ]


def test_a_signature_is_compared_with_the_header_as_it_came() -> None:
    signed = webhook.signature(b"x", "one")
    assert webhook.verify(b"x", signed, current="one", previous="two") is Secret.CURRENT
    assert webhook.verify(b"x", signed, current="two", previous="one") is Secret.PREVIOUS
    for header in (None, "", "XXXX", "\udcff"):
        with pytest.raises(InvalidSignatureError) as refusal_:
            webhook.verify(b"x", header, current="one", previous=None)
        assert str(refusal_.value) == "the signature does not match the body"


def test_an_event_id_is_taken_up_to_its_longest() -> None:
    longest = "e" * EVENT_ID_CHARS_MAX
    assert webhook.event_id(longest, b"x") == longest
    assert webhook.event_id(f"{longest}e", b"x") == webhook.body_hash(b"x")


def test_what_is_stored_is_shortened_and_escaped() -> None:
    assert webhook.storable("a\0b\ud800c") == "a\\0b\\ud800c"
    assert webhook.storable("x" * 1001) == "x" * 1000


def test_a_mark_is_in_the_notes() -> None:
    notes = notes_for(environment="test", qr_code_id=7, charge_point_id="C" * 300, connector_id=2)
    assert notes == {
        qr_code.ENVIRONMENT_NOTE: "test",
        qr_code.QR_CODE_NOTE: "7",
        "charger": "C" * qr_code.NOTE_CHARS_MAX,
        "connector": "2",
    }
    assert read_mark({"notes": notes}) == Mark("test", 7)
    for odd in (
        None,
        {},
        {"notes": []},
        {"notes": {**notes, qr_code.QR_CODE_NOTE: "²"}},
        {"notes": {qr_code.ENVIRONMENT_NOTE: "test"}},
    ):
        assert read_mark(odd) is None


def test_a_payer_is_a_phone_and_a_vpa() -> None:
    assert rider.identity(contact="9000090000", vpa="A@Upi") == rider.Identity(phone="+919000090000", vpa="a@upi")
    assert rider.identity(contact=None, vpa=None) == rider.Identity(phone=None, vpa=None)
    assert rider.normalise_vpa("@b@c") is None
    # A leading zero is dialled before ten digits and belongs to a number of ten.
    assert rider.normalise_phone("09000090000") == "+919000090000"
    assert rider.normalise_phone("0900009000") != rider.normalise_phone("900009000")


def test_contradictions_are_said_in_words() -> None:
    with pytest.raises(Exception, match=r"^BILLED can't happen to a payment that is REFUNDED$"):
        next_state(PaymentState.REFUNDED, Trigger.BILLED)
    with pytest.raises(Exception, match="BILLED can't happen"):
        moved(PaymentState.REFUNDED, Trigger.BILLED)
    assert moved(PaymentState.BILLED, Trigger.BILLED) is PaymentState.BILLED
    assert moved(PaymentState.CHARGING, Trigger.BILLED) is PaymentState.BILLED


def test_exactly_as_old_as_allowed_is_served() -> None:
    binding = QrBinding(QrCodeStatus.ACTIVE, "CP-1", 1)
    age = timedelta(seconds=600)
    assert refusal(binding, paid_at=AT - age, now=AT, stale_after=age) is None
    assert refusal(binding, paid_at=AT - age - timedelta(microseconds=1), now=AT, stale_after=age) is not None
    for half in (QrBinding(QrCodeStatus.ACTIVE, None, 1), QrBinding(QrCodeStatus.ACTIVE, "CP-1", None)):
        assert refusal(half, paid_at=AT, now=AT, stale_after=age) is not None
