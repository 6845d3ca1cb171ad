"""Chargers' lanes: each has one order and one writer, however many replicas run.

A lane is a quorum queue with a single active consumer. Every replica subscribes to all lanes and the broker picks who is active.
A replica that holds more than its share hands one over; a batch may span all lanes it holds. There is no inbox here: the
handler is idempotent by (charger, epoch, seq) and its rows' keys. A transient failure pauses; a poison event is parked alone.
"""

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import structlog
from prometheus_client import Counter, Gauge
from pydantic import BaseModel

from chassis.database import Database, UnitOfWork
from chassis.messaging.batches import BatchConsumer
from chassis.messaging.bus import Bus
from chassis.messaging.dead import park
from chassis.messaging.envelope import Received
from chassis.messaging.errors import MessagingError
from chassis.messaging.events import parse
from chassis.runtime import Service

log = structlog.get_logger(__name__)

AppT = TypeVar("AppT")
HandleLaneBatch = Callable[[Any, UnitOfWork, Sequence[Received]], Awaitable[None]]

LANE_PREFETCH = 64
"""AMQP messages (packs, under load) in hand per lane."""

SHARE_SECONDS = 10.0
"""How often a replica looks whether it holds more lanes than its share."""


class LaneConsumer(BatchConsumer, Generic[AppT]):
    """Consumes all lanes with one worker: `handle_batch(app, uow, batch)` in one transaction. A Part."""

    def __init__(
        self,
        bus: Bus,
        queues: Sequence[str],
        handle_batch: HandleLaneBatch,
        *,
        app: AppT,
        database: Database,
        service: Service,
        models: Mapping[str, type[BaseModel]],
        counted_on: str,
    ) -> None:
        """`counted_on`: a plain queue that every replica consumes. Its consumers are counted to know a fair share: of a
        single-active-consumer queue the broker counts the active one alone.
        """
        super().__init__(bus, service, queues, name="lanes", prefetch=LANE_PREFETCH)
        self._handle_batch = handle_batch
        self._app = app
        self._database = database
        self._models = models
        self._counted_on = counted_on
        self._active: set[str] = set()
        registry = bus.telemetry.registry
        self._held = Gauge("voltlync_lanes_held", "Lanes whose messages this replica handles", registry=registry)
        self._dead = Counter("voltlync_lanes_dead_total", "Lane events parked as dead letters", ["type"], registry=registry)

    async def start(self) -> None:
        """Subscribe to all lanes and begin sharing them out."""
        await super().start()
        self.service.tasks.keep("lanes.share", self._share)

    async def handle(self, events: Sequence[Received]) -> None:
        """Parse all, then one transaction for all."""
        for event in events:
            parse(event, self._models)
            self._active.add(event.queue)
        async with self._database.transaction() as uow:
            await self._handle_batch(self._app, uow, events)

    async def give_up(self, event: Received, error: BaseException) -> None:
        """Park it at once: what failed alone in a lane fails again, and the charger's next events wait behind it."""
        log.error(
            "messaging.dead",
            queue=event.queue,
            type=event.type,
            message_id=event.message_id,
            subject=event.subject,
            error=repr(error),
            exc_info=error,
        )
        await park(self.bus, event, error, handler=getattr(self._handle_batch, "__name__", "lane"), now=self.service.clock.now())
        self._dead.labels(event.type).inc()

    async def _share(self) -> None:
        while True:
            await self.service.clock.sleep(SHARE_SECONDS)
            try:
                await self._share_once()
            except MessagingError as error:
                log.warning("lanes.share_failed", error=repr(error))

    async def _share_once(self) -> None:
        """Hand one lane over where this replica is active in more than its share. A fresh count is taken each round."""
        self._held.set(len(self._active))
        _, replicas = await self.bus.depth(self._counted_on)
        if replicas <= 1:
            return
        share = math.ceil(len(self.subscriptions) / replicas)
        if len(self._active) > share:
            queue = max(self._active)
            log.info("lanes.handing_over", queue=queue, held=len(self._active), share=share, replicas=replicas)
            self._active.discard(queue)
            # Between batches, so that nothing of this lane is in hand when the next consumer begins.
            async with self._in_hand:
                await self.bus.hand_over(self.subscriptions[queue])
        else:
            # Lanes that fell silent are forgotten, so that a lane taken over elsewhere is not counted for ever.
            self._active.clear()
