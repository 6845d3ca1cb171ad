"""`voltlync doctor`: what is here, what is missing, and what to do about it."""

import dataclasses
import os
import platform
import shutil

from testkit.servers import docker, install
from testkit.servers.processes import accepts
from voltlync.plan import Ports
from voltlync.workspace import SERVERS


def findings() -> list[tuple[bool, str]]:
    """(fine, sentence) for everything that `make run` needs."""
    found = [(True, f"Python {platform.python_version()}")]
    by_docker = docker.engine_answers()
    found.append(
        (
            True,
            "Docker answers: the three servers run as containers" if by_docker else "no Docker engine: the servers run natively",
        )
    )
    may_install = os.geteuid() == 0 and shutil.which("apt-get") is not None
    given = {"postgres": "POSTGRES", "rabbitmq-server": "RABBITMQ", "redis-server": "REDIS"}
    for program in (install.POSTGRES, install.RABBITMQ, install.REDIS):
        setting = f"VOLTLYNC_TEST_{given[program.name]}"
        if os.environ.get(setting):
            found.append((True, f"{program.name}: {setting} names one"))
        elif path := program.find():
            found.append((True, f"{program.name}: {path}"))
        elif not by_docker:
            todo = "will be installed by `make run`" if may_install else f"run: sudo apt-get install {program.debian_package}"
            found.append((may_install, f"{program.name}: missing; {todo}"))
    for name, port in dataclasses.asdict(Ports()).items():
        if accepts(port):
            found.append((True, f"port {port} ({name}) is taken: a running `make run`, or another one will be chosen"))
    found.append((True, f"data of `make run`: {'kept in .run' if SERVERS.exists() else 'none yet'}"))
    return found
