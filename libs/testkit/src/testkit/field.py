"""The field's side of VoltLync: a gateway and charging over the real servers, chargers at real sockets, one stepping clock.

Payments is played: `field.paid_start` puts the start request into the lane that payments would put there. What charging says of
a session is read from its REST surface and from what it announced. Tests are kept apart by charger.
"""

import asyncio
import itertools
import json
import secrets
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from charger_simulator import ChargePoint
from charging.app import create_app as create_charging
from charging.settings import ChargingSettings
from chassis.database.migrate import migrate, role_of
from chassis.messaging import Bus
from chassis.messaging.declare import declare
from chassis.runtime import Service, SystemIds
from chassis.sealing import SealingBox
from chassis.telemetry import Telemetry
from chassis.web import PrincipalSigner, Role
from chassis.web.principal import Principal
from contracts.charging import StartRequested
from contracts.topology import address_from, plan
from ocpp_gateway.app import create_app as create_ocpp_gateway
from ocpp_gateway.settings import GatewaySettings
from testkit.bare_charger import GUARD_SECONDS, BareCharger
from testkit.clock import SteppingClock
from testkit.quiet import Quiet
from testkit.servers import Servers
from testkit.servers.postgres import database_address
from testkit.servers.processes import free_port
from testkit.servers.rabbitmq import ADMIN

ROOT = Path(__file__).parents[4]
START_DEADLINE_SECONDS = 120
PAID_PAISE = 10_000


@dataclass
class Outlet:
    """A charger as charging knows it, and the simulated charge point at its socket."""

    id: str
    """chg_…"""
    charge_point_id: str
    password: str
    station_id: str
    point: ChargePoint


