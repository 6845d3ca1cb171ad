"""QR codes: one live per connector, found again at Razorpay whatever became of the call, drawn without Razorpay."""

import asyncio
from typing import Any

import pytest

from chassis.web import Role
from razorpay_simulator import FaultRule, QrPayment, WebhookRule

from .conftest import World

CREATE = "/v1/payments/qr_codes"
BODY = {"charge_point_id": "CP-7", "connector_id": 1}


async def test_a_qr_code_is_made_listed_drawn_and_closed(world: World) -> None:
    made = await world.call("POST", "/v1/qr-codes", json={**BODY, "name": "Mall, bay 4"}, status=201)
    assert (made["status"], made["name"]) == ("ACTIVE", "Mall, bay 4")
    (asked,) = world.razorpay.requests("POST", CREATE)
    assert asked.body["notes"] == {
        "voltlync_environment": "development",
        "voltlync_qr_code": made["id"].removeprefix("qrc_"),
        "charger": "CP-7",
        "connector": "1",
    }
    assert (asked.body["usage"], asked.body["fixed_amount"]) == ("multiple_use", False)
    listed = await world.call("GET", "/v1/qr-codes?charge_point_id=CP-7&status=ACTIVE")
    assert [item["id"] for item in listed["items"]] == [made["id"]]
    assert (await world.call("GET", f"/v1/qr-codes/{made['id']}/image.png")).startswith(b"\x89PNG")
    assert b"<svg" in await world.call("GET", f"/v1/qr-codes/{made['id']}/image.svg")
    for _ in range(2):
        closed = await world.call("POST", f"/v1/qr-codes/{made['id']}/close")
        assert closed["status"] == "CLOSED"
    await world.quiet()
    assert world.razorpay.state.qr_codes[made["razorpay_qr_code_id"]].status == "closed"
    # The connector is free for a new one.
    again = await world.call("POST", "/v1/qr-codes", json=BODY, status=201)
    assert again["id"] != made["id"]


async def test_a_connector_has_one_live_qr_code(world: World) -> None:
    answers = await asyncio.gather(*(_post(world, BODY) for _ in range(3)))
    assert sorted(status for status, _ in answers) == [201, 409, 409]
    assert len(world.razorpay.requests("POST", CREATE)) == 1


async def _post(world: World, body: dict[str, Any], **headers: str) -> tuple[int, Any]:
    signed = world.headers("POST", "/v1/qr-codes")
    async with world.http.post(f"{world.url}/v1/qr-codes", json=body, headers=signed | headers) as answer:
        return answer.status, await answer.json()


async def test_the_same_idempotency_key_makes_one_qr_code(world: World) -> None:
    first = await _post(world, BODY, **{"Idempotency-Key": "k-1"})
    again = await _post(world, BODY, **{"Idempotency-Key": "k-1"})
    other = await _post(world, {**BODY, "connector_id": 2}, **{"Idempotency-Key": "k-1"})
    assert first == again
    assert other[0] == 409
    assert len(world.razorpay.requests("POST", CREATE)) == 1


@pytest.mark.parametrize("when", ["before_effect", "after_effect"])
@pytest.mark.parametrize("kind", ["error", "html", "hang", "reset"])
async def test_after_an_unknown_outcome_razorpay_is_read_before_it_is_asked_again(world: World, kind: Any, when: Any) -> None:
    world.razorpay.add_fault(FaultRule(kind=kind, when=when, method="POST", path=CREATE))
    made = await world.call("POST", "/v1/qr-codes", json=BODY, status=201)
    assert made["status"] == "CREATING"
    await world.clock.advance(20)
    made = await world.call("GET", f"/v1/qr-codes/{made['id']}")
    assert (made["status"], made["image_content"] is not None) == ("ACTIVE", True)
    assert list(world.razorpay.state.qr_codes) == [made["razorpay_qr_code_id"]]
    assert len(world.razorpay.requests("GET", CREATE)) == 1


