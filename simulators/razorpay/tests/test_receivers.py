"""Webhooks managed by the API, the owner's and a linked account's, and the schedule as configuration."""

from typing import Any

import pytest

from razorpay_simulator import RazorpaySimulator, WebhookRule
from razorpay_simulator.settings import DAY, SandboxSettings
from testkit.clock import SteppingClock

OWN = "/v1/webhooks"
HOOK = {"url": "https://x.example/hook", "alert_email": "a@x.example", "secret": "whsec-2", "events": {"refund.processed": 1}}


async def test_an_own_receiver(api: Any, sandbox: RazorpaySimulator, clock: SteppingClock) -> None:
    status, made = await api("POST", OWN, HOOK | {"events": {"refund.processed": 1, "order.paid": "1", "refund.failed": 0}})
    assert status == 200
    now = int(clock.now().timestamp())
    assert made == {
        "id": made["id"],
        "entity": "webhook",
        "created_at": now,
        "updated_at": now,
        "service": "beta-api-test",
        "owner_id": "SandboxParent1",
        "owner_type": "merchant",
        "context": [],
        "disabled_at": 0,
        "url": "https://x.example/hook",
        "alert_email": "a@x.example",
        "secret_exists": True,
        "active": True,
        "events": ["refund.processed", "order.paid"],
    }
    assert (await api("GET", f"{OWN}/{made['id']}"))[1] == made
    await clock.advance(10)
    _, changed = await api("PUT", f"{OWN}/{made['id']}", {"events": {"order.paid": 1}, "active": False})
    assert (changed["events"], changed["active"], changed["disabled_at"]) == (["order.paid"], False, now + 10)
    assert changed["updated_at"] == now + 10
    _, changed = await api("PUT", f"{OWN}/{made['id']}", {"active": True})
    assert (changed["active"], changed["disabled_at"], changed["url"]) == (True, 0, HOOK["url"])
    listed = (await api("GET", OWN))[1]
    assert listed["items"][0]["id"] == made["id"]
    assert listed["count"] == 2, "the settings' receiver is there too"


@pytest.mark.parametrize(
    ("change", "description"),
    [
        ({"url": None}, "The url field is required."),
        ({"url": "x.example"}, "The url format is invalid."),
        ({"url": "https://x.example/" + "x" * 250}, "The url may not be greater than 255 characters."),
        ({"events": None}, "The events field is required."),
        ({"events": ["refund.processed", "order.paid"]}, "Invalid event name/names: 0, 1"),
        ({"events": {"payment.pending": 1}}, "Invalid event name/names: payment.pending"),
        ({"events": "refund.processed"}, "The events must be an array."),
        ({"alert_email": "nobody"}, "The alert email must be a valid email address."),
        ({"colour": 1}, "colour is/are not required and should not be sent"),
    ],
)
async def test_refusals(api: Any, sandbox: RazorpaySimulator, change: Any, description: str) -> None:
    status, answer = await api("POST", OWN, HOOK | change)
    assert (status, answer["error"]["description"]) == (400, description)
    assert len(sandbox.state.endpoints) == 1


async def test_a_refused_change_changes_nothing(api: Any, sandbox: RazorpaySimulator) -> None:
    _, made = await api("POST", OWN, HOOK)
    assert (await api("PUT", f"{OWN}/{made['id']}", {"url": "https://y.example", "alert_email": "nobody"}))[0] == 400
    assert (await api("GET", f"{OWN}/{made['id']}"))[1] == made


async def test_there_is_room_for_thirty(api: Any) -> None:
    for _ in range(29):
        assert (await api("POST", OWN, HOOK))[0] == 200
    status, answer = await api("POST", OWN, HOOK)
    assert (status, answer["error"]["description"]) == (400, "Only 30 webhooks can be set up for an account")


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("https://x.example", 200),
        ("https://x.example:443/a?b", 200),
        ("http://x.example:8080/a", 400),
        ("http://localhost/a", 400),
        ("http://10.0.0.1/a", 400),
    ],
)
async def test_addresses_may_be_held_to_razorpays_rules(build: Any, connect: Any, url: str, status: int) -> None:
    api = connect(await build(webhook_urls="public"))
    assert (await api("POST", OWN, HOOK | {"url": url}))[0] == status


