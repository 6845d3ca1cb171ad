"""What Razorpay did to our balance by hand, or nobody here knows of, once finance has accepted it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from settlement.domain.books.journal import MoneyEvent, Posting, credit, debit


@dataclass(frozen=True, slots=True, kw_only=True)
class AdjustmentBooked(MoneyEvent):
    """A dispute lost, a credit, a refund made in the dashboard: by Razorpay's statement, and by a person's word that it is ours.

    Another figure later reverses this one; a service that tells of the movement after all does so for good.
    """

    KIND: ClassVar[str] = "adjustment_booked"
    razorpay_id: str
    net_paise: int
    """What it did to our balance; below nothing, it was taken."""

    @property
    def key(self) -> str:
        return f"adjustment/{self.razorpay_id}/booked"

    @property
    def subject(self) -> str:
        return self.razorpay_id

    def lines(self) -> Iterable[Posting]:
        return (debit("nodal", self.net_paise), credit("adjustments", self.net_paise))
