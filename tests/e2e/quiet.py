"""Knowing that all is quiet: nothing more happens in this world until time passes.

It is asked of the same counters that production has (ADR 0011):
1. no service, simulator or charge point has work in hand;
2. every AMQP message that was confirmed has been acknowledged: published × queues it is bound to, minus settled;
3. every outbox is relayed;
4. the gateway has as many sockets as there are connected charge points;
5. a WebSocket ping has gone through every socket: all frames sent before it, either way, have been read;
6. and after all that nothing has been counted since 1.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import asyncpg
from charger_simulator import ChargePoint
from chassis.runtime import Service
from chassis.telemetry import Telemetry
from contracts.topology import LANE_QUEUES, TOPOLOGY, exchange_for, plan
from razorpay_simulator import RazorpaySimulator

TURNS = 30
"""Turns of the event loop in which whatever is ready inside this process gets to run: a set event, a done future, a new task."""

GUARD_SECONDS = 60.0
"""Longest that real servers may take to come to rest: an I/O guard, past which the culprit is named."""


class NeverQuiet(AssertionError):
    """Something keeps going, or hangs. The message says what."""


@dataclass(frozen=True)
class Snapshot:
    """What is going on: reasons why it is not quiet, and how much has been counted so far."""

    busy: tuple[str, ...]
    counted: tuple[float, ...]


class Quiet:
    """Asks a world whether it is quiet."""

    def __init__(self, services: Mapping[str, Service], telemetries: Mapping[str, Telemetry], razorpay: RazorpaySimulator, dsn: str) -> None:
        self._services = services
        self._telemetries = telemetries
        self._razorpay = razorpay
        self._dsn = dsn
        self._connection: asyncpg.Connection | None = None
        self.charge_points: list[ChargePoint] = []
        self._fanout: dict[tuple[str, str], int] = {}
        bindings = plan().bindings
        for _, exchange, key in bindings:
            self._fanout[exchange, key] = self._fanout.get((exchange, key), 0) + 1
        assert all(self._fanout[exchange_for(bound), bound] for queue in TOPOLOGY.queues for bound in queue.binds)
        assert len(LANE_QUEUES) == len({key for _, exchange, key in bindings if exchange == "charging.lanes"})

    async def __call__(self) -> None:
        """Return once all is quiet. Raises NeverQuiet."""
        try:
            async with asyncio.timeout(GUARD_SECONDS):
                while not await self._quiet_now():
                    await asyncio.sleep(0.002)  # other processes are at work: there is no event of theirs to wait for
        except TimeoutError:
            raise NeverQuiet("; ".join((await self._snapshot()).busy) or "pings or counters never came to rest") from None

    async def _quiet_now(self) -> bool:
        await take_turns()
        before = await self._snapshot()
        if before.busy:
            return False
        await asyncio.gather(*(point.ping_through() for point in self.charge_points if point.connected))
        await take_turns()
        after = await self._snapshot()
        return not after.busy and after.counted == before.counted

    async def _snapshot(self) -> Snapshot:
        busy = [f"{name} works on {service.work.by_kind()}" for name, service in self._services.items() if service.work.count()]
        if self._razorpay.pending:
            busy.append(f"Razorpay has {self._razorpay.pending} deliveries or transitions in hand")
        busy += [f"{point.id} is busy with {point.busy}" for point in self.charge_points if point.busy]
        published, settled = self._messages()
        if published != settled:
            busy.append(f"{published - settled} messages are on their way")
        sockets = self._value("ocpp_gateway", "voltlync_ocpp_gateway_connections")
        connected = sum(point.connected for point in self.charge_points)
        if sockets != connected:
            busy.append(f"the gateway has {sockets:.0f} sockets, {connected} charge points are connected")
        if not busy:
            unrelayed = await self._unrelayed()
            if unrelayed:
                busy.append(f"{unrelayed} outbox rows wait")
        frames = sum(point.frames_sent + point.frames_received for point in self.charge_points)
        return Snapshot(tuple(busy), (published, settled, frames, len(self._razorpay.requests())))

    def _messages(self) -> tuple[float, float]:
        published = settled = 0.0
        for telemetry in self._telemetries.values():
            for metric in telemetry.registry.collect():
                for sample in metric.samples:
                    if sample.name == "voltlync_messages_published_total":
                        exchange, key = sample.labels["exchange"], sample.labels["routing_key"]
                        published += sample.value * self._queues(exchange, key)
                    elif sample.name == "voltlync_messages_settled_total":
                        settled += sample.value
        return published, settled

    def _queues(self, exchange: str, key: str) -> int:
        if exchange.endswith(".dead"):
            return 0  # parked: nobody is to handle it
        if exchange.startswith("retry."):
            return 1
        if exchange == "charging.gateways":
            return 1
        queues = self._fanout.get((exchange, key), 0)
        if key == "charging.charger_credentials_changed.v1":
            queues += 1  # the gateway's own queue, bound when it started
        return queues

    def _value(self, service: str, metric: str) -> float:
        return self._telemetries[service].registry.get_sample_value(metric) or 0.0

    async def _unrelayed(self) -> int:
        if self._connection is None:
            self._connection = await asyncpg.connect(self._dsn)
        return int(
            await self._connection.fetchval(
                "SELECT (SELECT count(*) FROM charging.outbox WHERE published_at IS NULL)"
                " + (SELECT count(*) FROM payments.outbox WHERE published_at IS NULL)"
                " + (SELECT count(*) FROM settlement.outbox WHERE published_at IS NULL)"
            )
        )

    async def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            await self._connection.close()


async def take_turns() -> None:
    """Let everything run that is ready in this process."""
    for _ in range(TURNS):
        await asyncio.sleep(0)
