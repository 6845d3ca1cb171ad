"""The gateway and its chargers as charging hears them: it is asked on the gateway's own queue and answers in the lanes.

No sockets: a month of heartbeats of 50 chargers would be four million frames, and no rule of money is in them. What a charger
says of its sessions is said here in the gateway's words, over the broker, with a meter that physics drives.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import redis.asyncio
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel

from chassis.messaging import Bus
from chassis.messaging.envelope import unpack
from chassis.messaging.subscription import Subscription
from chassis.runtime import Service
from chassis.runtime.settings import ServiceSettings
from chassis.telemetry import Telemetry
from contracts.base import ChargerEvent
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
from contracts.topology import GATEWAYS_EXCHANGE, QUORUM, address_of, gateway_credentials_queue, gateway_queue
from testkit.clock import SteppingClock

NAME = "month"
LEASE = f"ocpp:gateway:{NAME}"
CREDENTIALS_CHANGED = "charging.charger_credentials_changed.v1"
ANSWER_SECONDS = 60


@dataclass
class Box:
    """A charger of one connector."""

    name: str
    epoch: int = 0
    seq: int = -1
    register_wh: float = 10_000
    power_w: int = 0
    flowing_since: datetime | None = None
    transaction_id: int | None = None
    invited_by: str | None = None
    """The idTag of the RemoteStart that waits for a car."""
    stops: list[int] = field(default_factory=list)
    """Transactions that it was told to stop."""

    def head(self, now: datetime) -> dict[str, Any]:
        """What every word of it begins with."""
        self.seq += 1
        return {"charge_point_id": self.name, "epoch": self.epoch, "seq": self.seq, "received_at": now, "gateway": NAME}

    def read(self, now: datetime) -> int:
        """The meter."""
        if self.flowing_since is not None:
            self.register_wh += self.power_w * (now - self.flowing_since).total_seconds() / 3600
            self.flowing_since = now
        return int(self.register_wh)


class Field(Service):
    """A gateway of fifty chargers."""

    def __init__(self, values: Mapping[str, Any], redis_url: str, clock: SteppingClock) -> None:
        super().__init__("ocpp_gateway", clock=clock)
        self.redis_url = redis_url
        self.boxes: dict[str, Box] = {}
        settings = ServiceSettings(**{name: values[name] for name in ("amqp_url", "internal_port", "principal_public_key")})
        self.telemetry = self.add(Telemetry(settings, service="ocpp_gateway", clock=clock))
        self.bus = self.add(
            Bus(settings.amqp_url.get_secret_value(), app_id="ocpp_gateway", service=self, telemetry=self.telemetry)
        )

    async def start(self) -> None:
        """Take commands, and hold the gateway's lease."""
        await super().start()
        client = redis.asyncio.from_url(self.redis_url)
        await client.set(LEASE, "the month's")
        await client.aclose()
        for queue, exchange, key, delivered in (
            (gateway_queue(NAME), GATEWAYS_EXCHANGE, NAME, self._command),
            (gateway_credentials_queue(NAME), "charging", CREDENTIALS_CHANGED, lambda _: None),
        ):
            await self._consume(queue, exchange, key, delivered)

    async def _consume(self, queue: str, exchange: str, key: str, delivered: Any) -> None:
        async def declare(channel: Channel) -> None:
            await channel.queue_declare(queue, durable=True, arguments=dict(QUORUM))
            await channel.queue_bind(queue, exchange, key)

        def on_delivery(message: DeliveredMessage) -> None:
            delivered(message)
            self.bus.settled.labels(queue).inc()
            self.tasks.start("ack", subscription.ack(message))

        subscription = Subscription(queue, on_delivery, prefetch=100, declare=declare)
        await self.bus.subscribe(subscription)

    def _command(self, message: DeliveredMessage) -> None:
        for received in unpack(message, gateway_queue(NAME)):
            asked = CommandSendRequested.model_validate(received.data)
            box = self.boxes[asked.charge_point_id]
            status = "Accepted"
            if asked.action == "RemoteStartTransaction":
                box.invited_by = asked.payload["idTag"]
            elif asked.action == "RemoteStopTransaction":
                box.stops.append(asked.payload["transactionId"])
            elif asked.action != "TriggerMessage":
                status = "NotSupported"
            done = CommandCompleted(
                **box.head(self.clock.now()),
                command_id=asked.command_id,
                action=asked.action,
                outcome=CommandOutcome.ANSWERED,
                response={"status": status},
            )
            self.tasks.start(f"answer {asked.action}", self._answer(box, done))

    async def _answer(self, box: Box, done: CommandCompleted) -> None:
        with self.work.on("answer"):
            await self.say(done)
            if done.action == "RemoteStopTransaction" and box.transaction_id is not None:
                await self.stop_charging(box, reason="Remote")

    async def say(self, event: ChargerEvent) -> None:
        """One word into its charger's lane."""
        await self.bus.publish(event, to=address_of(event, sender="ocpp_gateway"), message_id=event.message_id)

    async def connect(self, box: Box) -> None:
        """Its socket stands, it boots, its connector is free."""
        now = self.clock.now()
        box.epoch, box.seq = box.epoch + 1, -1
        await self.say(ChargePointConnected(**box.head(now)))
        await self.say(BootNotificationReceived(**box.head(now), charge_point_vendor="Month", charge_point_model="One"))
        await self.status(box, "Available")

    async def disconnect(self, box: Box) -> None:
        """Its socket is gone."""
        await self.say(ChargePointDisconnected(**box.head(self.clock.now()), reason=DisconnectReason.CLOSED))

    async def status(self, box: Box, status: str) -> None:
        """Its connector's."""
        await self.say(StatusNotificationReceived(**box.head(self.clock.now()), connector_id=1, status=status))

    async def plug(self, box: Box, power_w: int) -> None:
        """A car is plugged in: it starts where a RemoteStart waits for it."""
        if box.invited_by is None:
            return
        now = self.clock.now()
        await self.status(box, "Preparing")
        started = StartTransactionReceived(
            **box.head(now),
            connector_id=1,
            id_tag=box.invited_by,
            meter_start_wh=box.read(now),
            timestamp=now,
            timestamp_text=f"{now:%Y-%m-%dT%H:%M:%SZ}",
        )
        box.invited_by = None
        decided = await self.bus.ask(
            started,
            to=address_of(started, sender="ocpp_gateway"),
            answer=StartTransactionDecision,
            timeout_seconds=ANSWER_SECONDS,
            message_id=started.message_id,
        )
        if decided.status == "Accepted":
            box.transaction_id, box.power_w, box.flowing_since = decided.transaction_id, power_w, now
            await self.status(box, "Charging" if power_w else "SuspendedEV")

    async def sample(self, box: Box) -> None:
        """Its meter, while a session is on."""
        if box.transaction_id is None:
            return
        now = self.clock.now()
        register = SampledValue(value=str(box.read(now)), measurand="Energy.Active.Import.Register", unit="Wh")
        await self.say(
            MeterValuesReceived(
                **box.head(now),
                connector_id=1,
                transaction_id=box.transaction_id,
                meter_value=(MeterValue(timestamp=now, sampled_value=(register,)),),
            )
        )

    async def stop_charging(self, box: Box, *, reason: str) -> None:
        """The session ends at the charger."""
        if box.transaction_id is None:
            return
        now = self.clock.now()
        transaction_id, box.transaction_id = box.transaction_id, None
        stop_wh = box.read(now)
        box.flowing_since = None
        await self.say(
            StopTransactionReceived(
                **box.head(now), transaction_id=transaction_id, meter_stop_wh=stop_wh, timestamp=now, reason=reason
            )
        )
        await self.status(box, "Finishing")
        await self.status(box, "Available")
