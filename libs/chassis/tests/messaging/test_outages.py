"""Servers that die, hang and come back while lanes and packs are in flight: what was confirmed is stored once, in order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from chassis.database import OutboxRelay, UnitOfWork
from chassis.messaging import BrokerUnavailable, MessagingError, Outgoing, Packer, Received
from chassis.messaging import bus as bus_module
from testkit.proxy import TcpProxy
from testkit.servers import Servers

from .conftest import (
    GUARD_SECONDS,
    LANES,
    QUESTIONS,
    THINGS,
    Answer,
    Probe,
    Question,
    Thing,
    lane,
    mount_events,
    mount_lanes,
    new_service,
    parked,
    publish_surely,
    ready_again,
    started,
    until,
)


async def store_by_copy(probe: Probe, uow: UnitOfWork, batch: list[Received]) -> None:
    """As charging does: rows by the driver, past SQLAlchemy, idempotent by name."""
    driver = await uow.asyncpg()
    await driver.executemany(
        "INSERT INTO probe.things (name) VALUES ($1) ON CONFLICT (name) DO NOTHING", [(each.model.name,) for each in batch]
    )


class Charger:
    """Sends numbered events as the gateway does: one on its way at a time, repeated under the same id until confirmed."""

    def __init__(self, probe: Probe, packer: Packer, name: str, number: int) -> None:
        self.name = name
        self._probe = probe
        self._packer = packer
        self._to = lane(number)
        self.confirmed: list[str] = []
        self.refused = 0

    async def send(self, ending: asyncio.Event) -> None:
        """Until told to end."""
        n = 0
        while not ending.is_set():
            thing = Thing(name=f"{self.name}/{n:05d}")
            message = Outgoing(
                type=Thing.TYPE,
                message_id=thing.name,
                body=thing.model_dump_json().encode(),
                occurred_at=self._probe.service.clock.now(),
            )
            try:
                await self._packer.enqueue(message, to=self._to)
            except MessagingError:
                self.refused += 1
                await asyncio.sleep(0.05)
                continue
            self.confirmed.append(thing.name)
            n += 1


@asynccontextmanager
async def chargers(probe: Probe, count: int = 12) -> AsyncIterator[list[Charger]]:
    """Chargers that send while the block runs; afterwards all they were promised must be stored, once, in their order."""
    packer = Packer(probe.bus, probe.service)
    await started(probe, packer)
    fleet = [Charger(probe, packer, f"cp{n:02d}", n % 2) for n in range(count)]
    ending = asyncio.Event()
    sending = [asyncio.ensure_future(charger.send(ending)) for charger in fleet]
    try:
        yield fleet
    finally:
        ending.set()
        await asyncio.gather(*sending)
    promised = {name for charger in fleet for name in charger.confirmed}

    async def all_stored() -> bool:
        return promised <= set(await probe.stored())

    await until(all_stored)
    stored = await probe.stored()
    assert len(stored) == len(set(stored))
    for charger in fleet:
        own = [name for name in stored if name.startswith(charger.name)]
        assert own == sorted(own), f"{charger.name} was stored out of its order"


async def confirms(fleet: list[Charger], more: int) -> None:
    """Wait until every charger has had so many more events confirmed."""
    goals = [len(charger.confirmed) + more for charger in fleet]

    async def reached() -> bool:
        return all(len(charger.confirmed) >= goal for charger, goal in zip(fleet, goals, strict=True))

    await until(reached)


async def test_the_broker_is_killed_with_lanes_and_packs_in_flight(probe: Probe, servers: Servers) -> None:
    await mount_lanes(probe, store_by_copy)
    async with chargers(probe) as fleet:
        await confirms(fleet, 20)
        await asyncio.to_thread(servers.rabbitmq.sync_queue_directory)
        await asyncio.to_thread(servers.rabbitmq.kill)
        await asyncio.to_thread(servers.rabbitmq.start)
        await confirms(fleet, 20)
        assert all(charger.refused for charger in fleet)
    await ready_again(probe)
    await parked(probe, LANES[0], 0)


@asynccontextmanager
async def durable_commits(probe: Probe, servers: Servers) -> AsyncIterator[None]:
    """The tests' PostgreSQL commits asynchronously, for speed: a killed one would lose what it had confirmed."""
    admin = await asyncpg.connect(servers.postgres.dsn)
    await admin.execute("ALTER ROLE voltlync_probe SET synchronous_commit = on")
    await admin.close()
    await probe.database.engine.dispose()
    try:
        yield
    finally:
        admin = await asyncpg.connect(servers.postgres.dsn)
        await admin.execute("ALTER ROLE voltlync_probe RESET synchronous_commit")
        await admin.close()


async def test_postgres_is_killed_in_the_middle_of_batches(probe: Probe, servers: Servers) -> None:
    async with durable_commits(probe, servers):
        await postgres_dies_twice(probe, servers)


async def postgres_dies_twice(probe: Probe, servers: Servers) -> None:
    """Lanes, events and the relay live through it."""
    await mount_lanes(probe, store_by_copy)
    await mount_events(probe)
    async with chargers(probe) as fleet:
        await confirms(fleet, 20)
        for _ in range(2):
            await asyncio.to_thread(servers.postgres.kill)
            await confirms(fleet, 5)  # lanes pause, publishers do not
            await asyncio.to_thread(servers.postgres.start)
            await confirms(fleet, 20)

    async def announced() -> bool:
        return "announced" in await probe.stored()

    async with probe.database.transaction() as uow:
        uow.publish(Thing(name="announced"), subject="thing/1")
    await until(announced)
    assert [await probe.dead(queue) for queue in (*LANES, "probe.events")] == [0, 0, 0], "an outage is nobody's poison"
    await ready_again(probe)


