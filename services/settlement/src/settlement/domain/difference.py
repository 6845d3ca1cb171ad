"""What a check of the books finds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that is not what it should be, in words."""

    row: str
    words: str
