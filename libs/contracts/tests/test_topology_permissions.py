"""Least privilege on a real broker: each service, under its own user, can do its work and nobody else's."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import ClassVar

import aio_pika
import aiormq
import pytest
from aio_pika.abc import AbstractConnection
from aiormq.channel import Channel
from pydantic import BaseModel

from chassis.messaging import BrokerUnavailable, Bus, Subscription, Undeliverable
from chassis.messaging.declare import declare
from chassis.runtime import Service, ServiceSettings, SystemClock
from chassis.telemetry import Telemetry
from contracts.topology import (
    GATEWAYS_EXCHANGE,
    LANE_QUEUES,
    LANE_WRITERS,
    QUERY_ASKERS,
    QUORUM,
    RETRY_DELAYS_SECONDS,
    SERVICES,
    TOPOLOGY,
    exchange_for,
    gateway_address,
    gateway_credentials_queue,
    gateway_queue,
    plan,
    retried_queues,
)
from contracts.topology import Address as To
from testkit.servers import Servers

GUARD_SECONDS = 120.0
"""An I/O guard for what must come."""


class Note(BaseModel):
    """Any message."""

    TYPE: ClassVar[str] = "note.v1"
    text: str


@dataclass(frozen=True)
class Broker:
    """A fresh vhost with the whole topology, and who may log in to it."""

    servers: Servers
    vhost: str

    def url(self, user: str) -> str:
        """A service's own address."""
        return self.servers.rabbitmq.url_for(user, vhost=self.vhost)

    @asynccontextmanager
    async def bus(self, user: str) -> AsyncIterator[Bus]:
        """The chassis's bus under this service's user."""
        service = Service(user, clock=SystemClock())
        telemetry = service.add(Telemetry(ServiceSettings(amqp_url=self.url(user)), service=user))
        bus = service.add(Bus(self.url(user), app_id=user, service=service, telemetry=telemetry))
        await service.start()
        try:
            yield bus
        finally:
            await service.stop()

    async def refuses(self, user: str, attempt: Callable[[Channel], Awaitable[object]]) -> bool:
        """Whether the broker refuses this user an operation for want of a right."""
        connection: AbstractConnection = await aio_pika.connect(self.url(user))
        async with connection:
            opened = connection.channel()
            await opened.initialize()
            channel = await opened.get_underlay_channel()
            assert isinstance(channel, Channel)
            try:
                await attempt(channel)
            except aiormq.exceptions.ChannelAccessRefused:
                return True
            except aiormq.exceptions.ChannelLockedResource:
                return False  # a lane can't be read message by message: its reader is asked that only once it has the right
            return False


@pytest.fixture(scope="module")
async def broker(servers: Servers) -> AsyncIterator[Broker]:
    """The topology as `voltlync migrate` declares it, by the administrator; declared twice, for it must be repeatable."""
    with servers.rabbitmq.fresh_vhost() as vhost:
        servers.rabbitmq.ctl("set_permissions", "-p", vhost, "admin", ".*", ".*", ".*")
        for _ in range(2):
            await declare(servers.rabbitmq.url_for("admin", vhost=vhost), plan())
        yield Broker(servers, vhost)


def publish(exchange: str, key: str) -> Callable[[Channel], Awaitable[object]]:
    """Try to publish."""
    return lambda channel: channel.basic_publish(b"{}", exchange=exchange, routing_key=key)


async def consumed(bus: Bus, queue: str) -> None:
    """Consume a queue until something has come."""
    come = asyncio.Event()
    subscription = Subscription(queue, lambda _message: come.set(), prefetch=10)
    await bus.subscribe(subscription)
    assert subscription.trouble is None
    async with asyncio.timeout(GUARD_SECONDS):
        await come.wait()
    await bus.unsubscribe(subscription)


