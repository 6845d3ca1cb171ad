"""Refunds against every way in which Razorpay can fail: one refund, of the right amount, whatever happens to the call."""

import asyncio
from typing import Any

import asyncpg
import pytest

from contracts.payments import RefundChanged
from payments.usecases.work_refunds import INSTANT_UNSUPPORTED
from razorpay_simulator import FaultRule, OutcomeRule, WebhookRule

from .conftest import World

REFUND = "/v1/payments/*/refund"
AMOUNT = 4_000


async def unserved(world: World) -> str:
    """A payment of 40 rupees that goes back whole; its Razorpay id."""
    qr = await world.qr_code()
    payment = await world.payment(await world.pay(qr, AMOUNT))
    await world.announce(world.refused(payment))
    return str(payment["razorpay_payment_id"])


def made_at_razorpay(world: World) -> list[Any]:
    """The refunds that exist there and have not failed."""
    return [refund for refund in world.razorpay.state.refunds.values() if refund.status != "failed"]


@pytest.mark.parametrize(
    ("kind", "when", "times"),
    [
        *(
            (kind, when, times)
            for kind in ("error", "html", "hang", "reset")
            for when in ("before_effect", "after_effect")
            for times in (1, 3)
        ),
        *((kind, "before_effect", times) for kind in ("conflict", "throttle") for times in (1, 3)),
    ],
)
async def test_one_refund_whatever_becomes_of_the_call(world: World, kind: Any, when: Any, times: int) -> None:
    world.razorpay.add_fault(FaultRule(kind=kind, when=when, method="POST", path=REFUND, times=times))
    razorpay_id = await unserved(world)
    await world.clock.advance(90)
    (refund,) = (await world.payment(razorpay_id))["refunds"]
    assert (refund["status"], refund["attempt"], refund["amount_paise"]) == ("PROCESSED", 1, AMOUNT)
    (there,) = made_at_razorpay(world)
    assert (there.amount, there.receipt) == (AMOUNT, refund["key"])
    assert {(call.idempotency_key, call.body["amount"]) for call in world.refund_calls()} == {(refund["key"], AMOUNT)}
    # What may have happened is looked at before anything is sent again: an effect is found, not repeated.
    if when == "after_effect":
        assert len(world.refund_calls()) == 1
    assert (await world.payment(razorpay_id))["state"] == "REFUNDED"


async def test_an_unknown_outcome_stays_unknown_until_razorpay_can_be_asked(world: World) -> None:
    world.razorpay.add_fault(FaultRule(kind="reset", when="after_effect", method="POST", path=REFUND))
    world.razorpay.add_fault(FaultRule(kind="html", method="GET", path="/v1/payments/*/refunds", times=3))
    world.razorpay.add_webhook_rule(WebhookRule(kind="drop", event="refund.*", times=None))
    razorpay_id = await unserved(world)
    (refund,) = (await world.payment(razorpay_id))["refunds"]
    assert refund["status"] == "UNKNOWN"
    await world.clock.advance(10)
    (refund,) = (await world.payment(razorpay_id))["refunds"]
    assert (refund["status"], len(world.refund_calls())) == ("UNKNOWN", 1)
    await world.clock.advance(120)
    (refund,) = (await world.payment(razorpay_id))["refunds"]
    assert (refund["status"], len(world.refund_calls()), len(made_at_razorpay(world))) == ("PROCESSED", 1, 1)
    changes = [change.status for change in await world.said(RefundChanged)]
    assert changes[:2] == ["PENDING", "UNKNOWN"]
    assert changes.count("UNKNOWN") == 1


async def test_a_process_that_died_during_the_call_leaves_a_claim_that_lapses(world: World) -> None:
    # As a kill leaves it: claimed, the call made, nothing persisted.
    world.razorpay.add_fault(FaultRule(kind="error", method="POST", path=REFUND))
    razorpay_id = await unserved(world)
    await world.admin.execute("UPDATE refunds SET status = 'CALLING', next_attempt_at = next_attempt_at + interval '2 minutes'")
    await world.clock.advance(60)
    (refund,) = (await world.payment(razorpay_id))["refunds"]
    assert (refund["status"], len(world.refund_calls())) == ("CALLING", 1)
    await world.clock.advance(90)
    (refund,) = (await world.payment(razorpay_id))["refunds"]
    assert (refund["status"], len(made_at_razorpay(world))) == ("PROCESSED", 1)
    assert len(world.razorpay.requests("GET", "/v1/payments/*/refunds")) >= 1


