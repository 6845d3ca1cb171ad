"""States and union territories of India by their GST codes, and the GSTIN, which begins with one.

The code is the census code of 2011 with what came after it: Telangana 36, Andhra Pradesh 37, Ladakh 38.
"""

import re
from collections.abc import Mapping

GST_STATES: Mapping[str, str] = {
    "01": "Jammu and Kashmir",
    "02": "Himachal Pradesh",
    "03": "Punjab",
    "04": "Chandigarh",
    "05": "Uttarakhand",
    "06": "Haryana",
    "07": "Delhi",
    "08": "Rajasthan",
    "09": "Uttar Pradesh",
    "10": "Bihar",
    "11": "Sikkim",
    "12": "Arunachal Pradesh",
    "13": "Nagaland",
    "14": "Manipur",
    "15": "Mizoram",
    "16": "Tripura",
    "17": "Meghalaya",
    "18": "Assam",
    "19": "West Bengal",
    "20": "Jharkhand",
    "21": "Odisha",
    "22": "Chhattisgarh",
    "23": "Madhya Pradesh",
    "24": "Gujarat",
    "26": "Dadra and Nagar Haveli and Daman and Diu",
    "27": "Maharashtra",
    "29": "Karnataka",
    "30": "Goa",
    "31": "Lakshadweep",
    "32": "Kerala",
    "33": "Tamil Nadu",
    "34": "Puducherry",
    "35": "Andaman and Nicobar Islands",
    "36": "Telangana",
    "37": "Andhra Pradesh",
    "38": "Ladakh",
}
"""The 28 states and 8 union territories of today."""

RETIRED_CODES: Mapping[str, str] = {"25": "26", "28": "37"}
"""Daman and Diu, merged in 2020; Andhra Pradesh before its division. Older GSTINs still begin with them."""

WITHOUT_LEGISLATURE = frozenset({"04", "26", "31", "35", "38"})
"""Union territories whose half of the tax is called UTGST; Delhi, Puducherry, Jammu and Kashmir levy SGST as states do."""

_OTHER_NAMES: Mapping[str, str] = {
    "orissa": "21",
    "pondicherry": "34",
    "uttaranchal": "05",
    "new delhi": "07",
    "nct of delhi": "07",
    "andaman and nicobar": "35",
    "daman and diu": "26",
    "dadra and nagar haveli": "26",
}


def _plain(name: str) -> str:
    return " ".join(name.casefold().replace("&", " and ").split())


_CODES: Mapping[str, str] = {**{_plain(name): code for code, name in GST_STATES.items()}, **_OTHER_NAMES}


def state_code(text: str) -> str | None:
    """The code of a state by its name or code in any case ("karnataka", "29"); None: there is no such state."""
    plain = _plain(text)
    if plain.isdecimal():
        plain = plain.zfill(2)
        plain = RETIRED_CODES.get(plain, plain)
        return plain if plain in GST_STATES else None
    return _CODES.get(plain)


def state_tax_name(code: str) -> str:
    """What the second half of the tax within a state is called there: SGST, or UTGST."""
    return "UTGST" if code in WITHOUT_LEGISLATURE else "SGST"


_GSTIN = re.compile(r"[0-9]{2}[A-Z]{5}[0-9]{4}[A-Z][1-9A-Z]Z[0-9A-Z]")
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def is_gstin(text: str) -> bool:
    """Whether it can be a GSTIN: a state's code, a PAN, and the check character that fits the fourteen before it."""
    if _GSTIN.fullmatch(text) is None or state_code(text[:2]) is None:
        return False
    total = 0
    for place, character in enumerate(text[:14]):
        # Luhn's rule to the base 36: every second digit counts twice, and what overflows is added up.
        carried, rest = divmod(_DIGITS.index(character) * (1 + place % 2), len(_DIGITS))
        total += carried + rest
    return text[14] == _DIGITS[-total % len(_DIGITS)]
