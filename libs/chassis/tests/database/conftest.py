"""A migrated schema of the tests' own, as its role sees it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from chassis.database import Database
from chassis.database.migrate import migrate
from chassis.runtime import Service, ServiceSettings, SystemClock, SystemIds
from chassis.telemetry import Telemetry
from testkit.servers import Servers
from testkit.servers.postgres import database_address, fresh_database

MIGRATIONS = Path(__file__).parents[1] / "messaging" / "migrations"


@dataclass(frozen=True)
class Migrated:
    """A database with the probe's schema: the owner's address and its role's."""

    admin: str
    role: str


@pytest.fixture
async def migrated(servers: Servers) -> AsyncIterator[Migrated]:
    """Fresh for each test."""
    async with fresh_database(servers.postgres.dsn) as dsn:
        await migrate(dsn, schema="probe", password="probe", migrations=MIGRATIONS)
        yield Migrated(dsn, database_address(dsn, dsn.rsplit("/", 1)[1], user="voltlync_probe", password="probe"))


@pytest.fixture
async def database(migrated: Migrated) -> AsyncIterator[Database]:
    """The chassis's database for the probe's role."""
    service = Service("probe", clock=SystemClock())
    telemetry = service.add(Telemetry(ServiceSettings(amqp_url="amqp://nobody"), service="probe"))  # type: ignore[arg-type]
    opened = service.add(
        Database(migrated.role, schema="probe", service=service, telemetry=telemetry, ids=SystemIds(), address_of=lambda _: None)  # type: ignore[arg-type, return-value]
    )
    await service.start()
    yield opened
    await service.stop()
