"""Razorpay's fee arithmetic, in integer paise.

A fee is a percentage of the amount plus 18 % GST, where CGST and SGST (9 % each) are rounded half up on their own.
That split reproduces all 19 amount/fee/tax triples of Razorpay's published samples; one 18 % rounding does not.
"""

from typing import NamedTuple

BASIS_POINTS = 10_000
HALF_GST_PERCENT = 9
"""CGST, and the same again as SGST."""
MINIMUM_TRANSFER_FEE = 1
"""Paise. Razorpay's samples show `fees: 1, tax: 0` on transfers too small for the percentage to reach one paisa."""


class Fee(NamedTuple):
    """What Razorpay charges: `total` paise **including** `tax` paise of GST."""

    total: int
    tax: int


def percentage_fee(amount: int, rate_bps: int) -> Fee:
    """The fee on `amount` paise at `rate_bps` basis points: 1000 at 200 → 24, of which 4 GST."""
    base = _half_up(amount * rate_bps, BASIS_POINTS)
    tax = _gst_on(base)
    return Fee(total=base + tax, tax=tax)


def transfer_fee(amount: int, rate_bps: int) -> Fee:
    """The fee on a Route transfer, at least one paisa unless transfers are free: 90000 at 25 → 265, of which 40 GST."""
    fee = percentage_fee(amount, rate_bps)
    return fee if fee.total or not rate_bps else Fee(total=MINIMUM_TRANSFER_FEE, tax=0)


def tax_within(total: int) -> int:
    """The GST contained in a fee of which only the total is known (the largest base that still fits)."""
    base = total * 100 // (100 + 2 * HALF_GST_PERCENT)
    while base + 1 + _gst_on(base + 1) <= total:
        base += 1
    return total - base


def _gst_on(base: int) -> int:
    return 2 * _half_up(base * HALF_GST_PERCENT, 100)


def _half_up(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)
