"""A franchisee comes on board at Razorpay, whatever happens to the calls; its KYC by both families of events, and by a poll."""

from datetime import timedelta
from typing import Any

import pytest

from razorpay_client import Permanent
from razorpay_simulator.faults import FaultRule
from settlement.usecases import follow_kyc

from .conftest import FRANCHISEE, Build, World


async def test_a_franchisee_is_linked_with_everything_that_razorpay_wants(world: World) -> None:
    made = await world.call("POST", "/v1/franchisees", json=FRANCHISEE)
    assert (made["status"], made["link_step"]) == ("CREATED", "ACCOUNT")
    await world.settle()
    shown = await world.call("GET", f"/v1/franchisees/{made['id']}")
    assert (shown["status"], shown["link_step"], shown["link_error"]) == ("UNDER_REVIEW", "DONE", None)
    assert shown["gate"] == "Razorpay is checking this franchisee's papers."
    assert shown["bank"] == {"account_number_ends": "3456", "ifsc_code": "HDFC0000317", "beneficiary_name": "Acme Volts"}
    [account] = world.sandbox.state.accounts.values()
    assert account.details["reference_id"] == f"franchisee_{made['id'].removeprefix('frn_')}"
    assert account.details["profile"]["category"] == "utilities"
    assert account.details["profile"]["addresses"]["registered"]["city"] == "Bengaluru"


STEPS = {
    "account": "/v2/accounts",
    "stakeholder": "/v2/accounts/*/stakeholders",
    "product": "/v2/accounts/*/products",
    "bank": "/v2/accounts/*/products/*",
}


@pytest.mark.parametrize("when", ["before_effect", "after_effect"])
@pytest.mark.parametrize("step", STEPS)
async def test_a_lost_answer_at_any_step_makes_nothing_twice(world: World, step: str, when: str) -> None:
    method = "PATCH" if step == "bank" else "POST"
    world.sandbox.add_fault(FaultRule(kind="error", when=when, method=method, path=STEPS[step]))
    franchisee_id = await world.franchisee(activate=False)
    await world.pass_time(60)
    assert (await world.call("GET", f"/v1/franchisees/frn_{franchisee_id}"))["link_step"] == "DONE"
    state = world.sandbox.state
    assert (len(state.accounts), len(state.stakeholders), len(state.products)) == (1, 1, 1)


async def test_a_refused_detail_is_told_and_a_correction_takes_it_up_again(world: World) -> None:
    made = await world.call(
        "POST", "/v1/franchisees", json={**FRANCHISEE, "address": {**FRANCHISEE["address"], "state": "ATLANTIS"}}
    )
    await world.settle()
    path = f"/v1/franchisees/{made['id']}"
    shown = await world.call("GET", path)
    assert (shown["link_step"], shown["link_error"]) == (
        "ACCOUNT",
        "State name entered is incorrect. Please provide correct state name.",
    )
    await world.pass_time(600)
    assert len(world.sandbox.requests("POST", "/v2/accounts")) == 1
    await world.call("PATCH", path, json={"address": {**FRANCHISEE["address"], "country": "IN"}})
    await world.settle()
    assert (await world.call("GET", path))["link_step"] == "DONE"
    # From here on Razorpay's own form rules.
    await world.call("PATCH", path, json={"email": "new@acme.example"}, status=422)


