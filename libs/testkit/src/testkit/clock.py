"""A clock that stands still until a test moves it: hours of charging in milliseconds, the same on every run.

It has the shape of `chassis.runtime.Clock`. Whoever sleeps on it, or waits under its `timeout`, is woken when the test steps:

    clock = SteppingClock(settle=world.quiescent)
    await clock.advance(200)        # every timer due within 200 s, in order, the world settling after each instant
    await clock.step_to_next()      # or to the very next timer, however far
"""

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

Settle = Callable[[], Awaitable[None]]
"""Returns when nothing more happens without time passing: no message in a queue, no task ready to run."""

MONDAY_MORNING = datetime(2026, 1, 5, 4, 30, tzinfo=UTC)  # 10:00 in India

# A loop that sleeps for next to nothing would keep one instant busy for ever: name the culprit instead of hanging.
INSTANTS_WITHOUT_PROGRESS_MAX = 500
PROGRESS_SECONDS_MIN = 1e-6

# How often plain tasks get their turn when nobody says what "settled" means. Enough for chains of awaits within a process;
# whatever crosses a socket needs a real `settle`.
TURNS = 50


class NothingToWaitFor(AssertionError):
    """`step_to_next` was called and nobody sleeps: the world has stopped, or was never started."""


@dataclass(order=True)
class _Timer:
    due: float
    number: int
    """Among timers due at one instant the first set goes first."""
    wake: Callable[[], None] = field(compare=False)
    owner: str = field(compare=False)
    cancelled: bool = field(compare=False, default=False)


async def take_turns() -> None:
    """The default settle: let every ready task run, a bounded number of times."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


class SteppingClock:
    """Time as data. `now()` is aware UTC, `monotonic()` seconds since the clock was made; both move together."""

    def __init__(self, start: datetime = MONDAY_MORNING, *, settle: Settle = take_turns) -> None:
        if start.tzinfo is None:
            raise ValueError("the clock starts at an aware time: datetime(..., tzinfo=UTC)")
        self._start = start.astimezone(UTC)
        self._elapsed = 0.0
        self._timers: list[_Timer] = []
        self._numbers = itertools.count()
        self.settle = settle

    # What the code under test uses.

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock has been moved this far. Zero or less only gives others their turn."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()

        def wake() -> None:
            if not woken.done():
                woken.set_result(None)

        timer = self._set(seconds, wake)
        try:
            await woken
        finally:
            timer.cancelled = True

    @asynccontextmanager
    async def timeout(self, seconds: float | None) -> AsyncIterator[None]:
        """As asyncio.timeout: raises TimeoutError when the clock passes `seconds` before the block is done. None: no limit."""
        if seconds is None:
            yield
            return
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(None) as limit:
            if seconds <= 0:
                limit.reschedule(loop.time())
            timer = self._set(seconds, lambda: limit.reschedule(loop.time()))
            try:
                yield
            finally:
                timer.cancelled = True

    # What the test uses.

    @property
    def pending(self) -> list[tuple[float, str]]:
        """Who waits: (seconds from now, the task's name), in due order. For messages and for debugging."""
        return [(timer.due - self._elapsed, timer.owner) for timer in sorted(self._timers) if not timer.cancelled]

    async def step_to_next(self, settle: Settle | None = None) -> datetime:
        """Let the world settle, move to the next timer, wake all that are due then, settle again; return the new time."""
        settle = settle or self.settle
        await settle()
        timer = self._next()
        if timer is None:
            raise NothingToWaitFor("Nobody sleeps on this clock: has the service been started, and with this clock?")
        self._wake_all_at(timer.due)
        await settle()
        return self.now()

    async def advance(self, seconds: float, settle: Settle | None = None) -> None:
        """Move on by `seconds`, stopping at every timer on the way: wake what is due, settle, go on.

        Timers that are set on the way count as well: a sweep every second runs 60 times in a minute.
        """
        settle = settle or self.settle
        target = self._elapsed + seconds
        await settle()
        same_instant = 0
        while (timer := self._next()) is not None and timer.due <= target:
            same_instant = same_instant + 1 if timer.due - self._elapsed < PROGRESS_SECONDS_MIN else 0
            if same_instant > INSTANTS_WITHOUT_PROGRESS_MAX:
                raise AssertionError(f"time does not get on: {timer.owner} sets timers that are due at once")
            self._wake_all_at(timer.due)
            await settle()
        self._elapsed = target
        await settle()

    def jump(self, seconds: float) -> None:
        """Move on at once and wake all that fell due on the way, at its end: a frozen machine that comes to. Nobody settles."""
        self._wake_all_at(self._elapsed + seconds)

    async def advance_until(self, happened: Callable[[], bool], *, seconds_max: float, settle: Settle | None = None) -> None:
        """Step from timer to timer until `happened()`. Raises AssertionError when that takes more than `seconds_max`."""
        settle = settle or self.settle
        limit = self._elapsed + seconds_max
        await settle()
        while not happened():
            timer = self._next()
            if timer is None or timer.due > limit:
                raise AssertionError(f"it did not happen within {seconds_max} s of the clock; waiting: {self.pending[:20]}")
            self._wake_all_at(timer.due)
            await settle()

    def _set(self, seconds: float, wake: Callable[[], None]) -> _Timer:
        task = asyncio.current_task()
        timer = _Timer(self._elapsed + seconds, next(self._numbers), wake, task.get_name() if task else "?")
        heapq.heappush(self._timers, timer)
        return timer

    def _next(self) -> _Timer | None:
        while self._timers and self._timers[0].cancelled:
            heapq.heappop(self._timers)
        return self._timers[0] if self._timers else None

    def _wake_all_at(self, due: float) -> None:
        self._elapsed = max(self._elapsed, due)
        while (timer := self._next()) is not None and timer.due <= self._elapsed:
            heapq.heappop(self._timers)
            timer.wake()
