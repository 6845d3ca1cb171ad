"""The life of a commission ledger entry: one per transaction, from the bill to the franchisee's bank."""

from enum import StrEnum

from settlement.domain.errors import ForbiddenTransition


class EntryKind(StrEnum):
    """What an entry is of. The entry of a session and its corrections together are the session's split as it is now."""

    SESSION = "SESSION"
    CORRECTION = "CORRECTION"
    """Of a refund after the bill: the difference that it makes to every line. Its payout is below nothing."""


class EntryStatus(StrEnum):
    """PENDING → ON_HOLD | TRANSFERRING → TRANSFERRED → SETTLED, with UNKNOWN and FAILED on the way."""

    PENDING = "PENDING"
    """Due, and nothing speaks against it."""
    ON_HOLD = "ON_HOLD"
    """Due, and waits: `hold_kind` and `hold_reason` say for what. Waiting counts as no try."""
    TRANSFERRING = "TRANSFERRING"
    """In a transfer that is claimed or that Razorpay has not processed yet."""
    UNKNOWN = "UNKNOWN"
    """The transfer's call ended without an answer."""
    TRANSFERRED = "TRANSFERRED"
    """Razorpay moved it to the linked account."""
    SETTLED = "SETTLED"
    """It is on its way to the franchisee's bank, by a settlement with its UTR. Final."""
    FAILED = "FAILED"
    """The last attempt failed definitively. A new one has a key of its own."""


class HoldKind(StrEnum):
    """What an entry on hold waits for."""

    GATED = "GATED"
    """The franchisee may not be paid just now."""
    IMPLAUSIBLE = "IMPLAUSIBLE"
    """The meter was in doubt: a person looks before anything is paid."""
    BELOW_MINIMUM = "BELOW_MINIMUM"
    """Under ₹1, which Razorpay does not transfer: goes along with the next payouts."""
    RAZORPAY = "RAZORPAY"
    """Razorpay could not take it: the balance is low, or it is busy. Sent again with the same key."""
    NETTED = "NETTED"
    """A correction, or a payout that is wholly used up by what the franchisee owes: both go with the next transfer."""


TRANSITIONS: dict[EntryStatus, frozenset[EntryStatus]] = {
    EntryStatus.PENDING: frozenset({EntryStatus.ON_HOLD, EntryStatus.TRANSFERRING, EntryStatus.SETTLED}),
    EntryStatus.ON_HOLD: frozenset(
        {EntryStatus.PENDING, EntryStatus.TRANSFERRING, EntryStatus.TRANSFERRED, EntryStatus.SETTLED, EntryStatus.FAILED}
    ),
    EntryStatus.TRANSFERRING: frozenset(
        {EntryStatus.ON_HOLD, EntryStatus.UNKNOWN, EntryStatus.TRANSFERRED, EntryStatus.SETTLED, EntryStatus.FAILED}
    ),
    EntryStatus.UNKNOWN: frozenset(
        {EntryStatus.ON_HOLD, EntryStatus.TRANSFERRING, EntryStatus.TRANSFERRED, EntryStatus.SETTLED, EntryStatus.FAILED}
    ),
    EntryStatus.TRANSFERRED: frozenset({EntryStatus.SETTLED}),
    EntryStatus.FAILED: frozenset({EntryStatus.ON_HOLD, EntryStatus.TRANSFERRING, EntryStatus.TRANSFERRED, EntryStatus.SETTLED}),
    EntryStatus.SETTLED: frozenset(),
}
"""Every step there is. ON_HOLD steps on where an event overtakes the answer to our own call."""

CLAIMABLE = frozenset({EntryStatus.PENDING, EntryStatus.ON_HOLD, EntryStatus.FAILED})
"""Where a new transfer may begin, if the entry is in none that lives."""


def step(before: EntryStatus, after: EntryStatus) -> EntryStatus:
    """`after`, if the machine has this step. Raises ForbiddenTransition."""
    if after not in TRANSITIONS[before]:
        raise ForbiddenTransition(before.value, after.value)
    return after


IMPLAUSIBLE_WORDS = "The meter's readings were in doubt; a person looks at the session before it is paid out."
BELOW_MINIMUM_WORDS = "Less than ₹1, the least that can be transferred: it goes out with the next payouts."
LOW_BALANCE_WORDS = "Our balance at Razorpay does not cover it yet; it goes out when it does."
NETTED_WORDS = "Used up by refunds on sessions that were paid out before: it goes out with the next payouts, less those."
OWED_WORDS = "The session's rider was refunded in part after the bill: it is taken off the next payouts."
BUSY_WORDS = "Razorpay could not take it just now; it is sent again."
