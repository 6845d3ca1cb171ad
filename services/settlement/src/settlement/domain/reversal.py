"""Taking money back out of a linked account (razorpay.md §5.5): a call without idempotency at Razorpay.

An unknown outcome is resolved by the transfer's list of reversals. Ours bears its correction's key in the notes; where notes are
missing, one of the same amount that we do not know yet is ours, for only one is under way per transfer.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class ReversalStatus(StrEnum):
    """CLAIMED → DONE | FAILED; UNKNOWN and WAITING on the way."""

    CLAIMED = "CLAIMED"
    """The intent stands; a call may be under way. Left like this by a dead process it counts as UNKNOWN when its lease ends."""
    UNKNOWN = "UNKNOWN"
    """A call ended without an answer; the list is read before anything is sent again."""
    WAITING = "WAITING"
    """Refused for now, without effect: sent again later."""
    DONE = "DONE"
    """The money is back. Final."""
    FAILED = "FAILED"
    """Refused: what is owed is taken off the next payouts instead. Final."""


OPEN = frozenset({ReversalStatus.CLAIMED, ReversalStatus.UNKNOWN, ReversalStatus.WAITING})
"""Under way: Razorpay is not known to have done it, nor to have refused."""


def request_body(*, amount_paise: int, key: str, environment: str) -> dict[str, Any]:
    """The body of `POST /v1/transfers/:id/reversals`. Made once and kept."""
    return {"amount": amount_paise, "notes": {"key": key, "environment": environment}}


@dataclass(frozen=True, slots=True)
class SeenReversal:
    """What Razorpay says of one reversal."""

    razorpay_reversal_id: str
    amount_paise: int
    key: str | None
    """From the notes; None where they are missing."""

    @classmethod
    def from_entity(cls, entity: Mapping[str, Any]) -> "SeenReversal | None":
        """Read a reversal entity; None where it is none. `notes` is `[]` when empty."""
        name, amount, notes = entity.get("id"), entity.get("amount"), entity.get("notes")
        if not isinstance(name, str) or not isinstance(amount, int) or isinstance(amount, bool):
            return None
        key = notes.get("key") if isinstance(notes, Mapping) else None
        return cls(razorpay_reversal_id=name, amount_paise=amount, key=str(key) if key else None)


def find_ours(seen: Iterable[SeenReversal], *, key: str, amount_paise: int, known: AbstractSet[str]) -> SeenReversal | None:
    """Which of a transfer's reversals is the one under way: by its key, else the oldest unknown of its amount without a key."""
    unknown = [item for item in seen if item.razorpay_reversal_id not in known]
    by_key = next((item for item in unknown if item.key == key), None)
    return by_key or next((item for item in reversed(unknown) if item.key is None and item.amount_paise == amount_paise), None)
