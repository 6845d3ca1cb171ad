"""Child processes: started in stages, each stage ready before the next; logs prefixed; stopped in reverse; nothing restarted.

A child that ends by itself ends everything: a system that heals itself behind its developer's back hides its bugs.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import aiohttp

from testkit.servers.processes import Guardian
from voltlync.loglines import Palette

READY_SECONDS_MAX = 60.0
READY_POLL_SECONDS = 0.05
PROBE_SECONDS_MAX = 2.0

# A service drains for 20 s at most (ServiceSettings.drain_seconds); after this it is killed.
STOP_SECONDS_MAX = 30.0

# A line of a log may be a traceback in JSON.
LINE_BYTES_MAX = 1 << 20


@dataclass(frozen=True)
class Child:
    """A process to run. `ready_url` answers 200 when it can be used; without one it counts as ready at once."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    ready_url: str | None = None


class ChildFailed(RuntimeError):
    """A child ended by itself or never became ready. The message bears the end of its log."""


class Supervisor:
    """Runs children for `voltlync up` and for the chaos tests, which kill and start them one by one."""

    def __init__(self, logs: Path, palette: Palette | None = None, *, show: Callable[[str], None] | None = None) -> None:
        """`logs`: each child's raw output goes to `<logs>/<name>.log`. `show` gets lines that `palette` made readable."""
        self._logs = logs
        self._logs.mkdir(parents=True, exist_ok=True)
        self._show = show
        self._palette = palette or Palette()
        self._guardian = Guardian()
        self._children: dict[str, Child] = {}
        self._stages: list[list[str]] = []
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._pumps: dict[str, asyncio.Task[None]] = {}
        self._expected: set[str] = set()
        """Children that are being stopped or killed on purpose."""
        self._ended: asyncio.Future[str] | None = None

    @property
    def names(self) -> list[str]:
        return list(self._children)

    def pid(self, name: str) -> int:
        return self._processes[name].pid

    async def start_stage(self, children: Sequence[Child]) -> None:
        """Start these together; return when all are ready. Raises ChildFailed."""
        self._stages.append([child.name for child in children if child.name not in self._children])
        for child in children:
            await self._spawn(child)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PROBE_SECONDS_MAX)) as http:
            await asyncio.gather(*(self._ready(child, http) for child in children))

    async def start(self, name: str) -> None:
        """Start again a child that was killed or stopped; return when it is ready."""
        await self.start_stage([self._children[name]])

    async def kill(self, name: str) -> None:
        """SIGKILL, as the kernel's out-of-memory killer does it."""
        await self._end(name, signal.SIGKILL)

    async def stop_child(self, name: str) -> None:
        """SIGTERM, and SIGKILL if that was not heard."""
        await self._end(name, signal.SIGTERM)

    async def stop(self) -> None:
        """Stop all, the last stage first, and leave nothing behind."""
        for stage in reversed(self._stages):
            await asyncio.gather(*(self.stop_child(name) for name in stage))
        await asyncio.to_thread(self._guardian.close)

    async def watch(self) -> str:
        """Wait until a child ends by itself; return its name."""
        self._ended = self._ended or asyncio.get_running_loop().create_future()
        for name, process in self._processes.items():
            if process.returncode is not None and name not in self._expected:
                return name
        return await self._ended

    def end_of_log(self, name: str, lines: int = 15) -> str:
        """The last lines of a child's own output."""
        path = self._logs / f"{name}.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""

    async def _spawn(self, child: Child) -> None:
        self._children[child.name] = child
        self._expected.discard(child.name)
        process = await asyncio.create_subprocess_exec(
            *child.argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**_inherited(), "PYTHONUNBUFFERED": "1", **child.env},
            start_new_session=True,  # Ctrl-C is ours: children are stopped in order
            limit=LINE_BYTES_MAX,
        )
        self._guardian.watch(process.pid, signal.SIGTERM, STOP_SECONDS_MAX)
        self._processes[child.name] = process
        self._pumps[child.name] = asyncio.create_task(self._pump(child.name, process), name=f"log of {child.name}")

    async def _pump(self, name: str, process: asyncio.subprocess.Process) -> None:
        """Copy the child's output to its file and, made readable, to the terminal; notice its end."""
        assert process.stdout is not None
        with (self._logs / f"{name}.log").open("ab") as file:
            async for line in _lines(process.stdout):
                _write(file, line)
                if self._show is not None and (readable := self._palette.readable(name, line)):
                    self._show(readable)
        await process.wait()
        self._guardian.forget(process.pid)
        if name not in self._expected and self._ended is not None and not self._ended.done():
            self._ended.set_result(name)

    async def _ready(self, child: Child, http: aiohttp.ClientSession) -> None:
        if child.ready_url is None:
            return
        process = self._processes[child.name]
        reason = "it never answered"
        try:
            async with asyncio.timeout(READY_SECONDS_MAX):
                while True:
                    if process.returncode is not None:
                        reason = f"it ended with status {process.returncode}"
                        break
                    with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                        async with http.get(child.ready_url) as answer:
                            if answer.ok:
                                return
                            reason = f"{child.ready_url} answers {answer.status}: {(await answer.text())[:500]}"
                    await asyncio.sleep(READY_POLL_SECONDS)
        except TimeoutError:
            reason = f"not ready within {READY_SECONDS_MAX:.0f} s ({reason})"
        raise ChildFailed(f"{child.name} did not start: {reason}. The end of its log:\n{self.end_of_log(child.name)}")

    async def _end(self, name: str, signum: signal.Signals) -> None:
        process = self._processes.get(name)
        if process is None:
            return
        self._expected.add(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signum) if signum == signal.SIGKILL else process.send_signal(signum)
        try:
            async with asyncio.timeout(STOP_SECONDS_MAX):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        await self._pumps.pop(name)
        del self._processes[name]


def _inherited() -> dict[str, str]:
    """Our environment, less what makes every child compile every module again (5 s of CPU instead of 2, each)."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while True:
        try:
            line = await stream.readline()
        except ValueError:  # longer than any line should be: the rest comes as the next one
            continue
        if not line:
            return
        yield line


def _write(file: IO[bytes], line: bytes) -> None:
    file.write(line)
    file.flush()


def module(name: str) -> tuple[str, ...]:
    """The command line of a package that runs by `python -m`."""
    return (sys.executable, "-m", name)
