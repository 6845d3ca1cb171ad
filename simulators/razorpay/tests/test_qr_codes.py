"""QR codes and the payments made at them."""

from typing import Any

import pytest

from razorpay_simulator import RazorpaySimulator
from testkit.clock import SteppingClock

QRS = "/v1/payments/qr_codes"
FIXED = {"usage": "single_use", "fixed_amount": True, "payment_amount": 10_000}


async def test_a_new_code_has_razorpays_shape(api: Any, qr_body: Any, clock: SteppingClock) -> None:
    status, qr = await api("POST", QRS, qr_body | {"description": "Charger 42"})
    assert status == 200
    assert qr | {"id": "", "image_url": "", "image_content": ""} == {
        "id": "",
        "entity": "qr_code",
        "created_at": int(clock.now().timestamp()),
        "name": "CHG-0042",
        "usage": "multiple_use",
        "type": "upi_qr",
        "image_url": "",
        "image_content": "",
        "payment_amount": None,
        "status": "active",
        "description": "Charger 42",
        "fixed_amount": False,
        "payments_amount_received": 0,
        "payments_count_received": 0,
        "notes": {"charger": "CHG-0042"},
        "customer_id": None,
        "close_by": None,
        "closed_at": None,
        "close_reason": None,
    }
    assert qr["id"].startswith("qr_")
    assert len(qr["id"]) == 3 + 14
    tr = f"RZP{qr['id'][3:]}qrv2"
    assert qr["image_content"] == f"upi://pay?pa=sandbox@rzp&pn=CHG-0042&tr={tr}&tn=Charger%2042&cu=INR&mc=5411"


async def test_notes_are_an_array_when_empty(api: Any, qr_body: Any) -> None:
    _, qr = await api("POST", QRS, qr_body | {"notes": {}})
    assert qr["notes"] == []
    _, changed = await api("PATCH", f"{QRS}/{qr['id']}", {"notes": {"a": "b"}})
    assert changed["notes"] == {"a": "b"}


@pytest.mark.parametrize(
    ("change", "description"),
    [
        ({"type": "card_qr"}, "The selected type is invalid."),
        ({"usage": None}, "The usage field is required."),
        ({"usage": "often"}, "The selected usage is invalid."),
        ({"fixed_amount": True}, "The payment amount field is required."),
        ({"fixed_amount": True, "payment_amount": 0}, "The payment amount must be at least 1."),
        ({"fixed_amount": True, "payment_amount": True}, "The payment amount must be an integer."),
        ({"payment_amount": 100}, "payment_amount is/are not required and should not be sent"),
        ({"close_by": 1_900_000_000}, "close_by is/are not required and should not be sent"),
        ({"close_by": 1}, "close_by must be between 946684800 and 4765046400"),
        ({"customer_id": "cust_1"}, "cust_1 is not a valid id"),
        ({"colour": "red", "size": 1}, "colour, size is/are not required and should not be sent"),
        ({"notes": {str(n): "x" for n in range(16)}}, "Notes validation failed."),
        ({"notes": {"a": "x" * 257}}, "Notes validation failed."),
        ({"notes": {"a": {"b": 1}}}, "Notes validation failed."),
    ],
)
async def test_refusals(api: Any, qr_body: Any, change: Any, description: str) -> None:
    status, answer = await api("POST", QRS, qr_body | change)
    assert (status, answer["error"]["code"]) == (400, "BAD_REQUEST_ERROR")
    assert answer["error"]["description"] == description


@pytest.mark.parametrize("body", [None, [], "text", 100])
async def test_a_body_that_is_no_object_is_refused(api: Any, body: Any) -> None:
    status, answer = await api("POST", QRS, body)
    assert (status, answer["error"]["description"]) == (400, "The input field is required")


