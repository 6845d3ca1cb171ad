"""What browsers are told: who may call from where, and what a page of ours may do."""

from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

from chassis.web.idempotency import KEY_HEADER, REPLAYED_HEADER
from chassis.web.observe import REQUEST_ID_HEADER

ALLOWED_METHODS = "GET, POST, PUT, PATCH, DELETE"
ALLOWED_HEADERS = f"Authorization, Content-Type, {KEY_HEADER}, {REQUEST_ID_HEADER}, If-Match, traceparent"
EXPOSED_HEADERS = f"{REQUEST_ID_HEADER}, Location, Retry-After, {REPLAYED_HEADER}, ETag, Content-Disposition"

PREFLIGHT_SECONDS = 600
"""How long a browser may remember a preflight's answer: a change of the settings shows within ten minutes."""

HSTS = "max-age=31536000; includeSubDomains"

API_POLICY = "default-src 'none'; frame-ancestors 'none'"
"""An answer of the API is never a page; whoever opens one in a browser gets nothing that runs."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def preflight(origins: frozenset[str]) -> Middleware:
    """Answers a browser's preflight before routing: 204 for an allowed origin, without the headers for any other."""

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
            return await handler(request)
        response = web.Response(status=204)
        if request.headers.get("Origin") in origins:
            response.headers["Access-Control-Allow-Methods"] = ALLOWED_METHODS
            response.headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
            response.headers["Access-Control-Max-Age"] = str(PREFLIGHT_SECONDS)
        return response

    return answer


def browser_headers(origins: frozenset[str], *, https: bool) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """An on_response_prepare signal. No credentials are allowed across origins: callers send a bearer token, never a cookie."""

    async def add(request: web.Request, response: web.StreamResponse) -> None:
        headers = response.headers
        headers.setdefault("Content-Security-Policy", API_POLICY)
        headers.setdefault("Referrer-Policy", "no-referrer")
        headers.setdefault("X-Frame-Options", "DENY")
        if https:
            headers["Strict-Transport-Security"] = HSTS
        if origins:
            headers.add("Vary", "Origin")
            origin = request.headers.get("Origin")
            if origin in origins and origin is not None:
                headers["Access-Control-Allow-Origin"] = origin
                headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS

    return add
