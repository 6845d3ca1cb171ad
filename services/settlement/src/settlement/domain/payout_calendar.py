"""When a payout is at the bank, in words that promise nothing that is not ours to keep (feature B10).

Razorpay settles linked accounts two working days after the money reached them, at the earliest (razorpay.md §5.6). Working days
are counted Monday to Friday: banks also work on the first, third and fifth Saturday, so a payout may come earlier than said;
public holidays are not known here, so it may come later.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from settlement.domain.ledger_entry import EntryStatus, HoldKind

WORKING_DAYS = 2
"""Razorpay's T+2."""

_SATURDAY = 5


class PayoutStatus(StrEnum):
    """Where a payout is."""

    PAID = "PAID"
    """Razorpay settled it to the bank, with a UTR."""
    EXPECTED = "EXPECTED"
    """At the linked account: Razorpay settles it next."""
    LATE = "LATE"
    """At the linked account for longer than Razorpay usually takes."""
    IN_TRANSFER = "IN_TRANSFER"
    """On its way to the linked account."""
    ON_HOLD = "ON_HOLD"
    """Waits for what the words say."""
    CARRIED = "CARRIED"
    """Under ₹1: goes along with the next payouts."""
    RETRIED = "RETRIED"
    """Razorpay refused it: it is tried again, and a person looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """Payouts that are not at the bank, alike in everything that matters."""

    status: EntryStatus
    hold_kind: HoldKind | None
    hold_reason: str | None
    processed_on: date | None
    """The day, in India, on which the linked account had it."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What can be said of it."""

    status: PayoutStatus
    expected_on: date | None
    """None: nobody can say yet."""
    words: str


def working_day_after(day: date, working_days: int) -> date:
    """So many working days after a day: the next one for 1, whether the day itself is one or not."""
    left = working_days
    while left:
        day += timedelta(days=1)
        left -= day.weekday() < _SATURDAY
    return day


def outlook(waiting: Open, *, today: date) -> Outlook:
    """Where a payout is on this day, and when the bank should have it."""
    if waiting.status is EntryStatus.TRANSFERRED and waiting.processed_on is not None:
        due = working_day_after(waiting.processed_on, WORKING_DAYS)
        if due < today:
            since = shown(waiting.processed_on)
            words = f"Razorpay has had it since {since} and usually settles it by {shown(due)}. We ask every day."
            return Outlook(PayoutStatus.LATE, due, words)
        words = f"Razorpay usually settles it to your bank by {shown(due)}; bank holidays delay it."
        return Outlook(PayoutStatus.EXPECTED, due, words)
    due = working_day_after(today, WORKING_DAYS)
    if waiting.hold_kind is HoldKind.BELOW_MINIMUM:
        return Outlook(PayoutStatus.CARRIED, None, waiting.hold_reason or "It goes out with the next payouts.")
    if waiting.status is EntryStatus.ON_HOLD:
        return Outlook(PayoutStatus.ON_HOLD, None, waiting.hold_reason or "It waits.")
    if waiting.status is EntryStatus.FAILED:
        return Outlook(PayoutStatus.RETRIED, None, "Razorpay did not take it. It is tried again, and our staff look at it.")
    if waiting.status is EntryStatus.UNKNOWN:
        words = "Razorpay has not answered whether it has it. We look it up before anything is sent again."
        return Outlook(PayoutStatus.IN_TRANSFER, None, words)
    words = f"It is on its way to Razorpay; usually at your bank by {shown(due)}, if it gets there today."
    return Outlook(PayoutStatus.IN_TRANSFER, due, words)


def shown(day: date) -> str:
    """A day as people read it: "Thu 4 Dec 2026"."""
    return f"{day:%a} {day.day} {day:%b %Y}"
