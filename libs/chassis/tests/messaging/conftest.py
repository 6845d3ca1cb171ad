"""A small service of the tests' own on real servers: schema `probe`, queues `probe.events` and two lanes."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import aio_pika
import pytest
import sqlalchemy as sa
from pydantic import BaseModel

from chassis.database import Database, OutboxRelay, UnitOfWork
from chassis.database.migrate import migrate
from chassis.messaging import Bus, Received
from chassis.messaging.declare import declare
from chassis.runtime import Service, ServiceSettings, SystemClock, SystemIds
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
        ("retry.1s", "fanout"),
    )
    queues: tuple[tuple[str, dict[str, Any]], ...] = (
        *((name, QUORUM) for name in ("probe.events", "probe.questions")),
        *((f"{name}.dead", QUORUM) for name in ("probe.events", "probe.questions", *LANES)),
        *((name, {**QUORUM, "x-single-active-consumer": True}) for name in LANES),
        (
            "retry.1s",
            {
                **QUORUM,
                "x-message-ttl": 200,
                "x-dead-letter-exchange": "",
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
            },
        ),
    )
    bindings: tuple[tuple[str, str, str], ...] = (
        ("probe.events", "probe", Thing.TYPE),
        ("probe.questions", "probe", Question.TYPE),
        ("retry.1s", "retry.1s", ""),
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


def new_service(name: str, servers: Servers, dsn: str) -> Probe:
    """A service with bus and database, not started."""
    settings = ServiceSettings(amqp_url=servers.rabbitmq.url)
    service = Service(name, clock=SystemClock())
    telemetry = service.add(Telemetry(settings, service=name))
    bus = service.add(Bus(servers.rabbitmq.url, app_id="probe", service=service, telemetry=telemetry))
    database = service.add(
        Database(
            dsn, schema="probe", service=service, telemetry=telemetry, ids=SystemIds(), address_of=lambda _: THINGS, pool_size=4
        )
    )
    return Probe(service, bus, database, telemetry, servers.rabbitmq.url)


@pytest.fixture
async def probe_dsn(servers: Servers) -> AsyncIterator[str]:
    """A fresh, migrated database as the probe's own role sees it, and an empty broker."""
    connection = await aio_pika.connect(servers.rabbitmq.url)
    async with connection:
        channel = await connection.channel()
        for name, _ in ProbePlan().queues:
            await channel.queue_delete(name)
    await declare(servers.rabbitmq.url, ProbePlan())
    async with fresh_database(servers.postgres.dsn) as dsn:
        await migrate(dsn, schema="probe", password="probe", migrations=Path(__file__).parent / "migrations")
        yield database_address(dsn, dsn.rsplit("/", 1)[1], user="voltlync_probe", password="probe")


@pytest.fixture
async def probe(servers: Servers, probe_dsn: str) -> AsyncIterator[Probe]:
    """A running service without consumers: each test mounts its own before `start_more`."""
    probe = new_service("probe", servers, probe_dsn)
    probe.service.add(OutboxRelay(probe.database, probe.bus, probe.service))
    await probe.service.start()
    yield probe
    await probe.service.stop()
