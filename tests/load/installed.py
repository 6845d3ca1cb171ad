"""A whole installation as real processes, on private servers with fsync on, with chargers put straight into its database."""

import asyncio
import secrets
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import asyncpg

from testkit.servers import Servers, database_address
from tests.load.processes import PASSWORD, cpu_seconds, say
from voltlync.credentials import Credentials
from voltlync.plan import DATABASE, Installation, Ports
from voltlync.provision import broker_users, provision
from voltlync.supervisor import Supervisor


@dataclass(frozen=True)
class Installed:
    """One installation that runs."""

    installation: Installation
    supervisor: Supervisor
    dsn: str
    """The administrator's, of the database that all services share."""

    def cpu(self) -> dict[str, float]:
        """CPU seconds so far of each part of the path of a charger's message."""
        servers: Any = self.installation.servers
        pids = {
            "gateway": self.supervisor.pid("ocpp_gateway"),
            "charging": self.supervisor.pid("charging"),
            "RabbitMQ": servers.rabbitmq.pid,
            "PostgreSQL": servers.postgres.pid,
            "Redis": servers.redis.pid,
        }
        return {name: cpu_seconds(pid) for name, pid in pids.items()}

    async def query(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        """Rows of the shared database."""
        connection = await asyncpg.connect(self.dsn)
        try:
            return list(await connection.fetch(sql, *arguments))
        finally:
            await connection.close()

    async def number(self, sql: str, *arguments: Any) -> int:
        """The one number that a query gives."""
        return int((await self.query(sql, *arguments))[0][0])

    async def stored(self) -> int:
        """MeterValues messages whose samples are in Postgres."""
        return await self.number("SELECT count(*) FROM (SELECT DISTINCT charger_id, epoch, seq FROM charging.meter_values) m")


@asynccontextmanager
async def prepared(overrides: Mapping[str, str] | None = None) -> AsyncIterator[Installed]:
    """Servers with everything that the services find there; none of these runs yet. On leaving nothing is left running."""
    with tempfile.TemporaryDirectory(prefix="voltlync-bench-") as folder:
        directory = Path(folder)
        credentials = Credentials.make()
        servers = Servers.throwaway(broker_users=broker_users(credentials), durable=True)
        supervisor = Supervisor(directory / "logs")
        try:
            say("Starting servers and services ...")
            await asyncio.to_thread(servers.start)
            installation = Installation(servers, credentials, Ports.free(), directory / "data", overrides=dict(overrides or {}))
            installation.data.mkdir()
            await provision(installation)
            yield Installed(installation, supervisor, database_address(servers.postgres.dsn, DATABASE))
        finally:
            await supervisor.stop()
            await asyncio.to_thread(servers.stop)


@asynccontextmanager
async def installed(chargers: int, overrides: Mapping[str, str] | None = None) -> AsyncIterator[Installed]:
    """Everything started and `chargers` registered."""
    async with prepared(overrides) as system:
        await register(system.dsn, chargers)
        for stage in (system.installation.simulators(), system.installation.services(), system.installation.doors()):
            await system.supervisor.start_stage(stage)
        yield system


async def register(dsn: str, chargers: int) -> None:
    """Chargers with one password, a tariff, a staff tag that may start: straight into charging's tables, as only a bench may."""
    salt = secrets.token_hex(16)
    digest = sha256(salt.encode() + PASSWORD.encode()).hexdigest()
    connection = await asyncpg.connect(dsn)
    try:
        station = await connection.fetchval(
            "INSERT INTO charging.stations (name, created_at, updated_at) VALUES ('Bench', now(), now()) RETURNING id"
        )
        await connection.execute(
            "INSERT INTO charging.tariffs (name, paise_per_kwh, gst_bps, effective_from, created_at)"
            " VALUES ('Bench', 1800, 1800, now() - interval '1 day', now())"
        )
        await connection.execute(
            "INSERT INTO charging.id_tags (id_tag, holder, concurrent_sessions_max, created_at)"
            " VALUES ('BENCH', 'the bench', NULL, now())"
        )
        await connection.execute(
            "INSERT INTO charging.chargers (charge_point_id, station_id, connector_kind, rated_power_w, password_salt,"
            " password_hash, created_at, updated_at)"
            " SELECT 'BENCH-' || lpad(n::text, 5, '0'), $1, 'type2', 22000, $2, $3, now(), now()"
            " FROM generate_series(0, $4 - 1) n",
            station,
            salt,
            digest,
            chargers,
        )
    finally:
        await connection.close()
