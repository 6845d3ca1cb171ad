"""The same three servers as containers, through testcontainers, where a Docker engine answers.

Ports are fixed on the host side and data live in named volumes, so that a killed container comes back as itself.
"""

import contextlib
import json
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from testkit.servers.processes import LOOPBACK, POLL_SECONDS, ServerFailedToStart, accepts, free_port
from testkit.servers.rabbitmq import ADMIN, VHOST, BrokerUser, can_log_in, definitions

POSTGRES_IMAGE = "postgres:15-alpine"
RABBITMQ_IMAGE = "rabbitmq:3.13-alpine"
REDIS_IMAGE = "redis:7-alpine"

PING_SECONDS_MAX = 5.0

# The first start pulls the image.
START_SECONDS_MAX = 300.0


def engine_answers() -> bool:
    """Whether `docker` is installed and its engine replies: an installed client alone starts no container."""
    docker = shutil.which("docker")
    if docker is None:
        return False
    with contextlib.suppress(subprocess.TimeoutExpired):
        ping = subprocess.run(
            [docker, "version", "--format", "{{.Server.Version}}"], capture_output=True, timeout=PING_SECONDS_MAX, check=False
        )
        return ping.returncode == 0
    return False


def remove_volumes(directory: Path) -> None:
    """Remove the volumes of containers that kept their data for `directory`."""
    for marker in directory.glob("*-docker"):
        volume = marker.read_text().split()[0]
        subprocess.run(["docker", "volume", "rm", "-f", volume], capture_output=True, check=False)


class _Container:
    """One container: started, killed, started again; its volume goes with a throw-away one."""

    name = "a server"
    image = ""
    container_port = 0
    data_path = ""

    def __init__(self, directory: Path, *, throwaway: bool) -> None:
        self._directory = directory
        self._throwaway = throwaway
        self._container: Any = None
        secret = directory / f"{self.name.lower()}-docker"  # see remove_volumes
        if not secret.exists():
            secret.touch(mode=0o600)
            secret.write_text(f"voltlync-{secrets.token_hex(6)} {secrets.token_urlsafe(18)}")
        self._volume, self._password = secret.read_text().split()
        self.port = 0

    def _configure(self, container: Any) -> None:
        raise NotImplementedError

    def _answers(self) -> bool:
        raise NotImplementedError

    def start(self, port: int | None = None) -> None:
        """Create the container, or start the one that was killed; return when it answers."""
        from testcontainers.core.container import DockerContainer

        if self._container is None:
            self.port = port or free_port()
            container = DockerContainer(self.image)
            container.with_bind_ports(self.container_port, self.port)
            container.with_volume_mapping(self._volume, self.data_path, "rw")
            self._configure(container)
            container.start()
            self._container = container
        else:
            self._container.get_wrapped_container().start()
        deadline = time.monotonic() + START_SECONDS_MAX
        while not self._answers():
            if time.monotonic() > deadline:
                log = self._directory / f"{self.name.lower()}.log"
                log.write_bytes(b"".join(self._container.get_logs()))
                raise ServerFailedToStart(self.name, f"it did not answer within {START_SECONDS_MAX:.0f} s", log)
            time.sleep(POLL_SECONDS)

    def kill(self) -> None:
        """SIGKILL to the container's first process."""
        self._container.get_wrapped_container().kill()

    def restart(self) -> None:
        self.kill()
        self.start()

    def stop(self) -> None:
        """Remove the container; its volume too if it is a throw-away one."""
        if self._container is None:
            return
        self._container.stop()
        self._container = None
        if self._throwaway:
            subprocess.run(["docker", "volume", "rm", "-f", self._volume], capture_output=True, check=False)


