"""Private server processes: started in a group of their own, watched by a guardian, killed to the last child."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

import psutil

LOOPBACK = "127.0.0.1"

# Below 32768, where Linux begins to hand out ports for outgoing connections: a fixed port above it is now and then taken
# by somebody's connection just when a killed server wants it back.
PORTS = range(10_000, 32_000)

POLL_SECONDS = 0.02

# What a killed process may take until the kernel is done with it.
KILL_SECONDS_MAX = 60.0


class ServerFailedToStart(RuntimeError):
    """A server ended or stayed silent. The message bears the tail of its log, so that nobody needs to look for the file."""

    def __init__(self, name: str, reason: str, log: Path) -> None:
        tail = log.read_text(errors="replace")[-3000:] if log.exists() else "(no log was written)"
        super().__init__(f"{name} did not start: {reason}. The end of its log:\n{tail}")


def free_port() -> int:
    """A TCP port that nobody listens on just now. Chosen at random, so that two sessions at once seldom choose the same;
    whoever loses such a race is started again on another port (see `Servers.start`)."""
    for port in random.sample(PORTS, k=200):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind((LOOPBACK, port))
                return port
    raise RuntimeError(f"no free port found between {PORTS.start} and {PORTS.stop}")


def accepts(port: int) -> bool:
    """Whether something listens there."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1):
            return True
    except OSError:
        return False


class Guardian:
    """The small process that outlives us by a moment and ends what we started. See `guardian.py`."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("guardian.py"))],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C in a terminal goes to the owner's group only
        )

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # a guardian that was killed can't help; the servers run all the same
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()

    def watch(self, pgid: int, polite: signal.Signals, grace_seconds: float) -> None:
        self._tell(f"watch {pgid} {polite.value} {grace_seconds}")

    def forget(self, pgid: int) -> None:
        self._tell(f"forget {pgid}")

    def remove(self, directory: Path) -> None:
        """Have a throw-away directory removed when everything has ended."""
        self._tell(f"remove {directory}")

    def close(self) -> None:
        """Let it do its last duty and wait for it."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait(timeout=60)


class ServerProcess:
    """One running process and its children."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        guardian: Guardian,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str | None = None,
        polite: signal.Signals = signal.SIGTERM,
        grace_seconds: float = 15.0,
    ) -> None:
        """Start it. `polite` is the signal that asks this program to leave in order; `user` a system user to become."""
        self._guardian = guardian
        self._polite = polite
        self._grace_seconds = grace_seconds
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=cwd,
                user=user,
                group=user and _group_of(user),
                extra_groups=[] if user else None,
                start_new_session=True,
            )
        guardian.watch(self._process.pid, polite, grace_seconds)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def _tree(self) -> list[psutil.Process]:
        try:
            root = psutil.Process(self.pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def kill(self) -> None:
        """SIGKILL to the process and every child, as a power cut does. Returns when all are gone."""
        tree = self._tree()
        for process in tree:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._gone(tree)

    def stop(self) -> None:
        """Ask politely, wait the grace, then kill. Returns when all are gone."""
        tree = self._tree()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, self._polite)
        try:
            self._process.wait(self._grace_seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return
        for process in tree:  # whatever was left behind by a leader that has gone
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._gone(tree)

    def _gone(self, tree: list[psutil.Process]) -> None:
        if self.running:
            self._process.wait(KILL_SECONDS_MAX)
        deadline = time.monotonic() + KILL_SECONDS_MAX
        while any(_lives(process) for process in tree) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        self._guardian.forget(self.pid)

    def wait_until(self, ready: Callable[[], bool], *, name: str, log: Path, seconds_max: float) -> None:
        """Poll until `ready()`. Raises ServerFailedToStart, after killing what there is, when it ends or stays silent."""
        deadline = time.monotonic() + seconds_max
        while not ready():
            if not self.running:
                raise ServerFailedToStart(name, f"it ended with status {self._process.returncode}", log)
            if time.monotonic() > deadline:
                self.kill()
                raise ServerFailedToStart(name, f"it did not answer within {seconds_max:.0f} s", log)
            time.sleep(POLL_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _lives(process: psutil.Process) -> bool:
    """A zombie is gone for us: it holds nothing any more, and who should reap it may not be us."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _group_of(user: str) -> int:
    import pwd

    return pwd.getpwnam(user).pw_gid
