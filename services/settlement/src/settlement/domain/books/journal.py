"""Journals, their postings and reversals, and what every event of money is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, ClassVar, Self

from settlement.domain.books.chart import ACCOUNTS


class UnbalancedJournal(ValueError):
    """A journal that would not add up. Never by a caller: the message is parked, nothing is booked."""


@dataclass(frozen=True, slots=True)
class Posting:
    """One line of a journal: an amount on one side of one account, in paise."""

    account: str
    debit_paise: int = 0
    credit_paise: int = 0


@dataclass(frozen=True, slots=True)
class Journal:
    """What one event of money does to the accounts. It can't exist unbalanced."""

    key: str
    """The event's own, unique: however often it is told, it is booked once."""
    kind: str
    subject: str
    """The record it is about, by its prefixed id: qrp_17."""
    occurred_at: datetime
    facts: Mapping[str, Any]
    postings: tuple[Posting, ...]
    reverses: str | None = None
    """Key of the journal that this one takes back, line by line."""

    def __post_init__(self) -> None:
        if len(self.postings) < 2:
            raise UnbalancedJournal(f"{self.key} has {len(self.postings)} postings")
        for posting in self.postings:
            amounts = (posting.debit_paise, posting.credit_paise)
            if posting.account not in ACCOUNTS:
                raise UnbalancedJournal(f"{self.key} posts to {posting.account}, which is no account")
            if any(not isinstance(paise, int) or isinstance(paise, bool) or paise < 0 for paise in amounts) or 0 not in amounts:
                raise UnbalancedJournal(f"{self.key} posts {amounts} to {posting.account}")
            if amounts == (0, 0):
                raise UnbalancedJournal(f"{self.key} posts nothing to {posting.account}")
        debits = sum(posting.debit_paise for posting in self.postings)
        credits_ = sum(posting.credit_paise for posting in self.postings)
        if debits != credits_:
            raise UnbalancedJournal(f"{self.key} debits {debits} and credits {credits_} paise")

    @property
    def total_paise(self) -> int:
        """The sum of either side."""
        return sum(posting.debit_paise for posting in self.postings)


def debit(account: str, paise: int) -> Posting:
    """A line on the left; a negative amount stands on the right."""
    return Posting(account, debit_paise=paise) if paise >= 0 else Posting(account, credit_paise=-paise)


def credit(account: str, paise: int) -> Posting:
    """A line on the right; a negative amount stands on the left."""
    return debit(account, -paise)


def reversal_of(journal: Journal, *, occurred_at: datetime, reason: str) -> Journal:
    """The journal that takes another back: the same lines, sides exchanged. A reversal can itself be taken back."""
    return Journal(
        key=f"{journal.key}/reversed",
        kind="reversal",
        subject=journal.subject,
        occurred_at=occurred_at,
        facts={"reverses": journal.key, "reason": reason},
        postings=tuple(Posting(line.account, line.credit_paise, line.debit_paise) for line in journal.postings),
        reverses=journal.key,
    )


def standing(reverses: Mapping[str, str | None]) -> frozenset[str]:
    """The events' own journals that stand, of {key: key of what it reverses}: not reversed, or by one that is itself reversed."""
    reversed_by = {original: key for key, original in reverses.items() if original is not None}

    def stands(key: str) -> bool:
        result = True
        while key in reversed_by:
            key, result = reversed_by[key], not result
        return result

    return frozenset(key for key, original in reverses.items() if original is None and stands(key))


def fee_parts(fee_paise: int, tax_paise: int | None) -> tuple[int, int]:
    """(fee without GST, GST in it). GST that was not told, or can't be part of the fee, counts as none: no credit is claimed."""
    tax = tax_paise if tax_paise is not None and tax_paise <= fee_paise else 0
    return fee_paise - tax, tax


def fee_corrected(
    account: str, *, fee_before_paise: int, tax_before_paise: int | None, fee_paise: int, tax_paise: int | None
) -> "tuple[Posting, ...]":
    """From one fee to another, on an account of expense.

    What stood before is the books' own: its GST may be more than the whole, where a late word came between corrections.
    """
    fee, tax = fee_parts(fee_paise, tax_paise)
    tax_before = tax_before_paise or 0
    return (
        debit(account, fee - (fee_before_paise - tax_before)),
        debit("gst_input", tax - tax_before),
        credit("nodal", fee + tax - fee_before_paise),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyEvent:
    """Facts of one event of money. Subclasses say what it does to the accounts."""

    KIND: ClassVar[str] = ""
    occurred_at: datetime

    @property
    def key(self) -> str:
        """Its identity in the books."""
        raise NotImplementedError

    @property
    def subject(self) -> str:
        """The record it is about."""
        raise NotImplementedError

    def lines(self) -> Iterable[Posting]:
        """Its postings; those of nothing may be among them."""
        raise NotImplementedError

    def facts(self) -> dict[str, Any]:
        """All but the time, as JSON holds it: kept beside the postings, so that they can be derived again."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "occurred_at"}

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any], *, occurred_at: datetime) -> Self:
        """The event of kept facts. Raises TypeError for facts of another kind."""
        return cls(occurred_at=occurred_at, **facts)

    def journal(self) -> Journal | None:
        """The event's journal; None where no paisa moves. Raises UnbalancedJournal for facts that contradict each other."""
        postings = tuple(line for line in self.lines() if line.debit_paise or line.credit_paise)
        if not postings:
            return None
        return Journal(self.key, self.KIND, self.subject, self.occurred_at, self.facts(), postings)
