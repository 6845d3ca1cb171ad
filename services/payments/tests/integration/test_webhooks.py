"""Razorpay's webhooks: what is believed, what is stored, and what happens once however often it is said."""

import asyncio
import base64
import json
import socket
from typing import Any

import pytest

from chassis.web import Role
from contracts.charging import StartRequested
from contracts.payments import PaymentFeeRecorded, PaymentReceived, RazorpayEventReceived
from payments.domain.webhook import signature
from payments.usecases import record_fees
from razorpay_simulator import FaultRule, QrPayment, WebhookRule

from .conftest import PREVIOUS_SECRET, SECRET, World


def credited(world: World, *, payment: dict[str, Any] | None = None, qr_code: dict[str, Any] | None = None) -> dict[str, Any]:
    """A qr_code.credited as in razorpay.md 1.1, of 100 rupees paid now."""
    now = int(world.now().timestamp())
    paid = {
        "id": "pay_HO2fEpc9JeOQU5",
        "entity": "payment",
        "amount": 10_000,
        "currency": "INR",
        "status": "captured",
        "captured": True,
        "method": "upi",
        "vpa": "rider@okhdfcbank",
        "email": None,
        "contact": None,
        "notes": [],
        "fee": 236,
        "tax": 36,
        "acquirer_data": {"rrn": "116812981837"},
        "created_at": now,
    }
    code = {"id": "qr_HO2e0813YlchUn", "entity": "qr_code", "usage": "multiple_use", "status": "active", "notes": []}
    return {
        "entity": "event",
        "account_id": "acc_1",
        "event": "qr_code.credited",
        "contains": ["payment", "qr_code"],
        "payload": {"payment": {"entity": paid | (payment or {})}, "qr_code": {"entity": code | (qr_code or {})}},
        "created_at": now,
    }


async def deliver(world: World, event: dict[str, Any], *, event_id: str = "evt_1", secret: str = SECRET) -> int:
    """Sign and post an event; returns once it is worked."""
    body = json.dumps(event).encode()
    status = await world.post_event(body, signature=signature(body, secret), event_id=event_id)
    await world.quiet()
    return status


async def stored(world: World, event: str = "qr_code.credited") -> list[dict[str, Any]]:
    """The stored events of this name, oldest first."""
    items: list[dict[str, Any]] = (await world.call("GET", f"/v1/webhook-events?event={event}"))["items"]
    return items[::-1]


async def count(world: World, table: str) -> int:
    """Rows of a table."""
    return int(await world.admin.fetchval(f"SELECT count(*) FROM {table}"))  # noqa: S608  (names of the tests' own)


# Who is believed.


UNSIGNED: dict[str, str | bytes | None] = {
    "missing": None,
    "empty": "",
    "wrong": "0" * 64,
    "latin-1": "ÿ" * 64,
    "hindi": "न" * 10,
    "no utf-8": b"\xff\xfe\x80",
    "half a character": b"\xf0\x9f",
    "long": "A" * 4_000,
}


async def test_what_razorpay_did_not_sign_is_401_and_not_stored(world: World) -> None:
    body = json.dumps(credited(world)).encode()
    answers = {name: await _raw_post(world, body, given) for name, given in UNSIGNED.items()}
    assert answers == dict.fromkeys(UNSIGNED, 401)
    assert await count(world, "webhook_events") == 0
    assert world.metric("webhook_rejected_total") == len(UNSIGNED)


async def _raw_post(world: World, body: bytes, given: str | bytes | None) -> int:
    """As a hostile client writes it: header bytes as they are, through no HTTP library that would refuse them."""
    host, port = world.url.removeprefix("http://").split(":")
    head = f"POST /webhooks/razorpay HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n".encode()
    if given is not None:
        head += b"X-Razorpay-Signature: " + (given.encode() if isinstance(given, str) else given) + b"\r\n"
    reader, writer = await asyncio.open_connection(host, int(port), family=socket.AF_INET)
    writer.write(head + b"\r\n" + body)
    await writer.drain()
    answer = await reader.read()
    writer.close()
    return int(answer.split(b" ", 2)[1])


