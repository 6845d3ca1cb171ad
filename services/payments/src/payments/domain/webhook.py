"""Razorpay's webhooks (razorpay.md §2): who sent this, and what does it say? The bytes are believed only once they verify."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from payments.domain.errors import InvalidSignatureError, MalformedEventError

EVENT_ID_CHARS_MAX = 64
"""The format of `x-razorpay-event-id` is not documented; what is longer is not an id of theirs, and the body's hash serves."""


class WebhookState(StrEnum):
    """RECEIVED → HANDLED | IGNORED | FAILED; an operator's replay leads back to RECEIVED."""

    RECEIVED = "RECEIVED"
    HANDLED = "HANDLED"
    IGNORED = "IGNORED"
    FAILED = "FAILED"


class Secret(StrEnum):
    """Which secret verified an event: retries of older events stay signed with the one before."""

    CURRENT = "CURRENT"
    PREVIOUS = "PREVIOUS"
    ASKED = "ASKED"
    """None: nobody sent it. It is Razorpay's answer to our own question, kept like the event that was lost."""


PAISE_MAX = 10**12
"""A thousand crore rupees: beyond any payment, within a bigint."""

FORWARDED_PREFIXES = ("settlement.", "transfer.", "transfers.", "account.", "product.route.")
"""Settlement's business. One of Razorpay's pages spells `transfers.failed`: both are taken."""


def signature(body: bytes, secret: str) -> str:
    """`X-Razorpay-Signature`: lower-case hex HMAC-SHA256 of the raw body."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def verify(body: bytes, header: str | None, *, current: str, previous: str | None) -> Secret:
    """Which secret signed the body, compared in constant time. Raises InvalidSignatureError, whatever the header holds."""
    # aiohttp gives undecodable header bytes as surrogates; compare_digest takes no text beyond ASCII, so bytes are compared.
    given = (header or "").encode("utf-8", "surrogateescape")
    for name, secret in ((Secret.CURRENT, current), (Secret.PREVIOUS, previous)):
        if secret and hmac.compare_digest(signature(body, secret).encode(), given):
            return name
    raise InvalidSignatureError("the signature does not match the body")


def body_hash(body: bytes) -> str:
    """SHA-256 of the raw body, in hex."""
    return hashlib.sha256(body).hexdigest()


def event_id(header: str | None, body: bytes) -> str:
    """`x-razorpay-event-id`, the same on every redelivery; the body's hash where it is missing or no id."""
    if header and header.isascii() and header.isprintable() and len(header) <= EVENT_ID_CHARS_MAX:
        return header
    return body_hash(body)


@dataclass(frozen=True, slots=True)
class Envelope:
    """A webhook's outer shape."""

    event: str
    account_id: str | None
    payload: Mapping[str, Any]
    created_at: datetime

    def entity(self, name: str) -> Mapping[str, Any] | None:
        """`payload.<name>.entity`, or None."""
        part = self.payload.get(name)
        entity = part.get("entity") if isinstance(part, Mapping) else None
        return entity if isinstance(entity, Mapping) else None


def parse(body: bytes, *, received_at: datetime) -> Envelope:
    """Read a verified body. Raises MalformedEventError.

    `created_at` is missing at the top in refund.speed_changed's sample (it stands in the payload there): then the receipt's time.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedEventError(f"the body is no JSON: {error}") from error
    if not isinstance(document, Mapping) or not isinstance(document.get("event"), str):
        raise MalformedEventError("the body is no event")
    payload = document.get("payload")
    if not isinstance(payload, Mapping):
        raise MalformedEventError("the event has no payload")
    account = document.get("account_id")
    stamp = document.get("created_at", payload.get("created_at"))
    return Envelope(
        event=document["event"],
        account_id=account if isinstance(account, str) else None,
        payload=payload,
        created_at=unix_time(stamp) or received_at,
    )


def unix_time(seconds: object) -> datetime | None:
    """Razorpay's time stamps are Unix seconds; a sample shows one as text. None for anything else."""
    try:
        return datetime.fromtimestamp(int(seconds), UTC) if isinstance(seconds, int | str) else None
    except (ValueError, OverflowError, OSError):
        return None


