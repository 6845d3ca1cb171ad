"""The whole of VoltLync in one event loop on one stepping clock: all services, all simulators, over real RabbitMQ, PostgreSQL and Redis.

A test buys itself a `Site` (station, charger, QR code, franchisee), plays people (`site.car.plug()`, `world.pay(...)`), moves time
(`world.pass_seconds(60)`) and asks over the public REST API what came of it. Tests are kept apart by charger.
"""

import asyncio
import itertools
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from api_gateway.app import create_app as create_api_gateway
from api_gateway.settings import ApiGatewaySettings
from charger_simulator import ChargePoint
from charging.app import create_app as create_charging
from charging.settings import ChargingSettings
from chassis.database.migrate import migrate, role_of
from chassis.messaging.dead import list_dead
from chassis.messaging.declare import declare
from chassis.runtime import Service, SystemIds
from chassis.telemetry import Telemetry
from chassis.web import PrincipalSigner
from contracts.topology import TOPOLOGY, plan
from identity_simulator import IdentitySimulator
from ocpp_gateway.app import create_app as create_ocpp_gateway
from ocpp_gateway.settings import GatewaySettings
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from payments.app import create_app as create_payments
from payments.settings import PaymentsSettings
from razorpay_simulator import RazorpaySimulator, SandboxSettings, WebhookSettings
from settlement.app import create_app as create_settlement
from settlement.settings import SettlementSettings
from testkit.clock import SteppingClock
from testkit.servers import Servers
from testkit.servers.postgres import database_address
from testkit.servers.processes import free_port

from tests.e2e.quiet import Quiet

ROOT = Path(__file__).parents[2]
SCHEMAS = ("charging", "payments", "settlement")
WEBHOOK_SECRET = "e2e-webhook-secret"  # noqa: S105
CHARGER_PASSWORD_BYTES = 16


class RestError(AssertionError):
    """The API answered with another status than the test expects."""


@dataclass
class Site:
    """A charger of a station of a franchisee, with its QR code and its simulated charge point."""

    station: dict[str, Any]
    charger: dict[str, Any]
    franchisee: dict[str, Any] | None
    qr_codes: dict[int, dict[str, Any]]
    point: ChargePoint


