"""PostgreSQL, RabbitMQ and Redis for tests, for `make run` and for chaos: private, on free ports, gone afterwards.

Where they come from, in this order: an address given by a setting (VOLTLYNC_TEST_POSTGRES, a superuser's DSN;
VOLTLYNC_TEST_RABBITMQ, an administrator's amqp:// URL; VOLTLYNC_TEST_REDIS), else Docker where an engine answers, else the
machine's own binaries, which Debian's package manager installs where they are missing.

    with Servers.throwaway() as servers:
        servers.postgres.dsn        # postgresql://postgres:...@127.0.0.1:.../postgres, the superuser
        servers.rabbitmq.url        # amqp://admin:...@127.0.0.1:.../voltlync, may do anything
        servers.redis.url           # redis://:...@127.0.0.1:.../0
        servers.rabbitmq.kill(); servers.rabbitmq.start()     # SIGKILL, and again with the same name, port and data
"""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Protocol, Self

from testkit.servers import docker, install
from testkit.servers.external import ExternalPostgres, ExternalRabbitMQ, ExternalRedis
from testkit.servers.install import ServerMissing
from testkit.servers.postgres import NativePostgres, database_address, fresh_database
from testkit.servers.processes import Guardian, ServerFailedToStart
from testkit.servers.rabbitmq import VHOST, BrokerUser, NativeRabbitMQ
from testkit.servers.redis import NativeRedis

__all__ = [
    "VHOST",
    "BrokerUser",
    "DirectoryInUse",
    "ServerFailedToStart",
    "ServerMissing",
    "Servers",
    "database_address",
    "forget",
    "fresh_database",
]

# A start may lose the race for its port against somebody else's; a second loss in a row is something else.
START_ATTEMPTS = 3


class DirectoryInUse(RuntimeError):
    """Another process runs servers in this directory."""


class Server(Protocol):
    """What the three have in common. All of it blocks; from async code use `asyncio.to_thread`."""

    name: str
    port: int

    def start(self, port: int | None = None) -> None: ...
    def kill(self) -> None: ...
    def stop(self) -> None: ...
    def restart(self) -> None: ...


class Servers:
    """The three servers together. Starts in parallel; `stop` (or the death of this process) leaves nothing behind."""

    def __init__(
        self, directory: Path, *, broker_users: Sequence[BrokerUser] = (), durable: bool = True, throwaway: bool = False
    ) -> None:
        """Servers whose data live in `directory` and are found there again by the next start.

        `broker_users`: RabbitMQ users beside the administrator. `durable=False`: PostgreSQL without fsync.
        Raises DirectoryInUse when another process runs servers there, ServerMissing where one can't be installed.
        """
        self._directory = directory.absolute()
        self._directory.mkdir(parents=True, exist_ok=True)
        self._throwaway = throwaway
        self._stopped = False
        self._lock = hold(self._directory / "lock")
        self._ports_file = self._directory / "ports.json"
        self._guardian = Guardian()
        if throwaway:
            self._guardian.remove(self._directory)
        at, guardian = self._directory, self._guardian
        given = os.environ.get
        by_docker = docker.engine_answers()
        wanted = []
        if not by_docker:
            programs = {
                "VOLTLYNC_TEST_POSTGRES": install.POSTGRES,
                "VOLTLYNC_TEST_RABBITMQ": install.RABBITMQ,
                "VOLTLYNC_TEST_REDIS": install.REDIS,
            }
            wanted = [program for setting, program in programs.items() if not given(setting)]
        install.ensure(*wanted)
        self.postgres = (
            ExternalPostgres(dsn)
            if (dsn := given("VOLTLYNC_TEST_POSTGRES"))
            else docker.DockerPostgres(at, durable=durable, throwaway=throwaway)
            if by_docker
            else NativePostgres(at / "postgres", guardian, durable=durable, throwaway=throwaway)
        )
        self.rabbitmq = (
            ExternalRabbitMQ(url)
            if (url := given("VOLTLYNC_TEST_RABBITMQ"))
            else docker.DockerRabbitMQ(at, users=broker_users, throwaway=throwaway)
            if by_docker
            else NativeRabbitMQ(at / "rabbitmq", guardian, users=broker_users, throwaway=throwaway)
        )
        self.redis = (
            ExternalRedis(url)
            if (url := given("VOLTLYNC_TEST_REDIS"))
            else docker.DockerRedis(at, throwaway=throwaway)
            if by_docker
            else NativeRedis(at / "redis", guardian, throwaway=throwaway)
        )

    @classmethod
    def throwaway(cls, *, broker_users: Sequence[BrokerUser] = (), durable: bool = False) -> Self:
        """Servers for a test session, with data that go with them. Chaos passes `durable=True`."""
        directory = Path(tempfile.mkdtemp(prefix="voltlync-"))
        directory.chmod(0o711)  # PostgreSQL runs as another user and must get through
        return cls(directory, broker_users=broker_users, durable=durable, throwaway=True)

    @property
    def all(self) -> tuple[Server, ...]:
        return (self.postgres, self.rabbitmq, self.redis)

    def start(self) -> None:
        """Start all three at once and return when each answers. The ports of the last start are taken again if free."""
        remembered: dict[str, int] = json.loads(self._ports_file.read_text()) if self._ports_file.exists() else {}
        starts: list[Callable[[], None]] = [
            lambda server=server: _start(server, remembered.get(server.name))  # type: ignore[misc]
            for server in self.all
        ]
        try:
            with ThreadPoolExecutor(len(starts)) as pool:
                for started in [pool.submit(start) for start in starts]:
                    started.result()
        except BaseException:
            self.stop()
            raise
        self._ports_file.write_text(json.dumps({server.name: server.port for server in self.all}))

    def stop(self) -> None:
        """End all three, and every helper process; a throw-away directory goes too. A failed start has done it already."""
        if self._stopped:
            return
        self._stopped = True
        with ThreadPoolExecutor(len(self.all)) as pool:
            for stopped in [pool.submit(server.stop) for server in self.all]:
                stopped.result()
        self._guardian.close()
        self._lock.close()
        if self._throwaway:
            shutil.rmtree(self._directory, ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _start(server: Server, remembered_port: int | None) -> None:
    port = remembered_port
    for attempt in range(1, START_ATTEMPTS + 1):
        try:
            server.start(port)
            return
        except ServerFailedToStart:
            if attempt == START_ATTEMPTS:
                raise
            server.port = 0  # as if never chosen: the next attempt looks for free ones
            port = None


def forget(directory: Path) -> None:
    """Remove what servers kept in `directory`, wherever it really is. Raises RuntimeError while somebody runs them."""
    if not directory.exists():
        return
    with hold(directory / "lock"):
        docker.remove_volumes(directory)
        for kept in directory.iterdir():
            if kept.is_symlink():  # data that had to live where the system user `postgres` can get to
                shutil.rmtree(kept.resolve(), ignore_errors=True)
        shutil.rmtree(directory)


def hold(lock: Path) -> IO[str]:
    """Take the directory for this process until the file is closed. Raises DirectoryInUse when another one has it."""
    held = lock.open("w")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        held.close()
        raise DirectoryInUse(
            f"Another process runs servers in {lock.parent}. Stop it first (Ctrl-C in its terminal), or use another directory."
        ) from None
    return held
