"""The payment provider's fee in three tiers: webhook, API, estimate (feature P8, razorpay 0a)."""

from dataclasses import dataclass
from enum import StrEnum

from money.errors import require_bps, require_whole
from money.rounding import BASIS_POINTS, divide_half_up

# 2 % of the amount paid. Razorpay adds 18 % GST to its fee (2.36 % in all, razorpay §3), which the estimate leaves out: while
# a figure is in doubt the rider is billed the smaller one, and the true fee becomes a correcting ledger entry.
ESTIMATED_FEE_BPS = 200


class FeeSource(StrEnum):
    """Who named the fee; recorded beside it."""

    WEBHOOK = "WEBHOOK"
    """The payment entity of the webhook."""
    API = "API"
    """`GET /v1/payments/:id`, because the webhook left it null."""
    ESTIMATE = "ESTIMATE"
    """Neither knew it: a percentage of the amount paid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fee:
    """A payment's fee, the provider's GST included where the provider named it, and who named it."""

    fee_paise: int
    source: FeeSource

    def __post_init__(self) -> None:
        require_whole(fee_paise=self.fee_paise)


def estimated_fee(paid_paise: int, fee_bps: int = ESTIMATED_FEE_BPS) -> int:
    """`fee_bps` of the full amount paid, in paise: the provider keeps its fee on what is refunded later too.

    A deployment that wants the provider's GST inside the estimate sets 236. Raises NegativeQuantityError, RateOutOfRangeError.
    """
    require_whole(paid_paise=paid_paise)
    require_bps(fee_bps=fee_bps)
    return divide_half_up(paid_paise * fee_bps, BASIS_POINTS)


def resolve_fee(
    *, webhook_fee_paise: int | None, api_fee_paise: int | None, paid_paise: int, fee_bps: int = ESTIMATED_FEE_BPS
) -> Fee:
    """The first tier that knows: webhook, then API, then the estimate. 0 is a figure, only None is unknown.

    A fee larger than the payment is kept as it was told; the bill bears it as far as the payment goes.
    Raises NegativeQuantityError, RateOutOfRangeError, TypeError.
    """
    if webhook_fee_paise is not None:
        return Fee(fee_paise=webhook_fee_paise, source=FeeSource.WEBHOOK)
    if api_fee_paise is not None:
        return Fee(fee_paise=api_fee_paise, source=FeeSource.API)
    return Fee(fee_paise=estimated_fee(paid_paise, fee_bps), source=FeeSource.ESTIMATE)
