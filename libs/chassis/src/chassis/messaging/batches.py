"""Consuming in batches: what has arrived is handled together, in one transaction, and acknowledged together.

    deliveries → Inflow (in order) → batch of up to N events → handle → commit → answers → ack

A batch is whatever came while the last one was handled, so a lone event waits for nobody. When a batch fails:
- the environment's fault (database away): the same batch again, after a pause, for as long as it takes;
- otherwise halves, quarters, ... until the one event that fails stands alone: it is given to `give_up`, the rest goes on.
So one poison event never takes its neighbours with it, and no broker's delivery limit does either.

A batch whose deliveries the broker has taken back (connection lost) is not tried again here: whoever gets them next handles
them, and this may be another replica.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import structlog
from aiormq.abc import DeliveredMessage
from prometheus_client import Counter, Histogram

from chassis.messaging.bus import Bus
from chassis.messaging.envelope import Received, Unreadable, unpack
from chassis.messaging.errors import MessagingError, is_transient
from chassis.messaging.subscription import Subscription
from chassis.runtime import Service

log = structlog.get_logger(__name__)

BATCH_EVENTS_MAX = 400
"""Most events handled in one transaction: beyond a few hundred a batch gains nothing and holds its locks longer."""

TRANSIENT_SECONDS = (0.05, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Pauses between tries in place, in real time: an outage is no matter of the business clock."""

STUCK_ATTEMPTS = 4
"""From so many failed tries on (about two seconds) /readyz says that this consumer does not get on."""

HandleBatch = Callable[[Sequence[Received]], Awaitable[None]]
GiveUp = Callable[[Received, BaseException], Awaitable[None]]


class _Interrupted(Exception):
    """The batch in hand is not ours to go on with: the consumer stops, or its deliveries were taken back."""


class _Delivery:
    __slots__ = ("message", "received", "subscription")

    def __init__(self, subscription: Subscription, message: DeliveredMessage, received: list[Received]) -> None:
        self.subscription = subscription
        self.message = message
        self.received = received

    @property
    def ours(self) -> bool:
        return self.subscription.holds(self.message)


