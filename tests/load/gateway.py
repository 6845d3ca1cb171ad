"""The gateway alone against the bare server, fleet by fleet: what a message and an idle charger cost, from 100 to 5,000.

    python -m tests.load gateway [--chargers 100 500 2000 5000] [--seconds 6] [--profile FILE]

Real RabbitMQ (a quorum queue confirms each event before its charger is answered) and Redis; charging is played as far as
credentials go, nobody consumes the lanes, and at the end the events in them are counted: no answered one may be missing.
"""

import argparse
import asyncio
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import aio_pika
import orjson

from chassis.messaging.declare import declare
from contracts.topology import LANE_QUEUES, permissions, plan
from testkit.servers import BrokerUser, Servers
from testkit.servers.processes import free_port
from tests.load.processes import PASSWORD, bare_server, cpu_seconds, drivers, go, idle_weight, say
from voltlync.supervisor import Child, Supervisor

CHARGERS = (100, 500, 2000, 5000)
COUNT_SECONDS_MAX = 120.0
"""Longest that emptying the lanes may take."""


@dataclass(frozen=True)
class Cost:
    """What one fleet cost one server."""

    chargers: int
    acknowledged: int
    seconds: float
    cpu_us: float
    """Of the server process, user + system, per message."""
    p50_ms: float
    p99_ms: float
    idle_kib: float
    """Resident memory per charger that only stays."""


async def measure(url: str, pid: int, chargers: int, seconds: float) -> Cost:
    """Idle sockets first, then the same number of chargers that send as fast as they are answered."""
    weight = await idle_weight(url, pid, chargers)
    async with drivers(url, chargers, seconds, "--no-start") as process:
        before = cpu_seconds(pid)
        drive = await go(process)
        cpu = cpu_seconds(pid) - before
    return Cost(chargers, drive.acknowledged, seconds, 1e6 * cpu / drive.acknowledged, drive.p50_ms, drive.p99_ms, weight / 1024)


