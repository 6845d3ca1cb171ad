"""Sends webhooks: at least once, in no promised order, for a day, on the injected clock."""

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

import aiohttp
import orjson
from pydantic import BaseModel

from razorpay_simulator.activity import Activity
from razorpay_simulator.clock import Clock
from razorpay_simulator.entities import JsonObject
from razorpay_simulator.errors import ControlError
from razorpay_simulator.events import Delivery, Endpoint, EventRecord, encode, envelope, sign
from razorpay_simulator.ids import Ids
from razorpay_simulator.settings import SandboxSettings
from razorpay_simulator.state import State
from razorpay_simulator.webhook_rules import Plan, Variant, WebhookRule, WebhookRules, altered

_log = logging.getLogger(__name__)
USER_AGENT = "Razorpay-Webhook/v1"


class Attempt(BaseModel):
    """One post to a receiver, for the delivery log."""

    at: float
    event_id: str
    event: str
    url: str
    variant: Variant
    attempt: int
    status: int | None
    error: str | None

    @property
    def accepted(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class Webhooks:
    """The delivery worker and its log. `rules` makes deliveries go wrong on purpose."""

    def __init__(
        self,
        *,
        settings: SandboxSettings,
        clock: Clock,
        ids: Ids,
        state: State,
        activity: Activity,
        save: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._ids = ids
        self._state = state
        self._activity = activity
        self._save = save
        self._session: aiohttp.ClientSession | None = None
        self._held: list[tuple[EventRecord, Plan]] = []
        self._before_answer: list[asyncio.Future[None]] = []
        self.rules = WebhookRules()
        self.attempts: deque[Attempt] = deque(maxlen=settings.log_size)
        self.finished: OrderedDict[str, EventRecord] = OrderedDict()
        """Acknowledged events, the newest `log_size` of them."""

    async def start(self) -> None:
        """Be ready to send, to the configured receivers and those that an earlier run knew."""
        # The timeout is kept on the injected clock, so the client's own is off. A redirect is a failure at Razorpay.
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None), headers={"User-Agent": USER_AGENT})
        for configured in self._settings.webhooks:
            known = next((e for e in self._state.endpoints.values() if e.url == configured.url), None)
            if known is None:
                self.add_endpoint(configured.url, configured.secret, configured.events)
            else:
                known.secret, known.events = configured.secret, configured.events

    def take_up(self) -> None:
        """Go on with what an earlier run left undelivered."""
        for record in list(self._state.events.values()):
            self._start(record, Plan())

    async def stop(self) -> None:
        if self._session is not None:
            await self._session.close()

    # -- receivers

    def add_endpoint(self, url: str, secret: str, events: list[str] | None = None) -> Endpoint:
        now = int(self._now())
        endpoint = Endpoint(id=self._ids.new(""), url=url, secret=secret, events=events, created_at=now, updated_at=now)
        self._state.endpoints[endpoint.id] = endpoint
        self._save()
        return endpoint

    def change_endpoint(
        self, endpoint_id: str, *, secret: str | None = None, events: list[str] | None = None, enabled: bool | None = None
    ) -> Endpoint:
        """Change what is given. A new secret signs from the next event on: retries keep that of their time."""
        endpoint = self.endpoint(endpoint_id)
        endpoint.secret = secret or endpoint.secret
        endpoint.events = endpoint.events if events is None else events
        if enabled is not None:
            endpoint.disabled_at = None if enabled else int(self._now())
        endpoint.updated_at = int(self._now())
        self._save()
        return endpoint

    def remove_endpoint(self, endpoint_id: str) -> Endpoint:
        endpoint = self.endpoint(endpoint_id)
        del self._state.endpoints[endpoint_id]
        self._save()
        return endpoint

    def endpoint(self, endpoint_id: str) -> Endpoint:
        endpoint = self._state.endpoints.get(endpoint_id)
        if endpoint is None:
            raise ControlError(f"no webhook {endpoint_id}")
        return endpoint

    # -- events

    def emit(self, event: str, payload: JsonObject, account_id: str, *, delay: float = 0) -> str:
        """Record an event with the present as its snapshot and start its delivery. Returns its id."""
        body = envelope(event, account_id, payload, int(self._now()))
        return self.send(body, delay=delay).id

    def send(self, body: JsonObject, *, event_id: str | None = None, secret: str | None = None, delay: float = 0) -> EventRecord:
        """Send any body as an event: also one that the sandbox's own state knows nothing of."""
        event, now = str(body["event"]), self._now()
        plan, holder = self.rules.plan(event)
        record = EventRecord(
            id=event_id or self._ids.new(""),
            event=event,
            account_id=str(body["account_id"]),
            created_at=int(body["created_at"]),
            body=encode(body).decode("ascii"),
        )
        for endpoint in self._state.endpoints.values():
            if endpoint.wants(event, str(body["account_id"])):
                state = "dropped" if plan.drop else "pending" if endpoint.disabled_at is None else "disabled"
                record.deliveries.append(
                    Delivery(
                        endpoint_id=endpoint.id,
                        url=endpoint.url,
                        secret=secret or endpoint.secret,
                        state=state,
                        started_at=now,
                        next_at=now + delay + plan.delay + self._jitter(plan),
                    )
                )
        self._state.events[record.id] = record
        if holder is None or plan.drop:
            self._start(record, plan)
        else:
            self._hold(record, plan, holder)
        return record

    def replay(self, event_id: str | None = None) -> int:
        """Send again, signed with the current secret: one event, or all that some receiver never acknowledged.

        Re-enables the receivers, as the dashboard's replay does. Returns the number of events.
        """
        if event_id is None:
            records = [r for r in self._state.events.values() if not any(d.state == "pending" for d in r.deliveries)]
        else:
            record = self._state.events.get(event_id) or self.finished.pop(event_id, None)
            if record is None:
                raise ControlError(f"no event {event_id}")
            self._state.events[event_id] = record
            records = [record]
        now = self._now()
        for record in records:
            for delivery in record.deliveries:
                endpoint = self._state.endpoints.get(delivery.endpoint_id)
                if endpoint is not None and delivery.state != "pending" and (event_id or delivery.state != "delivered"):
                    endpoint.disabled_at = None
                    delivery.secret, delivery.state, delivery.attempts = endpoint.secret, "pending", 0
                    delivery.started_at = delivery.next_at = now
            self._start(record, Plan())
        return len(records)

    def release_held(self) -> None:
        """Let go of what a reordering rule holds back, newest first."""
        held, self._held = self._held[::-1], []

        async def one_by_one() -> None:
            for record, plan in held:
                for delivery in record.deliveries:
                    delivery.next_at = self._now()
                await asyncio.gather(*self._start(record, plan))

        if held:
            self._activity.run("webhooks let go", one_by_one)

    async def answer_may_go(self) -> None:
        """Wait for the events that a rule wants delivered before the API's answer."""
        waiting, self._before_answer = self._before_answer, []
        await asyncio.gather(*waiting)

    def clear(self) -> None:
        self.rules.clear()
        self._held.clear()
        self._before_answer.clear()
        self.attempts.clear()
        self.finished.clear()

    # -- delivery

    def _jitter(self, plan: Plan) -> float:
        """Somewhere between now and the widest spread that is asked for, in parts of a thousand."""
        spread = max(plan.spread, self._settings.event_spread_seconds)
        return spread * int(self._ids.digits(3)) / 1000 if spread else 0.0

    def _now(self) -> float:
        return self._clock.now().timestamp()

    def _hold(self, record: EventRecord, plan: Plan, rule: WebhookRule) -> None:
        self._held.append((record, plan))
        if len(self._held) >= rule.count:
            self.rules.spend(rule)
            self.release_held()

    def _start(self, record: EventRecord, plan: Plan) -> list[asyncio.Future[None]]:
        """Start what is pending of an event. Each future is done after its delivery's first attempt."""
        firsts: list[asyncio.Future[None]] = []
        for delivery in record.deliveries:
            if delivery.state == "pending":
                first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                firsts.append(first)
                name = f"webhook {record.event} {record.id}"
                self._activity.run(name, self._delivering(record, delivery, plan, first))
        if plan.before_answer:
            self._before_answer += firsts
        self._retire(record)
        return firsts

    def _delivering(self, record: EventRecord, delivery: Delivery, plan: Plan, first: asyncio.Future[None]) -> Callable[[], Any]:
        async def work() -> None:
            try:
                await self._deliver(record, delivery, plan, first)
            finally:
                if not first.done():
                    first.set_result(None)

        return work

    async def _deliver(self, record: EventRecord, delivery: Delivery, plan: Plan, first: asyncio.Future[None]) -> None:
        await self._activity.sleep(delivery.next_at - self._now())
        for hostile in plan.hostile:
            if hostile != "other_body":
                await self._post(record, delivery, hostile)
        if plan.genuine:
            await self._until_accepted(record, delivery, plan, first)
        else:
            delivery.state = "dropped"
        if delivery.state == "delivered":
            for _ in range(plan.duplicates):
                await self._post(record, delivery, "genuine")
        if "other_body" in plan.hostile:
            await self._post(record, delivery, "other_body")
        self._retire(record)
        self._save()

    async def _until_accepted(self, record: EventRecord, delivery: Delivery, plan: Plan, first: asyncio.Future[None]) -> None:
        settings = self._settings
        while True:
            endpoint = self._state.endpoints.get(delivery.endpoint_id)
            if endpoint is None or endpoint.disabled_at is not None:
                delivery.state = "disabled"
                return
            delivery.attempts += 1
            posts = await asyncio.gather(*[self._post(record, delivery, "genuine") for _ in range(plan.at_once)])
            best = next((post for post in posts if post.accepted), posts[0])
            delivery.last_status, delivery.last_error = best.status, best.error
            if best.accepted:
                delivery.state = "delivered"
                return
            delivery.next_at = self._now() + settings.retry_wait(delivery.attempts)
            if delivery.next_at > delivery.started_at + settings.retry_horizon:
                delivery.state = "failed"
                endpoint.disabled_at = int(self._now())
                _log.warning("the webhook to %s is disabled; Razorpay would write to %s", delivery.url, endpoint.alert_email)
                return
            self._save()
            if not first.done():
                first.set_result(None)
            await self._activity.sleep(delivery.next_at - self._now())

    async def _post(self, record: EventRecord, delivery: Delivery, variant: Variant) -> Attempt:
        """One post, cut off after the timeout on the injected clock, and its line in the log."""
        event_id, body, signature = self._wire(record, delivery, variant)
        headers = {"Content-Type": "application/json", "x-razorpay-event-id": event_id}
        if delivery.secret:
            headers["X-Razorpay-Signature"] = signature
        at, status, error = self._now(), None, None
        post = asyncio.ensure_future(self._status(delivery.url, body, headers))
        timer = asyncio.ensure_future(self._clock.sleep(self._settings.webhook_timeout_seconds))
        try:
            await asyncio.wait({post, timer}, return_when=asyncio.FIRST_COMPLETED)
            if post.done():
                status = post.result()
            else:
                error = "timeout"
        except (aiohttp.ClientError, OSError, ValueError) as failure:
            error = f"{type(failure).__name__}: {failure}"
        finally:
            post.cancel()
            timer.cancel()
            await asyncio.gather(post, timer, return_exceptions=True)
        attempt = Attempt(
            at=at,
            event_id=event_id,
            event=record.event,
            url=delivery.url,
            variant=variant,
            attempt=delivery.attempts,
            status=status,
            error=error,
        )
        self.attempts.append(attempt)
        return attempt

    async def _status(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        assert self._session is not None, "the sandbox was not started"
        async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as response:
            return response.status

    def _wire(self, record: EventRecord, delivery: Delivery, variant: Variant) -> tuple[str, bytes, str]:
        """Event id, body and signature as they go out."""
        body = record.body.encode("ascii")
        match variant:
            case "genuine":
                return record.id, body, sign(body, delivery.secret)
            case "wrong_secret":
                return record.id, body, sign(body, delivery.secret + "-of-someone-else")
            case "tampered":
                return record.id, encode(altered(orjson.loads(body))), sign(body, delivery.secret)
            case "other_body":
                other = encode(altered(orjson.loads(body)))
                return record.id, other, sign(other, delivery.secret)
            case "foreign_account":
                foreign = encode(orjson.loads(body) | {"account_id": self._ids.new("acc_")})
                return self._ids.new(""), foreign, sign(foreign, delivery.secret)

    def _retire(self, record: EventRecord) -> None:
        """Move an acknowledged event to the bounded log, and bound those that nobody will acknowledge any more."""
        if record.acknowledged:
            if self._state.events.pop(record.id, None) is not None:
                self.finished[record.id] = record
            while len(self.finished) > self._settings.log_size:
                self.finished.popitem(last=False)
        if len(self._state.events) > self._settings.log_size:
            given_up = (r for r in self._state.events.values() if all(d.state != "pending" for d in r.deliveries))
            if (oldest := next(given_up, None)) is not None:
                del self._state.events[oldest.id]
