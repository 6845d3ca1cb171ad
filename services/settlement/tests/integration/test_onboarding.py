"""A franchisee comes on board at Razorpay, whatever happens to the calls; its KYC by both families of events, and by a poll."""

from datetime import timedelta
from typing import Any

import pytest

from contracts.settlement import AuditRecorded
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


CORRECTED = {**FRANCHISEE["stakeholder"], "name": "Asha R. Rao", "pan": "ABCPA1234G"}
AT_RAZORPAY = "/v2/accounts/*/stakeholders/*"


def stakeholder_there(world: World) -> tuple[str, str]:
    """(name, PAN) as Razorpay has them."""
    [there] = world.sandbox.state.stakeholders.values()
    return there.details["name"], there.details["kyc"]["pan"]


async def link(world: World) -> tuple[str, str | None]:
    shown = await world.call("GET", "/v1/franchisees/frn_1")
    return shown["link_step"], shown["link_error"]


async def correct(world: World, **what: Any) -> None:
    await world.call("PATCH", "/v1/franchisees/frn_1", json=what or {"stakeholder": CORRECTED})
    await world.settle()


async def test_a_stakeholder_who_is_corrected_later_is_sent_again(world: World) -> None:
    await world.franchisee()
    assert stakeholder_there(world) == ("Asha Rao", "ABCPA1234F")
    await correct(world)
    assert (stakeholder_there(world), await link(world)) == (("Asha R. Rao", "ABCPA1234G"), ("DONE", None))
    # The same again is nothing to send, and whatever else is changed neither.
    await correct(world)
    await correct(world, operator_hold=True)
    assert len(world.sandbox.requests("PATCH", AT_RAZORPAY)) == 1
    problem = await world.call(
        "PATCH", "/v1/franchisees/frn_1", json={"stakeholder": {**CORRECTED, "email": "other@acme.example"}}, status=422
    )
    assert [error["pointer"] for error in problem["errors"]] == ["#/body/stakeholder/email"]
    told = [record.model_dump_json() for record in await world.said(AuditRecorded)]
    assert not any("ABCPA1234" in record for record in told), "a PAN is nobody's business in the journal"


@pytest.mark.parametrize("when", ["before_effect", "after_effect"])
async def test_a_correction_whose_answer_is_lost_is_sent_until_it_is_there(world: World, when: Any) -> None:
    await world.franchisee()
    world.sandbox.add_fault(FaultRule(kind="error", when=when, method="PATCH", path=AT_RAZORPAY))
    await correct(world)
    assert (await link(world))[0] == "CORRECTION"
    # Taken back before it is known to have arrived: what Razorpay has is not known, so it is sent.
    await correct(world, stakeholder=FRANCHISEE["stakeholder"])
    await world.pass_time(60)
    assert (stakeholder_there(world), await link(world)) == (("Asha Rao", "ABCPA1234F"), ("DONE", None))


async def test_a_refused_correction_is_told_keeps_no_kyc_waiting_and_can_be_taken_back(world: World) -> None:
    await world.franchisee(activate=False)
    refusal = "Merchant activation form has been locked for editing by admin"
    world.sandbox.add_fault(FaultRule(kind="error", status=400, description=refusal, method="PATCH", path=AT_RAZORPAY))
    await correct(world)
    assert await link(world) == ("CORRECTION", refusal)
    world.forwarding = False
    world.sandbox.move_kyc(await world.account_of(1), "activated")
    await world.settle()
    await world.pass_time(timedelta(minutes=40).total_seconds())
    assert (await world.call("GET", "/v1/franchisees/frn_1"))["status"] == "ACTIVATED"
    await correct(world, stakeholder=FRANCHISEE["stakeholder"])
    assert (await link(world), len(world.sandbox.requests("PATCH", AT_RAZORPAY))) == (("DONE", None), 1)


async def test_bank_and_stakeholder_at_once_are_both_sent(world: World) -> None:
    await world.franchisee(activate=False)
    sent = []
    edit = world.service.app.razorpay.edit_product

    async def editing(account_id: str, product_id: str, body: dict[str, Any]) -> dict[str, Any]:
        sent.append(body["settlements"]["account_number"])
        return {}  # reviewed as it is, the sandbox takes no second one

    world.service.app.razorpay.edit_product = editing
    await correct(world, stakeholder=CORRECTED, bank={**FRANCHISEE["bank"], "account_number": "9876543210"})
    world.service.app.razorpay.edit_product = edit
    assert (sent, stakeholder_there(world)[0], await link(world)) == (["9876543210"], "Asha R. Rao", ("DONE", None))


@pytest.mark.parametrize("call", ["create_stakeholder", "request_product", "edit_product", "edit_stakeholder"])
async def test_a_correction_that_comes_during_a_call_is_not_lost(
    world: World, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    razorpay, came = world.service.app.razorpay, []
    send = getattr(razorpay, call)

    async def slow(*args: Any) -> Any:
        if came and call == "edit_product":
            return {}  # reviewed as it is, the sandbox takes no second one
        answer = await send(*args)
        if not came:
            came.append(call)
            await world.call("PATCH", "/v1/franchisees/frn_1", json={"stakeholder": CORRECTED})
        return answer

    monkeypatch.setattr(razorpay, call, slow)
    await world.franchisee(1, activate=False)
    if call == "edit_stakeholder":
        await correct(world, stakeholder={**CORRECTED, "name": "Asha Rau"})
    await world.pass_time(60)
    assert came == [call]
    assert (stakeholder_there(world), await link(world)) == (("Asha R. Rao", "ABCPA1234G"), ("DONE", None))
    assert len(world.sandbox.state.stakeholders) == 1


async def test_one_who_was_linked_before_this_was_kept_is_corrected_too(world: World) -> None:
    await world.franchisee(activate=False)
    await world.admin.execute("UPDATE franchisees SET stakeholder_sent = NULL")
    await correct(world, stakeholder={**FRANCHISEE["stakeholder"], "name": "Asha R. Rao"})
    assert (stakeholder_there(world), await link(world)) == (("Asha R. Rao", "ABCPA1234F"), ("DONE", None))
