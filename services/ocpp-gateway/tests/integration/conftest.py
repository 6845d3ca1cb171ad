"""A gateway in this process on real RabbitMQ and Redis, chargers over real sockets; charging's side of the broker is played."""

import asyncio
import base64
import hashlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aio_pika
import aiohttp
import orjson
import pytest

from chassis.messaging.envelope import PACK_CONTENT_TYPE
from chassis.runtime import Service, SystemIds
from chassis.telemetry import Telemetry
from contracts.ocpp_gateway import CommandSendRequested
from contracts.topology import GATEWAYS_EXCHANGE, LANE_QUEUES, lane_of, lane_queue
from ocpp_gateway.app import create_app
from ocpp_gateway.connections import Connections
from ocpp_gateway.settings import GatewaySettings
from ocpp_gateway.spool import Spool
from ocpp_gateway.websocket import OcppDoor
from testkit.broker import fresh_broker
from testkit.clock import SteppingClock
from testkit.proxy import TcpProxy
from testkit.servers import Servers

PASSWORD = "0123456789abcdef0123456789ABCDEF01234567"
SALT = "c0ffee"
GUARD_SECONDS = 120.0
"""An I/O guard: what is waited for comes in milliseconds, or never."""


async def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for something that another process or task brings about."""
    try:
        async with asyncio.timeout(GUARD_SECONDS):
            while not condition():
                await asyncio.sleep(0.002)
    except TimeoutError:
        raise AssertionError(f"did not happen within {GUARD_SECONDS} s: {what}") from None


@dataclass
class Event:
    """One event as charging would get it."""

    type: str
    message_id: str
    data: dict[str, Any]


@dataclass
class Charging:
    """Consumes all lanes and answers questions, as the charging service does. What it got is in `events`, in order."""

    url: str
    events: list[Event] = field(default_factory=list)
    credentials: dict[str, dict[str, Any]] = field(default_factory=dict)
    decide: Callable[[Event], dict[str, Any] | None] | None = None
    answering: bool = True
    id_tag_info: dict[str, Any] = field(default_factory=lambda: {"status": "Accepted"})
    asked: list[str] = field(default_factory=list)
    """Id tags that were asked about."""

    async def start(self) -> None:
        self.connection = await aio_pika.connect(self.url)
        self.channel = await self.connection.channel()
        for name in (*LANE_QUEUES, "charging.authorize", "charging.credentials"):
            queue = await self.channel.declare_queue(name, passive=True)
            await queue.purge()
            await queue.consume(self._take)
        self.gateways = await self.channel.get_exchange(GATEWAYS_EXCHANGE, ensure=False)
        self.topic = await self.channel.get_exchange("charging", ensure=False)

    async def stop(self) -> None:
        await self.connection.close()

    def add(self, charge_point_id: str, **changes: Any) -> dict[str, Any]:
        """Register a charger; returns its credential."""
        digest = hashlib.sha256(SALT.encode() + PASSWORD.lower().encode()).hexdigest()
        credential = {
            "charge_point_id": charge_point_id,
            "salt": SALT,
            "password_hash": digest,
            "version": 1,
            "enabled": True,
            **changes,
        }
        self.credentials[charge_point_id.casefold()] = credential
        return credential

    async def _take(self, message: aio_pika.abc.AbstractIncomingMessage) -> None:
        body = orjson.loads(message.body)
        if message.content_type == PACK_CONTENT_TYPE:
            self.events += [Event(entry["type"], entry["message_id"], entry["data"]) for entry in body]
        elif message.type in {"charging.credentials_list_requested.v1", "charging.authorize_requested.v1"}:
            if "id_tag" in body:
                self.asked.append(body["id_tag"])
            if not self.answering:
                await message.ack()
                return
            answer = self._credentials(body) if "credentials" in message.type else self.id_tag_info
            await self._reply(message, answer)
        else:
            event = Event(message.type or "", message.message_id or "", body)
            self.events.append(event)
            if message.reply_to:
                answer = self.decide(event) if self.decide is not None else None
                if answer is not None:
                    await self._reply(message, answer)
        await message.ack()

    def _credentials(self, question: dict[str, Any]) -> dict[str, Any]:
        wanted = question.get("charge_point_id")
        if wanted is not None:
            found = self.credentials.get(wanted.casefold())
            return {"credentials": [found] if found else [], "next_after": None}
        listed = sorted(
            (c for c in self.credentials.values() if c["charge_point_id"] > question["after"]), key=lambda c: c["charge_point_id"]
        )
        page = listed[: question["limit"]]
        return {"credentials": page, "next_after": page[-1]["charge_point_id"] if len(listed) > len(page) else None}

    async def _reply(self, message: aio_pika.abc.AbstractIncomingMessage, answer: dict[str, Any]) -> None:
        await self.channel.default_exchange.publish(
            aio_pika.Message(orjson.dumps(answer), correlation_id=message.correlation_id),
            routing_key=message.reply_to or "",
            mandatory=False,
        )

    def of(self, charge_point_id: str, kind: str = "") -> list[Event]:
        """Events of one charger whose type contains `kind`."""
        return [event for event in self.events if event.data.get("charge_point_id") == charge_point_id and kind in event.type]

    async def wait(self, charge_point_id: str, kind: str, count: int = 1) -> Event:
        """The newest of at least `count` events of this kind."""
        await until(
            lambda: len(self.of(charge_point_id, kind)) >= count, f"{count} × {kind} of {charge_point_id}: {self.events[-5:]}"
        )
        return self.of(charge_point_id, kind)[-1]

    async def command(self, gateway: str = "gw-1", **fields: Any) -> str:
        """Send a command to a gateway; returns its id."""
        values = {"command_id": SystemIds().new(), "payload": {}, "deadline": "2026-01-05T05:30:00Z", **fields}
        model = CommandSendRequested.model_validate(values)
        await self.gateways.publish(
            aio_pika.Message(
                model.model_dump_json().encode(),
                type=CommandSendRequested.TYPE,
                message_id=model.command_id,
                delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            ),
            routing_key=gateway,
        )
        return model.command_id


class Charger:
    """A charge point's end of a socket; frames are text, or bytes for a binary frame."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws
        self.numbers = itertools.count(1)

    async def send(self, frame: Any) -> None:
        if isinstance(frame, bytes):
            await self.ws.send_bytes(frame)
        else:
            await self.ws.send_str(frame if isinstance(frame, str) else orjson.dumps(frame).decode())

    async def receive(self) -> Any:
        """The next frame, as JSON."""
        while (message := await self.ws.receive(timeout=GUARD_SECONDS)).type is aiohttp.WSMsgType.PING:
            await self.ws.pong(message.data)
        assert message.type is aiohttp.WSMsgType.TEXT, f"{message.type}: {message.data} (close code {self.ws.close_code})"
        return orjson.loads(message.data)

    async def call(self, action: str, payload: Any) -> Any:
        """Send a CALL and return the frame that answers it, whatever comes before it."""
        number = f"c{next(self.numbers)}"
        await self.send([2, number, action, payload])
        while (frame := await self.receive())[1] != number:
            pass
        return frame

    async def closed(self) -> int | None:
        """Wait for the end; returns the close code."""
        while (await self.ws.receive(timeout=GUARD_SECONDS)).type not in {
            aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.ERROR,
        }:  # fmt: skip
            pass
        return self.ws.close_code


