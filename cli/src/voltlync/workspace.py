"""Where things are in a checkout."""

import os
from pathlib import Path

ROOT = Path(os.environ.get("VOLTLYNC_ROOT") or Path(__file__).resolve().parents[3])
"""The repository, from which the command is installed editable. An image says where its migrations are by VOLTLYNC_ROOT."""

RUN = Path(os.environ.get("VOLTLYNC_RUN_DIR") or ROOT / ".run")
"""Data, logs and credentials of `make run`. `make reset` removes it. VOLTLYNC_RUN_DIR keeps a second installation apart."""

LOGS = RUN / "logs"
SERVERS = RUN / "servers"
CREDENTIALS = RUN / "credentials.json"
STATE = RUN / "state.json"
"""What a running `make run` tells `voltlync demo`: addresses. Removed when it stops."""
