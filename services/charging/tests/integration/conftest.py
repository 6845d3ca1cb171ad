"""Charging as it runs, over a real PostgreSQL, RabbitMQ and Redis, on a clock that moves only when the test says so.

The tests play the gateway and payments: they publish contract events into the chargers' lanes, and read what charging announces.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest
from aiormq.abc import DeliveredMessage

from charging.app import ChargingService, create_app
from charging.settings import ChargingSettings
from chassis.database.migrate import migrate
from chassis.messaging import Bus, Subscription
from chassis.runtime import Service, SystemIds
from chassis.telemetry import Telemetry
from chassis.web import PrincipalSigner, Role
from chassis.web.principal import Principal
from contracts import Contract, contract_for
from contracts.base import LaneEvent
from contracts.charging import StartRequested
from contracts.ocpp_gateway import (
    BootNotificationReceived,
    ChargePointConnected,
    ChargePointDisconnected,
    CommandCompleted,
    CommandOutcome,
    CommandSendRequested,
    DisconnectReason,
    MeterValue,
    MeterValuesReceived,
    SampledValue,
    StartTransactionDecision,
    StartTransactionReceived,
    StatusNotificationReceived,
    StopTransactionReceived,
)
from contracts.topology import GATEWAYS_EXCHANGE, QUORUM, address_from, gateway_queue
from testkit.broker import Broker, fresh_broker
from testkit.clock import SteppingClock, take_turns
from testkit.servers import Servers, database_address, fresh_database

MIGRATIONS = Path(__file__).parents[2] / "migrations"
GATEWAY = "gw-1"
KEPT_TABLES = ("alembic_version",)


@pytest.fixture(scope="session")
async def database(servers: Servers) -> AsyncIterator[tuple[str, str]]:
    """(administrator's, service's) address of one migrated database for all tests of charging."""
    async with fresh_database(servers.postgres.dsn) as dsn:
        await migrate(dsn, schema="charging", password="charging", migrations=MIGRATIONS)
        yield dsn, database_address(dsn, dsn.rsplit("/", 1)[1], user="voltlync_charging", password="charging")


@pytest.fixture(scope="session")
async def broker(servers: Servers) -> AsyncIterator[Broker]:
    """A vhost of charging's tests."""
    async with fresh_broker(servers) as broker:
        yield broker


