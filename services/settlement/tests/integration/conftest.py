"""Settlement as it runs, over a real PostgreSQL and RabbitMQ and the Razorpay sandbox, on one clock that the test moves.

The tests play payments: they publish bills, and pass the sandbox's webhooks on as payments would, signature checked.
"""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest
from aiohttp import web
from opentelemetry.sdk.trace.export import SpanExporter

from chassis.database.migrate import migrate
from chassis.messaging import Bus
from chassis.runtime import Service, SystemIds
from chassis.telemetry import Telemetry
from chassis.web import Principal, PrincipalSigner, Role
from contracts import Contract, Event, contract_for
from contracts.payments import FeeSource, PaymentBilled, RazorpayEventReceived
from contracts.topology import address_from
from money import final_bill
from razorpay_simulator import RandomIds, RazorpaySimulator, SandboxSettings, WebhookSettings
from settlement.app import SettlementService, create_app
from settlement.settings import SettlementSettings
from testkit.broker import Broker, fresh_broker
from testkit.clock import SteppingClock
from testkit.servers import Servers, database_address, fresh_database

MIGRATIONS = Path(__file__).parents[2] / "migrations"
WEBHOOK_SECRET = "whsec-test"
READ_SECONDS = 3.0
"""How long the service waits for a hanging sandbox, in real time: more than any honest answer takes on a busy machine."""
SELDOM = {"sweep_seconds": 600}
"""For tests that pass hours: every look at the clock costs a test real time."""
TABLES = (
    "reversals, refund_decisions, "
    "allocations, transfers, ledger_entries, commission_receipts, settlements, kyc_events, franchisee_terms, franchisees, "
    "outbox, inbox, idempotency_keys, postings, journals, recon_exceptions, statement_matches, statement_rows, statement_days, "
    "statement_readings, moves, wallet_counts, unowned_bills, tds_years"
)
FRANCHISEE = {
    "legal_business_name": "Acme Volts",
    "business_type": "partnership",
    "email": "fr1@acme.example",
    "phone": "9000090000",
    "contact_name": "Asha Rao",
    "pan": "AAACL1234C",
    "gstin": "29AABCU9603R1ZM",
    "address": {
        "street1": "507, 1st block",
        "street2": "MG Road",
        "city": "Bengaluru",
        "state": "KARNATAKA",
        "postal_code": "560034",
    },
    "stakeholder": {"name": "Asha Rao", "email": "asha@acme.example", "pan": "ABCPA1234F"},
    "bank": {"account_number": "1234567890123456", "ifsc_code": "HDFC0000317", "beneficiary_name": "Acme Volts"},
    "commission_bps": 1000,
    "tds_bps": 10,
}


@pytest.fixture(scope="session")
async def database(servers: Servers) -> AsyncIterator[tuple[str, str]]:
    """(administrator's, service's) address of one migrated database for all tests of settlement."""
    async with fresh_database(servers.postgres.dsn) as dsn:
        await migrate(dsn, schema="settlement", password="settlement", migrations=MIGRATIONS)
        yield dsn, database_address(dsn, dsn.rsplit("/", 1)[1], user="voltlync_settlement", password="settlement")


@pytest.fixture(scope="session")
async def broker(servers: Servers) -> AsyncIterator[Broker]:
    """A vhost of settlement's tests."""
    async with fresh_broker(servers) as broker:
        yield broker


