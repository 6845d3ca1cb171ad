"""The steps of a refund's life as we learnt them, one by one: what an auditor, and a rider who asks, is shown."""

from collections.abc import Iterator
from enum import StrEnum

from payments.domain.refund import RefundStatus, Speed


class Step(StrEnum):
    """What was learnt."""

    REQUESTED = "REQUESTED"
    """Decided here: from then on it is owed."""
    UNKNOWN = "UNKNOWN"
    """We asked Razorpay and got no answer."""
    PENDING = "PENDING"
    """Razorpay has it and has not ended it."""
    PROCESSED = "PROCESSED"
    FAILED = "FAILED"
    SPEED_CHANGED = "SPEED_CHANGED"
    """It was to be instant, and goes at normal speed."""
    REFERENCE = "REFERENCE"
    """The bank's reference of it became known."""


class ToldBy(StrEnum):
    """Who said so."""

    US = "US"
    ANSWER = "ANSWER"
    """Razorpay's answer to our call."""
    WEBHOOK = "WEBHOOK"
    FETCH = "FETCH"
    """Razorpay, when we looked."""


_OF_STATUS = {
    RefundStatus.UNKNOWN: Step.UNKNOWN,
    RefundStatus.PROCESSING: Step.PENDING,
    RefundStatus.PROCESSED: Step.PROCESSED,
    RefundStatus.FAILED: Step.FAILED,
}
"""PENDING and CALLING are no news: it was asked for, and still is."""


def steps_of(
    *,
    status_before: RefundStatus,
    status: RefundStatus,
    speed_requested: Speed,
    speed_before: str | None,
    speed: str | None,
    reference_before: str | None,
    reference: str | None,
    reference_kind: str | None = None,
    error: str | None = None,
) -> Iterator[tuple[Step, str | None]]:
    """(step, detail) of everything that one word changed, in the order in which it makes sense; nothing for a repeat."""
    slowed = speed == Speed.NORMAL.value and speed_before != speed and speed_requested is Speed.OPTIMUM
    if slowed:
        yield Step.SPEED_CHANGED, "normal instead of instant"
    if status is not status_before and status in _OF_STATUS:
        yield _OF_STATUS[status], error if status in (RefundStatus.FAILED, RefundStatus.UNKNOWN) else None
    if reference is not None and reference != reference_before:
        yield Step.REFERENCE, f"{reference_kind} {reference}" if reference_kind else reference
