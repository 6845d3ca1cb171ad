"""`voltlync reset`: forget everything that `make run` kept."""

import shutil

from testkit.servers import forget
from voltlync.workspace import RUN, SERVERS


def reset() -> None:
    """Remove data, logs and credentials. Raises RuntimeError while `make run` runs."""
    forget(SERVERS)
    if RUN.exists():
        shutil.rmtree(RUN)