async def test_a_payment_is_credited_and_counted(api: Any, sandbox: RazorpaySimulator, receiver: Any, qr_body: Any) -> None:
    _, qr = await api("POST", QRS, qr_body)
    before = sandbox.balances()[sandbox.settings.account_id]
    _, answer = await api("POST", f"/_sandbox/qr/{qr['id']}/pay", {"amount": 20_000, "vpa": "rider@okhdfcbank"})
    await sandbox.wait_idle()
    payment = answer["payment"]
    assert sandbox.balances()[sandbox.settings.account_id] == before + 20_000 - 472
    assert (payment["status"], payment["captured"], payment["description"]) == ("captured", True, "QRv2 Payment")
    assert (payment["contact"], payment["email"], payment["fee"], payment["tax"]) == (None, None, 472, 72)
    assert payment["upi"] == {"payer_account_type": "bank_account", "vpa": "rider@okhdfcbank"}
    assert len(payment["acquirer_data"]["rrn"]) == 12

    (credited,), (captured,) = receiver.of("qr_code.credited"), receiver.of("payment.captured")
    assert credited.event_id != captured.event_id
    assert credited.json["contains"] == ["payment", "qr_code"]
    assert credited.json["payload"]["payment"]["entity"] == payment
    assert credited.json["payload"]["qr_code"]["entity"] == qr, "a snapshot from before the counters went up"
    assert captured.json["contains"] == ["payment"]
    _, seen = await api("GET", f"{QRS}/{qr['id']}")
    assert (seen["payments_amount_received"], seen["payments_count_received"]) == (20_000, 1)


@pytest.mark.parametrize(("shown", "webhook_fee", "api_fee"), [("webhook", 500, 500), ("api", None, 500), ("never", None, None)])
async def test_the_fee_is_told_where_the_payer_says(
    paid: Any, api: Any, sandbox: RazorpaySimulator, receiver: Any, shown: str, webhook_fee: Any, api_fee: Any
) -> None:
    payment = await paid(20_000, fee=500, fee_shown=shown)
    await sandbox.wait_idle()
    assert receiver.of("qr_code.credited")[0].json["payload"]["payment"]["entity"]["fee"] == webhook_fee
    assert (await api("GET", f"/v1/payments/{payment['id']}"))[1]["fee"] == api_fee


async def test_a_fee_of_zero_is_a_fee(paid: Any, sandbox: RazorpaySimulator) -> None:
    before = sandbox.balances()[sandbox.settings.account_id]
    payment = await paid(20_000, fee=0)
    assert (payment["fee"], payment["tax"]) == (0, 0)
    assert sandbox.balances()[sandbox.settings.account_id] == before + 20_000


async def test_webhooks_come_as_late_as_the_payer_says(
    paid: Any, sandbox: RazorpaySimulator, receiver: Any, clock: SteppingClock
) -> None:
    payment = await paid(20_000, delay=900)
    await clock.advance(899)
    assert receiver.of("qr_code.credited") == []
    await clock.advance(2)
    (post,) = receiver.of("qr_code.credited")
    assert post.json["created_at"] == payment["created_at"]


async def test_a_failed_payment_is_not_credited(paid: Any, sandbox: RazorpaySimulator, receiver: Any) -> None:
    before = sandbox.balances()
    payment = await paid(20_000, outcome="failed")
    await sandbox.wait_idle()
    assert (payment["status"], payment["error_reason"], payment["fee"]) == ("failed", "payment_failed", None)
    assert receiver.events == ["qr_code.created", "payment.failed"]
    assert sandbox.balances() == before


async def test_closing(api: Any, sandbox: RazorpaySimulator, receiver: Any, qr_body: Any) -> None:
    _, qr = await api("POST", QRS, qr_body)
    _, closed = await api("POST", f"{QRS}/{qr['id']}/close")
    assert (closed["status"], closed["close_reason"]) == ("closed", "on_demand")
    assert (await api("POST", f"{QRS}/{qr['id']}/close"))[0] == 400
    await sandbox.wait_idle()
    assert receiver.of("qr_code.closed")[0].json["payload"]["qr_code"]["entity"] == closed


