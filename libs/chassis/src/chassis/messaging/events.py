"""Consumers of a service's own queue, one transaction per batch, each message's effects exactly once; and answers to questions.

    event → inbox row + effects + outbox rows, committed together → ack

A poison event climbs its queue's ladder (1 s, 10 s, 60 s, 300 s) and is parked after it, with its reason; one that can't be read
is parked at once, since waiting teaches us nothing.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import structlog
from prometheus_client import Counter
from pydantic import BaseModel, ValidationError

from chassis.database import Database, UnitOfWork
from chassis.messaging.batches import BatchConsumer
from chassis.messaging.bus import Bus
from chassis.messaging.dead import park
from chassis.messaging.envelope import Received, Unreadable
from chassis.runtime import Service

log = structlog.get_logger(__name__)

AppT = TypeVar("AppT")
Handler = Callable[[Any, UnitOfWork, Any], Awaitable[Any]]

EVENT_PREFETCH = 200
"""AMQP messages in hand of one consumer: enough for a full batch while the next gathers."""


@dataclass(frozen=True)
class RetryAddress:
    """`<service>.retry`, key `<queue>.retry.<n>s`: that queue returns a message to `<queue>` alone, after n seconds."""

    exchange: str
    routing_key: str
    mandatory: bool = True


class UnknownType(Exception):
    """A message of a type that this consumer has no handler for."""


def parse(event: Received, models: Mapping[str, type[BaseModel]]) -> Any:
    """The event's model, validated once. Raises UnknownType, pydantic.ValidationError, or the reason a body was unreadable."""
    if event.model is None:
        model = models.get(event.type)
        if model is None:
            raise UnknownType(f"no handler for {event.type!r} on {event.queue}")
        event.model = model.model_validate(event.data)
    if isinstance(event.model, Exception):
        raise event.model
    return event.model


UNREADABLE = (Unreadable, UnknownType, ValidationError)
"""Faults that only a new build mends: replayed by an operator after it, not by a timer."""


class EventConsumer(BatchConsumer, Generic[AppT]):
    """Consumes one queue of facts. `handlers`: contract → `async (app, uow, event) -> None`. A Part."""

    def __init__(
        self,
        bus: Bus,
        queue: str,
        handlers: Mapping[type[Any], Handler],
        *,
        app: AppT,
        database: Database,
        service: Service,
        retry_delays_seconds: Sequence[int],
    ) -> None:
        super().__init__(bus, service, [queue], name=queue, prefetch=EVENT_PREFETCH)
        self._queue = queue
        self._app = app
        self._database = database
        self._retry_delays = tuple(retry_delays_seconds)
        self._models = {model.TYPE: model for model in handlers}
        self._handlers = {model.TYPE: handler for model, handler in handlers.items()}
        self._dead = Counter(
            f"voltlync_{queue.replace('.', '_')}_dead_total",
            "Events parked as dead letters",
            ["type"],
            registry=bus.telemetry.registry,
        )

    async def handle(self, events: Sequence[Received]) -> None:
        """One transaction: note the new ones in the inbox, run their handlers in order, commit."""
        async with self._database.transaction() as uow:
            fresh = await uow.take_from_inbox(self._queue, events)
            for event in fresh:
                model = parse(event, self._models)
                with self.bus.telemetry.span(f"handle {event.type}", traceparent=event.traceparent, message_id=event.message_id):
                    await self._handlers[event.type](self._app, uow, model)

    async def give_up(self, event: Received, error: BaseException) -> None:
        """The next rung of the ladder, or the dead letters after the last."""
        now = self.service.clock.now()
        climbed = event.headers.get("x-attempts", 0)
        attempts = climbed if isinstance(climbed, int) and climbed >= 0 else 0
        handler = getattr(self._handlers.get(event.type), "__name__", "none")
        if attempts < len(self._retry_delays) and not isinstance(error, UNREADABLE):
            delay = self._retry_delays[attempts]
            log.warning(
                "messaging.retry_later",
                queue=self._queue,
                type=event.type,
                message_id=event.message_id,
                subject=event.subject,
                attempt=attempts + 1,
                retry_seconds=delay,
                error=repr(error),
                exc_info=error,
            )
            again = event.outgoing(
                **{"x-attempts": attempts + 1, "x-first-failure": event.headers.get("x-first-failure") or now.isoformat()}
            )
            await self.bus.send(again, to=RetryAddress(f"{self.bus.app_id}.retry", f"{self._queue}.retry.{delay}s"))
            return
        log.error(
            "messaging.dead",
            queue=self._queue,
            type=event.type,
            message_id=event.message_id,
            subject=event.subject,
            error=repr(error),
            exc_info=error,
        )
        await park(self.bus, event, error, handler=handler, now=now)
        self._dead.labels(event.type).inc()


class RpcServer(BatchConsumer, Generic[AppT]):
    """Answers questions from one queue. `handlers`: query → `async (app, uow, query) -> answer`; read-only by nature. A Part.

    A question that can't be answered gets no answer: the asker has a deadline and a rule for silence.
    """

    def __init__(
        self, bus: Bus, queue: str, handlers: Mapping[type[Any], Handler], *, app: AppT, database: Database, service: Service
    ) -> None:
        super().__init__(bus, service, [queue], name=queue, prefetch=EVENT_PREFETCH)
        self._app = app
        self._database = database
        self._models = {model.TYPE: model for model in handlers}
        self._handlers = {model.TYPE: handler for model, handler in handlers.items()}

    async def handle(self, events: Sequence[Received]) -> None:
        """Answer a batch in one transaction."""
        async with self._database.transaction() as uow:
            for event in events:
                query = parse(event, self._models)
                event.answer(await self._handlers[event.type](self._app, uow, query))

    async def give_up(self, event: Received, error: BaseException) -> None:
        """Log it; a question has no afterlife."""
        log.error(
            "messaging.question_failed",
            queue=self.name,
            type=event.type,
            message_id=event.message_id,
            error=repr(error),
            exc_info=error,
        )
