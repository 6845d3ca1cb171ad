"""Operators give a part of a billed payment back: once, of the right amount, explained, and never more than was billed."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from chassis.web import Role
from contracts.payments import AuditRecorded, BorneBy, OperatorRefundDecided, RefundChanged
from razorpay_simulator import FaultRule, OutcomeRule, WebhookRule

from .conftest import World

REFUND = "/v1/payments/*/refund"
WHY = "The connector came off twice."


async def billed(world: World) -> dict[str, Any]:
    """100 rupees paid, 59.99 of energy, 10.80 GST, 2.36 fee; the 26.85 that were left are back already."""
    payment = await world.payment(await world.pay(await world.qr_code()))
    await world.announce(world.stopped(payment, 3333))
    await world.clock.advance(10)
    detail = await world.payment(payment["razorpay_payment_id"])
    assert [refund["status"] for refund in detail["refunds"]] == ["PROCESSED"]
    assert (detail["bill"]["energy_charge_paise"], detail["bill"]["gst_paise"]) == (5999, 1080)
    return detail


async def give(world: World, payment: dict[str, Any], amount: int, **more: Any) -> Any:
    body = {"amount_paise": amount, "reason": WHY, **more.pop("body", {})}
    made = await world.call("POST", f"/v1/payments/{payment['id']}/refunds", json=body, **{"status": 201, **more})
    await world.quiet()
    return made


async def test_a_part_goes_back_with_its_own_key_words_and_history(world: World) -> None:
    payment = await billed(world)
    assert payment["refundable_paise"] == 7079
    made = await give(world, payment, 2000)
    assert (made["number"], made["attempt"], made["key"]) == (1, 1, f"{payment['request_key']}_op1")
    assert made["decision"]["borne_by"] == "FRANCHISEE"
    assert made["words"] == "₹20.00 is due back to you. We are asking Razorpay to send it."
    await world.clock.advance(10)
    refund = await world.call("GET", f"/v1/refunds/{made['id']}")
    (there,) = [item for item in world.razorpay.state.refunds.values() if item.receipt == made["key"]]
    assert (there.amount, refund["status"], refund["razorpay_refund_id"]) == (2000, "PROCESSED", there.id)
    reference = there.acquirer_data["rrn"]
    assert refund["words"] == f"Razorpay has sent ₹20.00 to your bank instantly. Your bank can find it by RRN {reference}."
    assert (refund["bank_reference"], refund["reference_kind"], refund["expected"]) == (reference, "RRN", None)
    assert [(step["step"], step["told_by"]) for step in refund["history"]] == [
        ("REQUESTED", "US"),
        ("PENDING", "WEBHOOK" if refund["history"][1]["told_by"] == "WEBHOOK" else "ANSWER"),
        ("PROCESSED", "WEBHOOK"),
        ("REFERENCE", "WEBHOOK"),
    ]
    assert refund["history"][2]["webhook_event_id"].startswith("whe_")
    detail = await world.payment(payment["razorpay_payment_id"])
    assert (detail["state"], detail["refundable_paise"]) == ("BILLED", 5079)
    assert [(item["number"], item["status"]) for item in detail["refunds"]] == [(0, "PROCESSED"), (1, "PROCESSED")]
    [decision] = detail["operator_refunds"]
    assert (decision["energy_charge_paise"], decision["gst_paise"], decision["reason"]) == (1695, 305, WHY)

    [said] = await world.said(OperatorRefundDecided)
    assert (said.number, said.amount_paise, said.energy_charge_paise, said.gst_paise) == (1, 2000, 1695, 305)
    assert (said.borne_by, said.franchisee_id, said.transaction_id) == (BorneBy.FRANCHISEE, 7, detail["bill"] and 1001)
    [told] = [record for record in await world.said(AuditRecorded) if record.action == "refund_part"]
    assert (told.actor, told.after["reason"], told.after["amount_paise"]) == ("staff|1", WHY, 2000)
    assert {change.number for change in await world.said(RefundChanged)} == {0, 1}
    only = await world.call("GET", "/v1/refunds?by_operators=true")
    assert [item["id"] for item in only["items"]] == [made["id"]]
    assert (await world.call("GET", "/v1/refunds?by_operators=false"))["items"][0]["number"] == 0


async def test_who_may_and_what_is_refused_in_words(world: World) -> None:
    payment = await billed(world)
    for role in (Role.OPERATOR, Role.FRANCHISEE, Role.RIDER):
        await give(world, payment, 2000, role=role, status=403)
    for amount, words in ((99, "Razorpay refunds no less than ₹1.00."), (0, "greater than or equal to 1")):
        answer = await give(world, payment, amount, status=422)
        assert words in answer["errors"][0]["detail"]
    answer = await give(world, payment, 7080, status=409)
    assert answer["detail"] == ("₹70.80 is more than the ₹70.79 that were billed for energy and GST and not given back yet.")
    for reason in ("", "   ", "no", "x" * 501):
        await give(world, payment, 2000, body={"reason": reason}, status=422)
    unbilled = await world.payment(await world.pay(await world.qr_code("CP-2")))
    answer = await give(world, unbilled, 2000, status=409)
    assert answer["detail"] == "It is START_REQUESTED: only of a payment that is BILLED a part can be given back."
    assert await world.admin.fetchval("SELECT count(*) FROM operator_refunds") == 0
    assert await give(world, payment, 7079, role=Role.FINANCE, body={"borne_by": "PLATFORM"})
    assert await world.said(OperatorRefundDecided)


async def test_two_at_once_are_one_after_the_other_and_a_repeat_is_the_same(world: World) -> None:
    payment = await billed(world)
    body = {"amount_paise": 3000, "reason": WHY}
    path = f"/v1/payments/{payment['id']}/refunds"

    async def ask() -> int:
        headers = world.headers("POST", path)
        async with world.http.post(f"{world.url}{path}", headers=headers, json=body) as answer:
            return answer.status

    # All three have come and wait for the payment's row before the first of them may go on.
    async with world.admin.transaction():
        await world.admin.execute("SELECT 1 FROM qr_payments WHERE id = $1 FOR UPDATE", int(payment["id"].removeprefix("qrp_")))
        asked = [asyncio.create_task(ask()) for _ in range(3)]
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        while await world.admin.fetchval(waiting) < len(asked):
            await asyncio.sleep(0.005)
    assert sorted(await asyncio.gather(*asked)) == [201, 201, 409], "70.79 is enough for two of 30.00"
    first = await give(world, payment, 1000, headers={"Idempotency-Key": "once"})
    again = await give(world, payment, 1000, headers={"Idempotency-Key": "once"})
    assert first["id"] == again["id"]
    await world.clock.advance(10)
    amounts = sorted(refund.amount for refund in world.razorpay.state.refunds.values())
    assert amounts == [1000, 2685, 3000, 3000]


@pytest.mark.parametrize(("kind", "when"), [("error", "before_effect"), ("hang", "after_effect"), ("html", "after_effect")])
async def test_one_refund_whatever_becomes_of_the_call(world: World, kind: Any, when: Any) -> None:
    payment = await billed(world)
    world.razorpay.add_fault(FaultRule(kind=kind, when=when, method="POST", path=REFUND))
    made = await give(world, payment, 2000)
    await world.clock.advance(90)
    refund = await world.call("GET", f"/v1/refunds/{made['id']}")
    assert (refund["status"], refund["attempt"]) == ("PROCESSED", 1)
    assert sorted(item.amount for item in world.razorpay.state.refunds.values()) == [2000, 2685]
    steps = [step["step"] for step in refund["history"]]
    assert steps[0] == "REQUESTED"
    assert steps[-2:] == ["PROCESSED", "REFERENCE"]


async def test_a_failed_one_gets_a_new_attempt_and_its_speed_may_change(world: World) -> None:
    payment = await billed(world)
    world.razorpay.add_outcome(OutcomeRule(of="refund", outcome="failed"))
    made = await give(world, payment, 2685)
    await world.clock.advance(10)
    failed = await world.call("GET", f"/v1/refunds/{made['id']}")
    assert failed["words"] == "A try to send ₹26.85 back did not go through. It is still due to you, and we try again."
    world.razorpay.add_outcome(OutcomeRule(of="refund", outcome="speed_changed"))
    await world.call("POST", f"/v1/refunds/{made['id']}/retry")
    await world.quiet()
    await world.clock.advance(10)
    first, second = (await world.payment(payment["razorpay_payment_id"]))["refunds"][1:]
    assert [first["key"], second["key"]] == [f"{payment['request_key']}_op1", f"{payment['request_key']}_op1_r2"]
    assert first["words"] == "This try to send ₹26.85 back did not go through. A new one was made."
    assert second["words"].startswith("Razorpay is sending ₹26.85 back the normal way")
    assert second["expected"] == "Banks normally take 5 to 7 working days to show it."
    steps = [step["step"] for step in (await world.call("GET", f"/v1/refunds/{second['id']}"))["history"]]
    assert steps == ["REQUESTED", "PENDING", "SPEED_CHANGED"]
    # The automatic refund of the same amount is another one: it stands, and no third is made.
    assert len([r for r in world.razorpay.state.refunds.values() if r.status != "failed"]) == 2


async def test_a_reference_that_comes_late_is_looked_for(world: World) -> None:
    payment = await billed(world)
    made = await give(world, payment, 2000)
    await world.clock.advance(1)
    (there,) = [item for item in world.razorpay.state.refunds.values() if item.receipt == made["key"]]
    world.razorpay.add_webhook_rule(WebhookRule(kind="drop", event="refund.*", times=None))
    entity = there.view() | {"status": "processed", "speed_processed": "instant", "acquirer_data": {"rrn": None}}
    world.razorpay.clear_webhook_rules()
    world.razorpay.send_event("refund.processed", {"refund": {"entity": entity}})
    await world.quiet()
    refund = await world.call("GET", f"/v1/refunds/{made['id']}")
    assert (refund["status"], refund["bank_reference"]) == ("PROCESSED", None)
    assert refund["next_attempt_at"] is not None
    assert refund["words"] == "Razorpay has sent ₹20.00 to your bank instantly."
    world.razorpay.add_webhook_rule(WebhookRule(kind="drop", event="refund.*", times=None))
    await world.jump(timedelta(days=1).total_seconds())
    refund = await world.call("GET", f"/v1/refunds/{made['id']}")
    assert refund["bank_reference"] == there.acquirer_data["rrn"]
    assert refund["next_attempt_at"] is None
    assert refund["history"][-1]["step"] == "REFERENCE"
    assert refund["history"][-1]["told_by"] == "FETCH"
