"""Rupees as people in India write and read them: 1,23,456.78 is twelve lakh paise and some."""

import re

_PLAIN = re.compile(r"(?P<rupees>[0-9]{1,12})(?:\.(?P<paise>[0-9]{1,2}))?\Z")
_GROUPED = re.compile(r"(?P<rupees>[0-9]{1,2}(?:,[0-9]{2})*,[0-9]{3})(?:\.(?P<paise>[0-9]{1,2}))?\Z")


def shown(paise: int) -> str:
    """`12345678` paise → `₹1,23,456.78`."""
    sign, rest = ("-", -paise) if paise < 0 else ("", paise)
    return f"{sign}₹{grouped(rest // 100)}.{rest % 100:02d}"


def grouped(rupees: int) -> str:
    """The last three digits together, and the rest in pairs: `12345678` → `1,23,45,678`."""
    digits = str(rupees)
    head, tail = digits[:-3], digits[-3:]
    pairs = [head[max(end - 2, 0) : end] for end in range(len(head), 0, -2)][::-1]
    return ",".join([*pairs, tail])


def read(text: str) -> int | None:
    """Paise, or None for what is no amount. Commas stand where India puts them or nowhere, so that `1,00` is not read as 100."""
    bare = text.strip().removeprefix("₹").strip()
    form = _PLAIN.match(bare) or _GROUPED.match(bare)
    if form is None:
        return None
    return int(form["rupees"].replace(",", "")) * 100 + int((form["paise"] or "").ljust(2, "0"))
