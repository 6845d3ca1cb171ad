"""What a refund after the bill changes of a session's split: a row of differences, never a changed row."""

from dataclasses import dataclass

from money import Split, TdsBase, calculate_settlement


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitFigures:
    """A session's entry, as far as its split depends on it. Paise, and the terms in force when the session began."""

    gross_paise: int
    refund_paise: int
    residue_paise: int
    pg_fee_paise: int
    gst_paise: int
    commission_bps: int
    tds_bps: int
    tds_base: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """The differences of every line: 0 = refund + gst + commission + tds + payout, of which the refund alone is above nothing.

    The payout's difference may be a paisa above nothing, where commission and TDS both round down by more than the net fell.
    """

    refund_paise: int
    gst_paise: int
    commission_paise: int
    tds_paise: int
    payout_paise: int

    def __post_init__(self) -> None:
        lines = (self.refund_paise, self.gst_paise, self.commission_paise, self.tds_paise, self.payout_paise)
        # What goes back to the rider is taken from those who had it, to the paisa.
        assert sum(lines) == 0
        assert self.refund_paise > 0
        assert max(self.gst_paise, self.commission_paise, self.tds_paise) <= 0


def correction_of(
    entry: SplitFigures, *, energy_charge_paise: int, gst_paise: int, energy_charge_before_paise: int, gst_before_paise: int
) -> Correction:
    """The correction for a refund of these parts of the energy charge and GST, the `_before_` parts being off already.

    The difference of two splits by the one rule: so an entry and its corrections add up to the split of the session with all
    its refunds, whatever their number and in whatever order they are handled.
    Raises SplitExceedsGrossError, NegativeQuantityError where more would be taken off than was billed.
    """

    def split(energy_off: int, gst_off: int) -> Split:
        return calculate_settlement(
            gross_paise=entry.gross_paise,
            refund_paise=entry.refund_paise + energy_off + gst_off,
            residue_paise=entry.residue_paise,
            pg_fee_paise=entry.pg_fee_paise,
            gst_collected_paise=entry.gst_paise - gst_off,
            commission_bps=entry.commission_bps,
            tds_bps=entry.tds_bps,
            tds_base=TdsBase(entry.tds_base),
        )

    before = split(energy_charge_before_paise, gst_before_paise)
    after = split(energy_charge_before_paise + energy_charge_paise, gst_before_paise + gst_paise)
    return Correction(
        refund_paise=after.refund_paise - before.refund_paise,
        gst_paise=after.gst_collected_paise - before.gst_collected_paise,
        commission_paise=after.commission_paise - before.commission_paise,
        tds_paise=after.tds_paise - before.tds_paise,
        payout_paise=after.payout_paise - before.payout_paise,
    )


def correction_key(transaction_id: int, refund_number: int) -> str:
    """`txn_{id}_c{n}`: the correction of the payment's n-th refund by an operator."""
    return f"txn_{transaction_id}_c{refund_number}"
