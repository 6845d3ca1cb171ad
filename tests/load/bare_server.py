"""The yardstick: a bare aiohttp WebSocket server that parses every frame and answers it. No checks, no broker, nothing kept."""

import asyncio
import sys

import orjson
import uvloop
from aiohttp import WSMsgType, web


async def serve(request: web.Request) -> web.WebSocketResponse:
    """Answer every CALL."""
    socket = web.WebSocketResponse(protocols=("ocpp1.6",), compress=False)
    await socket.prepare(request)
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            call = orjson.loads(message.data)
            await socket.send_str(orjson.dumps([3, call[1], {}]).decode())
    return socket


async def ready(_: web.Request) -> web.Response:
    """The supervisor's question."""
    return web.Response()


async def main(port: int) -> None:
    """Serve until killed."""
    application = web.Application()
    application.router.add_get("/ocpp/{charge_point_id}", serve)
    application.router.add_get("/readyz", ready)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(main(int(sys.argv[1])))
