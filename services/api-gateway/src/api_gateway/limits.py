"""Rate limits, counted in Redis for all replicas of the door. With Redis away requests pass uncounted, and that is counted."""

import ipaddress
import math

import redis.exceptions
import structlog
from aiohttp import web
from limits import RateLimitItem, parse
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from prometheus_client import CollectorRegistry, Counter
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from api_gateway.settings import ApiGatewaySettings
from chassis.runtime import Clock
from chassis.web import Problem

log = structlog.get_logger(__name__)

REDIS_PAUSE_SECONDS = 1.0
"""After a failure Redis is left alone so long: else every request would wait for the timeout."""

KEY_PREFIX = "voltlync:door:limit"


class Limits:
    """`check(kind, who)` raises Problem 429 for one too many. A Part."""

    def __init__(self, settings: ApiGatewaySettings, *, clock: Clock, registry: CollectorRegistry) -> None:
        self._clock = clock
        self._networks = settings.trusted_networks
        self._items: dict[str, RateLimitItem] = {
            "caller": parse(settings.limit_caller),
            "public": parse(settings.limit_public),
            "unauthenticated": parse(settings.limit_unauthenticated),
            "webhooks": parse(settings.limit_webhooks),
        }
        timeout = settings.limit_timeout_seconds
        self._redis = Redis.from_url(
            settings.redis_url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=Retry(NoBackoff(), 0)
        )
        storage = RedisStorage(
            f"async+{settings.redis_url}",
            implementation="redispy",
            key_prefix=KEY_PREFIX,
            connection_pool=self._redis.connection_pool,  # type: ignore[arg-type]  # documented, but not in its annotation
        )
        self._limiter = SlidingWindowCounterRateLimiter(storage)
        self._away_until = 0.0
        self._unavailable = Counter(
            "voltlync_api_gateway_rate_limit_unavailable_total",
            "Requests that passed uncounted: Redis was away",
            registry=registry,
        )
        self._limited = Counter(
            "voltlync_api_gateway_rate_limited_total", "Requests answered 429, by kind", ["kind"], registry=registry
        )

    async def start(self) -> None:
        """Connections are opened as they are needed: the door starts without Redis."""

    async def stop(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def ready(self) -> str | None:
        """For /readyz."""
        try:
            await self._redis.ping()
        except (redis.exceptions.RedisError, OSError, TimeoutError) as error:
            return f"Redis does not answer, so nothing is limited: {type(error).__name__}"
        return None

    async def check(self, kind: str, who: str) -> None:
        """Count one request of `who`. Raises Problem 429 with Retry-After when it is one too many."""
        if self._clock.monotonic() < self._away_until:
            self._unavailable.inc()
            return
        item = self._items[kind]
        try:
            if await self._limiter.hit(item, kind, who):
                return
            reset_at = (await self._limiter.get_window_stats(item, kind, who)).reset_time
        except (redis.exceptions.RedisError, OSError, TimeoutError) as error:
            self._unavailable.inc()
            self._away_until = self._clock.monotonic() + REDIS_PAUSE_SECONDS
            log.warning("limits.unavailable", error=repr(error))
            return
        self._limited.labels(kind).inc()
        # Redis counts by its own clock; whatever ours says, a caller is told something between a second and the window.
        seconds = math.ceil(reset_at - self._clock.now().timestamp())
        raise Problem(
            429,
            "Too many requests",
            f"At most {item.amount} in {item.multiples} {item.GRANULARITY.name}(s).",
            type="too-many-requests",
            headers={"Retry-After": str(max(1, min(seconds, item.get_expiry())))},
        )

    def address_of(self, request: web.Request) -> str:
        """Whose address counts: the peer's; or, behind proxies that we trust, the last one that is none of them."""
        peer = request.remote or "unknown"
        if not self._networks or not self._trusted(peer):
            return peer
        forwarded = [hop.strip() for value in request.headers.getall("X-Forwarded-For", []) for hop in value.split(",")]
        for hop in reversed(forwarded):
            try:
                ipaddress.ip_address(hop)
            except ValueError:
                break  # whoever wrote this is not to be believed, nor what stands before it
            if not self._trusted(hop):
                return hop
        return peer

    def _trusted(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)
