"""The life of a refund at Razorpay (razorpay.md §4): its keys, its states, what is tried when, and which refund is ours."""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any
from zlib import crc32

from payments.domain.qr_payment import request_key

FIRST_BACKOFF_SECONDS = 5
"""A refusal that will pass (another operation on the payment, a low balance, 429) is mostly over in seconds."""
BACKOFF_SECONDS_MAX = 1800
"""And never waits longer than the 30-minute retry of P11."""
PROCESSING_WITHIN = timedelta(days=10)
"""At normal speed Razorpay and the bank take up to seven working days (razorpay.md 0.9). Of what takes longer somebody asks."""
ATTEMPTS_MAX = 5
"""Attempts (keys) of one refund before a person has to look; each failed definitively at the bank or at Razorpay."""


class RefundStatus(StrEnum):
    """PENDING → CALLING → PROCESSING → PROCESSED | FAILED, and UNKNOWN where a call ended without an answer."""

    PENDING = "PENDING"
    """Owed, not asked for, or refused for now."""
    CALLING = "CALLING"
    """Claimed: a call may be under way. Left like this by a dead process, it counts as UNKNOWN when its lease ends."""
    UNKNOWN = "UNKNOWN"
    """A call ended without an answer; resolved by fetching before anything is sent again."""
    PROCESSING = "PROCESSING"
    """Razorpay has it."""
    PROCESSED = "PROCESSED"
    """Final: the rider has it."""
    FAILED = "FAILED"
    """Definitively refused, or failed at the bank. A new attempt has a key of its own."""


class Speed(StrEnum):
    """`speed` of a refund: optimum is minutes where the bank can, and falls back to normal (2 to 7 days for UPI)."""

    NORMAL = "normal"
    OPTIMUM = "optimum"


_RANK = {
    RefundStatus.PENDING: 0,
    RefundStatus.CALLING: 1,
    RefundStatus.UNKNOWN: 1,
    RefundStatus.PROCESSING: 2,
    RefundStatus.FAILED: 3,
    RefundStatus.PROCESSED: 4,
}


def advance(current: RefundStatus, seen: RefundStatus) -> RefundStatus:
    """The status after Razorpay said `seen`: forward only, whatever order its words come in.

    PROCESSED outranks FAILED: money that left can't be called back, so a late "failed" never reopens it, and a refund that
    we took for failed and that went through after all is processed.
    """
    return seen if _RANK[seen] > _RANK[current] else current


def status_of_entity(entity: Mapping[str, Any]) -> RefundStatus:
    """Our status for Razorpay's `pending`, `processed`, `failed`; a word we don't know means that Razorpay has it."""
    return {
        "processed": RefundStatus.PROCESSED,
        "failed": RefundStatus.FAILED,
    }.get(str(entity.get("status")), RefundStatus.PROCESSING)


AUTOMATIC = 0
"""The number of what a payment gives back by itself; operators' partial refunds count from 1."""


def refund_key(qr_payment_id: int, attempt: int, number: int = AUTOMATIC) -> str:
    """`qr_payment_{id}`, or `qr_payment_{id}_op{n}` of an operator's n-th; `..._r{m}` after a definitive failure (0a).

    X-Refund-Idempotency and receipt.
    """
    key = request_key(qr_payment_id) if number == AUTOMATIC else f"{request_key(qr_payment_id)}_op{number}"
    return key if attempt == 1 else f"{key}_r{attempt}"


def is_key_of(receipt: object, qr_payment_id: int, number: int = AUTOMATIC) -> bool:
    """Whether a refund's receipt is one of this refund's keys, whatever the attempt."""
    key = refund_key(qr_payment_id, 1, number)
    return isinstance(receipt, str) and (receipt == key or receipt.startswith(f"{key}_r"))


def request_body(*, key: str, amount_paise: int, speed: Speed, notes: Mapping[str, str]) -> dict[str, Any]:
    """The body of `POST /v1/payments/:id/refund`. Made once and kept: another body under the same key is refused."""
    return {"amount": amount_paise, "speed": speed.value, "receipt": key, "notes": dict(notes)}


def backoff_seconds(key: str, tries: int) -> int:
    """How long to wait after the n-th refusal: doubling from 5 s to 30 minutes, with up to a quarter less by the key.

    The spread is the key's own rather than random, so that refunds refused together don't return together and a test can
    repeat a run.
    """
    full = min(FIRST_BACKOFF_SECONDS << min(tries - 1, 16), BACKOFF_SECONDS_MAX)
    return full - full * (crc32(f"{key}/{tries}".encode()) % 256) // 1024


def look_again_seconds(age_seconds: float) -> float:
    """How long to wait after a look at a refund failed: as long again as it stands as it does, within 5 s and 30 minutes."""
    return min(max(age_seconds, FIRST_BACKOFF_SECONDS), BACKOFF_SECONDS_MAX)


@dataclass(frozen=True, slots=True)
class Observed:
    """What Razorpay says of one refund, by webhook, by answer or by fetch."""

    razorpay_refund_id: str
    razorpay_payment_id: str | None
    status: RefundStatus
    amount_paise: int | None
    receipt: str | None
    speed_requested: str | None
    speed_processed: str | None
    bank_reference: str | None
    reference_kind: str | None = None
    """RRN, ARN or UTR: which of them `bank_reference` is."""

    @classmethod
    def from_entity(cls, entity: Mapping[str, Any]) -> "Observed":
        """Read a refund entity (razorpay.md §4). `acquirer_data` is `{}`, or bears an `arn`, `rrn` or `utr`, possibly null."""
        acquirer = entity.get("acquirer_data")
        references = acquirer if isinstance(acquirer, Mapping) else {}
        kind = next((name for name in ("rrn", "arn", "utr") if references.get(name)), None)
        return cls(
            razorpay_refund_id=str(entity["id"]),
            razorpay_payment_id=_text(entity.get("payment_id")),
            status=status_of_entity(entity),
            amount_paise=entity.get("amount") if isinstance(entity.get("amount"), int) else None,
            receipt=_text(entity.get("receipt")),
            speed_requested=_text(entity.get("speed_requested")),
            speed_processed=_text(entity.get("speed_processed")),
            bank_reference=_text(references[kind]) if kind is not None else None,
            reference_kind=kind.upper() if kind is not None else None,
        )

    def with_status(self, status: RefundStatus) -> "Observed":
        """The same with another status."""
        return replace(self, status=status)


def _text(value: object) -> str | None:
    return str(value) if value is not None else None


def find_by_key(refunds: Iterable[Observed], key: str) -> Observed | None:
    """The refund that was made with this very key. Receipts are ours and unique, so there is at most one."""
    return next((refund for refund in refunds if refund.receipt == key), None)


def find_live(
    refunds: Iterable[Observed],
    *,
    qr_payment_id: int,
    amount_paise: int,
    number: int = AUTOMATIC,
    taken: AbstractSet[str] = frozenset(),
) -> Observed | None:
    """A refund that already does what a new attempt would do: live, and ours by its receipt, or without one and of our amount.

    The amount serves where somebody refunded by hand in Razorpay's dashboard what our failed attempt owed. A receipt that is
    not this refund's key is another refund of ours (an operator's partial one), however equal its amount; `taken` are those
    that other refunds of the payment are known to be.
    """
    live = [item for item in refunds if item.status is not RefundStatus.FAILED and item.razorpay_refund_id not in taken]
    ours = next((refund for refund in live if is_key_of(refund.receipt, qr_payment_id, number)), None)
    by_hand = (refund for refund in live if not refund.receipt and refund.amount_paise == amount_paise)
    return ours or next(by_hand, None)
