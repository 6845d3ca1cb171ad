"""The supervisor: ready before the next stage, nothing restarted, nothing left behind."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from testkit.servers.processes import free_port
from voltlync.loglines import Palette
from voltlync.supervisor import Child, ChildFailed, Supervisor

HTTP = """
import http.server, signal, sys
class Handler(http.server.BaseHTTPRequestHandler):
    asked = 0
    def do_GET(self):
        Handler.asked += 1
        self.send_response(200 if Handler.asked > 2 else 503); self.end_headers()
    def log_message(self, *_): pass
def leave(*_):
    print("leaving in order", flush=True); sys.exit(0)
signal.signal(signal.SIGTERM, leave)
print("listening", flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def web_child(name: str) -> Child:
    port = free_port()
    return Child(name, (sys.executable, "-c", HTTP, str(port)), {}, f"http://127.0.0.1:{port}/readyz")


@pytest.fixture
def shown() -> list[str]:
    return []


@pytest.fixture
async def supervisor(tmp_path: Path, shown: list[str]) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(tmp_path / "logs", show=shown.append)
    yield supervisor
    await supervisor.stop()


async def test_a_stage_is_up_when_every_child_says_it_is_ready(supervisor: Supervisor, shown: list[str]) -> None:
    await supervisor.start_stage([web_child("one"), web_child("two")])
    assert supervisor.names == ["one", "two"]
    assert sorted(line.split()[0] for line in shown if "listening" in line) == ["one", "two"]


async def test_a_child_that_ends_at_its_start_is_told_with_its_log(supervisor: Supervisor) -> None:
    broken = Child("broken", (sys.executable, "-c", "raise SystemExit('no database')"), {}, "http://127.0.0.1:1/readyz")
    with pytest.raises(ChildFailed, match=r"(?s)broken did not start: it ended with status 1.*no database"):
        await supervisor.start_stage([broken])


async def test_a_child_that_ends_by_itself_is_noticed_and_not_restarted(supervisor: Supervisor) -> None:
    await supervisor.start_stage([web_child("payments"), web_child("charging")])
    watching = asyncio.create_task(supervisor.watch())
    psutil.Process(supervisor.pid("payments")).kill()
    assert await asyncio.wait_for(watching, 60) == "payments"


async def test_a_child_killed_on_purpose_is_no_failure_and_can_be_started_again(supervisor: Supervisor) -> None:
    await supervisor.start_stage([web_child("payments")])
    first = supervisor.pid("payments")
    watching = asyncio.create_task(supervisor.watch())
    await supervisor.kill("payments")
    await supervisor.start("payments")
    assert supervisor.pid("payments") != first
    assert not watching.done()
    watching.cancel()


async def test_stopping_asks_politely_in_reverse_and_leaves_nothing(tmp_path: Path) -> None:
    shown: list[str] = []
    supervisor = Supervisor(tmp_path / "logs", show=shown.append)
    await supervisor.start_stage([web_child("first")])
    await supervisor.start_stage([web_child("second")])
    processes = [psutil.Process(supervisor.pid(name)) for name in ("first", "second")]
    await supervisor.stop()
    assert [line.split()[0] for line in shown if "leaving in order" in line] == ["second", "first"]
    assert not any(process.is_running() for process in processes)


OWNER = """
import asyncio, sys
from pathlib import Path
from voltlync.supervisor import Child, Supervisor
async def main():
    supervisor = Supervisor(Path(sys.argv[1]))
    await supervisor.start_stage([Child("sleeper", (sys.executable, "-c", "import time; time.sleep(600)"))])
    print(supervisor.pid("sleeper"), flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


async def test_children_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    owner = await asyncio.create_subprocess_exec(sys.executable, "-c", OWNER, str(tmp_path), stdout=asyncio.subprocess.PIPE)
    assert owner.stdout is not None
    child = psutil.Process(int(await owner.stdout.readline()))
    owner.send_signal(signal.SIGKILL)
    await owner.wait()
    _, alive = await asyncio.to_thread(psutil.wait_procs, [child], 60)
    assert alive == []


def test_a_json_line_becomes_a_readable_one() -> None:
    line = b'{"event": "refund.processed", "level": "info", "timestamp": "2026-01-05T10:20:31Z", "refund_id": 17}'
    assert Palette(colour=False).readable("payments", line) == "payments         10:20:31 refund.processed refund_id=17"


def test_an_error_keeps_its_traceback_and_debug_is_left_to_the_file() -> None:
    palette = Palette(colour=False)
    error = b'{"event": "outbox.failed", "level": "error", "timestamp": "2026-01-05T10:20:31Z", "exception": "Traceback: boom"}'
    assert palette.readable("payments", error) == "payments         10:20:31 ERROR outbox.failed\nTraceback: boom"
    assert palette.readable("payments", b'{"event": "x", "level": "debug"}') is None
    assert palette.readable("payments", b"plain text\n") == "payments         plain text"
