"""A small service of the tests' own on real servers: schema `probe`, queues `probe.events` and two lanes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import aio_pika
import aiormq
import pytest
import sqlalchemy as sa
from aiormq.abc import AbstractChannel
from pydantic import BaseModel

from chassis.database import Database, OutboxRelay, UnitOfWork
from chassis.database.migrate import migrate
from chassis.messaging import BrokerUnavailable, Bus, Received
from chassis.messaging import bus as bus_module
from chassis.messaging.declare import declare
from chassis.messaging.events import EventConsumer, RpcServer
from chassis.messaging.lanes import LaneConsumer
from chassis.messaging.subscription import nobody_cancelled
from chassis.runtime import Part, Service, ServiceSettings, SystemClock, SystemIds
from chassis.telemetry import Telemetry
from testkit.servers import Servers
from testkit.servers.postgres import database_address, fresh_database

LANES = ("probe.lane.00", "probe.lane.01")
QUORUM = {"x-queue-type": "quorum", "x-delivery-limit": 1_000_000}


class Thing(BaseModel):
    """A fact of the tests."""

    TYPE: ClassVar[str] = "probe.thing_made.v1"
    name: str
    poison: bool = False


class Question(BaseModel):
    """A question of the tests."""

    TYPE: ClassVar[str] = "probe.question_asked.v1"
    name: str


class Answer(BaseModel):
    """Its answer."""

    TYPE: ClassVar[str] = "probe.question_answered.v1"
    name: str


@dataclass(frozen=True)
class To:
    """An address."""

    exchange: str
    routing_key: str
    mandatory: bool = False


THINGS = To("probe", Thing.TYPE)
QUESTIONS = To("probe", Question.TYPE, mandatory=True)


def lane(number: int) -> To:
    """A lane's address."""
    return To("probe.lanes", f"{number:02d}", mandatory=True)


@dataclass(frozen=True)
class ProbePlan:
    """The topology of the tests."""

    exchanges: tuple[tuple[str, str], ...] = (
        ("probe", "topic"),
        ("probe.dead", "direct"),
        ("probe.lanes", "direct"),
        ("probe.retry", "direct"),
    )
    queues: tuple[tuple[str, dict[str, Any]], ...] = (
        *((name, QUORUM) for name in ("probe.events", "probe.questions")),
        *((f"{name}.dead", QUORUM) for name in ("probe.events", "probe.questions", *LANES)),
        *((name, {**QUORUM, "x-single-active-consumer": True}) for name in LANES),
        (
            "probe.events.retry.1s",
            {
                **QUORUM,
                "x-message-ttl": 100,  # its name is what the consumer asks for; a whole second would teach no more
                "x-dead-letter-exchange": "",
                "x-dead-letter-routing-key": "probe.events",
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
            },
        ),
    )
    bindings: tuple[tuple[str, str, str], ...] = (
        ("probe.events", "probe", Thing.TYPE),
        ("probe.questions", "probe", Question.TYPE),
        ("probe.events.retry.1s", "probe.retry", "probe.events.retry.1s"),
        *((f"{name}.dead", "probe.dead", f"{name}.dead") for name in ("probe.events", "probe.questions", *LANES)),
        *((name, "probe.lanes", name[-2:]) for name in LANES),
    )


@dataclass
class Probe:
    """What a test works with: the service's parts, and what its handlers saw."""

    service: Service
    bus: Bus
    database: Database
    telemetry: Telemetry
    amqp_url: str
    seen: list[str] = field(default_factory=list)

    async def stored(self) -> list[str]:
        """Names of things whose effects are committed, in order."""
        async with self.database.reading() as uow:
            rows = await uow.connection.execute(sa.text("SELECT name FROM probe.things ORDER BY id"))
            return [row.name for row in rows]

    def metric(self, name: str, **labels: str) -> float:
        """A metric of this service's own registry; 0 where it was never counted."""
        return self.telemetry.registry.get_sample_value(name, labels) or 0.0

    async def unready(self) -> str:
        """What /readyz would complain of."""
        return "; ".join([f"{name}: {said}" for name, check in self.service.ready_checks.items() if (said := await check())])

    async def dead(self, queue: str) -> int:
        """How many are parked."""
        return (await self.bus.depth(f"{queue}.dead"))[0]


