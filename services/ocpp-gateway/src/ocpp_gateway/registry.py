"""Which gateway holds which charger, in Redis; and the epochs that number a charger's connections.

| key | type | what |
| --- | --- | --- |
| `ocpp:registry:{charge_point_id}` | hash | `epoch` (newest), `gateway` that holds it (absent once gone), `gone` (epoch ended) |
| `ocpp:gateway:{name}` | string, expires | the gateway's lease; its value is the process |
| `ocpp:sessions` | sorted set | chargers taken to bear a session, by the Unix time until which: who comes in first in a storm |

A key that is absent means unknown, never offline. Redis is a hint with a clock: where it is away or was flushed, epochs come from
our own clock and never go back, leases are asserted again within ten seconds, and nothing else changes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar, cast

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from chassis.runtime import Clock, Tasks
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
"""Chargers per script call: a few milliseconds of Redis."""

SESSIONS = "ocpp:sessions"
"""Chargers taken to bear a session. Whoever knows better may write it too: absent means no priority, and nothing else."""

_OPEN = """
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local epochs = {}
for i, key in ipairs(KEYS) do
  local last = math.max(tonumber(redis.call('HGET', key, 'epoch') or '0'), tonumber(ARGV[i + 2]))
  local epoch = string.format('%.0f', math.max(now, last + 1))
  redis.call('HSET', key, 'epoch', epoch, 'gateway', ARGV[1])
  redis.call('HDEL', key, 'gone')
  redis.call('EXPIRE', key, ARGV[2])
  epochs[i] = epoch
end
return epochs
"""

_GONE = """
for i, key in ipairs(KEYS) do
  if redis.call('HGET', key, 'epoch') == ARGV[i] then
    redis.call('HDEL', key, 'gateway')
    redis.call('HSET', key, 'gone', ARGV[i])
  end
end
return #KEYS
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


ItemT = TypeVar("ItemT")
AnswerT = TypeVar("AnswerT")


class Gathered(Generic[ItemT, AnswerT]):
    """One question at a time: what is asked while one is on its way is asked together next. A lone one goes at once."""

    def __init__(self, tasks: Tasks, name: str, ask: Callable[[list[ItemT]], Awaitable[Sequence[AnswerT]]]) -> None:
        self._tasks = tasks
        self._name = name
        self._ask = ask
        self._waiting: list[tuple[ItemT, asyncio.Future[AnswerT]]] = []
        self._asking = False

    async def __call__(self, item: ItemT) -> AnswerT:
        """The answer to this item. Raises what `ask` raised."""
        future: asyncio.Future[AnswerT] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if not self._asking:
            self._asking = True
            self._tasks.start(self._name, self._run())
        return await future

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
                try:
                    answers = await self._ask([item for item, _ in batch])
                except Exception as error:  # noqa: BLE001  (theirs who asked)
                    for _, future in batch:
                        if not future.done():
                            future.set_exception(error)
                    continue
                for (_, future), answer in zip(batch, answers, strict=True):
                    if not future.done():
                        future.set_result(answer)
        finally:
            self._asking = False


class Registry:
    """This gateway's entries. A Part: its stop is the last thing that Redis hears of us."""

    def __init__(
        self, url: str, *, gateway: str, process: str, lease_seconds: float, clock: Clock, tasks: Tasks, metrics: Metrics
    ) -> None:
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
        self._open_script = self._redis.register_script(_OPEN)
        self._gone_script = self._redis.register_script(_GONE)
        self._assert_script = self._redis.register_script(_ASSERT)
        self._open: Gathered[str, int | None] = Gathered(tasks, "registry.open", self._open_all)
        self._gone: Gathered[tuple[str, int], None] = Gathered(tasks, "registry.gone", self._gone_all)
        self.in_session: frozenset[str] = frozenset()
        """Chargers that a session was last heard of, wherever they were connected; as of the last `assert_sessions`."""
        self.reachable = True
        """Whether the last call got through. While not, handshakes don't wait for Redis; asserting the lease finds it again."""

    async def start(self) -> None:
        """Take the lease, and read who bears a session: after our own restart nobody else would tell."""
        await self.assert_lease()
        await self.assert_sessions({}, [])

    async def stop(self) -> None:
        """Give the lease up: charging need not wait until it lapses."""
        await self._try(self._redis.delete(gateway_key(self._gateway)))
        await self._redis.aclose()

    async def open(self, charge_point_id: str) -> int:
        """A new connection's epoch: above every earlier one of this charger. Never fails."""
        epoch = await self._open(charge_point_id) if self.reachable else None
        # Two handshakes at once: each reads `last` anew here, where nothing can come between.
        last = self._last.get(charge_point_id, 0)
        number = max(last + 1, int(self._clock.now().timestamp() * 1_000_000) if epoch is None else epoch)
        self._last[charge_point_id] = number
        self._first.setdefault(charge_point_id, number)
        return number

    async def _open_all(self, charge_point_ids: list[str]) -> Sequence[int | None]:
        epochs = None
        if self.reachable:
            epochs = await self._try(
                self._open_script(
                    keys=[charger_key(charge_point_id) for charge_point_id in charge_point_ids],
                    args=[self._gateway, REGISTRY_KEEP_SECONDS, *(self._last.get(each, 0) for each in charge_point_ids)],
                )
            )
        return [int(epoch) for epoch in epochs] if epochs is not None else [None] * len(charge_point_ids)

    def was_ours(self, charge_point_id: str, epoch: int) -> bool:
        """Whether this process gave out that epoch, or a later one: what happened on it, it remembers itself."""
        first = self._first.get(charge_point_id)
        return first is not None and epoch >= first

    async def gone(self, charge_point_id: str, epoch: int) -> None:
        """Tombstone: the connection of this epoch has ended. A newer one's entry is left alone."""
        if self.reachable:
            await self._gone((charge_point_id, epoch))

    async def _gone_all(self, ended: list[tuple[str, int]]) -> Sequence[None]:
        keys = [charger_key(charge_point_id) for charge_point_id, _ in ended]
        await self._try(self._gone_script(keys=keys, args=[epoch for _, epoch in ended]))
        return [None] * len(ended)

    async def assert_lease(self) -> None:
        """Say that this gateway lives, for another `lease_seconds`."""
        await self._try(self._redis.set(gateway_key(self._gateway), self._process, px=self._lease_milliseconds))

    async def assert_sessions(self, running: Mapping[str, float], ended: Sequence[str]) -> None:
        """Say which of our chargers bear a session, until which Unix time, and which no longer do; learn who else does."""
        now = self._clock.now().timestamp()
        pipeline = self._redis.pipeline(transaction=False)
        if running:
            pipeline.zadd(SESSIONS, running)
        if ended:
            pipeline.zrem(SESSIONS, *ended)
        pipeline.zremrangebyscore(SESSIONS, "-inf", now)
        pipeline.zrange(SESSIONS, 0, -1)
        answer = await self._try(pipeline.execute())
        if answer is not None:
            self.in_session = frozenset(answer[-1])

    async def assert_chargers(self, held: Sequence[tuple[str, int]]) -> list[str]:
        """Say which chargers we hold, as (charge point id, epoch). Returns those that are newer elsewhere."""
        lost: list[str] = []
        for start in range(0, len(held), BATCH):
            batch = held[start : start + BATCH]
            answer = await self._try(
                self._assert_script(
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
