"""Dead letters: where an event goes that no retry can help, with its reason; and how an operator reads and replays them.

`<queue>.dead` is bound to `<service>.dead` (direct) under its own name. Headers: x-reason (error class and text), x-handler,
x-queue (where it came from), x-attempts, x-first-failure (ISO 8601).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import aio_pika

from chassis.messaging.bus import Bus
from chassis.messaging.envelope import Received

REASON_LENGTH_MAX = 1000
"""Headers travel in one frame; a reason needs a sentence, not a stack trace (the log has that)."""


@dataclass(frozen=True)
class DeadAddress:
    """`<service>.dead`, key `<queue>.dead`."""

    exchange: str
    routing_key: str
    mandatory: bool = True


async def park(bus: Bus, event: Received, error: BaseException, *, handler: str, now: datetime) -> None:
    """Publish an event to its queue's dead letters, confirmed."""
    message = event.outgoing(
        **{
            "x-reason": f"{type(error).__name__}: {error}"[:REASON_LENGTH_MAX].encode("utf-8", "replace").decode(),
            "x-handler": handler,
            "x-queue": event.queue,
            "x-first-failure": event.headers.get("x-first-failure") or now.isoformat(),
        }
    )
    await bus.send(message, to=DeadAddress(f"{bus.app_id}.dead", f"{event.queue}.dead"))


@dataclass(frozen=True)
class DeadLetter:
    """One parked message as an operator sees it."""

    queue: str
    message_id: str
    type: str
    reason: str
    handler: str
    first_failure: str
    attempts: int
    body: bytes
    headers: dict[str, Any]


async def list_dead(url: str, queues: Iterable[str]) -> dict[str, int]:
    """How many are parked, by queue; `queues` are names of working queues. Needs read access to the dead-letter queues."""
    counts: dict[str, int] = {}
    connection = await aio_pika.connect(url)
    async with connection:
        for queue in queues:
            channel = await connection.channel()
            declared = await channel.declare_queue(f"{queue}.dead", passive=True)
            counts[queue] = declared.declaration_result.message_count or 0
            await channel.close()
    return counts


async def show_dead(url: str, queue: str, *, limit: int = 20) -> list[DeadLetter]:
    """The first parked messages of a queue; they stay parked, in their order."""
    letters: list[DeadLetter] = []
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        dead = await channel.declare_queue(f"{queue}.dead", passive=True)
        held: list[aio_pika.abc.AbstractIncomingMessage] = []
        while len(held) < limit and (message := await dead.get(fail=False)) is not None:
            held.append(message)
            letters.append(_letter(queue, message))
        for message in reversed(held):
            await message.nack(requeue=True)
    return letters


async def replay_dead(url: str, queue: str, *, message_id: str | None = None, limit: int = 1000) -> int:
    """Put parked messages (or the one with this id) back into their queue; each leaves once the broker has it again."""
    replayed = 0
    kept = []
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel(on_return_raises=True)
        dead = await channel.declare_queue(f"{queue}.dead", passive=True)
        # All are taken before the first goes back, so that what fails again and is parked again is not replayed for ever. Not by
        # the queue's count: of messages that were just put back, by a look at them, it may not know yet.
        held: list[aio_pika.abc.AbstractIncomingMessage] = []
        while len(held) < limit and (message := await dead.get(fail=False)) is not None:
            held.append(message)
        for message in held:
            if message_id is not None and message.message_id != message_id:
                kept.append(message)
                continue
            headers = {name: value for name, value in message.headers.items() if not name.startswith("x-")}
            again = aio_pika.Message(
                message.body,
                headers=headers,
                content_type=message.content_type,
                delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
                correlation_id=message.correlation_id,
                message_id=message.message_id,
                timestamp=message.timestamp,
                type=message.type,
                app_id=message.app_id,
            )
            await channel.default_exchange.publish(again, routing_key=queue, mandatory=True)
            await message.ack()
            replayed += 1
        for message in reversed(kept):
            await message.nack(requeue=True)
    return replayed


def _letter(queue: str, message: aio_pika.abc.AbstractIncomingMessage) -> DeadLetter:
    headers = dict(message.headers)
    attempts = headers.get("x-attempts", 0)
    return DeadLetter(
        queue=queue,
        message_id=message.message_id or "",
        type=message.type or "",
        reason=str(headers.get("x-reason", "")),
        handler=str(headers.get("x-handler", "")),
        first_failure=str(headers.get("x-first-failure", "")),
        attempts=attempts if isinstance(attempts, int) else 0,
        body=message.body,
        headers=headers,
    )
