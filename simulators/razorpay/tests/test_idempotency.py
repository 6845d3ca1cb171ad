"""One effect per key: in turn, at once, after a restart, and with the answer lost."""

import asyncio
from typing import Any

import pytest

from razorpay_simulator import FaultRule, RazorpaySimulator
from testkit.clock import SteppingClock

IN_PROGRESS = "Another request with the same idempotency key is still in progress."
REUSED = "Different request with the same idempotency key has already been processed."


def key(value: str) -> Any:
    return {"headers": {"X-Refund-Idempotency": value}}


def transfer_key(value: str) -> Any:
    return {"headers": {"X-Transfer-Idempotency": value}}


async def test_the_same_request_gets_the_original_answer(api: Any, paid: Any, clock: SteppingClock) -> None:
    payment = await paid(20_000)
    path = f"/v1/payments/{payment['id']}/refund"
    _, first = await api("POST", path, {"amount": 500, "speed": "optimum"}, **key("qr_payment_1"))
    await clock.advance(10)
    assert (await api("GET", f"/v1/refunds/{first['id']}"))[1]["status"] == "processed"
    status, again = await api("POST", path, {"speed": "optimum", "amount": 500}, **key("qr_payment_1"))
    assert (status, again) == (200, first), "the answer of then, and the order of keys does not matter"
    assert (await api("GET", f"/v1/payments/{payment['id']}/refunds"))[1]["count"] == 1


@pytest.mark.parametrize("other", [{"amount": 501}, {"amount": 500, "notes": {"a": "b"}}, {}])
async def test_another_body_is_refused(api: Any, paid: Any, other: Any) -> None:
    payment = await paid(20_000)
    path = f"/v1/payments/{payment['id']}/refund"
    await api("POST", path, {"amount": 500}, **key("qr_payment_1"))
    status, answer = await api("POST", path, other, **key("qr_payment_1"))
    assert (status, answer["error"]["description"]) == (409, REUSED)


async def test_a_key_belongs_to_the_account_not_to_the_payment(api: Any, paid: Any) -> None:
    first, second = await paid(), await paid()
    await api("POST", f"/v1/payments/{first['id']}/refund", {"amount": 500}, **key("qr_payment_1"))
    status, _ = await api("POST", f"/v1/payments/{second['id']}/refund", {"amount": 500}, **key("qr_payment_1"))
    assert status == 409


async def test_a_transfers_key(api: Any, activated: Any) -> None:
    account = await activated()
    body = {"account": account, "amount": 500, "currency": "INR"}
    _, first = await api("POST", "/v1/transfers", body, **transfer_key("txn_1"))
    assert (await api("POST", "/v1/transfers", body, **transfer_key("txn_1")))[1] == first
    status, answer = await api("POST", "/v1/transfers", body | {"amount": 600}, **transfer_key("txn_1"))
    assert (status, answer["error"]["description"]) == (400, REUSED)
    assert (await api("POST", "/v1/transfers", body))[1]["id"] != first["id"], "without a key, nothing protects"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("short", "The idempotency key must be at least 10 characters long."),
        ("qr payment 1", "The idempotency key must only contain alphanumeric characters, underscores, and hyphens"),
    ],
)
async def test_keys_have_a_form(api: Any, paid: Any, value: str, text: str) -> None:
    payment = await paid()
    status, answer = await api("POST", f"/v1/payments/{payment['id']}/refund", {}, **key(value))
    assert (status, answer["error"]["description"]) == (400, text)


@pytest.mark.parametrize(("value", "status"), [("txn", 400), ("txn_", 200), ("x" * 36, 200), ("x" * 37, 400), ("a/b/c", 400)])
async def test_transfer_keys_have_another_form(api: Any, activated: Any, value: str, status: int) -> None:
    body = {"account": await activated(), "amount": 500, "currency": "INR"}
    assert (await api("POST", "/v1/transfers", body, **transfer_key(value)))[0] == status


async def test_errors_are_not_stored(api: Any, paid: Any, sandbox: RazorpaySimulator) -> None:
    payment = await paid(20_000)
    path = f"/v1/payments/{payment['id']}/refund"
    sandbox.add_funds(-sandbox.balances()[sandbox.settings.account_id])
    assert (await api("POST", path, {"amount": 500}, **key("qr_payment_1")))[0] == 400
    sandbox.add_funds(500)
    assert (await api("POST", path, {"amount": 500}, **key("qr_payment_1")))[0] == 200


async def test_at_once_there_is_one_effect_and_the_rest_are_told_to_wait(
    until: Any, api: Any, activated: Any, sandbox: RazorpaySimulator, clock: SteppingClock
) -> None:
    account = await activated()
    sandbox.add_fault(FaultRule(kind="slow", seconds=3, path="/v1/transfers", method="POST"))
    body = {"account": account, "amount": 500, "currency": "INR"}
    slow = asyncio.ensure_future(api("POST", "/v1/transfers", body, **transfer_key("txn_1")))
    await until(lambda: any(request.fault for request in sandbox.requests()))
    answers = await asyncio.gather(*[api("POST", "/v1/transfers", body, **transfer_key("txn_1")) for _ in range(5)])
    assert {(status, answer["error"]["description"]) for status, answer in answers} == {(409, IN_PROGRESS)}
    await clock.advance(3)
    status, first = await slow
    assert status == 200
    replays = await asyncio.gather(*[api("POST", "/v1/transfers", body, **transfer_key("txn_1")) for _ in range(5)])
    assert all(answer == first for _, answer in replays)
    assert sandbox.balances()[account] == 500


async def test_two_operations_on_one_payment(
    until: Any, api: Any, paid: Any, sandbox: RazorpaySimulator, clock: SteppingClock
) -> None:
    payment = await paid()
    path = f"/v1/payments/{payment['id']}/refund"
    sandbox.add_fault(FaultRule(kind="slow", seconds=3, path=path))
    slow = asyncio.ensure_future(api("POST", path, {"amount": 500}))
    await until(lambda: any(request.fault for request in sandbox.requests()))
    status, answer = await api("POST", path, {"amount": 500})
    assert (status, answer["error"]["description"]) == (
        400,
        "Request failed because another payment operation is in progress.",
    )
    await clock.advance(3)
    assert (await slow)[0] == 200


async def test_fifty_at_once_refund_once(api: Any, paid: Any, sandbox: RazorpaySimulator) -> None:
    payment = await paid(20_000)
    path = f"/v1/payments/{payment['id']}/refund"
    answers = await asyncio.gather(*[api("POST", path, {"amount": 500}, **key("qr_payment_1")) for _ in range(50)])
    assert {answer["id"] for status, answer in answers if status == 200} == set(sandbox.state.refunds)
    assert len(sandbox.state.refunds) == 1