class World:
    """See the module."""

    def __init__(self, servers: Servers, dsn: str, directory: Path) -> None:
        self.servers = servers
        self.dsn = dsn
        self.directory = directory
        self.clock = SteppingClock()
        self.spans = InMemorySpanExporter()
        self.services: dict[str, Service] = {}
        self.telemetries: dict[str, Telemetry] = {}
        self.door = ""
        self.ocpp = ""
        self._tokens: dict[str, str] = {}
        self._numbers = itertools.count(1)
        self._http: aiohttp.ClientSession | None = None
        self.quiet: Quiet

    # -- life

    async def start(self) -> None:
        """Migrate, declare, start everything."""
        passwords = {schema: secrets.token_urlsafe(12) for schema in SCHEMAS}
        for schema in SCHEMAS:
            await migrate(self.dsn, schema=schema, password=passwords[schema], migrations=ROOT / "services" / schema / "migrations")
        await declare(self.servers.rabbitmq.url, plan())
        self._http = aiohttp.ClientSession()
        signer = PrincipalSigner.generate()
        ports = {name: free_port() for name in (*SCHEMAS, "ocpp_gateway", "api_gateway", "door", "ocpp")}
        self.door = f"http://127.0.0.1:{ports['door']}"
        self.ocpp = f"ws://127.0.0.1:{ports['ocpp']}/ocpp"
        self.razorpay = RazorpaySimulator(
            SandboxSettings(
                opening_balance=10_000_000,
                webhooks=[WebhookSettings(url=f"{self.door}/webhooks/razorpay", secret=WEBHOOK_SECRET)],
                webhook_timeout_seconds=3600,  # on the stepping clock: a delivery in progress is work, so the clock waits for it
            ),
            clock=self.clock,
        )
        await self.razorpay.start()
        self.identity = IdentitySimulator(clock=self.clock)
        await self.identity.start()
        razorpay = {
            "RAZORPAY_KEY_ID": self.razorpay.settings.key_id,
            "RAZORPAY_KEY_SECRET": self.razorpay.settings.key_secret,
            "RAZORPAY_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "RAZORPAY_API_URL": self.razorpay.base_url,
        }

        def common(name: str) -> dict[str, Any]:
            values: dict[str, Any] = {
                "amqp_url": self.servers.rabbitmq.url_for(name),
                "internal_port": ports[name],
                "principal_public_key": signer.public_key,
                "drain_seconds": 5,
            }
            if name in SCHEMAS:
                database = self.dsn.rsplit("/", 1)[1]
                values["database_url"] = database_address(self.dsn, database, user=role_of(name), password=passwords[name])
            return values

        await self._mount("charging", create_charging, ChargingSettings(**common("charging"), redis_url=self.servers.redis.url))
        await self._mount("payments", create_payments, PaymentsSettings(**common("payments"), **razorpay))
        await self._mount("settlement", create_settlement, SettlementSettings(**common("settlement"), **razorpay))
        await self._mount(
            "ocpp_gateway",
            create_ocpp_gateway,
            GatewaySettings(
                **common("ocpp_gateway"),
                redis_url=self.servers.redis.url,
                ocpp_port=ports["ocpp"],
                ocpp_host="127.0.0.1",
                gateway_data_dir=self.directory / "gateway",
                drain_spread_seconds=0,
            ),
        )
        await self._mount(
            "api_gateway",
            create_api_gateway,
            ApiGatewaySettings(
                **common("api_gateway"),
                redis_url=self.servers.redis.url,
                door_port=ports["door"],
                principal_private_key=signer.private_key,
                **{f"{name}_url": f"http://127.0.0.1:{ports[name]}" for name in SCHEMAS},
                issuer=self.identity.issuer,
            ),
        )
        self.quiet = Quiet(self.services, self.telemetries, self.razorpay, self.dsn)
        self.clock.settle = self.quiet

    async def _mount(self, name: str, create: Callable[..., Service], settings: Any) -> None:
        service = create(settings, clock=self.clock, ids=SystemIds(), span_exporter=self.spans)
        self.services[name] = service
        self.telemetries[name] = next(part for part in service._parts if isinstance(part, Telemetry))
        await service.start()

    async def stop(self) -> None:
        """Stop everything, the doors first."""
        for point in self.quiet.charge_points:
            await point.stop()
        await self.quiet.close()
        for service in reversed(self.services.values()):
            await service.stop()
        await self.identity.stop()
        await self.razorpay.stop()
        if self._http is not None:
            await self._http.close()

    # -- time

    async def pass_seconds(self, seconds: float) -> None:
        """Let so much time pass, timer by timer, the world coming to rest after each."""
        await self.clock.advance(seconds, settle=self.quiet)

    async def rest(self) -> None:
        """Let everything happen that needs no time."""
        await self.quiet()

    # -- the public API

    async def token(self, role: str, **claims: Any) -> str:
        """A bearer token of the identity simulator for a persona of this role."""
        key = f"{role}{sorted(claims.items())}"
        if key not in self._tokens:
            self._tokens[key] = self.identity.token(role, lifetime_seconds=30 * 24 * 3600, **claims)
        return self._tokens[key]

    async def api(
        self, method: str, path: str, body: Any = None, *, role: str = "admin", expect: int | None = None, **claims: Any
    ) -> Any:
        """Call the door as a persona; returns the JSON answer. Raises RestError unless the status is as expected (2xx)."""
        assert self._http is not None
        headers = {"Authorization": f"Bearer {await self.token(role, **claims)}"}
        async with self._http.request(method, self.door + path, json=body, headers=headers) as answer:
            text = await answer.text()
            if (answer.status != expect) if expect is not None else not 200 <= answer.status < 300:
                raise RestError(f"{method} {path} answered {answer.status}: {text}")
            return await answer.json(content_type=None) if text else None

    # -- after every test

    async def dead_letters(self) -> dict[str, int]:
        """Queues with parked messages, and how many."""
        counts = await list_dead(self.servers.rabbitmq.url, [queue.name for queue in TOPOLOGY.queues])
        return {queue: count for queue, count in counts.items() if count}
