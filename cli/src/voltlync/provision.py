"""What must exist before the first service starts: database, roles, tables, and the broker's exchanges and queues."""

import asyncio

import asyncpg

from chassis.database.migrate import migrate
from chassis.messaging.declare import declare
from contracts.topology import permissions, plan
from testkit.servers import BrokerUser
from voltlync.credentials import Credentials
from voltlync.plan import DATABASE, DATABASE_SERVICES, Installation
from voltlync.workspace import ROOT


def broker_users(credentials: Credentials) -> list[BrokerUser]:
    """One RabbitMQ user per service, with the topology's least privilege."""
    return [
        BrokerUser(right.user, credentials.broker_passwords[right.user], right.configure, right.write, right.read)
        for right in permissions()
    ]


async def provision(installation: Installation) -> None:
    """Create what is missing, upgrade what is old. Repeatable; raises what the server says when it refuses."""
    await _create_database(installation.servers.postgres.dsn)
    await asyncio.gather(_migrate_all(installation), declare(installation.servers.rabbitmq.url, plan()))


async def _create_database(admin_dsn: str) -> None:
    connection = await asyncpg.connect(admin_dsn)
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
            await connection.execute(f'CREATE DATABASE "{DATABASE}" TEMPLATE template0')
    finally:
        await connection.close()


async def _migrate_all(installation: Installation) -> None:
    for service in DATABASE_SERVICES:  # one after the other: Alembic keeps its context in module globals
        migrations = ROOT / "services" / service / "migrations"
        if migrations.exists():  # a room that is still empty has no tables
            await migrate(
                installation.admin_database_url,
                schema=service,
                password=installation.credentials.database_passwords[service],
                migrations=migrations,
            )
