"""The life of a charge point's connection: connecting, staying away, returning, a second socket."""

from __future__ import annotations

import asyncio
import ssl
from abc import abstractmethod

import aiohttp

from charger_simulator.clock import Clock, Timer
from charger_simulator.connection import ConnectFailed, Connection, address, handshake_headers
from charger_simulator.frames import NotConnected
from charger_simulator.messaging import Messaging, log
from charger_simulator.quirks import Quirks
from charger_simulator.settings import Settings


class Link(Messaging):
    """Knows no transaction and no watt; `ChargePoint` builds on it."""

    def __init__(
        self,
        id: str,  # noqa: A002  the field's own word
        url: str,
        *,
        password: str | None,
        clock: Clock,
        settings: Settings,
        quirks: Quirks,
        http: aiohttp.ClientSession | None,
        ssl_context: ssl.SSLContext | None,
    ) -> None:
        super().__init__(id, clock, settings, quirks)
        self.url = url
        self.password = password
        self.connections_opened = 0
        self.refused_status: int | None = None
        """HTTP status of the last handshake if it was refused; None once one succeeds."""
        self.close_code: int | None = None
        """How the last socket ended: the Close frame's code, 1006 without one."""
        self._http = http
        self._own_http = http is None
        self._ssl_context = ssl_context
        self._stale: Connection | None = None
        self._next_connection: Connection | None = None
        self._leave = asyncio.Event()
        self._life: asyncio.Task[None] | None = None
        self._stopping = False
        self._allowed = asyncio.Event()
        self._allowed.set()
        self._return: Timer | None = None
        self._pause_over = asyncio.Event()
        self._powered = asyncio.Event()
        self._powered.set()
        self._settled = asyncio.Event()
        self._closed = asyncio.Event()
        self._closed.set()
        self._failures_in_a_row = 0

    @abstractmethod
    def _opened(self) -> None:
        """A socket is open."""

    @abstractmethod
    def _lost(self) -> None:
        """The socket is gone."""

    async def start(self) -> None:
        """Starts the charge point's life. Returns when its first connection is up and all it has to say there is answered,
        or when that attempt has failed (see `connected`, `booted`, `refused_status`); it goes on trying until `stop`."""
        if self._life is not None:
            raise RuntimeError(f"{self.id} was started already")
        self._stopping = False
        if self._own_http:
            connector = aiohttp.TCPConnector(limit=0)
            self._http = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        self._settled.clear()
        self._life = asyncio.get_running_loop().create_task(self._live(), name=f"charge point {self.id}")
        self._life.add_done_callback(self._ended)
        await self._settled.wait()

    async def stop(self) -> None:
        """Leaves with a clean Close. What is queued stays queued and power flows on: `start` goes on from there."""
        life, self._life = self._life, None
        if life is None:
            return
        self._stopping = True
        if self._connection is not None:
            await self._connection.close()
            await self._closed.wait()
        life.cancel()
        await asyncio.gather(life, return_exceptions=True)
        if self._return is not None:
            self._return.cancel()
            self._return = None
        self._allowed.set()
        await self.close_stale_socket()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._own_http and self._http is not None:
            await self._http.close()
            self._http = None

    async def disconnect(self, seconds: float | None = None) -> None:
        """Drops TCP without a Close frame. Returns at once; the charge point is back after `seconds` on the clock, or on
        `connect()` if None."""
        self._allowed.clear()
        if self._return is not None:
            self._return.cancel()
        self._return = None if seconds is None else Timer(self.clock, seconds, self._come_back)
        if self._connection is not None:
            self._connection.drop()
        await self._closed.wait()

    async def connect(self) -> None:
        """Comes back from `disconnect`, or does not wait for the back-off. Returns as `start` does."""
        if self.connected:
            return
        self._settled.clear()
        self._come_back()
        await self._settled.wait()

    def _come_back(self) -> None:
        self._allowed.set()
        self._pause_over.set()

    async def connect_again(self) -> None:
        """Opens a second socket while the first stays open and goes stale, as behind a half-open NAT. Returns as `start`
        does. The stale socket is read and never answered until `close_stale_socket`, `stop`, or the peer closes it."""
        if self._connection is None:
            raise NotConnected(f"{self.id} has no first socket")
        self._next_connection = await self._connect()
        self._settled.clear()
        self._leave.set()
        await self._settled.wait()

    async def close_stale_socket(self) -> None:
        stale, self._stale = self._stale, None
        if stale is not None:
            await stale.close()

    async def _connect(self) -> Connection:
        assert self._http is not None
        quirks = self.quirks
        self._processing += 1
        try:
            return await Connection.open(
                self._http,
                address(self.url, self.id, quirks),
                headers=handshake_headers(self.id, self.password, quirks),
                subprotocols=quirks.subprotocols,
                ssl_context=self._ssl_context,
                connect_guard_seconds=self.settings.connect_guard_seconds,
                close_guard_seconds=self.settings.close_guard_seconds,
            )
        finally:
            self._processing -= 1

    async def _live(self) -> None:
        while not self._stopping:
            await self._powered.wait()
            await self._allowed.wait()
            connection, self._next_connection = self._next_connection, None
            if connection is None:
                try:
                    if self.quirks.probe_socket_seconds is not None:
                        probe = await self._connect()
                        await self.clock.sleep(self.quirks.probe_socket_seconds)
                        await probe.close()
                    connection = await self._connect()
                except ConnectFailed as failure:
                    log.info("%s: %s", self.id, failure)
                    self.refused_status = failure.status
                    self._settle()
                    await self._pause(self._back_off())
                    continue
            if not (self._allowed.is_set() and self._powered.is_set()):
                connection.drop()  # the network or the power went while the handshake was under way
                await connection.close()
                continue
            await self._serve(connection)
            if self._next_connection is None and self._allowed.is_set() and self._powered.is_set() and not self._stopping:
                closed_cleanly = self.close_code not in (None, 1006)
                after_close = self.quirks.reconnect_after_close_seconds if closed_cleanly else None
                await self._pause(self._back_off() if after_close is None else after_close)

    async def _pause(self, seconds: float) -> None:
        """Waits, unless `connect` or the end of a `disconnect` comes first."""
        self._pause_over.clear()
        timer = Timer(self.clock, seconds, self._pause_over.set)
        try:
            await self._pause_over.wait()
        finally:
            timer.cancel()

    def _back_off(self) -> float:
        settings = self.settings
        doubled = settings.reconnect_seconds_min * 2.0 ** min(self._failures_in_a_row, 30)
        self._failures_in_a_row += 1
        spread = 1 + settings.reconnect_jitter * (2 * self._random.random() - 1)
        return min(doubled, settings.reconnect_seconds_max) * spread

    async def _serve(self, connection: Connection) -> None:
        """One socket, from open to gone."""
        self._connection = connection
        self._closed.clear()
        self._leave.clear()
        self.refused_status = self.close_code = None
        self._unanswered = 0
        self.connections_opened += 1
        if self.quirks.restart_message_ids:
            self._message_number = 0
        loop = asyncio.get_running_loop()
        reader = loop.create_task(self._read(connection))
        pump = loop.create_task(self._pump(connection))
        leave = loop.create_task(self._leave.wait())
        try:
            self._opened()
            self._changed()
            await asyncio.wait({reader, pump, leave}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            going_stale = self._leave.is_set() and not self._stopping
            for task in (reader, pump, leave):
                task.cancel()
            results = await asyncio.gather(reader, pump, leave, return_exceptions=True)
            for result in results:
                if isinstance(result, Exception) and not isinstance(result, ConnectionError | aiohttp.ClientError):
                    log.error("%s: failed while serving its socket", self.id, exc_info=result)
            self._connection = None
            self._forget_open_calls()
            self._lost()
            if going_stale:
                self._stale = connection
                self._spawn(self._drain(connection))
            else:
                await connection.close()
                self.close_code = connection.close_code
                self._settle()
            self._closed.set()
            self._changed()

    async def _drain(self, connection: Connection) -> None:
        async for _ in connection.frames(self.quirks):
            self.frames_received += 1

    def _settle(self) -> None:
        """What `start`, `connect` and `connect_again` wait for has come about, or has failed."""
        self._settled.set()

    def _settle_well(self) -> None:
        self._failures_in_a_row = 0
        self._settle()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._settle()
        if not task.cancelled() and task.exception() is not None:
            log.error("%s: its life ended by an error", self.id, exc_info=task.exception())
