"""A TCP proxy that misbehaves on demand: cut, frozen (half-open), delayed, slow. Put it between a service and its server.

async with TcpProxy("127.0.0.1", servers.rabbitmq.port) as proxy:
    ... connect to proxy.port ...
    proxy.cut()         # every connection is reset and new ones are refused, as when the server dies
    await proxy.restore()
    proxy.freeze()      # half-open: connections stay, no byte passes, no end is told
    proxy.thaw()
"""

import asyncio
import contextlib
import socket
import struct
from types import TracebackType
from typing import Self

LOOPBACK = "127.0.0.1"
CHUNK_BYTES = 65_536

# A connection closed with this set sends RST instead of FIN: what a killed peer's kernel sends.
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class TcpProxy:
    """Forwards connections to (host, port). `delay_seconds` and `bytes_per_second` may be changed at any time.

    It lives on real time, not on the test's clock: it stands for the network.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._held: socket.socket | None = None
        self._connections: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.port = 0
        self.delay_seconds = 0.0
        """Added to every chunk, in each direction."""
        self.bytes_per_second: float | None = None
        """The rate of each connection and direction; None: as fast as it goes."""

    @property
    def connections(self) -> int:
        """How many are open now."""
        return len(self._connections)

    async def __aenter__(self) -> Self:
        # Bound and not listening: it keeps the port ours while we are cut, and refuses whoever connects meanwhile.
        self._held = socket.socket()
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._held.bind((LOOPBACK, 0))
        self.port = self._held.getsockname()[1]
        await self.restore()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.cut()
        await asyncio.gather(*self._connections, return_exceptions=True)
        if self._held is not None:
            self._held.close()

    async def restore(self) -> None:
        """Listen (again, on the same port)."""
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, LOOPBACK, self.port, reuse_address=True)

    def cut(self) -> None:
        """Reset all connections and refuse new ones until `restore`."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.reset_connections()

    def reset_connections(self) -> None:
        """Reset all connections; new ones are welcome."""
        for task, writers in list(self._connections.items()):
            for writer in writers:
                sock = writer.get_extra_info("socket")
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                writer.transport.abort()
            task.cancel()

    def freeze(self) -> None:
        """Let no byte pass, in old connections and new, without telling anybody."""
        self._flowing.clear()

    def thaw(self) -> None:
        """Let pass what has been waiting."""
        self._flowing.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = [writer]
        try:
            upstream_reader, upstream_writer = await asyncio.open_connection(*self._target)
            self._connections[task].append(upstream_writer)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(reader, upstream_writer))
                both.create_task(self._pump(upstream_reader, writer))
        except* (OSError, asyncio.CancelledError):
            pass  # the target is away, or the connection was cut: the other side sees it closed, which is the point
        finally:
            for side in self._connections.pop(task):
                side.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(CHUNK_BYTES):
            await self._flowing.wait()
            if self.delay_seconds:
                await asyncio.sleep(self.delay_seconds)
            if self.bytes_per_second:
                await asyncio.sleep(len(chunk) / self.bytes_per_second)
            writer.write(chunk)
            await writer.drain()
        await self._flowing.wait()  # a half-open connection does not tell of its end either
        if writer.can_write_eof():
            writer.write_eof()
