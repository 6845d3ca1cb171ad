"""Webhooks: the bytes, the schedule, and everything that can be made to go wrong with them."""

import asyncio
import hashlib
import hmac
import json
from typing import Any

import pytest

from razorpay_simulator import RazorpaySimulator, WebhookRule, WebhookSettings
from razorpay_simulator.settings import DAY, HOUR
from testkit.clock import SteppingClock

SECRET = "whsec-current"
MINUTE = 60


def signed(body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


@pytest.fixture
def quiet(sandbox: RazorpaySimulator, receiver: Any) -> Any:
    """Sends one event of no consequence; returns it."""

    async def send(note: str = "x", *, event: str = "invoice.paid") -> Any:
        record = sandbox.send_event(event, {"invoice": {"entity": {"id": "inv_1", "amount": 500, "note": note}}})
        await sandbox.wait_idle()
        return record

    return send


async def test_the_bytes_are_razorpays_and_signed_as_they_are(quiet: Any, receiver: Any) -> None:
    await quiet("https://x.example/ü \N{ROCKET}")
    (post,) = receiver.posts
    assert rb"https:\/\/x.example\/\u00fc \ud83d\ude80" in post.body
    assert b", " not in post.body
    assert b'": ' not in post.body
    assert post.signature == signed(post.body)
    assert post.json["payload"]["invoice"]["entity"]["note"] == "https://x.example/ü \N{ROCKET}"
    again = json.dumps(post.json, separators=(",", ":")).encode()
    assert signed(again) != post.signature, "who re-serialises before verifying must fail"


async def test_failures_are_retried_on_schedule_with_the_same_id_and_bytes(
    quiet: Any, sandbox: RazorpaySimulator, receiver: Any, clock: SteppingClock
) -> None:
    receiver.answers = [500, 302, 404, 503]
    await quiet()
    began = clock.now().timestamp()
    await clock.advance(HOUR)
    assert [attempt.at - began for attempt in sandbox.attempts] == pytest.approx([0, MINUTE, 3 * MINUTE, 7 * MINUTE, 15 * MINUTE])
    assert [attempt.status for attempt in sandbox.attempts] == [500, 302, 404, 503, 200]
    assert len({post.event_id for post in receiver.posts}) == 1
    assert len({post.body for post in receiver.posts}) == 1


async def test_an_answer_after_five_seconds_is_a_failure(
    until: Any, sandbox: RazorpaySimulator, receiver: Any, clock: SteppingClock
) -> None:
    receiver.answers = [None]
    sandbox.send_event("invoice.paid", {"invoice": {"entity": {}}})

    async def nothing() -> None:
        # The delivery is stuck on purpose, so there is no idle moment to wait for.
        await until(lambda: receiver.posts)

    await clock.advance(4.9, settle=nothing)
    assert sandbox.pending == 1
    assert sandbox.attempts == []
    await clock.step_to_next(settle=nothing)
    await sandbox.wait_idle()
    assert [(attempt.status, attempt.error) for attempt in sandbox.attempts] == [(None, "timeout")]
    receiver.release.set()
    await clock.advance(MINUTE)
    assert sandbox.attempts[-1].status == 200


async def test_after_a_day_the_receiver_is_disabled_until_a_replay(
    quiet: Any, sandbox: RazorpaySimulator, receiver: Any, clock: SteppingClock
) -> None:
    receiver.answers = [500] * 1000
    event = await quiet()
    await clock.advance(DAY + HOUR)
    (endpoint,) = sandbox.state.endpoints.values()
    assert endpoint.disabled_at is not None
    assert event.deliveries[0].state == "failed"
    assert [b.at - a.at for a, b in zip(sandbox.attempts[-3:], sandbox.attempts[-2:], strict=False)] == [HOUR, HOUR]
    assert clock.pending == [], "nothing is tried any more"
    tried = len(receiver.posts)
    late = await quiet()
    assert (len(receiver.posts), late.deliveries[0].state) == (tried, "disabled")

    receiver.answers = []
    endpoint.secret = "whsec-new"
    assert sandbox.webhooks.replay() == 2
    await sandbox.wait_idle()
    assert endpoint.disabled_at is None
    assert [post.event_id for post in receiver.posts[tried:]] == [event.id, late.id]
    assert all(post.signature == signed(post.body, "whsec-new") for post in receiver.posts[tried:])


async def test_retries_stay_signed_with_the_secret_of_their_time(
    quiet: Any, sandbox: RazorpaySimulator, receiver: Any, clock: SteppingClock, api: Any
) -> None:
    receiver.answers = [500]
    await quiet()
    (endpoint,) = sandbox.state.endpoints.values()
    status, _ = await api("PATCH", f"/_sandbox/webhooks/{endpoint.id}", {"secret": "whsec-new"})
    assert status == 200
    await quiet()
    await clock.advance(MINUTE)
    first, new, retried = receiver.posts
    assert first.signature == retried.signature == signed(first.body)
    assert new.signature == signed(new.body, "whsec-new")


async def test_a_receiver_gets_only_what_it_subscribed_to(build: Any, receiver: Any) -> None:
    sandbox = await build(
        webhooks=[
            WebhookSettings(url=receiver.url, secret=SECRET, events=["refund.processed"]),
            WebhookSettings(url=receiver.url + "?second", secret="other"),
        ]
    )
    sandbox.send_event("refund.processed", {"refund": {"entity": {}}})
    sandbox.send_event("refund.failed", {"refund": {"entity": {}}})
    await sandbox.wait_idle()
    assert sorted(receiver.events) == ["refund.failed", "refund.processed", "refund.processed"]


async def test_a_receiver_that_is_not_there_is_retried(build: Any, clock: SteppingClock) -> None:
    sandbox = await build(webhooks=[WebhookSettings(url="http://127.0.0.1:1/hook", secret=SECRET)])
    record = sandbox.send_event("invoice.paid", {"invoice": {"entity": {}}})
    await sandbox.wait_idle()
    assert record.deliveries[0].state == "pending"
    assert "ClientConnectorError" in (record.deliveries[0].last_error or "")
    await clock.advance(MINUTE)
    assert record.deliveries[0].attempts == 2


class TestRules:
    """Deviations, one by one."""

    async def test_duplicates_follow_the_acknowledged_event(self, sandbox: Any, quiet: Any, receiver: Any) -> None:
        sandbox.add_webhook_rule(WebhookRule(kind="duplicate", count=4))
        await quiet()
        await quiet()
        assert len(receiver.posts) == 5 + 1, "one event of the two"
        assert len({post.event_id for post in receiver.posts[:5]}) == 1

    async def test_concurrent_copies_are_in_flight_together(self, sandbox: Any, quiet: Any, receiver: Any) -> None:
        together = asyncio.Barrier(3)

        async def meet(_post: Any) -> None:
            await together.wait()  # never returns unless three requests are being handled at once

        receiver.on_post = meet
        sandbox.add_webhook_rule(WebhookRule(kind="concurrent", count=3))
        await quiet()
        assert len(receiver.posts) == 3

    async def test_delay(self, sandbox: Any, quiet: Any, receiver: Any, clock: SteppingClock) -> None:
        sandbox.add_webhook_rule(WebhookRule(kind="delay", seconds=30, event="invoice.*"))
        await quiet()
        await quiet(event="order.paid")
        await clock.advance(29.9)
        assert receiver.events == ["order.paid"]
        await clock.advance(0.2)
        assert receiver.events == ["order.paid", "invoice.paid"]

    async def test_reorder(self, sandbox: Any, quiet: Any, receiver: Any) -> None:
        sandbox.add_webhook_rule(WebhookRule(kind="reorder", count=3))
        first, second = await quiet(), await quiet()
        assert receiver.posts == []
        third, fourth = await quiet(), await quiet()
        assert [post.event_id for post in receiver.posts] == [third.id, second.id, first.id, fourth.id]

    async def test_reordered_events_wait_for_each_other(self, sandbox: Any, quiet: Any, receiver: Any) -> None:
        under_way, most = 0, 0

        async def count(_post: Any) -> None:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            for _ in range(100):
                await asyncio.sleep(0)
            under_way -= 1

        receiver.on_post = count
        sandbox.add_webhook_rule(WebhookRule(kind="reorder", count=3))
        for _ in range(3):
            await quiet()
        assert (len(receiver.posts), most) == (3, 1)

    async def test_held_events_go_when_the_rules_are_cleared(self, sandbox: Any, quiet: Any, receiver: Any) -> None:
        sandbox.add_webhook_rule(WebhookRule(kind="reorder", count=9))
        first, second = await quiet(), await quiet()
        sandbox.clear_webhook_rules()
        await sandbox.wait_idle()
        assert [post.event_id for post in receiver.posts] == [second.id, first.id]

    async def test_a_dropped_event_can_be_replayed(self, sandbox: Any, quiet: Any, receiver: Any) -> None:
        sandbox.add_webhook_rule(WebhookRule(kind="drop"))
        event = await quiet()
        assert receiver.posts == []
        sandbox.webhooks.replay(event.id)
        await sandbox.wait_idle()
        assert [post.event_id for post in receiver.posts] == [event.id]

    @pytest.mark.parametrize("kind", ["tampered", "wrong_secret"])
    async def test_forgeries_come_first_and_do_not_verify(self, sandbox: Any, quiet: Any, receiver: Any, kind: Any) -> None:
        sandbox.add_webhook_rule(WebhookRule(kind=kind))
        await quiet()
        forged, genuine = receiver.posts
        assert forged.event_id == genuine.event_id
        assert forged.signature != signed(forged.body)
        assert (forged.body == genuine.body) == (kind == "wrong_secret")
        assert genuine.signature == signed(genuine.body)

    async def test_a_forgery_may_come_instead(self, sandbox: Any, quiet: Any, receiver: Any) -> None:
        sandbox.add_webhook_rule(WebhookRule(kind="tampered", replaces=True))
        event = await quiet()
        assert [post.signature == signed(post.body) for post in receiver.posts] == [False]
        assert event.deliveries[0].state == "dropped"

    async def test_the_same_id_with_another_body(self, sandbox: Any, quiet: Any, receiver: Any) -> None:
        sandbox.add_webhook_rule(WebhookRule(kind="other_body"))
        await quiet()
        genuine, other = receiver.posts
        assert genuine.event_id == other.event_id
        assert other.signature == signed(other.body)
        assert other.json["payload"]["invoice"]["entity"]["amount"] == 5000

    async def test_another_account(self, sandbox: Any, quiet: Any, receiver: Any) -> None:
        sandbox.add_webhook_rule(WebhookRule(kind="foreign_account"))
        await quiet()
        foreign, genuine = receiver.posts
        assert foreign.event_id != genuine.event_id
        assert foreign.json["account_id"] != genuine.json["account_id"] == sandbox.settings.account_id
        assert foreign.signature == signed(foreign.body)

    async def test_before_the_apis_answer(self, sandbox: Any, receiver: Any, api: Any, qr_body: Any) -> None:
        sandbox.add_webhook_rule(WebhookRule(kind="before_answer", event="qr_code.created"))
        asked: list[Any] = []

        async def look(_post: Any) -> None:
            asked.extend(request.status for request in sandbox.requests("POST", "/v1/payments/qr_codes"))

        receiver.on_post = look
        await api("POST", "/v1/payments/qr_codes", qr_body)
        assert asked == [None], "the webhook was there while the answer was not"


async def test_logs_are_bounded(build: Any, connect: Any, receiver: Any) -> None:
    sandbox = await build(log_size=5)
    api = connect(sandbox)
    receiver.answers = [200] * 8
    for _ in range(8):
        sandbox.send_event("invoice.paid", {"invoice": {"entity": {}}})
        await api("GET", "/v1/payments")
    await sandbox.wait_idle()
    assert (len(sandbox.attempts), len(sandbox.events), len(sandbox.requests())) == (5, 5, 5)
    for _ in range(8):
        sandbox.add_webhook_rule(WebhookRule(kind="drop"))
        sandbox.send_event("invoice.paid", {"invoice": {"entity": {}}})
    assert len(sandbox.state.events) == 5
