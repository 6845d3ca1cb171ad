"""Amounts as people in India read them."""

from money.errors import require_int

PAISE_PER_RUPEE = 100


def rupees(paise: int) -> str:
    """An amount in paise as "₹1,23,456.78" or "-₹0.05": the last three digits of the rupees, then pairs (lakh, crore)."""
    require_int(paise=paise)
    whole, fraction = divmod(abs(paise), PAISE_PER_RUPEE)
    digits = str(whole)
    groups = [digits[-3:]]
    rest = digits[:-3]
    while rest:
        groups.insert(0, rest[-2:])
        rest = rest[:-2]
    sign = "-" if paise < 0 else ""
    return f"{sign}₹{','.join(groups)}.{fraction:02d}"
