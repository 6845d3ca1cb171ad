"""A service's internal port: its table of routes, its OpenAPI document, its health."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from aiohttp import hdrs, web

from chassis.database import Database, UnitOfWork
from chassis.runtime import Environment, Service, ServiceSettings
from chassis.telemetry import Telemetry
from chassis.web.binding import BoundRoute, WrongRoute, bind
from chassis.web.body import too_large
from chassis.web.health import HEALTH_PATHS, Check, add_health_routes
from chassis.web.idempotency import REPLAYED_HEADER, Keyed, claim, keyed, release, remember, remember_done
from chassis.web.listener import Listener
from chassis.web.observe import SUBJECT, Observer, add_common_headers
from chassis.web.openapi import document
from chassis.web.principal import PRINCIPAL_HEADER, Principal, PrincipalVerifier, forbidden, unauthenticated
from chassis.web.problems import Problem
from chassis.web.roles import Public
from chassis.web.route import MAX_BODY_BYTES, Errors, Route

OPENAPI_PATH = "/openapi.json"

Result = tuple[int, dict[str, str], bytes] | web.StreamResponse
"""Status, headers and body; or what the use case sends by itself."""


class _HeadIsEnough(Exception):
    """A stream that answers a HEAD has named its status and headers: there is no more to say."""

    def __init__(self, response: web.StreamResponse) -> None:
        self.response = response
        super().__init__()


_HEAD_SENT = web.RequestKey("head_sent", bool)


async def _stop_streams_at_their_head(request: web.Request, response: web.StreamResponse) -> None:
    """aiohttp leaves the body of a whole answer out of a HEAD's, and sends that of a stream, which breaks the connection."""
    if request.method == hdrs.METH_HEAD and not isinstance(response, web.Response) and _HEAD_SENT not in request:
        raise _HeadIsEnough(response)