@asynccontextmanager
async def behind_proxy(servers: Servers, dsn: str, *, heartbeat: int | None = None) -> AsyncIterator[tuple[Probe, TcpProxy]]:
    """A service whose broker is behind a network that can be cut and frozen."""
    async with TcpProxy("127.0.0.1", servers.rabbitmq.port) as proxy:
        url = servers.rabbitmq.url.replace(f":{servers.rabbitmq.port}/", f":{proxy.port}/")
        probe = new_service("behind proxy", servers, dsn, amqp_url=url if heartbeat is None else f"{url}?heartbeat={heartbeat}")
        await probe.service.start()
        try:
            yield probe, proxy
        finally:
            proxy.thaw()
            await probe.service.stop()


async def test_the_network_is_cut_again_and_again(servers: Servers, probe_dsn: str) -> None:
    async with behind_proxy(servers, probe_dsn) as (probe, proxy):
        await mount_lanes(probe, store_by_copy)
        async with chargers(probe) as fleet:
            for _ in range(5):
                await confirms(fleet, 5)
                proxy.reset_connections()
            await confirms(fleet, 5)


async def test_a_connection_that_froze_ends_no_publisher_and_no_asker_and_is_replaced(servers: Servers, probe_dsn: str) -> None:
    """aiormq ends everything that waits with CancelledError then: a relay or a worker that took it at its word would be gone."""
    async with behind_proxy(servers, probe_dsn, heartbeat=1) as (probe, proxy):
        proxy.freeze()
        outcomes = await asyncio.gather(
            probe.bus.publish(Thing(name="x"), to=THINGS),
            probe.bus.ask(Question(name="why"), to=QUESTIONS, answer=Answer, timeout_seconds=60),
            return_exceptions=True,
        )
        assert [type(outcome) for outcome in outcomes] == [BrokerUnavailable, BrokerUnavailable]
        proxy.thaw()
        await publish_surely(probe, Thing(name="again"))


async def test_a_close_of_ours_ends_no_publisher_with_a_cancellation(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = probe.bus._connection
    assert connection is not None
    publishing = asyncio.ensure_future(
        asyncio.gather(
            *(probe.bus.publish(Thing(name=f"{n}"), to=THINGS, message_id=f"{n}") for n in range(50)), return_exceptions=True
        )
    )
    await asyncio.sleep(0)
    channel = probe.bus._publishing
    assert channel is not None
    await channel.close()
    for outcome in await publishing:
        assert outcome is None or isinstance(outcome, BrokerUnavailable)
    await publish_surely(probe, Thing(name="x"))


async def test_a_batch_whose_deliveries_were_taken_back_is_left_to_who_has_them_now(servers: Servers, probe_dsn: str) -> None:
    """Another replica may be far ahead by the time the database answers here again."""
    tries: list[list[str]] = []

    async def away(_probe: Probe, _uow: UnitOfWork, batch: list[Received]) -> None:
        tries.append([each.model.name for each in batch])
        raise ConnectionRefusedError("the database is away, for this replica")

    async with behind_proxy(servers, probe_dsn) as (lame, proxy):
        consumer = await mount_lanes(lame, away)
        await lame.bus.publish(Thing(name="first"), to=lane(0), message_id="first")

        async def tried() -> bool:
            return bool(tries)

        await until(tried)
        sound = new_service("sound", servers, probe_dsn)
        await sound.service.start()
        try:
            await mount_lanes(sound)
            proxy.cut()

            async def stored() -> bool:
                return await sound.stored() == ["first"]

            await until(stored)

            async def left() -> bool:
                return not consumer._taken

            await until(left)
        finally:
            await sound.service.stop()
        await proxy.restore()


async def test_a_service_starts_before_its_broker_and_a_stop_ends_the_wait(servers: Servers, probe_dsn: str) -> None:
    async with TcpProxy("127.0.0.1", servers.rabbitmq.port) as proxy:
        url = servers.rabbitmq.url.replace(f":{servers.rabbitmq.port}/", f":{proxy.port}/")
        proxy.cut()
        patient = new_service("patient", servers, probe_dsn, amqp_url=url, drain_seconds=10 * GUARD_SECONDS)
        starting = asyncio.ensure_future(patient.service.start())
        await asyncio.wait({starting}, timeout=0.3)
        assert not starting.done()
        await proxy.restore()
        await asyncio.wait_for(starting, GUARD_SECONDS)
        await patient.bus.publish(Thing(name="x"), to=THINGS)
        proxy.cut()
        async with asyncio.timeout(GUARD_SECONDS):
            await patient.service.stop()


async def test_confirms_that_never_come_are_given_up(servers: Servers, probe_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus_module, "CONFIRM_SECONDS_MAX", 0.2)
    async with behind_proxy(servers, probe_dsn) as (probe, proxy):
        proxy.freeze()
        with pytest.raises(BrokerUnavailable):
            await probe.bus.publish(Thing(name="x"), to=THINGS, message_id="x")


async def test_announcements_wait_for_the_broker_and_leave_in_order(servers: Servers, probe_dsn: str) -> None:
    async with behind_proxy(servers, probe_dsn) as (probe, proxy):
        await started(probe, OutboxRelay(probe.database, probe.bus, probe.service))
        await mount_events(probe)
        proxy.cut()
        names = [f"{n:02d}" for n in range(30)]
        for name in names:
            async with probe.database.transaction() as uow:
                uow.publish(Thing(name=name), subject="thing/1")
        await proxy.restore()

        async def stored() -> bool:
            return await probe.stored() == names

        await until(stored)
