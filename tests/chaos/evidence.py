"""What is known when all is over, from four witnesses: the bank (sandbox), our tables, the broker, and the charge points.

`gather` reads them; `tests.chaos.invariants` judges. Nothing here asks a service: a service that lies about itself is found out.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import aio_pika
import asyncpg

from charger_simulator import ChargePoint
from contracts.topology import gateway_credentials_queue, gateway_queue, plan
from razorpay_simulator.state import State
from voltlync.plan import DATABASE_SERVICES

Row = dict[str, Any]

# What is read of the tables; every query in one snapshot, so that no figure is older than its neighbour.
QUERIES = {
    "webhooks": "SELECT razorpay_event_id, event, state, reason FROM payments.webhook_events ORDER BY id",
    "payments": "SELECT * FROM payments.qr_payments ORDER BY id",
    "bills": "SELECT * FROM payments.bills ORDER BY id",
    "refunds": "SELECT * FROM payments.refunds ORDER BY id",
    "residues": "SELECT * FROM payments.residues ORDER BY id",
    "start_requests": "SELECT * FROM charging.start_requests ORDER BY id",
    "transactions": "SELECT * FROM charging.transactions ORDER BY id",
    "commands": "SELECT id, charge_point_id, action, status, deadline_at FROM charging.commands ORDER BY id",
    "franchisees": "SELECT id, status, transfers_enabled FROM settlement.franchisees",
    "entries": "SELECT * FROM settlement.ledger_entries ORDER BY id",
    "transfers": "SELECT * FROM settlement.transfers ORDER BY id",
    "allocations": "SELECT * FROM settlement.allocations ORDER BY transfer_id, ledger_entry_id",
}
READINGS = """
    SELECT c.charge_point_id, m.connector_id, m.charger_at, m.energy_wh
    FROM charging.meter_values m JOIN charging.chargers c ON c.id = m.charger_id
"""
OUTBOX = "SELECT count(*) FROM {schema}.outbox WHERE published_at IS NULL"

GATEWAY = "gw-1"
DEAD_SUFFIX = ".dead"


@dataclass(frozen=True, order=True)
class Reading:
    """One meter value, as both the charge point and `charging.meter_values` know it."""

    charge_point_id: str
    connector_id: int
    at: datetime
    energy_wh: int


@dataclass
class Metered:
    """A transaction as the charge point's own meter saw it. `stopped`: its StopTransaction was acknowledged."""

    meter_start_wh: int
    meter_stop_wh: int
    stopped: bool

    @property
    def delivered_wh(self) -> int:
        return self.meter_stop_wh - self.meter_start_wh


@dataclass
class Witnessed:
    """What the charge points remember."""

    acknowledged: Counter[Reading] = field(default_factory=Counter)
    """MeterValues that got a CALLRESULT."""
    sent: set[Reading] = field(default_factory=set)
    """All MeterValues, answered or not."""
    metered: dict[int, Metered] = field(default_factory=dict)
    """By OCPP transactionId."""
    unsent: Counter[str] = field(default_factory=Counter)
    """Transaction messages that a charge point still has to get rid of."""
    running: list[str] = field(default_factory=list)
    """Charge points in the middle of a transaction."""


@dataclass
class Evidence:
    """Everything. Tables are lists of rows by the names in QUERIES."""

    paid: dict[str, int]
    """Razorpay payment id → paise, as the riders remember it."""
    bank: State
    tables: dict[str, list[Row]]
    stored: Counter[Reading]
    unpublished: dict[str, int]
    """Service → messages in its outbox."""
    queues: dict[str, int]
    """Queue → messages waiting; without the dead letters."""
    dead: dict[str, int]
    """Queue → messages given up."""
    points: Witnessed


