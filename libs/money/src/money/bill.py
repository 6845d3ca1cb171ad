"""What a prepaid session costs and what goes back to the rider (architecture §3 step 6)."""

from dataclasses import dataclass

from money.errors import MeterRanBackwardsError, require_bps, require_int, require_whole
from money.rounding import BASIS_POINTS, WH_PER_KWH, divide_half_up

# Razorpay refuses a normal refund below ₹1.00 (razorpay 0b.10). What is due below it is residue: owed to the rider, booked,
# visible, never dropped.
MIN_REFUND_PAISE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """Where every paisa of one payment went: `paid = energy_charge + gst + platform_fee + refund + residue`.

    A Bill can't exist without that identity, and so neither can one read back from a row.
    """

    energy_wh: int
    """Confirmed energy that was delivered, in Wh; on a capped bill more than `energy_charge_paise` pays for."""
    energy_charge_paise: int
    """The energy without GST."""
    gst_paise: int
    """GST on the energy charge, as one figure (an invoice shows its halves and a round-off line)."""
    platform_fee_paise: int
    """The payment's fee as far as the rider bears it: 0 without energy, and never more than was paid."""
    refund_paise: int
    """What is refunded through Razorpay: 0, or MIN_REFUND_PAISE and more."""
    residue_paise: int
    """What is due to the rider but below Razorpay's minimum: 0 to MIN_REFUND_PAISE - 1."""
    shortfall_paise: int
    """By how much the full bill exceeds the payment: our loss. A memo, outside the identity."""
    paid_paise: int
    """What the rider paid."""

    def __post_init__(self) -> None:
        require_whole(
            energy_wh=self.energy_wh,
            energy_charge_paise=self.energy_charge_paise,
            gst_paise=self.gst_paise,
            platform_fee_paise=self.platform_fee_paise,
            refund_paise=self.refund_paise,
            residue_paise=self.residue_paise,
            shortfall_paise=self.shortfall_paise,
            paid_paise=self.paid_paise,
        )
        # Every paisa that the rider paid ends in exactly one line.
        assert self.paid_paise == self.total_billed_paise + self.refund_paise + self.residue_paise
        assert self.refund_paise == 0 or self.refund_paise >= MIN_REFUND_PAISE
        assert self.residue_paise < MIN_REFUND_PAISE
        # What is due back is refunded or residue, not split between them.
        assert self.refund_paise == 0 or self.residue_paise == 0
        # A payment that ran out has nothing left to give back.
        assert self.shortfall_paise == 0 or self.total_billed_paise == self.paid_paise
        assert self.energy_wh > 0 or self.total_billed_paise == 0

    @property
    def total_billed_paise(self) -> int:
        """What the session cost the rider: energy charge + GST + platform fee."""
        return self.energy_charge_paise + self.gst_paise + self.platform_fee_paise


def energy_and_gst_paise(*, energy_wh: int, tariff_paise_per_kwh: int, gst_bps: int) -> tuple[int, int]:
    """(energy charge, GST on it) in paise, whatever was paid.

    GST is taken of the rounded charge, so that an invoice can be recomputed from its own lines.
    """
    energy_charge_paise = divide_half_up(energy_wh * tariff_paise_per_kwh, WH_PER_KWH)
    gst_paise = divide_half_up(energy_charge_paise * gst_bps, BASIS_POINTS)
    return energy_charge_paise, gst_paise


def all_in_paise_per_kwh(*, paise_per_kwh: int, gst_bps: int) -> int:
    """What riders are shown: a kWh with its GST, rounded as a bill of exactly one kWh is. 1800 paise and 18 % are 2124 paise.

    For display alone: a bill is never computed from it, or GST would be rounded twice. Raises as `energy_and_gst_paise`.
    """
    return sum(energy_and_gst_paise(energy_wh=WH_PER_KWH, tariff_paise_per_kwh=paise_per_kwh, gst_bps=gst_bps))


def final_bill(*, energy_wh: int, tariff_paise_per_kwh: int, gst_bps: int, platform_fee_paise: int, paid_paise: int) -> Bill:
    """The bill of a session that ended with `energy_wh` confirmed. The rider never owes more than was paid.

    - No energy: everything goes back, the fee included; `platform_fee_paise` is 0 on the bill, the fee is our expense.
    - The payment covers it: what is left goes back, as refund from MIN_REFUND_PAISE, below that as residue.
    - The payment ran out: the bill is what was paid, with GST inside it, and `shortfall_paise` is our loss.

    A fee larger than the payment (a few paise paid) is borne as far as the payment goes; no energy is charged then.
    Raises MeterRanBackwardsError, NegativeQuantityError, RateOutOfRangeError, TypeError.
    """
    require_whole(tariff_paise_per_kwh=tariff_paise_per_kwh, platform_fee_paise=platform_fee_paise, paid_paise=paid_paise)
    require_bps(gst_bps=gst_bps)
    require_int(energy_wh=energy_wh)
    if energy_wh < 0:
        raise MeterRanBackwardsError(energy_wh=energy_wh)

    if energy_wh == 0:
        return _bill(energy_wh=0, energy_charge_paise=0, gst_paise=0, platform_fee_paise=0, paid_paise=paid_paise)

    energy_charge_paise, gst_paise = energy_and_gst_paise(
        energy_wh=energy_wh, tariff_paise_per_kwh=tariff_paise_per_kwh, gst_bps=gst_bps
    )
    full_paise = energy_charge_paise + gst_paise + platform_fee_paise
    if full_paise > paid_paise:
        # The rate's share of what is left after the fee; GST is the rest, so that the lines add up to the payment.
        fee_borne_paise = min(platform_fee_paise, paid_paise)
        with_gst_paise = paid_paise - fee_borne_paise
        capped_charge_paise = divide_half_up(with_gst_paise * BASIS_POINTS, BASIS_POINTS + gst_bps)
        return _bill(
            energy_wh=energy_wh,
            energy_charge_paise=capped_charge_paise,
            gst_paise=with_gst_paise - capped_charge_paise,
            platform_fee_paise=fee_borne_paise,
            paid_paise=paid_paise,
            shortfall_paise=full_paise - paid_paise,
        )
    return _bill(
        energy_wh=energy_wh,
        energy_charge_paise=energy_charge_paise,
        gst_paise=gst_paise,
        platform_fee_paise=platform_fee_paise,
        paid_paise=paid_paise,
    )


def _bill(
    *,
    energy_wh: int,
    energy_charge_paise: int,
    gst_paise: int,
    platform_fee_paise: int,
    paid_paise: int,
    shortfall_paise: int = 0,
) -> Bill:
    """The Bill of these lines; what they leave of the payment is due back, as refund or as residue."""
    due_back_paise = paid_paise - energy_charge_paise - gst_paise - platform_fee_paise
    refundable = due_back_paise >= MIN_REFUND_PAISE
    return Bill(
        energy_wh=energy_wh,
        energy_charge_paise=energy_charge_paise,
        gst_paise=gst_paise,
        platform_fee_paise=platform_fee_paise,
        refund_paise=due_back_paise if refundable else 0,
        residue_paise=0 if refundable else due_back_paise,
        shortfall_paise=shortfall_paise,
        paid_paise=paid_paise,
    )
