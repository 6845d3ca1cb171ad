"""The transfer call against everything that can happen to it: always one transfer, of the right amount."""

import pytest

from razorpay_client import api
from razorpay_simulator.faults import FaultRule
from razorpay_simulator.outcomes import OutcomeRule
from settlement.domain.due import later
from settlement.repository import ledger
from settlement.usecases import pay_out

from .conftest import SELDOM, Build, World

CREATE = {"method": "POST", "path": "/v1/transfers"}
PAYOUT = 5393

FAULTS = {
    "timeout before the effect": FaultRule(kind="hang", **CREATE),
    "timeout after the effect": FaultRule(kind="hang", when="after_effect", **CREATE),
    "500 before the effect": FaultRule(kind="error", **CREATE),
    "500 after the effect": FaultRule(kind="error", when="after_effect", **CREATE),
    "reset before the effect": FaultRule(kind="reset", **CREATE),
    "reset after the effect": FaultRule(kind="reset", when="after_effect", **CREATE),
    "HTML 502 before the effect": FaultRule(kind="html", **CREATE),
    "HTML 502 after the effect": FaultRule(kind="html", when="after_effect", **CREATE),
    "409, twice": FaultRule(kind="conflict", times=2, **CREATE),
    "429, three times": FaultRule(kind="throttle", times=3, **CREATE),
    "wrong keys for a while": FaultRule(
        kind="error", status=401, description="The api key provided is invalid", times=2, **CREATE
    ),
    "five timeouts in a row": FaultRule(kind="error", status=504, times=5, **CREATE),
}
REFUSED = OutcomeRule(of="transfer", outcome="failed", reason="transfer_amount_higher_than_balance")
"""Not for our balance: a definitive failure."""


