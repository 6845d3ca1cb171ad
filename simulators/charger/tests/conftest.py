"""A clock that steps and a small real central system, both for these tests alone."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from aiohttp import web

from charger_simulator import ChargePoint, Quirks, Settings

START = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)


class SteppingClock:
    """Time stands still until `advance`, which goes from timer to timer and lets everything settle between them."""

    def __init__(self) -> None:
        self._elapsed = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self.settle: Callable[[], Any] = lambda: asyncio.sleep(0)

    def now(self) -> datetime:
        return START + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, next(self._order), future))
        await future

    async def advance(self, seconds: float) -> None:
        end = self._elapsed + seconds
        await self.settle()
        while True:
            while self._sleepers and self._sleepers[0][2].done():
                heapq.heappop(self._sleepers)
            if not self._sleepers or self._sleepers[0][0] > end:
                break
            due, _, future = heapq.heappop(self._sleepers)
            self._elapsed = max(self._elapsed, due)
            future.set_result(None)
            await self.settle()
        self._elapsed = end
        await self.settle()


class Csms:
    """A central system over a real socket: accepts everything, numbers transactions, records every frame."""

    def __init__(self) -> None:
        self.sockets: list[web.WebSocketResponse] = []
        self.requests: list[web.Request] = []
        self.raw: list[str | bytes] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.ids: list[str] = []
        self.silent_to: set[str] = set()
        self.refuses: set[str] = set()
        self.answers: dict[str, dict[str, Any]] = {}
        self.refuse_with: int | None = None
        self.results: dict[str, list[Any]] = {}
        self.pings = 0
        self.closed_with: list[int | None] = []
        self.url = ""
        self._transactions = itertools.count(101)
        self._numbers = itertools.count(1)
        self._pending: dict[str, asyncio.Future[list[Any]]] = {}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        if self.refuse_with is not None:
            return web.Response(status=self.refuse_with)
        ws = web.WebSocketResponse(protocols=("ocpp1.6",), compress=False)
        await ws.prepare(request)
        self.sockets.append(ws)
        async for message in ws:
            self.raw.append(message.data)
            try:
                frame = orjson.loads(message.data)
            except orjson.JSONDecodeError:
                continue
            await self._frame(ws, frame)
        self.closed_with.append(ws.close_code)
        return ws

    async def _frame(self, ws: web.WebSocketResponse, frame: list[Any]) -> None:
        if frame[0] != 2:
            waiting = self._pending.pop(frame[1], None)
            if waiting is not None and not waiting.done():
                waiting.set_result(frame)
            return
        _, id_, action, payload = frame
        self.ids.append(id_)
        self.calls.append((action, payload))
        if action in self.silent_to:
            return
        if action in self.refuses:
            await ws.send_str(orjson.dumps([4, id_, "InternalError", "refused by the test", {}]).decode())
            return
        await ws.send_str(orjson.dumps([3, id_, self._answer(action)]).decode())

    def _answer(self, action: str) -> dict[str, Any]:
        if action in self.answers:
            return self.answers[action]
        match action:
            case "BootNotification":
                return {"status": "Accepted", "currentTime": "2026-01-05T10:00:00Z", "interval": 40}
            case "StartTransaction":
                return {"transactionId": next(self._transactions), "idTagInfo": {"status": "Accepted"}}
            case "Authorize":
                return {"idTagInfo": {"status": "Accepted"}}
            case "Heartbeat":
                return {"currentTime": "2026-01-05T10:00:00Z"}
            case _:
                return {}

    async def send(self, action: str, payload: dict[str, Any], *, id_: str | None = None) -> asyncio.Future[list[Any]]:
        """Sends a CALL on the newest socket; the future has the whole answering frame."""
        id_ = id_ or f"csms-{next(self._numbers)}"
        future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._pending[id_] = future
        await self.sockets[-1].send_str(orjson.dumps([2, id_, action, payload]).decode())
        return future

    async def call(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        frame = await (await self.send(action, payload))
        assert frame[0] == 3, frame
        return frame[2]

    async def error(self, action: str, payload: Any) -> str:
        """The code of the CALLERROR that the CALL must get."""
        frame = await (await self.send(action, payload))
        assert frame[0] == 4, frame
        return frame[2]

    def sent(self, action: str) -> list[dict[str, Any]]:
        return [payload for name, payload in self.calls if name == action]

    @property
    def order(self) -> list[str]:
        return [name for name, _ in self.calls]

    def statuses(self, connector: int = 1) -> list[str]:
        return [item["status"] for item in self.sent("StatusNotification") if item["connectorId"] == connector]


class World:
    """A central system, a clock, and the charge points made in it."""

    def __init__(self, csms: Csms, clock: SteppingClock) -> None:
        self.csms = csms
        self.clock = clock
        self.charge_points: list[ChargePoint] = []
        clock.settle = self.settle

    def make(
        self, id_: str = "CP1", *, settings: dict[str, Any] | None = None, quirks: Quirks | None = None, **more: Any
    ) -> ChargePoint:
        merged = {"reconnect_jitter": 0.0, **(settings or {})}
        url = more.pop("url", self.csms.url)
        cp = ChargePoint(id_, url, clock=self.clock, settings=Settings(**merged), quirks=quirks, **more)
        self.charge_points.append(cp)
        return cp

    async def charging(self, cp: ChargePoint, id_tag: str = "TAG1") -> int:
        """Starts `cp`, plugs an EV in and starts it remotely. Returns the transaction id."""
        await cp.start()
        await cp.plug()
        assert await self.csms.call("RemoteStartTransaction", {"connectorId": 1, "idTag": id_tag}) == {"status": "Accepted"}
        await cp.wait_for(lambda: cp.connectors[1].transaction_id is not None)
        await self.settle()
        return cp.connectors[1].transaction_id

    async def charging_locally(self, cp: ChargePoint) -> None:
        await cp.start()
        await cp.plug()
        assert await cp.start_transaction("CARD")
        await self.settle()

    def background(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        return asyncio.get_running_loop().create_task(coroutine)

    async def breathe(self) -> None:
        """As `settle`, for a station that is to hear nothing at all: no ping. Goes by the frames that the server has read."""
        calm = 0
        while calm < 20:
            await asyncio.sleep(0)
            under_way = sum(cp.frames_sent for cp in self.charge_points) > len(self.csms.raw)
            calm = 0 if under_way or any(cp.busy for cp in self.charge_points) else calm + 1

    async def settle(self) -> None:
        """Returns when nothing happens any more: two rounds through every socket without a new frame."""
        calm, before = 0, None
        while calm < 2:
            for _ in range(10):
                await asyncio.sleep(0)
            for cp in self.charge_points:
                if cp.connected:
                    await cp.ping_through()
            state = [
                (cp.frames_sent, cp.frames_received, cp.connected, cp.connections_opened, cp.busy) for cp in self.charge_points
            ] + [len(self.csms.raw), len(self.csms.requests), len(self.csms.closed_with)]
            quiet = not any(cp.busy for cp in self.charge_points)
            calm = calm + 1 if quiet and state == before else 0
            before = state


@pytest.fixture
async def csms() -> AsyncIterator[Csms]:
    central = Csms()
    app = web.Application()
    app.router.add_get("/{path:.*}", central.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    central.url = f"ws://127.0.0.1:{port}/ocpp"
    yield central
    await runner.cleanup()


@pytest.fixture
async def world(csms: Csms) -> AsyncIterator[World]:
    made = World(csms, SteppingClock())
    yield made
    for cp in made.charge_points:
        await cp.stop()
