"""Knowing that all is quiet: nothing more happens in this world until time passes.

It is asked of the same counters that production has (ADR 0011):
1. no service, simulator or charge point has work in hand;
2. every AMQP message that was confirmed has been acknowledged: published, times the queues it is bound to, minus settled;
3. every outbox row that was committed has been relayed;
4. the gateway has as many sockets as there are connected charge points;
5. a WebSocket ping has gone through every socket: all frames sent before it, either way, have been read; and the broker has
   answered on the channel of everybody who asks: every answer that was confirmed before has been read;
6. and after all that nothing has been counted since 1.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.samples import Sample

from chassis.messaging import Bus
from chassis.runtime import Service
from contracts.topology import GATEWAYS_EXCHANGE, plan
from razorpay_simulator import RazorpaySimulator

TURNS = 20
"""Turns of the event loop in which whatever is ready inside this process gets to run: a set event, a done future, a new task."""

LOOK_SECONDS = 0.001
"""Real time between two looks while other processes (broker, database) are at work: no event of theirs can be awaited here."""

GUARD_SECONDS = 120.0
"""Longest that real servers may take to come to rest: an I/O guard, past which the culprit is named."""

CREDENTIALS_CHANGED = "charging.charger_credentials_changed.v1"
"""Bound by the gateway itself, to a queue that bears its name."""


class NeverQuiet(AssertionError):
    """Something keeps going, or hangs. The message says what."""


class Peer(Protocol):
    """A charge point as the world watches it: the simulator's, or a bare socket in a test's own hands."""

    @property
    def id(self) -> str: ...
    @property
    def connected(self) -> bool: ...
    @property
    def busy(self) -> int: ...
    @property
    def frames_sent(self) -> int: ...
    @property
    def frames_received(self) -> int: ...

    async def ping_through(self) -> object:
        """Return when the server has read all that was sent before."""

    async def stop(self) -> None:
        """Leave for good."""


class Counted(NamedTuple):
    """How much has happened so far."""

    published: float
    settled: float
    announced: float
    relayed: float
    sockets: float
    frames: int
    requests: int


class Quiet:
    """Asks a world whether it is quiet."""

    def __init__(
        self,
        services: Sequence[Service],
        registries: Sequence[CollectorRegistry],
        razorpay: RazorpaySimulator | None,
        *,
        consumers: Sequence[str] = ("charging", "payments", "settlement"),
    ) -> None:
        """`consumers`: the services of this world whose queues are emptied."""
        self._services = services
        self._registries = registries
        self._razorpay = razorpay
        self._queues = Counter((exchange, key) for queue, exchange, key in plan().bindings if queue.startswith(tuple(consumers)))
        self.charge_points: list[Peer] = []

    async def __call__(self) -> None:
        """Return once all is quiet. Raises NeverQuiet."""
        try:
            async with asyncio.timeout(GUARD_SECONDS):
                while not await self._quiet_now():  # noqa: ASYNC110  (the broker and the database are other processes)
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            raise NeverQuiet("; ".join(self._busy(self._count())) or "pings or counters never came to rest") from None

    async def _quiet_now(self) -> bool:
        await take_turns()
        before = self._count()
        if self._busy(before):
            return False
        await asyncio.gather(
            *(point.ping_through() for point in self.charge_points if point.connected),
            *(answers_read(bus) for service in self._services for bus in buses_of(service)),
        )
        await take_turns()
        after = self._count()
        return after == before and not self._busy(after)

    def _busy(self, counted: Counted) -> list[str]:
        """Reasons why it is not quiet."""
        busy = [f"{service.name} works on {service.work.by_kind()}" for service in self._services if service.work.count()]
        if self._razorpay is not None and self._razorpay.pending:
            busy.append(f"Razorpay has {self._razorpay.pending} deliveries or transitions in hand")
        busy += [f"{point.id} is busy with {point.busy}" for point in self.charge_points if point.busy]
        if counted.published != counted.settled:
            busy.append(f"{counted.published - counted.settled:.0f} messages are on their way")
        if counted.announced != counted.relayed:
            busy.append(f"{counted.announced - counted.relayed:.0f} announcements wait")
        connected = sum(point.connected for point in self.charge_points)
        if counted.sockets != connected:
            busy.append(f"the gateway has {counted.sockets:.0f} sockets, {connected} charge points are connected")
        return busy

    def _count(self) -> Counted:
        published = sum(
            sample.value * self._destinations(sample.labels["exchange"], sample.labels["routing_key"])
            for sample in self._samples("voltlync_messages_published_total")
        )
        return Counted(
            published=published,
            settled=self._sum("voltlync_messages_settled_total"),
            announced=self._sum("voltlync_outbox_announced_total"),
            relayed=self._sum("voltlync_outbox_relayed_total"),
            sockets=self._sum("voltlync_ocpp_gateway_connections"),
            frames=sum(point.frames_sent + point.frames_received for point in self.charge_points),
            requests=self._razorpay.requests_seen if self._razorpay is not None else 0,
        )

    def _sum(self, name: str) -> float:
        return sum(sample.value for sample in self._samples(name))

    def _samples(self, name: str) -> Iterator[Sample]:
        """One metric's samples in every service that has it: the whole registries would take too long at every look."""
        for registry in self._registries:
            for metric in registry.restricted_registry([name]).collect():
                yield from (sample for sample in metric.samples if sample.name == name)

    def _destinations(self, exchange: str, key: str) -> int:
        """How many queues with a consumer a message reaches. Parked messages have none."""
        if exchange.endswith(".dead"):
            return 0
        if exchange == GATEWAYS_EXCHANGE or exchange.startswith("retry."):
            return 1
        return self._queues[exchange, key] + (key == CREDENTIALS_CHANGED)


def buses_of(service: Service) -> set[Bus]:
    """A service's connections to the broker, mounted bare or within a part of its own."""
    parts = service._parts  # noqa: SLF001  (tests look inside)
    return {bus for part in parts for bus in (part, getattr(part, "bus", None)) if isinstance(bus, Bus)}


async def answers_read(bus: Bus) -> None:
    """Return when the answers to this bus's questions that the broker had confirmed have been read.

    An answer goes straight to the asker's channel and no counter knows of it on its way; what the channel is asked after it
    is answered after it.
    """
    channel = bus._asking  # noqa: SLF001  (tests look inside)
    if bus._questions and channel is not None and not channel.is_closed:  # noqa: SLF001
        await channel.basic_qos(prefetch_count=0)


async def take_turns() -> None:
    """Let everything run that is ready in this process."""
    for _ in range(TURNS):
        await asyncio.sleep(0)
