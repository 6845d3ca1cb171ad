"""`make run` as a person meets it: one command to a paid session, Ctrl-C to nothing at all, and back with its data."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]

STOP_SECONDS_MAX = 120


@contextmanager
def voltlync_up(run_dir: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """A running `voltlync up`, and its lines until it said that it is up (or gave up)."""
    process = subprocess.Popen(
        [sys.executable, "-m", "voltlync", "up", "--free-ports", *arguments],
        env={**os.environ, "VOLTLYNC_RUN_DIR": str(run_dir)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line.rstrip())
            if line.startswith(("Up after", "Nothing is left running")):
                break
        yield process, lines
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def interrupted(process: subprocess.Popen[str]) -> list[str]:
    """Ctrl-C; returns the last lines."""
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=STOP_SECONDS_MAX)
    return rest.splitlines()


def test_it_plays_a_session_to_the_bank_leaves_nothing_and_comes_back(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    with voltlync_up(run_dir) as (process, lines):
        story = "\n".join(lines)
        assert lines[-1].startswith("Up after"), story
        # The story: started, charged, billed, refunded, paid out; and its sum, which `voltlync` has checked itself.
        for part in ("RUNNING", "STOPPED", "bill:", "PROCESSED", "led_1 gross", "SETTLED", "the franchisee's bank"):
            assert part in story, f"{part} is missing in:\n{story}"
        assert re.search(r"books +₹30\.00 = ", story), story
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) >= 12, "seven services, three simulators, three servers"
        assert "Nothing is left running." in interrupted(process)
        assert process.returncode == 0
        left = [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
        assert left == []
    assert (run_dir / "credentials.json").stat().st_mode & 0o077 == 0
    with voltlync_up(run_dir, "--no-play") as (process, lines):
        story = "\n".join(lines)
        assert lines[-1].startswith("Up after"), story
        assert "chg_3" in story
        assert "chg_4" not in story, f"the second run must find its network, not make another:\n{story}"
        interrupted(process)
    subprocess.run(
        [sys.executable, "-m", "voltlync", "reset"],
        env={**os.environ, "VOLTLYNC_RUN_DIR": str(run_dir)},
        check=True,
        capture_output=True,
    )
    assert not run_dir.exists()
