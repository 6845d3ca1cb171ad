"""Passes a request on to a service and its answer back, as both were sent."""

from collections.abc import Iterable, Mapping

import aiohttp
import structlog
from aiohttp import hdrs, web
from multidict import CIMultiDict, CIMultiDictProxy
from prometheus_client import CollectorRegistry, Counter
from yarl import URL

from api_gateway.settings import ApiGatewaySettings
from chassis.telemetry import Telemetry
from chassis.web import Problem
from chassis.web.observe import REQUEST_ID, REQUEST_ID_HEADER, STREAMING

log = structlog.get_logger(__name__)

RETRY_AFTER_SECONDS = 2
"""What a caller is told when a service is away: it restarts in about this time."""

WHOLE_ANSWER_BYTES = 64 * 1024
"""An answer of a known length up to this is passed on whole: if it breaks off, the caller gets a problem, not half a body."""

CHUNK_BYTES = 64 * 1024

KEEPALIVE_SECONDS = 30.0
"""Below the services' own (chassis.web.listener): so we never send into a connection that the other side is just closing."""

# RFC 9110 §7.6.1: these are about one connection, not about the message.
HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)

# Set by us, or none of a service's business. Cookies are no credentials here, so that no page can act for a signed-in person.
NOT_FORWARDED = frozenset(
    {
        "host",
        "content-length",
        "authorization",
        "cookie",
        "expect",
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
    }
    | {"x-real-ip", "x-request-id", "traceparent", "tracestate", "baggage"}
)

NOT_RETURNED = frozenset({"server", "date", "set-cookie", "x-request-id"})

OWN_PREFIX = "x-voltlync-"
"""Headers between the door and its services. From outside they are removed: nobody vouches for himself."""


class Proxy:
    """The client to all services. A Part."""

    def __init__(self, settings: ApiGatewaySettings, *, telemetry: Telemetry, registry: CollectorRegistry) -> None:
        self._settings = settings
        self._telemetry = telemetry
        self.urls: Mapping[str, str] = {
            "charging": settings.charging_url.rstrip("/"),
            "payments": settings.payments_url.rstrip("/"),
            "settlement": settings.settlement_url.rstrip("/"),
            "firmware": settings.firmware_url.rstrip("/"),
            "journal": settings.journal_url.rstrip("/"),
        }
        self._session: aiohttp.ClientSession | None = None
        self._failures = Counter(
            "voltlync_api_gateway_upstream_failures_total",
            "A service did not answer: away (503), slow (504), or broke off (502)",
            ["service", "kind"],
            registry=registry,
        )

    async def start(self) -> None:
        """Open the client; connections come with the first requests."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0, limit_per_host=self._settings.upstream_connections, keepalive_timeout=KEEPALIVE_SECONDS
            ),
            timeout=aiohttp.ClientTimeout(
                total=self._settings.upstream_seconds,
                connect=self._settings.upstream_connect_seconds,  # includes the wait for a free connection of the pool
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trace_configs=[self._telemetry.http_client_tracing()],
        )

    async def stop(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    @property
    def session(self) -> aiohttp.ClientSession:
        """The client, once started."""
        assert self._session is not None, "started"  # noqa: S101
        return self._session

    async def forward(
        self, request: web.Request, service: str, body: bytes, *, address: str, headers: Mapping[str, str] | None = None
    ) -> web.StreamResponse:
        """Send the request to the service, `headers` added to its own. Raises Problem 502, 503 or 504 when no answer comes."""
        url = URL(self.urls[service] + request.rel_url.raw_path_qs, encoded=True)
        sent = passed_on(request.headers)
        sent["X-Forwarded-For"] = address
        sent["X-Forwarded-Proto"] = request.scheme
        sent[REQUEST_ID_HEADER] = request[REQUEST_ID]
        sent.update(headers or {})
        try:
            async with self.session.request(
                request.method,
                url,
                headers=sent,
                data=body or None,
                allow_redirects=False,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            ) as upstream:
                # What answers a HEAD bears the length of a body that never comes (RFC 9110, 8.6), so it is passed on as a head.
                bodiless = request.method == hdrs.METH_HEAD
                if not bodiless and upstream.content_length is not None and upstream.content_length <= WHOLE_ANSWER_BYTES:
                    whole = await upstream.read()
                    return web.Response(
                        status=upstream.status, reason=upstream.reason, headers=returned(upstream.headers), body=whole
                    )
                return await self._stream(request, upstream)
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError) as error:
            raise self._failed(service, "away", 503, "This part of VoltLync is away just now", error) from error
        except TimeoutError as error:
            self._raise_if_streaming(request, error)
            raise self._failed(service, "slow", 504, "This part of VoltLync did not answer in time", error) from error
        except (aiohttp.ClientError, ConnectionError) as error:
            self._raise_if_streaming(request, error)
            raise self._failed(service, "broke_off", 502, "This part of VoltLync broke off its answer", error) from error

    async def _stream(self, request: web.Request, upstream: aiohttp.ClientResponse) -> web.StreamResponse:
        headers = returned(upstream.headers)
        response = web.StreamResponse(status=upstream.status, reason=upstream.reason, headers=headers)
        if upstream.content_length is not None:
            response.content_length = upstream.content_length
        await response.prepare(request)
        request[STREAMING] = True
        async for chunk in upstream.content.iter_chunked(CHUNK_BYTES):
            await response.write(chunk)
        await response.write_eof()
        return response

    def _raise_if_streaming(self, request: web.Request, error: BaseException) -> None:
        # The head has been sent: the observer cuts the connection, so that the part is not taken for the whole.
        if request.get(STREAMING):
            raise error

    def _failed(self, service: str, kind: str, status: int, title: str, error: BaseException) -> Problem:
        self._failures.labels(service, kind).inc()
        log.warning("proxy.upstream_failed", upstream=service, kind=kind, error=repr(error))
        detail = "Whether a change happened is unknown: repeat it with the same Idempotency-Key." if status != 503 else None
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == 503 else {}
        return Problem(status, title, detail, type=f"upstream-{kind.replace('_', '-')}", headers=headers, service=service)


def passed_on(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """A request's headers without those of the connection, of ours, and of others who claim to speak for the caller."""
    dropped = NOT_FORWARDED | _named_by_connection(headers)
    return CIMultiDict((name, value) for name, value in headers.items() if not _is_dropped(name.lower(), dropped))


def returned(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """An answer's headers without those of the connection and of ours. Content-Length is set anew from the body."""
    dropped = NOT_RETURNED | {"content-length"} | _named_by_connection(headers)
    return CIMultiDict((name, value) for name, value in headers.items() if not _is_dropped(name.lower(), dropped))


def _named_by_connection(headers: CIMultiDictProxy[str]) -> frozenset[str]:
    named: Iterable[str] = (token.strip().lower() for value in headers.getall("Connection", []) for token in value.split(","))
    return HOP_BY_HOP | frozenset(named)


def _is_dropped(name: str, dropped: frozenset[str]) -> bool:
    # Underscores too: some servers read X_Voltlync_Principal as the same header.
    return name in dropped or name.replace("_", "-").startswith(OWN_PREFIX)