@dataclass(frozen=True, slots=True)
class Credit:
    """A payment made by scanning a QR code, as `qr_code.credited` tells it. Amounts in paise; `fee` includes GST (`tax`)."""

    razorpay_payment_id: str
    razorpay_qr_code_id: str
    amount_paise: int
    fee_paise: int | None
    tax_paise: int | None
    vpa: str | None
    contact: str | None
    rrn: str | None
    paid_at: datetime
    payment_entity: Mapping[str, Any]
    qr_code_entity: Mapping[str, Any]


def read_credit(envelope: Envelope) -> Credit:
    """The credit in a `qr_code.credited`. Raises MalformedEventError for what no session can be made of."""
    payment, qr_code = envelope.entity("payment"), envelope.entity("qr_code")
    if payment is None or qr_code is None:
        raise MalformedEventError("qr_code.credited without a payment or a qr_code")
    payment_id, qr_code_id, amount = payment.get("id"), qr_code.get("id"), payment.get("amount")
    if not isinstance(payment_id, str) or not isinstance(qr_code_id, str):
        raise MalformedEventError("qr_code.credited without ids")
    if not isinstance(amount, int) or isinstance(amount, bool) or not 0 < amount <= PAISE_MAX:
        raise MalformedEventError(f"qr_code.credited of {amount!r} paise")
    if payment.get("currency", "INR") != "INR":
        raise MalformedEventError(f"qr_code.credited in {payment.get('currency')!r}")
    acquirer = payment.get("acquirer_data")
    upi = payment.get("upi")
    vpa = payment.get("vpa") or (upi.get("vpa") if isinstance(upi, Mapping) else None)
    return Credit(
        razorpay_payment_id=payment_id,
        razorpay_qr_code_id=qr_code_id,
        amount_paise=amount,
        fee_paise=read_paise(payment.get("fee")),
        tax_paise=read_paise(payment.get("tax")),
        vpa=vpa if isinstance(vpa, str) else None,
        contact=payment["contact"] if isinstance(payment.get("contact"), str) else None,
        rrn=_text(acquirer.get("rrn")) if isinstance(acquirer, Mapping) else None,
        paid_at=unix_time(payment.get("created_at")) or envelope.created_at,
        payment_entity=payment,
        qr_code_entity=qr_code,
    )


@dataclass(frozen=True, slots=True)
class EntityFigures:
    """What an event says of money, and of whom: nothing personal is in it."""

    entity: str
    razorpay_id: str
    razorpay_payment_id: str | None
    status: str | None
    amount_paise: int | None
    fee_paise: int | None
    tax_paise: int | None


def read_figures(body: bytes) -> tuple[EntityFigures, ...]:
    """The figures of every entity with an amount in a stored event; none of a body that can't be read."""
    try:
        payload = json.loads(body)["payload"]
        entities = [(name, part["entity"]) for name, part in payload.items() if isinstance(part, Mapping) and "entity" in part]
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return ()
    return tuple(
        EntityFigures(
            entity=name,
            razorpay_id=entity["id"],
            razorpay_payment_id=_text(entity.get("payment_id")),
            status=_text(entity.get("status")),
            amount_paise=read_paise(entity["amount"]),
            fee_paise=read_paise(entity["fees"] if "fees" in entity else entity.get("fee")),
            tax_paise=read_paise(entity.get("tax")),
        )
        for name, entity in entities
        if isinstance(entity, Mapping) and isinstance(entity.get("id"), str) and "amount" in entity
    )


def read_paise(value: object) -> int | None:
    """A fee or tax: 0 is a figure, null is unknown, and so is what is no whole number of paise."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= PAISE_MAX else None


def _text(value: object) -> str | None:
    return str(value) if value is not None else None


def storable(text: str) -> str:
    """Text that a database and a log can hold: no NUL, no half of a surrogate pair, of bounded length."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")[:1000]
