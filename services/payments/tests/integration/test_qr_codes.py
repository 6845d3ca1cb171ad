"""QR codes: one live per connector, found again at Razorpay whatever became of the call, drawn without Razorpay."""

import asyncio
from typing import Any

import pytest

from chassis.web import Role
from contracts.payments import AuditRecorded
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


async def test_a_regenerated_code_serves_and_the_old_one_gives_back(world: World) -> None:
    old = await world.qr_code("CP-7")
    new = await world.call("POST", f"/v1/qr-codes/{old['id']}/regenerate", role=Role.OPERATOR, status=201)
    await world.quiet()
    assert (new["status"], new["replaces_id"], new["name"]) == ("ACTIVE", old["id"], old["name"])
    assert new["image_content"] != old["image_content"]
    assert (await world.call("GET", f"/v1/qr-codes/{old['id']}"))["status"] == "CLOSED"
    assert world.razorpay.state.qr_codes[old["razorpay_qr_code_id"]].status == "closed"
    world.razorpay.settings.closed_qr = "leak"
    late = await world.payment(await world.pay(old, 700))
    assert (late["state"], late["refund_reason"]) == ("REFUND_DUE", "QR_CODE_CLOSED")
    served = await world.payment(await world.pay(new, 700))
    assert (served["state"], served["qr_code_id"]) == ("START_REQUESTED", new["id"])
    (audited,) = [entry for entry in await world.said(AuditRecorded) if entry.action == "regenerate"]
    assert (audited.actor, audited.entity_id) == ("staff|1", old["id"])
    assert audited.after == {"status": "CLOSING", "replaced_by": new["id"], "owner": "platform"}


async def test_a_code_is_replaced_once_however_often_it_is_asked(world: World) -> None:
    old = await world.qr_code("CP-7")
    path = f"/v1/qr-codes/{old['id']}/regenerate"
    answers = await asyncio.gather(*(world.call("POST", path, status=201) for _ in range(4)))
    assert len({answer["id"] for answer in answers}) == 1
    assert len(world.razorpay.requests("POST", CREATE)) == 2


async def test_an_unknown_outcome_of_a_regeneration_is_found_in_the_list(world: World) -> None:
    old = await world.qr_code("CP-7")
    world.razorpay.add_fault(FaultRule(kind="reset", when="after_effect", method="POST", path=CREATE))
    world.razorpay.add_fault(FaultRule(kind="reset", when="after_effect", method="POST", path=f"{CREATE}/*/close"))
    world.razorpay.add_webhook_rule(WebhookRule(kind="drop", event="qr_code.*", times=10))
    new = await world.call("POST", f"/v1/qr-codes/{old['id']}/regenerate", status=201)
    assert new["status"] == "CREATING"
    await world.clock.advance(20)
    assert len(world.razorpay.requests("POST", CREATE)) == len(world.razorpay.state.qr_codes) == 2
    assert (await world.call("GET", f"/v1/qr-codes/{new['id']}"))["status"] == "ACTIVE"
    assert (await world.call("GET", f"/v1/qr-codes/{old['id']}"))["status"] == "CLOSED"


async def test_a_refused_replacement_is_told_and_may_be_tried_again(world: World) -> None:
    old = await world.qr_code("CP-7")
    path = f"/v1/qr-codes/{old['id']}/regenerate"
    refusal = FaultRule(kind="error", status=400, description="The selected name is invalid.", method="POST", path=CREATE)
    world.razorpay.add_fault(refusal)
    problem = await world.call("POST", path, status=502)
    assert "The selected name is invalid." in problem["detail"]
    # The old one is closed all the same: whoever regenerates wants no more money on it.
    assert (await world.call("GET", f"/v1/qr-codes/{old['id']}"))["status"] == "CLOSED"
    new = await world.call("POST", path, status=201)
    assert (new["status"], new["replaces_id"]) == ("ACTIVE", old["id"])


async def test_what_can_not_be_regenerated_says_why(world: World) -> None:
    old = await world.qr_code("CP-7")
    await world.call("POST", f"/v1/qr-codes/{old['id']}/close")
    await world.qr_code("CP-7")
    problem = await world.call("POST", f"/v1/qr-codes/{old['id']}/regenerate", status=409)
    assert problem["detail"] == "Connector 1 of CP-7 has a QR code already; close that first."
    await world.call("POST", f"/v1/qr-codes/{old['id']}/regenerate", role=Role.FINANCE, status=403)
    await world.call("POST", "/v1/qr-codes/qrc_99/regenerate", status=404)
    world.razorpay.add_fault(FaultRule(kind="reset", when="before_effect", method="POST", path=CREATE))
    waits = await world.call("POST", "/v1/qr-codes", json={**BODY, "connector_id": 2}, status=201)
    problem = await world.call("POST", f"/v1/qr-codes/{waits['id']}/regenerate", status=409)
    assert problem["detail"] == "It is still being created; regenerate it once it is active."
