"""A consumer of one queue, on a channel of its own, that outlives channels and connections.

Works on aio-pika's underlying aiormq channel, whose habits are known here.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import aiormq
import structlog
from aio_pika.abc import AbstractConnection
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel

from chassis.messaging.errors import BrokerUnavailable

log = structlog.get_logger(__name__)

CLOSE_SECONDS_MAX = 5.0
"""Longest to say goodbye to a broker."""

OnDelivery = Callable[[DeliveredMessage], None]


def aiormq_channel(channel: object) -> Channel:
    """The underlying channel as the class it is: its interface leaves out the options we use."""
    if not isinstance(channel, Channel):
        raise TypeError(f"aio-pika gave a {type(channel).__name__} for a channel")
    return channel


@contextmanager
def nobody_cancelled() -> Iterator[None]:
    """aiormq ends what waits on a closed channel with CancelledError. Unless we were asked to end, that is a lost broker."""
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise BrokerUnavailable("the connection was closed in the middle") from error


class Subscription:
    """A consumer of one queue that comes back after every reconnection. Deliveries reach `on_delivery` in order.

    Acknowledge with `ack`: after a reconnection an old delivery's ack is dropped, since the broker delivers it again anyway.
    """

    def __init__(
        self,
        queue: str,
        on_delivery: OnDelivery,
        *,
        prefetch: int,
        on_lost: Callable[[], None] | None = None,
        declare: Callable[[Channel], Awaitable[object]] | None = None,
    ) -> None:
        self.queue = queue
        self.prefetch = prefetch
        self._on_delivery = on_delivery
        self._on_lost = on_lost
        self._declare = declare
        self.channel: Channel | None = None
        self._tag: str | None = None
        self._changing = asyncio.Lock()
        self.paused = False
        self.since = 0.0
        """Since when it is attached, or was last tried, on the loop's clock."""
        self.attempts = 0
        self.trouble: str | None = None
        """Why nothing is consumed, for /readyz and the log."""

    async def attach(self, connection: AbstractConnection) -> None:
        """Consume on a channel of its own: closing it returns what is unacknowledged and hands the queue over at once."""
        async with self._changing:
            if self.alive:
                return
            with nobody_cancelled():
                opened = connection.channel(publisher_confirms=False)
                await opened.initialize()
                channel = aiormq_channel(await opened.get_underlay_channel())

            async def deliver(message: DeliveredMessage) -> None:
                if self.channel is channel:
                    self._on_delivery(message)

            try:
                with nobody_cancelled():
                    if self._declare is not None:
                        await self._declare(channel)
                    await channel.basic_qos(prefetch_count=self.prefetch)
                    self.channel = channel
                    self._tag = (await channel.basic_consume(self.queue, deliver)).consumer_tag
            except BaseException:
                self.lose()
                await close_quietly(channel, self.queue)
                raise

    @property
    def alive(self) -> bool:
        """Whether the broker still knows this consumer (it cancels one when a queue is deleted or its leader moves)."""
        channel = self.channel
        return channel is not None and not channel.is_closed and self._tag in getattr(channel, "consumers", {})

    def holds(self, message: DeliveredMessage) -> bool:
        """Whether this delivery is still ours: one of an earlier channel is delivered again, to us or to somebody else."""
        return self.channel is not None and message.channel is self.channel and not self.channel.is_closed

    async def ack(self, message: DeliveredMessage, *, multiple: bool = False) -> bool:
        """Acknowledge, if the channel that brought it still lives; returns whether it did."""
        channel = self.channel
        if channel is None or not self.holds(message):
            return False
        try:
            await channel.basic_ack(message.delivery_tag or 0, multiple=multiple, wait=False)
        except (aiormq.exceptions.AMQPError, RuntimeError, ConnectionError) as error:
            log.warning("messaging.ack_lost", queue=self.queue, error=repr(error))
            return False
        return True

    def lose(self) -> Channel | None:
        """Forget the channel and what came by it; returns it."""
        channel, self.channel, self._tag = self.channel, None, None
        if channel is not None and self._on_lost is not None:
            self._on_lost()
        return channel

    async def detach(self) -> None:
        """Let go: what was not acknowledged goes back to the queue in its order, and the next consumer takes over."""
        channel = self.lose()
        async with self._changing:
            await close_quietly(channel, self.queue)
            await close_quietly(self.lose(), self.queue)  # of an attach that was under way


async def close_quietly(channel: Channel | None, queue: str) -> None:
    if channel is None or channel.is_closed:
        return
    try:
        with nobody_cancelled():
            async with asyncio.timeout(CLOSE_SECONDS_MAX):
                await channel.close()
    except (aiormq.exceptions.AMQPError, RuntimeError, OSError, TimeoutError, BrokerUnavailable) as error:
        log.debug("messaging.detach", queue=queue, error=repr(error))
