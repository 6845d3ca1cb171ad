"""Faults on demand, authentication, the request log, the control API's own manners."""

import asyncio
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from razorpay_simulator import FaultRule, RazorpaySimulator
from testkit.clock import SteppingClock

REFUNDS = "/v1/payments/*/refund"


async def test_before_the_effect_nothing_happens(api: Any, paid: Any, sandbox: RazorpaySimulator) -> None:
    payment = await paid()
    path = f"/v1/payments/{payment['id']}/refund"
    sandbox.add_fault(FaultRule(kind="error", path=REFUNDS, times=2))
    for _ in range(2):
        status, answer = await api("POST", path, {"amount": 500})
        assert (status, answer["error"]["code"]) == (500, "SERVER_ERROR")
    assert sandbox.state.refunds == {}
    assert (await api("POST", path, {"amount": 500}))[0] == 200


async def test_after_the_effect_only_the_answer_is_lost(api: Any, paid: Any, sandbox: RazorpaySimulator) -> None:
    payment = await paid()
    path = f"/v1/payments/{payment['id']}/refund"
    headers = {"X-Refund-Idempotency": "qr_payment_1"}
    sandbox.add_fault(FaultRule(kind="error", when="after_effect", status=502, path=REFUNDS))
    status, answer = await api("POST", path, {"amount": 500}, headers=headers)
    assert (status, answer["error"]["code"]) == (502, "GATEWAY_ERROR")
    (refund,) = sandbox.state.refunds.values()
    status, answer = await api("POST", path, {"amount": 500}, headers=headers)
    assert (status, answer["id"]) == (200, refund.id)
    assert len(sandbox.state.refunds) == 1


@pytest.mark.parametrize(
    ("fault", "status", "description"),
    [
        ({"kind": "conflict"}, 409, "Another request with the same idempotency key is still in progress."),
        ({"kind": "throttle"}, 429, "Too many requests"),
        ({"kind": "error", "status": 400, "description": "invalid request sent"}, 400, "invalid request sent"),
    ],
)
async def test_answers_of_choice(api: Any, fault: Any, status: int, description: str) -> None:
    assert (await api("POST", "/_sandbox/faults", fault))[0] == 200
    got, answer = await api("GET", "/v1/payments")
    assert (got, answer["error"]["description"]) == (status, description)


async def test_a_proxys_page(sandbox: RazorpaySimulator, sdk: Any) -> None:
    import requests

    sandbox.add_fault(FaultRule(kind="html"))
    with pytest.raises(requests.exceptions.JSONDecodeError):
        await asyncio.to_thread(sdk.payment.all)


async def test_a_cut_connection(api: Any, sandbox: RazorpaySimulator, qr_body: Any) -> None:
    sandbox.add_fault(FaultRule(kind="reset", when="after_effect"))
    with pytest.raises(aiohttp.ClientError):
        await api("POST", "/v1/payments/qr_codes", qr_body)
    assert len(sandbox.state.qr_codes) == 1
    (request,) = sandbox.requests("POST")
    assert (request.status, request.fault) == (None, "reset after_effect")


async def test_no_answer_at_all(until: Any, build: Any, connect: Any, qr_body: Any) -> None:
    sandbox = await build()
    api = connect(sandbox)
    sandbox.add_fault(FaultRule(kind="hang", when="after_effect"))
    hanging = asyncio.ensure_future(api("POST", "/v1/payments/qr_codes", qr_body))
    await until(lambda: sandbox.state.qr_codes)
    await sandbox.wait_idle()
    assert not hanging.done()
    await sandbox.stop()
    with pytest.raises(aiohttp.ClientError):
        await hanging


async def test_slow_answers_take_time_on_the_clock(
    until: Any, api: Any, sandbox: RazorpaySimulator, clock: SteppingClock
) -> None:
    sandbox.add_fault(FaultRule(kind="slow", seconds=7, method="GET"))
    slow = asyncio.ensure_future(api("GET", "/v1/payments"))
    await until(lambda: [request.fault for request in sandbox.requests()] == ["slow before_effect"])
    assert not slow.done()
    await clock.advance(7)
    assert (await slow)[0] == 200


async def test_a_fault_may_wait_its_turn(api: Any, sandbox: RazorpaySimulator) -> None:
    sandbox.add_fault(FaultRule(kind="error", after=2))
    assert [(await api("GET", "/v1/payments"))[0] for _ in range(4)] == [200, 200, 500, 200]