async def gather(
    *, paid: dict[str, int], dsn: str, amqp_url: str, bank_file: Path, charge_points: Iterable[ChargePoint]
) -> Evidence:
    """Ask all witnesses now. `dsn` and `amqp_url` are administrators' addresses."""
    # The charge points first: what they know to be acknowledged must be stored by the time that the tables are read.
    points = witness(charge_points)
    waiting, dead = await _queues(amqp_url)
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            tables = {name: [dict(row) for row in await connection.fetch(query)] for name, query in QUERIES.items()}
            stored = Counter(Reading(*row) for row in await connection.fetch(READINGS))
            unpublished = {
                schema: await connection.fetchval(OUTBOX.format(schema=schema)) for schema in await _schemas(connection)
            }
    finally:
        await connection.close()
    return Evidence(
        paid=dict(paid),
        bank=State.load(bank_file),
        tables=tables,
        stored=stored,
        unpublished={schema: count for schema, count in unpublished.items() if count},
        queues=waiting,
        dead=dead,
        points=points,
    )


async def _schemas(connection: asyncpg.Connection) -> list[str]:
    """The services that keep an outbox so far."""
    rows = await connection.fetch("SELECT schemaname FROM pg_tables WHERE tablename = 'outbox'")
    return sorted(row["schemaname"] for row in rows if row["schemaname"] in DATABASE_SERVICES)


async def _queues(amqp_url: str) -> tuple[dict[str, int], dict[str, int]]:
    """Messages ready in every queue: working ones, and dead letters."""
    names = [name for name, _ in plan().queues] + [gateway_queue(GATEWAY), gateway_credentials_queue(GATEWAY)]
    waiting: dict[str, int] = {}
    dead: dict[str, int] = {}
    connection = await aio_pika.connect(amqp_url)
    async with connection:
        channel = await connection.channel()
        for name in names:
            declared = await channel.declare_queue(name, passive=True)
            if count := declared.declaration_result.message_count or 0:
                (dead if name.endswith(DEAD_SUFFIX) else waiting)[name] = count
    return waiting, dead


def witness(charge_points: Iterable[ChargePoint]) -> Witnessed:
    """What the charge points' own records say."""
    seen = Witnessed()
    for point in charge_points:
        if len(point.exchanges) == point.exchanges.maxlen:
            raise AssertionError(f"{point.id} has forgotten its first exchanges: give it a larger Settings.log_size")
        starts: dict[int, int] = {}
        stops: dict[int, tuple[int, bool]] = {}
        for exchange in point.exchanges:
            if exchange.direction != "out":
                continue
            request, response = exchange.request, exchange.response
            if exchange.action == "MeterValues":
                readings = list(_readings(point.id, request))
                seen.sent.update(readings)
                if response is not None:
                    seen.acknowledged.update(readings)
            elif exchange.action == "StartTransaction" and response is not None:
                starts[response["transactionId"]] = request["meterStart"]
            elif exchange.action == "StopTransaction" and request:
                stops[request["transactionId"]] = (request["meterStop"], response is not None)
        now_wh = {connector.id: connector.meter_wh for connector in point.connectors.values()}
        for transaction_id, meter_start_wh in starts.items():
            meter_stop_wh, stopped = stops.get(transaction_id, (max(now_wh.values()), False))
            seen.metered[transaction_id] = Metered(meter_start_wh, meter_stop_wh, stopped)
        if point.outbox.transactional:
            seen.unsent[point.id] = len(point.outbox.transactional)
        for item in point.outbox.transactional:
            if item.action == "MeterValues":
                seen.sent.update(_readings(point.id, item.build()))
        seen.running += [point.id for connector in point.connectors.values() if connector.transaction is not None]
    return seen


def _readings(charge_point_id: str, request: Row) -> Sequence[Reading]:
    return [
        Reading(charge_point_id, request["connectorId"], datetime.fromisoformat(value["timestamp"]), int(sample["value"]))
        for value in request.get("meterValue", ())
        for sample in value["sampledValue"]
        if sample["measurand"] == "Energy.Active.Import.Register"
    ]
