"""A payout was taken back by hand at Razorpay: finance has it paid again, once and to the paisa."""

import asyncio
from typing import Any

import pytest
from asyncpg import UniqueViolationError

from chassis.web import Role
from contracts.settlement import AuditRecorded
from razorpay_simulator.faults import FaultRule

from .conftest import World
from .test_corrections import PAYOUT, agree, correction, paid_out, refund, take_back_by_hand

WHY = {"reason": "Reversed for the wrong franchisee."}


async def taken_back(world: World, amount: int = PAYOUT) -> tuple[int, str, Any, dict[str, Any]]:
    """(franchisee, its account, the bill, our transfer) of a payout that somebody took back, as we know by now."""
    franchisee_id = await world.franchisee()
    account, bill = await world.account_of(franchisee_id), world.bill(franchisee_id)
    await paid_out(world, bill)
    [there] = world.sandbox.state.transfers.values()
    take_back_by_hand(world, there.id, amount)
    world.sandbox.send_event("transfer.processed", {"transfer": {"entity": there.view()}})
    await world.settle()
    entry = await world.entry(bill)
    return franchisee_id, account, bill, await world.call("GET", f"/v1/transfers/{entry['transfer_id']}")


async def test_it_is_paid_again_once_and_every_paper_says_so(world: World) -> None:
    franchisee_id, account, bill, old = await taken_back(world)
    assert world.sandbox.balances()[account] == 0
    path = f"/v1/transfers/{old['id']}/pay-again"
    await world.call("POST", path, json=WHY, status=403, role=Role.OPERATOR)
    await world.call("POST", path, json={}, status=422, role=Role.FINANCE)
    # Two people at once, on two replicas: one transfer.
    calls = (world.call("POST", path, json=WHY, role=Role.FINANCE) for _ in range(3))
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert sum("(409," in str(answer) for answer in answers if isinstance(answer, AssertionError)) == 2, answers
    await world.settle()

    entry = await world.entry(bill)
    new = await world.call("GET", f"/v1/transfers/{entry['transfer_id']}")
    assert (new["key"], new["attempt"], new["amount_paise"]) == (f"txn_{bill.transaction_id}_r2", 2, PAYOUT)
    assert (new["status"], new["pays"]) == ("PROCESSED", old["pays"])
    assert (await world.call("GET", f"/v1/transfers/{old['id']}"))["status"] == "REVERSED"
    assert world.sandbox.balances()[account] == PAYOUT
    assert len(world.sandbox.requests("POST", "/v1/transfers")) == 2
    assert (await world.call("GET", "/v1/reversals?unmatched=true"))["items"] == [], "it is explained"
    [told] = [event for event in await world.said(AuditRecorded) if event.action == "pay_again"]
    assert (told.entity_id, told.after) == (
        old["id"],
        {"paid_again_by": new["id"], "amount_paise": PAYOUT, "reason": WHY["reason"]},
    )
    now = await agree(world)
    assert now["linked_accounts"] == -now["franchisee_in_transfer"] == PAYOUT
    assert "franchisee_payable" not in now
    words = [(await world.call("GET", f"/v1/transfers/{one['id']}/explanation"))["paragraph"] for one in (old, new)]
    assert f"{new['id']} pays it again" in words[0]
    assert f"pays again what {old['id']}" in words[1]

    # Late words of the old one change nothing, and the bank has the money once.
    there = next(item for item in world.sandbox.state.transfers.values() if item.id == old["razorpay_transfer_id"])
    world.sandbox.send_event("transfer.processed", {"transfer": {"entity": there.view()}})
    world.sandbox.settle(account)
    await world.settle()
    assert world.service.app.metrics.settlement_mismatch._value.get() == 0
    assert (await world.entry(bill))["status"] == "SETTLED"
    now = await agree(world)
    assert not {"linked_accounts", "franchisee_in_transfer", "franchisee_payable", "franchisee_carried"} & now.keys()
    payouts = await world.call("GET", f"/v1/franchisees/frn_{franchisee_id}/payouts")
    assert (sum(item["amount_paise"] for item in payouts["items"]), payouts["expected"]) == (PAYOUT, [])
    await world.pass_time(60)
    month = await world.call("GET", f"/v1/franchisees/frn_{franchisee_id}/statements/{world.clock.now():%Y-%m}")
    assert (month["earned_paise"], month["paid_paise"], month["closing_paise"]) == (PAYOUT, PAYOUT, 0)

    # A refund after all that is taken off the one that paid, and off nothing else.
    await refund(world, bill)
    assert (await correction(world, bill))["status"] == "ON_HOLD"
    await agree(world)


