"""The whole of VoltLync in one event loop on one stepping clock: all services and simulators, over the real servers.

A test opens a `Site` (station, charger, QR code, franchisee), plays people (`site.point.plug()`, `world.pay(...)`), moves
time (`world.pass_seconds(60)`) and asks over the public REST API what came of it. Tests are kept apart by charger.
"""

import itertools
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from api_gateway.app import create_app as create_api_gateway
from api_gateway.settings import ApiGatewaySettings
from charger_simulator import ChargePoint
from charging.app import create_app as create_charging
from charging.settings import ChargingSettings
from chassis.database.migrate import migrate, role_of
from chassis.messaging import Bus
from chassis.messaging.dead import list_dead
from chassis.messaging.declare import declare
from chassis.runtime import Service, SystemIds
from chassis.telemetry import Telemetry
from chassis.web import GuestSigner, PrincipalSigner
from contracts.topology import TOPOLOGY, plan
from identity_simulator import IdentitySimulator
from identity_simulator.simulator import CLIENT_ID
from ocpp_gateway.app import create_app as create_ocpp_gateway
from ocpp_gateway.settings import GatewaySettings
from payments.app import create_app as create_payments
from payments.settings import PaymentsSettings
from razorpay_simulator import QrPayment, RazorpaySimulator, SandboxSettings, WebhookSettings
from settlement.app import create_app as create_settlement
from settlement.settings import SettlementSettings
from testkit.clock import SteppingClock
from testkit.quiet import Quiet
from testkit.servers import Servers
from testkit.servers.postgres import database_address
from testkit.servers.processes import free_port
from testkit.servers.rabbitmq import ADMIN

