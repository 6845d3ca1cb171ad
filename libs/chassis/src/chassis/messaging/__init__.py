"""Messages over RabbitMQ: confirmed out, in order per lane, handled once, parked with a reason. See docs/messaging.md."""

from chassis.messaging.bus import Bus
from chassis.messaging.envelope import Address, Outgoing, Received
from chassis.messaging.errors import BrokerUnavailable, MessagingError, RpcTimeout, Transient, Undeliverable, is_transient
from chassis.messaging.packer import Packer
from chassis.messaging.subscription import Subscription

__all__ = [
    "Address",
    "BrokerUnavailable",
    "Bus",
    "MessagingError",
    "Outgoing",
    "Packer",
    "Received",
    "RpcTimeout",
    "Subscription",
    "Transient",
    "Undeliverable",
    "is_transient",
]