@dataclass
class World:
    """Settlement, with payments, Razorpay and people around it."""

    service: SettlementService
    sandbox: RazorpaySimulator
    bus: Bus
    clock: SteppingClock
    http: aiohttp.ClientSession
    admin: "asyncpg.Connection[Any]"
    signer: PrincipalSigner
    published: int = 0
    forwarding: bool = True
    """Whether payments passes Razorpay's events on; False: they are lost."""
    events: list[RazorpayEventReceived] = field(default_factory=list)
    """Every event of Razorpay's, oldest first."""
    transactions: int = 100
    twin: SettlementService | None = None
    """A second process over the same schema and queue."""

    @property
    def replicas(self) -> list[SettlementService]:
        """All that run."""
        return [self.service] if self.twin is None else [self.service, self.twin]

    async def restart(self, watch: Callable[[Service], None], **changes: Any) -> None:
        """End the process and begin a new one over the same schema and queue, with these settings changed."""
        await self.service.stop()
        self.published = 0
        settings = self.service.app.settings.model_copy(update=changes)
        self.service = create_app(settings, clock=self.clock, ids=SystemIds())
        watch(self.service)
        await self.service.start()

    closing: Callable[[], Awaitable[None]] | None = None

    async def close(self) -> None:
        """Stop everything. Done once."""
        closing, self.closing = self.closing, None
        if closing is not None:
            await closing()

    async def settle(self) -> None:
        """Return when nothing more happens without time passing."""
        still = 0
        while still < 2:
            await asyncio.sleep(0.003)
            await self.sandbox.wait_idle()
            for service in self.replicas:
                await service.work.idle()
            waiting = await self.admin.fetchval("SELECT count(*) FROM settlement.outbox WHERE published_at IS NULL")
            settled = sum(
                sample.value
                for service in self.replicas
                for metric in service.app.bus.settled.collect()
                for sample in metric.samples
                if sample.name.endswith("_total") and sample.labels["queue"] == "settlement.events"
            )
            quiet = (
                waiting == 0
                and settled >= self.published
                and not self.sandbox.pending
                and not any(s.work.count() for s in self.replicas)
            )
            still = still + 1 if quiet else 0

    async def pass_time(self, seconds: float) -> None:
        """Step the clock, every sweep on the way included."""
        await self.clock.advance(seconds)

    async def publish(self, event: Event) -> None:
        """Payments announces; returns when the broker has it."""
        self.published += 1
        await self.bus.publish(event, to=address_from("payments")(event))

    async def receive_webhook(self, request: web.Request) -> web.Response:
        """Payments' door: verified, then passed on."""
        raw = await request.read()
        signature = hmac.new(WEBHOOK_SECRET.encode(), raw, hashlib.sha256).hexdigest()
        assert hmac.compare_digest(signature, request.headers["X-Razorpay-Signature"])
        body = json.loads(raw)
        event = RazorpayEventReceived(
            webhook_event_id=len(self.events) + 1,
            razorpay_event_id=request.headers["x-razorpay-event-id"],
            event=body["event"],
            account_id=body["account_id"],
            payload=body["payload"],
            created_at=datetime.fromtimestamp(body["created_at"], UTC),
        )
        self.events.append(event)
        if self.forwarding:
            await self.publish(event)
        return web.Response()

    def bill(
        self,
        franchisee_id: int | None,
        *,
        energy_wh: int = 3333,
        tariff_paise_per_kwh: int = 1800,
        paid_paise: int = 10_000,
        fee_paise: int = 236,
        implausible: bool = False,
        started_at: datetime | None = None,
    ) -> PaymentBilled:
        """A session's bill as payments makes it. The default: 100 rupees paid, 3.333 kWh at 18 rupees, GST 18 %."""
        self.transactions += 1
        now = self.clock.now()
        bill = final_bill(
            energy_wh=energy_wh,
            tariff_paise_per_kwh=tariff_paise_per_kwh,
            gst_bps=1800,
            platform_fee_paise=fee_paise,
            paid_paise=paid_paise,
        )
        return PaymentBilled(
            qr_payment_id=self.transactions,
            razorpay_payment_id=f"pay_{self.transactions:014d}",
            transaction_id=self.transactions,
            charge_point_id="CP-1",
            connector_id=1,
            station_id=1,
            franchisee_id=franchisee_id,
            started_at=started_at or now - timedelta(minutes=30),
            stopped_at=now,
            energy_wh=energy_wh,
            tariff_paise_per_kwh=tariff_paise_per_kwh,
            gst_bps=1800,
            paid_paise=paid_paise,
            energy_charge_paise=bill.energy_charge_paise,
            gst_paise=bill.gst_paise,
            platform_fee_paise=bill.platform_fee_paise,
            fee_source=FeeSource.WEBHOOK,
            refund_paise=bill.refund_paise,
            residue_paise=bill.residue_paise,
            shortfall_paise=bill.shortfall_paise,
            implausible=implausible,
            billed_at=now,
        )

    async def franchisee(self, number: int = 1, *, activate: bool = True, **changes: Any) -> int:
        """A franchisee entered over REST and linked at Razorpay; activated unless told. Its id."""
        body = {**FRANCHISEE, "email": f"fr{number}@acme.example", **changes}
        made = await self.call("POST", "/v1/franchisees", json=body)
        await self.settle()
        if activate:
            account = (await self.call("GET", f"/v1/franchisees/{made['id']}"))["razorpay_account_id"]
            self.sandbox.move_kyc(account, "activated")
            await self.settle()
        return int(made["id"].removeprefix("frn_"))

    async def account_of(self, franchisee_id: int) -> str:
        """acc_... of a franchisee."""
        return str(
            await self.admin.fetchval("SELECT razorpay_account_id FROM settlement.franchisees WHERE id = $1", franchisee_id)
        )

    async def entry(self, bill: PaymentBilled) -> dict[str, Any]:
        """The entry of a bill as REST shows it."""
        found = await self.call("GET", f"/v1/ledger-entries?transaction_id=txn_{bill.transaction_id}&kind=SESSION")
        assert len(found["items"]) == 1, found
        return dict(found["items"][0])

    async def rows(self, statement: str, *args: Any) -> list[dict[str, Any]]:
        """Rows of the schema."""
        return [dict(row) for row in await self.admin.fetch(statement, *args)]

    async def said(self, *kinds: type[Contract]) -> list[Any]:
        """What settlement has announced of these types, oldest first."""
        rows = await self.admin.fetch(
            "SELECT type, body FROM settlement.outbox WHERE type = ANY($1) ORDER BY id", [kind.TYPE for kind in kinds]
        )
        return [contract_for(row["type"]).model_validate_json(row["body"]) for row in rows]  # type: ignore[union-attr]

    async def dead(self) -> int:
        """How many messages settlement has parked."""
        return (await self.bus.depth("settlement.events.dead"))[0]

    async def call(
        self,
        method: str,
        path: str,
        *,
        role: Role = Role.ADMIN,
        status: int | None = None,
        franchisee_id: int | None = None,
        **options: Any,
    ) -> Any:
        """Call the REST surface as somebody of this role; the JSON answer."""
        principal = Principal("staff|1", frozenset({role}), franchisee_id=franchisee_id)
        bare = path.partition("?")[0]
        headers = self.signer.headers(principal, audience="settlement", method=method, path=bare, now=self.clock.now())
        headers |= options.pop("headers", {})
        async with self.http.request(method, f"{self.service.web.url}{path}", headers=headers, **options) as answer:
            body = await answer.read()
            assert answer.status == status if status is not None else answer.status < 300, (answer.status, body)
            return json.loads(body) if body else None