async def test_money_that_comes_before_the_answer_is_served(world: World) -> None:
    # Razorpay has made the QR code, its answer is lost, and a rider pays before the sweep has found it.
    world.razorpay.add_fault(FaultRule(kind="reset", when="after_effect", method="POST", path=CREATE))
    made = await world.call("POST", "/v1/qr-codes", json=BODY, status=201)
    (there,) = world.razorpay.state.qr_codes
    paid = world.razorpay.pay(there, QrPayment(amount=5_000))
    await world.quiet()
    assert (await world.payment(paid["payment"]["id"]))["state"] == "START_REQUESTED"
    made = await world.call("GET", f"/v1/qr-codes/{made['id']}")
    assert (made["status"], made["razorpay_qr_code_id"]) == ("ACTIVE", there)


async def test_what_razorpay_refuses_is_told(world: World) -> None:
    world.razorpay.add_fault(
        FaultRule(kind="error", status=400, description="The selected name is invalid.", method="POST", path=CREATE)
    )
    problem = await world.call("POST", "/v1/qr-codes", json=BODY, status=502)
    assert "The selected name is invalid." in problem["detail"]
    assert world.metric("qr_code_failed_total") == 1
    await world.call("POST", "/v1/qr-codes", json=BODY, status=201)


async def test_a_code_that_razorpay_will_not_close_serves_nobody(world: World) -> None:
    world.razorpay.settings.multiple_use_closable = False
    qr = await world.qr_code("CP-7")
    closed = await world.call("POST", f"/v1/qr-codes/{qr['id']}/close")
    assert closed["status"] == "CLOSING"
    razorpay_id = await world.pay(qr, 500)
    assert (await world.payment(razorpay_id))["refund_reason"] == "QR_CODE_CLOSED"


async def test_a_code_closed_in_razorpays_dashboard_is_closed_here(world: World) -> None:
    qr = await world.qr_code("CP-7")
    entity = {"id": qr["razorpay_qr_code_id"], "status": "closed", "close_reason": "on_demand"}
    world.razorpay.send_event("qr_code.closed", {"qr_code": {"entity": entity}})
    await world.quiet()
    assert (await world.call("GET", f"/v1/qr-codes/{qr['id']}"))["status"] == "CLOSED"


async def test_the_close_survives_razorpays_outage(world: World) -> None:
    qr = await world.qr_code("CP-7")
    world.razorpay.add_fault(FaultRule(kind="reset", when="after_effect", method="POST", path=f"{CREATE}/*/close"))
    world.razorpay.add_webhook_rule(WebhookRule(kind="drop", event="qr_code.closed"))
    assert (await world.call("POST", f"/v1/qr-codes/{qr['id']}/close"))["status"] == "CLOSING"
    await world.clock.advance(20)
    assert (await world.call("GET", f"/v1/qr-codes/{qr['id']}"))["status"] == "CLOSED"


async def test_a_wrong_field_is_named(world: World) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"charge_point_id": "CP-7"}, "connector_id"),
        ({"charge_point_id": "", "connector_id": 1}, "charge_point_id"),
        ({"charge_point_id": "CP-7", "connector_id": 0}, "connector_id"),
        ({"charge_point_id": "CP-7", "connector_id": "1"}, "connector_id"),
        ({**BODY, "name": "⚡"}, "name"),
        ({**BODY, "nane": "x"}, "nane"),
    ]
    for body, field in wrong:
        problem = await world.call("POST", "/v1/qr-codes", json=body, status=422)
        assert [error["pointer"] for error in problem["errors"]] == [f"#/body/{field}"]


async def test_who_may_not_and_what_is_not_there(world: World) -> None:
    await world.call("POST", "/v1/qr-codes", json=BODY, role=Role.FINANCE, status=403)
    await world.call("GET", "/v1/payments", role=Role.GUEST, status=403)
    for path in ("qr-codes/qrc_9", "payments/qrp_9", "refunds/rfd_9", "riders/rdr_9", "webhook-events/whe_9"):
        await world.call("GET", f"/v1/{path}", status=404)
    await world.call("GET", "/v1/payments/9", status=422)
    await world.call("GET", "/v1/payments?state=NONSENSE", status=422)
    async with world.http.get(f"{world.url}/v1/payments") as answer:
        assert answer.status == 401