async def test_two_people_at_the_same_moment_make_one_transfer(world: World) -> None:
    """Both requests are held at the franchisee's row until both are there: the second sees what the first did."""
    franchisee_id, account, _, old = await taken_back(world)
    waiting = "SELECT count(*) AS n FROM pg_locks WHERE NOT granted"
    async with world.admin.transaction():
        await world.rows("SELECT id FROM franchisees WHERE id = $1 FOR UPDATE", franchisee_id)
        calls = [asyncio.create_task(world.call("POST", f"/v1/transfers/{old['id']}/pay-again", json=WHY)) for _ in range(2)]
        async with asyncio.timeout(20):
            while (await world.rows(waiting))[0]["n"] < len(calls):
                await asyncio.sleep(0.02)
    answers = await asyncio.gather(*calls, return_exceptions=True)
    [refused] = [str(answer) for answer in answers if isinstance(answer, AssertionError)]
    assert "paid again already" in refused
    await world.settle()
    assert world.sandbox.balances()[account] == PAYOUT
    await agree(world)


async def test_what_is_not_owed_whole_is_not_paid_again(world: World) -> None:
    _, _, bill, old = await taken_back(world, PAYOUT - 100)
    path = f"/v1/transfers/{old['id']}/pay-again"
    refused = await world.call("POST", path, json=WHY, status=409)
    assert "in part" in refused["detail"]
    await world.settle()
    # Somebody takes the rest too, and nobody tells us; asked again, Razorpay is.
    take_back_by_hand(world, old["razorpay_transfer_id"], 100)
    await world.call("POST", path, json=WHY, status=409)
    await world.settle()
    assert (await world.call("GET", f"/v1/transfers/{old['id']}"))["reversed_paise"] == PAYOUT
    await world.call("POST", path, json=WHY, status=201, headers={"Idempotency-Key": "again-1"})
    again = await world.call("POST", path, json=WHY, status=201, headers={"Idempotency-Key": "again-1"})
    assert again["attempt"] == 2, "the same request has the same answer"
    await world.settle()
    assert len(world.sandbox.requests("POST", "/v1/transfers")) == 2
    assert (await world.entry(bill))["status"] == "TRANSFERRED"
    await agree(world)
    with pytest.raises(UniqueViolationError, match="one_live"):
        await world.rows("UPDATE transfers SET status = 'PROCESSED' WHERE status = 'REVERSED' RETURNING id")


async def test_what_a_refund_took_back_is_not_owed(world: World) -> None:
    _, _, bill, old = await taken_back(world)
    await refund(world, bill, 7079)
    refused = await world.call("POST", f"/v1/transfers/{old['id']}/pay-again", json=WHY, status=409)
    assert "not owed" in refused["detail"]
    await world.call("POST", "/v1/transfers/xfr_999/pay-again", json=WHY, status=404)
    await agree(world)


@pytest.mark.parametrize(
    ("fault", "stands", "sent"),
    [
        ({"kind": "error", "status": 400, "description": "Linked account does not exist"}, "FAILED", 3),
        ({"kind": "reset", "when": "before_effect"}, "UNKNOWN", 3),
        ({"kind": "reset", "when": "after_effect"}, "TRANSFERRED", 2),
    ],
    ids=["refused", "lost before", "lost after"],
)
async def test_whatever_becomes_of_the_call_it_is_paid_once(world: World, fault: dict[str, Any], stands: str, sent: int) -> None:
    """Refused, the next attempt has a key of its own; without an answer the list is read. The old one is never taken for it."""
    _, account, bill, old = await taken_back(world)
    world.sandbox.add_fault(FaultRule(method="POST", path="/v1/transfers", having="_r2", **fault))
    await world.call("POST", f"/v1/transfers/{old['id']}/pay-again", json=WHY, status=201)
    await world.settle()
    assert (await world.entry(bill))["status"] == stands
    await world.pass_time(2500)
    assert (await world.entry(bill))["status"] == "TRANSFERRED"
    assert world.sandbox.balances()[account] == PAYOUT
    assert len(world.sandbox.requests("POST", "/v1/transfers")) == sent
    now = await agree(world)
    assert now["linked_accounts"] == -now["franchisee_in_transfer"] == PAYOUT


async def test_a_franchisee_on_hold_waits_for_it(world: World) -> None:
    franchisee_id, account, bill, old = await taken_back(world)
    await world.call("PATCH", f"/v1/franchisees/frn_{franchisee_id}", json={"operator_hold": True})
    await world.call("POST", f"/v1/transfers/{old['id']}/pay-again", json=WHY, status=201)
    await world.settle()
    entry = await world.entry(bill)
    assert (entry["status"], entry["hold_kind"]) == ("ON_HOLD", "GATED")
    assert world.sandbox.balances()[account] == 0
    await world.call("PATCH", f"/v1/franchisees/frn_{franchisee_id}", json={"operator_hold": False})
    await world.settle()
    await world.pass_time(2500)
    assert (await world.entry(bill))["status"] == "TRANSFERRED"
    assert world.sandbox.balances()[account] == PAYOUT
    await agree(world)
