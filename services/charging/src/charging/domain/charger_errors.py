"""What an error is that a StatusNotification reports (OCPP 1.6 §4.9, §7.6), and when it is over.

An error is open from the first report with an errorCode other than NoError until NoError is reported for the same connector.
Connector 0, the charger itself, is a connector of its own in this (row 47). Rows: ocpp.md Part 1.
"""

from dataclasses import dataclass

NO_ERROR = "NoError"

OPEN_MAX = 50
"""Errors of one connector that are open together: more is a charger that invents vendor codes, and they are only counted."""

_SAYS_NOTHING = frozenset({"", "null", "none", "nil", "n/a", "undefined", "noerror"})
"""Texts that firmware sends for an absent field (row 48: info "null")."""


@dataclass(frozen=True, slots=True)
class ErrorIdentity:
    """Which error: two reports with the same are the same error, seen again."""

    error_code: str
    vendor_id: str
    """Empty where there is none."""
    vendor_error_code: str
    """Empty where there is none."""


def said_text(text: str | None) -> str:
    """What a free field says, trimmed; empty for the ways of saying nothing."""
    trimmed = (text or "").strip()
    return "" if trimmed.casefold() in _SAYS_NOTHING else trimmed


def _vendor_code(text: str | None) -> str:
    """A vendor's code; zero in any spelling (`0x0000`, `00`) is none (row 48)."""
    code = said_text(text)
    digits = code.casefold().removeprefix("0x")
    return "" if digits and not digits.strip("0") else code


def reported_error(error_code: str, vendor_id: str | None, vendor_error_code: str | None) -> ErrorIdentity | None:
    """The error of a report; None for NoError, whatever junk the other fields hold (row 48)."""
    if said_text(error_code) == "":
        return None
    return ErrorIdentity(error_code.strip(), said_text(vendor_id), _vendor_code(vendor_error_code))
