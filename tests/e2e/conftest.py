"""One world per test session; after each test its money is accounted for and nothing is parked."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from testkit.servers import Servers
from testkit.servers.postgres import fresh_database
from tests.e2e.world import World


@pytest.fixture(scope="session")
async def running_world(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """The whole of VoltLync, started once."""
    # A vhost and a database of its own: other suites leave messages in the queues of theirs.
    with servers.rabbitmq.fresh_vhost() as vhost:
        async with fresh_database(servers.postgres.dsn) as dsn:
            world = World(servers, vhost, dsn, Path(tmp_path_factory.mktemp("world")))
            await world.start()
            yield world
            await world.stop()


@pytest.fixture
async def world(running_world: World) -> AsyncIterator[World]:
    """The world; when the test is over nothing may be parked."""
    await running_world.rest()
    yield running_world
    await running_world.rest()
    assert await running_world.dead_letters() == {}, "a message was given up: `voltlync dead show` tells why"
