"""One world per test session; after each test nothing is parked, after all of them the books agree."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from testkit.servers import Servers
from testkit.servers.postgres import fresh_database
from tests.e2e.world import World
from voltlync.books.run import verified


async def books_of(world: World) -> list[str]:
    """What `voltlync books verify` finds."""
    await world.rest()
    to = world.clock.now() + timedelta(seconds=1)
    verdict = await verified(lambda path: world.api("GET", path, role="finance"), lambda _: None, from_=None, to=to)
    return [str(difference) for difference in verdict.differences]


@pytest.fixture(scope="session")
async def running_world(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """The whole of VoltLync, started once."""
    # A vhost and a database of its own: other suites leave messages in the queues of theirs.
    with servers.rabbitmq.fresh_vhost() as vhost:
        async with fresh_database(servers.postgres.dsn) as dsn:
            world = World(servers, vhost, dsn, Path(tmp_path_factory.mktemp("world")))
            await world.start()
            yield world
            # Whatever the diaries did, the books agree with the raw records at the end of it.
            different = await books_of(world)
            await world.stop()
            assert different == []


@pytest.fixture
async def world(running_world: World) -> AsyncIterator[World]:
    """The world; when the test is over nothing may be parked."""
    await running_world.rest()
    yield running_world
    await running_world.rest()
    assert await running_world.dead_letters() == {}, "a message was given up: `voltlync dead show` tells why"
