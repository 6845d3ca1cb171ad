"""The broker's topology, declared in this one place: exchanges, queues, bindings, and who may write where.

Plain data and pure functions; `chassis.messaging` declares it, `voltlync` prints it. See docs/messaging.md.

- Every service has a topic exchange of its own name. Routing key = message type. Only that service may write it.
- Services that write to chargers' lanes have `<service>.lanes` (direct, key = lane number, two digits), bound to all lanes.
- `charging.gateways` (direct, key = gateway name) reaches the one gateway that holds a socket.
- `<service>.dead` (direct, key = queue name) parks what a consumer gave up, in `<queue>.dead`.
- `retry.<n>s` (fanout) → queue of the same name with a TTL, whose dead letters return by their routing key, the queue of origin.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from zlib import crc32

from contracts.base import Contract, LaneEvent, Query

LANE_COUNT = 16
"""Lanes are quorum queues, so Raft groups: sixteen spread well over a few replicas and cost a broker little."""

RETRY_DELAYS_SECONDS = (1, 10, 60, 300)
"""The shared ladder: a second for a lost race, five minutes for somebody else's outage; then the dead-letter queue."""

SERVICES = ("ocpp_gateway", "charging", "payments", "settlement", "firmware", "journal", "api_gateway")
LANE_WRITERS = ("ocpp_gateway", "charging", "payments")
GATEWAYS_EXCHANGE = "charging.gateways"


def lane_of(charge_point_id: str) -> int:
    """The lane of a charger: crc32 of its id, so that every publisher agrees without asking."""
    return crc32(charge_point_id.encode()) % LANE_COUNT


def lane_queue(lane: int) -> str:
    """Name of a lane's queue."""
    return f"charging.lane.{lane:02d}"


LANE_QUEUES = tuple(lane_queue(lane) for lane in range(LANE_COUNT))


@dataclass(frozen=True)
class Queue:
    """A durable quorum queue of one consumer group, with the event types it takes. Its dead letters go to `<name>.dead`."""

    name: str
    consumer: str
    binds: tuple[str, ...] = ()
    """Message types; each is bound on its producer's topic exchange."""
    single_active_consumer: bool = False


@dataclass(frozen=True)
class Topology:
    """All queues of the system that are known by name; gateways add their own command queue when they start."""

    queues: tuple[Queue, ...] = field(default_factory=tuple)

    def bound_queues(self, message_type: str) -> tuple[str, ...]:
        """Which queues a message of this type reaches through its producer's topic exchange."""
        return tuple(queue.name for queue in self.queues if message_type in queue.binds)


TOPOLOGY = Topology(
    queues=(
        *(Queue(name, "charging", single_active_consumer=True) for name in LANE_QUEUES),
        Queue("charging.authorize", "charging", ("charging.authorize_requested.v1",)),
        Queue("charging.credentials", "charging", ("charging.credentials_list_requested.v1",)),
        Queue(
            "charging.events",
            "charging",
            ("payments.payment_billed.v1", "ocpp_gateway.unknown_charge_point_seen.v1"),
        ),
        Queue(
            "payments.events",
            "payments",
            (
                "charging.start_refused.v1",
                "charging.start_expired.v1",
                "charging.transaction_started.v1",
                "charging.transaction_stopped.v1",
            ),
        ),
        Queue(
            "settlement.events",
            "settlement",
            ("payments.payment_billed.v1", "payments.razorpay_event_received.v1"),
        ),
    )
)
"""Queries are bound on the asker's exchange: `charging.*_requested` queries are published by the gateway on its own exchange."""

QUERY_ASKERS = {
    "charging.authorize_requested.v1": "ocpp_gateway",
    "charging.credentials_list_requested.v1": "ocpp_gateway",
}
"""Whose exchange carries a query: a service may write its own exchange only, so the addressee's queue is bound there."""


def exchange_for(message_type: str) -> str:
    """The topic exchange that carries a message type: its producer's, or for a query the asker's."""
    return QUERY_ASKERS.get(message_type) or message_type.split(".", 1)[0]


def gateway_queue(gateway: str) -> str:
    """The command queue of one gateway, by its stable name."""
    return f"ocpp_gateway.commands.{gateway}"


@dataclass(frozen=True)
class Address:
    """Where a message goes. `mandatory`: a message that reaches no queue is an error the sender must see."""

    exchange: str
    routing_key: str
    mandatory: bool = False


def address_of(model: Contract, *, sender: str) -> Address:
    """Where `sender` publishes this model: lanes for what concerns a charger's order, else the topic exchange by type.

    Commands for a gateway need its name: use `gateway_address`.
    """
    if isinstance(model, LaneEvent):
        return Address(f"{sender}.lanes", f"{lane_of(model.charge_point_id):02d}", mandatory=True)
    return Address(exchange_for(model.TYPE), model.TYPE, mandatory=isinstance(model, Query))


def address_from(sender: str) -> Callable[[Contract], Address]:
    """`address_of` for one sender: what a service hands to its chassis."""
    return partial(address_of, sender=sender)


def gateway_address(gateway: str) -> Address:
    """The command queue of the gateway of this name; unroutable where no such gateway ever ran."""
    return Address(GATEWAYS_EXCHANGE, gateway, mandatory=True)
