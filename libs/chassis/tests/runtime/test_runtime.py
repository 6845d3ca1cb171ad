"""A service's life: what it counts, watches, starts and stops; and sweeps on a stepped clock."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from subprocess import PIPE

import pytest
from prometheus_client import CollectorRegistry

from chassis.runtime import Service, Sweep, Sweeps, SystemClock, Tasks, Work, run
from chassis.runtime import tasks as tasks_module
from testkit.clock import SteppingClock

GUARD_SECONDS = 120.0
"""An I/O guard for what must come."""


class Recorded:
    """A part that writes down its life."""

    def __init__(self, name: str, diary: list[str], *, fails: bool = False, stop: Callable[[], Awaitable[object]] | None = None):
        self.name = name
        self.diary = diary
        self.fails = fails
        self._stop = stop

    async def start(self) -> None:
        if self.fails:
            raise RuntimeError(f"{self.name} can't start")
        self.diary.append(f"{self.name} started")

    async def stop(self) -> None:
        if self._stop is not None:
            await self._stop()
        self.diary.append(f"{self.name} stopped")


async def test_work_is_counted_by_kind_and_idle_waits_for_all_of_it() -> None:
    work = Work()
    await work.idle()
    with work.on("http"):
        with work.on("http"), work.on("sweep"):
            assert (work.count(), work.count("http"), work.by_kind()) == (3, 2, {"http": 2, "sweep": 1})
        idle = asyncio.ensure_future(work.idle())
        await asyncio.sleep(0)
        assert not idle.done()
    await idle
    with pytest.raises(ValueError, match="x"), work.on("http"):
        raise ValueError("x")
    assert work.by_kind() == {}, "a failure is no work left behind"


async def test_parts_start_in_order_and_stop_in_reverse() -> None:
    diary: list[str] = []
    service = Service("probe", clock=SystemClock())
    for name in ("broker", "database", "door"):
        service.add(Recorded(name, diary))
    await service.start()
    await service.stop()
    assert diary == [
        *("broker started", "database started", "door started"),
        *("door stopped", "database stopped", "broker stopped"),
    ]


async def test_a_failed_start_stops_what_had_started_and_says_why() -> None:
    diary: list[str] = []
    service = Service("probe", clock=SystemClock())
    service.add(Recorded("broker", diary))
    service.add(Recorded("database", diary, fails=True))
    service.add(Recorded("door", diary))
    with pytest.raises(RuntimeError, match="database can't start"):
        await service.start()
    assert diary == ["broker started", "broker stopped"]


async def test_one_part_that_fails_to_stop_or_hangs_keeps_no_other_from_stopping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chassis.runtime.service.PART_STOP_SECONDS_MIN", 0.01)
    diary: list[str] = []

    async def fail() -> None:
        raise OSError("connection lost")

    service = Service("probe", clock=SystemClock(), drain_seconds=0.05)
    service.add(Recorded("broker", diary))
    service.add(Recorded("failing", diary, stop=fail))
    service.add(Recorded("hanging", diary, stop=asyncio.Event().wait))
    await service.start()
    async with asyncio.timeout(GUARD_SECONDS):
        await service.stop()
    assert diary[-1] == "broker stopped"


async def test_a_kept_loop_that_fails_is_begun_again_and_seen_in_readyz() -> None:
    service = Service("probe", clock=SystemClock())
    turns: list[str] = []
    alive = asyncio.Event()

    async def loop() -> None:
        turns.append("begun")
        if len(turns) == 1:
            raise KeyError("nobody thought of this")
        if len(turns) == 2:
            # As aiormq ends what waits on a channel that closed: nobody has cancelled this task.
            ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            ended.set_exception(asyncio.CancelledError())
            await ended
        alive.set()
        await asyncio.Event().wait()

    class Keeper(Recorded):
        async def start(self) -> None:
            service.tasks.keep("probe.loop", loop)

    service.add(Keeper("keeper", []))
    await service.start()
    async with asyncio.timeout(GUARD_SECONDS):
        await alive.wait()
    assert service.tasks.failures == {"probe.loop": 2}
    assert "probe.loop: CancelledError" in (await service.ready_checks["tasks"]() or "")
    await service.stop()
    assert len(turns) == 3, "a stop is no failure"


async def test_a_task_that_fails_is_told_and_one_that_will_not_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks_module, "CANCEL_SECONDS_MAX", 0.01)
    told: list[tuple[str, str]] = []
    tasks = Tasks(on_failure=lambda name, error: told.append((name, str(error))))
    free = asyncio.Event()

    async def fail() -> None:
        raise ValueError("no")

    async def stubborn() -> None:
        while not free.is_set():
            try:
                await free.wait()
            except asyncio.CancelledError:
                continue

    await asyncio.wait({tasks.start("failing", fail())})
    left = tasks.start("stubborn", stubborn())
    await asyncio.sleep(0)
    async with asyncio.timeout(GUARD_SECONDS):
        await tasks.stop()
    assert told == [("failing", "no")]
    free.set()
    await left


def sweeping(clock: SteppingClock, *sweeps: Sweep) -> tuple[Service, CollectorRegistry]:
    """A service with sweeps, not started."""
    service, registry = Service("probe", clock=clock), CollectorRegistry()
    service.add(Sweeps(service, sweeps, app="the app", registry=registry))
    return service, registry


async def test_a_sweep_runs_at_start_and_on_the_clock_and_survives_its_failures(clock: SteppingClock) -> None:
    seen: list[tuple[object, float]] = []

    async def sweep(app: object) -> None:
        seen.append((app, clock.monotonic()))
        if len(seen) == 2:
            raise OSError("database away")

    service, registry = sweeping(clock, Sweep("due", 10, sweep))
    await service.start()
    await clock.advance(35)
    await service.stop()
    assert seen == [("the app", at) for at in (0, 10, 20, 30)]
    assert registry.get_sample_value("voltlync_sweep_runs_total", {"sweep": "due"}) == 3
    assert registry.get_sample_value("voltlync_sweep_failures_total", {"sweep": "due"}) == 1


async def test_a_sweep_is_never_run_twice_at_once_and_a_stop_lets_it_finish(clock: SteppingClock) -> None:
    begun, finished = 0, 0
    go_on = asyncio.Event()

    async def slow(_app: object) -> None:
        nonlocal begun, finished
        begun += 1
        await go_on.wait()
        finished += 1

    service, _ = sweeping(clock, Sweep("slow", 1, slow))
    await service.start()
    await clock.advance(10)
    assert (begun, service.work.by_kind()) == (1, {"sweep.slow": 1})
    stopping = asyncio.ensure_future(service.stop())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not stopping.done()
    go_on.set()
    await stopping
    assert (begun, finished) == (1, 1)


WAITS_FOR_A_SERVER = """
import asyncio
from chassis.runtime import Service, SystemClock, run

class Part:
    async def start(self): print("starting", flush=True); {start}
    async def stop(self): print("stopped", flush=True)

class First(Part):
    async def start(self): print("first", flush=True)

async def main():
    service = Service("probe", clock=SystemClock())
    service.add(First()); service.add(Part())
    await run(service)
asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("start", "said"),
    [("pass", "stopped\nstopped\n"), ("await asyncio.Event().wait()", "stopped\n")],
    ids=["while running", "while a start waits for a server"],
)
async def test_sigterm_drains_a_service(start: str, said: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WAITS_FOR_A_SERVER.format(start=start), stdout=PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    )
    assert process.stdout is not None
    async with asyncio.timeout(GUARD_SECONDS):
        while b"starting" not in await process.stdout.readline():
            pass
        process.send_signal(signal.SIGTERM)
        rest = (await process.stdout.read()).decode()
        assert await process.wait() == 0
    assert "".join(line + "\n" for line in rest.splitlines() if line == "stopped") == said


async def test_run_ends_with_the_error_of_a_failed_start() -> None:
    service = Service("probe", clock=SystemClock())
    service.add(Recorded("database", [], fails=True))
    with pytest.raises(RuntimeError, match="can't start"):
        await run(service)
