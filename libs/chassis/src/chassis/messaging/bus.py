"""A service's one connection to RabbitMQ: confirmed publishing, questions and answers, and subscriptions that survive the broker.

aio-pika connects; messages go through its underlying aiormq channel, which saves a third of the CPU per message.
We reconnect ourselves: while the broker is away `publish` fails at once and replays nothing; the outbox and the spool do.
"""

import asyncio
from collections.abc import Iterator
from typing import TypeVar

import aio_pika
import aiormq
import orjson
import structlog
from aio_pika.abc import AbstractConnection
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel
from pamqp.commands import Basic
from prometheus_client import Counter, Gauge
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector
from pydantic import BaseModel
from yarl import URL

from chassis.messaging.envelope import Address, Outgoing, body_of, type_of, with_reply
from chassis.messaging.errors import BrokerUnavailable, MessagingError, RpcTimeout, Undeliverable
from chassis.messaging.subscription import CLOSE_SECONDS_MAX, Subscription, aiormq_channel, nobody_cancelled
from chassis.runtime import Ids, Service, SystemIds
from chassis.telemetry import Telemetry, current_traceparent

log = structlog.get_logger(__name__)

CONFIRM_SECONDS_MAX = 30.0
"""Longest wait for a confirm in real time: a broker under a memory alarm blocks publishers without an error."""

RECONNECT_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0)
"""Back-off of reconnecting, in real time: the broker's absence is no matter of the business clock."""

CONNECT_SECONDS_MAX = 30.0
"""Longest for one try to connect, or to open one channel: a broker that accepts and then says nothing is tried again."""

HEARTBEAT_SECONDS = 10
"""A half-open connection is noticed after three of these; aiormq's default of 60 s would leave lanes unhandled for minutes."""

LOOK_SECONDS = 1.0
"""How often consumers are looked after."""

STEADY_SECONDS = 30.0
"""A consumer that lived this long is sound: the next loss is a new one, tried again at once."""

REPLY_QUEUE = "amq.rabbitmq.reply-to"

AnswerT = TypeVar("AnswerT", bound=BaseModel)


def _names(error: Exception, exchange: str) -> bool:
    """Whether this publish is why the channel was closed. All others in flight on it fail with the same error, blamelessly."""
    refused = (aiormq.exceptions.ChannelNotFoundEntity, aiormq.exceptions.ChannelAccessRefused)
    return isinstance(error, refused) and f"exchange '{exchange}'" in str(error)


