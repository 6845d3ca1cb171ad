"""A worker that sleeps until rows are due: woken by a commit at once, and by a sweep for what was left."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack

import structlog
from prometheus_client import Counter

from chassis.runtime import Service

log = structlog.get_logger(__name__)

TakeOne = Callable[[], Awaitable[bool]]


class Worker:
    """While awake runs `take_one` in up to `width` lanes until each finds nothing due. A Part.

    `take_one` claims a due row, commits the claim, works the row off and returns True; False where nothing is due. What it
    leaves behind, by an error or a killed process, is in the tables with a lapsing claim: a lost wake costs seconds only.
    """

    def __init__(self, service: Service, name: str, *, width: int, failures: Counter) -> None:
        self._service = service
        self._name = name
        self._width = width
        self._failures = failures.labels(name)
        self.take_one: TakeOne | None = None
        self._open = False
        self._woken = False
        self._running = False

    async def start(self) -> None:
        """From now on it can be woken."""
        self._open = True

    async def stop(self) -> None:
        """Take up nothing new. Rows in hand are counted as work, which the service waits for."""
        self._open = False

    def wake(self) -> None:
        """There may be something due. Counted as work from this moment, so that nobody finds the service idle in between."""
        if not self._open:
            return
        self._woken = True
        if not self._running:
            self._running = True
            counted = ExitStack()
            counted.enter_context(self._service.work.on(self._name))
            task = self._service.tasks.start(f"{self._service.name}.{self._name}", self._run(counted))
            # A task that is cancelled before its first step runs no `finally`.
            task.add_done_callback(lambda _: counted.close())

    async def _run(self, counted: ExitStack) -> None:
        try:
            while self._woken and self._open:
                self._woken = False
                await asyncio.gather(*(self._lane() for _ in range(self._width)), return_exceptions=True)
        finally:
            # Together with the last look at `_woken`: a wake in between would be lost.
            self._running = False
            counted.close()

    async def _lane(self) -> None:
        assert self.take_one is not None, f"nobody said what {self._name} does"  # noqa: S101
        try:
            while self._open and await self.take_one():
                pass
        except Exception:
            # The row's claim lapses by itself; the others must not wait for it.
            self._failures.inc()
            log.exception("worker.failed", worker=self._name)
