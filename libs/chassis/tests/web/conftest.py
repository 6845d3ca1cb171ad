"""A service of one noun, over a real socket and a real PostgreSQL: what the chassis promises is tried on it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal

import aiohttp
import asyncpg
import pytest
import sqlalchemy as sa
from aiohttp import web
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import BaseModel, Field

from chassis.database import Database, UnitOfWork
from chassis.database.tables import create_standard_tables
from chassis.messaging import Address
from chassis.runtime import Service, ServiceSettings, SystemIds
from chassis.telemetry import Telemetry
from chassis.web import (
    ADMIN,
    FRANCHISEE,
    PUBLIC,
    STAFF,
    Answer,
    Body,
    Page,
    PageQuery,
    PrefixedId,
    Principal,
    PrincipalSigner,
    Problem,
    Role,
    Route,
    WebServer,
    fetch_page,
)
from testkit.clock import SteppingClock
from testkit.servers import Servers, fresh_database

StationId = Annotated[int, PrefixedId("stn")]

metadata = sa.MetaData()
stations = sa.Table(
    "stations",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("tariff_paise_per_kwh", sa.BigInteger, sa.CheckConstraint("tariff_paise_per_kwh > 0"), nullable=False),
    sa.Column("created_at", sa.TIMESTAMP(timezone=True), nullable=False),
)


class StationCreate(Body):
    name: str = Field(min_length=1, max_length=100)
    tariff_paise_per_kwh: int = Field(gt=0, description="paise per kWh")
    tags: list[str] = Field(default_factory=list)
    anything: Any = None


class StationView(BaseModel):
    id: StationId
    name: str
    tariff_paise_per_kwh: int
    created_at: datetime


class StationQuery(PageQuery):
    kind: Literal["all", "dear"] = "all"
    name: list[str] = Field(default_factory=list)


class StationIsDear(Exception):
    pass


@dataclass
class Toy:
    """The toy service's collaborators."""

    database: Database
    calls: int = 0
    arrived: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def arrive(self, name: str) -> None:
        self.calls += 1
        self.arrived.put_nowait(name)


def view(row: Any) -> StationView:
    return StationView.model_validate(row, from_attributes=True)


async def create_station(app: Toy, uow: UnitOfWork, body: StationCreate, principal: Principal) -> StationView:
    """Adds a station. The name must be free."""
    app.arrive("create")
    values = {"name": body.name, "tariff_paise_per_kwh": body.tariff_paise_per_kwh, "created_at": uow.now}
    row = (await uow.connection.execute(sa.insert(stations).values(values).returning(stations))).one()
    if body.name == "wait":
        await app.gate.wait()
    if body.name == "refused":
        raise Problem(409, "Refused", type="refused")
    return view(row)


async def list_stations(uow: UnitOfWork, query: StationQuery) -> Page[StationView]:
    statement = sa.select(stations)
    if query.name:
        statement = statement.where(stations.c.name.in_(query.name))
    return await fetch_page(uow, statement, query, order=(stations.c.created_at, stations.c.id), view=view)


async def show_station(uow: UnitOfWork, station_id: StationId) -> StationView:
    row = (await uow.connection.execute(sa.select(stations).where(stations.c.id == station_id))).one_or_none()
    if row is None:
        raise Problem(404, "No such station", type="no-such-station")
    return view(row)


class Reboot(Body):
    kind: Literal["Soft", "Hard"]


async def reboot_station(app: Toy, station_id: StationId, body: Reboot) -> Answer[Reboot]:
    """Opens its own transactions: an outside system is called in between."""
    app.arrive("reboot")
    if body.kind == "Hard":
        await app.gate.wait()
    if station_id == 13:
        raise StationIsDear("Station 13 is not rebooted")
    return Answer(body, status=202, headers={"Location": f"/v1/reboots/{station_id}"})


class KeyView(BaseModel):
    station_id: StationId
    password: str


async def hand_over_key(app: Toy, uow: UnitOfWork, station_id: StationId) -> KeyView:
    """Shows a secret, in its transaction."""
    app.arrive("key")
    if station_id == 1:
        await app.gate.wait()
    return KeyView(station_id=station_id, password=f"hunter{app.calls}")


async def fetch_key(app: Toy, station_id: StationId) -> KeyView:
    """Shows a secret, and opens its own transactions."""
    app.arrive("key")
    if station_id == 1:
        await app.gate.wait()
    return KeyView(station_id=station_id, password=f"hunter{app.calls}")


async def drop_station(uow: UnitOfWork, station_id: StationId) -> None:
    await uow.connection.execute(sa.delete(stations).where(stations.c.id == station_id))


async def break_down(what: str) -> StationView:
    if what == "secret":
        raise RuntimeError("password=hunter2")
    raise ConnectionResetError("the database went away")


async def store_raw(uow: UnitOfWork, request: web.Request) -> web.Response:
    """Passes whatever it is given to PostgreSQL: the net below the checks."""
    values = await request.json()
    await uow.connection.execute(sa.insert(stations).values({**values, "created_at": uow.now}))
    return web.Response()