async def test_a_failed_refund_gets_a_new_attempt_with_its_own_key(world: World) -> None:
    world.razorpay.add_outcome(OutcomeRule(of="refund", outcome="failed"))
    razorpay_id = await unserved(world)
    await world.clock.advance(10)
    payment = await world.payment(razorpay_id)
    assert (payment["state"], [refund["status"] for refund in payment["refunds"]]) == ("REFUND_DUE", ["FAILED"])
    assert world.metric("refund_failed_total") == 1
    # An operator need not wait for the 30 minutes.
    await world.call("POST", f"/v1/refunds/{payment['refunds'][0]['id']}/retry")
    await world.quiet()
    await world.clock.advance(10)
    payment = await world.payment(razorpay_id)
    assert payment["state"] == "REFUNDED"
    assert [(refund["status"], refund["key"], refund["amount_paise"]) for refund in payment["refunds"]] == [
        ("FAILED", payment["request_key"], AMOUNT),
        ("PROCESSED", f"{payment['request_key']}_r2", AMOUNT),
    ]
    assert len(made_at_razorpay(world)) == 1
    # There is nothing more to retry, on either.
    for refund in payment["refunds"]:
        await world.call("POST", f"/v1/refunds/{refund['id']}/retry", status=409)


async def test_a_failed_refund_that_went_through_after_all_is_told_and_nothing_is_guessed(world: World) -> None:
    world.razorpay.add_outcome(OutcomeRule(of="refund", outcome="failed"))
    razorpay_id = await unserved(world)
    await world.clock.advance(10)
    (first,) = (await world.payment(razorpay_id))["refunds"]
    await world.call("POST", f"/v1/refunds/{first['id']}/retry")
    await world.quiet()
    await world.clock.advance(10)
    before = (await world.payment(razorpay_id))["refunds"]
    assert [refund["status"] for refund in before] == ["FAILED", "PROCESSED"]
    entity = {"id": first["razorpay_refund_id"], "payment_id": razorpay_id, "receipt": first["key"], "amount": AMOUNT}
    world.razorpay.send_event("refund.processed", {"refund": {"entity": {**entity, "status": "processed"}}})
    await world.quiet()
    (event,) = (await world.call("GET", "/v1/webhook-events?state=FAILED"))["items"]
    assert event["reason"].startswith("ContradictionError")
    assert world.metric("webhook_failed_total") == 1
    assert (await world.payment(razorpay_id))["refunds"] == before


async def test_where_instant_is_impossible_the_same_amount_goes_at_normal_speed_under_a_new_key(world: World) -> None:
    world.razorpay.add_fault(FaultRule(kind="error", status=400, description=INSTANT_UNSUPPORTED, method="POST", path=REFUND))
    razorpay_id = await unserved(world)
    payment = await world.payment(razorpay_id)
    first, second = payment["refunds"]
    assert (first["status"], first["speed_requested"]) == ("FAILED", "optimum")
    assert (second["status"], second["speed_requested"], second["amount_paise"]) == ("PROCESSING", "normal", AMOUNT)
    assert len(made_at_razorpay(world)) == 1


async def test_a_refund_made_by_hand_is_not_made_again(world: World) -> None:
    # The balance is too low; somebody refunds in Razorpay's dashboard before we can.
    world.razorpay.add_fault(
        FaultRule(kind="error", status=400, description="The refund is not allowed.", method="POST", path=REFUND)
    )
    razorpay_id = await unserved(world)
    (refund,) = (await world.payment(razorpay_id))["refunds"]
    assert (refund["status"], refund["last_error"]) == ("FAILED", "The refund is not allowed.")
    by_hand = await world.http.post(
        f"{world.razorpay.base_url}/v1/payments/{razorpay_id}/refund",
        json={"amount": AMOUNT},
        headers={"Authorization": world.basic},
    )
    assert by_hand.status == 200
    await world.call("POST", f"/v1/refunds/{refund['id']}/retry")
    await world.quiet()
    payment = await world.payment(razorpay_id)
    (refund,) = payment["refunds"]
    assert refund["razorpay_refund_id"] == (await by_hand.json())["id"]
    assert len(made_at_razorpay(world)) == 1


async def test_a_low_balance_waits_under_the_same_key(world: World) -> None:
    world.razorpay.add_funds(-200_000_00)
    razorpay_id = await unserved(world)
    await world.clock.advance(60)
    (refund,) = (await world.payment(razorpay_id))["refunds"]
    assert (refund["status"], refund["attempt"]) == ("PENDING", 1)
    assert "balance" in refund["last_error"]
    world.razorpay.add_funds(400_000_00)
    await world.clock.advance(120)
    (refund,) = (await world.payment(razorpay_id))["refunds"]
    assert (refund["status"], refund["attempt"]) == ("PROCESSED", 1)


async def test_an_event_that_overtakes_the_answer_is_believed(world: World) -> None:
    world.razorpay.add_webhook_rule(WebhookRule(kind="before_answer", event="refund.*", times=None))
    world.razorpay.settings.instant_refund_seconds = 0
    razorpay_id = await unserved(world)
    await world.clock.advance(5)
    (refund,) = (await world.payment(razorpay_id))["refunds"]
    assert (refund["status"], len(world.refund_calls())) == ("PROCESSED", 1)


