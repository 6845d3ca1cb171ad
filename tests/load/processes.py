"""What server processes cost, and the charge points that make them work."""

import asyncio
import contextlib
import json
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psutil

from testkit.servers.processes import free_port
from voltlync.supervisor import Child, Supervisor

PASSWORD = secrets.token_hex(16)
"""Of every charger of a run."""


def say(line: str = "") -> None:
    """Progress and results."""
    print(line, flush=True)


def cpu_seconds(pid: int) -> float:
    """User + system seconds of a process and all that descend from it."""
    total = 0.0
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for member in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                times = member.cpu_times()
                total += times.user + times.system
        times = process.cpu_times()
        total += times.children_user + times.children_system
    return total


def resident_bytes(pid: int) -> int:
    """Resident memory of one process."""
    return int(psutil.Process(pid).memory_info().rss)


def percentile(values: list[float], part: float) -> float:
    """The value below which `part` of the sorted values lie; 0 without any."""
    return values[min(len(values) - 1, int(len(values) * part))] if values else 0.0


@dataclass(frozen=True)
class Drive:
    """What the load generator reported."""

    sent: int
    acknowledged: int
    p50_ms: float
    p99_ms: float


@asynccontextmanager
async def drivers(url: str, chargers: int, seconds: float, *options: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """drive.py, connected and waiting for the word."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.load.drive", url, str(chargers), PASSWORD, str(seconds), *options),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        line = await process.stdout.readline()
        if line.strip() != b"ready":
            raise RuntimeError(f"the load generator failed: {line!r}")
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def go(process: asyncio.subprocess.Process) -> Drive:
    """Give drivers the word; return when they are done."""
    out, _ = await process.communicate(b"\n")
    return Drive(**json.loads(out.splitlines()[-1]))


async def idle_weight(url: str, pid: int, count: int) -> float:
    """Bytes per idle charger at a server process."""
    before = resident_bytes(pid)
    async with drivers(url, count, 0, "--idle"):
        return (resident_bytes(pid) - before) / count


@asynccontextmanager
async def bare_server(supervisor: Supervisor) -> AsyncIterator[tuple[str, int]]:
    """(URL, pid) of the yardstick while it runs."""
    port = free_port()
    argv = (sys.executable, "-m", "tests.load.bare_server", str(port))
    await supervisor.start_stage([Child("bare", argv, {}, f"http://127.0.0.1:{port}/readyz")])
    try:
        yield f"ws://127.0.0.1:{port}/ocpp", supervisor.pid("bare")
    finally:
        await supervisor.stop_child("bare")
