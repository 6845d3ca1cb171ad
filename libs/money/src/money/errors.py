"""What this package refuses, and the guards that refuse it.

All are permanent: the same arguments fail again, so a caller parks the message and never retries it.

    MoneyError (a ValueError)
    ├── NegativeQuantityError     an amount, an energy or a rate below zero
    ├── MeterRanBackwardsError    billed energy below zero: the reading was not confirmed before it was billed
    ├── RateOutOfRangeError       a percentage above 100 %
    └── SplitExceedsGrossError    the deductions of a ledger entry come to more than its gross

A quantity that is no `int` at all (a float, a Decimal, a bool) is a TypeError: a bug in the caller, not bad data.
"""

BASIS_POINTS_MAX = 10_000  # 100 %: no tax, commission or fee of ours may exceed the amount it is taken of


class MoneyError(ValueError):
    """Arguments from which no honest figure can be computed."""


class NegativeQuantityError(MoneyError):
    """`name` was `value`, below zero."""

    def __init__(self, name: str, value: int) -> None:
        super().__init__(f"{name} is {value}; it can't be negative")
        self.name = name
        self.value = value


class MeterRanBackwardsError(MoneyError):
    """The energy to bill is negative. Only confirmed forward steps are billed, so this never comes from a charger alone."""

    def __init__(self, *, energy_wh: int) -> None:
        super().__init__(f"energy_wh is {energy_wh}: the meter ran backwards")
        self.energy_wh = energy_wh


class RateOutOfRangeError(MoneyError):
    """`name` was `value` basis points, above 100 %: most likely a percentage in another unit."""

    def __init__(self, name: str, value: int) -> None:
        super().__init__(f"{name} is {value} basis points; at most {BASIS_POINTS_MAX} (100 %)")
        self.name = name
        self.value = value


class SplitExceedsGrossError(MoneyError):
    """Refund, residue, payment fee and GST together exceed the gross by `excess_paise`."""

    def __init__(self, *, gross_paise: int, excess_paise: int) -> None:
        super().__init__(f"the deductions exceed the gross of {gross_paise} paise by {excess_paise} paise")
        self.gross_paise = gross_paise
        self.excess_paise = excess_paise


def require_int(**quantities: int) -> None:
    """Every quantity is a plain `int`. Raises TypeError, for a bool too."""
    for name, value in quantities.items():
        if type(value) is not int:
            raise TypeError(f"{name} is {value!r}; it must be a plain int in its unit, never {type(value).__name__}")


def require_whole(**quantities: int) -> None:
    """Every quantity is an `int` of zero or more. Raises TypeError as `require_int`, NegativeQuantityError."""
    require_int(**quantities)
    for name, value in quantities.items():
        if value < 0:
            raise NegativeQuantityError(name, value)


def require_bps(**rates: int) -> None:
    """Every rate is an `int` from 0 to 10000 basis points. Raises as `require_whole`, and RateOutOfRangeError."""
    require_whole(**rates)
    for name, value in rates.items():
        if value > BASIS_POINTS_MAX:
            raise RateOutOfRangeError(name, value)