class _TaskFailures(Collector):
    """How often each loop that the service keeps running has failed: it is well only where this stands still."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        """One sample per loop that ever failed."""
        family = CounterMetricFamily("voltlync_task_failures", "Failures of loops that are begun again", labels=["task"])
        for name, count in self._service.tasks.failures.items():
            family.add_metric([name], count)
        yield family


class Bus:
    """The broker as one service sees it. A Part: mount it before what uses it."""

    def __init__(self, url: str, *, app_id: str, service: Service, telemetry: Telemetry, ids: Ids | None = None) -> None:
        self.app_id = app_id
        self._url = url
        self._service = service
        self._ids = ids or SystemIds()
        self.telemetry = telemetry
        self._connection: AbstractConnection | None = None
        self._publishing: Channel | None = None
        self._asking: Channel | None = None
        self._questions: dict[str, asyncio.Future[DeliveredMessage]] = {}
        self._subscriptions: list[Subscription] = []
        self._stopping = False
        self._supervisor: asyncio.Task[None] | None = None
        self.connected = asyncio.Event()
        registry = telemetry.registry
        self.published = Counter(
            "voltlync_messages_published_total",
            "AMQP messages confirmed by the broker",
            ["exchange", "routing_key"],
            registry=registry,
        )
        self.settled = Counter(
            "voltlync_messages_settled_total", "AMQP messages acknowledged, by what became of them", ["queue"], registry=registry
        )
        self._up = Gauge("voltlync_broker_connected", "1 while the broker is connected", registry=registry)
        self._lost = Counter(
            "voltlync_consumers_lost_total", "Consumers whose channel or queue went away", ["queue"], registry=registry
        )
        registry.register(_TaskFailures(service))
        service.ready_checks["broker"] = self._ready

    async def _ready(self) -> str | None:
        if not self.connected.is_set():
            return "RabbitMQ is not connected"
        lost = [f"{each.queue} is not consumed: {each.trouble}" for each in self._subscriptions if each.trouble is not None]
        return "; ".join(lost) or None

    async def start(self) -> None:
        """Connect, waiting for the broker as long as it takes."""
        try:
            await self._connect()
        except BaseException:
            await self._drop()
            raise
        if not self._stopping:
            self._supervisor = self._service.tasks.keep(f"{self.app_id}.bus", self._supervise)

    async def _connect(self) -> None:
        attempt = 0
        while not self._stopping:
            try:
                async with asyncio.timeout(CONNECT_SECONDS_MAX):
                    with nobody_cancelled():
                        self._connection = await aio_pika.connect(
                            self._url_with_heartbeat(), client_properties={"connection_name": self.app_id}, timeout=10
                        )
                    await self._open_own_channels(self._connection)
            except Exception as error:  # noqa: BLE001  (whatever it is, the broker is to be tried again, and the log says why)
                delay = RECONNECT_SECONDS[min(attempt, len(RECONNECT_SECONDS) - 1)]
                attempt += 1
                log.warning("messaging.connect_failed", error=repr(error), attempt=attempt, retry_seconds=delay)
                await self._drop()
                await asyncio.sleep(delay)  # noqa: TID251  (real time, see RECONNECT_SECONDS)
                continue
            if self._stopping:
                await self._drop()
                return
            await self._revive_consumers(self._connection)
            self.connected.set()
            self._up.set(1)
            log.info("messaging.connected", app_id=self.app_id, subscriptions=len(self._subscriptions))
            return

    def _url_with_heartbeat(self) -> URL:
        url = URL(self._url)
        return url if "heartbeat" in url.query else url.update_query(heartbeat=HEARTBEAT_SECONDS)

    async def _open_own_channels(self, connection: AbstractConnection) -> None:
        """The channels for publishing and for asking, where they are missing: one that we misused is closed by the broker."""
        if self._publishing is None or self._publishing.is_closed:
            self._publishing = await self._open(connection)
        if self._asking is None or self._asking.is_closed:
            self._fail_questions()
            asking = await self._open(connection)
            with nobody_cancelled():
                await asking.basic_consume(REPLY_QUEUE, self._answered, no_ack=True)
            self._asking = asking

    @staticmethod
    async def _open(connection: AbstractConnection) -> Channel:
        with nobody_cancelled():
            channel = connection.channel(publisher_confirms=True, on_return_raises=True)
            await channel.initialize()
            return aiormq_channel(await channel.get_underlay_channel())

    async def _supervise(self) -> None:
        while not self._stopping:
            connection = self._connection
            if connection is None or not connection.connected.is_set():
                await self._reconnect()
                continue
            try:
                async with asyncio.timeout(CONNECT_SECONDS_MAX):
                    await self._open_own_channels(connection)
            except Exception as error:  # noqa: BLE001  (as in _connect)
                log.warning("messaging.channel_failed", error=repr(error))
                await self._reconnect()
                continue
            await self._revive_consumers(connection)
            await self._look()

    async def _reconnect(self) -> None:
        self.connected.clear()
        self._up.set(0)
        log.warning("messaging.disconnected", app_id=self.app_id)
        await self._drop()
        await self._connect()

    async def _look(self) -> None:
        """Return when one of our own channels has closed, or it is time to look after the consumers."""
        channels = (self._publishing, self._asking)
        closing = [channel.closing for channel in channels if channel is not None]
        try:
            await asyncio.wait(closing, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for observer in closing:
                observer.cancel()
        for channel in channels:
            if channel is not None and channel.is_closed:
                reason = None if channel.closing.cancelled() else channel.closing.exception()
                log.warning("messaging.channel_closed", app_id=self.app_id, error=repr(reason))

    async def _revive_consumers(self, connection: AbstractConnection) -> None:
        """Attach who is not attached; one that can't be (its queue is missing) is tried again, later and later, and named."""
        loop = asyncio.get_running_loop()
        for subscription in list(self._subscriptions):
            if subscription.paused or subscription.alive:
                if subscription.alive and loop.time() - subscription.since > STEADY_SECONDS:
                    subscription.attempts = 0
                continue
            if subscription.channel is not None:
                self._note_lost(subscription)
                await subscription.detach()
            if subscription.attempts:
                pause = RECONNECT_SECONDS[min(subscription.attempts, len(RECONNECT_SECONDS)) - 1]
                if loop.time() - subscription.since < pause:
                    continue
            await self._attach(subscription, connection)

    def _note_lost(self, subscription: Subscription) -> None:
        channel = subscription.channel
        reason: object = "cancelled by the broker"
        if channel is not None and channel.is_closed:
            reason = "closed" if channel.closing.cancelled() else channel.closing.exception()
        subscription.trouble = repr(reason)
        self._lost.labels(subscription.queue).inc()
        log.warning("messaging.consumer_lost", queue=subscription.queue, error=repr(reason))

    async def _attach(self, subscription: Subscription, connection: AbstractConnection) -> None:
        subscription.since = asyncio.get_running_loop().time()
        subscription.attempts += 1
        try:
            async with asyncio.timeout(CONNECT_SECONDS_MAX):
                await subscription.attach(connection)
        except Exception as error:  # noqa: BLE001  (a consumer that can't be must not take the others with it)
            subscription.trouble = repr(error)
            log.warning("messaging.subscribe_failed", queue=subscription.queue, attempt=subscription.attempts, error=repr(error))
        else:
            subscription.trouble = None
            if subscription not in self._subscriptions:  # unsubscribed meanwhile
                await subscription.detach()

    def _fail_questions(self) -> None:
        for question in self._questions.values():
            if not question.done():
                question.set_exception(BrokerUnavailable("the broker went away before the answer"))
        self._questions.clear()

    async def _drop(self) -> None:
        self._fail_questions()
        for subscription in self._subscriptions:
            # Its channel goes with the connection. One that was not attached may be what costs us the connection (a queue half
            # deleted, 541): it waits longer each time, or no publisher would have a connection to live on.
            if subscription.lose() is not None:
                subscription.attempts = 0
        connection, self._connection = self._connection, None
        self._publishing = self._asking = None
        if connection is not None:
            try:
                with nobody_cancelled():
                    async with asyncio.timeout(CLOSE_SECONDS_MAX):
                        await connection.close()
            except (OSError, aiormq.exceptions.AMQPError, RuntimeError, TimeoutError, BrokerUnavailable) as error:
                log.debug("messaging.close", error=repr(error))

    async def stop(self) -> None:
        """Close the connection. Consumers stopped before; what they held unacknowledged goes back to its queue."""
        self._stopping = True
        self.connected.clear()
        self._up.set(0)
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.wait({self._supervisor})
        await self._drop()

    async def subscribe(self, subscription: Subscription) -> None:
        """Consume from now on, and again after every reconnection."""
        self._subscriptions.append(subscription)
        if self._connection is not None and self.connected.is_set():
            await self._attach(subscription, self._connection)

    async def unsubscribe(self, subscription: Subscription) -> None:
        """Stop consuming for good."""
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)
        await subscription.detach()

    async def hand_over(self, subscription: Subscription) -> None:
        """Leave a single-active-consumer queue to the next consumer and queue up behind it."""
        subscription.paused = True
        try:
            await subscription.detach()
            if self._connection is not None and self.connected.is_set():
                await self._attach(subscription, self._connection)
        finally:
            subscription.paused = False

    async def depth(self, queue: str) -> tuple[int, int]:
        """(ready messages, consumers) of a queue, counted by the broker. Raises BrokerUnavailable, also where it is missing."""
        connection = self._connection
        if connection is None:
            raise BrokerUnavailable("RabbitMQ is not connected")
        try:
            with nobody_cancelled():
                async with asyncio.timeout(CONNECT_SECONDS_MAX):
                    opened = connection.channel(publisher_confirms=False)
                    await opened.initialize()
                    try:
                        declared = await (await opened.get_underlay_channel()).queue_declare(queue, passive=True)
                        return declared.message_count or 0, declared.consumer_count or 0
                    finally:
                        await opened.close()
        except (OSError, aiormq.exceptions.AMQPError, RuntimeError, TimeoutError) as error:
            raise BrokerUnavailable(f"{queue} can't be looked at: {error!r}") from error

    async def publish(
        self,
        model: BaseModel,
        *,
        to: Address,
        message_id: str | None = None,
        subject: str | None = None,
        correlation_id: str | None = None,
    ) -> None:
        """Publish one model; returns when the broker has confirmed it. Raises BrokerUnavailable, Undeliverable."""
        await self.send(self.outgoing(model, message_id=message_id, subject=subject, correlation_id=correlation_id), to=to)

    def outgoing(
        self, model: BaseModel, *, message_id: str | None = None, subject: str | None = None, correlation_id: str | None = None
    ) -> Outgoing:
        """A model as a message: its id fresh where none is given, the current trace with it."""
        return Outgoing(
            type=type_of(model),
            message_id=message_id or self._ids.new(),
            body=body_of(model),
            occurred_at=self._service.clock.now(),
            subject=subject,
            correlation_id=correlation_id,
            traceparent=current_traceparent(),
        )

    async def send(self, message: Outgoing, *, to: Address) -> None:
        """Publish a prepared message with confirm."""
        await self.send_body(
            message.body, message.properties(self.app_id), exchange=to.exchange, key=to.routing_key, mandatory=to.mandatory
        )

    async def send_body(self, body: bytes, properties: Basic.Properties, *, exchange: str, key: str, mandatory: bool) -> None:
        """Publish bytes with confirm: the one place where anything leaves."""
        channel = self._publishing
        if channel is None or channel.is_closed:
            raise BrokerUnavailable("RabbitMQ is not connected")
        await self._confirmed(channel, body, properties, exchange, key, mandatory=mandatory)
        self.published.labels(exchange, key).inc()

    @staticmethod
    async def _confirmed(
        channel: Channel,
        body: bytes,
        properties: Basic.Properties,
        exchange: str,
        key: str,
        *,
        mandatory: bool,
    ) -> None:
        try:
            async with asyncio.timeout(CONFIRM_SECONDS_MAX):
                with nobody_cancelled():
                    await channel.basic_publish(
                        body, exchange=exchange, routing_key=key, properties=properties, mandatory=mandatory, wait=False
                    )
        except aiormq.exceptions.PublishError as error:
            raise Undeliverable(
                f"no queue takes {properties.message_type} at {exchange or 'the default exchange'}/{key}"
            ) from error
        except (OSError, aiormq.exceptions.AMQPError, RuntimeError, TimeoutError) as error:
            if _names(error, exchange):
                raise Undeliverable(f"{properties.message_type} can't go to {exchange}/{key}: {error}") from error
            raise BrokerUnavailable(f"not confirmed: {error!r}") from error

    async def ask(
        self,
        question: BaseModel,
        *,
        to: Address,
        answer: type[AnswerT],
        timeout_seconds: float,
        message_id: str | None = None,
        subject: str | None = None,
    ) -> AnswerT:
        """Ask and wait for the answer, at most `timeout_seconds` of the service's clock.

        Raises RpcTimeout (the question may still be handled), Undeliverable, BrokerUnavailable.
        """
        return await self.ask_message(
            self.outgoing(question, message_id=message_id, subject=subject), to=to, answer=answer, timeout_seconds=timeout_seconds
        )

    async def ask_message(self, message: Outgoing, *, to: Address, answer: type[AnswerT], timeout_seconds: float) -> AnswerT:
        """`ask` with a prepared message."""
        channel = self._asking
        if channel is None or channel.is_closed:
            raise BrokerUnavailable("RabbitMQ is not connected")
        correlation_id = self._ids.new()
        future: asyncio.Future[DeliveredMessage] = asyncio.get_running_loop().create_future()
        self._questions[correlation_id] = future
        try:
            async with self._service.clock.timeout(timeout_seconds):
                properties = with_reply(message, REPLY_QUEUE, correlation_id).properties(self.app_id)
                with self._service.work.on("ask"):  # until the broker has it; waiting for the answer is no work of ours
                    await self._confirmed(channel, message.body, properties, to.exchange, to.routing_key, mandatory=to.mandatory)
                    self.published.labels(to.exchange, to.routing_key).inc()
                delivered = await future
        except TimeoutError as error:
            raise RpcTimeout(f"no answer to {message.type} within {timeout_seconds} s") from error
        finally:
            self._questions.pop(correlation_id, None)
            if not future.cancel() and not future.cancelled():
                future.exception()  # looked at, or asyncio calls it never retrieved
        return answer.model_validate(orjson.loads(delivered.body))

    async def _answered(self, message: DeliveredMessage) -> None:
        future = self._questions.get(message.header.properties.correlation_id or "")
        if future is not None and not future.done():
            future.set_result(message)

    async def reply(self, model: BaseModel, *, reply_to: str, correlation_id: str | None) -> None:
        """Answer a question. An asker who is gone is no error: it asks again."""
        message = self.outgoing(model, correlation_id=correlation_id)
        channel = self._publishing
        if channel is None or channel.is_closed:
            return
        try:
            await self._confirmed(channel, message.body, message.properties(self.app_id), "", reply_to, mandatory=False)
        except MessagingError as error:
            log.warning("messaging.reply_lost", type=message.type, error=str(error))
