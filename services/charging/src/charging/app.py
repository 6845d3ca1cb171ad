"""What charging is, top to bottom."""

from opentelemetry.sdk.trace.export import SpanExporter
from redis.asyncio import Redis

from charging.jobs import sweeps
from charging.platform_configuration import load_configuration
from charging.quirk_profiles import load_profiles
from charging.routes import ERRORS, ROUTES
from charging.settings import ChargingSettings
from charging.subscriptions import AUTHORIZE, CREDENTIALS, EVENTS, LANE_MODELS, SITES, TARIFFS, handle_batch
from charging.usecases.context import Charging, Metrics
from chassis.database import Database, OutboxRelay
from chassis.messaging import Bus
from chassis.messaging.events import EventConsumer, RpcServer
from chassis.messaging.lanes import LaneConsumer
from chassis.runtime import Clock, Ids, Service
from chassis.runtime.sweeps import Sweeps
from chassis.sealing import SealingBox
from chassis.telemetry import Telemetry
from chassis.web import WebServer
from contracts.topology import LANE_QUEUES, RETRY_DELAYS_SECONDS, address_from

NAME = "charging"

REDIS_SECONDS = 1.0
"""Real-time limit of one call: Redis only ever gives hints here, and a lane must not wait for one."""


class RedisPart:
    """Redis with a life: closed with the service."""

    def __init__(self, url: str) -> None:
        self.client: Redis = Redis.from_url(url, socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS)

    async def start(self) -> None:
        """Connections open as they are needed."""

    async def stop(self) -> None:
        """Close them."""
        await self.client.aclose()


class ChargingService(Service):
    """The running service; `app` are its collaborators, `web` its REST surface (`web.url` once started)."""

    app: Charging
    web: WebServer


def create_app(
    settings: ChargingSettings, *, clock: Clock, ids: Ids, span_exporter: SpanExporter | None = None
) -> ChargingService:
    """Everything that charging is made of; `span_exporter` is for tests. Raises ValueError for settings that can't be."""
    service = ChargingService(NAME, clock=clock, drain_seconds=settings.drain_seconds)
    telemetry = service.add(Telemetry(settings, service=NAME, clock=clock, span_exporter=span_exporter))
    database = service.add(
        Database(
            settings.database_url.get_secret_value(),
            schema=NAME,
            service=service,
            telemetry=telemetry,
            ids=ids,
            address_of=address_from(NAME),
            pool_size=settings.database_pool_size,
        )
    )
    bus = service.add(Bus(settings.amqp_url.get_secret_value(), app_id=NAME, service=service, telemetry=telemetry, ids=ids))
    redis = service.add(RedisPart(settings.redis_url))
    app = service.app = Charging(
        service=service,
        settings=settings,
        limits=settings.limits(),
        clock=clock,
        ids=ids,
        database=database,
        bus=bus,
        redis=redis.client,
        metrics=Metrics(telemetry.registry),
        telemetry=telemetry,
        quirk_profiles=(profiles := load_profiles(settings.quirk_profiles_dir)),
        configuration=load_configuration(settings.configuration_file, profiles),
        sealing=SealingBox.of(secrets_key.get_secret_value()) if (secrets_key := settings.command_secrets_key) else None,
    )
    service.add(OutboxRelay(database, bus, service))
    service.add(
        LaneConsumer(
            bus,
            LANE_QUEUES,
            handle_batch,
            app=app,
            database=database,
            service=service,
            models=LANE_MODELS,
            counted_on="charging.events",
        )
    )
    service.add(RpcServer(bus, "charging.authorize", AUTHORIZE, app=app, database=database, service=service))
    service.add(RpcServer(bus, "charging.credentials", CREDENTIALS, app=app, database=database, service=service))
    service.add(RpcServer(bus, "charging.sites", SITES, app=app, database=database, service=service))
    service.add(RpcServer(bus, "charging.tariffs", TARIFFS, app=app, database=database, service=service))
    service.add(
        EventConsumer(
            bus,
            "charging.events",
            EVENTS,
            app=app,
            database=database,
            service=service,
            retry_delays_seconds=RETRY_DELAYS_SECONDS,
        )
    )
    service.add(Sweeps(service, sweeps(settings), app=app, registry=telemetry.registry))
    service.web = service.add(
        WebServer(service, settings, ROUTES, telemetry=telemetry, app=app, database=database, errors=ERRORS)
    )
    return service
