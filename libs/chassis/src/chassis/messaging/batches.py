"""Consuming in batches: what has arrived is handled together, in one transaction, and acknowledged together.

    deliveries → Inflow (in order) → batch of up to N events → handle → commit → answers → ack

A batch is whatever came while the last one was handled, so a lone event waits for nobody. When a batch fails:
- the environment's fault (database away): the same batch again, after a pause, for as long as it takes;
- otherwise halves, quarters, ... until the one event that fails stands alone: it is given to `give_up`, the rest goes on.
So one poison event never takes its neighbours with it, and no broker's delivery limit does either.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import structlog
from aiormq.abc import DeliveredMessage
from prometheus_client import Counter, Histogram

from chassis.messaging.bus import Bus, Subscription
from chassis.messaging.envelope import Received, Unreadable, unpack
from chassis.messaging.errors import MessagingError, is_transient
from chassis.runtime import Service

log = structlog.get_logger(__name__)

BATCH_EVENTS_MAX = 400
"""Most events handled in one transaction: beyond a few hundred a batch gains nothing and holds its locks longer."""

TRANSIENT_SECONDS = (0.05, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Pauses between tries in place, in real time: an outage is no matter of the business clock."""

HandleBatch = Callable[[Sequence[Received]], Awaitable[None]]
GiveUp = Callable[[Received, BaseException], Awaitable[None]]


class _Delivery:
    __slots__ = ("message", "queue", "received", "subscription")

    def __init__(self, subscription: Subscription, message: DeliveredMessage, received: list[Received]) -> None:
        self.subscription = subscription
        self.message = message
        self.received = received


class BatchConsumer:
    """One worker over one or several queues. Subclasses say how a batch is handled and what becomes of a poison event."""

    def __init__(self, bus: Bus, service: Service, queues: Sequence[str], *, name: str, prefetch: int) -> None:
        self.name = name
        self.bus = bus
        self.service = service
        self._waiting: deque[_Delivery] = deque()
        self._arrived = asyncio.Event()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._stopping = False
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

    def _subscription(self, queue: str, prefetch: int) -> Subscription:
        def lost() -> None:
            # What was not handled yet comes again on the next channel; the batch in hand finishes, its repeat changes nothing.
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
        received = Received(
            type=properties.message_type or "?",
            message_id=properties.message_id or "?",
            data=message.body.decode("utf-8", "backslashreplace"),
            occurred_at=self.service.clock.now(),
            queue=queue,
        )
        received.model = error
        return received

    async def start(self) -> None:
        """Subscribe and begin."""
        self.service.tasks.start(f"{self.name}.worker", self._run())
        for subscription in self.subscriptions.values():
            await self.bus.subscribe(subscription)

    async def stop(self) -> None:
        """Finish the batch in hand; give back what was not begun."""
        self._stopping = True
        self._waiting.clear()
        self._arrived.set()
        await self._quiet.wait()
        for subscription in self.subscriptions.values():
            await self.bus.unsubscribe(subscription)

    async def _run(self) -> None:
        while not self._stopping:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting and not self._stopping:
                self._quiet.clear()
                try:
                    with self.service.work.on(self.name):
                        await self._one_batch()
                finally:
                    self._quiet.set()

    def _take(self) -> list[_Delivery]:
        taken: list[_Delivery] = []
        events = 0
        while self._waiting and (not taken or events + len(self._waiting[0].received) <= BATCH_EVENTS_MAX):
            taken.append(self._waiting.popleft())
            events += len(taken[-1].received)
        return taken

    async def _one_batch(self) -> None:
        taken = self._take()
        events = [event for delivery in taken for event in delivery.received]
        started = self.service.clock.monotonic()
        await self._handle(events)
        self._seconds.observe(self.service.clock.monotonic() - started)
        self._sizes.observe(len(events))
        await self._settle(taken)

    async def _settle(self, taken: list[_Delivery]) -> None:
        last: dict[Subscription, DeliveredMessage] = {}
        for delivery in taken:
            last[delivery.subscription] = delivery.message
            self.bus.settled.labels(delivery.subscription.queue).inc()
        # One worker handles each queue in order, so everything up to the last delivery of a queue is handled.
        for subscription, message in last.items():
            await subscription.ack(message, multiple=True)

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
                    pause = TRANSIENT_SECONDS[min(attempt, len(TRANSIENT_SECONDS) - 1)]
                    attempt += 1
                    log.warning(
                        "messaging.transient",
                        consumer=self.name,
                        events=len(events),
                        attempt=attempt,
                        retry_seconds=pause,
                        error=repr(error),
                    )
                    await asyncio.sleep(pause)  # noqa: TID251  (real time, see TRANSIENT_SECONDS)
                    continue
                if len(events) > 1:
                    log.warning("messaging.bisecting", consumer=self.name, events=len(events), error=repr(error))
                    half = len(events) // 2
                    await self._handle(events[:half])
                    await self._handle(events[half:])
                    return
                await self._give_up(events[0], error)
                return
            for event in events:
                answer = event.take_answer()
                if answer is not None and event.reply_to:
                    await self.bus.reply(answer, reply_to=event.reply_to, correlation_id=event.correlation_id)
            return

    async def _give_up(self, event: Received, error: BaseException) -> None:
        """Hand a poison event over, trying for as long as the broker is away: it is acknowledged only after."""
        attempt = 0
        while True:
            try:
                await self.give_up(event, error)
                return
            except MessagingError as failure:
                pause = TRANSIENT_SECONDS[min(attempt, len(TRANSIENT_SECONDS) - 1)]
                attempt += 1
                log.warning("messaging.park_failed", consumer=self.name, message_id=event.message_id, error=repr(failure))
                await asyncio.sleep(pause)  # noqa: TID251

    async def handle(self, events: Sequence[Received]) -> None:
        """Handle and commit. Overridden."""
        raise NotImplementedError

    async def give_up(self, event: Received, error: BaseException) -> None:
        """Retry later or park; returns when the broker has confirmed it. Overridden."""
        raise NotImplementedError
