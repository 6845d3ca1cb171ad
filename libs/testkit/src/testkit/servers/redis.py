"""A private Redis: its own port, password and directory; loopback only."""

import secrets
import shutil
import socket
from pathlib import Path

from testkit.servers.install import REDIS
from testkit.servers.processes import LOOPBACK, Guardian, ServerProcess, free_port

START_SECONDS_MAX = 60.0


class NativeRedis:
    """Redis as a process of ours. Every method blocks; from async code use `asyncio.to_thread`."""

    name = "Redis"

    def __init__(self, directory: Path, guardian: Guardian, *, throwaway: bool) -> None:
        self._guardian = guardian
        self._throwaway = throwaway
        self._directory = directory
        self._directory.mkdir(parents=True, exist_ok=True)
        self._log = directory / "redis.log"
        self._process: ServerProcess | None = None
        self._config = directory / "redis.conf"
        password_file = directory / "password"
        if not password_file.exists():
            password_file.touch(mode=0o600)
            password_file.write_text(secrets.token_urlsafe(18))
        self._password = password_file.read_text()
        self.port = 0

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@{LOOPBACK}:{self.port}/0"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, port: int | None = None) -> None:
        """Start and return when it answers PING. Kept data is an append-only file, written every second."""
        self.port = port or self.port or free_port()
        program = REDIS.find()
        assert program is not None, "install.ensure ran before"
        self._config.touch(mode=0o600)  # the password is in it, and must not show in the process list
        self._config.write_text(
            f"bind {LOOPBACK}\nport {self.port}\nrequirepass {self._password}\ndir {self._directory}\n"
            f'save ""\nappendonly {"no" if self._throwaway else "yes"}\n'
        )
        self._process = ServerProcess(
            [str(program), str(self._config)], guardian=self._guardian, log=self._log, cwd=self._directory
        )
        self._process.wait_until(self._answers, name=self.name, log=self._log, seconds_max=START_SECONDS_MAX)

    def _answers(self) -> bool:
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
                connection.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
                answer = b""
                while answer.count(b"\r\n") < 2:  # one line per command
                    received = connection.recv(256)
                    if not received:
                        return False
                    answer += received
                return answer == b"+OK\r\n+PONG\r\n"
        except OSError:
            return False

    def kill(self) -> None:
        """SIGKILL."""
        assert self._process is not None
        self._process.kill()

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()
        if self._throwaway:
            shutil.rmtree(self._directory, ignore_errors=True)

    def restart(self) -> None:
        """Kill it and start it again on the same port. A throw-away one comes back empty, as after a FLUSHALL."""
        self.kill()
        self.start()
