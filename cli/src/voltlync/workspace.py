"""Where things are in a checkout."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
"""The repository: the command is installed editable from it."""

RUN = ROOT / ".run"
"""Data, logs and credentials of `make run`. `make reset` removes it."""

LOGS = RUN / "logs"
SERVERS = RUN / "servers"
CREDENTIALS = RUN / "credentials.json"
STATE = RUN / "state.json"
"""What a running `make run` tells `voltlync demo`: addresses. Removed when it stops."""
