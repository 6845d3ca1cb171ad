"""A WebSocket client (RFC 6455) that writes what it is told to, also what is forbidden. One object per socket."""

import asyncio
import base64
from collections.abc import Callable
from typing import Any

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA

HEAD_BYTES_MAX = 4096


def encode(opcode: int, payload: bytes, key: bytes = bytes(4), *, fin: bool = True, rsv: int = 0) -> bytes:
    """One masked frame. The default key leaves the payload as it is, which costs nothing."""
    length = len(payload)
    first = (0x80 if fin else 0) | rsv | opcode
    if length < 126:
        head = bytes((first, 0x80 | length))
    elif length < 65_536:
        head = bytes((first, 0xFE)) + length.to_bytes(2, "big")
    else:
        head = bytes((first, 0xFF)) + length.to_bytes(8, "big")
    if any(key) and payload:
        stream = (key * (length // 4 + 1))[:length]
        payload = (int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")).to_bytes(length, "big")
    return head + key + payload


class Refused(Exception):
    """The gateway did not let this charge point in; the status line."""


class Wire(asyncio.Protocol):
    """`on_text` gets each message, `on_close` is called once, `on_room` when a full send buffer has emptied."""

    def __init__(
        self, on_text: Callable[[bytes], None], on_close: Callable[[], None], on_room: Callable[[], None] = lambda: None
    ) -> None:
        self._on_text = on_text
        self._on_close = on_close
        self._on_room = on_room
        self._buffer = b""
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport
        self.full = False
        """The kernel takes no more: wait for `on_room`."""
        self.closed = False

    @classmethod
    async def connect(cls, port: int, name: str, password: str, *callbacks: Callable[..., None]) -> "Wire":
        """Open a charge point's socket. Raises Refused, OSError."""
        _, wire = await asyncio.get_running_loop().create_connection(lambda: cls(*callbacks), "127.0.0.1", port)
        credentials = base64.b64encode(f"{name}:{password}".encode()).decode()
        wire._transport.write(
            (
                f"GET /ocpp/{name} HTTP/1.1\r\nHost: gateway\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: ocpp1.6\r\n"
                f"Authorization: Basic {credentials}\r\n\r\n"
            ).encode()
        )
        await wire._opened
        return wire

    @property
    def ready(self) -> bool:
        """Whether more may be written now."""
        return not self.full and not self.closed and not self._transport.is_closing()

    def write(self, data: bytes) -> None:
        """Bytes as they are."""
        if not self._transport.is_closing():
            self._transport.write(data)

    def drop(self) -> None:
        """End the TCP connection without a word."""
        self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def pause_writing(self) -> None:
        self.full = True

    def resume_writing(self) -> None:
        self.full = False
        self._on_room()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._opened.done():
            self._opened.set_exception(Refused(f"gone before the handshake was over: {exc}"))
        self._ended()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._opened.done() and not self._handshaken():
            return
        while not self.closed and (message := self._next()) is not None:
            opcode, payload = message
            if opcode == TEXT:
                self._on_text(payload)
            elif opcode == PING:
                self.write(encode(PONG, payload))
            elif opcode == CLOSE:
                self._transport.abort()
                self._ended()

    def _ended(self) -> None:
        if not self.closed:
            self.closed = True
            self._on_close()

    def _handshaken(self) -> bool:
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return False
        status = head.split(b"\r\n", 1)[0].decode("latin-1")
        if " 101 " not in status:
            self._opened.set_exception(Refused(status))
            self._transport.abort()
            return False
        self._buffer = rest
        self._opened.set_result(None)
        return True

    def _next(self) -> tuple[int, Any] | None:
        """(opcode, payload) of the next whole frame; the gateway neither masks nor fragments."""
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        length, start = buffer[1] & 0x7F, 2
        if length == 126:
            length, start = int.from_bytes(buffer[2:4], "big"), 4
        elif length == 127:
            length, start = int.from_bytes(buffer[2:10], "big"), 10
        if len(buffer) < start or len(buffer) < start + length:
            return None
        self._buffer = buffer[start + length :]
        return buffer[0] & 0x0F, buffer[start : start + length]
