"""OCPP-J frames (1.6 §4): reading what chargers send, however broken, and writing what we send. No input makes it raise anything
but `Unreadable`, and no input costs more than linear time.

    [2, id, action, payload]                        CALL
    [3, id, payload]                                CALLRESULT
    [4, id, code, description, details]             CALLERROR
"""

import json
import re
from enum import StrEnum
from typing import Any

import orjson

CALL, CALLRESULT, CALLERROR = 2, 3, 4

MESSAGES_IN_ONE_FRAME_MAX = 16
"""Some boxes glue messages together in one frame (§4 allows one). More than a few is no box."""

DEPTH_MAX = 32
"""OCPP's deepest payload nests seven levels; what is deeper is an attack on parsers further on."""

MESSAGE_ID_CHARACTERS_MAX = 255
"""§4.1.4 asks for 36; some send 100. Longer ones are not echoed."""

ERROR_TEXT_MAX = 255
"""§4.2.3: length of errorDescription."""


class ErrorCode(StrEnum):
    """CALLERROR codes in OCPP-J 1.6's own spelling (§4.2.3, table 7): a box may resend for ever on one that it does not know."""

    NOT_IMPLEMENTED = "NotImplemented"
    """The action is unknown."""
    NOT_SUPPORTED = "NotSupported"
    """The action is known, and not served here."""
    INTERNAL_ERROR = "InternalError"
    PROTOCOL_ERROR = "ProtocolError"
    SECURITY_ERROR = "SecurityError"
    FORMATION_VIOLATION = "FormationViolation"
    PROPERTY_CONSTRAINT_VIOLATION = "PropertyConstraintViolation"
    OCCURENCE_CONSTRAINT_VIOLATION = "OccurenceConstraintViolation"
    TYPE_CONSTRAINT_VIOLATION = "TypeConstraintViolation"
    GENERIC_ERROR = "GenericError"


class Unreadable(ValueError):
    """Nothing can be made of a frame. `message_type` and `message_id` where at least those could be seen."""

    def __init__(self, reason: str, message_type: int | None = None, message_id: str | None = None) -> None:
        super().__init__(reason)
        self.message_type = message_type
        self.message_id = message_id


# An escaped NUL: no text column downstream can hold it. Group 1 keeps escaped backslashes before it.
_ESCAPED_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")

# A string (closed or cut off), or one of the stable defects of row 18 outside of strings.
_DEFECT = re.compile(
    r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)'  # a string, closed or cut off: left as it is
    r"|:\s*(?=[,\]}])"  # a value left out
    r"|[\[{]\s*(?:,\s*)+"  # commas before the first member
    r"|,\s*(?=[,\]}])",  # a comma before nothing
    re.DOTALL,
)
_HALF_PAIR = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)
_HEAD = re.compile(r'\s*\[\s*"?([234])"?\s*,\s*"([^"\\]{1,255})"')

_decoder = json.JSONDecoder()


def read(data: bytes) -> list[Any]:
    """The messages in one frame: almost always one. Raises Unreadable.

    Numbers beyond 64 bit arrive as floats; escaped NULs are dropped.
    """
    if b"\\u0000" in data:
        data = _ESCAPED_NUL.sub(rb"\1", data)
    try:
        message = orjson.loads(data)
    except orjson.JSONDecodeError:
        return _read_broken(data)
    return [message]


def _read_broken(data: bytes) -> list[Any]:
    text = _as_text(data)
    if not text:
        raise Unreadable("empty frame")
    try:
        return [orjson.loads(text)]
    except orjson.JSONDecodeError:
        pass
    repaired = _DEFECT.sub(_repair, _HALF_PAIR.sub(r"\\ufffd", text))
    messages: list[Any] = []
    position = 0
    try:
        while position < len(repaired) and len(messages) < MESSAGES_IN_ONE_FRAME_MAX:
            message, position = _decoder.raw_decode(repaired, position)
            # What the lenient parser takes and the strict one does not (NaN, huge integers, depth) must not travel further.
            messages.append(orjson.loads(orjson.dumps(message)))
            while position < len(repaired) and repaired[position].isspace():
                position += 1
    except (ValueError, TypeError, RecursionError) as error:
        if messages:
            return messages
        head = _HEAD.match(text)
        raise Unreadable(f"no JSON: {type(error).__name__}", int(head[1]) if head else None, head[2] if head else None) from error
    return messages


def _as_text(data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")  # never fails; what old boxes mean by a byte above 127
    return text.replace("\x00", "").strip()


def _repair(found: re.Match[str]) -> str:
    text = found[0]
    return {'"': text, ":": ":null", ",": ""}.get(text[0], text[0])


def too_deep(value: Any, limit: int = DEPTH_MAX) -> bool:
    """Whether containers nest deeper than `limit`; never recurses deeper than that itself."""
    if type(value) is dict:
        return limit == 0 or any(too_deep(item, limit - 1) for item in value.values() if type(item) in (dict, list))
    if type(value) is list:
        return limit == 0 or any(too_deep(item, limit - 1) for item in value if type(item) in (dict, list))
    return False


def echoed_id(message_id: Any) -> bytes | None:
    """A message id as JSON to answer with: whatever scalar the charger chose, or None where there is nothing to echo."""
    if type(message_id) is str:
        return orjson.dumps(message_id) if len(message_id) <= MESSAGE_ID_CHARACTERS_MAX else None
    if message_id is None or isinstance(message_id, int | float):
        return orjson.dumps(message_id)
    return None


def call(message_id: str, action: str, payload: dict[str, Any]) -> bytes:
    """A CALL to the charger."""
    return orjson.dumps([CALL, message_id, action, payload])


def call_result(echoed: bytes, payload: bytes = b"{}") -> bytes:
    """A CALLRESULT; both parts are JSON already."""
    return b"[3,%b,%b]" % (echoed, payload)


def call_error(echoed: bytes, code: ErrorCode, description: str) -> bytes:
    """A CALLERROR. Its details stay empty: the charger's own words are not sent back to it, nor anything of our insides."""
    return b"[4,%b,%b,%b,{}]" % (echoed, orjson.dumps(code.value), orjson.dumps(description[:ERROR_TEXT_MAX]))
