"""Private servers, a real gateway process, and charging's side of the broker, which answers and holds events to contracts."""

import asyncio
import re
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import aio_pika
import aiohttp
import orjson
import psutil
from pydantic import ValidationError

from chassis.messaging.declare import declare
from chassis.messaging.envelope import PACK_CONTENT_TYPE
from contracts.base import contract_for
from contracts.topology import LANE_QUEUES, permissions, plan
from testkit.servers import BrokerUser, Servers
from testkit.servers.processes import free_port
from voltlync.supervisor import Child, Supervisor

PASSWORD = "0123456789abcdef0123456789abcdef01234567"
SALT = "c0ffee"
NAME = "ocpp_gateway"

DECISION_SECONDS = 120
"""The gateway is given so long to hear charging: on a busy machine no answer must be missing for lack of time."""

TRANSACTION_ID = 711
"""What every StartTransaction gets."""

_ANSWERS: dict[str, dict[str, Any]] = {
    "ocpp_gateway.start_transaction_received.v1": {"transaction_id": TRANSACTION_ID, "status": "Accepted"},
    "ocpp_gateway.data_transfer_received.v1": {"status": "Accepted"},
    "charging.authorize_requested.v1": {"status": "Accepted"},
}
_CREDENTIALS_LIST = "charging.credentials_list_requested.v1"

_BAD_LOG_LINE = re.compile(r'Traceback|"level": ?"(error|critical)"|\[(error|critical)|unhandled|never retrieved', re.IGNORECASE)


class Charging:
    """Takes all lanes at once (no acknowledgement: it need not survive), answers, and holds each event against its contract."""

    def __init__(self, chargers: list[str], complain: Callable[[str], None]) -> None:
        digest = sha256(SALT.encode() + PASSWORD.encode()).hexdigest()
        self._credentials: list[dict[str, Any]] = [
            {"charge_point_id": name, "salt": SALT, "password_hash": digest, "version": 1} for name in sorted(chargers)
        ]
        self._complain = complain
        self.events: Counter[str] = Counter()
        """By type."""

    async def start(self, url: str) -> None:
        """Begin to consume."""
        self._connection = await aio_pika.connect(url)
        self._channel = await self._connection.channel(publisher_confirms=False)
        for name in (*LANE_QUEUES, "charging.authorize", "charging.credentials"):
            queue = await self._channel.declare_queue(name, passive=True)
            await queue.purge()  # what others left
            await queue.consume(self._take, no_ack=True)

    async def stop(self) -> None:
        """Close."""
        await self._connection.close()

    async def _take(self, message: aio_pika.abc.AbstractIncomingMessage) -> None:
        body = orjson.loads(message.body)
        if message.content_type == PACK_CONTENT_TYPE:
            for entry in body:
                self._event(entry["type"], entry["data"])
            return
        kind = message.type or ""
        self._event(kind, body)
        answer = self._page(body) if kind == _CREDENTIALS_LIST else _ANSWERS.get(kind)
        if message.reply_to and answer is not None:
            reply = aio_pika.Message(orjson.dumps(answer), correlation_id=message.correlation_id)
            await self._channel.default_exchange.publish(reply, routing_key=message.reply_to, mandatory=False)

    def _event(self, kind: str, data: dict[str, Any]) -> None:
        self.events[kind] += 1
        model = contract_for(kind)
        if model is None:
            self._complain(f"an event of the unknown type {kind}")
            return
        try:
            model.model_validate(data)
        except ValidationError as error:
            self._complain(f"an event breaks its contract {kind}: {error}\n{data!r}")

    def _page(self, question: dict[str, Any]) -> dict[str, Any]:
        wanted, after = question.get("charge_point_id"), question.get("after") or ""
        found = [c for c in self._credentials if (c["charge_point_id"] == wanted if wanted else c["charge_point_id"] > after)]
        page = found[: question.get("limit") or len(found)]
        return {"credentials": page, "next_after": page[-1]["charge_point_id"] if len(found) > len(page) else None}


class Gateway:
    """The process under fire."""

    def __init__(self, supervisor: Supervisor, log: Path, port: int, internal: int) -> None:
        self._supervisor = supervisor
        self._log = log
        self._internal = internal
        self._process = psutil.Process(supervisor.pid(NAME))
        self.port = port

    @property
    def alive(self) -> bool:
        """Whether it is the process that was started."""
        return self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE

    def resident_mib(self) -> float:
        """Its resident memory."""
        return float(self._process.memory_info().rss) / (1024 * 1024)

    def cpu_seconds(self) -> float:
        """User + system."""
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def bad_log_lines(self) -> list[str]:
        """What it should never have had to say."""
        return [line for line in self._log.read_text(errors="replace").splitlines() if _BAD_LOG_LINE.search(line)]

    def end_of_log(self) -> str:
        """What it said last."""
        return self._supervisor.end_of_log(NAME)

    async def metrics(self) -> dict[str, float]:
        """Its counters and gauges, by name and labels."""
        async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{self._internal}/metrics") as answer:
            lines = [line.rsplit(" ", 1) for line in (await answer.text()).splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, value in lines}


@asynccontextmanager
async def gateway(servers: Servers, folder: Path) -> AsyncIterator[Gateway]:
    """A gateway process on servers with our topology."""
    port, internal = free_port(), free_port()
    supervisor = Supervisor(folder / "logs")
    environment = {
        "VOLTLYNC_AMQP_URL": servers.rabbitmq.url_for(NAME),
        "VOLTLYNC_REDIS_URL": servers.redis.url,
        "VOLTLYNC_GATEWAY_NAME": "gw-fuzzed",
        "VOLTLYNC_GATEWAY_DATA_DIR": str(folder / "data"),
        "VOLTLYNC_OCPP_HOST": "127.0.0.1",
        "VOLTLYNC_OCPP_PORT": str(port),
        "VOLTLYNC_INTERNAL_HOST": "127.0.0.1",
        "VOLTLYNC_INTERNAL_PORT": str(internal),
        "VOLTLYNC_LOG_LEVEL": "WARNING",
        "VOLTLYNC_DECISION_SECONDS": str(DECISION_SECONDS),
        "VOLTLYNC_DRAIN_SPREAD_SECONDS": "0",
    }
    child = Child(NAME, (sys.executable, "-m", NAME), environment, f"http://127.0.0.1:{internal}/readyz")
    try:
        await supervisor.start_stage([child])
        yield Gateway(supervisor, folder / "logs" / f"{NAME}.log", port, internal)
    finally:
        await supervisor.stop()


@asynccontextmanager
async def private_servers() -> AsyncIterator[Servers]:
    """RabbitMQ with the services' users, and Redis, for one run."""
    users = [
        BrokerUser(right.user, f"{right.user}-test", configure=right.configure, write=right.write, read=right.read)
        for right in permissions()
    ]
    servers = Servers.throwaway(broker_users=users)
    try:
        await asyncio.to_thread(servers.start)
        yield servers
    finally:
        await asyncio.to_thread(servers.stop)


@asynccontextmanager
async def world(
    servers: Servers, chargers: list[str], complain: Callable[[str], None]
) -> AsyncIterator[tuple[Gateway, Charging]]:
    """All that an attack needs, started and stopped."""
    with tempfile.TemporaryDirectory(prefix="voltlync-fuzz-") as name:
        await declare(servers.rabbitmq.url, plan())
        charging = Charging(chargers, complain)
        await charging.start(servers.rabbitmq.url)
        try:
            async with gateway(servers, Path(name)) as process:
                yield process, charging
        finally:
            await charging.stop()
