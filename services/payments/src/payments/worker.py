"""A worker that sleeps until there is something to do: woken by a commit at once, and by a sweep for what was left."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any

from chassis.runtime import Service

STOP_SECONDS_MAX = 15.0
"""How long a stop waits, in real time, for the step in hand: most calls to Razorpay have ended by then."""


class Worker:
    """Runs `perform` when woken: up to `concurrency` runs beside each other, as each wake starts one. A Part.

    `perform` takes up what is due, one after the other, and returns when there is nothing more; two runs never take the same row.
    So a slow step (a lookup at Razorpay) holds up only its own run. What a failure or a dead process leaves is in the tables: the
    sweep that wakes the worker on the clock finds it there, so a lost wake costs seconds and nothing else.
    """

    def __init__(self, service: Service, name: str, *, concurrency: int) -> None:
        self.name = name
        self._service = service
        self._concurrency = concurrency
        self._woken = False
        self._open = False
        self._runs: set[asyncio.Task[Any]] = set()
        self.perform: Callable[[], Awaitable[None]] | None = None

    async def start(self) -> None:
        """From now on it can be woken."""
        self._open = True

    async def stop(self) -> None:
        """No new run; those under way end after the step in hand."""
        self._open = False
        if self._runs:
            await asyncio.wait(self._runs, timeout=STOP_SECONDS_MAX)

    def wake(self) -> None:
        """There is something to do. Counted as work from this moment, so that nobody finds the service idle in between."""
        if not self._open:
            return
        self._woken = True
        if len(self._runs) < self._concurrency:
            counted = ExitStack()
            counted.enter_context(self._service.work.on(self.name))
            run = self._service.tasks.start(f"{self._service.name}.{self.name}", self._run())
            self._runs.add(run)
            run.add_done_callback(lambda ended: self._ended(ended, counted))

    async def _run(self) -> None:
        if self.perform is None:
            raise RuntimeError(f"nobody said what {self.name} performs")
        while self._woken and self._open:
            self._woken = False
            await self.perform()

    def _ended(self, run: asyncio.Task[Any], counted: ExitStack) -> None:
        self._runs.discard(run)
        counted.close()
