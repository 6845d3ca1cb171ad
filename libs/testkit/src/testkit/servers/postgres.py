"""A private PostgreSQL: its own cluster, port and superuser password; loopback only."""

import asyncio
import contextlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from testkit.servers.install import POSTGRES
from testkit.servers.processes import LOOPBACK, Guardian, ServerFailedToStart, ServerProcess, free_port

SUPERUSER = "postgres"
START_SECONDS_MAX = 60.0
INITDB_SECONDS_MAX = 120.0

# Seven services with a pool each, twice (two replicas in chaos), and the tests' own connections.
CONNECTIONS_MAX = 300


class NativePostgres:
    """PostgreSQL as a process of ours. Every method blocks; from async code use `asyncio.to_thread`."""

    name = "PostgreSQL"

    def __init__(self, directory: Path, guardian: Guardian, *, durable: bool, throwaway: bool) -> None:
        """`durable=False` turns fsync off: right for tests that never pull the plug on the machine itself."""
        self._guardian = guardian
        self._durable = durable
        self._throwaway = throwaway
        self._user = _unprivileged_user()
        self._directory = _reachable(directory, self._user)
        if throwaway:
            guardian.remove(self._directory)  # it may not be where we were told
        self._log = self._directory / "postgres.log"
        self._data = self._directory / "data"
        self._process: ServerProcess | None = None
        program = POSTGRES.find()
        assert program is not None, "install.ensure ran before"
        self._bin = program.parent
        password_file = self._directory / "superuser-password"
        if not password_file.exists():
            password_file.write_text(secrets.token_urlsafe(18))
            self._give(password_file, 0o600)
        self._password = password_file.read_text()
        self.port = 0

    @property
    def dsn(self) -> str:
        """The superuser's address, `postgresql://...` as asyncpg and psql read it."""
        return f"postgresql://{SUPERUSER}:{self._password}@{LOOPBACK}:{self.port}/postgres"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, port: int | None = None) -> None:
        """Make the cluster if there is none yet, start, and return when it answers a query."""
        if not (self._data / "PG_VERSION").exists():
            self._initdb()
        self.port = port or self.port or free_port()
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": str(CONNECTIONS_MAX),
            "shared_buffers": "128MB",
            "max_wal_size": "2GB",
            # POSIX segments would stay in /dev/shm after a SIGKILL; files in the cluster go with it.
            "dynamic_shared_memory_type": "mmap",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        if not self._durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._process = ServerProcess(
            [str(self._bin / "postgres"), "-D", str(self._data), *arguments],
            guardian=self._guardian,
            log=self._log,
            cwd=self._directory,
            user=self._user,
            # Fast shutdown, with a checkpoint, for data that is kept; an immediate one for data that is thrown away.
            polite=signal.SIGQUIT if self._throwaway else signal.SIGINT,
        )
        self._process.wait_until(self._answers, name=self.name, log=self._log, seconds_max=START_SECONDS_MAX)

    def _answers(self) -> bool:
        status = subprocess.run(
            [str(self._bin / "pg_isready"), "-q", "-h", LOOPBACK, "-p", str(self.port)], check=False, cwd="/"
        ).returncode
        return status == 0

    def kill(self) -> None:
        """SIGKILL: the postmaster and every backend, at once."""
        assert self._process is not None
        self._process.kill()

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()
        if self._throwaway:
            shutil.rmtree(self._directory, ignore_errors=True)

    def restart(self) -> None:
        """Kill it and start it again on the same port with the same data."""
        self.kill()
        self.start()

    def _initdb(self) -> None:
        self._data.mkdir(exist_ok=True)
        self._give(self._data, 0o700)
        password_file = self._directory / "superuser-password"
        done = subprocess.run(
            [
                str(self._bin / "initdb"), "-D", str(self._data), "-U", SUPERUSER, f"--pwfile={password_file}",
                "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", *([] if self._durable else ["--no-sync"]),
            ],
            capture_output=True, text=True, timeout=INITDB_SECONDS_MAX, check=False, cwd=self._directory,
            user=self._user, group=self._user and pwd.getpwnam(self._user).pw_gid, extra_groups=[] if self._user else None,
        )  # fmt: skip
        if done.returncode != 0:
            self._log.write_text(done.stdout + done.stderr)
            shutil.rmtree(self._data, ignore_errors=True)
            raise ServerFailedToStart(self.name, "initdb failed", self._log)

    def _give(self, path: Path, mode: int) -> None:
        path.chmod(mode)
        if self._user:
            shutil.chown(path, self._user, pwd.getpwnam(self._user).pw_gid)


def _unprivileged_user() -> str | None:
    """PostgreSQL refuses to run as root: the system user to become, or None when we are somebody else already."""
    if os.geteuid() != 0:
        return None
    for user in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(user).pw_name
    raise RuntimeError("PostgreSQL can't run as root, and this machine has neither a user `postgres` nor `nobody`.")


def _reachable(directory: Path, user: str | None) -> Path:
    """Make `directory` for `user` and return it. Where the user can't get there (a clone inside /root), the data goes to
    /var/tmp and `directory` becomes a link to it, so that `make reset` finds it."""
    if user is None:
        directory.mkdir(parents=True, exist_ok=True)
        return directory
    account = pwd.getpwnam(user)
    directory.parent.mkdir(parents=True, exist_ok=True)
    target = directory.resolve()
    if not target.exists():
        blocked = any(not parent.stat().st_mode & 0o001 for parent in target.parents)
        if blocked:
            target = Path("/var/tmp") / f"voltlync-{secrets.token_hex(6)}"
            target.mkdir(mode=0o755)
            directory.symlink_to(target)
        else:
            target.mkdir()
    shutil.chown(target, user, account.pw_gid)
    target.chmod(0o755)
    return target


@asynccontextmanager
async def fresh_database(dsn: str, name: str | None = None, *, template: str = "template0") -> AsyncIterator[str]:
    """An empty database beside the one that `dsn` (a superuser's) names; dropped afterwards, whoever is still connected.

    `template`: a database to copy instead, to which nobody is connected; its rights on schemas and tables come with it, those on
    the database itself do not. A copy of a migrated one takes a fraction of its migrations.
    Yields its DSN, for the same user. For a test module: `async with fresh_database(servers.postgres.dsn) as dsn: ...`.
    """
    name = name or f"test_{secrets.token_hex(6)}"
    await _execute(dsn, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    try:
        yield database_address(dsn, name)
    finally:
        await asyncio.shield(_execute(dsn, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)  # a new one each time: the server may have been killed in between
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def database_address(dsn: str, database: str, *, user: str | None = None, password: str | None = None) -> str:
    """The same server's address for another database, and for another user where one is given."""
    parts = urlsplit(dsn)
    netloc = parts.netloc if user is None else f"{user}:{password or ''}@{parts.hostname}:{parts.port or 5432}"
    return urlunsplit(parts._replace(netloc=netloc, path=f"/{database}"))
