"""`voltlync reset`: forget everything that `make run` kept."""

import shutil
import subprocess

from testkit.servers import hold
from voltlync.workspace import RUN, SERVERS


def reset() -> None:
    """Remove data, logs and credentials. Raises RuntimeError while `make run` runs."""
    if not RUN.exists():
        return
    if SERVERS.exists():
        with hold(SERVERS / "lock"):
            for marker in SERVERS.glob("*-docker"):  # named volumes of containers
                volume = marker.read_text().split()[0]
                subprocess.run(["docker", "volume", "rm", "-f", volume], capture_output=True, check=False)
            postgres = SERVERS / "postgres"
            if postgres.is_symlink():  # data that had to live where the system user `postgres` can reach it
                shutil.rmtree(postgres.resolve(), ignore_errors=True)
    shutil.rmtree(RUN)
