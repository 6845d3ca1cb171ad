"""The whole service over a real PostgreSQL, RabbitMQ and Razorpay's sandbox, on a clock that moves only when the test says so.

The tests play charging: they read the chargers' lanes and announce what charging would, as charging's own broker user.
"""

import asyncio
import base64
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aio_pika
import aiohttp
import asyncpg
import pytest

from chassis.database.migrate import migrate
from chassis.runtime import Service, SystemIds
from chassis.web import PrincipalSigner, Role, WebServer
from chassis.web.principal import Principal
from contracts import Contract, contract_for
from contracts.charging import (
    StartRefusal,
    StartRefused,
    StopReason,
    TariffAnswer,
    TariffRequested,
    TransactionStarted,
    TransactionStopped,
)
from contracts.topology import LANE_COUNT, exchange_for, lane_of
from payments.app import create_app
from payments.settings import PaymentsSettings
from razorpay_simulator import QrPayment, RazorpaySimulator, SandboxSettings
from testkit.broker import Broker, fresh_broker
from testkit.clock import SteppingClock
from testkit.servers import Servers, database_address, fresh_database

MIGRATIONS = Path(__file__).parents[2] / "migrations"
SECRET = "webhook-secret-of-the-tests"
PREVIOUS_SECRET = "webhook-secret-before"
TABLES = (
    "franchisees, qr_codes, webhook_events, webhook_repeats, riders, rider_vpas, qr_payments, bills, refunds, residues,"
    " invoices, invoice_series, invoices_due, credit_notes, credit_notes_due, operator_refunds, refund_steps, outbox, inbox,"
    " idempotency_keys,"
    " rider_logins, wallets, wallet_recharges, recharge_payments, wallet_sessions, wallet_bills, wallet_entries, proof_failures"
)
TARIFF = TariffAnswer(tariff_id=1, paise_per_kwh=1800, gst_bps=1800, all_in_paise_per_kwh=2124)
SELLER_GSTIN = "29AAACV4321F1ZJ"
READ_SECONDS = 3.0
"""How long the service waits for the sandbox in real time: more than any honest answer takes on a busy machine, so that only
tests of a hanging Razorpay ever wait so long."""


@pytest.fixture(scope="session")
async def database(servers: Servers) -> AsyncIterator[tuple[str, str]]:
    """(administrator's, service's) address of one migrated database for all tests of payments."""
    async with fresh_database(servers.postgres.dsn) as dsn:
        await migrate(dsn, schema="payments", password="payments", migrations=MIGRATIONS)
        yield dsn, database_address(dsn, dsn.rsplit("/", 1)[1], user="voltlync_payments", password="payments")


@pytest.fixture(scope="session")
async def broker(servers: Servers) -> AsyncIterator[Broker]:
    """A vhost of payments' tests."""
    async with fresh_broker(servers) as broker:
        yield broker


