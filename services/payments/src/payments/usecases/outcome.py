"""What a webhook's handler may answer besides "done" (None)."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing for us to do, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Later:
    """Can't be decided yet; worked again after this."""

    reason: str
    after: timedelta