async def test_a_linked_accounts_receiver_hears_of_that_account_only(
    api: Any, sandbox: RazorpaySimulator, activated: Any, receiver: Any
) -> None:
    one, two = await activated(1), await activated(2)
    path = f"/v2/accounts/{one}/webhooks"
    wanted = ["settlement.processed", "account.funds_hold"]
    _, made = await api("POST", path, {"url": receiver.url + "?linked", "secret": "whsec-linked", "events": wanted})
    assert (made["owner_id"], made["events"]) == (one.removeprefix("acc_"), wanted)
    assert (await api("GET", path))[1]["items"] == [made]
    assert (await api("GET", f"/v2/accounts/{two}/webhooks/{made['id']}"))[0] == 400, "another's is not shown"
    assert (await api("GET", f"{OWN}/{made['id']}"))[0] == 400
    for account in (one, two):
        sandbox.move_kyc(account, "funds_hold")
    await sandbox.wait_idle()
    assert [attempt.event for attempt in sandbox.attempts if "linked" in attempt.url] == ["account.funds_hold"]
    assert len(receiver.of("account.funds_hold")) == 2 + 1, "the parent's receiver hears of both"

    _, changed = await api("PATCH", f"{path}/{made['id']}", {"events": ["account.activated"]})
    assert changed["events"] == ["account.activated"]
    assert await api("DELETE", f"{path}/{made['id']}") == (200, [])
    assert (await api("GET", path))[1]["count"] == 0


async def test_without_a_secret_nothing_is_signed(api: Any, sandbox: RazorpaySimulator, receiver: Any) -> None:
    for endpoint in list(sandbox.state.endpoints):
        sandbox.webhooks.remove_endpoint(endpoint)
    _, made = await api("POST", OWN, {"url": receiver.url, "events": {"order.paid": 1}})
    assert made["secret_exists"] is False
    sandbox.send_event("order.paid", {"order": {"entity": {}}})
    await sandbox.wait_idle()
    assert [post.signature for post in receiver.posts] == [""]


async def test_the_schedule_is_configuration(build: Any, receiver: Any, clock: SteppingClock) -> None:
    sandbox = await build(retry_schedule_seconds=[10, 30], retry_horizon_seconds=120)
    receiver.answers = [500] * 100
    began = clock.now().timestamp()
    sandbox.send_event("invoice.paid", {"invoice": {"entity": {}}})
    await clock.advance(DAY)
    assert [round(attempt.at - began) for attempt in sandbox.attempts] == [0, 10, 40, 70, 100]
    (endpoint,) = sandbox.state.endpoints.values()
    assert endpoint.disabled_at is not None


async def test_time_may_run_faster_for_webhooks(build: Any, receiver: Any, clock: SteppingClock) -> None:
    sandbox = await build(webhook_time_scale=60)
    receiver.answers = [500] * 100
    began = clock.now().timestamp()
    sandbox.send_event("invoice.paid", {"invoice": {"entity": {}}})
    await clock.advance(DAY)
    assert [round(attempt.at - began) for attempt in sandbox.attempts[:4]] == [0, 1, 3, 7]
    assert sandbox.attempts[-1].at - began <= DAY / 60 + 1


@pytest.mark.parametrize("by_rule", [False, True])
async def test_order_may_be_left_to_chance(build: Any, receiver: Any, clock: SteppingClock, by_rule: bool) -> None:
    sandbox = await build() if by_rule else await build(event_spread_seconds=60)
    if by_rule:
        sandbox.add_webhook_rule(WebhookRule(kind="shuffle", seconds=60, times=None))
    sent = [sandbox.send_event("invoice.paid", {"invoice": {"entity": {"number": n}}}).id for n in range(12)]
    await clock.advance(60)
    arrived = [post.event_id for post in receiver.posts]
    assert arrived != sent
    assert sorted(arrived) == sorted(sent)


def test_waits_never_grow_beyond_the_cap() -> None:
    settings = SandboxSettings()
    assert [settings.retry_wait(n) for n in (1, 2, 3, 7, 8, 10_000)] == [60, 120, 240, 3600, 3600, 3600]