class DockerPostgres(_Container):
    name = "PostgreSQL"
    image = POSTGRES_IMAGE
    container_port = 5432
    data_path = "/var/lib/postgresql/data"

    def __init__(self, directory: Path, *, durable: bool, throwaway: bool) -> None:
        super().__init__(directory, throwaway=throwaway)
        self._durable = durable

    @property
    def dsn(self) -> str:
        return f"postgresql://postgres:{self._password}@{LOOPBACK}:{self.port}/postgres"

    def _configure(self, container: Any) -> None:
        container.with_env("POSTGRES_PASSWORD", self._password)
        fast = "" if self._durable else " -c fsync=off -c synchronous_commit=off -c full_page_writes=off"
        container.with_command(f"postgres -c max_connections=300{fast}")

    def _answers(self) -> bool:
        # The image serves its own socket only while it sets up the cluster: ask over TCP, from inside.
        asked = self._container.get_wrapped_container().exec_run(["pg_isready", "-q", "-h", "127.0.0.1"])
        return bool(asked.exit_code == 0) and accepts(self.port)


class DockerRabbitMQ(_Container):
    name = "RabbitMQ"
    image = RABBITMQ_IMAGE
    container_port = 5672
    data_path = "/var/lib/rabbitmq"

    def __init__(self, directory: Path, *, users: Sequence[BrokerUser], throwaway: bool) -> None:
        super().__init__(directory, throwaway=throwaway)
        admin = BrokerUser(ADMIN, self._password, ".*", ".*", ".*", tags=("administrator",))
        self._users = {user.name: user for user in (admin, *users)}

    @property
    def url(self) -> str:
        return self.url_for(ADMIN)

    def url_for(self, user: str, *, vhost: str = VHOST) -> str:
        password = self._users[user].password
        return f"amqp://{quote(user, safe='')}:{quote(password, safe='')}@{LOOPBACK}:{self.port}/{quote(vhost, safe='')}"

    @contextlib.contextmanager
    def fresh_vhost(self) -> Iterator[str]:
        """An empty vhost in which every user has the same permissions as in `voltlync`. Yields its name."""
        vhost = f"test-{secrets.token_hex(6)}"
        self.ctl("add_vhost", vhost)
        for user in self._users.values():
            self.ctl("set_permissions", "-p", vhost, user.name, user.configure, user.write, user.read)
        try:
            yield vhost
        finally:
            self.ctl("delete_vhost", vhost)

    def ctl(self, *arguments: str) -> str:
        """Run rabbitmqctl in the container and return what it prints."""
        code, output = self._container.get_wrapped_container().exec_run(["rabbitmqctl", "--quiet", *arguments])
        if code != 0:
            raise RuntimeError(f"rabbitmqctl {' '.join(arguments)} failed:\n{output.decode()}")
        return str(output.decode())

    def _configure(self, container: Any) -> None:
        configuration = self._directory / "rabbitmq-docker"
        configuration.mkdir(exist_ok=True)
        (configuration / "definitions.json").write_text(json.dumps(definitions(list(self._users.values()))))
        (configuration / "99-voltlync.conf").write_text("load_definitions = /etc/voltlync/definitions.json\n")
        container.with_volume_mapping(str(configuration), "/etc/voltlync", "ro")
        container.with_env("RABBITMQ_CONFIG_FILES", "/etc/voltlync")
        container.with_kwargs(hostname="voltlync")  # the node's name, and so its data's, follows the host name

    def _answers(self) -> bool:
        return can_log_in(LOOPBACK, self.port, user=ADMIN, password=self._password, vhost=VHOST)


class DockerRedis(_Container):
    name = "Redis"
    image = REDIS_IMAGE
    container_port = 6379
    data_path = "/data"

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@{LOOPBACK}:{self.port}/0"

    def _configure(self, container: Any) -> None:
        kept = "no" if self._throwaway else "yes"
        container.with_command(f"redis-server --requirepass {self._password} --save '' --appendonly {kept}")

    def _answers(self) -> bool:
        asked = self._container.get_wrapped_container().exec_run(["redis-cli", "-a", self._password, "ping"])
        return b"PONG" in asked.output