ROOT = Path(__file__).parents[2]
SCHEMAS = ("charging", "payments", "settlement")
WEBHOOK_SECRET = "e2e-webhook-secret"
SELLER = {
    "seller_gstin": "29AAACV4321F1ZJ",
    "seller_legal_name": "VoltLync Energy Private Limited",
    "seller_address": "1, Residency Road, Bengaluru 560025",
}
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

    sandbox: Mapping[str, Any] = {}
    """Settings of the sandbox beside what every world has."""
    charging: Mapping[str, Any] = {}
    """Settings of charging that differ from the defaults."""

    def __init__(self, servers: Servers, vhost: str, dsn: str, directory: Path) -> None:
        self.servers = servers
        self.vhost = vhost
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
        self.signer: PrincipalSigner
        self.guests: GuestSigner

    # -- life

    async def start(self) -> None:
        """Migrate, declare, start everything."""
        passwords = {schema: secrets.token_urlsafe(12) for schema in SCHEMAS}
        for schema in SCHEMAS:
            await migrate(
                self.dsn, schema=schema, password=passwords[schema], migrations=ROOT / "services" / schema / "migrations"
            )
        await declare(self.broker_url(ADMIN), plan())
        self._http = aiohttp.ClientSession()
        self.signer = signer = PrincipalSigner.generate()
        guests = PrincipalSigner.generate()
        self.guests = GuestSigner(guests.private_key)
        ports = {name: free_port() for name in (*SCHEMAS, "ocpp_gateway", "api_gateway", "door", "ocpp")}
        self.door = f"http://127.0.0.1:{ports['door']}"
        self.ocpp = f"ws://127.0.0.1:{ports['ocpp']}/ocpp"
        self.razorpay = RazorpaySimulator(
            SandboxSettings(
                webhooks=[WebhookSettings(url=f"{self.door}/webhooks/razorpay", secret=WEBHOOK_SECRET)],
                webhook_timeout_seconds=3600,  # on the stepping clock: a delivery in progress is work, so the clock waits for it
                **({"opening_balance": 10_000_000} | dict(self.sandbox)),
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
                "amqp_url": self.broker_url(name),
                "internal_port": ports[name],
                "principal_public_key": signer.public_key,
                "drain_seconds": 5,
            }
            if name in SCHEMAS:
                database = self.dsn.rsplit("/", 1)[1]
                values["database_url"] = database_address(self.dsn, database, user=role_of(name), password=passwords[name])
            return values

        redis_url = self.servers.redis.url
        await self._mount(
            "charging", create_charging, ChargingSettings(**common("charging"), redis_url=redis_url, **self.charging)
        )
        payments = PaymentsSettings(**common("payments"), **razorpay, **SELLER, guest_private_key=guests.private_key)
        await self._mount("payments", create_payments, payments)
        await self._mount("settlement", create_settlement, SettlementSettings(**common("settlement"), **razorpay))
        await self._mount_field(common("ocpp_gateway"), ports["ocpp"])
        await self._mount(
            "api_gateway",
            create_api_gateway,
            ApiGatewaySettings(
                **common("api_gateway"),
                redis_url=redis_url,
                door_port=ports["door"],
                principal_private_key=signer.private_key,
                guest_public_key=guests.public_key,
                **{f"{name}_url": f"http://127.0.0.1:{ports[name]}" for name in SCHEMAS},
                oidc_issuer=self.identity.issuer,
                limit_caller="1000000/minute",
                limit_webhooks="1000000/minute",
                limit_unauthenticated="1000000/minute",
                limit_public="1000000/minute",
                oidc_authorized_parties=CLIENT_ID,
            ),
        )
        registries = [telemetry.registry for telemetry in self.telemetries.values()]
        self.quiet = Quiet(list(self.services.values()), registries, self.razorpay)
        self.clock.settle = self.quiet

    async def _mount_field(self, values: Mapping[str, Any], port: int) -> None:
        """What stands between charging and the chargers."""
        settings = GatewaySettings(
            **values,
            redis_url=self.servers.redis.url,
            ocpp_port=port,
            ocpp_host="127.0.0.1",
            gateway_data_dir=self.directory / "gateway",
            drain_spread_seconds=0,
        )
        await self._mount("ocpp_gateway", create_ocpp_gateway, settings)

    def broker_url(self, user: str) -> str:
        """The broker's address for one of its users, in this world's vhost."""
        url: str = self.servers.rabbitmq.url_for(user, vhost=self.vhost)
        return url

    async def _mount(self, name: str, create: Callable[..., Service], settings: Any) -> None:
        service = create(settings, clock=self.clock, ids=SystemIds(), span_exporter=self.spans)
        self.services[name] = service
        self.telemetries[name] = next(
            part if isinstance(part, Telemetry) else part.telemetry
            for part in service._parts
            if isinstance(part, Telemetry | Bus)
        )
        await service.start()

    async def stop(self) -> None:
        """Stop everything, the doors first."""
        for point in self.quiet.charge_points:
            await point.stop()
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

    async def skip_seconds(self, seconds: float, *, stride: float = 35) -> None:
        """Let uneventful time pass in strides, so that hours take seconds: what falls due within a stride happens at its end, a
        little late, as on a machine that was frozen. Strides of less than 40 s lose no heartbeat."""
        until = self.clock.monotonic() + seconds
        await self.quiet()
        while self.clock.monotonic() < until:
            self.clock.jump(min(stride, until - self.clock.monotonic()))
            await self.quiet()

    async def rest(self) -> None:
        """Let everything happen that needs no time."""
        await self.quiet()

    # -- the public API

    async def token(self, role: str, **claims: Any) -> str:
        """A bearer token of the identity simulator for a persona of this role."""
        key = f"{role}{sorted(claims.items())}"
        if key not in self._tokens:
            self._tokens[key] = self.identity.token(role, lifetime_seconds=90 * 24 * 3600, **claims)
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

    async def bearing(self, token: str, path: str) -> tuple[int, Any]:
        """GET at the door with this very token: (status, the JSON answer)."""
        assert self._http is not None
        async with self._http.get(self.door + path, headers={"Authorization": f"Bearer {token}"}) as answer:
            return answer.status, await answer.json(content_type=None)

    async def found(self, path: str, *, role: str = "admin") -> dict[str, Any]:
        """The only item of a list."""
        page = await self.api("GET", path, role=role)
        if len(page["items"]) != 1:
            raise AssertionError(f"{path} has {len(page['items'])} items: {page['items']}")
        item: dict[str, Any] = page["items"][0]
        return item

    # -- people and places

    async def open_site(
        self,
        *,
        connectors: int = 1,
        rated_power_w: int = 7400,
        kind: str = "type2",
        franchised: bool = True,
        online: bool = True,
        paise_per_kwh: int = 1800,
        **charge_point: Any,
    ) -> Site:
        """A new charger at a new station, with its tariff, a QR code per connector, and a charge point that has booted."""
        number = next(self._numbers)
        franchisee = await self._franchise(number) if franchised else None
        station = await self.api(
            "POST",
            "/v1/stations",
            {
                "name": f"Station {number}",
                "address": f"{number}, MG Road",
                "city": "Bengaluru",
                "state": "Karnataka",
                "postal_code": "560001",
                "franchisee_id": franchisee["id"] if franchisee else None,
            },
        )
        name = f"CP-{number:03d}"
        charger = await self.api(
            "POST",
            "/v1/chargers",
            {
                "charge_point_id": name,
                "station_id": station["id"],
                "name": f"Charger {number}",
                "connector_kind": kind,
                "rated_power_w": rated_power_w,
            },
        )
        await self.api(
            "POST",
            "/v1/tariffs",
            {"name": f"Tariff {number}", "station_id": station["id"], "paise_per_kwh": paise_per_kwh, "gst_bps": 1800},
        )
        await self.rest()
        point = ChargePoint(
            name,
            self.ocpp,
            password=charger["password"],
            connectors=connectors,
            rated_power_w=rated_power_w,
            clock=self.clock,
            **charge_point,
        )
        self.quiet.charge_points.append(point)
        if online:
            await point.start()
        codes = {}
        for connector in range(1, connectors + 1):
            made = await self.api("POST", "/v1/qr-codes", {"charge_point_id": name, "connector_id": connector})
            await self.rest()
            codes[connector] = await self.api("GET", f"/v1/qr-codes/{made['id']}")
        await self.pass_seconds(1)
        return Site(station, charger, franchisee, codes, point)

    async def _franchise(self, number: int) -> dict[str, Any]:
        place = {"city": "Bengaluru", "state": "Karnataka", "postal_code": "560038"}
        made = await self.api(
            "POST",
            "/v1/franchisees",
            {
                "legal_business_name": f"Franchisee {number} LLP",
                "business_type": "llp",
                "email": f"owner{number}@site.example",
                "phone": f"+9198000{number:05d}",
                "contact_name": "Farhan Shetty",
                "pan": "AAACS1234C",
                "gstin": "29AAACS1234C1Z5",
                "address": {"street1": "12, 100 Feet Road", "street2": "Indiranagar", **place},
                "stakeholder": {"name": "Farhan Shetty", "email": f"owner{number}@site.example", "pan": "AAAPS1234D"},
                "bank": {"account_number": "50100012345678", "ifsc_code": "HDFC0000317", "beneficiary_name": "F Shetty"},
                "commission_bps": 1000,
            },
        )
        await self.rest()
        franchisee: dict[str, Any] = await self.api("GET", f"/v1/franchisees/{made['id']}")
        if franchisee["status"] != "ACTIVATED":
            self.razorpay.move_kyc(franchisee["razorpay_account_id"], "activated")
            await self.rest()
            franchisee = await self.api("GET", f"/v1/franchisees/{made['id']}")
        return franchisee

    def pay(self, site: Site, amount_paise: int, *, connector: int = 1, vpa: str = "rahul@okhdfcbank", **more: Any) -> str:
        """A rider scans the printed QR code and pays; returns Razorpay's payment id. The webhook is on its way."""
        code = site.qr_codes[connector]["razorpay_qr_code_id"]
        paid = self.razorpay.pay(code, QrPayment(amount=amount_paise, vpa=vpa, **more))
        payment_id: str = paid["payment"]["id"] if "payment" in paid else paid["id"]
        return payment_id

    async def payment(self, razorpay_payment_id: str) -> dict[str, Any]:
        """A payment with its bill and refunds, as the API shows it."""
        found = await self.found(f"/v1/payments?razorpay_payment_id={razorpay_payment_id}")
        payment: dict[str, Any] = await self.api("GET", f"/v1/payments/{found['id']}")
        return payment

    async def transaction(self, transaction_id: str) -> dict[str, Any]:
        """A transaction as the API shows it."""
        transaction: dict[str, Any] = await self.api("GET", f"/v1/transactions/{transaction_id}")
        return transaction

    async def audit_of(self, transaction_id: str) -> list[tuple[str, str | None, str | None]]:
        """(action, state before, state after) of every audit event of a transaction, as charging announced them."""
        connection = await asyncpg.connect(self.dsn)
        try:
            bodies = await connection.fetch(
                "SELECT body FROM charging.outbox WHERE type = 'charging.audit_recorded.v1' AND subject = $1 ORDER BY id",
                f"transaction/{transaction_id.removeprefix('txn_')}",
            )
        finally:
            await connection.close()
        records = [json.loads(row["body"]) for row in bodies]
        return [(r["action"], (r["before"] or {}).get("state"), (r["after"] or {}).get("state")) for r in records]

    # -- after every test

    async def dead_letters(self) -> dict[str, int]:
        """Queues with parked messages, and how many."""
        counts = await list_dead(self.broker_url(ADMIN), [queue.name for queue in TOPOLOGY.queues])
        return {queue: count for queue, count in counts.items() if count}
