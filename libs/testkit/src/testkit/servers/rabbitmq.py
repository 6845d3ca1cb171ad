"""A private RabbitMQ node: its own data, log, cookie, epmd and ports; loopback only; users and vhost from definitions."""

import base64
import contextlib
import hashlib
import json
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pamqp import commands, frame

from testkit.servers.install import RABBITMQ
from testkit.servers.processes import LOOPBACK, Guardian, ServerProcess, accepts, free_port

VHOST = "voltlync"
ADMIN = "admin"

# The node's name is part of its data: it must be the same after a restart. epmd being private, it clashes with nobody.
NODE = "voltlync@localhost"

START_SECONDS_MAX = 90.0
EPMD_SECONDS_MAX = 60.0
CTL_SECONDS_MAX = 180.0
LOGIN_SECONDS_MAX = 5.0

# An AMQP frame: type (1 byte), channel (2), size (4), the payload, and one closing byte.
FRAME_HEAD = 7


@dataclass(frozen=True)
class BrokerUser:
    """A service's own user. The three patterns are RabbitMQ's: regular expressions over exchange and queue names."""

    name: str
    password: str
    configure: str = "^$"
    write: str = "^$"
    read: str = "^$"
    tags: tuple[str, ...] = ()


def password_hash(password: str, salt: bytes | None = None) -> str:
    """As RabbitMQ keeps it (rabbit_password_hashing_sha256): base64(salt + sha256(salt + password)), 4 bytes of salt."""
    salt = salt or secrets.token_bytes(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def definitions(users: Sequence[BrokerUser], *, vhosts: Sequence[str] = (VHOST,)) -> dict[str, Any]:
    """What RabbitMQ's `load_definitions` reads: the vhosts, the users, and each user's permissions in every vhost."""
    return {
        "vhosts": [{"name": vhost} for vhost in vhosts],
        "users": [
            {
                "name": user.name,
                "password_hash": password_hash(user.password),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": list(user.tags),
                "limits": {},
            }
            for user in users
        ],
        "permissions": [
            {"user": user.name, "vhost": vhost, "configure": user.configure, "write": user.write, "read": user.read}
            for user in users
            for vhost in vhosts
        ],
    }


class NativeRabbitMQ:
    """RabbitMQ as processes of ours: epmd and the node. Every method blocks; from async code use `asyncio.to_thread`."""

    name = "RabbitMQ"

    def __init__(self, directory: Path, guardian: Guardian, *, users: Sequence[BrokerUser], throwaway: bool) -> None:
        self._guardian = guardian
        self._throwaway = throwaway
        self._directory = directory
        self._directory.mkdir(parents=True, exist_ok=True)
        self._log = directory / "rabbitmq.log"
        self._epmd: ServerProcess | None = None
        self._node: ServerProcess | None = None
        self._home = directory / "home"
        self._home.mkdir(exist_ok=True)
        cookie = self._home / ".erlang.cookie"
        if not cookie.exists():
            cookie.touch(mode=0o600)
            cookie.write_text(secrets.token_hex(20))
            cookie.chmod(0o400)
        password_file = directory / "admin-password"
        if not password_file.exists():
            password_file.touch(mode=0o600)
            password_file.write_text(secrets.token_urlsafe(18))
        admin = BrokerUser(ADMIN, password_file.read_text(), ".*", ".*", ".*", tags=("administrator",))
        self._users = {user.name: user for user in (admin, *users)}
        self.port = 0
        self._dist_port = 0
        self._epmd_port = 0

    @property
    def url(self) -> str:
        """The administrator's address: may do anything in the vhost `voltlync`."""
        return self.url_for(ADMIN)

    def url_for(self, user: str, *, vhost: str = VHOST) -> str:
        """The address for one of the users that the broker was started with."""
        password = self._users[user].password
        return f"amqp://{quote(user, safe='')}:{quote(password, safe='')}@{LOOPBACK}:{self.port}/{quote(vhost, safe='')}"

    @property
    def pid(self) -> int:
        assert self._node is not None
        return self._node.pid

    def start(self, port: int | None = None) -> None:
        """Start epmd and the node; return when the administrator can log in to the vhost."""
        self.port = port or self.port or free_port()
        self._dist_port = self._dist_port or free_port()
        self._epmd_port = self._epmd_port or free_port()
        self._write_configuration()
        if self._epmd is None or not self._epmd.running:
            self._start_epmd()
        program = RABBITMQ.find()
        assert program is not None, "install.ensure ran before"
        self._node = ServerProcess(
            [str(program)],
            guardian=self._guardian,
            log=self._log,
            env=self._environment(),
            cwd=self._directory,
            grace_seconds=30.0,
        )
        self._node.wait_until(self._answers, name=self.name, log=self._log, seconds_max=START_SECONDS_MAX)

    def _start_epmd(self) -> None:
        # Started by us, in the foreground: one that the node starts by itself stays behind when the node is gone.
        program = shutil.which("epmd")
        assert program is not None, "epmd comes with Erlang, which comes with RabbitMQ"
        self._epmd = ServerProcess(
            [program, "-port", str(self._epmd_port), "-address", LOOPBACK],
            guardian=self._guardian,
            log=self._log,
            cwd=self._directory,
        )
        self._epmd.wait_until(
            lambda: accepts(self._epmd_port), name="epmd (RabbitMQ's name server)", log=self._log, seconds_max=EPMD_SECONDS_MAX
        )

    def _write_configuration(self) -> None:
        definitions_file = self._directory / "definitions.json"
        definitions_file.touch(mode=0o600)
        definitions_file.write_text(json.dumps(definitions(list(self._users.values())), indent=1))
        (self._directory / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = {LOOPBACK}:{self.port}\n"
            f"load_definitions = {definitions_file}\n"
            # A developer's nearly full disk is no reason to block every publisher.
            "disk_free_limit.absolute = 50MB\n"
            "log.console = true\nlog.console.level = warning\nlog.file = false\n"
        )
        (self._directory / "enabled_plugins").write_text("[].\n")

    def _environment(self) -> dict[str, str]:
        at = self._directory
        inherited = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TZ") if name in os.environ}
        return inherited | {
            "HOME": str(self._home),
            # The start script then becomes the node instead of waiting beside it: one process, ours to wait for. As a
            # grandchild it would be left to init when killed, which in many containers reaps nobody.
            "RUNNING_UNDER_SYSTEMD": "true",
            "RABBITMQ_NODENAME": NODE,
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_MNESIA_BASE": str(at / "data"),
            "RABBITMQ_LOG_BASE": str(at / "log"),
            "RABBITMQ_PID_FILE": str(at / "node.pid"),
            "RABBITMQ_CONF_ENV_FILE": str(at / "no-such-file"),  # else the system's own is read
            "RABBITMQ_CONFIG_FILE": str(at / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(at / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(at / "enabled_plugins"),
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": LOOPBACK,
            # Idle schedulers spin by default, which two shared cores feel.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none"
            ),
        }

    def _answers(self) -> bool:
        admin = self._users[ADMIN]
        return can_log_in(LOOPBACK, self.port, user=admin.name, password=admin.password, vhost=VHOST)

    def sync_queue_directory(self) -> None:
        """Write the node's table of quorum queues to disk now; by itself RabbitMQ does so about a second later.

        A quorum queue declared just before a SIGKILL comes back empty and dead, confirmed messages and all (seen on 3.10.8
        in each of three tries). Real topologies are older than a second; a test that declares, publishes and kills is not.
        """
        self.ctl("eval", "[dets:sync(Table) || Table <- dets:all()].")

    def kill(self) -> None:
        """SIGKILL to the node, as a power cut does; epmd stays, as another machine's would."""
        assert self._node is not None
        self._node.kill()

    def stop(self) -> None:
        if self._node is not None:
            if self._throwaway:
                self._node.kill()
            else:
                self._node.stop()
        if self._epmd is not None:
            self._epmd.kill()
        if self._throwaway:
            shutil.rmtree(self._directory, ignore_errors=True)

    def restart(self) -> None:
        """Kill it and start it again: same name, same port, same data."""
        self.kill()
        self.start()

    @contextmanager
    def fresh_vhost(self) -> Iterator[str]:
        """An empty vhost in which every user has the same permissions as in `voltlync`. Yields its name; takes 1-2 s."""
        vhost = f"test-{secrets.token_hex(6)}"
        file = self._directory / f"{vhost}.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps(definitions(list(self._users.values()), vhosts=[vhost])))
        try:
            self.ctl("import_definitions", str(file))
            yield vhost
        finally:
            file.unlink()
            self.ctl("delete_vhost", vhost)

    def ctl(self, *arguments: str) -> str:
        """Run rabbitmqctl against this node and return what it prints."""
        program = RABBITMQ.find()
        assert program is not None
        done = subprocess.run(
            [str(program.with_name("rabbitmqctl")), "--quiet", *arguments],
            env=self._environment(),
            cwd=self._directory,
            capture_output=True,
            text=True,
            timeout=CTL_SECONDS_MAX,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"rabbitmqctl {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
        return done.stdout


def can_log_in(host: str, port: int, *, user: str, password: str, vhost: str) -> bool:
    """Whether the broker lets this user open this vhost: the one sign that its definitions are loaded too.

    Spoken by hand over a blocking socket (AMQP 0-9-1, section 2.2.4), so that the caller needs no event loop.
    """
    sent: dict[type, list[Any]] = {
        commands.Connection.Start: [
            commands.Connection.StartOk(client_properties={}, mechanism="PLAIN", response=f"\0{user}\0{password}", locale="en_US")
        ],
        commands.Connection.Tune: [
            commands.Connection.TuneOk(channel_max=1, frame_max=131072, heartbeat=0),
            commands.Connection.Open(virtual_host=vhost),
        ],
        commands.Connection.OpenOk: [commands.Connection.Close(reply_code=200, reply_text="bye", class_id=0, method_id=0)],
    }
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=LOGIN_SECONDS_MAX) as connection:
        connection.sendall(b"AMQP\x00\x00\x09\x01")
        buffer = b""
        while True:
            received = connection.recv(65536)
            if not received:
                return False
            buffer += received
            while len(buffer) >= FRAME_HEAD and len(buffer) >= (size := FRAME_HEAD + int.from_bytes(buffer[3:7]) + 1):
                message = frame.unmarshal(buffer[:size])[2]
                buffer = buffer[size:]
                if type(message) not in sent:  # CloseOk after our Close; a Close of the broker's: access refused
                    return isinstance(message, commands.Connection.CloseOk)
                for answer in sent[type(message)]:
                    connection.sendall(frame.marshal(answer, 0))
    return False