async def store_thing(probe: Probe, uow: UnitOfWork, thing: Thing) -> None:
    """The handler: one row per thing; poison raises after its write, which must not stay."""
    probe.seen.append(thing.name)
    await uow.connection.execute(sa.text("INSERT INTO probe.things (name) VALUES (:name)"), {"name": thing.name})
    if thing.poison:
        raise ValueError(f"{thing.name} is poison")


async def store_lane_batch(probe: Probe, uow: UnitOfWork, batch: list[Received]) -> None:
    """A lane handler, idempotent by name as lanes must be."""
    for received in batch:
        if isinstance(received.model, Question):
            received.answer(Answer(name=received.model.name.upper()))
            continue
        probe.seen.append(received.model.name)
        await uow.connection.execute(
            sa.text("INSERT INTO probe.things (name) VALUES (:name) ON CONFLICT (name) DO NOTHING"), {"name": received.model.name}
        )
        if received.model.poison:
            raise ValueError(f"{received.model.name} is poison")


def new_service(name: str, servers: Servers, dsn: str, *, amqp_url: str | None = None, drain_seconds: float = 20.0) -> Probe:
    """A service with bus and database, not started. `amqp_url`: by way of a proxy."""
    amqp_url = amqp_url or servers.rabbitmq.url
    settings = ServiceSettings(amqp_url=amqp_url)
    service = Service(name, clock=SystemClock(), drain_seconds=drain_seconds)
    telemetry = service.add(Telemetry(settings, service=name))
    bus = service.add(Bus(amqp_url, app_id="probe", service=service, telemetry=telemetry))
    database = service.add(
        Database(
            dsn, schema="probe", service=service, telemetry=telemetry, ids=SystemIds(), address_of=lambda _: THINGS, pool_size=4
        )
    )
    return Probe(service, bus, database, telemetry, servers.rabbitmq.url)


async def administer(url: str, act: Callable[[AbstractChannel], Awaitable[object]]) -> None:
    """Change the topology over a connection of our own, again until the broker has done it.

    It closes the connection (541 INTERNAL_ERROR) of whoever touches a quorum queue that is still being deleted: on the service's
    own connection the test would break what it looks at, and without a repeat itself.
    """

    async def done() -> bool:
        try:
            with nobody_cancelled():
                async with await aio_pika.connect(url) as connection:
                    opened = connection.channel()
                    await opened.initialize()
                    await act(await opened.get_underlay_channel())
        except (aiormq.exceptions.AMQPError, BrokerUnavailable, OSError, RuntimeError):
            return False
        return True

    await until(done)


async def queue_anew(channel: AbstractChannel) -> None:
    """`probe.events` as the plan has it."""
    await channel.queue_declare("probe.events", durable=True, arguments=QUORUM)
    await channel.queue_bind("probe.events", "probe", Thing.TYPE)


@pytest.fixture(scope="session")
async def probe_template(servers: Servers) -> AsyncIterator[str]:
    """The name of a migrated database, to be copied."""
    async with fresh_database(servers.postgres.dsn) as dsn:
        await migrate(dsn, schema="probe", password="probe", migrations=Path(__file__).parent / "migrations")
        yield dsn.rsplit("/", 1)[1]


