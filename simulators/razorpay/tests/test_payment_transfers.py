"""Transfers out of a payment, what a refund does to them, and the linked account's own view."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from razorpay_simulator import OutcomeRule, RazorpaySimulator
from testkit.clock import SteppingClock


def part(account: str, amount: int = 5_000, **more: Any) -> Any:
    return {"account": account, "amount": amount, "currency": "INR", **more}


@pytest.fixture
def split(api: Any) -> Callable[..., Awaitable[Any]]:
    async def transfer(payment: Any, *parts: Any) -> tuple[int, Any]:
        return await api("POST", f"/v1/payments/{payment['id']}/transfers", {"transfers": list(parts)})

    return transfer


async def test_they_are_pending_first_and_learn_their_fees_later(
    api: Any, sandbox: RazorpaySimulator, activated: Any, paid: Any, split: Any, receiver: Any
) -> None:
    account, payment = await activated(), await paid(20_000)
    before = sandbox.balances()[sandbox.settings.account_id]
    status, answer = await split(payment, part(account, 5_000, notes={"a": "b"}, on_hold=True), part(account, 3_000))
    assert (status, answer["entity"], answer["count"]) == (200, "collection", 2)
    first = answer["items"][0]
    assert (first["status"], first["source"], first["processed_at"], first["on_hold"]) == ("pending", payment["id"], None, True)
    assert "fees" not in first
    await sandbox.wait_idle()
    processed = [post.json["payload"]["transfer"]["entity"] for post in receiver.of("transfer.processed")]
    assert sorted((entity["amount"], entity["fees"]) for entity in processed) == [(3_000, 10), (5_000, 15)]
    assert sandbox.balances() == {sandbox.settings.account_id: before - 8_000 - 25, account: 8_000}
    assert (await api("GET", f"/v1/payments/{payment['id']}/transfers"))[1]["count"] == 2
    assert (await api("GET", f"/v1/transfers/{first['id']}"))[1]["settlement_status"] == "on_hold"


@pytest.mark.parametrize(
    ("body", "description"),
    [
        ({}, "The transfers field is required."),
        ({"transfers": "x"}, "The transfers must be an array."),
        ({"transfers": [{"amount": 99}]}, "The transfers.0.amount must be at least 100."),
        ({"transfers": [{"amount": 15_000}, {"amount": 5_001}]}, "The sum of amount requested for transfer is greater than"),
        ({"transfers": [{"amount": 500, "currency": "USD"}]}, "The currency should be INR for transfers"),
    ],
)
async def test_refusals(api: Any, sandbox: RazorpaySimulator, activated: Any, paid: Any, body: Any, description: str) -> None:
    account, payment = await activated(), await paid(20_000)
    if isinstance(body.get("transfers"), list):
        body = {"transfers": [part(account) | item for item in body["transfers"]]}
    status, answer = await api("POST", f"/v1/payments/{payment['id']}/transfers", body)
    assert status == 400
    assert answer["error"]["description"].startswith(description)
    assert sandbox.state.transfers == {}


async def test_not_after_a_refund_and_not_before_the_capture(api: Any, activated: Any, paid: Any, split: Any) -> None:
    account, payment = await activated(), await paid(20_000)
    await api("POST", f"/v1/payments/{payment['id']}/refund", {"amount": 500})
    status, answer = await split(payment, part(account))
    assert (status, answer["error"]["description"]) == (
        400,
        "Transfer on a payment cannot be requested once a refund has been initiated",
    )
    failed = await paid(20_000, outcome="failed")
    _, answer = await split(failed, part(account))
    assert answer["error"]["description"] == "The payment status should be captured for action to be taken"


async def test_nothing_protects_a_repeat(activated: Any, paid: Any, split: Any, sandbox: RazorpaySimulator) -> None:
    account, payment = await activated(), await paid(20_000)
    for _ in range(2):
        await split(payment, part(account))
    await sandbox.wait_idle()
    assert sandbox.balances()[account] == 10_000


async def test_what_leaves_no_room_for_fees_fails_later(
    activated: Any, paid: Any, split: Any, sandbox: RazorpaySimulator, receiver: Any
) -> None:
    account, payment = await activated(), await paid(20_000)
    status, _ = await split(payment, part(account, 20_000))
    assert status == 200
    await sandbox.wait_idle()
    (post,) = receiver.of("transfer.failed")
    error = post.json["payload"]["transfer"]["entity"]["error"]
    assert (error["code"], error["step"]) == ("BAD_REQUEST_PAYMENT_FEES_GREATER_THAN_AMOUNT", "amount_validation")
    assert account not in sandbox.balances()
    await split(payment, part(account, 19_000))
    await sandbox.wait_idle()
    assert sandbox.balances()[account] == 19_000, "the failed one takes no room"


async def test_a_forced_failure_takes_nothing(
    activated: Any, paid: Any, split: Any, sandbox: RazorpaySimulator, receiver: Any
) -> None:
    account, payment = await activated(), await paid(20_000)
    before = sandbox.balances()
    sandbox.add_outcome(OutcomeRule(of="transfer", outcome="failed"))
    await split(payment, part(account))
    await sandbox.wait_idle()
    assert (len(receiver.of("transfer.failed")), sandbox.balances()) == (1, before)


async def test_a_refused_transfer_uses_no_outcome_up(api: Any, activated: Any, sandbox: RazorpaySimulator) -> None:
    account = await activated()
    sandbox.add_outcome(OutcomeRule(of="transfer", outcome="failed"))
    assert (await api("POST", "/v1/transfers", part(account, 100_000_00)))[0] == 400
    assert (await api("POST", "/v1/transfers", part(account, 500)))[1]["status"] == "failed"


async def test_a_full_refund_may_reverse_all(api: Any, activated: Any, paid: Any, split: Any, sandbox: RazorpaySimulator) -> None:
    one, two, payment = await activated(1), await activated(2), await paid(20_000)
    before = sandbox.balances()[sandbox.settings.account_id]
    await split(payment, part(one, 5_000), part(two, 3_000))
    await sandbox.wait_idle()
    path = f"/v1/payments/{payment['id']}/refund"
    _, answer = await api("POST", path, {"amount": 500, "reverse_all": True})
    assert answer["error"]["description"] == "reverse_all is possible with the refund of the whole payment only"
    status, refund = await api("POST", path, {"reverse_all": True})
    assert status == 200
    assert sandbox.balances() == {sandbox.settings.account_id: before - 25 - 20_000, one: 0, two: 0}
    assert {reversal.customer_refund_id for reversal in sandbox.state.reversals.values()} == {refund["id"]}
    assert {transfer.status for transfer in sandbox.state.transfers.values()} == {"reversed"}


async def test_what_is_reversed_pays_for_the_refund(
    api: Any, activated: Any, paid: Any, split: Any, sandbox: RazorpaySimulator
) -> None:
    account, payment = await activated(), await paid(20_000)
    await split(payment, part(account, 15_000))
    await sandbox.wait_idle()
    sandbox.add_funds(5_000 - sandbox.balances()[sandbox.settings.account_id])
    path = f"/v1/payments/{payment['id']}/refund"
    assert (await api("POST", path, {}))[0] == 400, "5,000 and no more"
    assert (await api("POST", path, {"reverse_all": True}))[0] == 200
    assert sandbox.balances() == {sandbox.settings.account_id: 0, account: 0}


async def test_reverse_all_is_all_or_nothing(api: Any, activated: Any, paid: Any, split: Any, sandbox: RazorpaySimulator) -> None:
    one, two, payment = await activated(1), await activated(2), await paid(20_000)
    await split(payment, part(one, 5_000), part(two, 3_000))
    await sandbox.wait_idle()
    sandbox.settle(two)
    before = sandbox.balances()
    status, answer = await api("POST", f"/v1/payments/{payment['id']}/refund", {"reverse_all": True})
    assert status == 400
    assert answer["error"]["description"] == "The linked account does not have sufficient balance to process reversal."
    assert (sandbox.balances(), sandbox.state.refunds, sandbox.state.reversals) == (before, {}, {})


async def test_a_reversal_makes_room_in_the_payment(
    api: Any, activated: Any, paid: Any, split: Any, sandbox: RazorpaySimulator
) -> None:
    account, payment = await activated(), await paid(20_000)
    _, answer = await split(payment, part(account, 15_000))
    await sandbox.wait_idle()
    assert (await split(payment, part(account, 6_000)))[0] == 400
    await api("POST", f"/v1/transfers/{answer['items'][0]['id']}/reversals", {"amount": 10_000})
    assert (await split(payment, part(account, 6_000)))[0] == 200


class TestAsLinkedAccount:
    """`X-Razorpay-Account`: the same endpoints, seen from the other side."""

    async def test_it_sees_its_own_transfers_and_settlements(
        self, api: Any, activated: Any, sandbox: RazorpaySimulator, clock: SteppingClock
    ) -> None:
        one, two = await activated(1), await activated(2)
        _, mine = await api("POST", "/v1/transfers", part(one))
        _, other = await api("POST", "/v1/transfers", part(two))
        (settlement,) = sandbox.settle(one)
        me = {"headers": {"X-Razorpay-Account": one}}
        assert [item["id"] for item in (await api("GET", "/v1/transfers", **me))[1]["items"]] == [mine["id"]]
        assert (await api("GET", f"/v1/transfers/{mine['id']}", **me))[0] == 200
        assert (await api("GET", f"/v1/settlements/{settlement['id']}", **me))[0] == 200
        now = clock.now()
        _, recon = await api("GET", f"/v1/settlements/recon/combined?year={now.year}&month={now.month}", **me)
        assert [(row["entity_id"], row["credit"]) for row in recon["items"]] == [(mine["id"], 5_000)]
        for path in (f"/v1/transfers/{other['id']}", f"/v1/settlements/{sandbox.settle(two)[0]['id']}"):
            status, answer = await api("GET", path, **me)
            assert (status, answer["error"]["description"]) == (400, "The id provided does not exist")

    @pytest.mark.parametrize(("method", "path"), [("GET", "/v1/orders"), ("POST", "/v1/orders"), ("POST", "/v1/transfers")])
    async def test_it_is_never_shown_the_parents_world(self, api: Any, activated: Any, method: str, path: str) -> None:
        status, answer = await api(method, path, headers={"X-Razorpay-Account": await activated()})
        assert (status, answer["error"]["description"]) == (
            400,
            "The sandbox does not serve this to a linked account (X-Razorpay-Account)",
        )
