"""How a session's money is divided between rider, provider, state, platform and franchisee (architecture §3 step 7)."""

from dataclasses import dataclass
from enum import StrEnum

from money.errors import SplitExceedsGrossError, require_bps, require_whole
from money.rounding import BASIS_POINTS, divide_half_up


class TdsBase(StrEnum):
    """What the TDS rate is taken of. Section, rate and base are data with effective dates (razorpay 0a), so it is a parameter."""

    NET_EXCL_GST = "NET_EXCL_GST"
    """The sale without GST, before commission: s.194-O of an e-commerce operator taxes the gross sale (razorpay §7)."""
    NET_LESS_COMMISSION = "NET_LESS_COMMISSION"
    """What is credited to the franchisee: for the reading in which the platform itself is the seller and this is its share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """One ledger entry: `gross = refund + residue + pg_fee + gst_collected + commission + tds + payout`, none negative.

    A Split can't exist without that identity, and so neither can one read back from a row.
    """

    gross_paise: int
    """What came in: paid for a QR session, billed for a wallet session."""
    refund_paise: int
    """The refund due, frozen at billing; whether it went through is the platform's liability."""
    residue_paise: int
    """Due to the rider, below the provider's minimum refund."""
    pg_fee_paise: int
    """The payment's fee as the bill bore it (`Bill.platform_fee_paise`)."""
    gst_collected_paise: int
    """GST that the rider paid; owed to the state."""
    commission_paise: int
    """The platform's share of the net."""
    tds_paise: int
    """Income tax withheld from the franchisee; owed to the state."""
    payout_paise: int
    """What the franchisee is due. A payout below the provider's ₹1 minimum is carried by the caller."""

    def __post_init__(self) -> None:
        require_whole(
            gross_paise=self.gross_paise,
            refund_paise=self.refund_paise,
            residue_paise=self.residue_paise,
            pg_fee_paise=self.pg_fee_paise,
            gst_collected_paise=self.gst_collected_paise,
            commission_paise=self.commission_paise,
            tds_paise=self.tds_paise,
            payout_paise=self.payout_paise,
        )
        # Every paisa of the gross has exactly one owner.
        assert self.net_excl_gst_paise == self.commission_paise + self.tds_paise + self.payout_paise

    @property
    def net_excl_gst_paise(self) -> int:
        """What commission, TDS and payout divide: gross - refund - residue - pg_fee - gst. A bill's energy charge."""
        return self.gross_paise - self.refund_paise - self.residue_paise - self.pg_fee_paise - self.gst_collected_paise


def calculate_settlement(
    *,
    gross_paise: int,
    refund_paise: int,
    residue_paise: int,
    pg_fee_paise: int,
    gst_collected_paise: int,
    commission_bps: int,
    tds_bps: int,
    tds_base: TdsBase = TdsBase.NET_EXCL_GST,
) -> Split:
    """The split of one billed session, on the terms in force at its StartTransaction.

    Commission and TDS are each rounded half up; the payout is the rest, so no paisa is lost to rounding. TDS is withheld
    from what the franchisee is due after commission and never exceeds it: the payout is never negative.
    Raises SplitExceedsGrossError if the deductions come to more than the gross (a later, larger fee is a correcting entry of
    its own and never goes through here), NegativeQuantityError, RateOutOfRangeError, TypeError.
    """
    require_whole(
        gross_paise=gross_paise,
        refund_paise=refund_paise,
        residue_paise=residue_paise,
        pg_fee_paise=pg_fee_paise,
        gst_collected_paise=gst_collected_paise,
    )
    require_bps(commission_bps=commission_bps, tds_bps=tds_bps)
    net_paise = gross_paise - refund_paise - residue_paise - pg_fee_paise - gst_collected_paise
    if net_paise < 0:
        raise SplitExceedsGrossError(gross_paise=gross_paise, excess_paise=-net_paise)

    commission_paise = divide_half_up(net_paise * commission_bps, BASIS_POINTS)
    after_commission_paise = net_paise - commission_paise
    # A row holds the base as text: TdsBase() takes both and refuses an unknown one, where `is` alone would pick the other base.
    tds_base_paise = net_paise if TdsBase(tds_base) is TdsBase.NET_EXCL_GST else after_commission_paise
    tds_paise = min(divide_half_up(tds_base_paise * tds_bps, BASIS_POINTS), after_commission_paise)
    return Split(
        gross_paise=gross_paise,
        refund_paise=refund_paise,
        residue_paise=residue_paise,
        pg_fee_paise=pg_fee_paise,
        gst_collected_paise=gst_collected_paise,
        commission_paise=commission_paise,
        tds_paise=tds_paise,
        payout_paise=after_commission_paise - tds_paise,
    )
