"""Which payments are asked for when, and what the answer is kept as."""

from datetime import UTC, datetime, timedelta

from payments.domain import recharge, untold, webhook

NOW = datetime(2026, 12, 1, 10, 0, tzinfo=UTC)
PAYMENT = {
    "id": "pay_1", "order_id": "order_1", "amount": 50_000, "currency": "INR", "created_at": 1_764_570_000, "fee": 236, "tax": 36,
    "status": "captured",
}  # fmt: skip


def test_between_them_the_looks_leave_no_gap_of_a_day_and_the_event_has_its_minute() -> None:
    recent, late = untold.recent(NOW), untold.late(NOW)
    assert (NOW - recent.end, recent.begin - late.end, NOW - late.begin) == (
        timedelta(minutes=1),
        timedelta(),
        timedelta(hours=25),
    )
    # From one look to the next, a minute later, everything is seen more than once.
    assert untold.recent(NOW + timedelta(minutes=1)).begin < recent.end


def test_only_money_that_is_there_is_asked_about() -> None:
    assert untold.is_captured(PAYMENT)
    for status in ("created", "authorized", "failed", "refunded", None):
        assert not untold.is_captured(PAYMENT | {"status": status})
    assert not untold.is_captured({"status": "captured"})


def test_a_payment_on_an_order_reads_like_its_event() -> None:
    name, body = untold.captured_event(PAYMENT)
    assert (name, untold.event_id("pay_1")) == ("payment.captured", "asked_pay_1")
    assert body == untold.captured_event(dict(reversed(PAYMENT.items())))[1]
    assert body == (
        b'{"contains":["payment"],"created_at":1764570000,"entity":"event","event":"payment.captured","payload":{"payment":{"entity":'
        b'{"amount":50000,"created_at":1764570000,"currency":"INR","fee":236,"id":"pay_1","order_id":"order_1","status":"captured",'
        b'"tax":36}}}}'
    )
    capture = recharge.read_capture(webhook.parse(body, received_at=NOW))
    assert capture is not None
    assert (capture.razorpay_payment_id, capture.amount_paise, capture.fee_paise, capture.tax_paise) == ("pay_1", 50_000, 236, 36)
    assert capture.paid_at == datetime.fromtimestamp(1_764_570_000, UTC)


def test_a_payment_on_a_qr_code_reads_like_its_event() -> None:
    code = {"id": "qr_1", "notes": {"voltlync_environment": "staging"}}
    paid = {key: value for key, value in PAYMENT.items() if key != "order_id"}
    for account in (None, "acc_1"):
        name, body = untold.credited_event(paid, code, account=account)
        envelope = webhook.parse(body, received_at=NOW)
        assert (name, envelope.event, envelope.account_id) == ("qr_code.credited", "qr_code.credited", account)
        credit = webhook.read_credit(envelope)
        assert (credit.razorpay_payment_id, credit.razorpay_qr_code_id, credit.amount_paise) == ("pay_1", "qr_1", 50_000)
        assert (credit.fee_paise, credit.paid_at) == (236, datetime.fromtimestamp(1_764_570_000, UTC))
        assert (b"account_id" in body) is (account is not None)
