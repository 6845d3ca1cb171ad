"""A suite's broker is its own, and a queue that was emptied stays empty: what waited on its ladder does not come back."""

import aio_pika
import pytest

from contracts.topology import RETRY_DELAYS_SECONDS
from testkit.broker import Broker, fresh_broker
from testkit.servers import Servers

pytestmark = pytest.mark.servers

QUEUE = "payments.events"
PLACES = [QUEUE, f"{QUEUE}.dead", *(f"{QUEUE}.retry.{seconds}s" for seconds in RETRY_DELAYS_SECONDS)]


async def waiting(broker: Broker) -> dict[str, int]:
    """Messages in the queue, on its rungs and among its dead letters."""
    connection = await aio_pika.connect(broker.url)
    async with connection:
        channel = await connection.channel()
        declared = {name: (await channel.declare_queue(name, passive=True)).declaration_result for name in PLACES}
        return {name: result.message_count or 0 for name, result in declared.items() if result.message_count}


async def test_what_one_suite_leaves_no_other_meets_and_emptied_is_emptied_on_every_rung(servers: Servers) -> None:
    async with fresh_broker(servers) as ours, fresh_broker(servers) as theirs:
        connection = await aio_pika.connect(ours.url)
        async with connection:
            channel = await connection.channel()
            for name in (QUEUE, f"{QUEUE}.dead", f"{QUEUE}.retry.300s"):  # the longest rung: it leads back in five minutes
                await channel.default_exchange.publish(aio_pika.Message(b"{}"), routing_key=name)
        assert (await waiting(ours)).keys() == {QUEUE, f"{QUEUE}.dead", f"{QUEUE}.retry.300s"}
        assert await waiting(theirs) == {}
        await ours.empty(QUEUE)
        assert await waiting(ours) == {}
