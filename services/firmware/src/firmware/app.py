"""The firmware service, put together: read it from top to bottom as the table of contents."""

from opentelemetry.sdk.trace.export import SpanExporter

from chassis.runtime import Clock, Ids, Service
from chassis.telemetry import Telemetry
from chassis.web import Route, WebServer
from firmware.settings import FirmwareSettings

NAME = "firmware"

ROUTES: tuple[Route, ...] = ()
"""Nothing is offered before it works: the room is empty but for its health."""


def create_app(settings: FirmwareSettings, *, clock: Clock, ids: Ids, span_exporter: SpanExporter | None = None) -> Service:  # noqa: ARG001  (every service is made alike)
    """The service, not started. Nothing of it is global: a test mounts several in one process."""
    service = Service(NAME, clock=clock, drain_seconds=settings.drain_seconds)
    telemetry = service.add(Telemetry(settings, service=NAME, clock=clock, span_exporter=span_exporter))
    service.add(WebServer(service, settings, ROUTES, telemetry=telemetry))
    return service