class Gateway:
    """One gateway and what tests want of it."""

    def __init__(self, settings: GatewaySettings, clock: SteppingClock, session: aiohttp.ClientSession) -> None:
        self.settings = settings
        self.clock = clock
        self.session = session
        self.service: Service = create_app(settings, clock=clock)

    def part(self, kind: type[Any]) -> Any:
        """The gateway's part of a class."""
        return next(part for part in self.service._parts if isinstance(part, kind))

    @property
    def connections(self) -> Connections:
        return self.part(Connections)

    @property
    def spool(self) -> Spool:
        return self.part(Spool)

    def metric(self, name: str, **labels: str) -> float:
        """A metric's value now."""
        return self.part(Telemetry).registry.get_sample_value(f"voltlync_ocpp_gateway_{name}", labels) or 0.0

    def url(self, path: str) -> str:
        return f"ws://127.0.0.1:{self.part(OcppDoor).port}{path}"

    async def connect(
        self, charge_point_id: str, *, path: str | None = None, password: bytes | None = PASSWORD.encode(), **options: Any
    ) -> Charger:
        """Open a charger's socket. Raises aiohttp.WSServerHandshakeError."""
        headers = dict(options.pop("headers", {}))
        if password is not None:
            headers["Authorization"] = "Basic " + base64.b64encode(charge_point_id.encode() + b":" + password).decode()
        options.setdefault("protocols", ("ocpp1.6",))
        ws = await self.session.ws_connect(
            self.url(path or f"/ocpp/{charge_point_id}"), headers=headers, max_msg_size=8 * 1024 * 1024, autoping=False, **options
        )
        return Charger(ws)

    async def status(self, charge_point_id: str, **options: Any) -> int:
        """The HTTP status of a refused handshake."""
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await self.connect(charge_point_id, **options)
        return refused.value.status