async def hello(principal: Principal | None) -> StationView | web.Response:
    return web.Response(text=principal.subject if principal else "nobody")


async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/csv"})
    await response.prepare(request)
    await response.write(b"id,name\n")
    return response


async def wait_for_ever(app: Toy) -> None:
    await asyncio.Event().wait()


async def closed(app: Toy) -> None:
    raise AssertionError("nobody may come here")


ROUTES = (
    Route("POST", "/v1/stations", create_station, roles=ADMIN, status=201, summary="Create a station"),
    Route("GET", "/v1/stations", list_stations, roles=STAFF | FRANCHISEE),
    Route("GET", "/v1/stations/{station_id}", show_station, roles=STAFF),
    Route("DELETE", "/v1/stations/{station_id}", drop_station, roles=ADMIN),
    Route("POST", "/v1/stations/{station_id}/reboots", reboot_station, roles=ADMIN),
    Route("POST", "/v1/stations/{station_id}/keys", hand_over_key, roles=ADMIN, status=201, shown_once="Ask for another key."),
    Route("POST", "/v1/stations/{station_id}/fetched", fetch_key, roles=ADMIN, status=201, shown_once="Ask for another key."),
    Route("GET", "/v1/break/{what}", break_down, roles=PUBLIC),
    Route("POST", "/v1/raw", store_raw, roles=PUBLIC, hidden=True),
    Route("GET", "/v1/public/hello", hello, roles=PUBLIC),
    Route("GET", "/v1/export", stream, roles=STAFF),
    Route("GET", "/v1/slow", wait_for_ever, roles=PUBLIC, timeout_seconds=0.05),
    Route("POST", "/v1/closed", closed),
)

ERRORS = {StationIsDear: (423, "The station is dear to us")}


@pytest.fixture(scope="session")
async def database_url(servers: Servers) -> AsyncIterator[str]:
    async with fresh_database(servers.postgres.dsn) as url:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute("CREATE SCHEMA toy")
            for statement in create_standard_tables("toy"):
                await connection.execute(statement)
            await connection.execute(
                "CREATE TABLE toy.stations (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE,"
                " tariff_paise_per_kwh bigint NOT NULL CHECK (tariff_paise_per_kwh > 0), created_at timestamptz NOT NULL)"
            )
        finally:
            await connection.close()
        yield url


class ToyClient:
    """Calls the toy service as some principal."""

    def __init__(self, session: aiohttp.ClientSession, url: str, signer: PrincipalSigner, clock: SteppingClock) -> None:
        self.session = session
        self.url = url
        self.signer = signer
        self.clock = clock

    async def call(
        self,
        method: str,
        path: str,
        *,
        subject: str = "asha",
        roles: frozenset[Role] | None = ADMIN,
        headers: dict[str, str] | None = None,
        **options: Any,
    ) -> tuple[int, Any, Any]:
        """Status, parsed body, headers. `roles=None` calls without a principal."""
        signed: dict[str, str] = {}
        if roles is not None:
            raw_path = path.partition("?")[0]
            signed = self.signer.headers(
                Principal(subject, roles), audience="toy", method=method, path=raw_path, now=self.clock.now()
            )
        async with self.session.request(method, self.url + path, headers={**signed, **(headers or {})}, **options) as response:
            raw = await response.read()
            is_json = "json" in response.content_type
            parsed = await response.json(content_type=None) if raw and is_json else raw.decode()
            return response.status, parsed, response.headers


@dataclass
class World:
    toy: Toy
    service: Service
    server: WebServer
    client: ToyClient
    spans: InMemorySpanExporter
    telemetry: Telemetry


@pytest.fixture
async def world(database_url: str, clock: SteppingClock) -> AsyncIterator[World]:
    signer = PrincipalSigner.generate()
    settings = ServiceSettings(
        amqp_url="amqp://nobody@nowhere/", principal_public_key=signer.public_key, internal_host="127.0.0.1", drain_seconds=2
    )
    spans = InMemorySpanExporter()
    service = Service("toy", clock=clock, drain_seconds=2)
    telemetry = service.add(Telemetry(settings, service="toy", clock=clock, span_exporter=spans))
    database = service.add(
        Database(
            database_url,
            schema="toy",
            service=service,
            telemetry=telemetry,
            ids=SystemIds(),
            address_of=lambda _model: Address("", ""),
        )
    )
    toy = Toy(database)
    server = service.add(WebServer(service, settings, ROUTES, telemetry=telemetry, app=toy, database=database, errors=ERRORS))
    async with database.transaction() as uow:
        await uow.connection.execute(sa.text("TRUNCATE stations, idempotency_keys RESTART IDENTITY"))
    await service.start()
    try:
        async with aiohttp.ClientSession() as session:
            yield World(toy, service, server, ToyClient(session, server.url, signer, clock), spans, telemetry)
    finally:
        toy.gate.set()
        await service.stop()
