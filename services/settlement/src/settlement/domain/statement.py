"""Razorpay's own statement, `settlements/recon/combined`, row by row (razorpay.md §5.6), and the days it is read by.

A row is one movement on our balance at Razorpay, shown once a settlement took it along: it is credited or debited, and the rows
of a settlement add up to what went to our bank. What can't be read in a row is taken as not told; the row is kept all the same.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from enum import StrEnum
from typing import Any

IST = timezone(timedelta(hours=5, minutes=30))
"""Razorpay's days are India's."""

ENVIRONMENT_NOTES = ("voltlync_environment", "environment")
"""Where an environment marks what is its own: payments' QR codes and refunds, and our transfers."""

DAYS_MAX = 92
"""The longest range that is read at once."""


class ReadStatus(StrEnum):
    """Of a reading of the statement: READING → DONE | FAILED."""

    READING = "READING"
    """Pages are being asked for, one after the other."""
    DONE = "DONE"
    """Every day of it was read to its last page."""
    FAILED = "FAILED"
    """Razorpay refuses it: asked again, it would refuse again."""


@dataclass(frozen=True, slots=True)
class StatementRow:
    """One row. `net_paise` is what it did to our balance."""

    entity_id: str
    """pay_, rfnd_, trf_, rvrsl_, adj_: what moved."""
    type: str
    """payment, refund, transfer, reversal, adjustment, or whatever Razorpay calls it."""
    moved_at: datetime
    debit_paise: int
    credit_paise: int
    amount_paise: int
    fee_paise: int
    """GST included."""
    tax_paise: int
    settlement_id: str | None
    settled_at: datetime | None
    utr: str | None
    payment_id: str | None
    """Of a refund, and of what else is about a payment."""
    order_id: str | None
    order_receipt: str | None
    dispute_id: str | None
    description: str | None
    environment: str | None
    """Whose it is by its notes; None: they don't say."""
    body: Mapping[str, Any]

    @property
    def net_paise(self) -> int:
        """Above nothing: it came in."""
        return self.credit_paise - self.debit_paise

    @property
    def key(self) -> tuple[str, str, datetime]:
        """Its identity: an entity may move twice (a refund, and its return), never at the same moment in the same way."""
        return self.entity_id, self.type, self.moved_at

    @property
    def digest(self) -> str:
        """Of everything in it: a repetition with another one is another version."""
        return hashlib.sha256(json.dumps(self.body, sort_keys=True).encode()).hexdigest()


def read_row(raw: object) -> StatementRow:
    """A row as Razorpay sends it. `notes` may be text, an object, a list or null; adjustments lack some fields."""
    body = raw if isinstance(raw, Mapping) else {"unreadable": raw}
    body = {str(name): _storable(value) for name, value in body.items()}
    nameless = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:14]
    settled_at = _moment(body.get("settled_at"))
    return StatementRow(
        entity_id=_text(body.get("entity_id")) or f"row_{nameless}",
        type=_text(body.get("type")) or "other",
        moved_at=_moment(body.get("created_at")) or settled_at or datetime.fromtimestamp(0, UTC),
        debit_paise=_paise(body.get("debit")),
        credit_paise=_paise(body.get("credit")),
        amount_paise=_paise(body.get("amount")),
        fee_paise=_paise(body.get("fee")),
        tax_paise=_paise(body.get("tax")),
        settlement_id=_text(body.get("settlement_id")),
        settled_at=settled_at,
        utr=_text(body.get("settlement_utr")),
        payment_id=_text(body.get("payment_id")),
        order_id=_text(body.get("order_id")),
        order_receipt=_text(body.get("order_receipt")),
        dispute_id=_text(body.get("dispute_id")),
        description=_text(body.get("description")),
        environment=_environment(body.get("notes")),
        body=body,
    )


def day_of(at: datetime) -> date:
    """India's day of a moment."""
    return at.astimezone(IST).date()


def days_to_read(today: date, *, days_back: int, read: Collection[date]) -> dict[str, tuple[date, date]]:
    """What is to be read today: `daily`, the last `days_back` whole days once more, for rows come late; `missed`, if any are.

    Apart, so that a day that Razorpay refuses keeps no newer one waiting. `missed` begins with the first day that is missing
    since the first that was read: one that somebody asked for does not hide those before it.
    """
    yesterday, oldest = today - timedelta(days=1), today - timedelta(days=DAYS_MAX)
    first = yesterday - timedelta(days=days_back - 1)
    missing = max(min(read), oldest) if read else first
    while missing < first and missing in read:
        missing += timedelta(days=1)
    missed = {"missed": (missing, first - timedelta(days=1))} if missing < first else {}
    return {"daily": (first, yesterday)} | missed


def first_of_unbroken(read: Collection[date], *, until: date) -> date | None:
    """The first of the days read without a gap up to `until`; None where that one was not read."""
    first = None
    while until in read:
        first, until = until, until - timedelta(days=1)
    return first


def _storable(value: Any) -> Any:
    """Without NUL, the one character of JSON that PostgreSQL does not hold."""
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, Mapping):
        return {str(name): _storable(part) for name, part in value.items()}
    return [_storable(part) for part in value] if isinstance(value, list) else value


def _environment(notes: object) -> str | None:
    if isinstance(notes, str):
        try:
            notes = json.loads(notes)
        except ValueError:
            return None
    if not isinstance(notes, Mapping):
        return None
    return next((str(notes[name]) for name in ENVIRONMENT_NOTES if notes.get(name)), None)


def _paise(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 53 else 0


def _moment(value: object) -> datetime | None:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 1 << 35:
        return None
    return datetime.fromtimestamp(value, UTC)


def _text(value: object) -> str | None:
    return str(value)[:200] if value is not None and value != "" else None
