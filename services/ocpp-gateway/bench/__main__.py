"""The gateway against a bare server, in one run: `python services/ocpp-gateway/bench [--chargers 300] [--seconds 8]`.

CPU is each server process's own (user + system). The gateway's answers are true: a quorum queue confirmed each event first.
Figures of one run are ratios; the machine's absolute speed is not ours.
"""

import argparse
import asyncio
import hashlib
import os
import re
import sys
import tempfile
from pathlib import Path

import aio_pika
import orjson
import psutil
import uvloop

sys.path.insert(0, str(Path(__file__).parent))

from load import PASSWORD, Charger, connect, run

from chassis.messaging.declare import declare
from contracts.topology import LANE_QUEUES, permissions, plan
from testkit.servers import BrokerUser, Servers
from testkit.servers.processes import free_port

HERE = Path(__file__).parent


async def answer_credentials(url: str, ids: list[str]) -> aio_pika.abc.AbstractConnection:
    """Charging's part: who may come in."""
    connection = await aio_pika.connect(url)
    channel = await connection.channel()
    digest = hashlib.sha256(b"salt" + PASSWORD).hexdigest()
    credentials = [{"charge_point_id": name, "salt": "salt", "password_hash": digest, "version": 1} for name in ids]

    async def answer(message: aio_pika.abc.AbstractIncomingMessage) -> None:
        body = orjson.dumps({"credentials": credentials, "next_after": None})
        reply = aio_pika.Message(body, correlation_id=message.correlation_id)
        await channel.default_exchange.publish(reply, routing_key=message.reply_to or "", mandatory=False)
        await message.ack()

    await (await channel.declare_queue("charging.credentials", passive=True)).consume(answer)
    return connection


async def start(port: int, *command: str, **environment: str) -> psutil.Process:
    """Start a server process; returns once its port is open."""
    process = await asyncio.create_subprocess_exec(sys.executable, *command, env={**os.environ, **environment})
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return psutil.Process(process.pid)


def cpu(process: psutil.Process) -> float:
    """Seconds of CPU so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


async def measure(name: str, process: psutil.Process, port: int, ids: list[str], seconds: float) -> tuple[float, float, int]:
    """Memory per idle charger (KB) and CPU µs per message, printed and returned; and how many were answered in all."""
    latencies: list[float] = []
    empty = process.memory_info().rss
    chargers = await connect(port, ids, latencies)
    await asyncio.sleep(1)
    memory = (process.memory_info().rss - empty) / len(ids) / 1024
    await run(chargers, 2)
    await asyncio.sleep(0.5)
    latencies.clear()
    before = cpu(process)
    answered = await run(chargers, seconds)
    per_message = (cpu(process) - before) / answered * 1e6
    latencies.sort()
    print(
        f"{name:8} {answered / seconds:8.0f} answers/s  {per_message:7.1f} µs CPU/message  "
        f"p50 {latencies[len(latencies) // 2] * 1000:6.1f} ms  p99 {latencies[len(latencies) * 99 // 100] * 1000:6.1f} ms  "
        f"{memory:6.1f} KB/idle charger"
    )
    close(chargers)
    return per_message, memory, sum(charger.answered for charger in chargers)


def close(chargers: list[Charger]) -> None:
    """Hang up."""
    for charger in chargers:
        charger.transport.abort()


async def stored(url: str) -> int:
    """Events that the broker holds in the lanes: packs count by what they say they hold."""
    total = seen = 0
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=200)
        empty = asyncio.Event()
        waiting = 0

        async def count(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            nonlocal total, seen
            packed = re.match(r".*\.\.(\d+)\.\.", message.message_id or "")
            total += int(packed[1]) if packed else 1
            seen += 1
            await message.ack()
            if seen == waiting:
                empty.set()

        queues = [await channel.declare_queue(name, passive=True) for name in LANE_QUEUES]
        waiting = sum(queue.declaration_result.message_count or 0 for queue in queues)
        for queue in queues:
            await queue.consume(count)
        await asyncio.wait_for(empty.wait(), 120)
    return total


async def main(chargers: int, seconds: float, profile: str | None) -> None:
    """Bare, then ours, on the same load."""
    ids = [f"BENCH-{number:05d}" for number in range(chargers)]
    users = [
        BrokerUser(right.user, "bench", configure=right.configure, write=right.write, read=right.read) for right in permissions()
    ]
    with tempfile.TemporaryDirectory() as folder, Servers.throwaway(broker_users=users) as servers:
        await declare(servers.rabbitmq.url, plan())
        charging = await answer_credentials(servers.rabbitmq.url, ids)
        bare_port, port = free_port(), free_port()
        bare = await start(bare_port, str(HERE / "bare.py"), str(bare_port))
        gateway = await start(
            port,
            *(("-m", "cProfile", "-o", profile) if profile else ()),
            "-m",
            "ocpp_gateway",
            VOLTLYNC_AMQP_URL=servers.rabbitmq.url_for("ocpp_gateway"),
            VOLTLYNC_REDIS_URL=servers.redis.url,
            VOLTLYNC_GATEWAY_DATA_DIR=folder,
            VOLTLYNC_OCPP_PORT=str(port),
            VOLTLYNC_LOG_LEVEL="WARNING",
        )
        try:
            bare_cpu, bare_memory, _ = await measure("bare", bare, bare_port, ids, seconds)
            our_cpu, our_memory, answered = await measure("gateway", gateway, port, ids, seconds)
            print(f"ratio    {our_cpu / bare_cpu:.2f}× the bare server's CPU per message")
            print(f"         {our_memory / bare_memory:.2f}× its memory per idle charger")
            bare.kill()
            gateway.terminate()
            await asyncio.to_thread(gateway.wait, 60)
            # Connects and disconnects are events too.
            print(f"answered {answered} in all; in the lanes {await stored(servers.rabbitmq.url) - 2 * chargers} events")
        finally:
            for process in (bare, gateway):
                if process.is_running():
                    process.kill()
            await charging.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chargers", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--profile", help="write a cProfile of the gateway to this file (its CPU figure then means nothing)")
    arguments = parser.parse_args()
    uvloop.run(main(arguments.chargers, arguments.seconds, arguments.profile))
