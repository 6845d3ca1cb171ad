"""A service's life: parts start in order, stop in reverse, and SIGTERM drains what is in progress first."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import structlog

from chassis.runtime.clock import Clock
from chassis.runtime.tasks import Tasks
from chassis.runtime.work import Work

log = structlog.get_logger(__name__)


class Part(Protocol):
    """Something with a life: a database pool, a broker connection, a web server, a set of sweeps."""

    async def start(self) -> None:
        """Return once it is usable."""
        ...

    async def stop(self) -> None:
        """Finish what is in progress, let go of everything. Called once, also after a failed start of a later part."""
        ...


PartT = TypeVar("PartT", bound=Part)


class Service:
    """One service: its name, clock, counted work, watched tasks and parts. No state at import, so a test can mount seven of them.

    `ready` checks are asked by /readyz: each returns None when fine, or a sentence that says what is wrong.
    """

    def __init__(self, name: str, *, clock: Clock, drain_seconds: float = 20.0) -> None:
        self.name = name
        self.clock = clock
        self.work = Work()
        self.tasks = Tasks()
        self.stopping = asyncio.Event()
        self.ready_checks: dict[str, Callable[[], Awaitable[str | None]]] = {}
        self._drain_seconds = drain_seconds
        self._parts: list[Part] = []
        self._started: list[Part] = []

    def add(self, part: PartT) -> PartT:
        """Mount a part; parts start in the order of mounting."""
        self._parts.append(part)
        return part

    async def start(self) -> None:
        """Start all parts; if one fails, stop those that had started and raise."""
        try:
            for part in self._parts:
                await part.start()
                self._started.append(part)
        except BaseException:
            await self.stop()
            raise
        log.info("service.started", service=self.name)

    async def stop(self) -> None:
        """Stop parts in reverse: the doors were mounted last and close first, then what is in progress gets `drain_seconds`."""
        self.stopping.set()
        for part in reversed(self._started):
            try:
                await part.stop()
            except Exception:
                log.exception("service.part_stop_failed", service=self.name, part=type(part).__name__)
        self._started.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._drain_seconds):
                await self.work.idle()
        await self.tasks.stop()
        log.info("service.stopped", service=self.name, cut_off=self.work.by_kind())


async def run(service: Service) -> None:
    """Run a service until SIGTERM or SIGINT, then drain it."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    await service.start()
    await stop.wait()
    log.info("service.stopping", service=service.name)
    await service.stop()