@asynccontextmanager
async def credentials_answered(url: str, chargers: int) -> AsyncIterator[None]:
    """Charging's part: who may come in."""
    digest = sha256(b"salt" + PASSWORD.encode()).hexdigest()
    known = [
        {"charge_point_id": f"BENCH-{number:05d}", "salt": "salt", "password_hash": digest, "version": 1}
        for number in range(chargers)
    ]
    body = orjson.dumps({"credentials": known, "next_after": None})
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()

        async def answer(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            reply = aio_pika.Message(body, correlation_id=message.correlation_id)
            await channel.default_exchange.publish(reply, routing_key=message.reply_to or "", mandatory=False)
            await message.ack()

        await (await channel.declare_queue("charging.credentials", passive=True)).consume(answer)
        yield


async def meter_values_in_lanes(url: str) -> int:
    """MeterValues that the broker holds in the lanes, alone or packed; takes them out."""
    total = seen = waiting = 0
    empty = asyncio.Event()
    wanted = b'"ocpp_gateway.meter_values_received.v1"'
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=200)

        async def count(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            nonlocal total, seen
            packed = len(re.findall(b'"type":' + wanted, message.body))
            total += packed or int(f'"{message.type}"'.encode() == wanted)
            seen += 1
            await message.ack()
            if seen == waiting:
                empty.set()

        queues = [await channel.declare_queue(name, passive=True) for name in LANE_QUEUES]
        waiting = sum(queue.declaration_result.message_count or 0 for queue in queues)
        for queue in queues:
            await queue.consume(count)
        async with asyncio.timeout(COUNT_SECONDS_MAX):
            await empty.wait()
    return total


@asynccontextmanager
async def gateway_alone(
    servers: Servers, supervisor: Supervisor, folder: Path, profile: str | None
) -> AsyncIterator[tuple[str, int]]:
    """(URL, pid) of a gateway with nobody behind it but the broker and Redis."""
    port, internal = free_port(), free_port()
    wrapped = ("-m", "cProfile", "-o", profile) if profile else ()
    environment = {
        "VOLTLYNC_AMQP_URL": servers.rabbitmq.url_for("ocpp_gateway"),
        "VOLTLYNC_REDIS_URL": servers.redis.url,
        "VOLTLYNC_GATEWAY_DATA_DIR": str(folder / "data"),
        "VOLTLYNC_OCPP_HOST": "127.0.0.1",
        "VOLTLYNC_OCPP_PORT": str(port),
        "VOLTLYNC_INTERNAL_HOST": "127.0.0.1",
        "VOLTLYNC_INTERNAL_PORT": str(internal),
        "VOLTLYNC_LOG_LEVEL": "WARNING",
        "VOLTLYNC_DRAIN_SPREAD_SECONDS": "0",
    }
    argv = (sys.executable, *wrapped, "-m", "ocpp_gateway")
    await supervisor.start_stage([Child("ocpp_gateway", argv, environment, f"http://127.0.0.1:{internal}/readyz")])
    try:
        yield f"ws://127.0.0.1:{port}/ocpp", supervisor.pid("ocpp_gateway")
    finally:
        await supervisor.stop_child("ocpp_gateway")


async def run(fleets: Sequence[int], seconds: float, profile: str | None = None) -> list[tuple[Cost, Cost]]:
    """(bare, gateway) for each fleet. Raises SystemExit if an answered MeterValues is in no lane."""
    pairs: list[tuple[Cost, Cost]] = []
    users = [
        BrokerUser(right.user, "bench", configure=right.configure, write=right.write, read=right.read) for right in permissions()
    ]
    with tempfile.TemporaryDirectory(prefix="voltlync-bench-") as name:
        folder = Path(name)
        servers = Servers.throwaway(broker_users=users, durable=True)
        supervisor = Supervisor(folder / "logs")
        try:
            await asyncio.to_thread(servers.start)
            await declare(servers.rabbitmq.url, plan())
            async with credentials_answered(servers.rabbitmq.url, max(fleets)):
                for chargers in fleets:
                    say(f"{chargers} chargers: the bare server, then the gateway, {seconds:.0f} s each ...")
                    async with bare_server(supervisor) as (url, pid):
                        bare = await measure(url, pid, chargers, seconds)
                    async with gateway_alone(servers, supervisor, folder, profile) as (url, pid):
                        gateway = await measure(url, pid, chargers, seconds)
                    held = await meter_values_in_lanes(servers.rabbitmq.url)
                    if held < gateway.acknowledged:
                        raise SystemExit(f"LOST: {gateway.acknowledged} MeterValues were answered, {held} are in the lanes")
                    pairs.append((bare, gateway))
        finally:
            await supervisor.stop()
            await asyncio.to_thread(servers.stop)
    return pairs


def table(pairs: Sequence[tuple[Cost, Cost]]) -> None:
    """Markdown."""
    say("| chargers | MeterValues/s | p50 | p99 | gateway CPU/message | bare server | ratio | idle charger: gateway | bare |")
    say("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for bare, ours in pairs:
        speed = f"{ours.acknowledged / ours.seconds:.0f} | {ours.p50_ms:.0f} ms | {ours.p99_ms:.0f} ms"
        cpu = f"{ours.cpu_us:.0f} µs | {bare.cpu_us:.0f} µs | {ours.cpu_us / bare.cpu_us:.1f}"
        say(f"| {ours.chargers} | {speed} | {cpu} | {ours.idle_kib:.1f} KiB | {bare.idle_kib:.1f} KiB |")


def main() -> None:
    """Arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chargers", type=int, nargs="+", default=list(CHARGERS))
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--profile", help="write a cProfile of the gateway to this file (its CPU figure then means nothing)")
    options = parser.parse_args()
    table(asyncio.run(run(options.chargers, options.seconds, options.profile)))


if __name__ == "__main__":
    main()
