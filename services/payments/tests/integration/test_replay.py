"""An operator replays a stored event: what it would do is shown first, and showing it does nothing."""

import json
from typing import Any

from chassis.web import Role
from contracts.payments import AuditRecorded, PaymentReceived
from payments.domain.webhook import signature

from .conftest import SECRET, TABLES, World
from .test_webhooks import count, credited, deliver, stored


async def everything(world: World) -> dict[str, list[Any]]:
    """Every row of every table of the service, as text."""
    names = [name.strip() for name in TABLES.split(",")]
    return {name: [row[0] for row in await world.admin.fetch(f"SELECT t::text FROM {name} t ORDER BY 1")] for name in names}  # noqa: S608


async def preview(world: World, event: dict[str, Any], **how: Any) -> dict[str, Any]:
    """The preview; asserts that it left every row as it was, woke nobody and asked Razorpay nothing."""
    before, asked = await everything(world), len(world.razorpay.requests())
    seen: dict[str, Any] = await world.call("POST", f"/v1/webhook-events/{event['id']}/replay?preview=true", **how)
    await world.quiet()
    assert await everything(world) == before
    assert len(world.razorpay.requests()) == asked
    return seen


async def lost_credit(world: World, **payment: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """(QR code, its credited event) whose payment was never made: a bug of ours failed it, mended since."""
    qr = await world.qr_code("CP-5")
    event = credited(world, qr_code={"id": qr["razorpay_qr_code_id"]}, payment=payment)
    await world.admin.execute("ALTER TABLE rider_vpas ADD CONSTRAINT the_bug CHECK (vpa IS NULL)")
    try:
        await deliver(world, event)
    finally:
        await world.admin.execute("ALTER TABLE rider_vpas DROP CONSTRAINT the_bug")
    await world.admin.execute("UPDATE webhook_events SET state = 'FAILED', next_attempt_at = NULL, handled_at = now()")
    (failed,) = await stored(world)
    return qr, failed


async def test_a_preview_shows_rows_amounts_and_messages_and_the_replay_does_just_that(world: World) -> None:
    _, failed = await lost_credit(world)
    seen = await preview(world, failed, role=Role.OPERATOR)
    assert (seen["event"]["state"], seen["state"], seen["reason"], seen["asks"]) == ("FAILED", "HANDLED", None, [])
    made = {change["table"]: change for change in seen["changes"]}
    assert set(made) == {"qr_payments", "riders", "rider_vpas"}
    assert all((change["id"], change["before"]) == (None, None) for change in seen["changes"])
    paid = made["qr_payments"]["after"]
    assert (paid["state"], paid["amount_paise"], paid["platform_fee_paise"]) == ("START_REQUESTED", 10_000, 236)
    assert paid["vpa"] == made["rider_vpas"]["after"]["vpa"] == "ri***@okhdfcbank"
    types = ["payments.payment_received.v1", "charging.session_start_requested.v1"]
    assert [message["type"] for message in seen["announces"]] == types
    assert seen["announces"][1]["body"]["budget_paise"] == 10_000

    await world.call("POST", f"/v1/webhook-events/{failed['id']}/replay", role=Role.OPERATOR)
    await world.quiet()
    payment = await world.payment("pay_HO2fEpc9JeOQU5")
    assert payment["state"] == paid["state"]
    assert [message["body"]["amount_paise"] for message in seen["announces"][:1]] == [payment["amount_paise"]]
    (audited,) = [entry for entry in await world.said(AuditRecorded) if entry.action == "replay"]
    assert (audited.actor, audited.entity_id) == ("staff|1", failed["id"])
    assert audited.before == {"state": "FAILED", "reason": failed["reason"]}


async def test_a_preview_of_what_was_done_already_shows_nothing(world: World) -> None:
    qr = await world.qr_code("CP-5")
    await world.pay(qr)
    (event,) = await stored(world)
    seen = await preview(world, event)
    assert (seen["state"], seen["changes"], seen["announces"]) == ("HANDLED", [], [])


async def test_a_preview_shows_a_row_before_and_after(world: World) -> None:
    qr = await world.qr_code("CP-5")
    entity = {"id": qr["razorpay_qr_code_id"], "status": "closed"}
    world.razorpay.send_event("qr_code.closed", {"qr_code": {"entity": entity}})
    await world.quiet()
    await world.admin.execute("UPDATE qr_codes SET status = 'ACTIVE', closed_at = NULL")
    (event,) = await stored(world, "qr_code.closed")
    (change,) = (await preview(world, event))["changes"]
    assert (change["table"], change["id"]) == ("qr_codes", int(qr["id"].removeprefix("qrc_")))
    assert change["before"] == {"status": "ACTIVE", "closed_at": None}
    assert change["after"]["status"] == "CLOSED"


async def test_a_preview_of_a_refund_shows_all_that_goes_back(world: World) -> None:
    _, failed = await lost_credit(world)
    await world.clock.advance(601)  # the rider has left meanwhile
    seen = await preview(world, failed)
    made = {change["table"]: change["after"] for change in seen["changes"]}
    assert (made["qr_payments"]["state"], made["qr_payments"]["refund_reason"]) == ("REFUND_DUE", "STALE")
    assert (made["refunds"]["amount_paise"], made["refunds"]["status"]) == (10_000, "PENDING")
    assert world.refund_calls() == []


async def test_a_preview_asks_razorpay_nothing_and_says_what_would_be_asked(world: World) -> None:
    _, failed = await lost_credit(world, fee=None, tax=None)
    seen = await preview(world, failed)
    assert seen["asks"] == ["payment pay_HO2fEpc9JeOQU5"]
    (paid,) = [change["after"] for change in seen["changes"] if change["table"] == "qr_payments"]
    assert (paid["platform_fee_paise"], paid["fee_source"]) == (200, "ESTIMATE")


async def test_whose_a_qr_code_is_a_preview_can_not_guess(world: World) -> None:
    await deliver(world, credited(world))  # Razorpay knows no such QR code: ignored
    (event,) = await stored(world)
    seen = await preview(world, event)
    assert (seen["state"], seen["asks"], seen["changes"]) == ("RECEIVED", ["qr_code qr_HO2e0813YlchUn"], [])


async def test_a_preview_of_what_can_not_be_says_why(world: World) -> None:
    await deliver(world, credited(world, payment={"amount": None}))
    (event,) = await stored(world)
    seen = await preview(world, event)
    assert seen["state"] == "FAILED"
    assert seen["reason"] == "MalformedEventError: qr_code.credited of None paise"


async def test_settlements_events_are_shown_without_what_is_in_them(world: World) -> None:
    entity = {"id": "acc_L1", "email": "owner@example.in"}
    world.razorpay.send_event("account.activated", {"account": {"entity": entity}}, account_id="acc_L1")
    await world.quiet()
    (event,) = (await world.call("GET", "/v1/webhook-events?account_id=acc_L1"))["items"]
    (message,) = (await preview(world, event, role=Role.OPERATOR))["announces"]
    assert message["type"] == "payments.razorpay_event_received.v1"
    assert "owner@example.in" not in json.dumps(message)


async def test_who_may_preview_and_what_is_still_worked_may_not_be(world: World) -> None:
    foreign = credited(world, qr_code={"notes": {"voltlync_environment": "development", "voltlync_qr_code": "4711"}})
    await deliver(world, foreign)
    (waits,) = await stored(world)
    path = f"/v1/webhook-events/{waits['id']}/replay?preview=true"
    problem = await world.call("POST", path, status=409)
    assert problem["detail"] == "It has not been worked to its end yet."
    await world.call("POST", path, role=Role.FINANCE, status=403)
    await world.call("POST", "/v1/webhook-events/whe_999/replay?preview=true", status=404)
    await world.call("POST", f"{path}x", status=422)


async def test_events_are_found_by_razorpays_id(world: World) -> None:
    for number in range(3):
        await deliver(world, credited(world), event_id=f"evt_{number}")
    (found,) = (await world.call("GET", "/v1/webhook-events?razorpay_event_id=evt_1"))["items"]
    assert found["razorpay_event_id"] == "evt_1"
    first = await world.call("GET", "/v1/webhook-events?limit=2")
    rest = await world.call("GET", f"/v1/webhook-events?limit=2&cursor={first['next_cursor']}")
    assert [item["razorpay_event_id"] for item in first["items"] + rest["items"]] == ["evt_2", "evt_1", "evt_0"]
    assert rest["next_cursor"] is None


async def test_the_twins_in_either_order_are_one_payment(world: World) -> None:
    qr = await world.qr_code("CP-5")
    for number, order in enumerate((("payment.captured", "qr_code.credited"), ("qr_code.credited", "payment.captured"))):
        event = credited(world, payment={"id": f"pay_twin{number}"}, qr_code={"id": qr["razorpay_qr_code_id"]})
        twin = {**event, "event": "payment.captured", "payload": {"payment": event["payload"]["payment"]}}
        for name in order:
            body = json.dumps(event if name == "qr_code.credited" else twin).encode()
            answer = await world.post_event(body, signature=signature(body, SECRET), event_id=f"evt_{number}_{name}")
            assert answer == 200
            await world.quiet()
    assert await count(world, "qr_payments") == len(await world.said(PaymentReceived)) == 2
    assert [event["state"] for event in await stored(world, "payment.captured")] == ["IGNORED", "IGNORED"]
