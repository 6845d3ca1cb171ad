"""The public port: who is it, may it go on, and to whom."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import aiohttp
from aiohttp import web

from api_gateway.authenticate import Authenticator
from api_gateway.cross_origin import browser_headers, preflight
from api_gateway.docs_page import docs_page
from api_gateway.limits import Limits
from api_gateway.openapi import OpenApi
from api_gateway.proxy import Proxy
from api_gateway.routing import DOWNLOADS, NOUNS, WEBHOOKS, is_plain
from api_gateway.settings import ApiGatewaySettings
from chassis.runtime import Environment, Service
from chassis.web import Listener, PrincipalSigner, Problem, read_body
from chassis.web.observe import SUBJECT, Observer, add_common_headers

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

HEALTH_SECONDS = 2.0
"""A service that has not said by then that it is ready, is not."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Door:
    """A Part: listens on the public port."""

    def __init__(
        self,
        service: Service,
        settings: ApiGatewaySettings,
        *,
        observer: Observer,
        authenticator: Authenticator,
        limits: Limits,
        proxy: Proxy,
        openapi: OpenApi,
        signer: PrincipalSigner,
    ) -> None:
        self._service = service
        self._settings = settings
        self._authenticator = authenticator
        self._limits = limits
        self._proxy = proxy
        self._openapi = openapi
        self._signer = signer
        origins = settings.allowed_origins
        application = web.Application(middlewares=[observer.middleware, preflight(origins)])
        application.on_response_prepare.append(add_common_headers)
        application.on_response_prepare.append(browser_headers(origins, https=settings.environment is Environment.PRODUCTION))
        self._add_routes(application.router)
        self._listener = Listener(
            application,
            host=settings.door_host,
            port=settings.door_port,
            drain_seconds=settings.drain_seconds,
        )

    @property
    def url(self) -> str:
        """`http://127.0.0.1:8080`, once started."""
        return self._listener.url

    async def start(self) -> None:
        """Listen."""
        await self._listener.start()

    async def stop(self) -> None:
        """Finish the requests in progress, then close."""
        await self._listener.stop()

    def _add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get("/v1/openapi.json", self._serve_openapi)
        router.add_get("/docs", self._serve_docs)
        for path, receiver in WEBHOOKS.items():
            router.add_post(path, self._webhook(receiver))
        path, owner = DOWNLOADS
        router.add_get(path, self._public(owner))
        for noun, owner in NOUNS.items():
            for prefix, make in (("/v1", self._signed_in), ("/v1/public", self._public)):
                handler = make(owner)
                for method in METHODS:
                    router.add_route(method, f"{prefix}/{noun}", handler)
                    router.add_route(method, f"{prefix}/{noun}/{{tail:.+}}", handler)

    def _signed_in(self, owner: str) -> Handler:
        """For a caller with a token: verified, counted, vouched for."""

        async def handle(request: web.Request) -> web.StreamResponse:
            address = self._checked(request)
            try:
                principal = await self._authenticator.principal(request.headers.get("Authorization"))
            except Problem as problem:
                if problem.status == 401:
                    await self._limits.check("unauthenticated", address)
                raise
            request[SUBJECT] = principal.subject
            await self._limits.check("caller", principal.subject)
            body = await self._body(request)
            # Signed as late as possible: its thirty seconds begin when the request leaves.
            vouched = self._signer.headers(
                principal,
                audience=owner,
                method=request.method,
                path=request.rel_url.raw_path,
                now=self._service.clock.now(),
            )
            return await self._forward(request, owner, body, address, vouched)

        return handle

    def _public(self, owner: str) -> Handler:
        """For anyone, by address."""

        async def handle(request: web.Request) -> web.StreamResponse:
            address = self._checked(request)
            await self._limits.check("public", address)
            return await self._forward(request, owner, await self._body(request), address, {})

        return handle

    def _webhook(self, receiver: str) -> Handler:
        """For a provider: the receiver checks the signature over the raw bytes."""

        async def handle(request: web.Request) -> web.StreamResponse:
            address = self._checked(request)
            await self._limits.check("webhooks", address)
            return await self._forward(request, receiver, await self._body(request), address, {})

        return handle

    async def _forward(
        self, request: web.Request, owner: str, body: bytes, address: str, headers: dict[str, str]
    ) -> web.StreamResponse:
        # Who asks to wait for a charger (`?wait=`) waits for time, and that is no work in progress.
        counted = contextlib.nullcontext() if "wait" in request.query else self._service.work.on("http")
        with counted:
            return await self._proxy.forward(request, owner, body, address=address, headers=headers)

    def _checked(self, request: web.Request) -> str:
        """The caller's address. Raises Problem 404 for a path that means one thing here and another there."""
        if not is_plain(request.rel_url.raw_path) or not request.rel_url.raw_query_string.isascii():
            raise Problem(404, "There is nothing here", type="not-found")
        return self._limits.address_of(request)

    async def _body(self, request: web.Request) -> bytes:
        """Whole, in memory, before a service is bothered: a caller that drips bytes holds nothing but its own connection."""
        if not request.body_exists:
            return b""
        try:
            async with asyncio.timeout(self._settings.body_seconds):
                return await read_body(request, self._settings.max_body_bytes)
        except TimeoutError:
            raise Problem(408, "The body did not arrive in time", type="body-too-slow") from None

    async def _serve_openapi(self, request: web.Request) -> web.Response:
        await self._limits.check("public", self._limits.address_of(request))
        body = await self._openapi.document()
        return web.Response(body=body, content_type="application/json", headers={"Cache-Control": "public, max-age=30"})

    async def _serve_docs(self, _request: web.Request) -> web.Response:
        page, policy = docs_page()
        return web.Response(text=page, content_type="text/html", headers={"Content-Security-Policy": policy})


async def ask_service(proxy: Proxy, name: str) -> str | None:
    """Whether the service behind is ready, for /readyz of the door."""
    try:
        timeout = aiohttp.ClientTimeout(total=HEALTH_SECONDS)
        async with proxy.session.get(f"{proxy.urls[name]}/readyz", timeout=timeout) as response:
            return None if response.status == 200 else f"not ready ({response.status})"
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return f"does not answer: {type(error).__name__}"