@pytest.mark.parametrize("user", SERVICES)
async def test_a_service_publishes_parks_retries_and_consumes_what_is_its_own(broker: Broker, user: str) -> None:
    own = [queue for queue in TOPOLOGY.queues if queue.consumer == user]
    async with broker.bus(user) as bus:
        await bus.publish(Note(text="a fact"), to=To(user, "some.fact.v1"))
        if user in LANE_WRITERS:
            await bus.publish(Note(text="into a lane"), to=To(f"{user}.lanes", "03", mandatory=True))
        for queue in own:
            await bus.publish(Note(text="parked"), to=To(f"{user}.dead", f"{queue.name}.dead", mandatory=True))
            ready, _ = await bus.depth(queue.name)
            assert ready >= 0
        for queue in (queue for queue in retried_queues() if queue.consumer == user):
            for seconds in RETRY_DELAYS_SECONDS:
                await bus.publish(Note(text="later"), to=To(f"{user}.retry", f"{queue.name}.retry.{seconds}s", mandatory=True))
            # By the shortest rung of the ladder: out of our hands and back into our queue.
            await consumed(bus, queue.name)


RETRIES = {queue.consumer: queue.name for queue in retried_queues()}


@pytest.mark.parametrize("user", RETRIES)
async def test_a_ladder_leads_back_to_its_own_queue_whatever_its_message_says(broker: Broker, user: str) -> None:
    """A service that was taken over can repeat its own messages at most. A broker routes by the CC and BCC headers too, when a
    message is published and, out of a queue without a way back of its own, when it returns."""
    victim = next(queue for service, queue in RETRIES.items() if service != user)
    rung = f"{RETRIES[user]}.retry.1s"
    headers = {"CC": [victim, f"{victim}.retry.1s"], "BCC": [victim]}
    admin = await aio_pika.connect(broker.url("admin"))
    async with admin:
        channel = await admin.channel()
        for name in (victim, RETRIES[user]):
            await (await channel.get_queue(name)).purge()
        connection = await aio_pika.connect(broker.url(user))
        async with connection:
            own = await connection.channel(on_return_raises=True)
            forged = aio_pika.Message(b"{}", headers=headers, message_id="forged")  # type: ignore[arg-type]
            await (await own.get_exchange(f"{user}.retry", ensure=False)).publish(forged, routing_key=rung, mandatory=True)
            with pytest.raises(aio_pika.exceptions.PublishError):
                await (await own.get_exchange(f"{user}.retry", ensure=False)).publish(forged, routing_key=victim, mandatory=True)
        async with asyncio.timeout(GUARD_SECONDS):
            returned = await channel.get_queue(RETRIES[user])
            while (message := await returned.get(fail=False, no_ack=True)) is None or message.message_id != "forged":
                await asyncio.sleep(0.02)  # the broker brings it back after a second
        # It left its rung once, so had it gone elsewhere too it would be there by now.
        assert await (await channel.get_queue(victim)).get(fail=False, no_ack=True) is None


@pytest.mark.parametrize("user", SERVICES)
async def test_nobody_writes_anothers_exchange_or_any_queue_directly(broker: Broker, user: str) -> None:
    for exchange, _ in plan().exchanges:
        # `charging.gateways` is charging's own.
        own = exchange == user or exchange.startswith(f"{user}.")
        assert await broker.refuses(user, publish(exchange, "payments.payment_billed.v1")) is not own, exchange
    answers = user == "charging"
    assert await broker.refuses(user, publish("", "settlement.events")) is not answers


@pytest.mark.parametrize("user", SERVICES)
async def test_nobody_reads_anothers_queue_or_any_dead_letter(broker: Broker, user: str) -> None:
    queues = [(queue.name, queue.consumer) for queue in TOPOLOGY.queues if queue.name not in LANE_QUEUES[1:]]
    queues += [(f"{queue.name}.dead", "the operator") for queue in TOPOLOGY.queues if queue.name not in LANE_QUEUES[1:]]
    for name, owner in queues:
        refused = await broker.refuses(user, lambda channel, name=name: channel.basic_get(name))  # type: ignore[misc]
        assert refused is (owner != user), name


@pytest.mark.parametrize("user", SERVICES)
async def test_nobody_declares_binds_or_deletes_but_the_gateway_its_own_queues(broker: Broker, user: str) -> None:
    forbidden: dict[str, Callable[[Channel], Awaitable[object]]] = {
        "declare a queue": lambda channel: channel.queue_declare(f"{user}.private", durable=True, arguments=dict(QUORUM)),
        "delete a queue": lambda channel: channel.queue_delete("payments.events"),
        "purge a queue": lambda channel: channel.queue_purge("payments.events" if user != "payments" else "settlement.events"),
        "declare an exchange": lambda channel: channel.exchange_declare(exchange=f"{user}.private"),
        "delete an exchange": lambda channel: channel.exchange_delete(exchange="payments"),
        "bind another's queue": lambda channel: channel.queue_bind("settlement.events", user, "payments.payment_billed.v1"),
        "name a queue as a gateway's": lambda channel: channel.queue_declare(
            gateway_queue("gw-9"), arguments=dict(QUORUM), durable=True
        ),
    }
    for what, attempt in forbidden.items():
        allowed = user == "ocpp_gateway" and what == "name a queue as a gateway's"
        assert await broker.refuses(user, attempt) is not allowed, what


