"""The sandbox's background work, and how much of it is at work right now."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from razorpay_simulator.clock import Clock

_log = logging.getLogger(__name__)


class Activity:
    """Runs background work and counts what is executing rather than sleeping on the clock.

    `pending` is how a test with a stepping clock knows that it may step: 0 means that every webhook delivery and every
    delayed transition is either done or waiting for the clock. Work counts from the call of `run`, before its first
    step. One gap is inherent: between the clock waking a sleeper and the event loop running it, the sleeper still
    counts as asleep, so yield to the loop once after stepping before reading `pending`.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()
        self._busy = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def pending(self) -> int:
        return self._busy

    async def wait_idle(self) -> None:
        """Return once nothing is executing. Work that sleeps on the clock is not waited for."""
        await self._idle.wait()

    def run(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Start `work` in the background, as a task of this name. Its exceptions are logged, never lost."""
        self._add(1)
        task = asyncio.get_running_loop().create_task(self._guarded(work), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    async def sleep(self, seconds: float) -> None:
        """Sleep on the clock, from inside running work, without counting as busy meanwhile."""
        if seconds <= 0:
            return
        self._add(-1)
        try:
            await self._clock.sleep(seconds)
        finally:
            self._add(1)

    async def cancel_all(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception:  # noqa: BLE001  # the edge of a background task
            _log.exception("background work of the sandbox failed")

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._add(-1)

    def _add(self, change: int) -> None:
        self._busy += change
        if self._busy:
            self._idle.clear()
        else:
            self._idle.set()
