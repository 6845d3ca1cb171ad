"""The composition root: what settlement is made of."""

from functools import partial

from opentelemetry.sdk.trace.export import SpanExporter

from chassis.database import Database, OutboxRelay
from chassis.messaging import Bus
from chassis.messaging.events import EventConsumer
from chassis.runtime import Clock, Ids, Service, Sweeps, Worker
from chassis.telemetry import Telemetry
from chassis.web import WebServer
from contracts.topology import RETRY_DELAYS_SECONDS, address_from
from razorpay_client import Razorpay
from settlement.jobs import sweeps
from settlement.metrics import Metrics
from settlement.routes import ERRORS, ROUTES
from settlement.settings import SettlementSettings
from settlement.subscriptions import HANDLERS, QUEUE
from settlement.usecases.context import Settlement
from settlement.usecases.link_franchisee import take_up_link
from settlement.usecases.pay_out import take_up_payout
from settlement.usecases.read_statement import take_up_statement
from settlement.usecases.reconcile_settlement import take_up_settlement

NAME = "settlement"


class SettlementService(Service):
    """The running service; `app` are its collaborators, `web` its REST surface (`web.url` once started)."""

    app: Settlement
    web: WebServer


def create_app(
    settings: SettlementSettings,
    *,
    clock: Clock,
    ids: Ids,
    span_exporter: SpanExporter | None = None,
) -> SettlementService:
    """The settlement service, not started. Its doors are the broker, HTTP and the clock."""
    service = SettlementService(NAME, clock=clock, drain_seconds=settings.drain_seconds)
    telemetry = service.add(Telemetry(settings, service=NAME, clock=clock, span_exporter=span_exporter))
    bus = service.add(Bus(settings.amqp_url.get_secret_value(), app_id=NAME, service=service, telemetry=telemetry, ids=ids))
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
    service.add(OutboxRelay(database, bus, service))
    metrics = Metrics(telemetry.registry)
    settlement = service.app = Settlement(
        settings=settings,
        clock=clock,
        database=database,
        bus=bus,
        razorpay=service.add(Razorpay(settings, service=service, telemetry=telemetry)),
        telemetry=telemetry,
        metrics=metrics,
        payouts=service.add(Worker(service, "payouts", width=settings.razorpay_workers, failures=metrics.work_failed)),
        links=service.add(Worker(service, "links", width=1, failures=metrics.work_failed)),
        settlements=service.add(Worker(service, "settlements", width=1, failures=metrics.work_failed)),
        statement=service.add(Worker(service, "statement", width=1, failures=metrics.work_failed)),
    )
    settlement.payouts.take_one = partial(take_up_payout, settlement)
    settlement.links.take_one = partial(take_up_link, settlement)
    settlement.settlements.take_one = partial(take_up_settlement, settlement)
    settlement.statement.take_one = partial(take_up_statement, settlement)
    service.add(
        EventConsumer(
            bus, QUEUE, HANDLERS, app=settlement, database=database, service=service, retry_delays_seconds=RETRY_DELAYS_SECONDS
        )
    )
    service.add(Sweeps(service, sweeps(settings), app=settlement, registry=telemetry.registry))
    service.web = service.add(
        WebServer(service, settings, ROUTES, app=settlement, database=database, errors=ERRORS, telemetry=telemetry)
    )
    return service
