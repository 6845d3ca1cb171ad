"""Sweeps: what looks at the clock. At start-up and then every so many seconds of the service's clock, one at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter

from chassis.runtime.service import Service

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Sweep:
    """A named sweep. `function(app)` opens its own transactions; it must bear being run twice and being cut off anywhere."""

    name: str
    every_seconds: float
    function: Callable[[Any], Awaitable[None]]


class Sweeps:
    """Runs a service's sweeps. A Part. A failing sweep is logged, counted, and tried again next time."""

    def __init__(self, service: Service, sweeps: Sequence[Sweep], *, app: object, registry: CollectorRegistry) -> None:
        self._service = service
        self._sweeps = tuple(sweeps)
        self._app = app
        self._failures = Counter("voltlync_sweep_failures_total", "Sweeps that failed", ["sweep"], registry=registry)
        self._in_progress = {sweep.name: asyncio.Lock() for sweep in self._sweeps}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._runs = Counter("voltlync_sweep_runs_total", "Sweeps that ran to their end", ["sweep"], registry=registry)

    async def start(self) -> None:
        """Start every sweep on a task of its own."""
        for sweep in self._sweeps:
            self._tasks[sweep.name] = self._service.tasks.keep(f"sweep.{sweep.name}", partial(self._run, sweep))

    async def stop(self) -> None:
        """Let what is in progress come to its end (databases and clients close after us), and begin nothing more."""
        for name, task in self._tasks.items():
            async with self._in_progress[name]:
                task.cancel()

    async def _run(self, sweep: Sweep) -> None:
        while not self._service.stopping.is_set():
            async with self._in_progress[sweep.name]:
                with self._service.work.on(f"sweep.{sweep.name}"):
                    try:
                        await sweep.function(self._app)
                        self._runs.labels(sweep.name).inc()
                    except Exception as error:
                        self._failures.labels(sweep.name).inc()
                        log.exception("sweep.failed", sweep=sweep.name, error=repr(error))
            await self._service.clock.sleep(sweep.every_seconds)
