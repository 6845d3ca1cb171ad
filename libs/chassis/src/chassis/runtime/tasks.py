"""Background tasks that are held, named and watched: a bare asyncio task can vanish, and its exception with it.

`start` runs something once. `keep` runs a loop that the service can't do without: it is begun again when it fails, and says so.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

log = structlog.get_logger(__name__)

KEPT_PAUSE_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0)
"""Pauses before a kept loop is begun again, in real time: its failure is no matter of the business clock."""

STEADY_SECONDS = 30.0
"""A kept loop that failed is in trouble until it has run this long: one that fails at every turn never looks well in between."""

CANCEL_SECONDS_MAX = 5.0
"""Longest that `stop` waits for cancelled tasks: one that will not end is named and left, the process ends without it."""


class Tasks:
    """A group of background tasks. One that fails is logged with its name and reported to `on_failure`, never lost silently."""

    def __init__(self, on_failure: Callable[[str, BaseException], None] | None = None) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._on_failure = on_failure
        self._failed: dict[str, tuple[float, str]] = {}
        self.failures: Counter[str] = Counter()
        """How often each kept loop has failed, by name."""
        self.kept: set[str] = set()
        """Names of the loops that are kept."""

    def start(self, name: str, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run a coroutine in the background until it ends or `stop()`."""
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def keep(self, name: str, loop: Callable[[], Coroutine[Any, Any, Any]]) -> asyncio.Task[Any]:
        """Run `loop()` until it returns by itself or `stop()`. When it fails it is logged, counted and begun again.

        A failure is an exception, and also a CancelledError that nobody asked for: some libraries end their futures with it.
        """
        self.kept.add(name)
        return self.start(name, self._kept(name, loop))

    async def _kept(self, name: str, run: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        clock = asyncio.get_running_loop()
        attempt = 0
        while True:
            began = clock.time()
            try:
                await run()
            except (Exception, asyncio.CancelledError) as error:
                task = asyncio.current_task()
                if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                    raise
                attempt = 0 if clock.time() - began > STEADY_SECONDS else attempt + 1
                pause = KEPT_PAUSE_SECONDS[min(attempt, len(KEPT_PAUSE_SECONDS) - 1)]
                self._failed[name] = (clock.time(), repr(error))
                log.error("task.restarting", task=name, error=repr(error), retry_seconds=pause, exc_info=error)  # noqa: TRY400
                self._report(name, error)
                await asyncio.sleep(pause)  # noqa: TID251  (real time, see KEPT_PAUSE_SECONDS)
            else:
                self._failed.pop(name, None)
                return

    def trouble(self) -> str | None:
        """Which kept loops failed a moment ago, with why; None when all are steady. A readiness check."""
        now = asyncio.get_running_loop().time()
        failing = [f"{name}: {error}" for name, (at, error) in self._failed.items() if now - at < STEADY_SECONDS]
        return f"failed and begun again: {'; '.join(failing)}" if failing else None

    def _report(self, name: str, error: BaseException) -> None:
        self.failures[name] += 1
        if self._on_failure is not None:
            self._on_failure(name, error)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            log.error("task.failed", task=task.get_name(), error=repr(error), exc_info=error)
            if self._on_failure is not None:
                self._on_failure(task.get_name(), error)

    async def stop(self) -> None:
        """Cancel all that still run, and what they start while they end; return when they have ended."""
        while self._tasks:
            tasks = set(self._tasks)
            for task in tasks:
                task.cancel()
            _, left = await asyncio.wait(tasks, timeout=CANCEL_SECONDS_MAX)
            if left:
                log.error("task.will_not_end", tasks=sorted(task.get_name() for task in left))
                self._tasks -= left
            # Their done-callbacks run in the loop's next turn.
            await asyncio.sleep(0)  # noqa: TID251