@pytest.fixture(scope="session")
async def broker(servers: Servers) -> AsyncIterator[str]:
    """The administrator's address of a vhost of the gateway's tests."""
    async with fresh_broker(servers) as broker:
        yield broker.url


@pytest.fixture
async def charging(broker: str) -> AsyncIterator[Charging]:
    """Charging's side."""
    charging = Charging(broker)
    await charging.start()
    yield charging
    await charging.stop()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """Chargers' client."""
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def proxy(servers: Servers) -> AsyncIterator[TcpProxy]:
    """The network between the gateway and its broker."""
    async with TcpProxy("127.0.0.1", servers.rabbitmq.port) as proxy:
        yield proxy


StartGateway = Callable[..., Awaitable[Gateway]]


@pytest.fixture
async def start_gateway(
    servers: Servers,
    broker: str,
    proxy: TcpProxy,
    charging: Charging,
    clock: SteppingClock,
    session: aiohttp.ClientSession,
    tmp_path: Path,
) -> AsyncIterator[StartGateway]:
    """Makes gateways; those still running at the end are stopped."""
    started: list[Gateway] = []
    through_proxy = broker.replace(f":{servers.rabbitmq.port}", f":{proxy.port}")
    names = (f"gw-{SystemIds().new()[:12]}-{number}" for number in itertools.count(1))

    async def start(**changes: Any) -> Gateway:
        settings: dict[str, Any] = {
            "amqp_url": through_proxy,
            "redis_url": servers.redis.url,
            "gateway_name": changes.pop("name", None) or next(names),
            "ocpp_host": "127.0.0.1",
            "ocpp_port": 0,
            "gateway_data_dir": tmp_path,
            "drain_spread_seconds": 0,
            "drain_seconds": 5,
            **changes,
        }
        gateway = Gateway(GatewaySettings(**settings), clock, session)
        await gateway.service.start()
        started.append(gateway)
        return gateway

    yield start
    for gateway in reversed(started):
        await gateway.service.stop()


@pytest.fixture
async def gateway(start_gateway: StartGateway) -> Gateway:
    """A gateway with default settings."""
    return await start_gateway()


def lane_of_queue(charge_point_id: str) -> str:
    """The queue that a charger's events go to."""
    return lane_queue(lane_of(charge_point_id))


@pytest.fixture
def new_id() -> Callable[[], str]:
    """Charge point ids that no other test uses."""
    return lambda: f"CP-{SystemIds().new()[:12]}"
