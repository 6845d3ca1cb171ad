"""The chargers' door: the handshake (OCPP-J §3), then one reader per socket. `ws(s)://HOST:9000/ocpp/{charge_point_id}`."""

import asyncio
import ssl
from collections import OrderedDict
from contextlib import suppress

import structlog
from aiohttp import WebSocketError, WSCloseCode, WSMsgType, web

from chassis.messaging import Bus, MessagingError
from chassis.runtime import Service
from contracts.ocpp_gateway import DisconnectReason, UnknownChargePointSeen
from contracts.topology import address_of
from ocpp_gateway.admission import Admission, Knocks
from ocpp_gateway.connection import Connection
from ocpp_gateway.connections import Connections, Password
from ocpp_gateway.credentials import Credentials, CredentialsUnavailable, accepts
from ocpp_gateway.handshake import basic_password, charge_point_id_of, choose_subprotocol
from ocpp_gateway.metrics import Metrics
from ocpp_gateway.registry import Registry
from ocpp_gateway.settings import GatewaySettings
from ocpp_gateway.streams import SENDER
from ocpp_gateway.tls import Certificate

log = structlog.get_logger(__name__)

CLOSE_SECONDS = 3.0
"""Real time that a peer has to answer our Close frame; half-open sockets never do."""

BACKLOG = 4096
"""Connections that the kernel holds until we accept them (Linux: `net.core.somaxconn` bounds it): a fleet's first knock."""

FRAMES_PER_TURN = 64
"""A socket that always has another frame ready gives the others their turn after so many."""

RETRY_AFTER_SECONDS = 10
"""Told with 503."""

SEEN_SECONDS = 60.0
"""An unknown charge point is announced at most so often."""

SEEN_MAX = 1000
"""Unknown charge points whose last announcement is remembered."""

SEEN_PER_WINDOW_MAX = 120
"""Announcements of all of them together within SEEN_SECONDS: who tries names in bulk is not worth more messages."""

USER_AGENT_MAX = 200
"""Characters of a header that are passed on."""


ADMITTED = web.RequestKey("admitted", Password)
"""Where a request keeps which password it came with."""


