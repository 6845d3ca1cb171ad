"""Payments that no event told of: when Razorpay is asked for them, and the event that each would have been told by."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

GRACE = timedelta(minutes=1)
"""How long the event has to come by itself. Nearly all come within seconds."""
RECENT = timedelta(minutes=15)
"""What is found within it may still be served, or goes back within minutes."""
LATE = timedelta(hours=25)
"""Razorpay delivers an event for a day; a bank may authorise late what was made hours ago. What is older still is found by the
statement."""


@dataclass(frozen=True, slots=True)
class Window:
    """Payments made from `begin` to `end`, both included, by Razorpay's `created_at`."""

    begin: datetime
    end: datetime


def recent(now: datetime) -> Window:
    """What is looked at every minute."""
    return Window(now - RECENT, now - GRACE)


def late(now: datetime) -> Window:
    """What is looked at every quarter of an hour, and at start: it goes on where `recent` ends."""
    return Window(now - LATE, now - RECENT)


def is_captured(payment: Mapping[str, Any]) -> bool:
    """Whether it is money that nobody has given back."""
    return payment.get("status") == "captured" and isinstance(payment.get("id"), str)


def event_id(razorpay_payment_id: str) -> str:
    """What the answer about a payment is kept by, in place of Razorpay's own id of the event."""
    return f"asked_{razorpay_payment_id}"


def captured_event(payment: Mapping[str, Any]) -> tuple[str, bytes]:
    """(name, body) of the event that tells of a payment on an order. The same for the same payment."""
    return _event("payment.captured", payment, {"payment": payment}, account=None)


def credited_event(payment: Mapping[str, Any], qr_code: Mapping[str, Any], *, account: str | None) -> tuple[str, bytes]:
    """(name, body) of the event that tells of a payment on a QR code, `account`'s own or ours."""
    return _event("qr_code.credited", payment, {"payment": payment, "qr_code": qr_code}, account=account)


def _event(name: str, payment: Mapping[str, Any], entities: Mapping[str, Any], *, account: str | None) -> tuple[str, bytes]:
    envelope = {
        "entity": "event",
        "event": name,
        "contains": list(entities),
        "payload": {kind: {"entity": dict(entity)} for kind, entity in entities.items()},
        "created_at": payment.get("created_at"),
    }
    if account is not None:
        envelope["account_id"] = account
    return name, json.dumps(envelope, sort_keys=True, separators=(",", ":")).encode()
