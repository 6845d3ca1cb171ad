"""Who is killed, in which order, when, and for how long: all of it from one seed."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import redis.asyncio

from tests.chaos.installation import DOORS, SERVICES, Running
from tests.chaos.sites import Site

BROKER = "broker"
REDIS = "redis"
VICTIMS = (*SERVICES, *DOORS, BROKER, REDIS)

# When: so long after the last victim is back and a session runs. Long enough for sessions to begin, be stopped, billed and
# paid out, so that a kill may hit any of it.
WAIT_SECONDS = (0.5, 7.0)
# How long a victim stays dead. Its start comes on top: a service's takes some 3 s, the broker's some 8 s.
DEAD_SECONDS = (0.0, 5.0)
# Sessions come by themselves: so long without one is a system that no longer works.
SESSION_SECONDS_MAX = 90.0
POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Kill:
    """One kill to come."""

    victim: str
    wait_seconds: float
    dead_seconds: float


def draw(seed: int, count: int) -> Iterator[Kill]:
    """`count` kills; no victim comes again before all others had their turn."""
    rng = random.Random(f"{seed} kills")
    deck: list[str] = []
    for _ in range(count):
        if not deck:
            deck = rng.sample(VICTIMS, len(VICTIMS))
        yield Kill(deck.pop(), rng.uniform(*WAIT_SECONDS), rng.uniform(*DEAD_SECONDS))


async def carry_out(kill: Kill, running: Running, sites: Sequence[Site], tell: Callable[[str], None]) -> None:
    """Wait for the moment, kill, leave dead, start again, and return when the victim is ready."""
    try:
        async with asyncio.timeout(SESSION_SECONDS_MAX):
            while not any(site.charging for site in sites):
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        raise AssertionError(f"nobody has charged for {SESSION_SECONDS_MAX:.0f} s: it does not work any more") from None
    await asyncio.sleep(kill.wait_seconds)
    scene = ", ".join(f"{count} {doing}" for doing, count in Counter(site.doing for site in sites).most_common())
    clock = asyncio.get_running_loop().time
    began = clock()
    if kill.victim == REDIS:
        async with redis.asyncio.from_url(running.installation.servers.redis.url) as client:
            await client.flushall()
        tell(f"FLUSHALL of redis           | {scene}")
        return
    broker = running.installation.servers.rabbitmq
    tell(f"kill -9 {kill.victim:<14} {kill.dead_seconds:4.1f} s | {scene}")
    if kill.victim == BROKER:
        await asyncio.to_thread(broker.kill)
    else:
        await running.supervisor.kill(kill.victim)
    await asyncio.sleep(kill.dead_seconds)
    if kill.victim == BROKER:
        await asyncio.to_thread(broker.start)
    else:
        await running.supervisor.start(kill.victim)
    tell(f"        {kill.victim:<14} is back after {clock() - began:.1f} s")


async def kill_all_services(running: Running) -> None:
    """All at once, and back again together: what each does at start-up meets what all others do."""
    names = (*SERVICES, *DOORS)
    await asyncio.gather(*(running.supervisor.kill(name) for name in names))
    await asyncio.gather(*(running.supervisor.start(name) for name in names))
