"""The payments service, put together: read it from top to bottom as the table of contents."""

from functools import partial

from opentelemetry.sdk.trace.export import SpanExporter

from chassis.database import Database, OutboxRelay
from chassis.messaging import Bus
from chassis.messaging.events import EventConsumer
from chassis.runtime import Clock, Ids, Service, Sweeps, Worker
from chassis.telemetry import Telemetry
from chassis.web import GuestSigner, WebServer
from contracts.topology import RETRY_DELAYS_SECONDS, address_from
from payments.jobs import sweeps
from payments.metrics import Metrics
from payments.routes import ERRORS, ROUTES
from payments.settings import PaymentsSettings
from payments.subscriptions import QUEUE, SUBSCRIPTIONS
from payments.usecases.context import Payments
from payments.usecases.issue_credit_notes import issue_documents
from payments.usecases.work_refunds import take_up_refund
from payments.usecases.work_webhooks import take_up_webhooks
from payments.webhook_inbox import WebhookInbox
from razorpay_client import Razorpay

NAME = "payments"

WEBHOOKS_AT_ONCE = 4
"""A payment that must be looked up at Razorpay keeps no other rider waiting; each run holds a database connection."""

INBOX_CONNECTIONS = 1
"""Webhooks are stored on a connection of their own, one batch after the other: Razorpay's five seconds depend on nobody else."""

REFUNDS_AT_ONCE = 4
"""Refunds on their way to Razorpay at a time, within `razorpay_workers`."""


def create_app(settings: PaymentsSettings, *, clock: Clock, ids: Ids, span_exporter: SpanExporter | None = None) -> Service:
    """The service, not started. Nothing of it is global: a test mounts several in one process."""
    service = Service(NAME, clock=clock, drain_seconds=settings.drain_seconds)
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
            urgent_connections=INBOX_CONNECTIONS,
        )
    )
    service.add(OutboxRelay(database, bus, service))
    razorpay = service.add(Razorpay(settings, service=service, telemetry=telemetry))
    metrics = Metrics(telemetry.registry)
    webhooks = service.add(Worker(service, "webhooks", width=WEBHOOKS_AT_ONCE, failures=metrics.work_failed))
    guest_key = settings.guest_private_key
    payments = Payments(
        service=service,
        settings=settings,
        clock=clock,
        database=database,
        bus=bus,
        razorpay=razorpay,
        telemetry=telemetry,
        metrics=metrics,
        inbox=WebhookInbox(service, database, stored=webhooks.wake, turned_away=metrics.webhook_turned_away.inc),
        webhooks=webhooks,
        refunds=service.add(Worker(service, "refunds", width=REFUNDS_AT_ONCE, failures=metrics.work_failed)),
        # One lane: who numbers holds the series, and a second would only wait for it.
        invoices=service.add(Worker(service, "invoices", width=1, failures=metrics.work_failed)),
        guests=GuestSigner(guest_key.get_secret_value()) if guest_key is not None else None,
    )
    payments.webhooks.take_one = partial(take_up_webhooks, payments)
    payments.refunds.take_one = partial(take_up_refund, payments)
    payments.invoices.take_one = partial(issue_documents, payments)
    service.add(Sweeps(service, sweeps(settings), app=payments, registry=telemetry.registry))
    service.add(
        EventConsumer(
            bus,
            QUEUE,
            SUBSCRIPTIONS,
            app=payments,
            database=database,
            service=service,
            retry_delays_seconds=RETRY_DELAYS_SECONDS,
        )
    )
    service.add(WebServer(service, settings, ROUTES, app=payments, database=database, errors=ERRORS, telemetry=telemetry))
    return service
