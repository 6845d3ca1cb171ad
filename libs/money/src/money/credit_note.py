"""The lines of a credit note: by how much a refund after the bill reduces the invoice, in the parts that the law names."""

from dataclasses import dataclass

from money.errors import require_int, require_whole
from money.reduction import Reduction
from money.rounding import divide_half_up


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditNoteLines:
    """`total = taxable + cgst + sgst + igst + round_off`, which is what the rider gets back and what the books take off."""

    taxable_paise: int
    cgst_paise: int
    sgst_paise: int
    igst_paise: int
    round_off_paise: int
    """-1, 0 or 1: what the invoice's halves had too much of is shared out among its notes."""
    total_paise: int

    def __post_init__(self) -> None:
        require_whole(
            taxable_paise=self.taxable_paise,
            cgst_paise=self.cgst_paise,
            sgst_paise=self.sgst_paise,
            igst_paise=self.igst_paise,
            total_paise=self.total_paise,
        )
        require_int(round_off_paise=self.round_off_paise)
        assert self.total_paise == self.taxable_paise + self.gst_paise
        assert self.cgst_paise == self.sgst_paise
        assert self.igst_paise == 0 or self.cgst_paise == 0
        assert self.round_off_paise in (-1, 0, 1)

    @property
    def gst_paise(self) -> int:
        """The tax that is taken back: the parts and the round-off together."""
        return self.cgst_paise + self.sgst_paise + self.igst_paise + self.round_off_paise


def credit_note_lines(reduction: Reduction, *, gst_before_paise: int, interstate: bool) -> CreditNoteLines:
    """The lines of one refund's note, earlier notes of the same invoice having taken `gst_before_paise` of GST off it.

    Each half is what all notes so far take off it, less what the earlier ones took: so no line of an invoice is ever taken off
    for more than it was, and notes that give back everything are the invoice, line by line. Raises NegativeQuantityError.
    """
    require_whole(gst_before_paise=gst_before_paise)
    gst_after_paise = gst_before_paise + reduction.gst_paise
    half_paise = 0 if interstate else divide_half_up(gst_after_paise, 2) - divide_half_up(gst_before_paise, 2)
    igst_paise = reduction.gst_paise if interstate else 0
    return CreditNoteLines(
        taxable_paise=reduction.energy_charge_paise,
        cgst_paise=half_paise,
        sgst_paise=half_paise,
        igst_paise=igst_paise,
        round_off_paise=reduction.gst_paise - 2 * half_paise - igst_paise,
        total_paise=reduction.amount_paise,
    )