async def test_a_gateway_declares_its_queues_and_hears_commands_and_credentials(broker: Broker) -> None:
    async def declare_commands(channel: Channel) -> None:
        await channel.queue_declare(gateway_queue("gw-1"), durable=True, arguments=dict(QUORUM))
        await channel.queue_bind(gateway_queue("gw-1"), GATEWAYS_EXCHANGE, "gw-1")

    async def declare_credentials(channel: Channel) -> None:
        await channel.queue_declare(gateway_credentials_queue("gw-1"), durable=True, arguments=dict(QUORUM))
        await channel.queue_bind(gateway_credentials_queue("gw-1"), "charging", "charging.charger_credentials_changed.v1")

    heard: list[str] = []
    both = asyncio.Event()

    def hear(queue: str) -> Callable[[object], None]:
        def heard_from(_message: object) -> None:
            heard.append(queue)
            if len(heard) == 2:
                both.set()

        return heard_from

    async with broker.bus("ocpp_gateway") as gateway, broker.bus("charging") as charging:
        for queue, declared in (
            (gateway_queue("gw-1"), declare_commands),
            (gateway_credentials_queue("gw-1"), declare_credentials),
        ):
            subscription = Subscription(queue, hear(queue), prefetch=5, declare=declared)
            await gateway.subscribe(subscription)
            assert subscription.trouble is None
        await charging.publish(Note(text="a command"), to=gateway_address("gw-1"))
        await charging.publish(Note(text="credentials"), to=To("charging", "charging.charger_credentials_changed.v1"))
        async with asyncio.timeout(GUARD_SECONDS):
            await both.wait()
        with pytest.raises(Undeliverable):
            await charging.publish(Note(text="x"), to=gateway_address("a gateway that never ran"))
    assert set(heard) == {gateway_queue("gw-1"), gateway_credentials_queue("gw-1")}


@pytest.mark.parametrize("question", [*QUERY_ASKERS, "in a lane"])
async def test_who_may_ask_asks_and_charging_answers(broker: Broker, question: str) -> None:
    asker = QUERY_ASKERS.get(question, "ocpp_gateway")
    if question == "in a lane":
        queue, to = LANE_QUEUES[5], To("ocpp_gateway.lanes", "05", mandatory=True)
    else:
        (queue,) = TOPOLOGY.bound_queues(question)
        to = To(exchange_for(question), question, mandatory=True)
    async with broker.bus(asker) as asking, broker.bus("charging") as charging:
        answering: set[asyncio.Future[None]] = set()

        def answer(message: aiormq.abc.DeliveredMessage) -> None:
            properties = message.header.properties
            if properties.reply_to:  # not what another test left here
                reply = charging.reply(
                    Note(text="because"), reply_to=properties.reply_to, correlation_id=properties.correlation_id
                )
                answering.add(asyncio.ensure_future(reply))

        subscription = Subscription(queue, answer, prefetch=10)
        await charging.subscribe(subscription)
        assert subscription.trouble is None
        answered = await asking.ask(Note(text="why"), to=to, answer=Note, timeout_seconds=GUARD_SECONDS)
        assert answered.text == "because"
        await asyncio.gather(*answering)


async def test_a_refused_publish_says_so_and_does_not_stop_the_service(broker: Broker) -> None:
    async with broker.bus("journal") as bus:
        with pytest.raises(Undeliverable, match="ACCESS_REFUSED"):
            await bus.publish(Note(text="forged"), to=To("payments", "payments.payment_billed.v1"))
        async with asyncio.timeout(GUARD_SECONDS):
            while True:
                try:
                    await bus.publish(Note(text="mine"), to=To("journal", "x"))
                    return
                except BrokerUnavailable:
                    await asyncio.sleep(0.02)  # its channel is being opened again
