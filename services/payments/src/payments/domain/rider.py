"""Who pays: a phone, a UPI address, or neither (feature P4)."""

import re
from dataclasses import dataclass
from enum import StrEnum

INDIA = "+91"
_PHONE_DIGITS = 10
_E164 = re.compile(r"\+[1-9]\d{7,14}")


class ResolvedBy(StrEnum):
    """What told who the rider is. A phone tells it of a new rider too; an unknown VPA does not: it makes a guest."""

    PHONE = "PHONE"
    VPA = "VPA"
    UPI_GUEST = "UPI_GUEST"


@dataclass(frozen=True, slots=True)
class Identity:
    """What a payment says of its payer, ready to compare: E.164 phone, lower-cased VPA."""

    phone: str | None
    vpa: str | None


def identity(*, contact: str | None, vpa: str | None) -> Identity:
    """Read `contact` and `vpa` of a payment. A shape that we don't know is no identity, and no reason to refuse a payment."""
    return Identity(phone=normalise_phone(contact), vpa=normalise_vpa(vpa))


def normalise_phone(contact: str | None) -> str | None:
    """E.164 of what Razorpay calls `contact`: "+919000090000", "9000090000", "+9000090000" and "09000090000" are one phone."""
    if not contact:
        return None
    digits = re.sub(r"\D", "", contact)
    local = digits.removeprefix("0") if len(digits) == _PHONE_DIGITS + 1 else digits
    # Indian mobile numbers begin with 6 to 9; "+9000090000" in Razorpay's samples is one that lost its country code.
    number = f"{INDIA}{local}" if len(local) == _PHONE_DIGITS and local[0] in "6789" else f"+{digits}"
    return number if _E164.fullmatch(number) else None


def normalise_vpa(vpa: str | None) -> str | None:
    """A VPA for comparing: NPCI compares without case. Razorpay's own check is only that there is something around an @."""
    trimmed = (vpa or "").strip().lower()
    name, at, handle = trimmed.partition("@")
    return trimmed if name and at and handle else None
