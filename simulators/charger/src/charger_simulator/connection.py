"""One WebSocket to a central system (OCPP-J section 3), with the rude ways out that a clean client does not offer."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import aiohttp
from yarl import URL

from charger_simulator.quirks import Quirks

FRAME_BYTES_MAX = 4 * 1024 * 1024  # a central system may be verbose, not endless


class ConnectFailed(Exception):
    """No socket. `status` is the HTTP status of a refused handshake, None if nothing answered."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class Pong:
    data: bytes


def address(url: str, charge_point_id: str, quirks: Quirks) -> URL:
    """The id, percent-encoded, is appended to `url` as the last segment (OCPP-J 3.1.1), put for `{id}`, or there already."""
    encoded = quote(charge_point_id, safe="")
    if quirks.path is not None:
        return URL(f"{URL(url).origin()}{quirks.path.replace('{id}', encoded)}", encoded=True)
    if "{id}" in url:
        return URL(url.replace("{id}", encoded), encoded=True)
    stem = url.rstrip("/")
    return URL(stem if stem.endswith(f"/{encoded}") else f"{stem}/{encoded}", encoded=True)


def handshake_headers(charge_point_id: str, password: str | None, quirks: Quirks) -> dict[str, str]:
    headers = dict(quirks.headers)
    if password is not None:
        user = charge_point_id if quirks.basic_auth_user is None else quirks.basic_auth_user
        key = bytes.fromhex(password) if quirks.basic_auth_hex_decoded else password.encode()
        headers["Authorization"] = "Basic " + base64.b64encode(user.encode() + b":" + key).decode()
    return headers


class Connection:
    """An open socket. Pings are answered by the reader, by hand, so that not answering them is possible."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self._ws = ws
        self.dropped = False

    @classmethod
    async def open(
        cls,
        http: aiohttp.ClientSession,
        url: URL,
        *,
        headers: Mapping[str, str],
        subprotocols: Sequence[str],
        ssl_context: ssl.SSLContext | None,
        connect_guard_seconds: float,
        close_guard_seconds: float,
    ) -> Connection:
        """Raises ConnectFailed."""
        try:
            async with asyncio.timeout(connect_guard_seconds):
                ws = await http.ws_connect(
                    url,
                    headers=headers,
                    protocols=subprotocols,
                    ssl=ssl_context if ssl_context is not None else True,
                    autoping=False,
                    max_msg_size=FRAME_BYTES_MAX,
                    timeout=aiohttp.ClientWSTimeout(ws_close=close_guard_seconds),
                )
        except aiohttp.WSServerHandshakeError as error:
            raise ConnectFailed(f"handshake refused: HTTP {error.status}", error.status) from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise ConnectFailed(f"{type(error).__name__}: {error}") from error
        return cls(ws)

    @property
    def subprotocol(self) -> str | None:
        return self._ws.protocol

    @property
    def close_code(self) -> int | None:
        """The code of the Close frame, 1006 if the socket went without one, None while open."""
        return self._ws.close_code

    async def frames(self, quirks: Quirks) -> AsyncIterator[str | bytes | Pong]:
        """What arrives, until the socket is gone."""
        while not self.dropped:
            message = await self._ws.receive()
            if self.dropped:
                return
            match message.type:
                case aiohttp.WSMsgType.TEXT | aiohttp.WSMsgType.BINARY:
                    yield message.data
                case aiohttp.WSMsgType.PING:
                    if quirks.answer_pings:
                        await self._ws.pong(message.data)
                case aiohttp.WSMsgType.PONG:
                    yield Pong(bytes(message.data))
                case _:
                    return

    async def send(self, data: str | bytes, *, as_text: bool | None = None) -> None:
        """Raises ConnectionError when the socket is gone. Bytes go as a binary frame unless `as_text`, whatever they hold."""
        if isinstance(data, str):
            await self._ws.send_str(data)
        elif as_text:
            await self._ws.send_frame(data, aiohttp.WSMsgType.TEXT)
        else:
            await self._ws.send_bytes(data)

    async def ping(self, data: bytes = b"") -> None:
        await self._ws.ping(data)

    def drop(self) -> None:
        """Ends TCP without a Close frame, as a lost network does. What was written before still arrives."""
        if self.dropped:
            return
        self.dropped = True
        own = self._ws.get_extra_info("socket")
        if own is None or own.fileno() < 0:
            return
        # On a duplicate, because uvloop's sockets have no shutdown; it acts on the connection, not on the descriptor.
        with socket.socket(fileno=socket.dup(own.fileno())) as duplicate:
            try:
                duplicate.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # the peer was quicker

    async def close(self) -> None:
        """A clean end, with Close frames; no more than a release if the socket is gone already."""
        if self._ws.closed:
            return
        try:
            await self._ws.close()
        except (aiohttp.ClientError, ConnectionError):
            return
