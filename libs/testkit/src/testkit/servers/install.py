"""Finds the machine's own PostgreSQL, RabbitMQ and Redis, and installs what is missing with Debian's package manager."""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# Debian starts a server it has just installed. This file, honoured by every maintainer script, forbids that:
# we want the binaries, not a system service on the default port.
POLICY_RC_D = Path("/usr/sbin/policy-rc.d")

INSTALL_SECONDS_MAX = 900


class ServerMissing(RuntimeError):
    """A server is not installed and we may not install it. The message says what to do."""


@dataclass(frozen=True)
class Program:
    """One server program and where it comes from."""

    name: str
    debian_package: str
    patterns: tuple[str, ...]
    """Where Debian (or another Unix) puts it, as glob patterns; the highest version wins."""

    def find(self) -> Path | None:
        for pattern in self.patterns:
            found = [path for path in Path("/").glob(pattern.lstrip("/")) if os.access(path, os.X_OK)]
            if found:
                return max(found, key=_version)
        on_path = shutil.which(self.name)
        return Path(on_path) if on_path else None


POSTGRES = Program("postgres", "postgresql", ("/usr/lib/postgresql/*/bin/postgres",))
# Not /usr/sbin/rabbitmq-server: that wrapper changes user through `su` and loses the environment which keeps our node private.
RABBITMQ = Program("rabbitmq-server", "rabbitmq-server", ("/usr/lib/rabbitmq/bin/rabbitmq-server",))
REDIS = Program("redis-server", "redis-server", ("/usr/bin/redis-server",))


def _version(path: Path) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", str(path)))


def ensure(*programs: Program) -> None:
    """Return when all are installed. Raises ServerMissing, with the command to type, when that is not ours to do."""
    if all(program.find() for program in programs):
        return
    with _one_at_a_time():
        missing = [program.debian_package for program in programs if not program.find()]
        if not missing:
            return  # another session installed them while we waited
        command = f"apt-get install --no-install-recommends {' '.join(missing)}"
        if shutil.which("apt-get") is None:
            raise ServerMissing(
                f"{', '.join(missing)} missing, and this is no Debian machine. Install PostgreSQL 15+, RabbitMQ 3.10+ and "
                "Redis 7+ with your package manager, or start Docker, or name running servers in VOLTLYNC_TEST_POSTGRES, "
                "VOLTLYNC_TEST_RABBITMQ and VOLTLYNC_TEST_REDIS."
            )
        if os.geteuid() != 0:
            raise ServerMissing(
                f"{', '.join(missing)} missing, and only root may install. Run `sudo {command}`, or start Docker, or name "
                "running servers in VOLTLYNC_TEST_POSTGRES, VOLTLYNC_TEST_RABBITMQ and VOLTLYNC_TEST_REDIS."
            )
        sys.stderr.write(f"voltlync: installing {', '.join(missing)} (once; their system services stay off) ...\n")
        sys.stderr.flush()
        with _no_service_start():
            _apt("update")
            _apt("install", "--no-install-recommends", *missing)
        still = [program.debian_package for program in programs if not program.find()]
        if still:
            raise ServerMissing(f"`{command}` succeeded, yet {', '.join(still)} can't be found where Debian puts it.")


def _apt(*arguments: str) -> None:
    done = subprocess.run(
        ["apt-get", "-y", "-q", "-o", "DPkg::Lock::Timeout=300", *arguments],
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS_MAX,
        check=False,
    )
    if done.returncode != 0:
        raise ServerMissing(f"`apt-get {' '.join(arguments)}` failed:\n{(done.stdout + done.stderr)[-3000:]}")


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Two test sessions that start together on a fresh machine must not both drive the package manager."""
    lock = Path(tempfile.gettempdir()) / f"voltlync-install-{os.getuid()}.lock"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


@contextmanager
def _no_service_start() -> Iterator[None]:
    if POLICY_RC_D.exists():  # the machine has a policy of its own; most images for containers forbid starts already
        yield
        return
    POLICY_RC_D.write_text("#!/bin/sh\nexit 101\n")
    POLICY_RC_D.chmod(0o755)
    try:
        yield
    finally:
        POLICY_RC_D.unlink()
