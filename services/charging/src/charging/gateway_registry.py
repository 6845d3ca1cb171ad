"""Reading the gateways' registry in Redis (written by ocpp-gateway): who holds which charger, and which gateways live.

    ocpp:registry:{charge_point_id}   hash: epoch of the newest connection, gateway
    ocpp:gateway:{name}               the gateway's lease, expires; its value is the process

Absent means unknown, never offline; Redis away means nothing at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RegisteredConnection:
    """The newest connection that the registry knows of a charger."""

    epoch: int
    gateway: str | None


async def connection_of(redis: "Redis", charge_point_id: str) -> RegisteredConnection | None:
    """The charger's newest connection; None where the registry does not know, or can't be asked."""
    try:
        epoch, gateway = await redis.hmget(f"ocpp:registry:{charge_point_id}", ["epoch", "gateway"])
    except (RedisError, OSError) as error:
        log.warning("registry.unreachable", error=repr(error))
        return None
    if epoch is None or not epoch.isdigit():
        return None
    return RegisteredConnection(int(epoch), _text(gateway))


async def leases(redis: "Redis", gateways: Sequence[str]) -> dict[str, str | None] | None:
    """Each gateway's process, None where its lease is missing; None for all when Redis can't be asked."""
    if not gateways:
        return {}
    try:
        values = await redis.mget([f"ocpp:gateway:{name}" for name in gateways])
    except (RedisError, OSError) as error:
        log.warning("registry.unreachable", error=repr(error))
        return None
    return dict(zip(gateways, map(_text, values), strict=True))


def _text(value: bytes | str | None) -> str | None:
    return value.decode() if isinstance(value, bytes) else value
