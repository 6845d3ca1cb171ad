"""The lines of a GST invoice: the bill's one GST figure is the truth, an invoice shows it in the parts that the law names."""

from dataclasses import dataclass

from money.errors import require_int, require_whole
from money.rounding import divide_half_up


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceLines:
    """`total = taxable + cgst + sgst + igst + round_off + platform_fee`, which is what the rider was billed.

    Lines can't exist without that identity, and so neither can lines read back from a row.
    """

    taxable_paise: int
    """The value of the supply: the energy charge, on a capped bill the capped one."""
    cgst_paise: int
    """The centre's half; 0 between states."""
    sgst_paise: int
    """The state's half (UTGST in some union territories), always equal to the centre's."""
    igst_paise: int
    """The whole tax between states; 0 within one."""
    round_off_paise: int
    """What equal halves of an odd figure are too much: 0 or -1."""
    platform_fee_paise: int
    """The payment provider's fee as far as the rider bears it, recovered at cost: outside the taxable value."""
    total_paise: int

    def __post_init__(self) -> None:
        require_whole(
            taxable_paise=self.taxable_paise,
            cgst_paise=self.cgst_paise,
            sgst_paise=self.sgst_paise,
            igst_paise=self.igst_paise,
            platform_fee_paise=self.platform_fee_paise,
            total_paise=self.total_paise,
        )
        require_int(round_off_paise=self.round_off_paise)
        assert self.total_paise == self.taxable_paise + self.gst_paise + self.platform_fee_paise
        assert self.cgst_paise == self.sgst_paise
        # Within a state the one, between states the other, never both.
        assert self.igst_paise == 0 or self.cgst_paise == 0
        assert self.round_off_paise in (0, -1)

    @property
    def gst_paise(self) -> int:
        """The tax as billed and booked: the parts and the round-off together."""
        return self.cgst_paise + self.sgst_paise + self.igst_paise + self.round_off_paise


def invoice_lines(*, energy_charge_paise: int, gst_paise: int, platform_fee_paise: int, interstate: bool) -> InvoiceLines:
    """The lines of a bill. Within a state each half is the bill's GST divided by two, half up; an odd paisa is rounded off.

    Halved, and not computed from the rate again: on a bill that the payment capped the tax is what is left of the payment, so no
    rate gives it to the paisa. Raises NegativeQuantityError, TypeError.
    """
    require_whole(energy_charge_paise=energy_charge_paise, gst_paise=gst_paise, platform_fee_paise=platform_fee_paise)
    half_paise = 0 if interstate else divide_half_up(gst_paise, 2)
    igst_paise = gst_paise if interstate else 0
    return InvoiceLines(
        taxable_paise=energy_charge_paise,
        cgst_paise=half_paise,
        sgst_paise=half_paise,
        igst_paise=igst_paise,
        round_off_paise=gst_paise - 2 * half_paise - igst_paise,
        platform_fee_paise=platform_fee_paise,
        total_paise=energy_charge_paise + gst_paise + platform_fee_paise,
    )
