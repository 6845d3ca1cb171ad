"""`make bench`: what a MeterValues costs, what an idle charger weighs, how soon a payment reaches the charger.

    python -m tests.load.bench [--chargers 200] [--seconds 20] [--idle 2000] [--payments 100]

Real processes on private servers with fsync on. CPU is user + system of each process tree, by the operating system's accounting;
the load generator's own is left out. Compare ratios of one run: machines are noisy. Prints Markdown for docs/performance.md.
"""

import argparse
import asyncio
import contextlib
import json
import secrets
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import asyncpg
import psutil

from charger_simulator import ChargePoint
from testkit.servers import Servers, database_address
from testkit.servers.processes import free_port
from voltlync.credentials import Credentials
from voltlync.plan import DATABASE, Installation, Ports
from voltlync.provision import broker_users, provision
from voltlync.supervisor import Child, Supervisor
from voltlync.world import Addresses, Json, World, until

PASSWORD = secrets.token_hex(16)
SETTLE_SECONDS = 120.0
"""Longest wait for the consumers to catch up after the load."""


def say(line: str = "") -> None:
    """Progress and results."""
    print(line, flush=True)


def cpu_seconds(pid: int) -> float:
    """User + system seconds of a process and all that descend from it."""
    total = 0.0
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for member in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                times = member.cpu_times()
                total += times.user + times.system
        times = process.cpu_times()
        total += times.children_user + times.children_system
    return total


def resident_bytes(pid: int) -> int:
    """Resident memory of one process."""
    return int(psutil.Process(pid).memory_info().rss)


@dataclass(frozen=True)
class Drive:
    """What the load generator reported."""

    sent: int
    acknowledged: int
    p50_ms: float
    p99_ms: float


@asynccontextmanager
async def drivers(url: str, chargers: int, seconds: float, *, idle: bool = False) -> AsyncIterator[asyncio.subprocess.Process]:
    """The load generator, connected and waiting for the word."""
    arguments = ["-m", "tests.load.drive", url, str(chargers), PASSWORD, str(seconds), *(["--idle"] if idle else [])]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    line = await process.stdout.readline()
    if line.strip() != b"ready":
        raise RuntimeError(f"the load generator failed: {line!r}")
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def drive(url: str, chargers: int, seconds: float) -> Drive:
    """Connect all, then drive."""
    async with drivers(url, chargers, seconds) as process:
        out, _ = await process.communicate(b"\n")
        return Drive(**json.loads(out.splitlines()[-1]))


async def bare(supervisor: Supervisor, chargers: int, seconds: float, idle: int) -> tuple[Drive, float, float]:
    """(what was driven, CPU seconds, bytes per idle socket) of the bare server."""
    port = free_port()
    await supervisor.start_stage(
        [Child("bare", (sys.executable, "-m", "tests.load.bare_server", str(port)), {}, f"http://127.0.0.1:{port}/readyz")]
    )
    url = f"ws://127.0.0.1:{port}/ocpp"
    pid = supervisor.pid("bare")
    before_bytes = resident_bytes(pid)
    async with drivers(url, idle, 0, idle=True):
        weight = (resident_bytes(pid) - before_bytes) / idle
    before = cpu_seconds(pid)
    driven = await drive(url, chargers, seconds)
    cpu = cpu_seconds(pid) - before
    await supervisor.stop_child("bare")
    return driven, cpu, weight


async def seed(dsn: str, chargers: int) -> None:
    """Chargers with one password, a tariff, a staff tag that may start: straight into charging's tables, as only a bench may."""
    salt = secrets.token_hex(16)
    digest = sha256(salt.encode() + PASSWORD.encode()).hexdigest()
    connection = await asyncpg.connect(dsn)
    try:
        station = await connection.fetchval(
            "INSERT INTO charging.stations (name, created_at, updated_at) VALUES ('Bench', now(), now()) RETURNING id"
        )
        await connection.execute(
            "INSERT INTO charging.tariffs (name, paise_per_kwh, gst_bps, effective_from, created_at)"
            " VALUES ('Bench', 1800, 1800, now() - interval '1 day', now())"
        )
        await connection.execute("INSERT INTO charging.id_tags (id_tag, holder, created_at) VALUES ('BENCH', 'the bench', now())")
        await connection.execute(
            "INSERT INTO charging.chargers (charge_point_id, station_id, connector_kind, rated_power_w, password_salt,"
            " password_hash, created_at, updated_at)"
            " SELECT 'BENCH-' || lpad(n::text, 5, '0'), $1, 'type2', 22000, $2, $3, now(), now()"
            " FROM generate_series(0, $4 - 1) n",
            station,
            salt,
            digest,
            chargers,
        )
    finally:
        await connection.close()


