"""The proxy does to a connection what networks do."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from testkit.proxy import TcpProxy


@pytest.fixture
async def proxy() -> AsyncIterator[TcpProxy]:
    """A proxy before a server that echoes lines."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with TcpProxy("127.0.0.1", server.sockets[0].getsockname()[1]) as proxy:
        yield proxy
    server.close()


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: bytes) -> bytes:
    writer.write(line)
    return await reader.readline()


async def test_it_forwards_both_ways(proxy: TcpProxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    assert await ask(reader, writer, b"hello\n") == b"hello\n"
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()


async def test_cut_resets_and_refuses_until_restored_on_the_same_port(proxy: TcpProxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    assert await ask(reader, writer, b"one\n") == b"one\n"
    port = proxy.port
    proxy.cut()
    with pytest.raises(ConnectionError):
        await reader.readexactly(1)
    with pytest.raises(ConnectionError):
        await asyncio.open_connection("127.0.0.1", port)
    await proxy.restore()
    assert proxy.port == port
    again = await asyncio.open_connection("127.0.0.1", port)
    assert await ask(*again, b"two\n") == b"two\n"
    again[1].close()


async def test_frozen_is_half_open_and_thawing_loses_nothing(proxy: TcpProxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    assert await ask(reader, writer, b"one\n") == b"one\n"
    proxy.freeze()
    writer.write(b"two\n")
    answer = asyncio.create_task(reader.readline())
    await asyncio.wait([answer], timeout=0.1)
    assert not answer.done()
    proxy.thaw()
    assert await answer == b"two\n"
    writer.close()


async def test_delay_and_rate_take_the_time_they_say(proxy: TcpProxy) -> None:
    loop = asyncio.get_running_loop()
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    proxy.delay_seconds = 0.05
    begin = loop.time()
    await ask(reader, writer, b"x\n")
    assert loop.time() - begin >= 0.1  # there and back
    proxy.delay_seconds = 0.0
    proxy.bytes_per_second = 10_000
    begin = loop.time()
    await ask(reader, writer, b"x" * 999 + b"\n")
    assert loop.time() - begin >= 0.2
    writer.close()