@pytest.mark.parametrize(
    ("header", "description"),
    [
        (None, "The api key provided is invalid"),
        ("Bearer x", "The api key provided is invalid"),
        ("Basic !!", "The api key provided is invalid"),
        (aiohttp.encode_basic_auth("rzp_test_other", "x"), "The api key provided is invalid"),
        (aiohttp.encode_basic_auth("rzp_test_sandbox0000001", "x"), "The api secret provided is invalid"),
    ],
)
async def test_wrong_keys(sandbox: RazorpaySimulator, header: str | None, description: str) -> None:
    headers = {} if header is None else {"Authorization": header}
    async with aiohttp.ClientSession() as session, session.get(sandbox.base_url + "/v1/payments", headers=headers) as answer:
        assert (answer.status, (await answer.json())["error"]["description"]) == (401, description)


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/nothing"), ("PUT", "/v1/payments"), ("GET", "/v2/")])
async def test_unknown_urls(api: Any, method: str, path: str) -> None:
    status, answer = await api(method, path)
    assert (status, answer["error"]["description"]) == (400, "The requested URL was not found on the server.")


async def test_the_log_knows_what_was_asked(api: Any, paid: Any) -> None:
    payment = await paid()
    headers = {"X-Refund-Idempotency": "qr_payment_1"}
    await api("POST", f"/v1/payments/{payment['id']}/refund", {"amount": 500}, headers=headers)
    _, found = await api("GET", f"/_sandbox/requests?method=POST&path={REFUNDS}")
    (request,) = found
    assert (request["idempotency_key"], request["body"], request["status"]) == ("qr_payment_1", {"amount": 500}, 200)
    assert request["answer"]["entity"] == "refund"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/_sandbox/qr/qr_x/pay", {"amount": 100}, 400),
        ("/_sandbox/qr/qr_x/pay", {"amount": 0}, 422),
        ("/_sandbox/qr/qr_x/pay", {"amount": 5, "color": "red"}, 422),
        ("/_sandbox/settle", {"account": "acc_x"}, 400),
        ("/_sandbox/accounts/acc_x/kyc", {"state": "activated"}, 400),
        ("/_sandbox/faults", {"kind": "earthquake"}, 422),
        ("/_sandbox/events/evt/replay", None, 400),
    ],
)
async def test_the_control_api_explains_itself(api: Any, path: str, body: Any, status: int) -> None:
    got, answer = await api("POST", path, body)
    assert got == status
    assert answer["error"]


async def test_reset_forgets_all_but_the_receivers(
    api: Any, sandbox: RazorpaySimulator, paid: Any, receiver: Any, clock: SteppingClock
) -> None:
    payment = await paid()
    await api("POST", f"/v1/payments/{payment['id']}/refund", {"speed": "optimum"})
    await sandbox.wait_idle()
    before = len(receiver.posts)
    assert (await api("POST", "/_sandbox/reset"))[0] == 200
    assert sandbox.balances() == {sandbox.settings.account_id: 100_000_00}
    assert (await api("GET", "/v1/payments"))[1]["count"] == 0
    await clock.advance(60)
    assert len(receiver.posts) == before, "the refund's timer is gone with it"
    await paid()
    await sandbox.wait_idle()
    assert len(receiver.posts) > before


JUNK: list[Any] = [None, True, 0, -1, 2**63, 1.5, "", "x" * 300, "\x00<>", [], [1], [{}], {}, {"a": 1}, {"a": {"b": []}}]


Place = tuple[str | int, ...]


def places(body: Any, path: Place = ()) -> Iterator[Place]:
    """The path of every value in a body, the body's own included."""
    yield path
    inside = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for name, value in inside:
        yield from places(value, (*path, name))


def replaced(body: Any, path: Place, junk: Any) -> Any:
    if not path:
        return junk
    inner = replaced(body[path[0]], path[1:], junk)
    return body | {path[0]: inner} if isinstance(body, dict) else [*body[: path[0]], inner, *body[path[0] + 1 :]]


