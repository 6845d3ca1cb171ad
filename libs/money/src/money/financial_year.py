"""India's financial year: 1 April to 31 March, by the calendar in India. Number series of tax documents begin anew with it."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Self

INDIA = timezone(timedelta(hours=5, minutes=30), "IST")
"""Indian Standard Time; without daylight saving since 1945."""

FIRST_MONTH = 4


def india_date(at: datetime) -> date:
    """The calendar day in India at an aware moment. Raises ValueError for a naive one."""
    if at.tzinfo is None:
        raise ValueError(f"{at} has no time zone")
    return at.astimezone(INDIA).date()


@dataclass(frozen=True, slots=True, order=True)
class FinancialYear:
    """One financial year, named by the calendar year in which it begins."""

    first: int
    """2026: April 2026 to March 2027."""

    @classmethod
    def of_day(cls, day: date) -> Self:
        """The one that a day in India falls into."""
        return cls(day.year if day.month >= FIRST_MONTH else day.year - 1)

    @classmethod
    def at(cls, at: datetime) -> Self:
        """The one at an aware moment: 31 March, 18:29:59 UTC is the old year's last second."""
        return cls.of_day(india_date(at))

    @property
    def label(self) -> str:
        """As people write it: 2026-27."""
        return f"{self.first}-{(self.first + 1) % 100:02d}"

    @property
    def digits(self) -> str:
        """2627: what numbers of documents bear, where sixteen characters are all there is."""
        return f"{self.first % 100:02d}{(self.first + 1) % 100:02d}"

    @property
    def begins(self) -> date:
        """1 April."""
        return date(self.first, FIRST_MONTH, 1)

    @property
    def ends(self) -> date:
        """31 March, the last day."""
        return date(self.first + 1, FIRST_MONTH, 1) - timedelta(days=1)