async def stored(dsn: str) -> int:
    """MeterValues messages whose samples are in Postgres."""
    connection = await asyncpg.connect(dsn)
    try:
        return int(
            await connection.fetchval(
                "SELECT count(*) FROM (SELECT DISTINCT charger_id, epoch, seq FROM charging.meter_values) m"
            )
        )
    finally:
        await connection.close()


async def whole_path(
    installation: Installation, supervisor: Supervisor, dsn: str, chargers: int, seconds: float
) -> dict[str, Any]:
    """Drive the gateway, wait until the consumers have caught up, and say what each part's CPU was."""
    servers: Any = installation.servers
    pids = {
        "gateway": supervisor.pid("ocpp_gateway"),
        "charging": supervisor.pid("charging"),
        "RabbitMQ": servers.rabbitmq.pid,
        "PostgreSQL": servers.postgres.pid,
        "Redis": servers.redis.pid,
    }
    before_rows = await stored(dsn)
    async with drivers(installation.ocpp_url, chargers, seconds) as process:
        before = {name: cpu_seconds(pid) for name, pid in pids.items()}
        began = time.monotonic()
        out, _ = await process.communicate(b"\n")
    driven = Drive(**json.loads(out.splitlines()[-1]))
    rows = 0
    while time.monotonic() - began < seconds + SETTLE_SECONDS:
        rows = await stored(dsn) - before_rows
        if rows >= driven.acknowledged:
            break
        await asyncio.sleep(0.5)
    caught_up = time.monotonic() - began
    cpu = {name: cpu_seconds(pid) - before[name] for name, pid in pids.items()}
    return {"driven": driven, "rows": rows, "seconds": caught_up, "cpu": cpu}


async def idle_weight(installation: Installation, supervisor: Supervisor, count: int) -> float:
    """Bytes per idle charger at the gateway."""
    pid = supervisor.pid("ocpp_gateway")
    before = resident_bytes(pid)
    async with drivers(installation.ocpp_url, count, 0, idle=True):
        return (resident_bytes(pid) - before) / count


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


async def active(world: World, qr_code_id: str) -> Json | None:
    """The QR code once Razorpay has made it."""
    seen: Json = await world.api("GET", f"/v1/qr-codes/{qr_code_id}")
    return seen if seen["status"] == "ACTIVE" else None


