"""What a franchisee who collects itself owes us, by how long it has."""

from collections.abc import Sequence

AGES_DAYS: Sequence[tuple[str, int, int | None]] = (
    ("up_to_30_days_paise", 0, 30),
    ("up_to_60_days_paise", 30, 60),
    ("up_to_90_days_paise", 60, 90),
    ("over_90_days_paise", 90, None),
)
"""(name, whole days from, below). Each paisa that is open is in one of them."""
