"""What is drawn, answered: in a thread, with no transaction open, and only where the caller has not these very bytes."""

import asyncio
from collections.abc import Callable

from aiohttp import web

from payments.domain.errors import ConflictError
from payments.printing import TooLong
from payments.usecases.context import Payments

CACHE_CONTROL = "private, no-cache"
"""The caller may keep it and has to ask each time: a code is closed, a price changes."""


async def answer_printed(
    app: Payments, request: web.Request, *, tag: str, draw: Callable[[], bytes], content_type: str, file_name: str | None = None
) -> web.Response:
    """304 where the caller has the bytes of this tag; drawn only where it has not. Raises ConflictError for what is too long."""
    headers = {"ETag": f'"{tag}"', "Cache-Control": CACHE_CONTROL}
    known = request.if_none_match or ()
    if any(given.value in (tag, "*") for given in known):
        return web.Response(status=304, headers=headers)
    if file_name is not None:
        headers["Content-Disposition"] = f'inline; filename="{file_name}"'
    async with app.drawing:
        try:
            body = await asyncio.to_thread(draw)
        except TooLong as error:
            raise ConflictError(f"What it encodes is too long to draw: {error}.") from error
    return web.Response(body=body, content_type=content_type, headers=headers)
