"""The one rounding rule: half up, once per line (architecture §3), and its exact inverse."""

from money.errors import require_whole

BASIS_POINTS = 10_000  # a rate of 10000 basis points is 100 %
WH_PER_KWH = 1_000  # energy is metered in Wh and priced per kWh


def divide_half_up(numerator: int, denominator: int) -> int:
    """numerator / denominator to the nearest integer, a half going up: 5 / 2 is 3.

    Neither may be negative: a correction is a reversal of a positive amount, so "up" never has to mean "towards zero".
    Raises NegativeQuantityError, TypeError; ZeroDivisionError for a zero denominator.
    """
    require_whole(numerator=numerator, denominator=denominator)
    return (2 * numerator + denominator) // (2 * denominator)


def largest_rounding_to_at_most(limit: int, *, multiplier: int, divisor: int) -> int:
    """The largest n for which `divide_half_up(n * multiplier, divisor) <= limit`.

    For this package's own use: `limit` at least 0, `multiplier` and `divisor` at least 1.
    From the definition: (2·n·m + d) // (2·d) ≤ L  ⟺  2·n·m + d ≤ 2·d·(L + 1) - 1  ⟺  n ≤ (2·d·L + d - 1) / (2·m).
    """
    largest = (2 * divisor * limit + divisor - 1) // (2 * multiplier)
    assert divide_half_up(largest * multiplier, divisor) <= limit
    assert divide_half_up((largest + 1) * multiplier, divisor) > limit
    return largest
