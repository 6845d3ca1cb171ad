"""When something is looked at again."""

from datetime import datetime, timedelta
from zlib import crc32

FIRST_BACKOFF_SECONDS = 5
"""A refusal that will pass, or an unknown outcome, is mostly over in seconds."""
BACKOFF_SECONDS_MAX = 1800
"""And never waits longer than the 30-minute retry of S6."""


def later(now: datetime, seconds: int) -> datetime:
    """So many seconds from now: the next try, or the end of a claim."""
    return now + timedelta(seconds=seconds)


def backoff_seconds(key: str, tries: int) -> int:
    """How long to wait after the n-th try: doubling from 5 s to 30 minutes, with up to a quarter less by the key.

    The spread is the key's own rather than random, so that what was refused together does not return together and a test can
    repeat a run.
    """
    full = min(FIRST_BACKOFF_SECONDS << min(max(tries, 1) - 1, 16), BACKOFF_SECONDS_MAX)
    spread = crc32(f"{key}/{tries}".encode()) % 256
    return full - full * spread // 1024