async def test_two_events_of_one_refund_at_once_are_both_believed(world: World) -> None:
    # Neither Razorpay's answer nor an event has told us its id yet; one event waits for the other's row lock.
    world.razorpay.add_fault(FaultRule(kind="error", method="POST", path=REFUND, times=None))
    razorpay_id = await unserved(world)
    (refund,) = (await world.payment(razorpay_id))["refunds"]
    entity = {"id": "rfnd_atOnce", "payment_id": razorpay_id, "receipt": refund["key"], "amount": AMOUNT, "acquirer_data": {}}
    other = await asyncpg.connect(world.settings.database_url.get_secret_value(), server_settings={"search_path": "payments"})
    holding = other.transaction()
    await holding.start()
    await other.execute("UPDATE refunds SET razorpay_refund_id = 'rfnd_atOnce', status = 'PROCESSING'")
    world.razorpay.send_event("refund.processed", {"refund": {"entity": {**entity, "status": "processed"}}})
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    while not await world.admin.fetchval(waits):
        await asyncio.sleep(0.01)
    await holding.commit()
    await other.close()
    await world.quiet()
    (refund,) = (await world.payment(razorpay_id))["refunds"]
    assert refund["status"] == "PROCESSED"


async def test_late_and_repeated_events_never_move_a_refund_back(world: World) -> None:
    razorpay_id = await unserved(world)
    await world.clock.advance(10)
    (refund,) = (await world.payment(razorpay_id))["refunds"]
    assert refund["status"] == "PROCESSED"
    entity = {"id": refund["razorpay_refund_id"], "payment_id": razorpay_id, "receipt": refund["key"], "amount": AMOUNT}
    for name, status in (("refund.created", "pending"), ("refund.failed", "failed"), ("refund.speed_changed", "pending")):
        world.razorpay.send_event(name, {"refund": {"entity": {**entity, "status": status, "acquirer_data": {}}}})
        await world.quiet()
    after = (await world.payment(razorpay_id))["refunds"][0]
    assert (after["status"], after["bank_reference"]) == ("PROCESSED", refund["bank_reference"])


async def test_a_lost_event_is_made_up_for_by_looking(world: World) -> None:
    world.razorpay.add_webhook_rule(WebhookRule(kind="drop", event="refund.*", times=None))
    razorpay_id = await unserved(world)
    (refund,) = (await world.payment(razorpay_id))["refunds"]
    assert refund["status"] == "PROCESSING"
    await world.admin.execute("UPDATE refunds SET next_attempt_at = $1", world.now())
    await world.jump(60)  # the sandbox's refund falls due; its event is dropped
    (refund,) = (await world.payment(razorpay_id))["refunds"]
    assert (refund["status"], refund["bank_reference"] is not None) == ("PROCESSED", True)


async def test_an_event_of_a_refund_that_is_not_ours_is_left_alone(world: World) -> None:
    entity = {"id": "rfnd_other", "payment_id": "pay_other", "receipt": None, "amount": 500, "status": "processed"}
    world.razorpay.send_event("refund.processed", {"refund": {"entity": entity}})
    await world.quiet()
    (event,) = (await world.call("GET", "/v1/webhook-events?event=refund.processed"))["items"]
    assert event["state"] == "IGNORED"


async def test_refunds_that_wait_too_long_are_seen(world: World) -> None:
    world.razorpay.add_fault(FaultRule(kind="throttle", method="POST", path=REFUND, times=None))
    await unserved(world)
    await world.jump(31 * 60)
    await world.jump(60)
    assert world.metric("refunds_overdue") == 1


async def test_a_look_that_fails_comes_back_ever_later(world: World) -> None:
    world.razorpay.add_webhook_rule(WebhookRule(kind="drop", event="refund.*", times=None))
    world.razorpay.settings.instant_refund_seconds = 100_000
    await unserved(world)
    looks = ("GET", "/v1/refunds/*")
    world.razorpay.add_fault(FaultRule(kind="error", method=looks[0], path=looks[1], times=None))
    await world.admin.execute("UPDATE refunds SET next_attempt_at = $1", world.now())
    await world.clock.advance(1_200)
    # As long again as it stands: after 5, 10, 20, 40 … seconds of the service's sweeps of 5.
    assert 6 <= len(world.razorpay.requests(*looks)) <= 10
    before = len(world.razorpay.requests(*looks))
    for _ in range(4):
        await world.jump(1_794)
    assert len(world.razorpay.requests(*looks)) - before <= 4


async def test_a_refund_that_razorpay_does_not_end_is_seen(world: World) -> None:
    world.razorpay.add_webhook_rule(WebhookRule(kind="drop", event="refund.*", times=None))
    world.razorpay.settings.instant_refund_seconds = 100 * 86_400
    await unserved(world)
    await world.jump(9 * 86_400)
    assert world.metric("refunds_stuck") == 0
    await world.jump(2 * 86_400)
    assert (world.metric("refunds_stuck"), world.metric("refunds_overdue")) == (1, 0)
