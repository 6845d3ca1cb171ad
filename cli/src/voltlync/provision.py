"""What must exist before the first service starts: database, roles, tables, and the broker's exchanges and queues."""

import asyncio
from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import asyncpg

from chassis.database.migrate import migrate
from chassis.messaging.declare import declare
from contracts.topology import permissions, plan
from testkit.servers import BrokerUser, database_address
from testkit.servers.rabbitmq import definitions
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
    """Create what is missing, upgrade what is old, on a private installation's servers. Repeatable."""
    await prepare(
        admin_dsn=installation.servers.postgres.dsn,
        admin_amqp_url=installation.servers.rabbitmq.url,
        database_passwords=installation.credentials.database_passwords,
    )


async def prepare(*, admin_dsn: str, admin_amqp_url: str, database_passwords: Mapping[str, str]) -> None:
    """The same on any servers, given administrators' addresses; raises what a server says when it refuses."""
    await _create_database(admin_dsn)
    await asyncio.gather(_migrate_all(database_address(admin_dsn, DATABASE), database_passwords), declare(admin_amqp_url, plan()))


async def import_definitions(management_url: str, credentials: Credentials) -> None:
    """Give a broker its vhost and the services' users through RabbitMQ's management API (`http://user:password@host:15672`).

    Endpoint: POST /api/definitions. What exists is updated, nothing is removed. Waits until the broker answers.
    """
    body = definitions(broker_users(credentials))
    address = urlsplit(management_url)
    auth = aiohttp.BasicAuth(address.username or "guest", address.password or "guest")
    target = urlunsplit((address.scheme, f"{address.hostname}:{address.port}", "/api/definitions", "", ""))
    async with (
        aiohttp.ClientSession(auth=auth, timeout=aiohttp.ClientTimeout(total=10)) as http,
        http.post(target, json=body) as answer,
    ):
        if not answer.ok:
            raise RuntimeError(f"RabbitMQ refused the definitions: {answer.status} {await answer.text()}")


async def _create_database(admin_dsn: str) -> None:
    connection = await asyncpg.connect(admin_dsn)
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
            await connection.execute(f'CREATE DATABASE "{DATABASE}" TEMPLATE template0')
    finally:
        await connection.close()


async def _migrate_all(admin_url: str, passwords: Mapping[str, str]) -> None:
    for service in DATABASE_SERVICES:  # one after the other: Alembic keeps its context in module globals
        migrations = ROOT / "services" / service / "migrations"
        if migrations.exists():  # a room that is still empty has no tables
            await migrate(admin_url, schema=service, password=passwords[service], migrations=migrations)
