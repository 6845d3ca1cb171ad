"""Children's log lines made readable: who, when, what, with colour where a terminal reads."""

import json
import os
import sys

WIDTH = 16

# Distinct on dark and light backgrounds; one per child, in order of appearance.
COLOURS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)
RED, DIM, RESET = "\033[31m", "\033[2m", "\033[0m"

# Of structlog's and logging's JSON: shown elsewhere in the line, or of no use to a reader.
HIDDEN = {
    "request_id",
    "event",
    "level",
    "timestamp",
    "logger",
    "service",
    "trace_id",
    "span_id",
    "exception",
    "stack",
    "exc_info",
    "version",
}

# One line per request, message or frame says too much beside a story; the file has them all.
TOO_FREQUENT = ("http.request", "frame.", "message.")


class Palette:
    """Gives every child its colour and turns its lines into readable ones."""

    def __init__(self, *, colour: bool | None = None) -> None:
        self._colour = colour if colour is not None else sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._given: dict[str, int] = {}
        self.quiet = False
        """True: only warnings and errors are worth a line."""

    def readable(self, name: str, line: bytes) -> str | None:
        """The line as a person reads it, or None for one that only the file should have."""
        text = line.decode(errors="replace").rstrip()
        if not text:
            return None
        colour = self._given.setdefault(name, COLOURS[len(self._given) % len(COLOURS)])
        prefix = self._paint(f"{name:<{WIDTH}}", f"\033[{colour}m")
        try:
            record = json.loads(text)
        except ValueError:
            record = None
        if not isinstance(record, dict):
            return None if self.quiet else f"{prefix} {text}"
        event, level = str(record.get("event", "")), str(record.get("level", "info")).lower()
        if level == "debug" or (level == "info" and (self.quiet or event.startswith(TOO_FREQUENT))):
            return None
        fields = " ".join(f"{key}={_short(value)}" for key, value in record.items() if key not in HIDDEN and value is not None)
        message = f"{event} {self._paint(fields, DIM)}".rstrip()
        if level in {"error", "critical"}:
            message = self._paint(f"{level.upper()} {event} {fields}".rstrip(), RED)
            if trace := record.get("exception"):
                message += f"\n{trace}"
        elif level == "warning":
            message = self._paint(f"WARNING {event} {fields}".rstrip(), "\033[33m")
        at = str(record.get("timestamp", ""))[11:19]
        return f"{prefix} {self._paint(at, DIM)} {message}"

    def _paint(self, text: str, code: str) -> str:
        return f"{code}{text}{RESET}" if self._colour and text else text


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= 120 else text[:117] + "..."
