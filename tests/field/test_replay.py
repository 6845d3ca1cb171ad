"""Replay (B5): recorded OCPP logs run again through today's code, and come to what they came to before."""

import json
from pathlib import Path

import pytest

from testkit.clock import SteppingClock
from testkit.field import Field
from testkit.servers import Servers
from testkit.servers.postgres import fresh_database
from voltlync.replay.command import difference, load_trace, table
from voltlync.replay.player import Player
from voltlync.replay.trace import TraceError, read_trace, write_trace

TRACES = sorted((Path(__file__).parents[1] / "traces").glob("*.jsonl"))
BOOT = '{"at": "2026-01-05T04:30:00Z", "direction": "in", "frame": [2, "1", "BootNotification", {}]}'


@pytest.mark.servers
@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
async def test_a_recorded_trace_comes_to_what_it_came_to(path: Path, servers: Servers, tmp_path: Path) -> None:
    trace = load_trace(path)
    with servers.rabbitmq.fresh_vhost() as vhost:
        async with fresh_database(servers.postgres.dsn) as dsn:
            sandbox = Field(servers, vhost, dsn, tmp_path, clock=SteppingClock(trace.lines[0].at))
            await sandbox.start()
            try:
                outcome = await Player(sandbox, trace, tell=lambda _: None).play()
            finally:
                await sandbox.stop()
    expected = json.loads(path.with_suffix(".json").read_text())
    assert difference(expected, outcome.as_json()) == [], f"voltlync replay {path.name} --diff {path.stem}.json tells"


def test_a_trace_is_read_as_it_was_written() -> None:
    for path in TRACES:
        trace = load_trace(path)
        again = read_trace(write_trace(trace.header, trace.lines))
        assert [(line.at, line.event, line.frame) for line in again.lines] == [
            (line.at, line.event, line.frame) for line in trace.lines
        ]
        assert again.header == trace.header


@pytest.mark.parametrize(
    "line",
    [
        '{"timestamp": "2026-01-05T10:00:00+05:30", "direction": "IN", "message": "[2,\\"1\\",\\"Heartbeat\\",{}]"}',
        '{"ts": 1767587400, "direction": "received", "raw": [2, "1", "Heartbeat", {}]}',
        '{"time": "2026-01-05T04:30:00Z", "direction": "from_charger", "frame": [2, "1", "Heartbeat", {}]}',
    ],
)
def test_other_systems_logs_are_understood(line: str) -> None:
    (read,) = read_trace([line]).lines
    assert (read.event, read.frame[2], read.at.isoformat()) == ("in", "Heartbeat", "2026-01-05T04:30:00+00:00")


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["{"], "line 1 is no JSON"),
        (["[]"], "line 1 is no object"),
        (["{}"], "nothing happened in it"),
        (['{"at": "soon", "event": "connected"}'], "line 1: 'soon' is no time"),
        (['{"at": "2026-01-05T04:30:00", "event": "connected"}'], "has no zone"),
        (['{"at": "2026-01-05T04:30:00Z"}'], "`direction` is in or out"),
        (['{"at": "2026-01-05T04:30:00Z", "direction": "in"}'], "line 1 has no `frame`"),
        (['{"at": "2026-01-05T04:30:00Z", "event": "paid"}'], "a payment needs `paise`"),
        (['{"rated_power_w": 0}', BOOT], "line 1, the header"),
        ([BOOT, BOOT.replace("04:30", "04:29")], "line 2 is earlier than line 1"),
    ],
)
def test_what_is_no_trace_is_told_by_line(lines: list[str], told: str) -> None:
    with pytest.raises(TraceError, match=told.replace("`", ".")):
        read_trace(lines)


def test_a_difference_names_what_changed() -> None:
    then = {"steps": ["a", "b"], "transactions": [{"energy_wh": 100}]}
    now = {"steps": ["a", "b"], "transactions": [{"energy_wh": 90}]}
    assert difference(then, then) == []
    assert '-{"energy_wh": 100}' in difference(then, now)
    assert '+{"energy_wh": 90}' in difference(then, now)


def test_the_table_tells_of_nothing_too() -> None:
    from voltlync.replay.player import Outcome

    assert table(Outcome()) == ["No transaction."]