Build = Callable[..., Awaitable[World]]


@pytest.fixture
async def build(database: tuple[str, str], broker: Broker, clock: SteppingClock) -> AsyncIterator[Build]:
    """`await build(sandbox={...}, settings={...})`: a world with an empty schema and queue."""
    built: list[World] = []
    admin_url, service_url = database

    async def make(
        *, sandbox: dict[str, Any] | None = None, settings: dict[str, Any] | None = None, spans: SpanExporter | None = None
    ) -> World:
        admin = await asyncpg.connect(admin_url)
        await admin.execute("SET search_path = settlement")
        await admin.execute(f"TRUNCATE {TABLES} RESTART IDENTITY CASCADE")
        outside = Service("payments", clock=clock)
        telemetry = outside.add(
            Telemetry(SettlementSettings.model_construct(otlp_endpoint=None), service="payments", clock=clock)
        )
        bus = outside.add(Bus(broker.url, app_id="payments", service=outside, telemetry=telemetry))
        await outside.start()
        await broker.empty("settlement.events")
        door = web.Application()
        runner = web.AppRunner(door, access_log=None, shutdown_timeout=0.1)
        world: World

        async def hook(request: web.Request) -> web.Response:
            return await world.receive_webhook(request)

        door.router.add_post("/hook", hook)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        options = {"opening_balance": 10_000_000, "linked_settlement_seconds": None} | (sandbox or {})
        simulator = RazorpaySimulator(
            SandboxSettings(webhooks=[WebhookSettings(url=url, secret=WEBHOOK_SECRET)], **options),
            clock=clock,
            ids=RandomIds(seed=7),
        )
        await simulator.start()
        signer = PrincipalSigner.generate()
        values: dict[str, Any] = {
            "amqp_url": broker.url,
            "database_url": service_url,
            "RAZORPAY_KEY_ID": simulator.settings.key_id,
            "RAZORPAY_KEY_SECRET": simulator.settings.key_secret,
            "RAZORPAY_API_URL": simulator.base_url,
            "razorpay_read_seconds": READ_SECONDS,
            "principal_public_key": signer.public_key,
        }
        settled = SettlementSettings(**values, **(settings or {}))
        service = create_app(settled, clock=clock, ids=SystemIds(), span_exporter=spans)
        world = World(
            service=service,
            sandbox=simulator,
            bus=bus,
            clock=clock,
            http=aiohttp.ClientSession(),
            admin=admin,
            signer=signer,
        )

        async def close() -> None:
            await world.service.stop()
            await simulator.stop()
            await world.http.close()
            await runner.cleanup()
            await outside.stop()
            await admin.close()

        world.closing = close
        clock.settle = world.settle
        await service.start()
        built.append(world)
        return world

    yield make
    for world in built:
        await world.close()


@pytest.fixture
async def world(build: Build) -> World:
    """Settlement with a sandbox that has 100,000 rupees and settles on demand."""
    return await build()
