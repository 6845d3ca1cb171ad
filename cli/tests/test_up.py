"""`voltlync up` where it can't: a sentence and a status, no traceback."""

import os
import subprocess
import sys
from pathlib import Path

from testkit.servers import hold


def test_a_second_make_run_is_told_of_the_first(tmp_path: Path) -> None:
    servers = tmp_path / "servers"
    servers.mkdir()
    with hold(servers / "lock"):
        second = subprocess.run(
            [sys.executable, "-m", "voltlync", "up"],
            env={**os.environ, "VOLTLYNC_RUN_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert second.returncode == 1
    assert f"Another process runs servers in {servers}" in second.stdout
    assert "Traceback" not in second.stdout + second.stderr
