"""`voltlync replay TRACE [--diff OLD]`."""

import difflib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from contracts.topology import permissions
from testkit.clock import SteppingClock
from testkit.field import Field
from testkit.servers import VHOST, BrokerUser, Servers
from testkit.servers.postgres import fresh_database
from voltlync.replay.player import PAID_PAISE, Outcome, Player
from voltlync.replay.trace import TRACE_BYTES_MAX, Trace, TraceError, read_trace


def load_trace(path: Path) -> Trace:
    """The trace in a file. Raises TraceError."""
    try:
        if path.stat().st_size > TRACE_BYTES_MAX:
            raise TraceError(f"{path} is longer than {TRACE_BYTES_MAX // 1024 // 1024} MiB")
        with path.open(encoding="utf-8", errors="replace") as lines:
            return read_trace(lines)
    except OSError as error:
        raise TraceError(f"{path}: {error.strerror}") from None


async def replay(trace: Trace, *, paise: int = PAID_PAISE, tell: Callable[[str], None]) -> Outcome:
    """Run a trace through today's code, over servers started for it alone."""
    with tempfile.TemporaryDirectory(prefix="voltlync-replay-") as directory:
        users = [BrokerUser(right.user, "replay", right.configure, right.write, right.read) for right in permissions()]
        with Servers.throwaway(broker_users=users) as servers:
            async with fresh_database(servers.postgres.dsn) as dsn:
                sandbox = Field(servers, VHOST, dsn, Path(directory), clock=SteppingClock(trace.lines[0].at))
                await sandbox.start()
                try:
                    return await Player(sandbox, trace, paise=paise, tell=tell).play()
                finally:
                    await sandbox.stop()


def difference(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Unified difference of two outcomes; empty where they are the same."""

    def lines(outcome: dict[str, Any]) -> list[str]:
        return [*outcome.get("steps", []), *(json.dumps(t, sort_keys=True) for t in outcome.get("transactions", []))]

    return list(difflib.unified_diff(lines(old), lines(new), "then", "now", lineterm="", n=2))


def table(outcome: Outcome) -> list[str]:
    """The transactions, for people."""
    if not outcome.transactions:
        return ["No transaction."]
    told = []
    for number, transaction in enumerate(outcome.transactions, 1):
        energy = "-" if transaction["energy_wh"] is None else f"{transaction['energy_wh']} Wh"
        told.append(f"session {number}: {transaction['state']}, {transaction['stop_reason'] or '-'}, {energy}")
        if "refund_paise" in transaction:
            charge = transaction["energy_charge_paise"] + transaction["gst_paise"]
            told[-1] += f", {charge / 100:.2f} rupees for energy and GST, {transaction['refund_paise'] / 100:.2f} back"
    return told
