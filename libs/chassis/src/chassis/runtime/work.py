"""What is being done right now, counted by kind: shutdown waits for it, a gauge shows it, tests know by it that all is quiet."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Work:
    """Counts work in progress: requests, messages, sweeps, frames. Waiting for time or for input is no work."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._idle = asyncio.Event()
        self._idle.set()

    @contextmanager
    def on(self, kind: str) -> Iterator[None]:
        """Count the block as one piece of work of this kind."""
        self._counts[kind] += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._counts[kind] -= 1
            if not any(self._counts.values()):
                self._idle.set()

    def count(self, kind: str | None = None) -> int:
        """How much is in progress, of one kind or of all."""
        return self._counts[kind] if kind is not None else sum(self._counts.values())

    def by_kind(self) -> dict[str, int]:
        """Counts by kind, zeros left out."""
        return {kind: count for kind, count in self._counts.items() if count}

    async def idle(self) -> None:
        """Return once nothing is in progress."""
        await self._idle.wait()
