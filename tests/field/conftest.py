"""One field per test session. Rows of the quirk table and cases of the OCA document are marked on the tests that show them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chassis.messaging.dead import list_dead
from contracts.topology import TOPOLOGY
from testkit.field import Field
from testkit.servers import Servers
from testkit.servers.postgres import fresh_database
from testkit.servers.rabbitmq import ADMIN


@pytest.fixture(scope="session")
async def running_field(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Field]:
    """Gateway and charging, started once."""
    # A vhost and a database of its own: other suites leave messages in the queues of theirs.
    with servers.rabbitmq.fresh_vhost() as vhost:
        async with fresh_database(servers.postgres.dsn) as dsn:
            field = Field(servers, vhost, dsn, Path(tmp_path_factory.mktemp("field")))
            await field.start()
            yield field
            await field.stop()


@pytest.fixture
async def field(running_field: Field) -> AsyncIterator[Field]:
    """The field; when the test is over nothing may be parked, and its chargers are gone."""
    await running_field.rest()
    parked = await _parked(running_field)
    yield running_field
    peers = running_field.quiet.charge_points
    for peer in peers:
        await peer.stop()
    await running_field.rest()
    peers.clear()
    assert await _parked(running_field) == parked, "a message was given up: `voltlync dead show` tells why"


async def _parked(field: Field) -> dict[str, int]:
    """Messages in dead-letter queues, per queue."""
    url = field.servers.rabbitmq.url_for(ADMIN, vhost=field.vhost)
    return await list_dead(url, [queue.name for queue in TOPOLOGY.queues])
