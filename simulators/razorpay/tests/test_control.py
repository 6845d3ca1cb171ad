"""The control API: each control is there over HTTP and in Python, and does what it says."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from razorpay_simulator import OutcomeRule, RazorpaySimulator, SystemClock
from razorpay_simulator.control import ControlApi
from razorpay_simulator.faults import Faults, RequestLog
from razorpay_simulator.rest import RestApi
from razorpay_simulator.settings import DAY
from testkit.clock import SteppingClock

README = Path(__file__).resolve().parents[1] / "README.md"

# Route → the simulator's own attribute with the same effect (dotted where it is the webhooks').
IN_PYTHON = {
    "GET /health": "pending",
    "POST /reset": "reset",
    "GET /clock": "now",
    "POST /clock": "set_clock_forward",
    "POST /qr/{id}/pay": "pay",
    "POST /orders/{id}/pay": "pay_order",
    "PATCH /payments/{id}": "patch_payment",
    "POST /payments/{id}/authorize": "authorize_payment",
    "POST /accounts/{id}/kyc": "move_kyc",
    "POST /accounts/{id}/penny-test-failure": "fail_penny_test",
    "POST /settle": "settle",
    "GET /balances": "balances",
    "POST /funds": "add_funds",
    "POST /adjustments": "adjust",
    "GET /outcomes": "outcomes",
    "POST /outcomes": "add_outcome",
    "DELETE /outcomes": "clear_outcomes",
    "GET /faults": "faults",
    "POST /faults": "add_fault",
    "DELETE /faults": "clear_faults",
    "GET /requests": "requests",
    "GET /webhook-rules": "webhook_rules",
    "POST /webhook-rules": "add_webhook_rule",
    "DELETE /webhook-rules": "clear_webhook_rules",
    "GET /webhooks": "state.endpoints",
    "POST /webhooks": "webhooks.add_endpoint",
    "PATCH /webhooks/{id}": "webhooks.change_endpoint",
    "DELETE /webhooks/{id}": "webhooks.remove_endpoint",
    "GET /events": "events",
    "POST /events": "send_event",
    "POST /events/replay": "webhooks.replay",
    "POST /events/{id}/replay": "webhooks.replay",
    "GET /deliveries": "attempts",
}


def routes(part: Any) -> set[str]:
    router = web.UrlDispatcher()
    part.add_routes(router)
    found = {f"{route.method} {route.resource.canonical}" for route in router.routes() if route.resource is not None}
    return {name for name in found if not name.startswith("HEAD ")}


async def test_every_control_is_there_in_python_too() -> None:
    simulator = RazorpaySimulator()
    served = {name.replace("/_sandbox", "") for name in routes(ControlApi(simulator))}
    assert served == set(IN_PYTHON)
    for attribute in IN_PYTHON.values():
        target: Any = simulator
        for name in attribute.split("."):
            target = getattr(target, name)


async def test_the_readme_names_every_route() -> None:
    simulator = RazorpaySimulator()

    async def never() -> None: ...

    rest = routes(RestApi(simulator.worlds, Faults(), RequestLog(1), never))
    told = re.sub(r"\{[a-z]+\}", "{id}", README.read_text())
    missing = []
    for name in rest | routes(ControlApi(simulator)):
        method, _, path = re.sub(r"\{[a-z]+\}", "{id}", name).partition(" ")
        line = rf"`[A-Z ]*\b{method}\b[A-Z ]* {re.escape(path.removeprefix('/_sandbox'))}`"
        if method != "*" and not re.search(line, told):
            missing.append(name)
    assert missing == [], "add them to the tables in simulators/razorpay/README.md"


class TestClock:
    async def test_who_sleeps_wakes_when_the_clock_is_set_forward(self) -> None:
        clock = SystemClock()
        sleeper = asyncio.ensure_future(clock.sleep(2 * DAY))
        await asyncio.sleep(0)
        before = clock.now()
        clock.set_forward(DAY)
        for _ in range(10):
            await asyncio.sleep(0)
        assert not sleeper.done()
        clock.set_forward(DAY)
        async with asyncio.timeout(10):
            await sleeper
        assert (clock.now() - before).total_seconds() >= 2 * DAY

    async def test_over_http(self, connect: Any, qr_body: Any) -> None:
        simulator = RazorpaySimulator()
        await simulator.start()
        api = connect(simulator)
        _, qr = await api("POST", "/v1/payments/qr_codes", qr_body)
        _, answer = await api("POST", f"/_sandbox/qr/{qr['id']}/pay", {"amount": 20_000})
        simulator.add_funds(20_000)
        _, refund = await api("POST", f"/v1/payments/{answer['payment']['id']}/refund", {"amount": 500})
        _, before = await api("GET", "/_sandbox/clock")
        status, after = await api("POST", "/_sandbox/clock", {"forward": 5 * DAY})
        assert (status, after["now"] - before["now"] >= 5 * DAY) == (200, True)
        async with asyncio.timeout(10):
            while (await api("GET", f"/v1/refunds/{refund['id']}"))[1]["status"] != "processed":
                await asyncio.sleep(0)
        await simulator.stop()

    async def test_a_tests_clock_is_the_tests(self, api: Any) -> None:
        status, answer = await api("POST", "/_sandbox/clock", {"forward": 5})
        assert (status, answer["error"]) == (400, "this sandbox runs on the clock of its test: step that one")


class TestReserve:
    async def test_the_balance_may_be_overdrawn_as_far_as_the_reserve(self, build: Any, connect: Any, qr_body: Any) -> None:
        sandbox = await build()
        api = connect(sandbox)
        _, qr = await api("POST", "/v1/payments/qr_codes", qr_body)
        _, answer = await api("POST", f"/_sandbox/qr/{qr['id']}/pay", {"amount": 20_000})
        path = f"/v1/payments/{answer['payment']['id']}/refund"
        assert (await api("POST", path))[0] == 400
        _, answer = await api("POST", "/_sandbox/funds", {"reserve": 471})
        assert answer == {"balance": 20_000 - 472, "reserve": 471}
        assert (await api("POST", path))[0] == 400
        await api("POST", "/_sandbox/funds", {"reserve": 472})
        assert (await api("POST", path))[0] == 200
        assert (await api("GET", "/_sandbox/balances"))[1]["balances"] == {sandbox.settings.account_id: -472}
        assert sandbox.settle_own() is None, "there is nothing to pay out of a debt"
        await api("POST", "/_sandbox/reset")
        assert (await api("GET", "/_sandbox/balances"))[1]["reserve"] == 0


class TestPennyTest:
    @pytest.fixture
    def apply(self, account_body: Any, bank: Any) -> Any:
        async def apply_with(api: Any) -> tuple[str, str]:
            _, account = await api("POST", "/v2/accounts", account_body)
            path = f"/v2/accounts/{account['id']}/products"
            _, product = await api("POST", path, {"product_name": "route", "tnc_accepted": True})
            await api("PATCH", f"{path}/{product['id']}", {"settlements": bank})
            return account["id"], f"{path}/{product['id']}"

        return apply_with

    async def test_a_reviews_penny_test_may_fail(
        self, build: Any, connect: Any, receiver: Any, clock: SteppingClock, apply: Any, bank: Any
    ) -> None:
        sandbox = await build(activation_seconds=3600)
        api = connect(sandbox)
        sandbox.add_outcome(OutcomeRule(of="penny_test", outcome="failed"))
        _, product = await apply(api)
        await clock.advance(3600)
        _, seen = await api("GET", product)
        assert seen["activation_status"] == "needs_clarification"
        (post,) = receiver.of("product.route.needs_clarification")
        (requirement,) = post.json["payload"]["merchant_product"]["data"]["requirements"]
        assert requirement["description"] == "Max retry exceeded for bank account details."
        (post,) = receiver.of("account.needs_clarification")
        merchant = post.json["payload"]["account"]["entity"]["merchant_detail"]
        assert merchant["bank_details_verification_status"] == "failed"

        await api("PATCH", product, {"settlements": bank | {"ifsc_code": "HDFC0000318"}})
        await clock.advance(3600)
        assert (await api("GET", product))[1]["activation_status"] == "activated", "the outcome was for one test"
        merchant = receiver.of("account.activated")[0].json["payload"]["account"]["entity"]["merchant_detail"]
        assert merchant["bank_details_verification_status"] == "verified"

    async def test_on_demand(self, api: Any, apply: Any) -> None:
        account, product = await apply(api)
        status, answer = await api("POST", f"/_sandbox/accounts/{account}/penny-test-failure")
        assert (status, answer["bank"], answer["hold_funds"]) == (200, "failed", True)
        assert (await api("GET", product))[1]["activation_status"] == "needs_clarification"
        assert (await api("POST", "/_sandbox/accounts/acc_x/penny-test-failure"))[0] == 400

    async def test_some_accounts_wait_in_silence(self, build: Any, connect: Any, receiver: Any, apply: Any) -> None:
        sandbox = await build(silent_subcategories=["electricity"])
        api = connect(sandbox)
        account, product = await apply(api)
        _, seen = await api("GET", product)
        assert (seen["activation_status"], seen["requirements"]) == ("needs_clarification", [])
        await sandbox.wait_idle()
        assert receiver.posts == []
        await api("PATCH", f"/v2/accounts/{account}", {"profile": {"subcategory": "gas"}})
        assert (await api("GET", product))[1]["activation_status"] == "under_review"


class TestHeldFunds:
    async def test_nothing_is_settled_meanwhile_and_what_was_due_right_after(
        self, api: Any, sandbox: RazorpaySimulator, activated: Any, clock: SteppingClock, receiver: Any
    ) -> None:
        account = await activated()
        await api("POST", "/v1/transfers", {"account": account, "amount": 500, "currency": "INR"})
        sandbox.move_kyc(account, "funds_hold")
        await clock.advance(3 * DAY)
        assert (receiver.of("settlement.processed"), sandbox.settle(account)) == ([], [])
        sandbox.move_kyc(account, "funds_unhold")
        await clock.advance(1)
        assert [post.json["payload"]["settlement"]["entity"]["amount"] for post in receiver.of("settlement.processed")] == [500]

    async def test_what_is_not_due_yet_still_waits(
        self, api: Any, sandbox: RazorpaySimulator, activated: Any, clock: SteppingClock, receiver: Any
    ) -> None:
        account = await activated()
        await api("POST", "/v1/transfers", {"account": account, "amount": 500, "currency": "INR"})
        for state in ("funds_hold", "funds_unhold"):
            sandbox.move_kyc(account, state)  # type: ignore[arg-type]
        await clock.advance(2 * DAY - 1)
        assert receiver.of("settlement.processed") == []
        await clock.advance(1)
        assert len(receiver.of("settlement.processed")) == 1


async def test_oddities_of_live_accounts(build: Any, connect: Any, account_body: Any) -> None:
    api = connect(await build(account_oddities=True))
    _, account = await api("POST", "/v2/accounts", account_body | {"business_type": "individual"})
    assert (account["business_type"], account["phone"]) == ("not_yet_registered", "+919000090000")


async def test_outcomes_can_be_seen_and_taken_back(api: Any, paid: Any, clock: SteppingClock) -> None:
    await api("POST", "/_sandbox/outcomes", {"of": "refund", "outcome": "failed", "times": 2})
    assert (await api("GET", "/_sandbox/outcomes"))[1] == [{"of": "refund", "outcome": "failed", "times": 2, "reason": None}]
    await api("DELETE", "/_sandbox/outcomes")
    payment = await paid()
    _, refund = await api("POST", f"/v1/payments/{payment['id']}/refund", {"amount": 500, "speed": "optimum"})
    await clock.advance(2)
    assert (await api("GET", f"/v1/refunds/{refund['id']}"))[1]["status"] == "processed"


@pytest.mark.parametrize(
    ("rule", "posts"),
    [
        ({"kind": "duplicate", "count": 2}, 3),
        ({"kind": "concurrent", "count": 2}, 2),
        ({"kind": "delay", "seconds": 30}, 0),
        ({"kind": "drop"}, 0),
        ({"kind": "tampered"}, 2),
        ({"kind": "wrong_secret"}, 2),
        ({"kind": "other_body"}, 2),
        ({"kind": "foreign_account"}, 2),
        ({"kind": "reorder", "count": 2}, 0),
        ({"kind": "before_answer"}, 1),
    ],
)
async def test_every_deviation_of_webhooks_over_http(
    api: Any, sandbox: RazorpaySimulator, receiver: Any, rule: Any, posts: int
) -> None:
    assert (await api("POST", "/_sandbox/webhook-rules", rule))[0] == 200
    _, (shown,) = await api("GET", "/_sandbox/webhook-rules")
    assert shown["kind"] == rule["kind"]
    _, event = await api("POST", "/_sandbox/events", {"event": "invoice.paid", "payload": {"invoice": {"entity": {"amount": 5}}}})
    await sandbox.wait_idle()
    assert len(receiver.posts) == posts
    if rule["kind"] == "drop":
        await api("POST", f"/_sandbox/events/{event['id']}/replay")
        await sandbox.wait_idle()
        assert [attempt["status"] for attempt in (await api("GET", "/_sandbox/deliveries"))[1]] == [200]
    await api("DELETE", "/_sandbox/webhook-rules")
    assert (await api("GET", "/_sandbox/webhook-rules"))[1] == []


async def test_receivers_over_http(api: Any, sandbox: RazorpaySimulator, receiver: Any) -> None:
    _, made = await api("POST", "/_sandbox/webhooks", {"url": receiver.url, "secret": "second", "events": ["order.paid"]})
    _, changed = await api("PATCH", f"/_sandbox/webhooks/{made['id']}", {"enabled": False, "secret": "third"})
    assert (changed["secret"], changed["events"], changed["disabled_at"] is None) == ("third", ["order.paid"], False)
    await api("PATCH", f"/_sandbox/webhooks/{made['id']}", {"enabled": True})
    sandbox.send_event("order.paid", {"order": {"entity": {}}})
    await sandbox.wait_idle()
    assert len(receiver.posts) == 2
    await api("DELETE", f"/_sandbox/webhooks/{made['id']}")
    assert made["id"] not in [endpoint["id"] for endpoint in (await api("GET", "/_sandbox/webhooks"))[1]]