@pytest.mark.parametrize("heard", [True, False], ids=["events come", "events are lost"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_one_transfer_of_the_right_amount_whatever_happens_to_the_call(world: World, fault: str, heard: bool) -> None:
    franchisee_id = await world.franchisee()
    world.forwarding = heard
    world.sandbox.add_fault(FAULTS[fault])
    bill = world.bill(franchisee_id)
    await world.publish(bill)
    await world.settle()
    await world.pass_time(400)

    [made] = world.sandbox.state.transfers.values()
    assert made.amount == PAYOUT
    assert made.status == "processed"
    entry = await world.entry(bill)
    assert entry["status"] == "TRANSFERRED"
    assert entry["razorpay_transfer_id"] == made.id
    assert entry["failed_attempts"] == 0
    asked = world.sandbox.requests("POST", "/v1/transfers")
    assert {request.idempotency_key for request in asked} == {f"txn_{bill.transaction_id}"}
    assert all(request.body == asked[0].body for request in asked)
    assert world.sandbox.balances()[await world.account_of(franchisee_id)] == PAYOUT
    assert await world.dead() == 0


async def test_a_lost_answer_is_resolved_by_a_scan_before_anything_is_sent_again(world: World) -> None:
    franchisee_id = await world.franchisee()
    world.forwarding = False
    world.sandbox.add_fault(FAULTS["timeout after the effect"])
    bill = world.bill(franchisee_id)
    await world.publish(bill)
    await world.settle()
    assert (await world.entry(bill))["status"] == "UNKNOWN"
    await world.pass_time(30)
    assert (await world.entry(bill))["status"] == "TRANSFERRED"
    assert len(world.sandbox.requests("POST", "/v1/transfers")) == 1
    assert len(world.sandbox.requests("GET", "/v1/transfers")) == 1


@pytest.mark.parametrize("called", [False, True], ids=["before the call", "after the call"])
async def test_a_process_that_dies_with_a_claim_leaves_one_transfer(world: World, called: bool) -> None:
    franchisee_id = await world.franchisee()
    app = world.service.app
    await app.payouts.stop()
    world.forwarding = False
    bill = world.bill(franchisee_id)
    await world.publish(bill)
    await world.settle()
    # The claim is committed, and the process is gone: before its call, or before it could keep the answer.
    async with app.database.transaction() as uow:
        due = await ledger.claim_due(uow.connection, now=uow.now, lapses_at=later(uow.now, 120))
        assert due is not None
        transfer = await pay_out._claim(app, uow, due, attempt=1)
    assert transfer is not None
    if called:
        await app.razorpay.create_transfer(key=transfer.key, body=transfer.body)
    await app.payouts.start()
    await world.pass_time(90)
    assert (await world.entry(bill))["status"] == "TRANSFERRING"  # its lease protects what may be under way
    await world.pass_time(60)
    assert (await world.entry(bill))["status"] == "TRANSFERRED"
    [made] = world.sandbox.state.transfers.values()
    assert made.amount == PAYOUT
    assert len(world.sandbox.requests("POST", "/v1/transfers")) == 1


async def test_what_waited_for_days_is_looked_for_before_its_key_is_used_again(build: Build) -> None:
    """Razorpay does not say how long it knows a key: after days the same key may well make a second transfer."""
    world = await build(settings=SELDOM)
    franchisee_id = await world.franchisee()
    world.forwarding = False
    # An earlier call is still in progress there: a conflict, and the money goes all the same.
    world.sandbox.add_fault(FaultRule(kind="conflict", when="after_effect", **CREATE))
    path = f"/v1/franchisees/frn_{franchisee_id}"
    bill = world.bill(franchisee_id)
    await world.publish(bill)
    await world.settle()
    assert (await world.entry(bill))["hold_kind"] == "RAZORPAY"
    await world.call("PATCH", path, json={"operator_hold": True})
    world.clock.jump(3 * 86_400)
    world.sandbox.state.idempotency.clear()
    await world.call("PATCH", path, json={"operator_hold": False})
    await world.settle()
    assert (await world.entry(bill))["status"] == "TRANSFERRED"
    assert len(world.sandbox.state.transfers) == 1


async def test_a_definitive_failure_gets_a_new_key_half_an_hour_later(world: World) -> None:
    franchisee_id = await world.franchisee()
    world.sandbox.add_outcome(REFUSED)
    bill = world.bill(franchisee_id)
    await world.publish(bill)
    await world.settle()
    entry = await world.entry(bill)
    assert (entry["status"], entry["failed_attempts"]) == ("FAILED", 1)
    assert entry["last_error"] == "The fees calculated for payment is greater than the payment amount"
    await world.pass_time(1770)
    assert len(world.sandbox.state.transfers) == 1
    await world.pass_time(60)
    assert (await world.entry(bill))["status"] == "TRANSFERRED"
    keys = [request.idempotency_key for request in world.sandbox.requests("POST", "/v1/transfers")]
    assert keys == [f"txn_{bill.transaction_id}", f"txn_{bill.transaction_id}_r2"]
    assert world.sandbox.balances()[await world.account_of(franchisee_id)] == PAYOUT


async def test_three_failures_wait_for_a_person_who_may_try_once_more(build: Build) -> None:
    world = await build(settings=SELDOM)
    franchisee_id = await world.franchisee()
    world.sandbox.add_outcome(REFUSED.model_copy(update={"times": 3}))
    bill = world.bill(franchisee_id)
    await world.publish(bill)
    await world.settle()
    await world.pass_time(4 * 3600)
    entry = await world.entry(bill)
    assert (entry["status"], entry["failed_attempts"]) == ("FAILED", 3)
    assert len(world.sandbox.state.transfers) == 3
    assert world.service.app.metrics.transfer_given_up._value.get() == 1
    await world.call("POST", f"/v1/ledger-entries/{entry['id']}/retry")
    await world.settle()
    assert (await world.entry(bill))["status"] == "TRANSFERRED"
    assert world.sandbox.requests("POST", "/v1/transfers")[-1].idempotency_key == f"txn_{bill.transaction_id}_r4"
    await world.call("POST", f"/v1/ledger-entries/{entry['id']}/retry", status=409)


async def test_a_payout_that_is_tried_again_weeks_later_is_looked_for_where_it_was_made(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not in all that was transferred since: in a large network that list is given up, and the payout would wait for ever."""
    world = await build(settings={**SELDOM, "transfer_retries_max": 1})
    franchisee_id = await world.franchisee()
    world.sandbox.add_fault(FaultRule(kind="error", status=400, description="The id provided does not exist", **CREATE))
    bill = world.bill(franchisee_id)
    await world.publish(bill)
    await world.settle()
    entry = await world.entry(bill)
    assert (entry["status"], entry["failed_attempts"]) == ("FAILED", 1)
    world.clock.jump(21 * 86_400)
    for _ in range(3):
        await world.publish(world.bill(franchisee_id))
    await world.settle()
    monkeypatch.setattr(api, "PAGE_SIZE", 1)
    monkeypatch.setattr(api, "PAGES_MAX", 3)
    await world.call("POST", f"/v1/ledger-entries/{entry['id']}/retry")
    await world.settle()
    assert (await world.entry(bill))["status"] == "TRANSFERRED"


async def test_a_refusal_that_went_through_after_all_is_found_at_once_with_what_it_carried(world: World) -> None:
    """Called failed, it would let go what it carried, and the next payout would take that along once more."""
    franchisee_id = await world.franchisee()
    world.forwarding = False
    small, bill, following = world.bill(franchisee_id, energy_wh=40), world.bill(franchisee_id), world.bill(franchisee_id)
    await world.publish(small)
    await world.settle()
    refusal = FaultRule(kind="error", status=400, description="The input field is required", when="after_effect", **CREATE)
    world.sandbox.add_fault(refusal)
    await world.publish(bill)
    await world.settle()
    assert [(await world.entry(one))["status"] for one in (small, bill)] == ["TRANSFERRED", "TRANSFERRED"]
    await world.publish(following)
    await world.settle()
    assert len(world.sandbox.requests("POST", "/v1/transfers")) == 2
    assert world.sandbox.balances()[await world.account_of(franchisee_id)] == 2 * PAYOUT + 65


async def test_a_refusal_is_no_failure_before_the_list_was_seen(world: World) -> None:
    franchisee_id = await world.franchisee()
    world.sandbox.add_fault(FaultRule(kind="error", status=400, description="The input field is required", **CREATE))
    world.sandbox.add_fault(FaultRule(kind="error", method="GET", path="/v1/transfers"))
    bill = world.bill(franchisee_id)
    await world.publish(bill)
    await world.settle()
    assert (await world.entry(bill))["status"] == "UNKNOWN"
    await world.pass_time(60)
    entry = await world.entry(bill)
    assert (entry["status"], entry["failed_attempts"]) == ("TRANSFERRED", 0)


async def test_a_low_balance_waits_with_the_same_key_and_counts_as_no_try(build: Build) -> None:
    world = await build(sandbox={"opening_balance": 100}, settings=SELDOM)
    franchisee_id = await world.franchisee()
    bill = world.bill(franchisee_id)
    await world.publish(bill)
    await world.settle()
    entry = await world.entry(bill)
    assert (entry["status"], entry["hold_kind"], entry["failed_attempts"]) == ("ON_HOLD", "RAZORPAY", 0)
    assert entry["hold_reason"] == "Our balance at Razorpay does not cover it yet; it goes out when it does."
    await world.pass_time(3600)
    world.sandbox.add_funds(100_000)
    await world.pass_time(2500)
    entry = await world.entry(bill)
    assert (entry["status"], entry["failed_attempts"]) == ("TRANSFERRED", 0)
    assert {r.idempotency_key for r in world.sandbox.requests("POST", "/v1/transfers")} == {f"txn_{bill.transaction_id}"}


async def test_a_balance_that_turns_out_too_low_counts_as_no_try_however_often(build: Build) -> None:
    """Razorpay takes the transfer, and finds at its last moment that our balance does not cover it."""
    world = await build(sandbox={"opening_balance": 100, "transfer_balance_check": "async"}, settings=SELDOM)
    franchisee_id = await world.franchisee()
    bill = world.bill(franchisee_id)
    await world.publish(bill)
    await world.settle()
    entry = await world.entry(bill)
    assert (entry["status"], entry["hold_kind"], entry["failed_attempts"]) == ("ON_HOLD", "RAZORPAY", 0)
    assert entry["hold_reason"] == "Our balance at Razorpay does not cover it yet; it goes out when it does."
    assert entry["last_error"] == "Transfer failed due to insufficient balance"
    for _ in range(16):
        await world.pass_time(3600)
    # After 0.5, 1, 2, 4 hours, and then every 8.
    assert len(world.sandbox.state.transfers) == 6
    world.sandbox.add_funds(100_000)
    await world.call("POST", f"/v1/ledger-entries/{entry['id']}/retry")
    await world.settle()
    entry = await world.entry(bill)
    assert (entry["status"], entry["failed_attempts"]) == ("TRANSFERRED", 0)
    assert world.sandbox.balances()[await world.account_of(franchisee_id)] == PAYOUT
    assert world.service.app.metrics.transfer_given_up._value.get() == 0


async def test_a_transfer_that_takes_its_time_is_followed_by_its_event_or_by_a_poll(build: Build) -> None:
    world = await build(sandbox={"transfer_seconds": 300})
    franchisee_id = await world.franchisee()
    heard, unheard = world.bill(franchisee_id), world.bill(franchisee_id)
    await world.publish(heard)
    await world.settle()
    assert (await world.entry(heard))["status"] == "TRANSFERRING"
    await world.pass_time(301)
    assert (await world.entry(heard))["status"] == "TRANSFERRED"
    world.forwarding = False
    await world.publish(unheard)
    await world.settle()
    await world.pass_time(600)
    assert (await world.entry(unheard))["status"] == "TRANSFERRING"
    await world.pass_time(1300)
    assert (await world.entry(unheard))["status"] == "TRANSFERRED"
