"""What is told of charge points that nobody registered: once a minute each, and no more than is of use to anybody."""

import asyncio

import orjson
import pytest

from contracts.ocpp_gateway import UnknownChargePointSeen
from contracts.topology import address_of
from ocpp_gateway.streams import SENDER
from ocpp_gateway.websocket import SEEN_PER_WINDOW_MAX, SEEN_SECONDS

pytestmark = pytest.mark.servers

GUARD_SECONDS = 120.0
"""An I/O guard: what is waited for comes in milliseconds, or never."""


async def until(condition, what):
    try:
        async with asyncio.timeout(GUARD_SECONDS):
            while not condition():
                await asyncio.sleep(0.002)
    except TimeoutError:
        pytest.fail(f"did not happen: {what}")


@pytest.fixture
async def told(charging):
    """The events as they come, by charge point id."""
    found = {}
    address = address_of(UnknownChargePointSeen(charge_point_id="x", seen_at="2026-01-01T00:00:00Z"), sender=SENDER)
    queue = await charging.channel.declare_queue(exclusive=True)
    await queue.bind(address.exchange, address.routing_key)

    async def take(message):
        event = UnknownChargePointSeen.model_validate(orjson.loads(message.body))
        found.setdefault(event.charge_point_id, []).append(event)
        await message.ack()

    await queue.consume(take)
    return found


async def test_an_unknown_charge_point_is_told_of_once_a_minute_with_its_library(gateway, told, new_id, clock):
    name = new_id()
    for _ in range(3):
        assert await gateway.status(name, headers={"User-Agent": "TinyWebsockets Client" + "!" * 500}) == 404
    await clock.advance(SEEN_SECONDS)
    assert await gateway.status(name) == 404
    await until(lambda: len(told.get(name, [])) == 2, "two announcements")
    assert told[name][0].user_agent == "TinyWebsockets Client" + "!" * 179
    assert told[name][0].remote_address == "127.0.0.1"


async def test_who_tries_names_in_bulk_is_not_told_of_without_end(gateway, told, new_id, clock):
    names = [new_id() for _ in range(SEEN_PER_WINDOW_MAX + 3)]
    for name in names:
        assert await gateway.status(name) == 404
    await clock.advance(SEEN_SECONDS)
    after = new_id()
    assert await gateway.status(after) == 404
    await until(lambda: after in told, "the window after")
    await until(lambda: len(told) > SEEN_PER_WINDOW_MAX, "one window's worth")
    assert len([name for name in names if name in told]) == SEEN_PER_WINDOW_MAX
