"""Which gateway holds which charger, in Redis; and the epochs that number a charger's connections.

| key | type | what |
| --- | --- | --- |
| `ocpp:registry:{charge_point_id}` | hash | `epoch` (newest), `gateway` that holds it (absent once gone), `gone` (epoch ended) |
| `ocpp:gateway:{name}` | string, expires | the gateway's lease; its value is the process |

A key that is absent means unknown, never offline. Redis is a hint with a clock: where it is away or was flushed, epochs come from
our own clock and never go back, leases are asserted again within ten seconds, and nothing else changes.
"""

from collections.abc import Awaitable, Sequence
from typing import Any, cast

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from chassis.runtime import Clock
from ocpp_gateway.metrics import Metrics

log = structlog.get_logger(__name__)

REDIS_SECONDS = 1.0
"""Real-time limit of one call: a handshake must not hang on a hint."""

CONNECTIONS_MAX = 16
"""To Redis, from this process."""

QUEUE_SECONDS = 10.0
"""Real-time limit of waiting for one of them."""

REGISTRY_KEEP_SECONDS = 7 * 24 * 3600
"""Cleaning only: the newest epoch of a charger that has been away this long is below any clock."""

BATCH = 500
"""Chargers asserted per script call: a few milliseconds of Redis."""

_OPEN = """
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local last = math.max(tonumber(redis.call('HGET', KEYS[1], 'epoch') or '0'), tonumber(ARGV[2]))
local epoch = string.format('%.0f', math.max(now, last + 1))
redis.call('HSET', KEYS[1], 'epoch', epoch, 'gateway', ARGV[1])
redis.call('HDEL', KEYS[1], 'gone')
redis.call('EXPIRE', KEYS[1], ARGV[3])
return epoch
"""

_GONE = """
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[1], 'gateway')
redis.call('HSET', KEYS[1], 'gone', ARGV[1])
return 1
"""

_ASSERT = """
local lost = {}
for i, key in ipairs(KEYS) do
  local mine = ARGV[i + 2]
  local held = redis.call('HGET', key, 'epoch')
  if held and tonumber(held) > tonumber(mine) then
    lost[#lost + 1] = i
  else
    redis.call('HSET', key, 'epoch', mine, 'gateway', ARGV[1])
    redis.call('EXPIRE', key, ARGV[2])
  end
end
return lost
"""


def charger_key(charge_point_id: str) -> str:
    """Where a charger's gateway and epoch stand."""
    return f"ocpp:registry:{charge_point_id}"


def gateway_key(gateway: str) -> str:
    """A gateway's lease."""
    return f"ocpp:gateway:{gateway}"


class Registry:
    """This gateway's entries. A Part: its stop is the last thing that Redis hears of us."""

    def __init__(self, url: str, *, gateway: str, process: str, lease_seconds: float, clock: Clock, metrics: Metrics) -> None:
        self._gateway = gateway
        self._process = process
        self._lease_milliseconds = int(lease_seconds * 1000)
        self._clock = clock
        self._metrics = metrics
        self._last: dict[str, int] = {}
        self._first: dict[str, int] = {}
        # A fleet that comes or goes at once queues for a few connections instead of opening one each.
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS_MAX,
            timeout=QUEUE_SECONDS,
            decode_responses=True,
            socket_timeout=REDIS_SECONDS,
            socket_connect_timeout=REDIS_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._redis = Redis.from_pool(pool)
        self._open = self._redis.register_script(_OPEN)
        self._gone = self._redis.register_script(_GONE)
        self._assert = self._redis.register_script(_ASSERT)
        self.reachable = True
        """Whether the last call got through. While not, handshakes don't wait for Redis; asserting the lease finds it again."""

    async def start(self) -> None:
        """Take the lease."""
        await self.assert_lease()

    async def stop(self) -> None:
        """Give the lease up: charging need not wait until it lapses."""
        await self._try(self._redis.delete(gateway_key(self._gateway)))
        await self._redis.aclose()

    async def open(self, charge_point_id: str) -> int:
        """A new connection's epoch: above every earlier one of this charger. Never fails."""
        last = self._last.get(charge_point_id, 0)
        epoch = None
        if self.reachable:
            epoch = await self._try(
                self._open(keys=[charger_key(charge_point_id)], args=[self._gateway, last, REGISTRY_KEEP_SECONDS])
            )
        # Two handshakes at once: each reads `last` anew here, where nothing can come between.
        last = self._last.get(charge_point_id, 0)
        number = max(last + 1, int(self._clock.now().timestamp() * 1_000_000) if epoch is None else int(epoch))
        self._last[charge_point_id] = number
        self._first.setdefault(charge_point_id, number)
        return number

    def was_ours(self, charge_point_id: str, epoch: int) -> bool:
        """Whether this process gave out that epoch, or a later one: what happened on it, it remembers itself."""
        first = self._first.get(charge_point_id)
        return first is not None and epoch >= first

    async def gone(self, charge_point_id: str, epoch: int) -> None:
        """Tombstone: the connection of this epoch has ended. A newer one's entry is left alone."""
        if self.reachable:
            await self._try(self._gone(keys=[charger_key(charge_point_id)], args=[epoch]))

    async def assert_lease(self) -> None:
        """Say that this gateway lives, for another `lease_seconds`."""
        await self._try(self._redis.set(gateway_key(self._gateway), self._process, px=self._lease_milliseconds))

    async def assert_chargers(self, held: Sequence[tuple[str, int]]) -> list[str]:
        """Say which chargers we hold, as (charge point id, epoch). Returns those that are newer elsewhere."""
        lost: list[str] = []
        for start in range(0, len(held), BATCH):
            batch = held[start : start + BATCH]
            answer = await self._try(
                self._assert(
                    keys=[charger_key(charge_point_id) for charge_point_id, _ in batch],
                    args=[self._gateway, REGISTRY_KEEP_SECONDS, *(epoch for _, epoch in batch)],
                )
            )
            if answer is None:
                break
            lost += [batch[index - 1][0] for index in cast("list[int]", answer)]
        return lost

    async def _try(self, call: Awaitable[Any]) -> Any:
        """The call's answer, or None where Redis is away."""
        try:
            answer = await call
        except (RedisError, OSError) as error:
            self._metrics.registry_failures.inc()
            if self.reachable:
                log.warning("registry.unreachable", error=repr(error))
            self.reachable = False
            return None
        if not self.reachable:
            log.info("registry.reachable_again")
        self.reachable = True
        return answer
