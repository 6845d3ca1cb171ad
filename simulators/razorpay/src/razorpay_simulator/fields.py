"""Checks of request bodies, answering in Razorpay's own words.

Each check takes the parsed body and a field's name, and returns the value or raises `ApiError`.
"""

import re
from collections.abc import Collection
from typing import Any

from razorpay_simulator.entities import JsonObject
from razorpay_simulator.errors import INPUT_REQUIRED, NOTES_INVALID, ApiError

MAX_NOTES = 15
MAX_NOTE_LENGTH = 256
EARLIEST, LATEST = 946_684_800, 4_765_046_400
"""Razorpay's bounds on times in requests: the years 2000 and 2121."""
_DIGITS = re.compile(r"[0-9]{1,18}\Z")


def object_body(body: object) -> JsonObject:
    """The body itself, when it is a JSON object."""
    if not isinstance(body, dict):
        raise ApiError(INPUT_REQUIRED)
    return body


def refuse_unknown(body: JsonObject, allowed: Collection[str]) -> None:
    unknown = [name for name in body if name not in allowed]
    if unknown:
        raise ApiError(f"{', '.join(unknown)} is/are not required and should not be sent")


def label(name: str) -> str:
    return name.replace("_", " ")


def required(body: JsonObject, name: str) -> Any:
    value = body.get(name)
    if value is None or value in ("", {}, []):
        raise ApiError(f"The {label(name)} field is required.", field=name)
    return value


def text(body: JsonObject, name: str, *, shortest: int = 0, longest: int = 255, needed: bool = False) -> str | None:
    value = required(body, name) if needed else body.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise ApiError(f"The {label(name)} must be a string.", field=name)
    if len(value) < shortest:
        raise ApiError(f"The {label(name)} must be at least {shortest} characters.", field=name)
    if len(value) > longest:
        raise ApiError(f"The {label(name)} may not be greater than {longest} characters.", field=name)
    return value


def integer(body: JsonObject, name: str) -> int | None:
    """An integer; a string of digits counts as one, as it does at Razorpay (its own samples send both)."""
    value = body.get(name)
    if isinstance(value, str) and _DIGITS.match(value):
        return int(value)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise ApiError(f"The {label(name)} must be an integer.", field=name)
    return value


def boolean(body: JsonObject, name: str, *, default: bool = False) -> bool:
    value = body.get(name)
    if value is None:
        return default
    if value not in (True, False, 0, 1, "0", "1"):
        raise ApiError(f"The {label(name)} field must be true or false.", field=name)
    return value in (True, "1")


def choice(body: JsonObject, name: str, options: Collection[str], *, default: str | None = None) -> str:
    value = body.get(name, default) if default is not None else required(body, name)
    if not isinstance(value, str) or value not in options:
        raise ApiError(f"The selected {label(name)} is invalid.", field=name)
    return value


def instant(body: JsonObject, name: str) -> int | None:
    """A time in Unix seconds, within Razorpay's bounds."""
    value = integer(body, name)
    if value is not None and not EARLIEST <= value <= LATEST:
        raise ApiError(f"{name} must be between {EARLIEST} and {LATEST}", field=name)
    return value


def notes(body: JsonObject) -> JsonObject:
    """Up to 15 pairs of up to 256 characters; an empty array stands for none."""
    value = body.get("notes")
    if value is None or value == []:
        return {}
    if not isinstance(value, dict) or len(value) > MAX_NOTES:
        raise ApiError(NOTES_INVALID, field="notes")
    for key, note in value.items():
        scalar = isinstance(note, str | int | float)
        if not scalar or len(str(note)) > MAX_NOTE_LENGTH or len(key) > MAX_NOTE_LENGTH:
            raise ApiError(NOTES_INVALID, field="notes")
    return value
