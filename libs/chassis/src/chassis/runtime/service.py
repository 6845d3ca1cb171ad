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

PART_STOP_SECONDS_MIN = 2.0
"""What each part gets for its end even after the drain's time is over: connections want to be closed."""


class Part(Protocol):
    """Something with a life: a database pool, a broker connection, a web server, a set of sweeps."""

    async def start(self) -> None:
        """Return once it is usable."""
        ...

    async def stop(self) -> None:
        """Finish what is in progress, let go of everything. Called once, also after a failed start of a later part.

        It is cut off (cancelled) when the drain's time is over.
        """
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

    async def _tasks_steady(self) -> str | None:
        return self.tasks.trouble()

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
        if self.tasks.kept:
            self.ready_checks["tasks"] = self._tasks_steady
        log.info("service.started", service=self.name)

    async def stop(self) -> None:
        """Stop parts in reverse: the doors were mounted last and close first. All together have `drain_seconds`, then are cut."""
        self.stopping.set()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._drain_seconds
        while self._started:
            part = self._started.pop()
            try:
                async with asyncio.timeout_at(max(deadline, loop.time() + PART_STOP_SECONDS_MIN)):
                    await part.stop()
            except TimeoutError as error:
                log.error(  # noqa: TRY400  (where it hung says nothing: it was cancelled there)
                    "service.part_stop_cut_off", service=self.name, part=type(part).__name__, error=repr(error)
                )
            except Exception:
                log.exception("service.part_stop_failed", service=self.name, part=type(part).__name__)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await self.work.idle()
        cut_off = self.work.by_kind()
        await self.tasks.stop()
        log.info("service.stopped", service=self.name, cut_off=cut_off)


async def run(service: Service) -> None:
    """Run a service until SIGTERM or SIGINT, then drain it. A signal also ends a start that waits for a server."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    starting = asyncio.ensure_future(service.start())
    asked = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({starting, asked}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            log.info("service.stopping", service=service.name, while_starting=True)
            starting.cancel()
            await asyncio.wait({starting})
            return
        await starting
        await asked
        log.info("service.stopping", service=service.name)
        await service.stop()
    finally:
        asked.cancel()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(signum)