async def test_no_value_anywhere_is_answered_with_a_server_error(
    api: Any, account_body: Any, qr_body: Any, bank: Any, paid: Any
) -> None:
    payment = await paid()
    address = account_body["profile"]["addresses"]["registered"]
    _, made = await api("POST", "/v2/accounts", account_body | {"email": "known@x.example", "reference_id": "known"})
    account = f"/v2/accounts/{made['id']}"
    await api("POST", f"/_sandbox/accounts/{made['id']}/kyc", {"state": "activated_kyc_pending"})
    _, product = await api("POST", f"{account}/products", {"product_name": "route"})
    holder = {
        "name": "Asha Rao",
        "email": "asha@x.example",
        "phone": {"primary": "9000090000"},
        "kyc": {"pan": "AVOPB1111K"},
        "addresses": {"residential": address | {"street": "507, MG Road"}},
    }
    transfer = {"account": made["id"], "amount": 500, "currency": "INR", "notes": {"a": "b"}, "linked_account_notes": ["a"]}
    order = {"amount": 500, "currency": "INR", "receipt": "r", "notes": {"a": "b"}, "partial_payment": True}
    order |= {"first_payment_min_amount": 100, "payment_capture": 0, "unique_receipt": False}
    _, ordered = await api("POST", "/v1/orders", order)
    _, waiting = await api("POST", f"/_sandbox/orders/{ordered['id']}/pay", {"outcome": "authorized"})
    hook = {"url": "https://x.example", "secret": "s", "alert_email": "a@x.example", "active": True}
    _, hooked = await api("POST", "/v1/webhooks", hook | {"events": {"order.paid": 1}})
    requests: list[tuple[str, str, Any]] = [
        ("POST", "/v1/orders", order),
        ("PATCH", f"/v1/orders/{ordered['id']}", {"notes": {"a": "b"}}),
        ("POST", f"/v1/payments/{waiting['payment']['id']}/capture", {"amount": 500, "currency": "INR"}),
        ("PATCH", f"/v1/payments/{payment['id']}", {"notes": {"a": "b"}}),
        ("POST", f"/v1/payments/{payment['id']}/transfers", {"transfers": [transfer, transfer]}),
        ("PUT", f"/v1/webhooks/{hooked['id']}", hook | {"events": {"order.paid": 1}}),
        ("POST", f"{account}/webhooks", hook | {"events": ["order.paid", "refund.failed"]}),
        ("POST", "/v1/payments/qr_codes", qr_body | {"close_by": None, "description": "x", "customer_id": None}),
        ("POST", "/v2/accounts", account_body | {"notes": {"a": "b"}}),
        ("PATCH", account, {"profile": account_body["profile"], "legal_info": account_body["legal_info"], "notes": {}}),
        ("POST", f"{account}/stakeholders", holder),
        ("POST", f"{account}/products", {"product_name": "route", "tnc_accepted": True}),
        ("PATCH", f"{account}/products/{product['id']}", {"settlements": bank, "tnc_accepted": True}),
        ("POST", "/v1/transfers", transfer | {"on_hold": True, "on_hold_until": 1_900_000_000}),
        ("POST", f"/v1/payments/{payment['id']}/refund", {"amount": 500, "speed": "normal", "receipt": "r", "notes": {"a": "b"}}),
        ("POST", "/v1/refunds", {"payment_id": payment["id"], "amount": 500}),
    ]
    for method, path, body in requests:
        for place in places(body):
            for number, junk in enumerate(JUNK):
                if path == "/v2/accounts":  # an account that is accepted must not stand in the way of the next
                    name = "-".join(map(str, (*place, number)))
                    body |= {"email": f"{name}@x.example"[-60:], "reference_id": name[-20:]}
                status, answer = await api(method, path, replaced(body, place, junk))
                assert status in (200, 400), (method, path, place, junk, answer)
    # Whatever was accepted can still be shown, and what was not has changed nothing.
    shown = ["/v1/orders", "/v1/webhooks", "/v1/payments/qr_codes", "/v1/payments", "/v1/refunds", "/v1/transfers"]
    for path in [*shown, account, f"{account}/webhooks", f"{account}/stakeholders"]:
        assert (await api("GET", path))[0] == 200


async def test_a_fault_of_one_request_among_its_like(api: Any, paid: Any, account_body: Any, sandbox: RazorpaySimulator) -> None:
    one, other = await paid(), await paid()
    for having, refused in ((one["id"], {one["id"]}), ('"note": "of this one"', {other["id"]})):
        sandbox.add_fault(FaultRule(kind="error", path=REFUNDS, having=having))
        got = {}
        for payment in (one, other):
            body = {"amount": 200, "notes": {"note": "of this one" if payment is other else "of that"}}
            got[payment["id"]] = (await api("POST", f"/v1/payments/{payment['id']}/refund", body))[0]
        assert {payment for payment, status in got.items() if status == 500} == refused
    sandbox.add_fault(FaultRule(kind="throttle", path="/v1/payments", having="skip=7"))
    assert (await api("GET", "/v1/payments?skip=6"))[0] == 200
    assert (await api("GET", "/v1/payments?skip=7"))[0] == 429
    account = (await api("POST", "/v2/accounts", account_body))[1]["id"]
    sandbox.add_fault(FaultRule(kind="throttle", path="/v1/payments", having=account))
    assert (await api("GET", "/v1/payments"))[0] == 200
    assert (await api("GET", "/v1/payments", headers={"X-Razorpay-Account": account}))[0] == 429
