"""Charger clocks: read leniently, never trusted (ocpp.md rows 33 to 37). Guards and deadlines run on receive time."""

import re
from datetime import UTC, datetime, timedelta, timezone

EARLIEST = datetime(2015, 1, 1, tzinfo=UTC)
"""OCPP 1.6 is of 2015: an earlier year is a clock that was never set (1970, 2000)."""

FUTURE_MAX = timedelta(days=1)
"""A clock further ahead than this is wrong, not merely in another zone."""

QUARTER_HOUR_SECONDS = 900
"""Zone offsets are multiples of a quarter of an hour (India is at 5:30, Nepal at 5:45)."""

OFFSET_SECONDS_MIN, OFFSET_SECONDS_MAX = -12 * 3600, 14 * 3600
"""The offsets that exist on Earth."""

TIMESTAMP_LENGTH_MAX = 40

_LOOSE = re.compile(
    r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})[T ]+(\d{1,2}):(\d{1,2})(?::(\d{1,2}))?(?:[.,](\d+))?\s*(Z|[+-]\d{1,2}:?\d{0,2})?",
    re.IGNORECASE,
)


def charger_time(text: object, received_at: datetime) -> datetime | None:
    """A charger's timestamp as aware UTC, or None where it can't be believed (unreadable, before 2015, over a day ahead).

    Without a zone it is local time: the offset is taken that lands nearest to when we received it. A replayed queue may be days
    old; its offset is then a guess, which is one reason why nothing but the order of a replay depends on it.
    """
    if type(text) is not str:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        loose = _read_loosely(text)
        if loose is None:
            return None
        moment = loose
    try:
        if moment.tzinfo is None:
            moment = _nearest_offset(moment, received_at)
        elif moment.tzinfo is not UTC:
            moment = moment.astimezone(UTC)
        return moment if EARLIEST <= moment <= received_at + FUTURE_MAX else None
    except OverflowError:  # years 1 and 9999 moved by an offset
        return None


def _read_loosely(text: str) -> datetime | None:
    found = _LOOSE.fullmatch(text.strip()) if len(text) <= TIMESTAMP_LENGTH_MAX else None
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    try:
        return datetime(
            int(year),
            int(month),
            int(day),
            int(hour),
            int(minute),
            int(second or 0),
            int((fraction or "0")[:6].ljust(6, "0")),
            tzinfo=_zone(zone),
        )
    except ValueError:
        return None


def _zone(text: str | None) -> timezone | None:
    if text is None:
        return None
    if text in "Zz":
        return UTC
    digits = text[1:].replace(":", "")
    hours, minutes = (digits[:2], digits[2:]) if len(digits) > 2 else (digits, "0")
    offset = timedelta(hours=int(hours), minutes=int(minutes or 0))
    return timezone(-offset if text[0] == "-" else offset)


def _nearest_offset(local: datetime, received_at: datetime) -> datetime:
    as_utc = local.replace(tzinfo=UTC)
    ahead = (as_utc - received_at).total_seconds()
    offset = round(ahead / QUARTER_HOUR_SECONDS) * QUARTER_HOUR_SECONDS
    if not OFFSET_SECONDS_MIN <= offset <= OFFSET_SECONDS_MAX:
        # Days off: it is a replay, and nothing tells the zone. UTC is what the specification asks for.
        return as_utc
    return as_utc - timedelta(seconds=offset)


def ocpp_time(moment: datetime) -> str:
    """`YYYY-MM-DDTHH:MM:SSZ`: some boxes reject `+00:00` and fractions (row 37)."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
