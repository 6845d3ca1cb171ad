"""The gateway's command queue: each command is taken once, sent at most once, reported exactly once, then acknowledged.

| what happened | what is reported |
| --- | --- |
| its connection is not here (gone, or of another epoch) | NOT_SENT |
| delivered before, to a process of this gateway that is no more | UNKNOWN: it may have been sent |
| delivered before, to this process (the broker restarted) | nothing new: we remember it |
| on a connection of ours | what `calls.py` says |

A message is acknowledged when its outcome is durable, so a kill at any moment leaves it in the queue, and the next process says
UNKNOWN. That can follow an outcome whose acknowledgement was lost: charging keeps the first (compare-and-set on the command).
"""

from collections import OrderedDict
from itertools import count
from typing import Any, Protocol
from zlib import crc32

import orjson
import structlog
from aiormq.abc import AbstractChannel, DeliveredMessage

from chassis.messaging import Bus, Subscription
from chassis.messaging.envelope import Received, Unreadable, unpack
from chassis.runtime import Service
from chassis.sealing import SealingBox, Unopenable
from chassis.telemetry import current_traceparent
from contracts.ocpp_gateway import CommandCompleted, CommandOutcome, CommandSendRequested
from contracts.topology import GATEWAYS_EXCHANGE, QUORUM, gateway_queue
from ocpp_gateway.calls import Calls, Command, Outcome
from ocpp_gateway.metrics import Metrics
from ocpp_gateway.registry import Registry
from ocpp_gateway.streams import Numbered, Outbound, Streams

log = structlog.get_logger(__name__)

PREFETCH = 2000
"""Commands in hand at once, over all chargers; each charger's own share is bounded far lower."""

SEALED_FOR = "command"
"""What charging seals commands' secret values for (charging.usecases.hand_over_credentials)."""

REMEMBERED_MAX = 20_000
"""Commands done and acknowledged that we still recognise, should the acknowledgement have been lost."""

OWN_SEQ_BASE = 1_000_000_000
"""Outcomes of connections that are no longer here are numbered from here on, by the command's own id: above any event of the
connection, the same again when the same command is reported again. Fits 32 bits."""


class LiveConnection(Numbered, Protocol):
    """An open connection, as far as commands need it."""

    calls: Calls


class Connections(Protocol):
    """The open connections."""

    def live(self, charge_point_id: str, epoch: int) -> LiveConnection | None:
        """The connection of this charger and epoch, None if it is not (or no longer) here."""
        ...


class Elsewhere:
    """Stands for a connection that is not ours: its epoch is known, its count is not."""

    __slots__ = ("epoch",)

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def take_seq(self) -> int:
        """Never asked: such events bring their own number."""
        raise NotImplementedError