async def test_money_for_a_closed_code_goes_back_by_itself(
    api: Any, sandbox: RazorpaySimulator, receiver: Any, qr_body: Any, clock: SteppingClock
) -> None:
    _, qr = await api("POST", QRS, qr_body)
    await api("POST", f"{QRS}/{qr['id']}/close")
    before = sandbox.balances()
    await api("POST", f"/_sandbox/qr/{qr['id']}/pay", {"amount": 20_000})
    await clock.advance(sandbox.settings.normal_refund_seconds)
    assert receiver.of("qr_code.credited") == []
    (refunded,) = receiver.of("refund.processed")
    assert refunded.json["payload"]["payment"]["entity"]["captured"] is False
    assert sandbox.balances() == before


async def test_a_leaking_closed_code_credits(build: Any, connect: Any, receiver: Any, qr_body: Any) -> None:
    sandbox = await build(closed_qr="leak")
    api = connect(sandbox)
    _, qr = await api("POST", QRS, qr_body)
    await api("POST", f"{QRS}/{qr['id']}/close")
    await api("POST", f"/_sandbox/qr/{qr['id']}/pay", {"amount": 20_000})
    await sandbox.wait_idle()
    assert len(receiver.of("qr_code.credited")) == 1


async def test_a_single_use_code_ends_with_its_payment(api: Any, qr_body: Any) -> None:
    _, qr = await api("POST", QRS, qr_body | FIXED)
    status, answer = await api("POST", f"/_sandbox/qr/{qr['id']}/pay", {"amount": 9_999})
    assert (status, answer) == (400, {"error": "this QR code takes exactly 10000 paise"})
    await api("POST", f"/_sandbox/qr/{qr['id']}/pay", {"amount": 10_000})
    _, seen = await api("GET", f"{QRS}/{qr['id']}")
    assert (seen["status"], seen["close_reason"]) == ("closed", "paid")


async def test_a_single_use_code_ends_by_itself_without_an_event(
    api: Any, qr_body: Any, receiver: Any, clock: SteppingClock
) -> None:
    now = int(clock.now().timestamp())
    _, qr = await api("POST", QRS, qr_body | FIXED | {"close_by": now + 10 * 3600})
    assert qr["close_by"] == now + 2 * 3600, "two hours at most"
    await clock.advance(2 * 3600 - 1)
    assert (await api("GET", f"{QRS}/{qr['id']}"))[1]["status"] == "active"
    await clock.advance(1)
    assert (await api("GET", f"{QRS}/{qr['id']}"))[1]["status"] == "closed"
    assert receiver.of("qr_code.closed") == []


async def test_lists_are_pages_newest_first(api: Any, qr_body: Any, clock: SteppingClock) -> None:
    made = []
    for _ in range(12):
        made.append((await api("POST", QRS, qr_body))[1])
        await clock.advance(10)
    _, first = await api("GET", QRS)
    assert (first["entity"], first["count"]) == ("collection", 10)
    assert [item["id"] for item in first["items"]] == [qr["id"] for qr in made[:1:-1]]
    _, second = await api("GET", f"{QRS}?count=10&skip=10")
    assert [item["id"] for item in second["items"]] == [made[1]["id"], made[0]["id"]]
    _, window = await api("GET", f"{QRS}?from={made[3]['created_at']}&to={made[4]['created_at']}")
    assert [item["id"] for item in window["items"]] == [made[4]["id"], made[3]["id"]]
    for query, description in [
        ("count=0", "The count must be at least 1."),
        ("count=101", "The count may not be greater than 100."),
        ("skip=-1", "The skip must be an integer."),
    ]:
        status, answer = await api("GET", f"{QRS}?{query}")
        assert (status, answer["error"]["description"]) == (400, description)
