"""Around every request: its id, its span, its measure, its log line, and every exception turned into a problem."""

import re
from collections.abc import Awaitable, Callable

import sqlalchemy as sa
import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware
from opentelemetry.trace import SpanKind
from prometheus_client import Counter, Histogram

from chassis.messaging import is_transient
from chassis.runtime import Service
from chassis.telemetry import Telemetry, current_trace_id
from chassis.web.problems import Problem, malformed, type_name
from chassis.web.route import Errors

log = structlog.get_logger(__name__)

REQUEST_ID_HEADER = "X-Request-Id"
REQUEST_ID = web.RequestKey("request_id", str)
SUBJECT = web.RequestKey("subject", str)
STREAMING = web.RequestKey("streaming", bool)
"""Set by a handler once it has sent the head of a streamed answer."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")

# From a cached read to a charger's answer that was waited for.
DURATION_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

RETRY_AFTER_SECONDS = 2
"""What a caller is told when the database is away: a restart takes about this long."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Observer:
    """`middleware` goes outermost. `errors` maps domain exceptions to problems; an unknown one is a 500 that tells nothing.

    Paths in `unobserved` pass as they are: health is asked every few seconds and would drown what matters.
    """

    def __init__(
        self, service: Service, telemetry: Telemetry, errors: Errors, *, unobserved: frozenset[str] = frozenset()
    ) -> None:
        self._service = service
        self._telemetry = telemetry
        self._errors = errors
        self._unobserved = unobserved
        self._durations = Histogram(
            "voltlync_http_request_duration_seconds",
            "Time to answer, by route template (never by path: ids would make endless series)",
            ["method", "route", "status"],
            registry=telemetry.registry,
            buckets=DURATION_BUCKETS,
        )
        self._unexpected = Counter(
            f"voltlync_{service.name}_unexpected_errors_total",
            "Requests answered 500: an exception that nobody mapped",
            ["route"],
            registry=telemetry.registry,
        )

    @property
    def middleware(self) -> Middleware:
        """For `web.Application(middlewares=[observer.middleware])`."""

        @web.middleware
        async def observe(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._observe(request, handler)

        return observe

    async def _observe(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        template = resource.canonical if resource is not None else "unmatched"
        if template in self._unobserved:
            return await handler(request)
        started = self._service.clock.monotonic()
        with self._telemetry.span(
            f"{request.method} {template}",
            traceparent=request.headers.get("traceparent"),
            kind=SpanKind.SERVER,
            **{"http.request.method": request.method, "http.route": template},
        ) as span:
            given = request.headers.get(REQUEST_ID_HEADER, "")
            request_id = given if _REQUEST_ID.fullmatch(given) else current_trace_id() or ""
            request[REQUEST_ID] = request_id
            with structlog.contextvars.bound_contextvars(request_id=request_id, service=self._service.name):
                try:
                    response = await handler(request)
                except Exception as error:
                    if request.get(STREAMING):
                        # The head is out; all that is left is to cut the connection, so that nobody takes a part for the whole.
                        log.warning("http.stream_cut", route=template, error=repr(error))
                        if request.transport is not None:
                            request.transport.abort()
                        raise
                    response = self._problem(error, template).response(f"urn:voltlync:request:{request_id}")
                seconds = self._service.clock.monotonic() - started
                self._durations.labels(_known_method(request.method), template, str(response.status)).observe(seconds)
                span.set_attribute("http.response.status_code", response.status)
                log.info(
                    "http.request",
                    method=request.method,
                    path=request.rel_url.raw_path,
                    route=template,
                    status=response.status,
                    duration_ms=round(seconds * 1000, 1),
                    subject=request.get(SUBJECT),
                )
                return response

    def _problem(self, error: Exception, template: str) -> Problem:
        if isinstance(error, Problem):
            return error
        if isinstance(error, web.HTTPException):
            return _of_http_exception(error)
        if isinstance(error, web.RequestPayloadError):
            return malformed("The body ended early or is not framed as its headers say.")
        for kind in type(error).__mro__:
            mapped = self._errors.get(kind)
            if mapped is not None:
                status, title = mapped
                return Problem(status, title, str(error) or None, type=type_name(kind))
        refused = _of_database(error)
        if refused is not None:
            log.warning("http.refused_by_database", route=template, error=repr(error))
            return refused
        if is_transient(error):
            log.warning("http.unavailable", route=template, error=repr(error))
            return _unavailable()
        self._unexpected.labels(template).inc()
        log.error("http.unexpected_error", route=template, exc_info=error)
        return Problem(
            500, "Something went wrong on our side", "It has been recorded under this request's id.", type="unexpected"
        )


async def add_common_headers(request: web.Request, response: web.StreamResponse) -> None:
    """An on_response_prepare signal: for every answer, streamed or not."""
    response.headers.setdefault(REQUEST_ID_HEADER, request.get(REQUEST_ID, ""))
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")


def _known_method(method: str) -> str:
    # A label's values must be few; a hostile client has many methods.
    return method if method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} else "other"


def _of_http_exception(error: web.HTTPException) -> Problem:
    if error.status == 404:
        return Problem(404, "There is nothing here", type="not-found")
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        return Problem(405, "Not this method", f"Here one may {allowed}.", type="method-not-allowed", headers={"Allow": allowed})
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return Problem(413, "The body is too large", type="body-too-large")
    return Problem(error.status if error.status >= 400 else 500, error.reason)


def _of_database(error: Exception) -> Problem | None:
    """A net below the use cases: bad input that no check of ours caught is still no error of ours."""
    if not isinstance(error, sa.exc.DBAPIError):
        return None
    sqlstate = str(getattr(error.orig, "sqlstate", None) or "")
    if sqlstate.startswith("22"):  # also what asyncpg itself refuses to encode, before the server sees it
        return Problem(422, "A value cannot be stored", "A value is out of range or malformed.", type="unstorable-value")
    if sqlstate == "23505":
        return Problem(409, "This exists already", type="exists-already")
    if sqlstate in ("23502", "23503", "23514"):
        return Problem(422, "This contradicts what is stored", "It refers to something that does not exist, or breaks a rule.")
    return None


def _unavailable() -> Problem:
    return Problem(
        503,
        "Temporarily not available",
        "Try again; a repeated mutation needs its Idempotency-Key.",
        type="unavailable",
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )
