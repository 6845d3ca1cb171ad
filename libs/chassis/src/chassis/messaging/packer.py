"""Publishing what waits anyway in one AMQP message: a confirm costs the same for one event and for two hundred.

A lone event leaves at once. While its confirm is on the way, what comes for the same address gathers and leaves together next.
No timer and no added latency: the pack's size follows the load.

When a pack fails exactly its events fail, and what waited behind them goes on. Who may not be overtaken by its own later events
waits for each confirm before it sends the next (the gateway has one event of a charger on its way at a time).
"""

import asyncio
from collections import deque

import structlog
from prometheus_client import Histogram
from pydantic import BaseModel

from chassis.messaging.bus import Bus
from chassis.messaging.envelope import Address, Outgoing, pack
from chassis.messaging.errors import BrokerUnavailable
from chassis.runtime import Service

log = structlog.get_logger(__name__)

PACK_EVENTS_MAX = 256
"""Most events in one pack: a consumer's batch takes about that many."""

PACK_BYTES_MAX = 512 * 1024
"""Most bytes in one pack, well under RabbitMQ's message limit."""

WAITING_EVENTS_MAX = 20_000
"""Most events waiting for one address; beyond it the publisher is told that the broker does not keep up."""


class _Lane:
    __slots__ = ("address", "busy", "waiting")

    def __init__(self, address: Address) -> None:
        self.address = address
        self.waiting: deque[tuple[Outgoing, asyncio.Future[None]]] = deque()
        self.busy = False


def _fail(taken: list[tuple[Outgoing, asyncio.Future[None]]], error: Exception) -> None:
    for _, future in taken:
        if not future.done():
            future.set_exception(error)


class Packer:
    """Confirmed publishing with packs, in order per address. A Part."""

    def __init__(self, bus: Bus, service: Service) -> None:
        self._bus = bus
        self._service = service
        self._lanes: dict[tuple[str, str], _Lane] = {}
        self._senders: set[asyncio.Task[None]] = set()
        self._sizes = Histogram(
            "voltlync_pack_events",
            "Events per published pack",
            registry=bus.telemetry.registry,
            buckets=(1, 2, 5, 10, 20, 50, 100, 200, PACK_EVENTS_MAX),
        )

    async def start(self) -> None:
        """Nothing to start: a lane's sender runs while something waits."""

    async def stop(self) -> None:
        """Let what waits leave; the bus, which stops after us, fails what is left."""
        while self._senders:
            await asyncio.wait(self._senders)

    async def publish(self, model: BaseModel, *, to: Address, message_id: str, subject: str | None = None) -> None:
        """Publish a model; returns when the broker confirmed the pack it went with. Raises BrokerUnavailable, Undeliverable."""
        await self.enqueue(self._bus.outgoing(model, message_id=message_id, subject=subject), to=to)

    def enqueue(self, message: Outgoing, *, to: Address) -> asyncio.Future[None]:
        """Put a message in its place now (order is decided here); the future ends with the confirm.

        Raises BrokerUnavailable at once where the broker is away or does not keep up.
        """
        if not self._bus.connected.is_set():
            raise BrokerUnavailable("RabbitMQ is not connected")
        key = (to.exchange, to.routing_key)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = _Lane(to)
        if len(lane.waiting) >= WAITING_EVENTS_MAX:
            raise BrokerUnavailable(f"{WAITING_EVENTS_MAX} events wait for {to.exchange}/{to.routing_key}")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        lane.waiting.append((message, future))
        if not lane.busy:
            lane.busy = True
            sender = self._service.tasks.start(f"packer.{to.routing_key}", self._send(lane))
            self._senders.add(sender)
            sender.add_done_callback(self._senders.discard)
        return future

    async def _send(self, lane: _Lane) -> None:
        try:
            while lane.waiting:
                await self._send_one_pack(lane)
        finally:
            lane.busy = False
            while lane.waiting:  # only where we were cut off: nobody may wait for ever
                _fail([lane.waiting.popleft()], BrokerUnavailable("the publisher was stopped"))

    async def _send_one_pack(self, lane: _Lane) -> None:
        taken: list[tuple[Outgoing, asyncio.Future[None]]] = []
        size = 0
        while (
            lane.waiting and len(taken) < PACK_EVENTS_MAX and (not taken or size + len(lane.waiting[0][0].body) < PACK_BYTES_MAX)
        ):
            taken.append(lane.waiting.popleft())
            size += len(taken[-1][0].body)
        messages = [message for message, _ in taken]
        try:
            if len(messages) == 1:
                await self._bus.send(messages[0], to=lane.address)
            else:
                body, properties = pack(messages, self._bus.app_id)
                await self._bus.send_body(
                    body,
                    properties,
                    exchange=lane.address.exchange,
                    key=lane.address.routing_key,
                    mandatory=lane.address.mandatory,
                )
        except Exception as error:  # noqa: BLE001  (told to everyone who waits for this pack)
            _fail(taken, error)
            return
        except BaseException:
            _fail(taken, BrokerUnavailable("the publisher was stopped"))
            raise
        self._sizes.observe(len(messages))
        for _, future in taken:
            if not future.done():
                future.set_result(None)