class Commands:
    """Consumer of the gateway's own queue. A Part."""

    def __init__(
        self,
        *,
        service: Service,
        bus: Bus,
        streams: Streams,
        registry: Registry,
        gateway: str,
        metrics: Metrics,
        sealing: SealingBox | None = None,
    ) -> None:
        self._service = service
        self._bus = bus
        self._streams = streams
        self._registry = registry
        self._gateway = gateway
        self._metrics = metrics
        self._sealing = sealing
        self._numbers = count()
        self._in_hand: dict[str, Command] = {}
        self._done: OrderedDict[str, None] = OrderedDict()
        self._queue = gateway_queue(gateway)
        self._subscription = Subscription(self._queue, self._delivered, prefetch=PREFETCH, declare=self._declare)
        self.connections: Connections | None = None
        """Set before the start: connections report their commands here, and are looked up here."""

    async def start(self) -> None:
        """Declare the queue and take what waits in it."""
        await self._bus.subscribe(self._subscription)

    async def stop(self) -> None:
        """Take no more. What is in hand was reported when its sockets closed, and acknowledged where that is durable."""
        await self._bus.unsubscribe(self._subscription)

    async def _declare(self, channel: AbstractChannel) -> None:
        await channel.queue_declare(self._queue, durable=True, arguments=dict(QUORUM))
        await channel.queue_bind(self._queue, GATEWAYS_EXCHANGE, self._gateway)

    def _delivered(self, delivery: DeliveredMessage) -> None:
        try:
            for received in unpack(delivery, self._queue):
                self._take(received, CommandSendRequested.model_validate(received.data), delivery)
        except (Unreadable, ValueError) as error:
            # Without a readable command there is nobody to report to; its owner has a deadline.
            log.error("command.unreadable", error=str(error))  # noqa: TRY400
            self._metrics.commands.labels("?", "UNREADABLE").inc()
            self._bus.settled.labels(self._queue).inc()
            self._acknowledge(delivery)

    def _take(self, received: Received, model: CommandSendRequested, delivery: DeliveredMessage) -> None:
        known = self._in_hand.get(model.command_id)
        if known is not None:
            known.delivery = delivery
            return
        if model.command_id in self._done:
            self._acknowledge(delivery)
            return
        # Counted when it is in hand: what follows waits for a charger, which is no work of the broker's.
        self._bus.settled.labels(self._queue).inc()
        with self._bus.telemetry.span(
            f"command {model.action}",
            traceparent=received.traceparent,
            charge_point_id=model.charge_point_id,
            command_id=model.command_id,
        ):
            command = Command(model, delivery, current_traceparent(), next(self._numbers))
        self._in_hand[model.command_id] = command
        if model.sealed is not None and not self._unseal(command, model.sealed):
            # Sent as it is it would set a password of asterisks.
            self.complete(
                command, Outcome(CommandOutcome.CALL_ERROR, code="InternalError", description="the gateway can't open it"), None
            )
            return
        connection = self.connections.live(model.charge_point_id, model.epoch) if self.connections is not None else None
        if connection is not None:
            connection.calls.push(command)
        elif received.redelivered and not self._registry.was_ours(model.charge_point_id, model.epoch):
            self.complete(command, Outcome(CommandOutcome.UNKNOWN), None)
        else:
            self.complete(command, Outcome(CommandOutcome.NOT_SENT), None)

    def _unseal(self, command: Command, sealed: str) -> bool:
        """Put what only the charger may read into the payload: in this process's memory, and nowhere else."""
        if self._sealing is None:
            log.error("command.sealed_without_key", command_id=command.model.command_id)
            return False
        try:
            secret = orjson.loads(self._sealing.open(sealed, purpose=SEALED_FOR))
        except (Unopenable, ValueError) as error:
            log.error("command.unopenable", command_id=command.model.command_id, error=str(error))  # noqa: TRY400
            return False
        command.model = command.model.model_copy(update={"payload": {**command.model.payload, **secret}, "sealed": None})
        return True

    def complete(self, command: Command, outcome: Outcome, connection: Numbered | None) -> None:
        """Report an outcome in the charger's order, and acknowledge the command once that is durable.

        `connection` None: the command's connection is not here.
        """
        model = command.model
        if outcome.late:
            self._metrics.late_answers.inc()
        elif command.reported:
            return
        else:
            command.reported = True
            self._metrics.commands.labels(model.action, outcome.outcome.value).inc()
        log.info(
            "command.completed",
            charge_point_id=model.charge_point_id,
            command_id=model.command_id,
            action=model.action,
            outcome=outcome.outcome.value,
            late=outcome.late,
        )
        fields: dict[str, Any] = {
            "command_id": model.command_id,
            "action": model.action,
            "outcome": outcome.outcome.value,
            "response": outcome.response,
            "error_code": outcome.code,
            "error_description": outcome.description,
            "late": outcome.late,
        }
        self._streams.tell(
            Outbound(
                self._streams.of(model.charge_point_id),
                connection if connection is not None else Elsewhere(model.epoch),
                CommandCompleted.TYPE,
                fields,
                self._service.clock.now(),
                lambda _durable: self._reported(command, late=outcome.late),
                must_keep=True,
                seq=None if connection is not None else OWN_SEQ_BASE + crc32(model.command_id.encode()) % OWN_SEQ_BASE,
                traceparent=command.traceparent,
            )
        )

    def _reported(self, command: Command, *, late: bool) -> None:
        if late:
            return
        self._in_hand.pop(command.model.command_id, None)
        self._done[command.model.command_id] = None
        if len(self._done) > REMEMBERED_MAX:
            self._done.popitem(last=False)
        if command.delivery is not None:
            self._acknowledge(command.delivery)

    def _acknowledge(self, delivery: DeliveredMessage) -> None:
        self._service.tasks.start("command.ack", self._subscription.ack(delivery))
