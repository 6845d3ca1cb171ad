"""The gateway, read top to bottom. Parts start in this order and stop in reverse: the door first, lease and spool last."""

import asyncio
from contextlib import suppress

from opentelemetry.sdk.trace.export import SpanExporter

from chassis.messaging import Bus, Packer
from chassis.runtime import Clock, Ids, Service, SystemClock, SystemIds
from chassis.sealing import SealingBox
from chassis.telemetry import Telemetry
from chassis.web import WebServer
from ocpp_gateway.commands import Commands
from ocpp_gateway.connections import Connections
from ocpp_gateway.credentials import Credentials
from ocpp_gateway.metrics import Metrics
from ocpp_gateway.registry import Registry
from ocpp_gateway.relay import Relay
from ocpp_gateway.settings import GatewaySettings
from ocpp_gateway.spool import Spool
from ocpp_gateway.streams import SENDER, Streams
from ocpp_gateway.tls import Certificate
from ocpp_gateway.websocket import OcppDoor


class PatientBus:
    """Starts the bus without insisting that the broker is there. A Part."""

    def __init__(self, bus: Bus, service: Service, wait_seconds: float) -> None:
        self.bus = bus
        self._service = service
        self._wait_seconds = wait_seconds

    async def start(self) -> None:
        """Connect in the background."""
        self._service.tasks.start("bus.connect", self.bus.start())
        with suppress(TimeoutError):
            async with asyncio.timeout(self._wait_seconds):
                await self.bus.connected.wait()

    async def stop(self) -> None:
        """Disconnect."""
        await self.bus.stop()


class AfterSockets:
    """Lets go of the door's server once all sockets are closed. A Part, mounted before them."""

    def __init__(self) -> None:
        self.door: OcppDoor | None = None

    async def start(self) -> None:
        """Nothing to start."""

    async def stop(self) -> None:
        """Clean up behind the door."""
        if self.door is not None:
            await self.door.close()


def create_app(
    settings: GatewaySettings, *, clock: Clock | None = None, ids: Ids | None = None, span_exporter: SpanExporter | None = None
) -> Service:
    """Compose the gateway; `span_exporter` is for tests."""
    clock, ids = clock or SystemClock(), ids or SystemIds()
    service = Service("ocpp_gateway", clock=clock, drain_seconds=settings.drain_seconds)
    telemetry = service.add(Telemetry(settings, service=service.name, clock=clock, span_exporter=span_exporter))
    metrics = Metrics(telemetry.registry)

    # What it stands on
    bus = Bus(settings.amqp_url.get_secret_value(), app_id=SENDER, service=service, telemetry=telemetry, ids=ids)
    spool = service.add(
        Spool(
            settings.gateway_data_dir / settings.gateway_name / "spool",
            bytes_max=settings.spool_bytes_max,
            segment_bytes=settings.spool_segment_bytes,
            metrics=metrics,
        )
    )
    service.add(PatientBus(bus, service, settings.broker_wait_seconds))
    packer = service.add(Packer(bus, service))
    registry = service.add(
        Registry(
            settings.redis_url,
            gateway=settings.gateway_name,
            process=ids.new(),
            lease_seconds=settings.lease_seconds,
            clock=clock,
            tasks=service.tasks,
            metrics=metrics,
        )
    )

    # What it knows
    credentials = service.add(
        Credentials(
            service=service,
            bus=bus,
            gateway=settings.gateway_name,
            file=settings.gateway_data_dir / settings.gateway_name / "credentials.json",
            metrics=metrics,
        )
    )

    # From chargers to their lanes, and commands to chargers
    streams = Streams(
        service=service,
        bus=bus,
        packer=packer,
        spool=spool,
        metrics=metrics,
        gateway=settings.gateway_name,
        confirm_seconds=settings.confirm_seconds,
        decision_seconds=settings.decision_seconds,
        drain_seconds=settings.drain_seconds,
    )
    commands = service.add(
        Commands(
            service=service,
            bus=bus,
            streams=streams,
            registry=registry,
            gateway=settings.gateway_name,
            metrics=metrics,
            sealing=SealingBox.of(secrets_key.get_secret_value()) if (secrets_key := settings.command_secrets_key) else None,
        )
    )
    service.add(Relay(service=service, bus=bus, spool=spool, streams=streams, drain_seconds=settings.drain_seconds))
    service.add(streams)
    after_sockets = service.add(AfterSockets())
    connections = service.add(
        Connections(
            service=service,
            settings=settings,
            bus=bus,
            streams=streams,
            registry=registry,
            commands=commands,
            credentials=credentials,
            metrics=metrics,
            ids=ids,
        )
    )

    # Doors
    certificate = None
    if settings.ocpp_tls_certificate is not None and settings.ocpp_tls_key is not None:
        certificate = service.add(
            Certificate(
                certificate=settings.ocpp_tls_certificate,
                key=settings.ocpp_tls_key,
                ciphers=settings.ocpp_tls_ciphers,
                look_seconds=settings.ocpp_tls_look_seconds,
                service=service,
                registry=telemetry.registry,
            )
        )
    door = service.add(
        OcppDoor(
            service=service,
            settings=settings,
            bus=bus,
            credentials=credentials,
            registry=registry,
            connections=connections,
            metrics=metrics,
            certificate=certificate,
        )
    )
    after_sockets.door = door
    service.add(WebServer(service, settings, (), telemetry=telemetry))
    return service
