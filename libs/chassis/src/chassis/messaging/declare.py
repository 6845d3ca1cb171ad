"""Declaring a topology that somebody else describes: exchanges, queues and bindings as plain data. Repeatable.

Run by an administrator (`voltlync migrate`): a service's broker user may declare nothing but its own command queue.
"""

from collections.abc import Iterable
from typing import Any, Protocol

import aio_pika
import structlog
from aio_pika import ExchangeType

log = structlog.get_logger(__name__)


class Plan(Protocol):
    """What is to exist (contracts.topology.plan() makes one)."""

    @property
    def exchanges(self) -> Iterable[tuple[str, str]]:
        """(name, type)."""
        ...

    @property
    def queues(self) -> Iterable[tuple[str, dict[str, Any]]]:
        """(name, arguments); all durable."""
        ...

    @property
    def bindings(self) -> Iterable[tuple[str, str, str]]:
        """(queue, exchange, routing key)."""
        ...


async def declare(url: str, plan: Plan) -> None:
    """Declare everything of the plan; what exists already in the same form is left as it is."""
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        for name, kind in plan.exchanges:
            await channel.declare_exchange(name, ExchangeType(kind), durable=True)
        for name, arguments in plan.queues:
            await channel.declare_queue(name, durable=True, arguments=arguments)
        for queue, exchange, key in plan.bindings:
            await (await channel.get_queue(queue, ensure=False)).bind(exchange, key)
    log.info("topology.declared")
