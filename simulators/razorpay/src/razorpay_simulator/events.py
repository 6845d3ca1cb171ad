"""Webhook events: their records, and the exact bytes that are sent and signed."""

import hashlib
import hmac
import json
from typing import Literal

from pydantic import BaseModel, Field

from razorpay_simulator.entities import JsonObject, Record

_FAMILIES = {
    "payment": "authorized captured failed",
    "payment.dispute": "created won lost closed under_review action_required",
    "payment.downtime": "started updated resolved",
    "order": "paid",
    "invoice": "paid partially_paid expired",
    "payment_link": "paid partially_paid expired cancelled",
    "virtual_account": "created credited closed",
    "qr_code": "created credited closed",
    "refund": "created processed failed speed_changed",
    "transfer": "processed failed",
    "settlement": "processed",
    "product.route": "under_review needs_clarification activated",
    "account": (
        "instantly_activated payments_enabled under_review needs_clarification activated_kyc_pending activated rejected "
        "funds_hold funds_unhold suspended"
    ),
}
EVENTS = frozenset(f"{family}.{name}" for family, names in _FAMILIES.items() for name in names.split())
"""What can be subscribed to; of these the sandbox sends those of its own entities."""

EventState = Literal["pending", "delivered", "failed", "disabled", "dropped"]


class Endpoint(Record):
    """A receiver of webhooks."""

    id: str
    url: str
    secret: str
    """Empty: what is sent bears no signature."""
    events: list[str] | None = None
    disabled_at: int | None = None
    """When a day of failures, or somebody, disabled it; events that happen while it is disabled are not sent."""
    owner_id: str | None = None
    """The linked account whose events it hears; None: the parent's, which hears everything."""
    alert_email: str | None = None
    created_at: int = 0
    updated_at: int = 0

    def wants(self, event: str, account_id: str) -> bool:
        return (self.events is None or event in self.events) and self.owner_id in (None, account_id)


class Delivery(BaseModel):
    """One event on its way to one receiver."""

    endpoint_id: str
    url: str
    secret: str
    """The secret at the time of the event: retries stay signed with it after a rotation."""
    state: EventState = "pending"
    attempts: int = 0
    started_at: float
    """From here runs the horizon after which Razorpay gives up: the event's time, or that of its replay."""
    next_at: float
    last_status: int | None = None
    last_error: str | None = None


class EventRecord(BaseModel):
    """An event with its body, which is a snapshot of the moment it happened."""

    id: str
    event: str
    account_id: str
    created_at: int
    body: str
    deliveries: list[Delivery] = Field(default_factory=list)

    @property
    def acknowledged(self) -> bool:
        return all(delivery.state == "delivered" for delivery in self.deliveries)


def envelope(event: str, account_id: str, payload: JsonObject, created_at: int) -> JsonObject:
    """The body of a webhook. `contains` names the payload's parts."""
    return {
        "entity": "event",
        "account_id": account_id,
        "event": event,
        "contains": list(payload),
        "payload": payload,
        "created_at": created_at,
    }


def encode(body: JsonObject) -> bytes:
    r"""Compact JSON with `\/` and `\uXXXX`, as Razorpay's PHP writes it: who re-serialises before verifying will fail."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=True).replace("/", "\\/").encode("ascii")


def sign(body: bytes, secret: str) -> str:
    """`X-Razorpay-Signature`: lower-case hex HMAC-SHA256 over the raw body."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
