"""A suite's own broker: a vhost with the topology, which no other suite writes to.

In a shared vhost one suite meets what another left. A purge of the queues is not enough: a message that waits on a rung of the
retry ladder comes back minutes later, into the middle of another test, whose rows bear the same first ids.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aio_pika

from chassis.messaging.declare import declare
from contracts.topology import plan
from testkit.servers import Servers
from testkit.servers.rabbitmq import ADMIN


@dataclass(frozen=True)
class Broker:
    """One vhost. `url_for("payments")` is that service's own address."""

    servers: Servers
    vhost: str

    @property
    def url(self) -> str:
        """The administrator's address."""
        return self.url_for(ADMIN)

    def url_for(self, user: str) -> str:
        """A user's address, with the rights that the topology gives it."""
        url: str = self.servers.rabbitmq.url_for(user, vhost=self.vhost)
        return url

    async def empty(self, queue: str) -> None:
        """Forget what waits in a queue, on the rungs of its ladder (first: they lead back) and among its dead letters."""
        names = [name for name, _ in plan().queues if name.startswith(f"{queue}.retry.")]
        connection = await aio_pika.connect(self.url)
        async with connection:
            channel = await connection.channel()
            for name in (*names, queue, f"{queue}.dead"):
                await (await channel.get_queue(name, ensure=False)).purge()


@asynccontextmanager
async def fresh_broker(servers: Servers) -> AsyncIterator[Broker]:
    """A new vhost with the whole topology, gone afterwards; takes 2-3 s."""
    with servers.rabbitmq.fresh_vhost() as vhost:
        broker = Broker(servers, vhost)
        await declare(broker.url, plan())
        yield broker
