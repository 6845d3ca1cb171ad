"""OCPP-J frames (OCPP-J 1.6 section 4): reading, writing, and the record of what went over the wire."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import orjson

CALL, CALLRESULT, CALLERROR = 2, 3, 4
Direction = Literal["in", "out"]  # as the charge point sees it


class SimulatorError(Exception):
    """Why a CALL of the charge point got no result."""


class NotConnected(SimulatorError):
    """There is no socket, or it was lost before the answer came."""


class CallTimeout(SimulatorError):
    """No answer within `Settings.call_timeout_seconds` on the clock."""


class OcppError(SimulatorError):
    """A CALLERROR: received for a CALL of ours, or raised by a handler to be sent (OCPP-J 4.2.3)."""

    def __init__(self, code: str, description: str = "", details: dict[str, Any] | None = None) -> None:
        super().__init__(f"{code}: {description}" if description else code)
        self.code = code
        self.description = description
        self.details = details or {}


@dataclass(frozen=True, slots=True)
class Message:
    """A frame that could be read. `action` is None in answers, `payload` is what the frame carries."""

    kind: int
    id: str
    action: str | None
    payload: Any
    error: OcppError | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame in the log. For an answer `action` is that of the CALL it answers, where known."""

    at: datetime
    direction: Direction
    text: str | bytes
    kind: int | None = None
    id: str | None = None
    action: str | None = None
    payload: Any = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """A CALL and what became of it. `response` and `error` are both None when the charge point chose to stay silent."""

    number: int
    direction: Direction
    """`out`: the charge point called; `in`: the central system called."""
    action: str
    request: dict[str, Any]
    response: dict[str, Any] | None
    error: SimulatorError | None
    at: datetime


def read(raw: str | bytes) -> Message | None:
    """None for what can't be read as an OCPP-J message: a charge point ignores it (OCPP-J 4.1.3)."""
    try:
        parts = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    match parts:
        case [2, str(id_), str(action), payload]:
            return Message(CALL, id_, action, {} if payload is None else payload)
        case [3, str(id_), payload]:
            return Message(CALLRESULT, id_, None, {} if payload is None else payload)
        case [4, str(id_), str(code), *rest]:
            description = rest[0] if rest and isinstance(rest[0], str) else ""
            details = rest[1] if len(rest) > 1 and isinstance(rest[1], dict) else {}
            return Message(CALLERROR, id_, None, details, OcppError(code, description, details))
        case _:
            return None


def call(message_id: str, action: str, payload: dict[str, Any]) -> str:
    return orjson.dumps([CALL, message_id, action, payload]).decode()


def call_result(message_id: str, payload: dict[str, Any]) -> str:
    return orjson.dumps([CALLRESULT, message_id, payload]).decode()


def call_error(message_id: str, error: OcppError) -> str:
    return orjson.dumps([CALLERROR, message_id, error.code, error.description, error.details]).decode()
