"""What a frame has to be answered with, judged by OCPP-J §4 and Python's own JSON parser; no code is shared with the gateway.

A CALL is answerable: a JSON array whose first element is 2 (or "2", as some boxes write it) and whose second is a scalar short
enough to echo. It gets one CALLRESULT or CALLERROR with that id, whatever else is wrong with it. Other JSON gets none. What is
no JSON may be repaired, and its messages then answered: as many times at most as it could hold messages.
"""

import json
import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

ID_CHARACTERS_MAX = 255
"""Longer ids need not be echoed."""

MESSAGES_IN_ONE_FRAME_MAX = 16
"""Glued messages of one frame that may be answered."""

DEPTH_MAX = 200
"""No box nests deeper: of what does, only a message with a plain id has to be answered."""

INTEGER_MIN, INTEGER_MAX = -(2**63), 2**64 - 1
"""Likewise of numbers that no usual parser holds exactly."""

ERROR_CODES = frozenset(
    (
        "NotImplemented",
        "NotSupported",
        "InternalError",
        "ProtocolError",
        "SecurityError",
        "FormationViolation",
        "PropertyConstraintViolation",
        "OccurenceConstraintViolation",
        "TypeConstraintViolation",
        "GenericError",
    )
)
"""§4.2.3, table 7."""

ERROR_TEXT_MAX = 255

Key = Hashable


@dataclass(frozen=True, slots=True)
class Expected:
    """`key`: the id that must come back once. `at_most`: answers that may come where none must."""

    key: Key | None
    at_most: int = 0


def key_of(message_id: Any) -> Key:
    """Equal for ids that mean the same in JSON. NULs and halves of surrogate pairs can't be kept by anybody."""
    if isinstance(message_id, str):
        whole = message_id.replace("\x00", "").encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return "text", whole
    if isinstance(message_id, bool) or message_id is None:
        return "literal", message_id
    return "number", float(message_id)


class _Extremes:
    """Notes what parsers may differ about, while one reads."""

    def __init__(self) -> None:
        self.seen = False

    def integer(self, text: str) -> int | float:
        if len(text) < 19:
            return int(text)
        value = float(text)
        self.seen = self.seen or not INTEGER_MIN <= value <= INTEGER_MAX
        return value

    def number(self, text: str) -> float:
        value = float(text)
        self.seen = self.seen or math.isinf(value)
        return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _deeper_than(value: Any, limit: int) -> bool:
    level = [value]
    while level and limit >= 0:
        level = [
            item
            for holder in level
            if isinstance(holder, dict | list)
            for item in (holder.values() if isinstance(holder, dict) else holder)
            if isinstance(item, dict | list)
        ]
        limit -= 1
    return bool(level)


def expected(data: bytes) -> Expected:
    """What this payload of one WebSocket message deserves."""
    extremes = _Extremes()
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode("latin-1")  # what old boxes mean
    try:
        message = json.loads(text, parse_int=extremes.integer, parse_float=extremes.number, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return Expected(None, min(MESSAGES_IN_ONE_FRAME_MAX, data.count(b"[")))
    if not isinstance(message, list) or len(message) < 2 or isinstance(message[0], bool) or message[0] not in (2, "2"):
        return Expected(None)
    if isinstance(message[1], dict | list) or (isinstance(message[1], str) and len(message[1]) > ID_CHARACTERS_MAX):
        return Expected(None)
    plain = isinstance(message[1], str) and message[1].isalnum() and message[1].isascii() and type(message[0]) is not float
    brackets = data.count(b"[") + data.count(b"{")
    extreme = extremes.seen or (brackets > DEPTH_MAX and _deeper_than(message, DEPTH_MAX))
    if (extreme and not plain) or type(message[0]) is float:
        return Expected(None, 1)
    return Expected(key_of(message[1]))


def fault(answer: Any) -> str | None:
    """What is wrong with an answer of the gateway's, by OCPP-J §4.2; None: nothing."""
    match answer:
        case [3, _, dict()]:
            return None
        case [4, _, str(code), str(description), dict()] if code in ERROR_CODES and len(description) <= ERROR_TEXT_MAX:
            return None
    return "neither a CALLRESULT nor a CALLERROR of OCPP-J 1.6"