class WebServer:
    """A Part. Binds every route when it is made: a wrong signature raises WrongRoute then, not at the first request.

    `app` is the service's collaborators, passed to use cases as their first argument. `errors` maps domain exceptions.
    `details` are shown by /readyz and do not decide. `observer` serves a second port of the same service, if it has one.
    """

    def __init__(
        self,
        service: Service,
        settings: ServiceSettings,
        routes: Sequence[Route],
        *,
        telemetry: Telemetry,
        app: Any = None,
        database: Database | None = None,
        errors: Errors | None = None,
        details: Mapping[str, Check] | None = None,
    ) -> None:
        self._service = service
        self._app = app
        self._database = database
        bound_routes = [bind(route) for route in routes]
        for bound in bound_routes:
            if "uow" in bound.plain and database is None:
                raise WrongRoute(bound.route, "takes a uow, but the web server was given no database")
        guarded = any(not isinstance(bound.route.roles, Public) for bound in bound_routes)
        if guarded and settings.principal_public_key is None and settings.environment is Environment.PRODUCTION:
            raise ValueError("VOLTLYNC_PRINCIPAL_PUBLIC_KEY is not set: no caller could be verified")
        self._verifier = (
            PrincipalVerifier(settings.principal_public_key, audience=service.name) if settings.principal_public_key else None
        )
        mapped = errors or {}
        openapi = document(f"VoltLync {service.name}", bound_routes, [status for status, _title in mapped.values()])
        self.openapi: dict[str, Any] = openapi
        openapi_json = orjson.dumps(openapi)

        async def serve_openapi(_request: web.Request) -> web.Response:
            return web.Response(body=openapi_json, content_type="application/json")

        self.observer = observer = Observer(service, telemetry, mapped, unobserved=HEALTH_PATHS | {OPENAPI_PATH})
        largest = max([MAX_BODY_BYTES, *(route.max_body_bytes for route in routes)])
        application = web.Application(middlewares=[observer.middleware], client_max_size=largest)
        application.on_response_prepare.extend((_stop_streams_at_their_head, add_common_headers))
        add_health_routes(application, service, telemetry, details)
        application.router.add_get(OPENAPI_PATH, serve_openapi)
        for bound in bound_routes:
            handler = self._handler(bound)
            application.router.add_route(bound.route.method, bound.route.path, handler)
            if bound.route.method == hdrs.METH_GET:  # RFC 9110, 9.3.2: the same headers without the body
                application.router.add_route(hdrs.METH_HEAD, bound.route.path, handler)
        self._listener = Listener(
            application, host=settings.internal_host, port=settings.internal_port, drain_seconds=settings.drain_seconds
        )

    @property
    def port(self) -> int:
        """The port it listens on, once started."""
        return self._listener.port

    @property
    def url(self) -> str:
        """`http://127.0.0.1:8102`, once started."""
        return self._listener.url

    async def start(self) -> None:
        """Listen."""
        await self._listener.start()

    async def stop(self) -> None:
        """Finish the requests in progress, then close."""
        await self._listener.stop()

    def _handler(self, bound: BoundRoute) -> Any:
        async def handle(request: web.Request) -> web.StreamResponse:
            counted = contextlib.nullcontext() if bound.route.waits else self._service.work.on("http")
            with counted:
                try:
                    async with asyncio.timeout(bound.route.timeout_seconds) as limit:
                        return await self._answer(bound, request)
                except _HeadIsEnough as head:
                    request[_HEAD_SENT] = True
                    return web.StreamResponse(
                        status=head.response.status, reason=head.response.reason, headers=head.response.headers
                    )
                except TimeoutError:
                    if not limit.expired():
                        raise
                    raise Problem(
                        504, "This took too long", "Whether it happened is unknown; repeat it with the same key."
                    ) from None

        return handle

    async def _answer(self, bound: BoundRoute, request: web.Request) -> web.StreamResponse:
        principal = self._principal(bound, request)
        if request.content_length is not None and request.content_length > bound.route.max_body_bytes:
            raise too_large(bound.route.max_body_bytes)
        arguments, raw = await bound.read(request)
        provided = {"app": self._app, "request": request, "principal": principal}
        arguments |= {name: value for name, value in provided.items() if name in bound.plain}
        key: Keyed | None = None
        if bound.takes_key and principal is not None:
            key = keyed(request, template=bound.route.path, subject=principal.subject, raw=raw)
        if "uow" in bound.plain:
            result = await self._in_transaction(bound, arguments, key)
        elif key is not None:
            result = await self._claimed(bound, arguments, key)
        else:
            result = _rendered(bound, await bound.route.function(**arguments))
        if isinstance(result, web.StreamResponse):
            return result
        status, headers, body = result
        if body:
            headers = {"Content-Type": "application/json", **headers}
        return web.Response(status=status, headers=headers, body=body or None)

    def _principal(self, bound: BoundRoute, request: web.Request) -> Principal | None:
        roles = bound.route.roles
        token = request.headers.get(PRINCIPAL_HEADER)
        if token is None:
            if isinstance(roles, Public):
                return None
            raise unauthenticated("This call does not come through the door.")
        if self._verifier is None:
            raise unauthenticated("This service has no key to verify callers by.")
        now = self._service.clock.now()
        principal = self._verifier.verify(token, method=request.method, path=request.rel_url.raw_path, now=now)
        request[SUBJECT] = principal.subject
        if not isinstance(roles, Public) and roles.isdisjoint(principal.roles):
            raise forbidden(roles)
        return principal

    async def _in_transaction(self, bound: BoundRoute, arguments: dict[str, Any], key: Keyed | None) -> Result:
        """The use case, its key and its answer in one transaction, committed before the answer leaves."""
        assert self._database is not None  # noqa: S101  (looked at when the server was made)
        opened = self._database.transaction() if bound.changes else self._database.reading()
        async with opened as uow:
            if key is not None and (stored := await claim(uow, key, shown_once=bound.route.shown_once)) is not None:
                return stored.status, {**stored.headers, REPLAYED_HEADER: "true"}, stored.body
            result = _rendered(bound, await bound.route.function(**arguments, uow=uow))
            if key is not None:
                await _remember(uow, bound, key, result)
            return result

    async def _claimed(self, bound: BoundRoute, arguments: dict[str, Any], key: Keyed) -> Result:
        """A use case that opens its own transactions: its key is claimed before it begins and answered after it has ended."""
        if self._database is None:
            return _rendered(bound, await bound.route.function(**arguments))
        async with self._database.transaction() as uow:
            stored = await claim(uow, key, shown_once=bound.route.shown_once)
        if stored is not None:
            return stored.status, {**stored.headers, REPLAYED_HEADER: "true"}, stored.body
        try:
            result = _rendered(bound, await bound.route.function(**arguments))
        except BaseException:
            # No answer, so nothing to give again: the repetition is worked on, and the use case's own rows know how far it came.
            async with self._database.transaction() as uow:
                await release(uow, key)
            raise
        async with self._database.transaction() as uow:
            await _remember(uow, bound, key, result)
        return result


async def _remember(uow: UnitOfWork, bound: BoundRoute, key: Keyed, result: Result) -> None:
    assert not isinstance(result, web.StreamResponse)  # noqa: S101  (what may stream takes no key: BoundRoute.takes_key)
    status, headers, body = result
    if bound.route.shown_once:
        await remember_done(uow, key, status=status)
    else:
        await remember(uow, key, status=status, headers=headers, body=body)


def _rendered(bound: BoundRoute, result: Any) -> Result:
    return result if isinstance(result, web.StreamResponse) else bound.render(result)
