"""A worker that sleeps until rows are due: woken by a commit at once, and by a sweep for what was left."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any

import structlog
from prometheus_client import Counter

from chassis.runtime.service import Service

log = structlog.get_logger(__name__)

STOP_SECONDS_MAX = 15.0
"""How long a stop waits, in real time, for the rows in hand: most calls to the outside have ended by then."""

TakeOne = Callable[[], Awaitable[bool]]


class Worker:
    """While awake takes up what is due, in up to `width` lanes beside each other. A Part.

    `take_one` claims a due row, works it off and returns True; False where nothing is due. Two lanes never take the same row, so
    a slow one holds up only itself. What an error or a killed process leaves is in the tables, with a claim that lapses: the
    sweep that wakes the worker on the clock finds it there, so a lost wake costs seconds and nothing else.
    `failures`: a counter with the label `worker`, of rows whose working off raised an error.
    """

    def __init__(self, service: Service, name: str, *, width: int, failures: Counter) -> None:
        self.name = name
        self.take_one: TakeOne | None = None
        self._service = service
        self._width = width
        self._failures = failures.labels(name)
        self._open = False
        self._again = False
        """Woken while every lane was busy, perhaps just after its last look: the first that ends begins anew."""
        self._lanes: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """From now on it can be woken."""
        self._open = True

    async def stop(self) -> None:
        """Take up nothing new, and let the rows in hand come to their end: databases and clients close after us."""
        self._open = False
        if self._lanes:
            await asyncio.wait(set(self._lanes), timeout=STOP_SECONDS_MAX)

    def wake(self) -> None:
        """One more row may be due: one more lane. Counted as work from this moment, so that nobody finds the service idle."""
        if not self._awake:
            return
        if len(self._lanes) < self._width:
            self._begin()
        else:
            self._again = True

    def wake_all(self) -> None:
        """Any number of rows may be due: all lanes."""
        for _ in range(self._width):
            self.wake()

    @property
    def _awake(self) -> bool:
        return self._open and not self._service.stopping.is_set()

    def _begin(self) -> None:
        counted = ExitStack()
        counted.enter_context(self._service.work.on(self.name))
        lane = self._service.tasks.start(f"{self._service.name}.{self.name}", self._lane())
        self._lanes.add(lane)
        # Not in a `finally` of the lane: a task that is cancelled before its first step runs none.
        lane.add_done_callback(lambda ended: self._ended(ended, counted))

    async def _lane(self) -> None:
        if self.take_one is None:
            raise RuntimeError(f"nobody said what {self.name} takes up")
        try:
            while self._awake and await self.take_one():
                pass
        except Exception:
            # The row's claim lapses by itself; the other lanes must not wait for it.
            self._failures.inc()
            log.exception("worker.failed", worker=self.name)

    def _ended(self, lane: asyncio.Task[Any], counted: ExitStack) -> None:
        self._lanes.discard(lane)
        if self._again and self._awake:
            self._again = False
            self._begin()
        counted.close()