class Refused(Exception):
    """The handshake ends here, with this HTTP status."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class OpenSocket:
    """connections.Socket over aiohttp."""

    def __init__(
        self,
        ws: "web.WebSocketResponse[bool]",
        transport: asyncio.Transport,
        remote: str | None,
        offered: str | None,
        password: Password,
    ) -> None:
        self.ws = ws
        self.transport = transport
        self.remote_address = remote
        self.subprotocol = offered
        self.password = password

    async def close(self, code: int, *, drop: bool) -> None:
        """Close politely where the peer answers, else drop the connection."""
        if drop:
            self.transport.abort()
            return
        with suppress(TimeoutError, OSError, RuntimeError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.ws.close(code=code)
        # A peer that took everything gets to read our Close; one that takes nothing any more would hold the socket for hours.
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()


class OcppDoor:
    """The listener on the chargers' port. A Part."""

    def __init__(
        self,
        *,
        service: Service,
        settings: GatewaySettings,
        bus: Bus,
        credentials: Credentials,
        registry: Registry,
        connections: Connections,
        metrics: Metrics,
        certificate: Certificate | None = None,
    ) -> None:
        self._service = service
        self._settings = settings
        self._certificate = certificate
        self._bus = bus
        self._credentials = credentials
        self._registry = registry
        self._connections = connections
        self._metrics = metrics
        self._seen: OrderedDict[str, float] = OrderedDict()
        self._seen_since = float("-inf")
        self._seen_count = 0
        self._admission = Admission(settings.handshakes_at_once, metrics)
        self._knocks: Knocks | None = None
        self._runner: web.ServerRunner | None = None
        self._sites: list[web.TCPSite] = []
        self.port = 0
        """Where it listens without TLS, once started; 0: it does not."""
        self.tls_port = 0
        """Where it listens with TLS, once started; 0: it does not."""

    async def start(self) -> None:
        """Listen."""
        # No router: chargers' paths are too odd for one, and we have a single resource.
        self._knocks = Knocks(
            self._handle,
            seconds=self._settings.handshake_seconds,
            at_once_max=self._settings.handshakes_unfinished_max,
            metrics=self._metrics,
        )
        self._service.tasks.keep("handshakes.watch", self._knocks.watch)
        self._runner = web.ServerRunner(self._knocks, shutdown_timeout=CLOSE_SECONDS)
        await self._runner.setup()
        if self._settings.ocpp_plain:
            self.port = await self._listen(self._runner, self._settings.ocpp_port, None)
        if self._certificate is not None:
            self.tls_port = await self._listen(self._runner, self._settings.ocpp_tls_port, self._certificate.context)
        log.info("door.open", host=self._settings.ocpp_host, port=self.port, tls_port=self.tls_port)

    async def _listen(self, runner: web.ServerRunner, port: int, context: ssl.SSLContext | None) -> int:
        """Open a port; which it is."""
        site = web.TCPSite(runner, self._settings.ocpp_host, port, backlog=BACKLOG, ssl_context=context)
        await site.start()
        self._sites.append(site)
        taken: int = runner.addresses[-1][1]
        return taken

    async def stop(self) -> None:
        """Take no new sockets. Those that are open are closed by `Connections`."""
        for site in self._sites:
            await site.stop()

    async def close(self) -> None:
        """Let go of what is left of the server, after the sockets."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._knocks is not None:
            self._knocks.whole(request.protocol)
        try:
            charge_point_id = await self._authenticated(request)
        except Refused as refusal:
            self._metrics.handshakes.labels(str(refusal.status)).inc()
            log.info(
                "handshake.refused",
                status=refusal.status,
                reason=str(refusal),
                path=request.raw_path[:200],
                remote=request.remote,
            )
            headers = {"Connection": "close"}
            if refusal.status == web.HTTPUnauthorized.status_code:
                headers["WWW-Authenticate"] = 'Basic realm="OCPP", charset="UTF-8"'
            elif refusal.status == web.HTTPServiceUnavailable.status_code:
                headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
            return web.Response(status=refusal.status, text=f"{refusal}\n", headers=headers)
        return await self._serve(request, charge_point_id)

    async def _authenticated(self, request: web.BaseRequest) -> str:
        """The registered spelling of who this is. Raises Refused."""
        if self._service.stopping.is_set():
            raise Refused(503, "this gateway is stopping")
        identity = charge_point_id_of(request.raw_path)
        if identity is None:
            raise Refused(404, "no charge point id in the path")
        try:
            credential = await self._credentials.find(identity)
        except CredentialsUnavailable as error:
            log.warning("handshake.credentials_unavailable", charge_point_id=identity, error=str(error))
            raise Refused(503, "credentials can't be read just now") from error
        if credential is None:
            self._announce_unknown(identity, request)
            raise Refused(404, "unknown charge point")
        password = basic_password(request.headers.get("Authorization"))
        accepted = accepts(credential, password) if password is not None else False
        if accepted is False:
            raise Refused(401, "wrong or missing password")
        request[ADMITTED] = Password(credential.version, previous=accepted is None)
        if request.headers.get("Upgrade", "").strip().lower() != "websocket":
            raise Refused(426, "this is a WebSocket door")
        return credential.charge_point_id

    def _announce_unknown(self, charge_point_id: str, request: web.BaseRequest) -> None:
        clock = self._service.clock
        now = clock.monotonic()
        last = self._seen.pop(charge_point_id, None)
        self._seen[charge_point_id] = now if last is None or now - last >= SEEN_SECONDS else last
        if len(self._seen) > SEEN_MAX:
            self._seen.popitem(last=False)
        if self._seen[charge_point_id] == now and last != now:
            if now - self._seen_since >= SEEN_SECONDS:
                self._seen_since, self._seen_count = now, 0
            self._seen_count += 1
            if self._seen_count > SEEN_PER_WINDOW_MAX:
                return
            user_agent = request.headers.get("User-Agent")
            event = UnknownChargePointSeen(
                charge_point_id=charge_point_id,
                remote_address=request.remote,
                user_agent=user_agent[:USER_AGENT_MAX] if user_agent is not None else None,
                seen_at=clock.now(),
            )
            self._service.tasks.start("unknown.seen", self._publish(event))

    async def _publish(self, event: UnknownChargePointSeen) -> None:
        try:
            await self._bus.publish(event, to=address_of(event, sender=SENDER))
        except MessagingError as error:
            # A hint for operators; the charger knocks again.
            log.info("unknown.not_announced", charge_point_id=event.charge_point_id, error=str(error))

    async def _serve(self, request: web.BaseRequest, charge_point_id: str) -> web.StreamResponse:
        async with self._admission.place(first=self._connections.bears_session(charge_point_id)):
            if request.transport is None:
                return web.Response()  # it left while it stood in line: nobody reads this
            try:
                ws, connection = await self._admit(request, charge_point_id)
            except web.HTTPException as error:
                self._metrics.handshakes.labels(str(error.status)).inc()
                return error
        if isinstance(connection, int):
            # Outside of its place: the peer may take its time over our Close frame.
            await ws.close(code=connection)
            return ws
        reason = DisconnectReason.CLOSED
        try:
            reason = await self._read(ws, connection)
        finally:
            self._connections.end(connection, reason, ws.close_code)
        return ws

    async def _admit(
        self, request: web.BaseRequest, charge_point_id: str
    ) -> "tuple[web.WebSocketResponse[bool], Connection | int]":
        """Number the connection, finish the handshake, make it known; or say with which code to close. Raises HTTPException."""
        offered = request.headers.get("Sec-WebSocket-Protocol")
        chosen = choose_subprotocol(offered)
        # aiohttp's limit is exclusive. Text is not decoded: a box's Latin-1 must not cost it its socket.
        ws = web.WebSocketResponse(
            protocols=(chosen.echo,) if chosen.echo else (),
            compress=False,
            autoping=False,
            heartbeat=None,
            max_msg_size=self._settings.frame_bytes_max + 1,
            timeout=CLOSE_SECONDS,
            decode_text=False,
        )
        epoch = await self._registry.open(charge_point_id)
        await ws.prepare(request)
        self._metrics.handshakes.labels("101").inc()
        transport = request.transport
        if not chosen.accepted or transport is None or self._service.stopping.is_set():
            log.info("handshake.closed", charge_point_id=charge_point_id, offered=offered)
            return ws, WSCloseCode.PROTOCOL_ERROR
        socket = OpenSocket(ws, transport, request.remote, offered, request[ADMITTED])
        connection = self._connections.opened(charge_point_id, epoch, socket)
        return ws, connection if connection is not None else WSCloseCode.OK

    async def _read(self, ws: "web.WebSocketResponse[bool]", connection: Connection) -> DisconnectReason:
        in_flight_max = self._settings.in_flight_max
        while True:
            for _ in range(FRAMES_PER_TURN):
                message = await ws.receive()
                kind = message.type
                if kind is WSMsgType.TEXT or kind is WSMsgType.BINARY:
                    connection.frame(message.data)
                    if connection.in_flight >= in_flight_max:
                        await connection.room()
                elif kind is WSMsgType.PING:
                    connection.pong(message.data)
                elif kind is WSMsgType.PONG:
                    connection.touch()
                elif kind is WSMsgType.ERROR and isinstance(message.data, WebSocketError):
                    log.warning("charger.broke_websocket", charge_point_id=connection.charge_point_id, error=str(message.data))
                    return DisconnectReason.PROTOCOL_ERROR
                else:
                    return DisconnectReason.CLOSED
            await asyncio.sleep(0)  # noqa: TID251  (no time passes: the others' turn)
