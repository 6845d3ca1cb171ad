"""The open sockets: the newest of a charger wins, silence ends one, and stopping closes them one after the other."""

import asyncio
from typing import NamedTuple, Protocol

import structlog

from chassis.messaging import Bus
from chassis.runtime import Ids, Service
from contracts.base import ChargerEvent
from contracts.ocpp_gateway import ChargePointConnected, ChargePointDisconnected, DisconnectReason
from ocpp_gateway.commands import Commands
from ocpp_gateway.connection import Connection, Surroundings
from ocpp_gateway.credentials import Credentials
from ocpp_gateway.metrics import Metrics
from ocpp_gateway.registry import Registry
from ocpp_gateway.settings import GatewaySettings
from ocpp_gateway.streams import Outbound, Streams
from ocpp_gateway.turns import Turns

log = structlog.get_logger(__name__)

SWEEP_SECONDS = 1.0
"""How exactly silence, pings and command timeouts are kept: one look over all sockets instead of timers for each."""

_CLOSE_CODES = {DisconnectReason.GATEWAY_STOPPING: 1001, DisconnectReason.PROTOCOL_ERROR: 1002}
"""RFC 6455 §7.4.1; everything else is 1000: chargers make little of codes."""


class Password(NamedTuple):
    """Which password a charger came with: that tells charging how far a hand-over is."""

    version: int
    previous: bool


class Socket(Protocol):
    """What the door holds of a WebSocket."""

    transport: asyncio.Transport
    remote_address: str | None
    subprotocol: str | None
    password: Password

    async def close(self, code: int, *, drop: bool) -> None:
        """Close it with this code, or drop the TCP connection without a word; returns when it is gone."""
        ...


def _nothing_more(_durable: object) -> None:
    """Nobody waits for these."""


