"""Where the sandbox takes its time from."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """The only source of time: every stamp, retry, delay and timeout of the sandbox goes through it.

    A test injects a stepping clock of this shape and drives 24 hours of webhook retries in milliseconds.
    """

    def now(self) -> datetime:
        """The present moment, timezone-aware."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return once `seconds` have passed on this clock."""
        ...


class SystemClock:
    """The machine's own clock, which can be set forward: whoever tries things by hand sees the day after tomorrow at once."""

    def __init__(self) -> None:
        self._ahead = 0.0
        """Seconds by which it was set forward in all."""
        self._moved = asyncio.Event()

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self._ahead)

    def set_forward(self, seconds: float) -> None:
        """Move on by `seconds`: everybody whose time has come by then wakes."""
        self._ahead += seconds
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def sleep(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()  # its time runs evenly, whatever is done to the machine's
        due = loop.time() + self._ahead + seconds
        while (left := due - loop.time() - self._ahead) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._moved.wait()
