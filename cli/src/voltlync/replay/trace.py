"""Recorded OCPP logs as JSON lines: what a trace is, read leniently, written strictly.

    {"charge_point_id": "CP-1", "connector_kind": "type2", "rated_power_w": 7400, "connectors": 1}      the first line, optional
    {"at": "2026-01-05T04:30:00Z", "event": "connected"}                                                or "disconnected"
    {"at": "2026-01-05T04:30:01Z", "direction": "in", "frame": [2, "1", "BootNotification", {...}]}     from the charger
    {"at": "2026-01-05T04:30:02Z", "direction": "out", "frame": [3, "1", {...}]}                        to the charger
    {"at": "2026-01-05T04:31:00Z", "event": "paid", "connector": 1, "paise": 10000, "fee_paise": 236}   a rider paid

A frame that is no JSON goes as "text". Names that other systems use are understood: `timestamp`, `time`, `ts` for `at`;
`message`, `raw` for `frame`; `IN`, `received`, `recv`, `CP` and `OUT`, `sent`, `send`, `CS` for the direction.
"""

import itertools
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

TRACE_BYTES_MAX = 256 * 1024 * 1024
"""A longer file is no session's log."""

DIRECTIONS = {
    **dict.fromkeys(("in", "received", "recv", "rx", "cp", "chargepoint", "from_charger"), "in"),
    **dict.fromkeys(("out", "sent", "send", "tx", "cs", "csms", "centralsystem", "to_charger"), "out"),
}
AT_NAMES = ("at", "timestamp", "time", "ts", "received_at")
FRAME_NAMES = ("frame", "message", "raw", "text", "payload")


class TraceError(Exception):
    """A line says nothing that could be replayed; the message names it."""


class Header(BaseModel):
    """The charger that a trace was recorded of, and what energy costs there."""

    model_config = ConfigDict(extra="ignore")

    charge_point_id: str = Field("REPLAYED", min_length=1, max_length=48, pattern=r"^[A-Za-z0-9*\-_=:+|@.]+$")
    connector_kind: Literal["socket", "type2", "ccs"] = "type2"
    rated_power_w: int = Field(22_000, gt=0, le=2_000_000)
    connectors: int = Field(1, ge=1, le=255)
    paise_per_kwh: int = Field(1800, ge=0, le=1_000_000)
    gst_bps: int = Field(1800, ge=0, le=10_000)
    quirks: dict[str, Any] = Field(default_factory=dict, description="overrides that charging keeps for this charger")


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened. `text` is the frame as it was on the wire; `frame` the same, parsed, where it is JSON."""

    number: int
    at: datetime
    event: Literal["in", "out", "connected", "disconnected", "paid"]
    text: str = ""
    frame: tuple[Any, ...] = ()
    connector: int = 1
    paise: int = 0
    fee_paise: int = 0


@dataclass(frozen=True, slots=True)
class Trace:
    """A recorded log, in the order in which it happened."""

    header: Header
    lines: tuple[Line, ...]


def read_trace(lines: Iterable[str]) -> Trace:
    """A trace from its JSON lines. Raises TraceError with the line's number."""
    header = Header()
    found: list[Line] = []
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            said = json.loads(text)
        except ValueError as error:
            raise TraceError(f"line {number} is no JSON: {error}") from None
        if not isinstance(said, dict):
            raise TraceError(f"line {number} is no object")
        if not found and _first(said, AT_NAMES) is None:
            try:
                header = Header.model_validate(said)
            except ValidationError as error:
                raise TraceError(f"line {number}, the header: {error.errors()[0]['loc']}: {error.errors()[0]['msg']}") from None
            continue
        found.append(_line(number, said))
    if not found:
        raise TraceError("nothing happened in it: no line has a time and a frame or an event")
    for before, after in itertools.pairwise(found):
        if after.at < before.at:
            raise TraceError(f"line {after.number} is earlier than line {before.number}: sort it by time of receipt")
    return Trace(header, tuple(found))


def _line(number: int, said: dict[str, Any]) -> Line:
    at = _moment(number, _first(said, AT_NAMES))
    event = said.get("event")
    if event in ("connected", "disconnected"):
        return Line(number, at, event)
    if event == "paid":
        try:
            return Line(
                number,
                at,
                "paid",
                connector=int(said.get("connector", 1)),
                paise=int(said["paise"]),
                fee_paise=int(said.get("fee_paise", 0)),
            )
        except (KeyError, TypeError, ValueError):
            raise TraceError(f"line {number}: a payment needs `paise`, and may have `connector` and `fee_paise`") from None
    direction = DIRECTIONS.get(str(said.get("direction", "")).casefold().replace(" ", ""))
    if direction is None:
        raise TraceError(f"line {number}: `direction` is in or out; or `event` is connected, disconnected or paid")
    frame = _first(said, FRAME_NAMES)
    if frame is None:
        raise TraceError(f"line {number} has no `frame`")
    text = frame if isinstance(frame, str) else json.dumps(frame)
    try:
        parsed = json.loads(text)
    except ValueError:
        parsed = None
    return Line(
        number, at, "in" if direction == "in" else "out", text=text, frame=tuple(parsed) if isinstance(parsed, list) else ()
    )


def _first(said: dict[str, Any], names: Iterable[str]) -> Any:
    return next((said[name] for name in names if said.get(name) is not None), None)


def _moment(number: int, said: Any) -> datetime:
    try:
        at = datetime.fromtimestamp(said, UTC) if isinstance(said, int | float) else datetime.fromisoformat(str(said))
    except (ValueError, OverflowError, OSError):
        raise TraceError(f"line {number}: {said!r} is no time (ISO 8601, or seconds since 1970)") from None
    if at.tzinfo is None:
        raise TraceError(f"line {number}: {said!r} has no zone")
    return at.astimezone(UTC)


def write_trace(header: Header, lines: Iterable[Line]) -> Iterator[str]:
    """The JSON lines of a trace."""
    yield json.dumps(header.model_dump(exclude_defaults=True) | {"charge_point_id": header.charge_point_id})
    for line in lines:
        at = line.at.isoformat().replace("+00:00", "Z")
        if line.event in ("in", "out"):
            body = {"frame": list(line.frame)} if line.frame else {"text": line.text}
            yield json.dumps({"at": at, "direction": line.event, **body})
        elif line.event == "paid":
            yield json.dumps(
                {"at": at, "event": "paid", "connector": line.connector, "paise": line.paise, "fee_paise": line.fee_paise}
            )
        else:
            yield json.dumps({"at": at, "event": line.event})
