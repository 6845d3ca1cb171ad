"""By how much a refund after the bill reduces the supply: the energy charge and the GST on it, proportionally."""

from dataclasses import dataclass

from money.errors import MoneyError, require_whole
from money.rounding import divide_half_up


class RefundExceedsSupplyError(MoneyError):
    """More would be given back than the energy and its GST were billed for, by `excess_paise`."""

    def __init__(self, *, excess_paise: int) -> None:
        super().__init__(f"the refund exceeds what was billed for energy and GST by {excess_paise} paise")
        self.excess_paise = excess_paise


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduction:
    """What one refund takes off a bill's lines: `amount = energy_charge + gst`, none negative."""

    energy_charge_paise: int
    gst_paise: int

    def __post_init__(self) -> None:
        require_whole(energy_charge_paise=self.energy_charge_paise, gst_paise=self.gst_paise)

    @property
    def amount_paise(self) -> int:
        """What the rider gets of it."""
        return self.energy_charge_paise + self.gst_paise


def supply_reduction(*, amount_paise: int, before_paise: int, energy_charge_paise: int, gst_paise: int) -> Reduction:
    """The parts of a refund of `amount_paise` on a bill of these lines, `before_paise` having been taken off by earlier ones.

    GST is rounded half up as one figure, of all that was given back so far: the parts of several refunds add up to what one
    refund of their sum would have had, and giving everything back takes off exactly the bill's two lines.
    Raises RefundExceedsSupplyError, NegativeQuantityError, TypeError.
    """
    require_whole(
        amount_paise=amount_paise, before_paise=before_paise, energy_charge_paise=energy_charge_paise, gst_paise=gst_paise
    )
    supply_paise = energy_charge_paise + gst_paise
    excess_paise = before_paise + amount_paise - supply_paise
    if excess_paise > 0:
        raise RefundExceedsSupplyError(excess_paise=excess_paise)
    if amount_paise == 0:
        return Reduction(energy_charge_paise=0, gst_paise=0)
    gst_after_paise = divide_half_up((before_paise + amount_paise) * gst_paise, supply_paise)
    gst_before_paise = divide_half_up(before_paise * gst_paise, supply_paise)
    gst_part_paise = gst_after_paise - gst_before_paise
    return Reduction(energy_charge_paise=amount_paise - gst_part_paise, gst_paise=gst_part_paise)