async def test_a_body_changed_after_signing_is_401(world: World) -> None:
    body = json.dumps(credited(world)).encode()
    signed = signature(body, SECRET)
    assert await world.post_event(body.replace(b"10000", b"99999"), signature=signed) == 401
    # The same document written otherwise is other bytes.
    assert await world.post_event(json.dumps(json.loads(body), indent=1).encode(), signature=signed) == 401
    assert await world.post_event(body, signature=signed.upper()) == 401
    assert await count(world, "webhook_events") == 0


async def test_the_previous_secret_still_verifies(world: World) -> None:
    assert await deliver(world, credited(world), secret=PREVIOUS_SECRET) == 200
    (event,) = await stored(world)
    assert event["verified_by"] == "PREVIOUS"


async def test_bytes_are_kept_as_they_came(world: World) -> None:
    body = b'{"entity":"event",  "event":"invoice.paid", "payload":{"a":"\\u20b9 \\/ x"}, "created_at":1623914419}'
    assert await world.post_event(body, signature=signature(body, SECRET)) == 200
    await world.quiet()
    (event,) = await stored(world, "invoice.paid")
    detail = await world.call("GET", f"/v1/webhook-events/{event['id']}")
    assert base64.b64decode(detail["body_base64"]) == body
    assert (detail["state"], detail["created_at"]) == ("IGNORED", "2021-06-17T07:20:19Z")
    await world.call("GET", f"/v1/webhook-events/{event['id']}", role=Role.OPERATOR, status=403)


async def test_a_signed_body_that_is_no_event_is_kept_and_failed(world: World) -> None:
    bodies = [b"", b"nonsense", b"[1]", b'{"event":"qr_code.credited"}', b"\xff\xfe", b"[" * 100_000]
    for body in bodies:
        assert await world.post_event(body, signature=signature(body, SECRET), event_id=None) == 200
    await world.quiet()
    events = (await world.call("GET", "/v1/webhook-events?state=FAILED"))["items"]
    assert [event["reason"].partition(":")[0] for event in events] == ["MalformedEventError"] * len(bodies)
    assert world.metric("webhook_failed_total") == len(bodies)


async def test_a_credit_of_no_whole_paise_is_failed_and_starts_nothing(world: World) -> None:
    amounts = [{"amount": amount} for amount in (None, 0, -5, 1.5, "100", True, 10**30)]
    payments: list[dict[str, Any]] = [*amounts, {"id": None}, {"currency": "USD"}]
    for number, payment in enumerate(payments):
        assert await deliver(world, credited(world, payment=payment), event_id=f"evt_{number}") == 200
    assert [event["state"] for event in await stored(world)] == ["FAILED"] * len(payments)
    assert await count(world, "qr_payments") == 0


async def test_too_long_a_body_is_413(world: World) -> None:
    body = b" " * (300 * 1024)
    assert await world.post_event(body, signature=signature(body, SECRET)) == 413


# Once.


async def test_five_deliveries_three_at_once_are_one_payment(world: World) -> None:
    qr = await world.qr_code("CP-5")
    world.razorpay.add_webhook_rule(WebhookRule(kind="concurrent", event="qr_code.credited", count=3))
    world.razorpay.add_webhook_rule(WebhookRule(kind="duplicate", event="qr_code.credited", count=2))
    await world.pay(qr)
    (event,) = await stored(world)
    assert event["deliveries"] >= 5
    assert (await count(world, "qr_payments"), await count(world, "riders")) == (1, 1)
    assert len(await world.lane("CP-5")) == 1
    assert len(await world.said(PaymentReceived)) == 1


async def test_the_same_payment_under_other_event_ids_at_once_is_one_payment(world: World) -> None:
    qr = await world.qr_code("CP-5")
    event = credited(world, qr_code={"id": qr["razorpay_qr_code_id"]})
    body = json.dumps(event).encode()
    signed = signature(body, SECRET)
    statuses = await asyncio.gather(*(world.post_event(body, signature=signed, event_id=f"evt_{n}") for n in range(8)))
    await world.quiet()
    assert statuses == [200] * 8
    assert [item["state"] for item in await stored(world)] == ["HANDLED"] * 8
    assert (await count(world, "qr_payments"), await count(world, "riders")) == (1, 1)
    assert len(await world.lane("CP-5")) == 1


