"""The yardstick: a bare aiohttp WebSocket server on uvloop that parses each CALL and answers it. `python bare.py PORT`."""

import sys

import orjson
import uvloop
from aiohttp import WSMsgType, web


async def handle(request: web.Request) -> web.WebSocketResponse:
    """Answer every CALL with an empty result."""
    ws = web.WebSocketResponse(protocols=("ocpp1.6",), compress=False)
    await ws.prepare(request)
    async for message in ws:
        if message.type is WSMsgType.TEXT:
            call = orjson.loads(message.data)
            await ws.send_str(orjson.dumps([3, call[1], {}]).decode())
    return ws


def main() -> None:
    """Serve until killed."""

    async def serve() -> web.Application:
        application = web.Application()
        application.router.add_get("/{path:.*}", handle)
        return application

    web.run_app(serve(), host="127.0.0.1", port=int(sys.argv[1]), print=None, loop=uvloop.new_event_loop())


if __name__ == "__main__":
    main()
