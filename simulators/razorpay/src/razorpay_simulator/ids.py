"""Identifiers in Razorpay's shape: a prefix and 14 case-sensitive alphanumerics."""

import random
import re
import string
from typing import Protocol

ID_LENGTH = 14
_ALPHABET = string.ascii_letters + string.digits
_BODY = re.compile(rf"[A-Za-z0-9]{{{ID_LENGTH}}}\Z")


class Ids(Protocol):
    """Mints what Razorpay mints. Injected, so that a test can make a run repeatable."""

    def new(self, prefix: str) -> str:
        """`prefix` followed by 14 alphanumerics: `new("pay_")` → `pay_HO2fEpc9JeOQU5`."""
        ...

    def digits(self, count: int) -> str:
        """`count` decimal digits, as in a bank's reference number (RRN)."""
        ...


class RandomIds:
    """Random identifiers; the same `seed` gives the same sequence."""

    def __init__(self, seed: int | None = None) -> None:
        self._random = random.Random(seed)

    def new(self, prefix: str) -> str:
        return prefix + "".join(self._random.choices(_ALPHABET, k=ID_LENGTH))

    def digits(self, count: int) -> str:
        return "".join(self._random.choices(string.digits, k=count))


def is_id(value: object, prefix: str) -> bool:
    """Whether `value` has the shape of an identifier with this prefix (not whether it exists)."""
    return isinstance(value, str) and value.startswith(prefix) and _BODY.match(value[len(prefix) :]) is not None