async def test_the_same_event_id_with_another_body_is_stored_beside_it(world: World) -> None:
    # Razorpay would not; somebody with the secret might. The first payment row wins, the second body is there to look at.
    qr = await world.qr_code("CP-5")
    world.razorpay.add_webhook_rule(WebhookRule(kind="other_body", event="qr_code.credited"))
    razorpay_id = await world.pay(qr, 10_000)
    assert len(await stored(world)) == 2
    assert (await world.payment(razorpay_id))["amount_paise"] == 10_000
    assert len(await world.lane("CP-5")) == 1


async def test_a_replay_by_an_operator_does_nothing_twice(world: World) -> None:
    qr = await world.qr_code("CP-5")
    await world.pay(qr)
    await world.lane("CP-5")
    (event,) = await stored(world)
    await world.call("POST", f"/v1/webhook-events/{event['id']}/replay", role=Role.FINANCE, status=403)
    await world.call("POST", f"/v1/webhook-events/{event['id']}/replay")
    await world.quiet()
    (event,) = await stored(world)
    assert event["state"] == "HANDLED"
    assert await count(world, "qr_payments") == 1
    assert await world.lane("CP-5") == []


# Whose.


async def test_a_credit_of_another_environment_is_left_alone(world: World) -> None:
    event = credited(world, qr_code={"notes": {"voltlync_environment": "production", "voltlync_qr_code": "1"}})
    assert await deliver(world, event) == 200
    (kept,) = await stored(world)
    assert (kept["state"], kept["reason"]) == ("IGNORED", "OTHER_ENVIRONMENT: production")
    assert (await count(world, "qr_payments"), world.refund_calls()) == (0, [])


async def test_a_credit_for_a_qr_code_without_our_mark_is_left_alone(world: World) -> None:
    foreign = {"type": "upi_qr", "usage": "multiple_use", "fixed_amount": False, "name": "tea stall"}
    made = await _razorpay_post(world, "/v1/payments/qr_codes", foreign)
    world.razorpay.pay(made["id"], QrPayment(amount=500))
    await world.quiet()
    (kept,) = await stored(world)
    assert kept["state"] == "IGNORED"
    assert kept["reason"].startswith("UNKNOWN_QR_CODE")
    # And one that Razorpay itself does not know.
    await deliver(world, credited(world), event_id="evt_2")
    assert [event["state"] for event in await stored(world)] == ["IGNORED", "IGNORED"]
    assert await count(world, "qr_payments") == 0


async def _razorpay_post(world: World, path: str, body: dict[str, Any]) -> dict[str, Any]:
    async with world.http.post(f"{world.razorpay.base_url}{path}", json=body, headers={"Authorization": world.basic}) as answer:
        made: dict[str, Any] = await answer.json()
        return made


async def test_while_razorpay_cannot_say_whose_a_qr_code_is_the_credit_waits(world: World) -> None:
    foreign = {"type": "upi_qr", "usage": "multiple_use", "fixed_amount": False, "name": "tea stall"}
    made = await _razorpay_post(world, "/v1/payments/qr_codes", foreign)
    world.razorpay.add_fault(FaultRule(kind="error", method="GET", path="/v1/payments/qr_codes/*"))
    world.razorpay.pay(made["id"], QrPayment(amount=500))
    await world.quiet()
    (kept,) = await stored(world)
    assert kept["state"] == "RECEIVED"
    await world.clock.advance(15)
    (kept,) = await stored(world)
    assert kept["state"] == "IGNORED"


async def test_a_credit_with_our_mark_and_no_row_is_refunded_when_nothing_turns_up(world: World) -> None:
    notes = {"voltlync_environment": "development", "voltlync_qr_code": "4711"}
    made = await _razorpay_post(
        world,
        "/v1/payments/qr_codes",
        {"type": "upi_qr", "usage": "multiple_use", "fixed_amount": False, "name": "lost", "notes": notes},
    )
    paid = world.razorpay.pay(made["id"], QrPayment(amount=500))
    await world.quiet()
    (kept,) = await stored(world)
    assert (kept["state"], kept["next_attempt_at"] is not None) == ("RECEIVED", True)
    await world.jump(580)
    assert await count(world, "qr_payments") == 0
    await world.clock.advance(40)
    payment = await world.payment(paid["payment"]["id"])
    assert (payment["state"], payment["refund_reason"]) == ("REFUNDED", "QR_CODE_UNKNOWN")