class Field:
    """See the module."""

    def __init__(self, servers: Servers, vhost: str, dsn: str, directory: Path, *, clock: SteppingClock | None = None) -> None:
        self.servers = servers
        self.vhost = vhost
        self.dsn = dsn
        self.directory = directory
        self.clock = clock if clock is not None else SteppingClock()
        self.signer = PrincipalSigner.generate()
        self._numbers = itertools.count(1)
        self._services: list[Service] = []

    # -- life

    async def start(self) -> None:
        """Migrate, declare, start."""
        password = secrets.token_urlsafe(12)
        await migrate(self.dsn, schema="charging", password=password, migrations=ROOT / "services/charging/migrations")
        await declare(self._broker_url(ADMIN), plan())
        self.admin = await asyncpg.connect(self.dsn)
        self.http = aiohttp.ClientSession()
        self.port = free_port()
        common: dict[str, Any] = {
            "principal_public_key": self.signer.public_key,
            "drain_seconds": 5,
            "redis_url": self.servers.redis.url,
            "command_secrets_key": SealingBox.new_key(),
        }
        settings = ChargingSettings(
            **common,
            amqp_url=self._broker_url("charging"),
            database_url=database_address(self.dsn, self.dsn.rsplit("/", 1)[1], user=role_of("charging"), password=password),
            internal_port=free_port(),
        )
        self.charging = create_charging(settings, clock=self.clock, ids=SystemIds())
        self._gateway_settings = GatewaySettings(
            **common,
            amqp_url=self._broker_url("ocpp_gateway"),
            internal_port=free_port(),
            ocpp_port=self.port,
            ocpp_host="127.0.0.1",
            gateway_data_dir=self.directory / "gateway",
            drain_spread_seconds=0,
        )
        self.gateway = create_ocpp_gateway(self._gateway_settings, clock=self.clock, ids=SystemIds())
        payments = Service("payments", clock=self.clock)
        telemetry = Telemetry(settings, service="payments")
        self._payments = payments.add(Bus(self._broker_url("payments"), app_id="payments", service=payments, telemetry=telemetry))
        self._services = [self.charging, self.gateway, payments]
        for service in self._services:
            await service.start()
        self._registries = [_telemetry(service).registry for service in (self.charging, self.gateway)] + [telemetry.registry]
        self.quiet = Quiet(self._services, self._registries, None, consumers=["charging"])
        self.clock.settle = self.quiet

    async def restart_gateway(self) -> None:
        """Our own gateway stops, as in a deployment, and another takes its name, its port and its volume."""
        await self.gateway.stop()
        self.gateway = create_ocpp_gateway(self._gateway_settings, clock=self.clock, ids=SystemIds())
        self._services[1] = self.gateway
        self._registries.append(_telemetry(self.gateway).registry)
        await self.gateway.start()

    async def stop(self) -> None:
        """Chargers leave first."""
        for peer in self.quiet.charge_points:
            await peer.stop()
        for service in reversed(self._services):
            await service.stop()
        await self.http.close()
        await self.admin.close()

    def _broker_url(self, user: str) -> str:
        url: str = self.servers.rabbitmq.url_for(user, vhost=self.vhost)
        return url

    # -- time

    async def rest(self) -> None:
        """Let everything happen that needs no time."""
        await self.quiet()

    async def pass_seconds(self, seconds: float) -> None:
        """Let so much time pass, timer by timer, the world coming to rest after each."""
        await self.clock.advance(seconds, settle=self.quiet)

    # -- chargers

    @property
    def url(self) -> str:
        """Where chargers connect; their id follows."""
        return f"ws://127.0.0.1:{self.port}/ocpp"

    async def outlet(
        self,
        *,
        name: str | None = None,
        connectors: int = 1,
        rated_power_w: int = 7400,
        kind: str = "type2",
        paise_per_kwh: int = 1800,
        gst_bps: int = 1800,
        online: bool = True,
        quirks_of_record: dict[str, Any] | None = None,
        **charge_point: Any,
    ) -> Outlet:
        """A new charger at 18 rupees a kWh and 18 % GST, its simulated charge point booted.

        `quirks_of_record` is what an operator overrides for it; `quirks` is how the simulator misbehaves.
        """
        number = next(self._numbers)
        station = await self.api("POST", "/v1/stations", {"name": f"Station {number}"})
        name = name if name is not None else f"CP-{number:03d}"
        charger = await self.api(
            "POST",
            "/v1/chargers",
            {
                "charge_point_id": name,
                "station_id": station["id"],
                "connector_kind": kind,
                "rated_power_w": rated_power_w,
                "connectors": connectors,
                **({"quirks": quirks_of_record} if quirks_of_record else {}),
            },
        )
        await self.api(
            "POST",
            "/v1/tariffs",
            {"name": "Day", "station_id": station["id"], "paise_per_kwh": paise_per_kwh, "gst_bps": gst_bps},
        )
        await self.rest()
        point = ChargePoint(
            name,
            self.url,
            password=charger["password"],
            connectors=connectors,
            rated_power_w=rated_power_w,
            clock=self.clock,
            **charge_point,
        )
        outlet = Outlet(charger["id"], name, charger["password"], station["id"], point)
        if online:
            await self.bring_online(outlet)
        return outlet

    async def bring_online(self, outlet: Outlet) -> None:
        """The simulated charge point connects and boots."""
        self.quiet.charge_points.append(outlet.point)
        await outlet.point.start()
        await self.pass_seconds(1)

    async def bare(self, outlet: Outlet, **handshake: Any) -> BareCharger:
        """A socket of this charger in the test's own hands: no frame goes out but the test's. See BareCharger.connect."""
        charger = BareCharger(outlet.charge_point_id, outlet.password, self.port)
        await charger.connect(**handshake)
        self.quiet.charge_points.append(charger)
        await self.rest()
        return charger

    def number(self) -> int:
        """One that nobody else in this world has."""
        return next(self._numbers)

    @property
    def silence_seconds(self) -> float:
        """No frame for so long closes a socket."""
        return self._gateway_settings.silence_seconds

    async def until_charger(self, outlet: Outlet, column: str, value: object) -> None:
        """Wait for a fact about a charger whose socket this world does not watch (a raw one)."""
        async with asyncio.timeout(GUARD_SECONDS):
            while (await self.api("GET", f"/v1/chargers/{outlet.id}"))[column] != value:  # noqa: ASYNC110  (it is in a database)
                await asyncio.sleep(0.01)

    async def paid_start(self, outlet: Outlet, *, paise: int = PAID_PAISE, fee_paise: int = 0, connector: int = 1) -> str:
        """A rider has paid: the start request, as payments makes it. Returns its request key."""
        key = f"qr_payment_{next(self._numbers)}"
        event = StartRequested(
            charge_point_id=outlet.charge_point_id,
            request_key=key,
            connector_id=connector,
            budget_paise=paise,
            platform_fee_paise=fee_paise,
            payer_reference=f"payer of {key}",
            deadline=self.clock.now() + timedelta(seconds=START_DEADLINE_SECONDS),
        )
        await self._payments.publish(event, to=address_from("payments")(event))
        await self.rest()
        return key

    async def session(self, *, after_seconds: float = 65, paise: int = PAID_PAISE, **outlet: Any) -> Outlet:
        """A car is plugged in, its rider has paid, and it has charged for a while."""
        made = await self.outlet(**outlet)
        await made.point.plug()
        await self.paid_start(made, paise=paise)
        await self.pass_seconds(after_seconds)
        return made

    # -- what came of it

    async def api(self, method: str, path: str, body: Any = None, *, status: int | None = None, role: Role = Role.ADMIN) -> Any:
        """Call charging's REST surface; the JSON answer. Fails unless the status is as expected (2xx)."""
        principal = Principal("staff|1", frozenset({role}))
        headers = self.signer.headers(
            principal, audience="charging", method=method, path=path.partition("?")[0], now=self.clock.now()
        )
        url = f"{self.charging.web.url}{path}"
        async with self.http.request(method, url, json=body, headers=headers) as answer:
            text = await answer.text()
            fits = answer.status == status if status is not None else answer.status < 300
            assert fits, f"{method} {path} answered {answer.status}: {text}"
            return json.loads(text) if text else None

    async def transactions(self, outlet: Outlet) -> list[dict[str, Any]]:
        """All its transactions, oldest first."""
        page = await self.api("GET", f"/v1/transactions?charger_id={outlet.id}&limit=100")
        return list(reversed(page["items"]))

    async def transaction(self, outlet: Outlet) -> dict[str, Any]:
        """Its only transaction."""
        (found,) = await self.transactions(outlet)
        return found

    async def start_request(self, key: str) -> dict[str, Any]:
        """What became of a paid start."""
        (found,) = (await self.api("GET", f"/v1/start-requests?request_key={key}"))["items"]
        request: dict[str, Any] = found
        return request

    async def tag_of(self, key: str) -> str | None:
        """The idTag that was minted for a paid start; None if it never came so far."""
        tag: str | None = await self.admin.fetchval("SELECT id_tag FROM charging.start_requests WHERE request_key = $1", key)
        return tag

    async def staff_tag(self, tag: str) -> None:
        """A tag that may charge without paying; known already is fine."""
        at = self.clock.now()
        await self.admin.execute(
            "INSERT INTO charging.id_tags (id_tag, holder, created_at) VALUES (upper($1), 'staff', $2) ON CONFLICT DO NOTHING",
            tag,
            at,
        )

    async def connector(self, outlet: Outlet, connector: int = 1) -> dict[str, Any]:
        """A connector as it last reported."""
        found: dict[str, Any] = await self.api("GET", f"/v1/chargers/{outlet.id}/connectors/{connector}")
        return found

    async def command(self, outlet: Outlet, action: str, payload: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send a command and let everything happen that needs no time; the command as it is then."""
        made = await self.api("POST", f"/v1/chargers/{outlet.id}/commands", {"action": action, "payload": payload or {}})
        await self.rest()
        found: dict[str, Any] = await self.api("GET", f"/v1/commands/{made['id']}")
        return found

    async def said(self, type_: str, **fields: Any) -> list[dict[str, Any]]:
        """What charging has announced of this type (a part of its name) with these fields, oldest first."""
        rows = await self.admin.fetch(
            "SELECT convert_from(body, 'UTF8') AS body FROM charging.outbox WHERE type LIKE $1"
            " AND convert_from(body, 'UTF8')::jsonb @> $2::jsonb ORDER BY id",
            f"%{type_}%",
            json.dumps(fields),
        )
        return [json.loads(row["body"]) for row in rows]


def _telemetry(service: Service) -> Telemetry:
    return next(
        part if isinstance(part, Telemetry) else part.telemetry
        for part in service._parts  # noqa: SLF001  (tests look inside)
        if isinstance(part, Telemetry | Bus)
    )
