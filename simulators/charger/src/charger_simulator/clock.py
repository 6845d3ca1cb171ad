"""Time as the simulator sees it. Everything a charge point does by itself waits on an injected clock, never on the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

NANOSECONDS_PER_SECOND = 10**9


class Clock(Protocol):
    """What the simulator needs of a clock. `now` and `monotonic` advance together."""

    def now(self) -> datetime:
        """The wall-clock time, aware."""
        ...

    def monotonic(self) -> float:
        """Seconds since any fixed moment, never going back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Returns once `monotonic` has advanced by `seconds`."""
        ...


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def nanoseconds(clock: Clock) -> int:
    """The monotonic time as a whole number, so that sums over it are exact."""
    return round(clock.monotonic() * NANOSECONDS_PER_SECOND)


# The event loop keeps only weak references to tasks; a timer must outlive whoever forgot it.
_running: set[asyncio.Task[None]] = set()


class Timer:
    """Calls `action` once, `seconds` from now on the clock, unless cancelled before.

    The deadline is taken when the timer is made, not when its task first runs.
    """

    __slots__ = ("_action", "_clock", "_deadline", "_task")

    def __init__(self, clock: Clock, seconds: float, action: Callable[[], None]) -> None:
        self._clock = clock
        self._action = action
        self._deadline = clock.monotonic() + seconds
        self._task = asyncio.get_running_loop().create_task(self._run())
        _running.add(self._task)
        self._task.add_done_callback(_running.discard)

    async def _run(self) -> None:
        await self._clock.sleep(max(0.0, self._deadline - self._clock.monotonic()))
        self._action()

    def cancel(self) -> None:
        # An action may cancel the very timer that runs it; that must not abort the rest of the action.
        if self._task is not asyncio.current_task():
            self._task.cancel()


class Every:
    """Calls `action` every `seconds` on the clock, by an absolute schedule: a late run does not push the next one back."""

    __slots__ = ("_action", "_clock", "_next", "_seconds", "_timer")

    def __init__(self, clock: Clock, seconds: float, action: Callable[[], None], *, first: float | None = None) -> None:
        if seconds <= 0:
            raise ValueError(f"a period must be positive, not {seconds}")
        self._clock = clock
        self._seconds = seconds
        self._action = action
        self._next = clock.monotonic() + (seconds if first is None else first)
        self._timer: Timer | None = None
        self._arm()

    def _arm(self) -> None:
        self._timer = Timer(self._clock, self._next - self._clock.monotonic(), self._fire)

    def _fire(self) -> None:
        now = self._clock.monotonic()
        # What was missed while the process stood still is skipped, not made up for in a burst.
        self._next += self._seconds * max(1, int((now - self._next) // self._seconds) + 1)
        self._arm()
        self._action()

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def formatted(moment: datetime, zone: str = "Z") -> str:
    """An OCPP timestamp in UTC with milliseconds, e.g. `2026-11-22T10:00:00.000Z`; `zone` is the suffix written."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}" + zone
