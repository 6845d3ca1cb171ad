"""The broker's topology, declared in this one place: exchanges, queues, bindings, and who may write where.

Plain data and pure functions; `chassis.messaging` declares it, `voltlync` prints it. See docs/messaging.md.

- Every service has a topic exchange of its own name. Routing key = message type. Only that service may write it.
- Services that write to chargers' lanes have `<service>.lanes` (direct, key = lane number, two digits), bound to all lanes.
- `charging.gateways` (direct, key = gateway name) reaches the one gateway that holds a socket.
- `<service>.dead` (direct, key = queue name) parks what a consumer gave up, in `<queue>.dead`.
- `<service>.retry` (direct, key = queue name) → `<queue>.retry.<n>s` with a TTL, whose dead letters return to `<queue>` alone.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from zlib import crc32

from contracts.base import Contract, LaneEvent, Query

LANE_COUNT = 16
"""Lanes are quorum queues, so Raft groups: sixteen spread well over a few replicas and cost a broker little."""

RETRY_DELAYS_SECONDS = (1, 10, 60, 300)
"""The ladder of a queue of facts: a second for a lost race, five minutes for somebody else's outage; then the dead letters."""

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
        Queue("charging.sites", "charging", ("charging.site_owner_requested.v1",)),
        Queue("charging.tariffs", "charging", ("charging.tariff_requested.v1",)),
        Queue(
            "charging.events",
            "charging",
            (
                "ocpp_gateway.unknown_charge_point_seen.v1",
                "payments.payment_billed.v1",
                "payments.wallet_session_billed.v1",
            ),
        ),
        Queue(
            "payments.events",
            "payments",
            (
                "charging.start_refused.v1",
                "charging.start_expired.v1",
                "charging.transaction_started.v1",
                "charging.transaction_stopped.v1",
                "settlement.franchisee_changed.v1",
            ),
        ),
        Queue(
            "settlement.events",
            "settlement",
            (
                "payments.operator_refund_decided.v1",
                "payments.payment_billed.v1",
                "payments.payment_fee_recorded.v1",
                "payments.payment_received.v1",
                "payments.payment_refund_decided.v1",
                "payments.razorpay_event_received.v1",
                "payments.recharge_fee_recorded.v1",
                "payments.refund_changed.v1",
                "payments.wallet_recharged.v1",
                "payments.wallet_refund_decided.v1",
                "payments.wallet_session_billed.v1",
                "payments.wallets_counted.v1",
            ),
        ),
    )
)
"""Queries are bound on the asker's exchange: gateways and payments publish what they ask charging on their own."""

QUERY_ASKERS = {
    "charging.authorize_requested.v1": "ocpp_gateway",
    "charging.credentials_list_requested.v1": "ocpp_gateway",
    "charging.site_owner_requested.v1": "payments",
    "charging.tariff_requested.v1": "payments",
}
"""Whose exchange carries a query: a service may write its own exchange only, so the addressee's queue is bound there."""


def exchange_for(message_type: str) -> str:
    """The topic exchange that carries a message type: its producer's, or for a query the asker's."""
    return QUERY_ASKERS.get(message_type) or message_type.split(".", 1)[0]


def retried_queues(topology: Topology = TOPOLOGY) -> tuple[Queue, ...]:
    """Queues with a ladder. A lane parks at once, for what waits behind; a question that can't be answered has no afterlife."""
    return tuple(
        queue
        for queue in topology.queues
        if not queue.single_active_consumer and not any(bound in QUERY_ASKERS for bound in queue.binds)
    )


def gateway_queue(gateway: str) -> str:
    """The command queue of one gateway, by its stable name."""
    return f"ocpp_gateway.commands.{gateway}"


def gateway_credentials_queue(gateway: str) -> str:
    """Where one gateway hears that a charger's credentials changed."""
    return f"ocpp_gateway.credentials.{gateway}"


DELIVERIES_MAX = 1_000_000
"""RabbitMQ 4 gives quorum queues a delivery limit of 20, which would dead-letter the innocent neighbours of a killed consumer."""

QUORUM: dict[str, Any] = {"x-queue-type": "quorum", "x-delivery-limit": DELIVERIES_MAX}
"""Arguments of every working queue."""


