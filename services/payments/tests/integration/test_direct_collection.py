"""QR codes that are a franchisee's own: whose money it is, where it goes back from, and when nobody is served on them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aio_pika
import pytest

from chassis.web import Role
from contracts.charging import SiteOwnerAnswer, SiteOwnerRequested
from contracts.payments import AuditRecorded, PaymentBilled, PaymentReceived, PaymentRefundedInFull, RefundChanged
from contracts.settlement import DirectCollection, FranchiseeChanged
from razorpay_simulator import FaultRule, QrPayment, WebhookRule
from razorpay_simulator.entities import Account

from .conftest import World

CREATE = "/v1/payments/qr_codes"
FRANCHISEE = 7
ACCOUNT = "acc_Direct00000007"
OTHER_ACCOUNT = "acc_Direct00000008"
OWN = {"json": {"owner": "franchisee"}}


@asynccontextmanager
async def charging_says(world: World, **owners: int | None) -> AsyncIterator[None]:
    """The tests play charging: whose station each charger stands at. What is not named has no charger."""

    async def answer(message: aio_pika.abc.AbstractIncomingMessage) -> None:
        question = SiteOwnerRequested.model_validate_json(message.body)
        name = question.charge_point_id.replace("-", "_")
        known = SiteOwnerAnswer(station_id=3, franchisee_id=owners[name]) if name in owners else SiteOwnerAnswer()
        reply = aio_pika.Message(known.model_dump_json().encode(), correlation_id=message.correlation_id, type=known.TYPE)
        await world.channel.default_exchange.publish(reply, message.reply_to or "")
        await message.ack()

    questions = await world.channel.get_queue("charging.sites")
    tag = await questions.consume(answer)
    try:
        yield
    finally:
        await questions.cancel(tag)


async def settlement_says(
    world: World, collection: DirectCollection, version: int, *, franchisee_id: int = FRANCHISEE, account: str = ACCOUNT
) -> None:
    allowed = collection is DirectCollection.ALLOWED
    reason = None if allowed else "Razorpay holds this franchisee's funds."
    await world.announce(
        FranchiseeChanged(
            franchisee_id=franchisee_id,
            razorpay_account_id=account,
            direct_collection=collection,
            reason=reason,
            subject_version=version,
            at=world.now(),
        )
    )


def open_account(world: World, account: str = ACCOUNT) -> None:
    """As Razorpay has it after the KYC."""
    world.razorpay.state.accounts[account] = Account(
        id=account, details={}, created_at=world.razorpay.now(), activation="activated", activated=True, live=True
    )


async def own_code(world: World) -> dict[str, Any]:
    """A code of the platform's, regenerated as the franchisee's own."""
    open_account(world)
    await settlement_says(world, DirectCollection.ALLOWED, 1)
    old = await world.qr_code("CP-7")
    async with charging_says(world, CP_7=FRANCHISEE):
        new: dict[str, Any] = await world.call("POST", f"/v1/qr-codes/{old['id']}/regenerate", status=201, **OWN)
    await world.quiet()
    return new


def acted_as(world: World, method: str, path: str) -> set[str | None]:
    return {call.account for call in world.razorpay.requests(method, path)}


async def test_a_code_is_regenerated_as_the_franchisees_own(world: World) -> None:
    new = await own_code(world)
    assert (new["status"], new["owner"], new["owner_franchisee_id"], new["owner_account_id"]) == (
        "ACTIVE",
        "franchisee",
        f"frn_{FRANCHISEE}",
        ACCOUNT,
    )
    assert world.razorpay.state.qr_codes[new["razorpay_qr_code_id"]].account_id == ACCOUNT
    (audited,) = [entry for entry in await world.said(AuditRecorded) if entry.action == "regenerate"]
    assert (audited.before["owner"], audited.after["owner"]) == ("platform", f"frn_{FRANCHISEE}")
    listed = await world.call("GET", f"/v1/qr-codes?franchisee_id=frn_{FRANCHISEE}")
    assert [item["id"] for item in listed["items"]] == [new["id"]]
    # The sticker is printed like any other, and a lost one is replaced as what it was.
    assert (await world.call("GET", f"/v1/qr-codes/{new['id']}/sticker.pdf")).startswith(b"%PDF")
    async with charging_says(world, CP_7=FRANCHISEE):
        third = await world.call("POST", f"/v1/qr-codes/{new['id']}/regenerate", status=201)
    assert (third["owner"], third["replaces_id"]) == ("franchisee", new["id"])
    assert acted_as(world, "POST", f"{CREATE}/*/close") == {None, ACCOUNT}
    # And back to the platform's, which needs nobody's word.
    fourth = await world.call("POST", f"/v1/qr-codes/{third['id']}/regenerate", json={"owner": "platform"}, status=201)
    assert (fourth["owner"], fourth["owner_account_id"]) == ("platform", None)
    problem = await world.call("POST", f"/v1/qr-codes/{new['id']}/regenerate", json={"owner": "platform"}, status=409)
    assert "is another's" in problem["detail"]


async def test_who_may_not_collect_gets_no_code(world: World) -> None:
    open_account(world)
    old = await world.qr_code("CP-7")
    path = f"/v1/qr-codes/{old['id']}/regenerate"

    async def refused(**owners: int | None) -> str:
        async with charging_says(world, **owners):
            return str((await world.call("POST", path, status=409, **OWN))["detail"])

    assert await refused() == "Charging knows no charger CP-7."
    assert "stands at the platform's own site" in await refused(CP_7=None)
    assert "has no linked account" in await refused(CP_7=FRANCHISEE)
    await settlement_says(world, DirectCollection.ALLOWED, 1)
    await settlement_says(world, DirectCollection.PAUSED, 3)
    # An older word that comes late changes nothing.
    await settlement_says(world, DirectCollection.ALLOWED, 2)
    assert "Razorpay holds this franchisee's funds." in await refused(CP_7=FRANCHISEE)
    await world.call("POST", path, status=403, role=Role.FINANCE, **OWN)
    # Nothing was changed by any of it.
    assert (await world.call("GET", f"/v1/qr-codes/{old['id']}"))["status"] == "ACTIVE"
    assert len(world.razorpay.requests("POST", CREATE)) == 1


async def test_without_charging_nobody_guesses_whose_site_it_is(world: World) -> None:
    old = await world.qr_code("CP-7")
    asked = asyncio.ensure_future(world.call("POST", f"/v1/qr-codes/{old['id']}/regenerate", status=503, **OWN))

    async def breathe() -> None:
        # The request is work in progress, so the world does not come to rest while it waits for charging.
        await asyncio.sleep(0.05)

    while not asked.done():
        await world.clock.advance(1, settle=breathe)
    assert "Charging does not say" in (await asked)["detail"]
    await (await world.channel.get_queue("charging.sites")).purge()


@pytest.mark.parametrize("when", ["before_effect", "after_effect"])
async def test_an_unknown_outcome_is_found_in_that_accounts_list(world: World, when: Any) -> None:
    open_account(world)
    await settlement_says(world, DirectCollection.ALLOWED, 1)
    old = await world.qr_code("CP-7")
    world.razorpay.add_fault(FaultRule(kind="reset", when=when, method="POST", path=CREATE))
    world.razorpay.add_webhook_rule(WebhookRule(kind="drop", event="qr_code.*", times=10))
    async with charging_says(world, CP_7=FRANCHISEE):
        new = await world.call("POST", f"/v1/qr-codes/{old['id']}/regenerate", status=201, **OWN)
    assert new["status"] == "CREATING"
    await world.clock.advance(20)
    assert (await world.call("GET", f"/v1/qr-codes/{new['id']}"))["status"] == "ACTIVE"
    (made,) = [code for code in world.razorpay.state.qr_codes.values() if code.account_id == ACCOUNT]
    assert made.status == "active"
    assert acted_as(world, "GET", CREATE) == {ACCOUNT}


async def test_a_session_is_billed_as_any_other_and_the_rest_goes_back_from_the_franchisees_account(world: World) -> None:
    code = await own_code(world)
    ours = world.razorpay.balances()[world.razorpay.settings.account_id]
    payment = await world.payment(await world.pay(code))
    assert (payment["state"], payment["collected_by_account_id"]) == ("START_REQUESTED", ACCOUNT)
    await world.announce(world.started(payment, 4711))
    await world.announce(world.stopped(payment, 3333, 4711))
    await world.clock.advance(20)
    payment = await world.payment(payment["razorpay_payment_id"])
    assert (payment["state"], payment["bill"]["refund_paise"]) == ("BILLED", 2685)
    assert [refund["status"] for refund in payment["refunds"]] == ["PROCESSED"]
    assert world.razorpay.balances() == {
        world.razorpay.settings.account_id: ours,
        ACCOUNT: 10_000 - payment["platform_fee_paise"] - 2685,
    }
    assert acted_as(world, "POST", "/v1/payments/*/refund") == {ACCOUNT}
    (received,), (billed,) = await world.said(PaymentReceived), await world.said(PaymentBilled)
    for said in (received, billed):
        assert (said.collected_by_franchisee_id, said.collected_by_account) == (FRANCHISEE, ACCOUNT)
    assert {said.collected_by_franchisee_id for said in await world.said(RefundChanged)} == {FRANCHISEE}
    day = world.now().date()
    revenue = await world.call("GET", f"/v1/qr-codes/revenue?by=qr_code&from={day}&to={day}")
    assert [(line["key"], line["paid_paise"]) for line in revenue["items"]] == [(code["id"], 10_000)]


async def test_a_fee_that_the_webhook_does_not_tell_is_asked_of_the_account_that_has_the_payment(world: World) -> None:
    code = await own_code(world)
    payment = await world.payment(await world.pay(code, fee_shown="api"))
    assert (payment["fee_source"], payment["platform_fee_paise"]) == ("API", 236)
    assert acted_as(world, "GET", "/v1/payments/pay_*") == {ACCOUNT}


async def test_a_refund_waits_for_the_franchisees_balance_and_never_takes_ours(world: World) -> None:
    code = await own_code(world)
    payment = await world.payment(await world.pay(code))
    world.razorpay.settle(ACCOUNT)
    await world.announce(world.refused(payment))
    await world.clock.advance(60)
    (refund,) = (await world.payment(payment["razorpay_payment_id"]))["refunds"]
    assert (refund["status"], "balance" in refund["last_error"]) == ("PENDING", True)
    await world.pay(code, 20_000)
    await world.jump(600)
    paid = await world.payment(payment["razorpay_payment_id"])
    assert (paid["state"], paid["refunds"][0]["attempt"]) == ("REFUNDED", 1)
    assert {call.idempotency_key for call in world.refund_calls() if call.path.split("/")[3] == paid["razorpay_payment_id"]} == {
        paid["refunds"][0]["key"]
    }


async def replay_as(world: World, code: dict[str, Any], account_id: str | None) -> dict[str, Any]:
    """A payment on the code whose event says that another account has the money."""
    world.razorpay.add_webhook_rule(WebhookRule(kind="drop", event="*", times=None))
    paid = world.razorpay.pay(code["razorpay_qr_code_id"], QrPayment(amount=10_000))
    world.razorpay.clear_webhook_rules()
    entity = paid["payment"]
    qr = world.razorpay.state.qr_codes[code["razorpay_qr_code_id"]]
    payload = {"payment": {"entity": entity}, "qr_code": {"entity": qr.view()}}
    world.razorpay.send_event("qr_code.credited", payload, account_id=account_id)
    await world.quiet()
    return await world.payment(entity["id"])


async def test_money_in_another_account_than_the_codes_is_seen_not_served_and_goes_back_from_where_it_is(world: World) -> None:
    code = await own_code(world)
    open_account(world, OTHER_ACCOUNT)
    await settlement_says(world, DirectCollection.ALLOWED, 1, franchisee_id=8, account=OTHER_ACCOUNT)
    platforms = await world.qr_code("CP-8")
    lost = await replay_as(world, code, OTHER_ACCOUNT)
    assert (lost["state"], lost["refund_reason"]) == ("REFUND_DUE", "WRONG_ACCOUNT")
    assert (lost["collected_by_account_id"], lost["collected_by_franchisee_id"]) == (OTHER_ACCOUNT, "frn_8")
    ours = await replay_as(world, code, None)
    assert (ours["refund_reason"], ours["collected_by_account_id"]) == ("WRONG_ACCOUNT", None)
    theirs = await replay_as(world, platforms, ACCOUNT)
    assert (theirs["refund_reason"], theirs["collected_by_account_id"]) == ("WRONG_ACCOUNT", ACCOUNT)
    assert world.metric("wrong_account_total") == 3
    asked = {call.path.split("/")[3]: call.account for call in world.refund_calls()}
    assert asked == {
        lost["razorpay_payment_id"]: OTHER_ACCOUNT,
        ours["razorpay_payment_id"]: None,
        theirs["razorpay_payment_id"]: ACCOUNT,
    }
    # Nobody was asked to start anything, and settlement hears of every one of them.
    assert {said.reason for said in await world.said(PaymentRefundedInFull)} == {"WRONG_ACCOUNT"}


async def test_a_hold_stops_service_and_leaves_the_code_an_end_closes_it(world: World) -> None:
    code = await own_code(world)
    await settlement_says(world, DirectCollection.PAUSED, 2)
    held = await world.payment(await world.pay(code))
    assert (held["refund_reason"], held["collected_by_account_id"]) == ("COLLECTION_STOPPED", ACCOUNT)
    await settlement_says(world, DirectCollection.ALLOWED, 3)
    assert (await world.payment(await world.pay(code)))["state"] == "START_REQUESTED"
    await settlement_says(world, DirectCollection.ENDED, 4)
    world.razorpay.settings.closed_qr = "leak"
    late = await world.payment(await world.pay(code))
    assert late["refund_reason"] in ("QR_CODE_CLOSED", "COLLECTION_STOPPED")
    await world.clock.advance(10)
    assert (await world.call("GET", f"/v1/qr-codes/{code['id']}"))["status"] == "CLOSED"
    assert world.razorpay.state.qr_codes[code["razorpay_qr_code_id"]].status == "closed"
    assert world.metric("direct_code_closed_total") == 1
    (closed,) = [entry for entry in await world.said(AuditRecorded) if entry.action == "close"]
    assert (closed.entity_id, closed.actor) == (code["id"], "payments")
    # The connector is free for a code of the platform's.
    new = await world.call("POST", f"/v1/qr-codes/{code['id']}/regenerate", json={"owner": "platform"}, status=201)
    assert (new["status"], new["owner"]) == ("ACTIVE", "platform")


async def test_a_code_that_was_being_made_when_its_owner_was_stopped_is_closed_as_well(world: World) -> None:
    open_account(world)
    await settlement_says(world, DirectCollection.ALLOWED, 1)
    old = await world.qr_code("CP-7")
    world.razorpay.add_fault(FaultRule(kind="error", when="before_effect", method="POST", path=CREATE))
    async with charging_says(world, CP_7=FRANCHISEE):
        new = await world.call("POST", f"/v1/qr-codes/{old['id']}/regenerate", status=201, **OWN)
    await settlement_says(world, DirectCollection.ENDED, 2)
    await world.clock.advance(120)
    assert (await world.call("GET", f"/v1/qr-codes/{new['id']}"))["status"] == "CLOSED"


@pytest.mark.parametrize("overtaken", [False, True])
async def test_a_site_that_was_given_to_another_takes_one_payment_for_the_wrong_owner_and_no_second(
    world: World, overtaken: bool
) -> None:
    code = await own_code(world)
    payment = await world.payment(await world.pay(code))
    if not overtaken:
        await world.announce(world.started(payment, 4711).model_copy(update={"franchisee_id": 99}))
    await world.announce(world.stopped(payment, 3333, 4711, franchisee_id=99))
    await world.clock.advance(10)
    assert (await world.call("GET", f"/v1/qr-codes/{code['id']}"))["status"] == "CLOSED"
    assert world.metric("wrong_owner_total") == 1
    (billed,) = await world.said(PaymentBilled)
    assert (billed.franchisee_id, billed.collected_by_franchisee_id) == (99, FRANCHISEE)