class Connections:
    """All of this gateway's open connections. A Part."""

    def __init__(
        self,
        *,
        service: Service,
        settings: GatewaySettings,
        bus: Bus,
        streams: Streams,
        registry: Registry,
        commands: Commands,
        credentials: Credentials,
        metrics: Metrics,
        ids: Ids,
    ) -> None:
        self._service = service
        self._settings = settings
        self._streams = streams
        self._registry = registry
        self._credentials = credentials
        self._metrics = metrics
        self._live: dict[str, Connection] = {}
        self._sockets: dict[Connection, Socket] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._turns = Turns(settings.commands_on_wire_max)
        self._quiet_drops = tuple(make.lower() for make in settings.drop_without_close)
        self._around = Surroundings(
            service=service,
            settings=settings,
            bus=bus,
            streams=streams,
            metrics=metrics,
            clock=service.clock,
            ids=ids,
            turns=self._turns,
            complete=commands.complete,
            end=self.end,
        )
        commands.connections = self

    def __len__(self) -> int:
        return len(self._live)

    async def start(self) -> None:
        """Begin to look over the sockets."""
        self._service.tasks.start("connections.sweep", self._sweep_for_ever())
        self._service.tasks.start("connections.registry", self._assert_for_ever())

    async def stop(self) -> None:
        """Close all sockets, spread over `drain_spread_seconds` so that the fleet does not come back in one instant."""
        connections = list(self._live.values())
        pause = self._settings.drain_spread_seconds / len(connections) if connections else 0.0
        for connection in connections:
            self.end(connection, DisconnectReason.GATEWAY_STOPPING)
            if pause:
                await asyncio.sleep(pause)  # noqa: TID251  (real time: it is the fleet's reconnecting that is spread)
        await asyncio.gather(*self._closing, return_exceptions=True)
        if connections:
            log.info("connections.drained", sockets=len(connections))

    def bears_session(self, charge_point_id: str) -> bool:
        """Whether a charger that knocks is taken to bear a session: by what this process heard of it last, else by the registry.

        A hint, for the order of a storm; nothing follows from it being wrong.
        """
        until = self._streams.of(charge_point_id).session_until
        if until is not None:
            return until > self._service.clock.now().timestamp()
        return charge_point_id in self._registry.in_session

    def _sessions(self) -> tuple[dict[str, float], list[str]]:
        """Of the chargers here: (those in session, until when it is taken to run; those whose session has ended)."""
        now = self._service.clock.now().timestamp()
        until = {connection.charge_point_id: connection.stream.session_until for connection in self._live.values()}
        running = {charge_point_id: moment for charge_point_id, moment in until.items() if moment is not None and moment > now}
        return running, [charge_point_id for charge_point_id, moment in until.items() if moment == 0]

    def live(self, charge_point_id: str, epoch: int) -> Connection | None:
        """The open connection of this charger and epoch."""
        connection = self._live.get(charge_point_id)
        return connection if connection is not None and connection.epoch == epoch else None

    def opened(self, charge_point_id: str, epoch: int, socket: Socket) -> Connection | None:
        """A socket passed its handshake. The charger's older one ends; None where a newer one is here already."""
        older = self._live.get(charge_point_id)
        if older is not None and older.epoch > epoch:
            return None
        if older is not None:
            self.end(older, DisconnectReason.SUPERSEDED)
        stream = self._streams.of(charge_point_id)
        connection = Connection(self._around, stream, socket.transport, epoch)
        self._live[charge_point_id] = connection
        self._sockets[connection] = socket
        self._metrics.connections.set(len(self._live))
        self._tell(
            connection,
            ChargePointConnected,
            {
                "remote_address": socket.remote_address,
                "subprotocol": socket.subprotocol,
                "password_version": socket.password.version,
                "previous_password": socket.password.previous,
            },
        )
        log.info("charger.connected", charge_point_id=charge_point_id, epoch=epoch, remote_address=socket.remote_address)
        return connection

    def end(self, connection: Connection, reason: DisconnectReason, close_code: int | None = None) -> None:
        """A connection is over, by us or by them; the first reason counts. `close_code`: the charger's own, where it closed.

        From here on nothing goes out on it, and its commands have their outcomes before its disconnect is told.
        """
        if connection.ended is not None:
            return
        connection.ended = reason
        charge_point_id = connection.charge_point_id
        if self._live.get(charge_point_id) is connection:
            del self._live[charge_point_id]
        self._metrics.connections.set(len(self._live))
        self._metrics.closed.labels(reason.value).inc()
        connection.calls.close()
        connection.release()
        self._tell(connection, ChargePointDisconnected, {"reason": reason.value, "close_code": close_code})
        log.info("charger.disconnected", charge_point_id=charge_point_id, epoch=connection.epoch, reason=reason.value)
        socket = self._sockets.pop(connection)
        drop = reason is DisconnectReason.GATEWAY_STOPPING and (
            connection.make.startswith(self._quiet_drops or ("\0",)) or self._credentials.closes_without_frame(charge_point_id)
        )
        closing = self._service.tasks.start("socket.close", socket.close(_CLOSE_CODES.get(reason, 1000), drop=drop))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        if reason is not DisconnectReason.SUPERSEDED:
            self._service.tasks.start("registry.gone", self._registry.gone(charge_point_id, connection.epoch))

    def _tell(self, connection: Connection, event: type[ChargerEvent], fields: dict[str, object]) -> None:
        """These are our own words: nobody would repeat them, so they are kept whatever happens."""
        self._streams.tell(
            Outbound(
                connection.stream,
                connection,
                event.TYPE,
                fields,
                self._service.clock.now(),
                _nothing_more,
                must_keep=True,
            )
        )

    async def _sweep_for_ever(self) -> None:
        clock = self._service.clock
        while True:
            await clock.sleep(SWEEP_SECONDS)
            try:
                self._sweep(clock.monotonic())
            except Exception:
                log.exception("connections.sweep_failed")

    def _sweep(self, now: float) -> None:
        settings = self._settings
        for connection in list(self._live.values()):
            if now - connection.last_frame_at >= settings.silence_seconds:
                self.end(connection, DisconnectReason.HEARTBEAT_TIMEOUT)
                continue
            if now - connection.last_ping_at >= settings.ping_seconds:
                connection.ping(now)
            if connection.calls.active:
                connection.calls.sweep(now)
        self._turns.sweep(now)
        self._streams.sweep()

    async def _assert_for_ever(self) -> None:
        while True:
            await self._service.clock.sleep(self._settings.registry_seconds)
            await self._registry.assert_lease()
            if not self._registry.reachable:
                continue
            held = [(connection.charge_point_id, connection.epoch) for connection in self._live.values()]
            await self._registry.assert_sessions(*self._sessions())
            for charge_point_id in await self._registry.assert_chargers(held):
                connection = self._live.get(charge_point_id)
                if connection is not None and (charge_point_id, connection.epoch) in held:
                    self.end(connection, DisconnectReason.SUPERSEDED)
            for charge_point_id, epoch in held:
                # It ended while we said that it lives.
                if self.live(charge_point_id, epoch) is None:
                    await self._registry.gone(charge_point_id, epoch)
