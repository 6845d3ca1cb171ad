"""What a rider is told of a refund, by where it stands. Nothing is said that has not happened, and no day is promised.

Razorpay's "processed" is not the bank's credit: it is often said before the bank has given its reference (razorpay.md §4,
0b.9). So the money is "with your bank" only at instant speed, and otherwise on its way there.
"""

from dataclasses import dataclass

from money import rupees
from payments.domain.refund import RefundStatus, Speed

NORMAL_EXPECTED = "Banks normally take 5 to 7 working days to show it."
INSTANT_EXPECTED = (
    "Mostly it is there within hours. "
    "Where your bank takes no instant refunds it goes the normal way, which takes 5 to 7 working days."
)
INSTANT = "instant"
"""`speed_processed` of a refund that went at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundStanding:
    """Everything that the words are made from."""

    amount_paise: int
    status: RefundStatus
    speed_requested: Speed
    speed_processed: str | None
    bank_reference: str | None
    reference_kind: str | None
    replaced: bool
    """A later attempt took its place."""
    given_up: bool
    """It failed and nothing tries it again by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundWords:
    """For the rider."""

    words: str
    expected: str | None
    """What is usual from here; None where nothing is on its way, or all is done."""


def words_of(refund: RefundStanding) -> RefundWords:
    """The words for one attempt of a refund."""
    amount = rupees(refund.amount_paise)
    match refund.status:
        case RefundStatus.PENDING | RefundStatus.CALLING:
            return RefundWords(words=f"{amount} is due back to you. We are asking Razorpay to send it.", expected=None)
        case RefundStatus.UNKNOWN:
            words = (
                f"{amount} is due back to you. We asked Razorpay to send it and did not hear back; "
                "we look before we ask again, so that it is sent once."
            )
            return RefundWords(words=words, expected=None)
        case RefundStatus.PROCESSING:
            return _accepted(refund, amount)
        case RefundStatus.PROCESSED:
            return _processed(refund, amount)
        case RefundStatus.FAILED:
            return RefundWords(words=_failed(refund, amount), expected=None)


def _accepted(refund: RefundStanding, amount: str) -> RefundWords:
    if refund.speed_requested is Speed.OPTIMUM and refund.speed_processed == Speed.NORMAL:
        words = (
            f"Razorpay is sending {amount} back the normal way, as it could not be done instantly. It is not with your bank yet."
        )
        return RefundWords(words=words, expected=NORMAL_EXPECTED)
    words = f"Razorpay has taken the order to send {amount} back to you. It is not with your bank yet."
    instant = refund.speed_requested is Speed.OPTIMUM
    return RefundWords(words=words, expected=INSTANT_EXPECTED if instant else NORMAL_EXPECTED)


def _processed(refund: RefundStanding, amount: str) -> RefundWords:
    found = _reference(refund)
    if refund.speed_processed == INSTANT:
        return RefundWords(words=f"Razorpay has sent {amount} to your bank instantly.{found}", expected=None)
    return RefundWords(words=f"Razorpay has sent {amount} to your bank.{found}", expected=NORMAL_EXPECTED)


def _reference(refund: RefundStanding) -> str:
    if refund.bank_reference is None:
        return ""
    named = f"{refund.reference_kind} {refund.bank_reference}" if refund.reference_kind else refund.bank_reference
    return f" Your bank can find it by {named}."


def _failed(refund: RefundStanding, amount: str) -> str:
    if refund.replaced:
        return f"This try to send {amount} back did not go through. A new one was made."
    if refund.given_up:
        return f"We could not send {amount} back to you. It is still due to you, and a person is looking into it."
    return f"A try to send {amount} back did not go through. It is still due to you, and we try again."
