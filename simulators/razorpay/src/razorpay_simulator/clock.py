"""Where the sandbox takes its time from."""

import asyncio
from datetime import UTC, datetime
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
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