@dataclass
class World:
    """What a test works with."""

    service: Service
    clock: SteppingClock
    razorpay: RazorpaySimulator
    http: aiohttp.ClientSession
    url: str
    admin: "asyncpg.Connection[Any]"
    channel: aio_pika.abc.AbstractChannel
    lanes: aio_pika.abc.AbstractQueue
    signer: PrincipalSigner
    settings: PaymentsSettings
    transactions: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1001))
    announced: int = 0
    """Events that were put into payments' queue."""
    tariff: TariffAnswer | None = field(default_factory=lambda: TARIFF)
    """What charging says is in force; None: it says nothing."""
    asked: list[TariffRequested] = field(default_factory=list)
    """What charging was asked."""
    others: list[Service] = field(default_factory=list)
    """More replicas over the same database and queue."""

    def settled(self) -> float:
        """Deliveries of payments' queue that the replicas have acknowledged."""
        registries = [self._registry_of(service) for service in (self.service, *self.others)]
        name, labels = "voltlync_messages_settled_total", {"queue": "payments.events"}
        return sum(registry.get_sample_value(name, labels) or 0.0 for registry in registries)

    async def quiet(self) -> None:
        """Return when nothing more happens without time passing: no work, no webhook on its way, no message anywhere."""
        still = 0
        while still < 3:
            await asyncio.sleep(0.005)
            for service in (self.service, *self.others):
                await service.work.idle()
            await self.razorpay.wait_idle()
            busy = await self.admin.fetchval("SELECT count(*) FROM payments.outbox WHERE published_at IS NULL")
            # By what was acknowledged: of what is on its way to a consumer the broker's count of waiting messages knows nothing.
            busy += self.settled() < self.announced
            busy += sum(service.work.count() for service in (self.service, *self.others)) + self.razorpay.pending
            still = 0 if busy else still + 1

    def headers(self, method: str, path: str, *, role: Role = Role.ADMIN, caller: Principal | None = None) -> dict[str, str]:
        """What the door puts on a call of this caller, or of somebody of this role."""
        principal = caller or Principal("staff|1", frozenset({role}))
        bare = path.partition("?")[0]
        return self.signer.headers(principal, audience="payments", method=method, path=bare, now=self.clock.now())

    async def jump(self, seconds: float) -> None:
        """As on a machine that slept: the time has passed at once, and every sweep that fell due runs once."""
        self.clock._elapsed += seconds
        await self.clock.advance(6)

    async def call(
        self,
        method: str,
        path: str,
        *,
        role: Role = Role.ADMIN,
        caller: Principal | None = None,
        status: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """Call the REST surface as this caller, or as somebody of this role; the JSON answer."""
        signed = self.headers(method, path, role=role, caller=caller) | kwargs.pop("headers", {})
        async with self.http.request(method, f"{self.url}{path}", headers=signed, **kwargs) as answer:
            body = await answer.read()
            if status is not None:
                assert answer.status == status, body
            else:
                assert answer.status < 300, body
            return json.loads(body) if answer.content_type.endswith("json") else body

    async def qr_code(self, charge_point_id: str = "CP-1", connector_id: int = 1) -> dict[str, Any]:
        """A QR code, made over the API."""
        body = {"charge_point_id": charge_point_id, "connector_id": connector_id}
        made: dict[str, Any] = await self.call("POST", "/v1/qr-codes", json=body, status=201)
        await self.quiet()
        return made

    async def pay(self, qr: dict[str, Any], amount: int = 10_000, **how: Any) -> str:
        """A rider pays; returns Razorpay's payment id once everything that follows has happened."""
        paid = self.razorpay.pay(qr["razorpay_qr_code_id"], QrPayment(amount=amount, **how))
        await self.quiet()
        return str(paid["payment"]["id"])

    async def post_event(self, body: bytes, *, signature: bytes | str | None, event_id: str | None = "evt_1") -> int:
        """Post bytes to the webhook route; the status."""
        headers: list[tuple[str, Any]] = [("Content-Type", "application/json")]
        if event_id is not None:
            headers.append(("X-Razorpay-Event-Id", event_id))
        if signature is not None:
            headers.append(("X-Razorpay-Signature", signature))
        async with self.http.post(f"{self.url}/webhooks/razorpay", data=body, headers=headers) as answer:
            await answer.read()
            return answer.status

    async def payment(self, razorpay_payment_id: str) -> dict[str, Any]:
        """The payment as the API shows it, with bill and refunds."""
        found = await self.call("GET", f"/v1/payments?razorpay_payment_id={razorpay_payment_id}")
        assert len(found["items"]) == 1, found
        detail: dict[str, Any] = await self.call("GET", f"/v1/payments/{found['items'][0]['id']}")
        return detail

    async def said(self, *types: type[Contract]) -> list[Any]:
        """What payments has announced of these types, oldest first, read from its outbox."""
        names = [kind.TYPE for kind in types]
        rows = await self.admin.fetch("SELECT type, body FROM payments.outbox WHERE type = ANY($1) ORDER BY id", names)
        return [contract_for(row["type"]).model_validate_json(row["body"]) for row in rows]  # type: ignore[union-attr]

    async def lane(self, charge_point_id: str) -> list[Contract]:
        """Take what has been sent into a charger's lane: a copy, as a single-active-consumer queue can't be looked into."""
        taken: list[Contract] = []
        while (message := await self.lanes.get(fail=False)) is not None:
            await message.ack()
            kind = contract_for(message.type or "")
            assert kind is not None, message.type
            assert message.routing_key == f"{lane_of(charge_point_id):02d}"
            taken.append(kind.model_validate_json(message.body))
        return taken

    async def answer_tariff(self, message: aio_pika.abc.AbstractIncomingMessage) -> None:
        """As charging answers."""
        await message.ack()
        self.asked.append(TariffRequested.model_validate_json(message.body))
        if self.tariff is not None:
            answer = aio_pika.Message(self.tariff.model_dump_json().encode(), correlation_id=message.correlation_id)
            await self.channel.default_exchange.publish(answer, message.reply_to or "")

    async def announce(self, event: Contract, *, message_id: str | None = None) -> None:
        """Publish as the event's own service does, and wait for what follows."""
        await self.tell(event, message_id=message_id)
        await self.quiet()

    async def tell(self, event: Contract, *, message_id: str | None = None) -> None:
        """Publish as the event's own service does."""
        exchange = await self.channel.get_exchange(exchange_for(event.TYPE))
        self.announced += 1
        now = self.clock.now()
        message = aio_pika.Message(
            event.model_dump_json().encode(),
            message_id=message_id or SystemIds().new(),
            type=event.TYPE,
            timestamp=now,
            content_type="application/json",
            headers={"occurred_at": now.isoformat()},
        )
        await exchange.publish(message, event.TYPE)

    async def restart(self, watch: Callable[[Service], None], **changes: Any) -> None:
        """End the process and begin a new one over the same database and queue, with these settings changed."""
        await self.service.stop()
        self.announced = 0
        self.settings = self.settings.model_copy(update=changes)
        self.service = create_app(self.settings, clock=self.clock, ids=SystemIds())
        watch(self.service)
        await self.service.start()
        self.url = next(part for part in self.service._parts if isinstance(part, WebServer)).url
        for endpoint in self.razorpay.state.endpoints.values():
            endpoint.url = f"{self.url}/webhooks/razorpay"

    def started(self, payment: dict[str, Any], transaction_id: int | None = None) -> TransactionStarted:
        """charging.transaction_started for a payment."""
        return TransactionStarted.model_validate(self._terms(payment, transaction_id))

    def stopped(
        self, payment: dict[str, Any], energy_wh: int, transaction_id: int | None = None, **more: Any
    ) -> TransactionStopped:
        """charging.transaction_stopped for a payment, at 18 rupees a kWh and 18 % GST."""
        terms = self._terms(payment, transaction_id)
        terms |= {
            "subject_version": 9,
            "stopped_at": self.clock.now(),
            "stop_reason": StopReason.CHARGER,
            "energy_wh": energy_wh,
            "meter_start_wh": 1000,
            "meter_stop_wh": 1000 + energy_wh,
        }
        return TransactionStopped.model_validate(terms | more)

    def refused(self, payment: dict[str, Any], reason: StartRefusal = StartRefusal.CHARGER_OFFLINE) -> StartRefused:
        """charging.start_refused for a payment."""
        return StartRefused(
            request_key=payment["request_key"],
            charge_point_id=payment["charge_point_id"],
            connector_id=payment["connector_id"],
            payer_reference=payment["rider_id"],
            reason=reason,
            detail="The charger is offline.",
            refused_at=self.clock.now(),
        )

    def _terms(self, payment: dict[str, Any], transaction_id: int | None) -> dict[str, Any]:
        return {
            "transaction_id": transaction_id or next(self.transactions),
            "charge_point_id": payment["charge_point_id"],
            "connector_id": payment["connector_id"],
            "station_id": 3,
            "franchisee_id": 7,
            "request_key": payment["request_key"],
            "payer_reference": payment["rider_id"],
            "tariff_id": 1,
            "tariff_effective_from": self.clock.now() - timedelta(days=30),
            "station_name": "MG Road",
            "station_state_code": "29",
            "tariff_paise_per_kwh": 1800,
            "gst_bps": 1800,
            "started_at": self.clock.now() - timedelta(minutes=30),
        }

    @property
    def basic(self) -> str:
        """The Authorization header of our own keys at Razorpay."""
        keys = f"{self.settings.razorpay_key_id}:{self.settings.razorpay_key_secret.get_secret_value()}"
        return f"Basic {base64.b64encode(keys.encode()).decode()}"

    def refund_calls(self) -> list[Any]:
        """The refund requests that Razorpay got."""
        return self.razorpay.requests("POST", "/v1/payments/*/refund")

    def metric(self, name: str, **labels: str) -> float:
        """A counter's or gauge's value; 0 where it never moved."""
        return self.service_registry.get_sample_value(f"voltlync_payments_{name}", labels) or 0.0

    @property
    def service_registry(self) -> Any:
        """The service's own Prometheus registry."""
        return self._registry_of(self.service)

    @staticmethod
    def _registry_of(service: Service) -> Any:
        return next(part.registry for part in service._parts if hasattr(part, "registry"))

    def now(self) -> datetime:
        """The clock's time."""
        return self.clock.now()


@asynccontextmanager
async def running_service(settings: PaymentsSettings, clock: SteppingClock) -> AsyncIterator[Service]:
    """The service, from start to stop."""
    service = create_app(settings, clock=clock, ids=SystemIds())
    await service.start()
    try:
        yield service
    finally:
        await service.stop()


@pytest.fixture
async def world(database: tuple[str, str], broker: Broker) -> AsyncIterator[World]:
    """A running service with an empty database, empty queues and a sandbox of its own."""
    admin_dsn, service_dsn = database
    admin = await asyncpg.connect(admin_dsn, server_settings={"search_path": "payments"})
    await admin.execute(f"TRUNCATE {TABLES} RESTART IDENTITY")
    await broker.empty("payments.events")
    connection = await aio_pika.connect(broker.url)
    channel = await connection.channel()
    lanes = await channel.declare_queue(exclusive=True)
    for lane in range(LANE_COUNT):
        await lanes.bind("payments.lanes", f"{lane:02d}")
    clock = SteppingClock()
    sandbox = RazorpaySimulator(SandboxSettings(opening_balance=100_000_00, instant_refund_seconds=5), clock=clock)
    await sandbox.start()
    signer = PrincipalSigner.generate()
    settings = PaymentsSettings(
        amqp_url=broker.url_for("payments"),
        database_url=service_dsn,
        razorpay_key_id=sandbox.settings.key_id,
        razorpay_key_secret=sandbox.settings.key_secret,
        razorpay_webhook_secret=SECRET,
        razorpay_webhook_secret_previous=PREVIOUS_SECRET,
        razorpay_api_url=sandbox.base_url,
        razorpay_read_seconds=READ_SECONDS,
        razorpay_workers=2,
        principal_public_key=signer.public_key,
        seller_gstin=SELLER_GSTIN,
        seller_legal_name="VoltLync Energy Private Limited",
        seller_address="1, Residency Road, Bengaluru 560025",
        guest_private_key=PrincipalSigner.generate().private_key,
    )
    async with running_service(settings, clock) as service, aiohttp.ClientSession() as http:
        web = next(part for part in service._parts if isinstance(part, WebServer))
        sandbox.webhooks.add_endpoint(f"{web.url}/webhooks/razorpay", SECRET, None)
        world = World(service, clock, sandbox, http, web.url, admin, channel, lanes, signer, settings)
        clock.settle = world.quiet
        await (await channel.get_queue("charging.tariffs")).consume(world.answer_tariff)
        await world.quiet()
        yield world
        await world.service.stop()  # another one than at the start, where a test has begun it anew
        dead = await channel.declare_queue("payments.events.dead", passive=True)
        assert dead.declaration_result.message_count == 0, "something was parked as a dead letter"
    await sandbox.stop()
    await connection.close()
    await admin.close()
