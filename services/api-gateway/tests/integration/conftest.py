"""The door before two real services of the chassis, with a real issuer and a real Redis."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Annotated, Any

import aiohttp
import pytest
from aiohttp import web
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import BaseModel
from redis.asyncio import Redis

from api_gateway.app import create_app
from api_gateway.settings import ApiGatewaySettings
from chassis.runtime import Service, ServiceSettings, SystemIds
from chassis.telemetry import Telemetry
from chassis.web import (
    ADMIN,
    FRANCHISEE,
    PUBLIC,
    RIDER,
    STAFF,
    Body,
    PrefixedId,
    Principal,
    PrincipalSigner,
    Route,
    WebServer,
)
from identity_simulator import IdentitySimulator
from testkit.clock import SteppingClock
from testkit.servers import Servers
from testkit.servers.processes import free_port

AMQP_URL = "amqp://nobody@nowhere/"
BIG_BYTES = 300 * 1024


class Seen(BaseModel):
    """What a service saw of a request."""

    service: str
    subject: str | None
    roles: list[str]
    franchisee_id: int | None
    headers: dict[str, str]
    path: str


class StationCreate(Body):
    name: str


class StationView(BaseModel):
    id: Annotated[int, PrefixedId("stn")]
    name: str


class EventView(BaseModel):
    """Both services have a schema of this name: charging's has a station, payments' an amount."""

    station: StationView


def seen(service: str, request: web.Request, principal: Principal | None) -> Seen:
    return Seen(
        service=service,
        subject=principal.subject if principal else None,
        roles=sorted(principal.roles) if principal else [],
        franchisee_id=principal.franchisee_id if principal else None,
        headers={name.lower(): value for name, value in request.headers.items()},
        path=request.rel_url.raw_path_qs,
    )


async def list_stations(request: web.Request, principal: Principal) -> Seen:
    return seen("charging", request, principal)


async def create_station(body: StationCreate) -> StationView:
    return StationView(id=1, name=body.name)


async def show_event(station_id: int) -> EventView:
    return EventView(station=StationView(id=station_id, name="x"))


async def stream_meter_values(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/csv"})
    await response.prepare(request)
    for _ in range(BIG_BYTES // 1024):
        await response.write(b"x" * 1024)
    if "break" in request.query:
        assert request.transport is not None
        request.transport.abort()
    return response


@dataclass
class Charging:
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event = field(default_factory=asyncio.Event)


async def wait_for_charger(app: Charging) -> StationView:
    app.arrived.set()
    await app.gate.wait()
    return StationView(id=1, name="waited")


async def accept_webhook(request: web.Request) -> web.Response:
    raw = await request.read()
    headers = {"X-Seen-Signature": request.headers.get("X-Razorpay-Signature", "")}
    return web.Response(text=hashlib.sha256(raw).hexdigest(), headers=headers)


def event_view_of_payments() -> type[BaseModel]:
    class EventView(BaseModel):
        amount_paise: int

    return EventView


PaymentEventView: Any = event_view_of_payments()


async def show_payment(request: web.Request, payment_id: str, principal: Principal | None) -> Seen:
    return seen("payments", request, principal)


async def show_payment_event(payment_id: str) -> PaymentEventView:
    return PaymentEventView(amount_paise=1)


CHARGING_ROUTES = (
    Route("GET", "/v1/stations", list_stations, roles=STAFF | FRANCHISEE | RIDER),
    Route("POST", "/v1/stations", create_station, roles=ADMIN, status=201),
    Route("GET", "/v1/stations/{station_id}/event", show_event, roles=STAFF),
    Route("GET", "/v1/meter-values", stream_meter_values, roles=STAFF),
    Route("POST", "/v1/commands", wait_for_charger, roles=ADMIN, waits=True),
)
PAYMENTS_ROUTES = (
    Route("POST", "/webhooks/razorpay", accept_webhook, roles=PUBLIC),
    Route("GET", "/v1/public/payments/{payment_id}", show_payment, roles=PUBLIC),
    Route("GET", "/v1/payments/{payment_id}/event", show_payment_event, roles=STAFF),
)


@dataclass
class World:
    clock: SteppingClock
    identity: IdentitySimulator
    charging_app: Charging
    charging: Service
    payments: Service
    settings: dict[str, Any]
    spans: InMemorySpanExporter
    session: aiohttp.ClientSession
    doors: list[Service] = field(default_factory=list)

    async def door(self, **changed: Any) -> "DoorClient":
        """Another door, with changed settings."""
        settings = ApiGatewaySettings(**{**self.settings, **changed})
        service = create_app(settings, clock=self.clock, ids=SystemIds(), span_exporter=self.spans)
        await service.start()
        self.doors.append(service)
        parts = {type(part).__name__: part for part in service._parts}
        return DoorClient(self, service, parts["Door"].url, parts["WebServer"].url, parts["Telemetry"])


@dataclass
class DoorClient:
    world: World
    service: Service
    url: str
    internal_url: str
    telemetry: Telemetry

    async def call(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        role: str | None = None,
        headers: dict[str, str] | None = None,
        **options: Any,
    ) -> tuple[int, Any, Any]:
        """Status, parsed body, headers; as a persona (`role`), with a given token, or as nobody."""
        token = token or (self.world.identity.token(role) if role else None)
        given = {**({"Authorization": f"Bearer {token}"} if token else {}), **(headers or {})}
        async with self.world.session.request(method, self.url + path, headers=given, **options) as response:
            raw = await response.read()
            parsed = await response.json(content_type=None) if raw and "json" in response.content_type else raw
            return response.status, parsed, response.headers

    def metric(self, name: str, **labels: str) -> float:
        return self.telemetry.registry.get_sample_value(f"voltlync_api_gateway_{name}", labels) or 0.0


@pytest.fixture
async def world(servers: Servers, clock: SteppingClock) -> AsyncIterator[World]:
    signer = PrincipalSigner.generate()
    spans = InMemorySpanExporter()
    services = {}
    charging_app = Charging()
    for name, routes in (("charging", CHARGING_ROUTES), ("payments", PAYMENTS_ROUTES)):
        settings = ServiceSettings(amqp_url=AMQP_URL, principal_public_key=signer.public_key, drain_seconds=1)
        service = Service(name, clock=clock, drain_seconds=1)
        telemetry = service.add(Telemetry(settings, service=name, clock=clock, span_exporter=spans))
        server = service.add(WebServer(service, settings, routes, telemetry=telemetry, app=charging_app))
        await service.start()
        services[name] = (service, server)
    identity = IdentitySimulator(clock=clock)
    await identity.start()
    redis = Redis.from_url(servers.redis.url)
    await redis.flushdb()
    await redis.aclose()
    settings = {
        "amqp_url": AMQP_URL,
        "redis_url": servers.redis.url,
        "door_port": 0,
        "drain_seconds": 1,
        "oidc_issuer": identity.issuer,
        "principal_private_key": signer.private_key,
        "principal_public_key": signer.public_key,
        **{f"{name}_url": server.url for name, (_, server) in services.items()},
        **{f"{name}_url": f"http://127.0.0.1:{free_port()}" for name in ("settlement", "firmware", "journal")},
        # Generous for a busy machine: no test here is about slow Redis.
        "limit_timeout_seconds": 10,
    }
    async with aiohttp.ClientSession() as session:
        made = World(clock, identity, charging_app, services["charging"][0], services["payments"][0], settings, spans, session)
        try:
            yield made
        finally:
            charging_app.gate.set()
            for door in made.doors:
                await door.stop()
            await identity.stop()
            for service, _ in services.values():
                await service.stop()


@pytest.fixture
async def door(world: World) -> DoorClient:
    return await world.door()
