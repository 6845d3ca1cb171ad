"""Where verified webhooks go: stored in one transaction with all that came at the same time, before any of them is answered."""

import asyncio
from collections import deque
from collections.abc import Callable

import structlog

from chassis.database import Database
from chassis.messaging import is_transient
from chassis.runtime import Service
from chassis.web import Problem
from payments.repository import webhook_events
from payments.repository.webhook_events import Incoming

log = structlog.get_logger(__name__)

BATCH_MAX = 200
"""Webhooks in one transaction: one commit for all, a few milliseconds."""

WAITING_MAX = 5_000
"""Webhooks that wait to be stored, a few KiB each: ten seconds of more than ever came. Razorpay sends again what is refused."""

RETRY_AFTER_SECONDS = 5

Stored = tuple[int, bool]
"""Our id, and whether it is new."""


class WebhookInbox:
    """Stores webhooks. While one transaction commits the next ones gather, so that the busier it is the less each costs.

    It uses urgent connections: whatever works the events off, or reads them, keeps no answer waiting.
    """

    def __init__(
        self, service: Service, database: Database, *, stored: Callable[[], None], turned_away: Callable[[], None]
    ) -> None:
        """`stored` is called after the commit, once for each new one; `turned_away` for each that had no room."""
        self._service = service
        self._database = database
        self._stored = stored
        self._turned_away = turned_away
        self._waiting: deque[tuple[Incoming, asyncio.Future[Stored]]] = deque()
        self._writing = False

    async def store(self, incoming: Incoming) -> Stored:
        """Returns once it is committed. Raises Problem 503 where too many wait, and what the database raised."""
        if len(self._waiting) >= WAITING_MAX:
            self._turned_away()
            raise Problem(
                503,
                "Too many webhooks wait to be stored",
                "Send it again.",
                type="unavailable",
                headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            )
        answer: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()
        self._waiting.append((incoming, answer))
        if not self._writing:
            self._writing = True
            self._service.tasks.start(f"{self._service.name}.inbox", self._write_all())
        return await answer

    async def _write_all(self) -> None:
        try:
            with self._service.work.on("inbox"):
                while self._waiting:
                    await self._write([self._waiting.popleft() for _ in range(min(BATCH_MAX, len(self._waiting)))])
        finally:
            self._writing = False
            while self._waiting:  # cut off: nobody writes these any more
                self._waiting.popleft()[1].cancel()

    async def _write(self, batch: list[tuple[Incoming, "asyncio.Future[Stored]"]]) -> None:
        try:
            async with self._database.transaction(urgent=True) as uow:
                stored = await webhook_events.store(uow.connection, [incoming for incoming, _ in batch], now=uow.now)
                for _ in range(sum(new for _, new in stored)):
                    uow.after_commit(self._stored)
        except Exception as error:  # noqa: BLE001  (told to whoever waits for it)
            if len(batch) > 1 and not is_transient(error):
                # One of them is what the database can't take: the others are no worse for its company.
                log.warning("inbox.one_by_one", webhooks=len(batch), error=repr(error))
                for one in batch:
                    await self._write([one])
                return
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(error)
        except BaseException:
            for _, answer in batch:
                answer.cancel()
            raise
        else:
            for (_, answer), result in zip(batch, stored, strict=True):
                if not answer.done():  # who asked may have given up; it is stored all the same
                    answer.set_result(result)