@dataclass
class World:
    """Charging, and the gateway and payments around it."""

    service: ChargingService
    outside: Service
    bus: Bus
    clock: SteppingClock
    http: aiohttp.ClientSession
    admin: "asyncpg.Connection[Any]"
    signer: PrincipalSigner
    settings: ChargingSettings
    commands: list[CommandSendRequested] = field(default_factory=list)
    published: int = 0

    async def settle(self) -> None:
        """Return when nothing more happens without time passing: lanes and outbox empty, no work in progress."""
        still = 0
        while still < 2:
            await asyncio.sleep(0.003)
            await self.service.work.idle()
            row = await self.admin.fetchrow(
                """SELECT count(*) FILTER (WHERE published_at IS NULL) AS waiting,
                          count(*) FILTER (WHERE exchange = 'charging.lanes' AND published_at IS NOT NULL) AS lanes,
                          count(*) FILTER (WHERE exchange = 'charging.gateways') AS commands
                   FROM charging.outbox"""
            )
            quiet = (
                row["waiting"] == 0
                and self.settled() >= self.published + row["lanes"]
                and len(self.commands) >= row["commands"]
                and self.service.work.count() == 0
            )
            still = still + 1 if quiet else 0

    def settled(self) -> int:
        """Messages of the lanes that the service has acknowledged."""
        return int(
            sum(
                sample.value
                for metric in self.service.app.bus.settled.collect()
                for sample in metric.samples
                if sample.name.endswith("_total") and sample.labels["queue"].startswith("charging.lane.")
            )
        )

    async def forget(self) -> None:
        """Empty all tables; what was sent before is no longer expected."""
        rows = await self.admin.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'charging'")
        tables = [f"charging.{row['tablename']}" for row in rows if row["tablename"] not in KEPT_TABLES]
        await self.admin.execute(f"TRUNCATE {', '.join(tables)}")
        self.commands.clear()
        self.published = self.settled()

    async def send(self, event: LaneEvent, *, message_id: str | None = None, traceparent: str | None = None) -> None:
        """Put one event into its charger's lane, and wait for all that follows."""
        await self.put(event, message_id=message_id, traceparent=traceparent)
        await self.settle()

    async def put(self, event: LaneEvent, *, message_id: str | None = None, traceparent: str | None = None) -> None:
        """Put one event into its charger's lane."""
        del traceparent
        sender = "payments" if isinstance(event, StartRequested) else "ocpp_gateway"
        self.published += 1
        await self.bus.publish(event, to=address_from(sender)(event), message_id=message_id)

    async def ask_start(self, event: StartTransactionReceived) -> StartTransactionDecision:
        """A StartTransaction as the gateway asks it; the decision."""
        self.published += 1
        decision = await self.bus.ask(
            event, to=address_from("ocpp_gateway")(event), answer=StartTransactionDecision, timeout_seconds=600
        )
        await self.settle()
        return decision

    async def pass_time(self, seconds: float) -> None:
        """Step the clock, every sweep on the way included."""
        await self.clock.advance(seconds)

    async def down_for(self, seconds: float) -> None:
        """Charging is stopped, time passes, charging starts again."""
        await self.service.stop()
        self.clock.settle = take_turns
        await self.clock.advance(seconds)
        self.service = create_app(self.settings, clock=self.clock, ids=SystemIds())
        self.published = await self.admin.fetchval(
            "SELECT -count(*) FROM charging.outbox WHERE exchange = 'charging.lanes' AND published_at IS NOT NULL"
        )
        self.clock.settle = self.settle
        await self.service.start()
        await self.settle()

    async def said(self, *kinds: type[Contract]) -> list[Any]:
        """What charging has announced of these types, oldest first."""
        rows = await self.admin.fetch(
            "SELECT type, body FROM charging.outbox WHERE type = ANY($1) ORDER BY id", [kind.TYPE for kind in kinds]
        )
        return [contract_for(row["type"]).model_validate_json(row["body"]) for row in rows]  # type: ignore[union-attr]

    async def row(self, statement: str, *args: Any) -> dict[str, Any]:
        """One row of the schema charging."""
        found = await self.admin.fetchrow(statement, *args)
        assert found is not None, statement
        return dict(found)

    async def transaction(self, transaction_id: int) -> dict[str, Any]:
        """A transaction's row."""
        return await self.row("SELECT * FROM charging.transactions WHERE id = $1", transaction_id)

    async def call(self, method: str, path: str, *, role: Role = Role.ADMIN, status: int | None = None, **kwargs: Any) -> Any:
        """Call the REST surface as somebody of this role; the JSON answer."""
        franchisee = kwargs.pop("franchisee_id", None)
        principal = Principal("staff|1", frozenset({role}), franchisee_id=franchisee)
        bare = path.partition("?")[0]
        headers = self.signer.headers(principal, audience="charging", method=method, path=bare, now=self.clock.now())
        async with self.http.request(
            method, f"{self.service.web.url}{path}", headers=headers | kwargs.pop("headers", {}), **kwargs
        ) as answer:
            body = await answer.read()
            if status is not None:
                assert answer.status == status, body
            else:
                assert answer.status < 300, body
            return json.loads(body) if body else None

    async def charger(self, name: str = "CP-1", *, kind: str = "type2", rated_power_w: int = 7400) -> "Charger":
        """A charger at a new station, with a tariff of 18 rupees a kWh and 18 % GST; not connected yet."""
        station = await self.admin.fetchval(
            "INSERT INTO charging.stations (name, franchisee_id, created_at, updated_at) VALUES ('S', 5, $1, $1) RETURNING id",
            self.clock.now(),
        )
        charger_id = await self.admin.fetchval(
            "INSERT INTO charging.chargers (charge_point_id, station_id, connector_kind, rated_power_w, password_salt,"
            " password_hash, created_at, updated_at) VALUES ($1, $2, $3, $4, '', '', $5, $5) RETURNING id",
            name,
            station,
            kind,
            rated_power_w,
            self.clock.now(),
        )
        await self.admin.execute(
            "INSERT INTO charging.tariffs (station_id, name, paise_per_kwh, gst_bps, effective_from, created_at)"
            " VALUES ($1, 'day', 1800, 1800, $2, $2)",
            station,
            self.clock.now() - timedelta(days=1),
        )
        return Charger(self, name, charger_id, station)


