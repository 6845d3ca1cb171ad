"""A wallet is recharged: an order of ours at Razorpay, and what Razorpay tells of the payments on it (razorpay.md 0a)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from payments.domain.errors import MalformedEventError
from payments.domain.qr_code import ENVIRONMENT_NOTE
from payments.domain.webhook import PAISE_MAX, Envelope, read_paise, unix_time

RECHARGE_NOTE = "voltlync_recharge"
"""Our id rides in the order's notes beside the environment, and in its receipt, by which Razorpay lists orders."""
RECEIPT_PREFIX = "recharge_"


class RechargeStatus(StrEnum):
    """CREATING → OPEN → PAID, or REFUSED where Razorpay made no order."""

    CREATING = "CREATING"
    """Our row is there; Razorpay has been asked, or will be. An unknown outcome stays here until it is found or not."""
    OPEN = "OPEN"
    """The order waits to be paid. Razorpay's orders don't expire: one that is never paid stays open."""
    PAID = "PAID"
    """A payment of it is in the wallet."""
    REFUSED = "REFUSED"


class RechargeFeeSource(StrEnum):
    """Who told the fee. It is never estimated: no bill waits for it."""

    WEBHOOK = "WEBHOOK"
    API = "API"


def receipt_of(recharge_id: int) -> str:
    """`recharge_17`: the order's receipt."""
    return f"{RECEIPT_PREFIX}{recharge_id}"


def order_body(recharge_id: int, *, amount_paise: int, environment: str) -> dict[str, Any]:
    """The body of `POST /v1/orders`. Made once and kept. Paid whole or not at all, and captured without our doing."""
    return {
        "amount": amount_paise,
        "currency": "INR",
        "receipt": receipt_of(recharge_id),
        "payment_capture": True,
        "notes": {ENVIRONMENT_NOTE: environment, RECHARGE_NOTE: str(recharge_id)},
    }


@dataclass(frozen=True, slots=True)
class RechargeMark:
    """What an order's notes say: whose it is, and which of theirs."""

    environment: str
    recharge_id: int


def read_mark(entity: Mapping[str, Any] | None) -> RechargeMark | None:
    """Our mark in an order's notes; None where there is none. `notes` is `[]` when empty, an object otherwise."""
    notes = entity.get("notes") if entity is not None else None
    if not isinstance(notes, Mapping):
        return None
    environment, number = notes.get(ENVIRONMENT_NOTE), str(notes.get(RECHARGE_NOTE, ""))
    if not isinstance(environment, str) or not (number.isascii() and number.isdigit()):
        return None
    return RechargeMark(environment, int(number))


def find_order(orders: Iterable[Mapping[str, Any]], *, recharge_id: int, environment: str) -> Mapping[str, Any] | None:
    """The order that an earlier call of this recharge made, among those with its receipt: environments may share an account."""
    wanted = RechargeMark(environment, recharge_id)
    return next((order for order in orders if read_mark(order) == wanted), None)


@dataclass(frozen=True, slots=True)
class Capture:
    """A payment of an order, as `payment.captured` tells it. Amounts in paise; `fee` includes GST (`tax`), None: not told."""

    razorpay_payment_id: str
    razorpay_order_id: str
    amount_paise: int
    fee_paise: int | None
    tax_paise: int | None
    paid_at: datetime
    payment_entity: Mapping[str, Any]


def read_capture(envelope: Envelope) -> Capture | None:
    """The payment in a `payment.captured`; None for one without an order, such as a QR payment's, which fires it too.

    Raises MalformedEventError for what no wallet can be credited with.
    """
    payment = envelope.entity("payment")
    if payment is None:
        raise MalformedEventError("payment.captured without a payment")
    payment_id, order_id, amount = payment.get("id"), payment.get("order_id"), payment.get("amount")
    if order_id is None:
        return None
    if not isinstance(payment_id, str) or not isinstance(order_id, str):
        raise MalformedEventError("payment.captured without ids")
    if not isinstance(amount, int) or isinstance(amount, bool) or not 0 < amount <= PAISE_MAX:
        raise MalformedEventError(f"payment.captured of {amount!r} paise")
    if payment.get("currency", "INR") != "INR":
        raise MalformedEventError(f"payment.captured in {payment.get('currency')!r}")
    return Capture(
        razorpay_payment_id=payment_id,
        razorpay_order_id=order_id,
        amount_paise=amount,
        fee_paise=read_paise(payment.get("fee")),
        tax_paise=read_paise(payment.get("tax")),
        paid_at=unix_time(payment.get("created_at")) or envelope.created_at,
        payment_entity=payment,
    )
