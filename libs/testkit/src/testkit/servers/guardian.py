"""Ends servers whose owner is gone. Run as a script, with nothing but the standard library.

The owner (a test session, `voltlync up`) holds the other end of our standard input. While it lives it tells us which
process groups it started; when the pipe closes, however the owner ended (even by SIGKILL), we end what is left. A parent
death signal would not do: Linux sends it when the *thread* that forked ends, and servers are restarted from worker threads.

Lines: `watch PGID SIGNAL GRACE_SECONDS`, `forget PGID`, `remove PATH` (a throw-away directory, removed last).
"""

import contextlib
import os
import shutil
import signal
import sys
import time
from pathlib import Path

POLL_SECONDS = 0.05


def alive(pgid: int) -> bool:
    """Whether any process of the group is left. A zombie is not: in a container it may wait for its reaper for ever."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _parent, group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(group) == pgid and state != "Z":
                return True
    return False


def end(groups: dict[int, tuple[int, float]]) -> None:
    """Send every group its own polite signal, wait out the longest grace, then SIGKILL what stayed."""
    for pgid, (polite, _) in groups.items():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pgid, polite)
    deadline = time.monotonic() + max((grace for _, grace in groups.values()), default=0.0)
    while any(alive(pgid) for pgid in groups) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    for pgid in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pgid, signal.SIGKILL)


def main() -> None:
    """Listen until the owner is gone, then clean up after it."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    groups: dict[int, tuple[int, float]] = {}
    directories: list[str] = []
    for line in sys.stdin:
        verb, _, rest = line.rstrip("\n").partition(" ")
        if verb == "watch":
            pgid, polite, grace = rest.split()
            groups[int(pgid)] = (int(polite), float(grace))
        elif verb == "forget":
            groups.pop(int(rest), None)
        elif verb == "remove":
            directories.append(rest)
    end(groups)
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
