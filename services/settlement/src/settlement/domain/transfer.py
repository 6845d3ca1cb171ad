"""The life of a Route transfer (razorpay.md §5.5): its keys, its states, and what Razorpay's words about it mean."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from settlement.domain.ledger_entry import BELOW_MINIMUM_WORDS, NETTED_WORDS, OWED_WORDS, EntryStatus, HoldKind

MINIMUM_PAISE = 100
"""The least that Razorpay transfers."""
MAX_TRANSFER_RETRIES = 3
"""S6: attempts of one entry that may fail definitively before a person has to look. Holds don't count."""


class TransferStatus(StrEnum):
    """CLAIMED → ACCEPTED → PROCESSED → SETTLED, or FAILED; UNKNOWN and WAITING on the way."""

    CLAIMED = "CLAIMED"
    """The intent stands; a call may be under way. Left like this by a dead process it counts as UNKNOWN when its lease ends."""
    UNKNOWN = "UNKNOWN"
    """A call ended without an answer; resolved by a scan before anything is sent again."""
    WAITING = "WAITING"
    """Refused for now, without effect: the same key and body are sent again later."""
    ACCEPTED = "ACCEPTED"
    """Razorpay has it, and has not processed it yet."""
    FAILED = "FAILED"
    """Definitively refused or failed. Its key can never succeed."""
    PROCESSED = "PROCESSED"
    """The linked account has it."""
    SETTLED = "SETTLED"
    """A settlement took it to the bank. Final."""


UNSENT = frozenset({TransferStatus.CLAIMED, TransferStatus.UNKNOWN, TransferStatus.WAITING})
"""Razorpay is not known to have it."""

_RANK = {
    TransferStatus.CLAIMED: 0,
    TransferStatus.UNKNOWN: 0,
    TransferStatus.WAITING: 0,
    TransferStatus.ACCEPTED: 1,
    TransferStatus.FAILED: 2,
    TransferStatus.PROCESSED: 3,
    TransferStatus.SETTLED: 4,
}

ENTRY_STATUS = {
    TransferStatus.CLAIMED: EntryStatus.TRANSFERRING,
    TransferStatus.UNKNOWN: EntryStatus.UNKNOWN,
    TransferStatus.WAITING: EntryStatus.ON_HOLD,
    TransferStatus.ACCEPTED: EntryStatus.TRANSFERRING,
    TransferStatus.FAILED: EntryStatus.FAILED,
    TransferStatus.PROCESSED: EntryStatus.TRANSFERRED,
    TransferStatus.SETTLED: EntryStatus.SETTLED,
}
"""Where a transfer's entries stand with it."""


def advance(current: TransferStatus, seen: TransferStatus) -> TransferStatus:
    """The status after Razorpay said `seen`: forward only, whatever order its words come in.

    PROCESSED outranks FAILED: money that left can't be called back by a late word.
    """
    return seen if _RANK[seen] > _RANK[current] else current


def waiting_kind(payout_paise: int) -> tuple[HoldKind, str]:
    """Why an entry that leads no transfer of its own waits for the next one: a correction, a small payout, or one used up."""
    if payout_paise < 0:
        return HoldKind.NETTED, OWED_WORDS
    return (HoldKind.NETTED, NETTED_WORDS) if payout_paise >= MINIMUM_PAISE else (HoldKind.BELOW_MINIMUM, BELOW_MINIMUM_WORDS)


def transfer_key(transaction_id: int, attempt: int) -> str:
    """`txn_{id}` for the first attempt, `txn_{id}_r{n}` after: X-Transfer-Idempotency, 4 to 36 characters (0a)."""
    key = f"txn_{transaction_id}"
    return key if attempt == 1 else f"{key}_r{attempt}"


def request_body(
    *, account: str, amount_paise: int, key: str, ledger_entry_id: int, transaction_id: int, environment: str
) -> dict[str, Any]:
    """The body of `POST /v1/transfers`. Made once and kept: another body under the same key is refused.

    Razorpay finds no transfer by its key, so the notes bear it: a scan recognises ours by it, of this environment alone.
    """
    notes = {
        "key": key,
        "ledger_entry_id": f"led_{ledger_entry_id}",
        "transaction_id": f"txn_{transaction_id}",
        "environment": environment,
    }
    return {"account": account, "amount": amount_paise, "currency": "INR", "notes": notes}


@dataclass(frozen=True, slots=True)
class Observed:
    """What Razorpay says of one transfer: in an answer, an event, a list, or a settlement's own list."""

    razorpay_transfer_id: str
    status: TransferStatus
    amount_paise: int | None = None
    key: str | None = None
    """From the notes; None where they are missing."""
    environment: str | None = None
    fee_paise: int | None = None
    """Tax included: what we pay on top of the amount."""
    tax_paise: int | None = None
    razorpay_settlement_id: str | None = None
    reversed_paise: int | None = None
    """How much of it was taken back so far, by whomever; None: not told."""
    error: str | None = None
    low_balance: bool = False
    """It failed because our own balance did not cover it: no fault of the payout."""

    @property
    def lives(self) -> bool:
        """Whether money moved or may still move by it."""
        return self.status is not TransferStatus.FAILED

    @classmethod
    def from_entity(cls, entity: Mapping[str, Any]) -> "Observed":
        """Read a transfer entity. Raises KeyError without an id. `notes` is `[]` when empty, `status` may be any later word."""
        notes = entity.get("notes")
        notes = notes if isinstance(notes, Mapping) else {}
        error = entity.get("error")
        error = error if isinstance(error, Mapping) else {}
        settlement_id = _text(entity.get("recipient_settlement_id"))
        status = _STATUSES.get(str(entity.get("status") or entity.get("transfer_status")), TransferStatus.ACCEPTED)
        if status is not TransferStatus.FAILED and (settlement_id or entity.get("settlement_status") == "settled"):
            status = TransferStatus.SETTLED
        return cls(
            razorpay_transfer_id=str(entity["id"]),
            status=status,
            amount_paise=_paise(entity.get("amount")),
            key=_text(notes.get("key")),
            environment=_text(notes.get("environment")),
            fee_paise=_paise(entity["fees"] if "fees" in entity else entity.get("fee")),
            tax_paise=_paise(entity.get("tax")),
            razorpay_settlement_id=settlement_id,
            reversed_paise=_paise(entity.get("amount_reversed")),
            error=_text(error.get("description")) or _text(error.get("code")),
            low_balance=error.get("reason") == LOW_BALANCE_REASON or error.get("code") == LOW_BALANCE_CODE,
        )


LOW_BALANCE_REASON = "insufficient_balance"
LOW_BALANCE_CODE = "BAD_REQUEST_TRANSFER_INSUFFICIENT_BALANCE"
"""Razorpay's words for it (razorpay.md §5.3): an accepted transfer fails by it at its last moment."""

_STATUSES = {
    "failed": TransferStatus.FAILED,
    "processed": TransferStatus.PROCESSED,
    # What was reversed had been processed; the reversal is a correction of its own.
    "reversed": TransferStatus.PROCESSED,
    "partially_reversed": TransferStatus.PROCESSED,
}


def _text(value: object) -> str | None:
    return str(value) if value is not None and value != "" else None


def _paise(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def find_by_key(transfers: Iterable[Observed], *, key: str, environment: str) -> Observed | None:
    """The transfer that was made with this very key. One that lives is preferred to a failed one."""
    ours = [item for item in transfers if item.key == key and item.environment == environment]
    return next((item for item in ours if item.lives), ours[0] if ours else None)