async def test_settlements_events_are_passed_on_as_they_came(world: World) -> None:
    settled = {"settlement": {"entity": {"id": "setl_1", "entity": "settlement", "amount": 1524, "utr": "AXIS1"}}}
    names = ["settlement.processed", "transfer.failed", "transfers.failed", "account.activated", "product.route.under_review"]
    for name in names:
        world.razorpay.send_event(name, settled, account_id="acc_L1")
    await world.quiet()
    passed_on = await world.said(RazorpayEventReceived)
    assert sorted(event.event for event in passed_on) == sorted(names)
    assert all(event.payload == settled and event.account_id == "acc_L1" for event in passed_on)


# When, and for how much.


async def test_a_stale_payment_is_refunded_and_one_of_exactly_600_seconds_is_served(world: World) -> None:
    qr = await world.qr_code("CP-5")
    now = int(world.now().timestamp())
    for age, number in ((600, 1), (601, 2)):
        event = credited(
            world, payment={"id": f"pay_stale{number}", "created_at": now - age}, qr_code={"id": qr["razorpay_qr_code_id"]}
        )
        await deliver(world, event, event_id=f"evt_{number}")
    assert (await world.payment("pay_stale1"))["state"] == "START_REQUESTED"
    stale = await world.payment("pay_stale2")
    assert (stale["state"], stale["refund_reason"]) == ("REFUND_DUE", "STALE")
    (wish,) = await world.lane("CP-5")
    assert isinstance(wish, StartRequested)


async def test_a_payment_on_a_closed_qr_code_is_refunded(world: World) -> None:
    qr = await world.qr_code("CP-5")
    closed = await world.call("POST", f"/v1/qr-codes/{qr['id']}/close")
    assert closed["status"] == "CLOSED"
    world.razorpay.settings.closed_qr = "leak"
    razorpay_id = await world.pay(qr, 700)
    await world.clock.advance(10)
    payment = await world.payment(razorpay_id)
    assert (payment["state"], payment["refund_reason"]) == ("REFUNDED", "QR_CODE_CLOSED")
    assert await world.lane("CP-5") == []


@pytest.mark.parametrize(
    ("shown", "fee", "source"),
    [("webhook", 0, "WEBHOOK"), ("webhook", 236, "WEBHOOK"), ("api", 236, "API"), ("never", 200, "ESTIMATE")],
)
async def test_the_fee_is_taken_from_the_first_tier_that_knows(world: World, shown: Any, fee: int, source: str) -> None:
    qr = await world.qr_code("CP-5")
    told = None if shown == "never" else fee
    razorpay_id = await world.pay(qr, 10_000, fee=told, tax=0 if told is not None else None, fee_shown=shown)
    payment = await world.payment(razorpay_id)
    assert (payment["platform_fee_paise"], payment["fee_source"]) == (fee, source)
    (wish,) = await world.lane("CP-5")
    assert isinstance(wish, StartRequested)
    assert wish.platform_fee_paise == fee


async def test_an_estimated_fee_becomes_the_true_one_while_the_session_runs(world: World) -> None:
    # Razorpay's API is down for a moment just as the rider pays; nobody keeps the rider waiting for a fee.
    qr = await world.qr_code("CP-5")
    world.razorpay.add_fault(FaultRule(kind="error", method="GET", path="/v1/payments/pay_*"))
    razorpay_id = await world.pay(qr, 10_000, fee=236, tax=36, fee_shown="api")
    assert (await world.payment(razorpay_id))["fee_source"] == "ESTIMATE"
    await world.clock.advance(61)
    payment = await world.payment(razorpay_id)
    assert (payment["platform_fee_paise"], payment["fee_source"]) == (236, "API")
    assert [kind.TYPE for kind in map(type, await world.lane("CP-5"))] == [
        "charging.session_start_requested.v1",
        "charging.session_fee_change_requested.v1",
    ]
    # The books hear what was thought, and what is true.
    (received,) = await world.said(PaymentReceived)
    assert (received.platform_fee_paise, received.platform_fee_tax_paise, received.fee_source) == (200, None, "ESTIMATE")
    (told,) = await world.said(PaymentFeeRecorded)
    assert (told.fee_before_paise, told.tax_before_paise) == (200, None)
    assert (told.platform_fee_paise, told.platform_fee_tax_paise) == (236, 36)