@dataclass
class Charger:
    """One charger as its gateway sees it: each method is a frame or the socket's fate."""

    world: World
    name: str
    id: int
    station_id: int
    epoch: int = 0
    seq: int = 0
    starts: int = 0

    def head(self) -> dict[str, Any]:
        """Identity and receive time of the next event."""
        self.seq += 1
        return {
            "charge_point_id": self.name,
            "epoch": self.epoch,
            "seq": self.seq,
            "received_at": self.world.clock.now(),
            "gateway": GATEWAY,
        }

    async def connect(self, *, boot: bool = True, status: str | None = "Preparing") -> None:
        """A new socket, with what a charger says first."""
        self.epoch = max(self.epoch + 1, int(self.world.clock.now().timestamp() * 1_000_000))
        self.seq = -1
        await self.world.send(ChargePointConnected(**self.head()))
        if boot:
            await self.boot()
        if status is not None:
            await self.status(status)

    async def boot(self) -> None:
        await self.world.send(BootNotificationReceived(**self.head(), charge_point_vendor="Acme", charge_point_model="One"))

    async def disconnect(self, reason: DisconnectReason = DisconnectReason.CLOSED) -> None:
        await self.world.send(ChargePointDisconnected(**self.head(), reason=reason))

    async def status(self, status: str, *, connector_id: int = 1, error_code: str = "NoError") -> None:
        await self.world.send(
            StatusNotificationReceived(**self.head(), connector_id=connector_id, status=status, error_code=error_code)
        )

    async def pay(
        self, key: str = "qr_payment_1", *, budget_paise: int = 10_000, fee_paise: int = 236, connector_id: int = 1
    ) -> None:
        """Payments asks for a session."""
        await self.world.send(
            StartRequested(
                charge_point_id=self.name,
                request_key=key,
                connector_id=connector_id,
                budget_paise=budget_paise,
                platform_fee_paise=fee_paise,
                payer_reference="rider_1",
                deadline=self.world.clock.now() + timedelta(seconds=120),
            )
        )

    def last_command(self, action: str) -> CommandSendRequested:
        """The newest command of this action that charging sent to this charger."""
        return next(c for c in reversed(self.world.commands) if c.action == action and c.charge_point_id == self.name)

    def sent(self, action: str) -> list[CommandSendRequested]:
        """All commands of this action that charging sent to this charger."""
        return [c for c in self.world.commands if c.action == action and c.charge_point_id == self.name]

    async def answer(
        self, command: CommandSendRequested, status: str = "Accepted", *, outcome: CommandOutcome = CommandOutcome.ANSWERED
    ) -> None:
        """The charger answers a command, or it comes to nothing."""
        response = {"status": status} if outcome is CommandOutcome.ANSWERED else None
        await self.world.send(
            CommandCompleted(
                **self.head(), command_id=command.command_id, action=command.action, outcome=outcome, response=response
            )
        )

    def start_event(self, id_tag: str, *, meter_start_wh: int = 1000, connector_id: int = 1) -> StartTransactionReceived:
        self.starts += 1
        return StartTransactionReceived(
            **self.head(),
            connector_id=connector_id,
            id_tag=id_tag,
            meter_start_wh=meter_start_wh,
            timestamp=self.world.clock.now(),
            timestamp_text=f"{self.world.clock.now():%Y-%m-%dT%H:%M:%SZ}",
        )

    async def start(self, id_tag: str, *, meter_start_wh: int = 1000, connector_id: int = 1) -> StartTransactionDecision:
        return await self.world.ask_start(self.start_event(id_tag, meter_start_wh=meter_start_wh, connector_id=connector_id))

    async def start_paid(self, key: str = "qr_payment_1", *, budget_paise: int = 10_000, meter_start_wh: int = 1000) -> int:
        """Pay, have the RemoteStart accepted, start; the transaction's id."""
        await self.pay(key, budget_paise=budget_paise)
        command = self.last_command("RemoteStartTransaction")
        await self.answer(command)
        return (await self.start(command.payload["idTag"], meter_start_wh=meter_start_wh)).transaction_id

    def meter_event(
        self,
        transaction_id: int | None,
        energy_wh: int,
        *,
        power_w: int | None = None,
        connector_id: int = 1,
        at: datetime | None = None,
    ) -> MeterValuesReceived:
        samples = [SampledValue(value=str(energy_wh), unit="Wh")]
        if power_w is not None:
            samples.append(SampledValue(value=str(power_w), measurand="Power.Active.Import", unit="W"))
        return MeterValuesReceived(
            **self.head(),
            connector_id=connector_id,
            transaction_id=transaction_id,
            meter_value=(MeterValue(timestamp=at or self.world.clock.now(), sampled_value=tuple(samples)),),
        )

    async def meter(self, transaction_id: int | None, energy_wh: int, **kwargs: Any) -> None:
        await self.world.send(self.meter_event(transaction_id, energy_wh, **kwargs))

    async def charge(self, transaction_id: int, *, from_wh: int, seconds: int, power_w: int, every: int = 30) -> int:
        """Charge at a steady power, reporting now and then; the register afterwards."""
        for elapsed in range(every, seconds + 1, every):
            await self.world.pass_time(every)
            await self.meter(transaction_id, from_wh + power_w * elapsed // 3600, power_w=power_w)
        return from_wh + power_w * seconds // 3600

    async def stop(
        self, transaction_id: int | None, meter_stop_wh: int | None, reason: str = "EVDisconnected", **more: Any
    ) -> None:
        await self.world.send(
            StopTransactionReceived(
                **self.head(),
                transaction_id=transaction_id,
                meter_stop_wh=meter_stop_wh,
                timestamp=self.world.clock.now(),
                reason=reason,
                **more,
            )
        )


@pytest.fixture(scope="module")
def sweep_seconds() -> float:
    """How often deadlines are swept; a module whose tests let much time pass may sweep less often."""
    return 1


@pytest.fixture(scope="module")
async def running_world(
    servers: Servers, database: tuple[str, str], broker: Broker, sweep_seconds: float
) -> AsyncIterator[World]:
    """A started service, for the tests of a module."""
    admin_dsn, dsn = database
    admin = await asyncpg.connect(admin_dsn)
    clock = SteppingClock()
    signer = PrincipalSigner.generate()
    settings = ChargingSettings(
        amqp_url=broker.url_for("charging"),
        database_url=dsn,
        redis_url=servers.redis.url,
        principal_public_key=signer.public_key,
        deadline_sweep_seconds=sweep_seconds,
        configuration_enabled=False,  # its conversation is held over the real gateway: tests/field/test_charger_care.py
    )
    service = create_app(settings, clock=clock, ids=SystemIds())
    outside = Service("outside", clock=clock)
    telemetry = Telemetry(settings, service="outside")
    bus = outside.add(Bus(broker.url, app_id="ocpp_gateway", service=outside, telemetry=telemetry))
    await outside.start()
    async with aiohttp.ClientSession() as http:
        world = World(service, outside, bus, clock, http, admin, signer, settings)

        def arrived(message: DeliveredMessage) -> None:
            world.commands.append(CommandSendRequested.model_validate_json(message.body))
            outside.tasks.start("ack", subscription.ack(message))

        async def declare_queue(channel: Any) -> None:
            await channel.queue_declare(gateway_queue(GATEWAY), durable=True, arguments=QUORUM)
            await channel.queue_bind(gateway_queue(GATEWAY), GATEWAYS_EXCHANGE, GATEWAY)
            await channel.queue_purge(gateway_queue(GATEWAY))

        subscription = Subscription(gateway_queue(GATEWAY), arrived, prefetch=100, declare=declare_queue)
        await bus.subscribe(subscription)
        await world.forget()
        clock.settle = world.settle
        await service.start()
        await world.settle()
        try:
            yield world
        finally:
            await world.service.stop()
            await outside.stop()
            await admin.close()


@pytest.fixture
async def world(running_world: World) -> World:
    """The service with empty tables."""
    await running_world.settle()
    await running_world.forget()
    return running_world