@pytest.fixture(autouse=True)
def reconnect_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bus that looks for its broker five times a second: the pauses of real outages would only be waited for."""
    monkeypatch.setattr(bus_module, "RECONNECT_SECONDS", (0.1, 0.2))


@pytest.fixture
async def probe_dsn(servers: Servers, probe_template: str) -> AsyncIterator[str]:
    """A fresh, migrated database as the probe's own role sees it, and an empty broker."""

    async def delete_all(channel: AbstractChannel) -> None:
        for name, _ in ProbePlan().queues:
            await channel.queue_delete(name)

    async def declare_all(_channel: AbstractChannel) -> None:
        await declare(servers.rabbitmq.url, ProbePlan())

    await administer(servers.rabbitmq.url, delete_all)
    await administer(servers.rabbitmq.url, declare_all)
    async with fresh_database(servers.postgres.dsn, template=probe_template) as dsn:
        yield database_address(dsn, dsn.rsplit("/", 1)[1], user="voltlync_probe", password="probe")


@pytest.fixture
async def probe(servers: Servers, probe_dsn: str) -> AsyncIterator[Probe]:
    """A running service without consumers: each test mounts its own before `start_more`."""
    probe = new_service("probe", servers, probe_dsn)
    probe.service.add(OutboxRelay(probe.database, probe.bus, probe.service))
    await probe.service.start()
    yield probe
    await probe.service.stop()


GUARD_SECONDS = 120.0
"""An I/O guard: how long a test waits for what must come. Nothing passes or fails by it on a healthy machine."""


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for a condition over real servers."""
    async with asyncio.timeout(GUARD_SECONDS):
        while not await condition():
            await asyncio.sleep(0.02)  # the condition lives in another process: there is no event to wait for


async def publish_surely(probe: Probe, thing: Thing, to: To = THINGS) -> None:
    """Publish until the broker has confirmed it, under one message id: what a caller does whose broker went away meanwhile."""
    message = probe.bus.outgoing(thing)

    async def confirmed() -> bool:
        try:
            await probe.bus.send(message, to=to)
        except BrokerUnavailable:
            return False
        return True

    await until(confirmed)


async def ready_again(probe: Probe) -> None:
    """Wait until /readyz has nothing to complain of."""

    async def nothing() -> bool:
        return not await probe.unready()

    await until(nothing)


async def parked(probe: Probe, queue: str, count: int) -> None:
    """Wait until so many dead letters lie there: what the broker counts may be a moment behind what it has confirmed."""

    async def there() -> bool:
        try:
            return await probe.dead(queue) == count
        except BrokerUnavailable:  # a queue that was just recovered has no leader yet
            return False

    await until(there)


async def mount_events(probe: Probe, handler: Callable[..., Awaitable[None]] = store_thing) -> EventConsumer[Probe]:
    """Start the probe's event consumer."""
    consumer = EventConsumer(
        probe.bus,
        "probe.events",
        {Thing: handler},
        app=probe,
        database=probe.database,
        service=probe.service,
        retry_delays_seconds=(1,),
    )
    await started(probe, consumer)
    return consumer


async def mount_lanes(probe: Probe, handler: Callable[..., Awaitable[None]] = store_lane_batch) -> LaneConsumer[Probe]:
    """Start the probe's lane consumer."""
    consumer = LaneConsumer(
        probe.bus,
        LANES,
        handler,
        app=probe,
        database=probe.database,
        service=probe.service,
        models={Thing.TYPE: Thing, Question.TYPE: Question},
        counted_on="probe.questions",
    )
    await started(probe, consumer)
    return consumer


async def mount_questions(probe: Probe) -> None:
    """Every replica answers questions from one plain queue."""

    async def answer(_app: Probe, _uow: object, question: Question) -> Answer:
        if question.name == "unanswerable":
            raise ValueError(question.name)
        return Answer(name=f"{question.name}!")

    await started(
        probe,
        RpcServer(probe.bus, "probe.questions", {Question: answer}, app=probe, database=probe.database, service=probe.service),
    )


async def started(probe: Probe, part: Part) -> None:
    """Mount a part on a service that runs already; it stops with it, before what was mounted earlier."""
    probe.service.add(part)
    await part.start()
    probe.service._started.append(part)