async def test_a_payment_that_razorpay_refuses_to_show_keeps_no_other_fee_unknown(world: World) -> None:
    qr = await world.qr_code("CP-5")
    world.razorpay.add_fault(FaultRule(kind="error", method="GET", path="/v1/payments/pay_*", times=2))
    refused, shown = [await world.pay(qr, 10_000, fee=236, tax=36, fee_shown="api") for _ in range(2)]
    wrong = "The id provided does not exist"
    world.razorpay.add_fault(FaultRule(kind="error", status=400, description=wrong, having=refused, times=None))
    await world.clock.advance(61)
    assert [(await world.payment(each))["fee_source"] for each in (refused, shown)] == ["ESTIMATE", "API"]


async def test_estimates_that_stay_keep_no_other_session_from_its_fee(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_fees, "ASKED_AT_ONCE_MAX", 2)
    qr = await world.qr_code()
    unread = [await world.pay(qr, 10_000, fee=236, tax=36, fee_shown="never") for _ in range(3)]
    last = world.razorpay.state.payments[unread[-1]]
    last.fee, last.tax = 236, 36
    await world.clock.advance(125)
    assert [(await world.payment(each))["fee_source"] for each in unread] == ["ESTIMATE", "ESTIMATE", "API"]


# Who pays.


async def test_a_new_payer_who_pays_many_times_at_once_is_one_rider(world: World) -> None:
    qr = await world.qr_code("CP-5")
    for number in range(12):
        world.razorpay.pay(qr["razorpay_qr_code_id"], QrPayment(amount=500 + number, vpa="new@okaxis"))
    await world.quiet()
    assert (await count(world, "qr_payments"), await count(world, "riders"), await count(world, "rider_vpas")) == (12, 1, 1)


async def test_riders_are_known_by_phone_then_vpa_and_else_are_guests(world: World) -> None:
    qr = await world.qr_code("CP-5")
    guest = await world.payment(await world.pay(qr, 500, vpa="Asha@okaxis"))
    same = await world.payment(await world.pay(qr, 500, vpa="asha@OKAXIS", contact="9000090000"))
    by_phone = await world.payment(await world.pay(qr, 500, vpa="asha@otherbank", contact="+919000090000"))
    stranger = await world.payment(await world.pay(qr, 500, vpa="ravi@okaxis"))
    assert [p["rider_resolved_by"] for p in (guest, same, by_phone, stranger)] == ["UPI_GUEST", "VPA", "PHONE", "UPI_GUEST"]
    assert guest["rider_id"] == same["rider_id"] == by_phone["rider_id"] != stranger["rider_id"]
    rider = await world.call("GET", f"/v1/riders/{guest['rider_id']}")
    assert (rider["kind"], rider["phone"], rider["vpas"]) == ("PHONE", "******0000", ["as***@okaxis", "as***@otherbank"])


async def test_a_new_payer_with_a_phone_is_no_guest(world: World) -> None:
    qr = await world.qr_code("CP-5")
    first = await world.payment(await world.pay(qr, 500, vpa="asha@okaxis", contact="+919000090000"))
    assert first["rider_resolved_by"] == "PHONE"
    again = await world.payment(await world.pay(qr, 500, vpa="asha@okaxis"))
    assert (again["rider_id"], again["rider_resolved_by"]) == (first["rider_id"], "VPA")
    # Razorpay's placeholder and nonsense tell nothing of anybody.
    nobody = await world.payment(await world.pay(qr, 500, vpa="ravi@okaxis", contact="+0000000000"))
    assert nobody["rider_resolved_by"] == "UPI_GUEST"
    rider = await world.call("GET", f"/v1/riders/{first['rider_id']}")
    assert (rider["kind"], rider["phone"]) == ("PHONE", "******0000")