@dataclass(frozen=True)
class Plan:
    """The topology as a broker is told it: exchanges (name, type), queues (name, arguments), bindings (queue, exchange, key)."""

    exchanges: tuple[tuple[str, str], ...]
    queues: tuple[tuple[str, dict[str, Any]], ...]
    bindings: tuple[tuple[str, str, str], ...]


def plan(topology: Topology = TOPOLOGY) -> Plan:
    """Everything that must exist before the first service starts."""
    exchanges = [(service, "topic") for service in SERVICES]
    exchanges += [(f"{service}.dead", "direct") for service in SERVICES]
    exchanges += [(f"{service}.lanes", "direct") for service in LANE_WRITERS]
    exchanges.append((GATEWAYS_EXCHANGE, "direct"))
    queues: list[tuple[str, dict[str, Any]]] = []
    bindings: list[tuple[str, str, str]] = []
    for queue in topology.queues:
        sole = {"x-single-active-consumer": True} if queue.single_active_consumer else {}
        queues += [(queue.name, {**QUORUM, **sole}), (f"{queue.name}.dead", dict(QUORUM))]
        bindings.append((f"{queue.name}.dead", f"{queue.consumer}.dead", f"{queue.name}.dead"))
        bindings += [(queue.name, exchange_for(bound), bound) for bound in queue.binds]
    for lane, name in enumerate(LANE_QUEUES):
        bindings += [(name, f"{service}.lanes", f"{lane:02d}") for service in LANE_WRITERS]
    retried = retried_queues(topology)
    exchanges += [(f"{service}.retry", "direct") for service in SERVICES if any(queue.consumer == service for queue in retried)]
    for queue in retried:
        for seconds in RETRY_DELAYS_SECONDS:
            name = f"{queue.name}.retry.{seconds}s"
            bindings.append((name, f"{queue.consumer}.retry", name))
            # The way back is the queue's own property, never the message's: a queue that many share would return a message by
            # the keys its sender chose, CC header included (ADR 0013). At least once, or a broker's crash would lose what waits.
            queues.append(
                (
                    name,
                    {
                        **QUORUM,
                        "x-message-ttl": seconds * 1000,
                        "x-dead-letter-exchange": "",
                        "x-dead-letter-routing-key": queue.name,
                        "x-dead-letter-strategy": "at-least-once",
                        "x-overflow": "reject-publish",
                    },
                )
            )
    return Plan(tuple(exchanges), tuple(queues), tuple(bindings))


@dataclass(frozen=True)
class Permission:
    """What a service's broker user may do, as RabbitMQ's three patterns."""

    user: str
    configure: str
    write: str
    read: str


def permissions(topology: Topology = TOPOLOGY) -> tuple[Permission, ...]:
    """Least privilege per service: it writes its own exchanges, reads its own queues, declares nothing.

    Two exceptions. The gateway declares the queues that bear its name. Who answers questions may write the default exchange,
    since that is where direct reply-to lives.
    """
    rights = []
    answering = {queue.consumer for queue in topology.queues if any(bound in QUERY_ASKERS for bound in queue.binds)}
    answering |= {queue.consumer for queue in topology.queues if queue.single_active_consumer}
    for service in SERVICES:
        own = rf"{service}(\.lanes|\.dead|\.retry|\.gateways)?"
        replies = r"|amq\.default" if service in answering else ""
        named = r"^ocpp_gateway\.(commands|credentials)\..*$" if service == "ocpp_gateway" else "^$"
        read = [re.escape(queue.name) for queue in topology.queues if queue.consumer == service]
        write = rf"^({own}{replies})$"
        if service == "ocpp_gateway":
            # Binding its own queues: write on the queue, read on the exchange that it binds to.
            write = rf"^({own}|ocpp_gateway\.(commands|credentials)\..*)$"
            read += [r"ocpp_gateway\.(commands|credentials)\..*", re.escape(GATEWAYS_EXCHANGE), "charging"]
        rights.append(Permission(service, named, write, rf"^({'|'.join(read)})$" if read else "^$"))
    return tuple(rights)


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