async def test_a_bank_account_that_is_corrected_while_the_old_one_is_being_sent_is_sent_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else we show one account and Razorpay settles to the other."""
    razorpay, right = world.service.app.razorpay, {**FRANCHISEE["bank"], "account_number": "9876543210"}
    send, sent = razorpay.edit_product, []

    async def slow(account_id: str, product_id: str, body: dict[str, Any]) -> dict[str, Any]:
        if not sent:
            await world.call("PATCH", "/v1/franchisees/frn_1", json={"bank": right})
        sent.append(body["settlements"]["account_number"])
        return {} if sent[1:] else await send(account_id, product_id, body)  # reviewed as it is, the sandbox takes no second one

    monkeypatch.setattr(razorpay, "edit_product", slow)
    await world.franchisee(1, activate=False)
    assert sent == [FRANCHISEE["bank"]["account_number"], right["account_number"]]
    assert (await world.call("GET", "/v1/franchisees/frn_1"))["link_step"] == "DONE"


async def test_a_detail_that_is_corrected_while_the_wrong_one_is_being_refused_is_taken_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    razorpay = world.service.app.razorpay
    create, asked = razorpay.create_account, []

    async def slow(body: dict[str, Any]) -> dict[str, Any]:
        asked.append(body["phone"])
        if asked[1:]:
            return await create(body)
        await world.call("PATCH", "/v1/franchisees/frn_1", json={"phone": "9000090001"})
        raise Permanent("The contact number is invalid.", status=400)

    monkeypatch.setattr(razorpay, "create_account", slow)
    await world.franchisee(1, activate=False)
    assert asked == ["9000090000", "9000090001"]
    shown = await world.call("GET", "/v1/franchisees/frn_1")
    assert (shown["link_step"], shown["link_error"]) == ("DONE", None)


@pytest.mark.parametrize("family", ["account", "product"])
async def test_either_family_of_events_activates(build: Build, family: str) -> None:
    world = await build(sandbox={"kyc_events": family})
    franchisee_id = await world.franchisee()
    shown = await world.call("GET", f"/v1/franchisees/frn_{franchisee_id}")
    assert (shown["status"], shown["transfers_enabled"], shown["funds_on_hold"], shown["gate"]) == (
        "ACTIVATED",
        True,
        False,
        None,
    )


async def test_words_that_come_in_the_wrong_order_and_twice_end_where_they_should(world: World) -> None:
    franchisee_id = await world.franchisee(activate=False)
    account = await world.account_of(franchisee_id)
    world.forwarding = False
    for move in ("needs_clarification", "under_review", "activated"):
        await world.pass_time(60)
        world.sandbox.move_kyc(account, move)  # type: ignore[arg-type]
        await world.settle()
    for event in [*reversed(world.events), *world.events]:
        await world.publish(event)
    await world.settle()
    shown = await world.call("GET", f"/v1/franchisees/frn_{franchisee_id}")
    assert (shown["status"], shown["gate"]) == ("ACTIVATED", None)
    assert await world.dead() == 0


async def test_a_rejection_stops_payouts_although_the_account_says_activated(world: World) -> None:
    franchisee_id = await world.franchisee()
    await world.pass_time(60)
    world.sandbox.move_kyc(await world.account_of(franchisee_id), "rejected")
    await world.settle()
    shown = await world.call("GET", f"/v1/franchisees/frn_{franchisee_id}")
    assert (shown["status"], shown["transfers_enabled"]) == ("REJECTED", False)
    assert shown["gate"] == "Razorpay rejected this franchisee."


async def test_what_razorpay_asks_for_is_shown(world: World) -> None:
    franchisee_id = await world.franchisee(activate=False)
    await world.pass_time(60)
    asked = [{"field_reference": "settlements.ifsc_code", "description": "Max retry exceeded for bank account details."}]
    world.sandbox.move_kyc(await world.account_of(franchisee_id), "needs_clarification", asked)
    await world.settle()
    shown = await world.call("GET", f"/v1/franchisees/frn_{franchisee_id}")
    assert shown["status"] == "NEEDS_CLARIFICATION"
    assert "settlements.ifsc_code" in shown["status_detail"]


async def test_an_activation_that_nobody_told_us_of_is_found_by_a_poll(world: World) -> None:
    franchisee_id = await world.franchisee(activate=False)
    bill = world.bill(franchisee_id)
    await world.publish(bill)
    await world.settle()
    world.forwarding = False
    world.sandbox.move_kyc(await world.account_of(franchisee_id), "activated")
    await world.settle()
    assert (await world.entry(bill))["status"] == "ON_HOLD"
    await world.pass_time(timedelta(minutes=40).total_seconds())
    shown = await world.call("GET", f"/v1/franchisees/frn_{franchisee_id}")
    assert (shown["status"], shown["transfers_enabled"]) == ("ACTIVATED", True)


async def test_one_that_can_not_be_looked_up_keeps_no_other_waiting(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow_kyc, "POLL_BATCH", 1)
    gone, waiting = await world.franchisee(1, activate=False), await world.franchisee(2, activate=False)
    world.forwarding = False
    path = f"/v2/accounts/{await world.account_of(gone)}/products/*"
    world.sandbox.add_fault(FaultRule(kind="error", method="GET", path=path, status=400, times=100))
    world.sandbox.move_kyc(await world.account_of(waiting), "activated")
    await world.settle()
    await world.pass_time(timedelta(minutes=15).total_seconds())
    assert (await world.call("GET", f"/v1/franchisees/frn_{waiting}"))["status"] == "ACTIVATED"
