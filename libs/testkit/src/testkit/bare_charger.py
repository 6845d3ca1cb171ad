"""A charger's socket in a test's own hands: every frame, header and byte is the test's."""

import asyncio
import base64
import contextlib
import itertools
import json
from typing import Any

import aiohttp

GUARD_SECONDS = 120.0
"""An I/O guard: what is waited for comes in milliseconds, or never."""


class BareCharger:
    """One WebSocket. CALLs of the central system are answered by `answers` (action → payload), else left alone."""

    def __init__(self, charge_point_id: str, password: str | bytes, port: int) -> None:
        self.id = charge_point_id
        self.password = password.encode() if isinstance(password, str) else password
        self.port = port
        self.frames_sent = 0
        self.frames_received = 0
        self.received: list[Any] = []
        """Frames of the central system, parsed, in order."""
        self.answers: dict[str, dict[str, Any]] = {}
        self.close_code: int | None = None
        self.pings = 0
        self.answers_pings = True
        self._ids = itertools.count(1)
        self._news = asyncio.Event()
        self._pongs = 0
        self._reader: asyncio.Task[None] | None = None
        self._http: aiohttp.ClientSession | None = None
        self._ws: aiohttp.ClientWebSocketResponse | None = None

    async def connect(
        self,
        *,
        path: str | None = None,
        protocols: tuple[str, ...] = ("ocpp1.6",),
        headers: dict[str, str] | None = None,
        user: str | None = None,
        key: bytes | None = None,
        compress: int = 0,
    ) -> None:
        """Open the socket. Raises aiohttp.WSServerHandshakeError where it is refused."""
        credentials = (user if user is not None else self.id).encode() + b":" + (key if key is not None else self.password)
        authorization = {"Authorization": f"Basic {base64.b64encode(credentials).decode()}"}
        self._http = aiohttp.ClientSession()
        try:
            self._ws = await self._http.ws_connect(
                f"http://127.0.0.1:{self.port}" + (path if path is not None else f"/ocpp/{self.id}"),
                protocols=protocols,
                headers=authorization | (headers or {}),
                autoping=False,
                compress=compress,
            )
        except BaseException:
            await self._http.close()
            raise
        self._reader = asyncio.create_task(self._read(self._ws))

    @property
    def subprotocol(self) -> str | None:
        """What the server chose."""
        return self._ws.protocol if self._ws is not None else None

    @property
    def compression(self) -> int:
        """The window that was agreed to; 0 is none."""
        return self._ws.compress if self._ws is not None else 0

    async def _read(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            message = await ws.receive()
            if message.type is aiohttp.WSMsgType.TEXT:
                self.frames_received += 1
                frame = json.loads(message.data)
                self.received.append(frame)
                if frame[0] == 2 and frame[2] in self.answers:
                    await self.send([3, frame[1], self.answers[frame[2]]])
            elif message.type is aiohttp.WSMsgType.PING:
                self.pings += 1
                if self.answers_pings:
                    await ws.pong(message.data)
            elif message.type is aiohttp.WSMsgType.PONG:
                self._pongs += 1
            else:
                self.close_code = ws.close_code
                self._news.set()
                return
            self._news.set()

    async def _wait(self, condition: Any, what: str) -> None:
        try:
            async with asyncio.timeout(GUARD_SECONDS):
                while not condition():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"{self.id}: did not happen: {what}; received {self.received[-3:]}") from None

    # -- what tests do

    async def send(self, frame: Any) -> None:
        """Send a frame: text or bytes as they are, anything else as JSON."""
        assert self._ws is not None
        self.frames_sent += 1
        if isinstance(frame, bytes):
            await self._ws.send_bytes(frame)
        else:
            await self._ws.send_str(frame if isinstance(frame, str) else json.dumps(frame))

    async def call(self, action: str, payload: Any, *, message_id: str | None = None) -> Any:
        """Send a CALL and return its answer: the payload of the CALLRESULT, or the whole CALLERROR."""
        message_id = message_id if message_id is not None else f"m{next(self._ids)}"
        seen = len(self.received)
        await self.send([2, message_id, action, payload])
        return await self.answer(message_id, after=seen)

    async def answer(self, message_id: str, *, after: int = 0) -> Any:
        """The answer to a message id among the frames after the first `after`: a CALLRESULT's payload, or the whole CALLERROR."""

        def found() -> list[Any]:
            return [frame for frame in self.received[after:] if frame[0] in (3, 4) and frame[1] == message_id]

        await self._wait(lambda: bool(found()) or self.close_code is not None, f"an answer to {message_id}")
        assert found(), f"{self.id}: closed with {self.close_code} instead of answering {message_id}"
        frame = found()[0]
        return frame[2] if frame[0] == 3 else frame

    async def first_answer(self, message_id: str, *, after: int = 0) -> list[Any] | None:
        """The whole frame that answers a message id, or None where none came before the guard or the close."""

        def found() -> list[Any] | None:
            return next((frame for frame in self.received[after:] if frame[0] in (3, 4) and str(frame[1]) == message_id), None)

        with contextlib.suppress(AssertionError):
            await self._wait(lambda: found() is not None or self.close_code is not None, f"an answer to {message_id}")
        return found()

    async def boot(self, **fields: Any) -> Any:
        """BootNotification with the least it may have."""
        return await self.call("BootNotification", {"chargePointVendor": "Acme", "chargePointModel": "One", **fields})

    async def status(self, status: str, *, connector: int = 1, error_code: str = "NoError", **fields: Any) -> Any:
        """StatusNotification."""
        return await self.call(
            "StatusNotification", {"connectorId": connector, "status": status, "errorCode": error_code, **fields}
        )

    def calls(self, action: str) -> list[Any]:
        """Payloads of the central system's CALLs of this action, so far."""
        return [frame[3] for frame in self.received if frame[0] == 2 and frame[2] == action]

    async def closed(self) -> int | None:
        """Wait until the server has closed; the close code."""
        await self._wait(lambda: self.close_code is not None, "the close")
        return self.close_code

    # -- what the world watches (testkit.quiet.Peer)

    @property
    def connected(self) -> bool:
        """Whether the socket stands."""
        return self._ws is not None and not self._ws.closed and self.close_code is None

    @property
    def busy(self) -> int:
        """Nothing goes on here that the test does not await."""
        return 0

    async def ping_through(self) -> None:
        """Return when the server has read all that was sent before, and we all that it sent before its pong."""
        if not self.connected or self._ws is None:
            return
        wanted = self._pongs + 1
        await self._ws.ping()
        await self._wait(lambda: self._pongs >= wanted or self.close_code is not None, "a pong")

    async def stop(self) -> None:
        """Close the socket, with the handshake of closing."""
        if self._ws is not None:
            await self._ws.close()
        if self._reader is not None:
            await self._reader
        if self._http is not None:
            await self._http.close()

    async def write(self, data: bytes) -> None:
        """Bytes on the wire as they are, for what no client library would frame."""
        assert self._ws is not None
        transport = self._ws._writer.transport  # noqa: SLF001  (below what the library frames)
        assert transport is not None
        transport.write(data)

    async def drop(self) -> None:
        """TCP is gone without a Close frame."""
        assert self._ws is not None
        transport = self._ws._writer.transport  # noqa: SLF001  (below what the library frames)
        if transport is not None:
            transport.abort()
        if self._reader is not None:
            await self._reader


async def raw_handshake(
    port: int, target: str, *, password: str, user: str = "any", connection: str | None = "Upgrade"
) -> tuple[bytes, asyncio.StreamWriter]:
    """A handshake whose request target is sent as it is: client libraries would tidy it up. The answer's head, and the socket."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [
        f"GET {target} HTTP/1.1",
        "Host: voltlync",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol: ocpp1.6",
        f"Authorization: Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}",
        *([f"Connection: {connection}"] if connection is not None else []),
    ]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    async with asyncio.timeout(GUARD_SECONDS):
        return await reader.readuntil(b"\r\n\r\n"), writer
