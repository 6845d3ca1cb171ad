"""A fee that Razorpay has not told: when it is asked for again."""

from datetime import datetime, timedelta

FIRST = timedelta(minutes=1)
EVERY = timedelta(hours=1)


def ask_again_at(paid_at: datetime, now: datetime) -> datetime:
    """After as long again as the payment is old, within a minute and an hour: most fees are known within minutes of it."""
    return now + min(max(now - paid_at, FIRST), EVERY)