async def payment_latency(installation: Installation, dsn: str, payments: int) -> tuple[float, float]:
    """(p50, p99) in ms from a rider's payment at the sandbox to RemoteStartTransaction on the charger's socket."""
    latencies: list[float] = []
    async with World.at(addresses(installation)) as world:
        connection = await asyncpg.connect(dsn)
        rows = await connection.fetch("SELECT id, charge_point_id FROM charging.chargers ORDER BY id DESC LIMIT $1", payments)
        await connection.close()
        for row in rows:
            point = ChargePoint(row["charge_point_id"], installation.ocpp_url, password=PASSWORD)
            await point.start()
            try:
                await point.wait_for("StatusNotification")
                made = await world.api("POST", "/v1/qr-codes", {"charge_point_id": row["charge_point_id"], "connector_id": 1})
                code = await until("the QR code", partial(active, world, made["id"]), seconds_max=30)
                began = time.perf_counter()
                async with asyncio.timeout(30), asyncio.TaskGroup() as group:
                    arrived = group.create_task(point.wait_for("RemoteStartTransaction"))
                    await world.razorpay("POST", f"/qr/{code['razorpay_qr_code_id']}/pay", {"amount": 10_000, "vpa": "bench@upi"})
                    await arrived
                latencies.append(1000 * (time.perf_counter() - began))
            finally:
                await point.stop()
    latencies.sort()
    return latencies[len(latencies) // 2], latencies[int(len(latencies) * 0.99)]


async def run(chargers: int, seconds: float, idle: int, payments: int) -> None:
    """All of it."""
    with tempfile.TemporaryDirectory(prefix="voltlync-bench-") as folder:
        directory = Path(folder)
        credentials = Credentials.make()
        servers = Servers.throwaway(broker_users=broker_users(credentials), durable=True)
        supervisor = Supervisor(directory / "logs")
        try:
            say("Starting servers ...")
            await asyncio.to_thread(servers.start)
            installation = Installation(servers=servers, credentials=credentials, ports=Ports.free(), data=directory / "data")
            installation.data.mkdir()
            await provision(installation)
            dsn = database_address(servers.postgres.dsn, DATABASE)
            await seed(dsn, max(chargers, idle) + payments)
            say(f"The bare server: {idle} idle sockets, then {chargers} chargers for {seconds:.0f} s ...")
            bare_driven, bare_cpu, bare_weight = await bare(supervisor, chargers, seconds, idle)
            say("Starting services ...")
            for stage in (installation.simulators(), installation.services(), installation.doors()):
                await supervisor.start_stage(stage)
            say(f"The whole path: {chargers} chargers for {seconds:.0f} s ...")
            whole = await whole_path(installation, supervisor, dsn, chargers, seconds)
            say(f"The gateway: {idle} idle chargers ...")
            weight = await idle_weight(installation, supervisor, idle)
            say(f"{payments} payments, one after the other ...")
            p50, p99 = await payment_latency(installation, dsn, payments)
        finally:
            await supervisor.stop()
            await asyncio.to_thread(servers.stop)
    report(bare_driven, bare_cpu, bare_weight, whole, weight, (p50, p99))


def report(
    bare_driven: Drive, bare_cpu: float, bare_weight: float, whole: dict[str, Any], weight: float, latency: tuple[float, float]
) -> None:
    """Markdown."""
    driven: Drive = whole["driven"]
    rows, cpu = whole["rows"], whole["cpu"]
    total = sum(cpu.values())
    bare_us = 1e6 * bare_cpu / bare_driven.acknowledged
    gateway_us = 1e6 * cpu["gateway"] / rows
    say()
    say("| MeterValues of 965 bytes | |")
    say("| --- | --- |")
    say(
        f"| acknowledged by the gateway | {driven.acknowledged} of {driven.sent} sent,"
        f" p50 {driven.p50_ms:.1f} ms, p99 {driven.p99_ms:.1f} ms |"
    )
    say(f"| **stored in Postgres** | **{rows}**, all {whole['seconds']:.1f} s after the start |")
    say(f"| stored per second | {rows / whole['seconds']:.0f} |")
    say(f"| stored per CPU-second, everything counted | {rows / total:.0f} |")
    say(f"| CPU per stored MeterValues, whole path | {1e3 * total / rows:.3f} ms (aim: 0.4) |")
    for name, value in cpu.items():
        say(f"| … of it {name} | {1e6 * value / rows:.0f} µs |")
    say(f"| bare aiohttp server, CPU per message | {bare_us:.0f} µs at {bare_driven.acknowledged} messages |")
    say(f"| gateway ÷ bare server | {gateway_us / bare_us:.1f} (aim: 4) |")
    say(f"| memory per idle charger | gateway {weight / 1024:.1f} KiB, bare server {bare_weight / 1024:.1f} KiB |")
    say(f"| payment at Razorpay → RemoteStart on the socket | p50 {latency[0]:.0f} ms, p99 {latency[1]:.0f} ms |")
    if rows < driven.acknowledged:
        say(f"\n**LOST: {driven.acknowledged - rows} acknowledged MeterValues are not in Postgres.**")
        raise SystemExit(1)


def main() -> None:
    """Arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chargers", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--idle", type=int, default=2000)
    parser.add_argument("--payments", type=int, default=100)
    options = parser.parse_args()
    asyncio.run(run(options.chargers, options.seconds, options.idle, options.payments))


if __name__ == "__main__":
    main()