class BatchConsumer:
    """One worker over one or several queues. Subclasses say how a batch is handled and what becomes of a poison event."""

    def __init__(self, bus: Bus, service: Service, queues: Sequence[str], *, name: str, prefetch: int) -> None:
        self.name = name
        self.bus = bus
        self.service = service
        self._waiting: deque[_Delivery] = deque()
        self._arrived = asyncio.Event()
        self._ending = asyncio.Event()
        # Held while a batch is in hand. A fair lock: whoever must act between two batches gets its turn under any load.
        self._in_hand = asyncio.Lock()
        self._taken: list[_Delivery] = []
        self._stuck: str | None = None
        self.subscriptions = {queue: self._subscription(queue, prefetch) for queue in queues}
        registry = bus.telemetry.registry
        prefix = f"voltlync_{name.replace('.', '_')}"
        self._sizes = Histogram(
            f"{prefix}_batch_events", "Events per batch", registry=registry, buckets=(1, 2, 5, 10, 25, 50, 100, 200, 400)
        )
        self._seconds = Histogram(f"{prefix}_batch_seconds", "Seconds per batch, commit included", registry=registry)
        self._retries = Counter(
            f"{prefix}_transient_retries_total", "Batches tried again for the environment's fault", registry=registry
        )
        self._park_failures = Counter(
            f"{prefix}_park_failures_total", "Times that a poison event could not be put aside", registry=registry
        )
        service.ready_checks[f"consumer {name}"] = self._ready

    async def _ready(self) -> str | None:
        return self._stuck

    def _subscription(self, queue: str, prefetch: int) -> Subscription:
        def lost() -> None:
            # What was not handled yet comes again on the next channel.
            subscription = self.subscriptions[queue]
            self._waiting = deque(item for item in self._waiting if item.subscription is not subscription)

        def arrived(message: DeliveredMessage) -> None:
            subscription = self.subscriptions[queue]
            try:
                received = unpack(message, queue)
            except Unreadable as error:
                received = [self._unreadable(message, queue, error)]
            self._waiting.append(_Delivery(subscription, message, received))
            self._arrived.set()

        return Subscription(queue, arrived, prefetch=prefetch, on_lost=lost)

    def _unreadable(self, message: DeliveredMessage, queue: str, error: Unreadable) -> Received:
        properties = message.header.properties
        return Received.unreadable(
            error,
            queue=queue,
            now=self.service.clock.now(),
            type=properties.message_type,
            message_id=properties.message_id,
            body=bytes(message.body),
            content_type=properties.content_type,
        )

    async def start(self) -> None:
        """Subscribe and begin."""
        self.service.tasks.keep(f"{self.name}.worker", self._run)
        for subscription in self.subscriptions.values():
            await self.bus.subscribe(subscription)

    async def stop(self) -> None:
        """Finish the batch in hand (one that only waits for a server is given up); give back what was not begun."""
        self._ending.set()
        self._arrived.set()
        self._waiting.clear()
        async with self._in_hand:
            pass
        for subscription in self.subscriptions.values():
            await self.bus.unsubscribe(subscription)

    async def _run(self) -> None:
        while not self._ending.is_set():
            self._arrived.clear()
            while self._waiting and not self._ending.is_set():
                async with self._in_hand:
                    if self._waiting and not self._ending.is_set():  # it may have been handed over while we queued
                        with self.service.work.on(self.name):
                            await self._one_batch()
            await self._arrived.wait()

    def _take(self) -> list[_Delivery]:
        taken: list[_Delivery] = []
        events = 0
        while self._waiting and (not taken or events + len(self._waiting[0].received) <= BATCH_EVENTS_MAX):
            taken.append(self._waiting.popleft())
            events += len(taken[-1].received)
        return taken

    async def _one_batch(self) -> None:
        self._taken = self._take()
        events = [event for delivery in self._taken for event in delivery.received]
        started = self.service.clock.monotonic()
        try:
            await self._handle(events)
        except BaseException as error:
            # Not one of them may be forgotten: the next batch's acknowledgement covers all before it.
            self._waiting.extendleft(delivery for delivery in reversed(self._taken) if delivery.ours)
            if isinstance(error, _Interrupted):
                return
            raise
        finally:
            taken, self._taken = self._taken, []
        self._seconds.observe(self.service.clock.monotonic() - started)
        self._sizes.observe(len(events))
        await self._settle(taken)

    async def _settle(self, taken: list[_Delivery]) -> None:
        last: dict[Subscription, DeliveredMessage] = {}
        count: dict[Subscription, int] = {}
        for delivery in taken:
            last[delivery.subscription] = delivery.message
            count[delivery.subscription] = count.get(delivery.subscription, 0) + 1
        # One worker handles each queue in order, so everything up to the last delivery of a queue is handled.
        for subscription, message in last.items():
            if await subscription.ack(message, multiple=True):
                self.bus.settled.labels(subscription.queue).inc(count[subscription])

    async def _handle(self, events: Sequence[Received]) -> None:
        attempt = 0
        while True:
            for event in events:
                event.take_answer()
            try:
                await self.handle(events)
            except Exception as error:  # noqa: BLE001  (sorted below: retried, bisected or parked)
                if is_transient(error):
                    self._retries.inc()
                    attempt += 1
                    log.warning("messaging.transient", consumer=self.name, events=len(events), attempt=attempt, error=repr(error))
                    await self._pause(attempt, f"{len(events)} events wait after {attempt} tries: {error!r}")
                    continue
                self._stuck = None
                if len(events) > 1:
                    log.warning("messaging.bisecting", consumer=self.name, events=len(events), error=repr(error))
                    half = len(events) // 2
                    await self._handle(events[:half])
                    await self._handle(events[half:])
                    return
                await self._give_up(events[0], error)
                return
            self._stuck = None
            await self._answer(events)
            return

    async def _answer(self, events: Sequence[Received]) -> None:
        """Send what was answered. Committed is committed: an answer that can't be sent is the asker's silence, no failure."""
        for event in events:
            answer = event.take_answer()
            if answer is None or not event.reply_to:
                continue
            try:
                await self.bus.reply(answer, reply_to=event.reply_to, correlation_id=event.correlation_id)
            except Exception as error:
                log.exception("messaging.answer_failed", consumer=self.name, message_id=event.message_id, error=repr(error))

    async def _pause(self, attempt: int, reason: str) -> None:
        """Wait before trying again. Raises _Interrupted where trying again is not ours any more."""
        if attempt >= STUCK_ATTEMPTS:
            self._stuck = reason
        try:
            async with asyncio.timeout(TRANSIENT_SECONDS[min(attempt, len(TRANSIENT_SECONDS)) - 1]):
                await self._ending.wait()
        except TimeoutError:
            pass
        if self._ending.is_set() or not all(delivery.ours for delivery in self._taken):
            self._stuck = None
            raise _Interrupted

    async def _give_up(self, event: Received, error: BaseException) -> None:
        """Hand a poison event over, trying for as long as that fails: it is acknowledged only after."""
        attempt = 0
        while True:
            try:
                await self.give_up(event, error)
            except Exception as failure:
                attempt += 1
                self._park_failures.inc()
                log.error(  # noqa: TRY400  (with its trace only where it is no message's everyday failure)
                    "messaging.park_failed",
                    consumer=self.name,
                    queue=event.queue,
                    message_id=event.message_id,
                    attempt=attempt,
                    error=repr(failure),
                    exc_info=None if isinstance(failure, MessagingError) else failure,
                )
                await self._pause(attempt, f"{event.message_id} of {event.queue} can't be put aside: {failure!r}")
            else:
                self._stuck = None
                return

    async def handle(self, events: Sequence[Received]) -> None:
        """Handle and commit. Overridden."""
        raise NotImplementedError

    async def give_up(self, event: Received, error: BaseException) -> None:
        """Retry later or park; returns when the broker has confirmed it. Overridden."""
        raise NotImplementedError
