"""From a rider's payment at the sandbox to RemoteStartTransaction on the charger's socket: in quiet, and behind a fleet.

    python -m tests.load payments [--payments 40] [--fleet 1500]

A fleet that connects and leaves all at once fills the chargers' lanes with its news; the next rider's payment must not wait
for all of it. The first payment after the fleet left is told apart. Then the fleet comes and goes once more and nobody pays:
what its news cost charging and PostgreSQL, per event.
"""

import argparse
import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from charger_simulator import ChargePoint
from tests.load.installed import Installed, installed
from tests.load.processes import PASSWORD, drivers, percentile, say
from voltlync.plan import Installation
from voltlync.world import Addresses, Json, World, until

WAIT_SECONDS_MAX = 60.0
"""Longest wait for one payment's RemoteStart, and for the fleet's news: a bench that hangs says nothing."""

EVENTS_OF_A_VISIT = 3
"""Connected, Boot, disconnected."""

LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Latency:
    """In ms."""

    first: float
    """Of the first payment: right after whatever came before."""
    p50: float
    p99: float


def addresses(installation: Installation) -> Addresses:
    """Where the bench's administrator and payer call."""
    return Addresses(
        door_url=installation.door_url,
        ocpp_url=installation.ocpp_url,
        razorpay_url=installation.razorpay_url,
        identity_url=installation.identity_url,
        chargers_url="",
        admin_amqp_url=installation.servers.rabbitmq.url,
    )


async def _active(world: World, qr_code_id: str) -> Json | None:
    """The QR code once Razorpay has made it."""
    seen: Json = await world.api("GET", f"/v1/qr-codes/{qr_code_id}")
    return seen if seen["status"] == "ACTIVE" else None


async def measure(system: Installed, payments: int, *, skip: int = 0) -> Latency:
    """One payment after the other, each at a charger that has just connected: the last registered ones, but for `skip` of them.

    A charger has one QR code, so each serves for one payment of a run.
    """
    latencies: list[float] = []
    newest_first = "SELECT charge_point_id FROM charging.chargers ORDER BY id DESC LIMIT $1 OFFSET $2"
    rows = await system.query(newest_first, payments, skip)
    async with World.at(addresses(system.installation)) as world:
        for row in rows:
            point = ChargePoint(row["charge_point_id"], system.installation.ocpp_url, password=PASSWORD)
            await point.start()
            try:
                await point.wait_for("StatusNotification")
                made = await world.api("POST", "/v1/qr-codes", {"charge_point_id": row["charge_point_id"], "connector_id": 1})
                code = await until("the QR code", partial(_active, world, made["id"]), seconds_max=30)
                began = time.perf_counter()
                async with asyncio.timeout(WAIT_SECONDS_MAX), asyncio.TaskGroup() as group:
                    arrived = group.create_task(point.wait_for("RemoteStartTransaction"))
                    await world.razorpay("POST", f"/qr/{code['razorpay_qr_code_id']}/pay", {"amount": 10_000, "vpa": "bench@upi"})
                    await arrived
                latencies.append(1000 * (time.perf_counter() - began))
            finally:
                await point.stop()
    first = latencies[0]
    latencies.sort()
    return Latency(first, percentile(latencies, 0.5), percentile(latencies, 0.99))


@dataclass(frozen=True)
class Visit:
    """What a fleet that comes and goes costs, sweeps of the meantime included."""

    seconds: float
    """From its leaving until charging had seen the last one gone."""
    cpu_us: dict[str, float]
    """Of charging and PostgreSQL, per event of the fleet."""


async def visit(system: Installed, fleet: int) -> Visit:
    """The fleet comes and goes, and nobody else is there."""
    before = system.cpu()
    began = datetime.now(UTC)
    async with drivers(system.installation.ocpp_url, fleet, 0, "--idle"):
        left = time.perf_counter()
    seen_gone = "SELECT count(*) FROM charging.chargers WHERE booted_at > $1 AND boot_epoch = epoch AND NOT online"
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while await system.number(seen_gone, began) < fleet:
            await asyncio.sleep(LOOK_SECONDS)
    seconds = time.perf_counter() - left
    events = EVENTS_OF_A_VISIT * fleet
    after = system.cpu()
    return Visit(seconds, {name: 1e6 * (after[name] - before[name]) / events for name in ("charging", "PostgreSQL")})


async def run(payments: int, fleet: int) -> None:
    """Quiet, then right behind a fleet that left, then that fleet alone."""
    async with installed(fleet + 2 * payments) as system:
        quiet = await measure(system, payments)
        say(f"in quiet:          first {quiet.first:.0f} ms, p50 {quiet.p50:.0f} ms, p99 {quiet.p99:.0f} ms")
        async with drivers(system.installation.ocpp_url, fleet, 0, "--idle"):
            say(f"{fleet} chargers are here; now they leave all at once ...")
        behind = await measure(system, payments, skip=payments)
        say(f"behind that fleet: first {behind.first:.0f} ms, p50 {behind.p50:.0f} ms, p99 {behind.p99:.0f} ms")
        alone = await visit(system, fleet)
        parts = ", ".join(f"{name} {value:.0f} µs" for name, value in alone.cpu_us.items())
        say(f"the fleet alone:   seen gone {alone.seconds:.1f} s after it left; CPU per event {parts}")


def main() -> None:
    """Arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--payments", type=int, default=40)
    parser.add_argument("--fleet", type=int, default=1500)
    options = parser.parse_args()
    asyncio.run(run(options.payments, options.fleet))


if __name__ == "__main__":
    main()
