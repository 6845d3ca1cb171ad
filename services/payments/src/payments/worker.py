"""A worker that sleeps until there is something to do: woken by a commit at once, and by a sweep for what was left."""

from collections.abc import Awaitable, Callable
from contextlib import ExitStack

import structlog

from chassis.runtime import Service

log = structlog.get_logger(__name__)


class Worker:
    """Runs `perform` when woken, one run at a time, and once more if it was woken during the run. A Part.

    `perform` takes up all that is due and returns. What it leaves, a failure or a dead process leaves, is in the tables: the
    sweep that wakes the worker on the clock finds it there, so a lost wake costs seconds and nothing else.
    """

    def __init__(self, service: Service, name: str) -> None:
        self._service = service
        self._name = name
        self._woken = False
        self._open = False
        self._running = False
        self.perform: Callable[[], Awaitable[None]] | None = None

    async def start(self) -> None:
        """From now on it can be woken."""
        self._open = True

    async def stop(self) -> None:
        """No new run. One under way ends early by itself (`service.stopping`), and the service waits for its work."""
        self._open = False

    def wake(self) -> None:
        """There is something to do. Counted as work from this moment, so that nobody finds the service idle in between."""
        if not self._open:
            return
        self._woken = True
        if not self._running:
            self._running = True
            counted = ExitStack()
            counted.enter_context(self._service.work.on(self._name))
            task = self._service.tasks.start(f"{self._service.name}.{self._name}", self._run())
            task.add_done_callback(lambda _: self._ended(counted))

    async def _run(self) -> None:
        if self.perform is None:
            raise RuntimeError(f"nobody said what {self._name} performs")
        while self._woken and self._open:
            self._woken = False
            await self.perform()

    def _ended(self, counted: ExitStack) -> None:
        self._running = False
        counted.close()
