"""How many knock at once and how many of them are let in at a time: a fleet that comes back together is served, not refused.

TCP connection ─▶ Knocks: its request must arrive in time; too many half requests cost the oldest one its socket
                    └▶ Admission: at most so many handshakes in work, chargers with a session first, the rest in their order
"""

import asyncio
import heapq
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import structlog
from aiohttp import web

from ocpp_gateway.handshake import asking_to_upgrade
from ocpp_gateway.metrics import Metrics

log = structlog.get_logger(__name__)

HEAD_END = b"\r\n\r\n"

HEAD_BYTES_MAX = 16 * 1024
"""A longer head goes to the parser as it is, which refuses it."""

LOOK_SECONDS = 0.25
"""Real time between two looks for half requests: it guards I/O, so it is no matter of the business clock."""


class Admission:
    """Places for handshakes in work. Who finds none waits in line, however long it is: nobody is refused for coming late."""

    def __init__(self, at_once: int, metrics: Metrics) -> None:
        self._free = at_once
        self._line: list[tuple[bool, int, asyncio.Future[None]]] = []
        self._numbers = count()
        self._waiting = metrics.handshakes_waiting
        self._waited = metrics.handshake_wait_seconds

    @asynccontextmanager
    async def place(self, *, first: bool) -> AsyncIterator[None]:
        """Hold a place. `first`: ahead of all who are not, behind those who came before it and are."""
        began = asyncio.get_running_loop().time()
        if self._free:
            self._free -= 1
        else:
            await self._queue(first)
        self._waited.observe(asyncio.get_running_loop().time() - began)
        try:
            yield
        finally:
            self._leave()

    async def _queue(self, first: bool) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._line, (not first, next(self._numbers), turn))
        self._waiting.inc()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave()  # it was given a place in the very moment it gave up
            raise
        finally:
            self._waiting.dec()

    def _leave(self) -> None:
        while self._line:
            _, _, turn = heapq.heappop(self._line)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


class Knock(web.RequestHandler):
    """aiohttp's connection, for boxes that ask for a WebSocket and forget to say `Connection: Upgrade` (ocpp.md row 4).

    Without it a parser takes the frames for further requests, so the head is put right before it is parsed.
    """

    __slots__ = ("_head",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head: bytes | None = b""
        """What has come of the first request's head; None once it was passed on."""

    def data_received(self, data: bytes) -> None:
        """Bytes from the charger."""
        if self._head is not None:
            data = self._head + data
            end = data.find(HEAD_END)
            if end < 0 and len(data) <= HEAD_BYTES_MAX:
                self._head = data
                return
            self._head = None
            data = asking_to_upgrade(data[:end]) + data[end:] if end >= 0 else data
        super().data_received(data)


class Knocks(web.Server):
    """aiohttp's server, which waits for ever for a request to be completed; here it has a time, and there is a most of them."""

    def __init__(
        self,
        handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        *,
        seconds: float,
        at_once_max: int,
        metrics: Metrics,
    ) -> None:
        super().__init__(handler, access_log=None)
        self._seconds = seconds
        self._at_once_max = at_once_max
        self._refused = metrics.handshakes
        self._half: dict[web.RequestHandler, tuple[float, asyncio.Transport]] = {}
        """Connections whose request has not arrived yet, the oldest first."""
        self.arrived = self.gone = 0
        """TCP connections so far, and how many of them have ended."""

    def __call__(self) -> web.RequestHandler:
        """A connection's protocol."""
        return Knock(self, loop=self._loop, **self._kwargs)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Somebody knocked. Over the limit the oldest half request gives way: an honest charger's is whole in a moment."""
        super().connection_made(handler, transport)
        self.arrived += 1
        self._half[handler] = (asyncio.get_running_loop().time(), transport)
        if len(self._half) > self._at_once_max:
            self._drop(next(iter(self._half)), "crowded")

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        """It is gone."""
        super().connection_lost(handler, exc)
        self.gone += 1
        self._half.pop(handler, None)

    def whole(self, handler: web.RequestHandler) -> None:
        """Its request has arrived: from here on the time is ours, not the charger's."""
        self._half.pop(handler, None)

    async def watch(self) -> None:
        """Close what stays half for longer than it may, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)  # noqa: TID251  (see LOOK_SECONDS)
            latest = asyncio.get_running_loop().time() - self._seconds
            for handler in [handler for handler, (since, _) in self._half.items() if since <= latest]:
                self._drop(handler, "timeout")

    def _drop(self, handler: web.RequestHandler, why: str) -> None:
        _, transport = self._half.pop(handler)
        self._refused.labels(why).inc()
        log.info("handshake.unfinished", why=why, remote=str(transport.get_extra_info("peername")))
        transport.abort()
