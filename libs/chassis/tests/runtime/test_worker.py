"""The worker that rows wake: no wake is lost, no row waits for a slow one, and a stop leaves none half done."""

import asyncio
from collections import deque

import pytest
from prometheus_client import CollectorRegistry, Counter

from chassis.runtime import Service, SystemClock, Worker


class Rows:
    """Due rows, each worked off until its gate opens; `taken` in the order of claiming."""

    def __init__(self) -> None:
        self.due: deque[str] = deque()
        self.taken: list[str] = []
        self.done: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.looks = 0

    def slow(self, row: str) -> asyncio.Event:
        self.gates[row] = asyncio.Event()
        return self.gates[row]

    async def take_one(self) -> bool:
        self.looks += 1
        await asyncio.sleep(0)  # a claim is a round trip
        if not self.due:
            return False
        row = self.due.popleft()
        self.taken.append(row)
        if row == "poison":
            raise ValueError(row)
        if row in self.gates:
            await self.gates[row].wait()
        self.done.append(row)
        return True


async def make(width: int) -> tuple[Service, Worker, Rows, Counter]:
    registry = CollectorRegistry()
    failures = Counter("failures", "of rows", ["worker"], registry=registry)
    service = Service("tests", clock=SystemClock())
    worker = service.add(Worker(service, "rows", width=width, failures=failures))
    rows = Rows()
    worker.take_one = rows.take_one
    await service.start()
    return service, worker, rows, failures


async def turns(number: int = 20) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_one_wake_works_off_all_that_is_due() -> None:
    service, worker, rows, _ = await make(width=2)
    rows.due.extend("abc")
    worker.wake()
    assert service.work.count("rows") == 1, "counted from the wake on, before the task has run"
    await service.work.idle()
    assert rows.done == ["a", "b", "c"]
    assert rows.looks == 4, "one lane: three rows, and a look that finds nothing"
    await service.stop()


async def test_a_slow_row_holds_up_only_its_own_lane() -> None:
    service, worker, rows, _ = await make(width=2)
    gate = rows.slow("slow")
    rows.due.append("slow")
    worker.wake()
    await turns()
    rows.due.append("quick")
    worker.wake()
    await turns()
    assert rows.done == ["quick"]
    gate.set()
    await service.work.idle()
    assert rows.done == ["quick", "slow"]
    await service.stop()


async def test_no_more_lanes_than_its_width_however_often_it_is_woken() -> None:
    service, worker, rows, _ = await make(width=3)
    gates = [rows.slow(row) for row in "abcde"]
    rows.due.extend("abcde")
    for _ in range(10):
        worker.wake()
    await turns()
    assert rows.taken == ["a", "b", "c"]
    for gate in gates:
        gate.set()
    await service.work.idle()
    assert sorted(rows.done) == list("abcde")
    await service.stop()


async def test_all_lanes_at_once() -> None:
    service, worker, rows, _ = await make(width=3)
    gates = [rows.slow(row) for row in "abc"]
    rows.due.extend("abc")
    worker.wake_all()
    await turns()
    assert rows.taken == ["a", "b", "c"]
    for gate in gates:
        gate.set()
    await service.work.idle()
    await service.stop()


@pytest.mark.parametrize("after_turns", range(8))
async def test_a_wake_at_any_moment_of_a_lanes_end_is_not_lost(after_turns: int) -> None:
    """The row becomes due after the lane's look; the wake falls before, into, or just after the lane's end."""
    service, worker, rows, _ = await make(width=1)
    worker.wake()
    await turns(after_turns)
    rows.due.append("late")
    worker.wake()
    await service.work.idle()
    assert rows.done == ["late"]
    assert service.work.count("rows") == 0
    await service.stop()


async def test_an_error_ends_its_lane_is_counted_and_the_next_wake_goes_on() -> None:
    service, worker, rows, failures = await make(width=1)
    rows.due.extend(["poison", "next"])
    worker.wake()
    await service.work.idle()
    assert failures.labels("rows")._value.get() == 1
    assert rows.done == []
    worker.wake()
    await service.work.idle()
    assert rows.done == ["next"]
    await service.stop()


async def test_a_stop_waits_for_the_row_in_hand_and_takes_up_nothing_new() -> None:
    service, worker, rows, _ = await make(width=1)
    gate = rows.slow("in hand")
    rows.due.extend(["in hand", "left"])
    worker.wake()
    await turns()
    stopping = asyncio.ensure_future(worker.stop())
    await turns()
    assert not stopping.done()
    gate.set()
    await stopping
    assert rows.done == ["in hand"]
    worker.wake()
    await turns()
    assert list(rows.due) == ["left"]
    await service.stop()


async def test_before_its_start_it_can_not_be_woken() -> None:
    service = Service("tests", clock=SystemClock())
    worker = Worker(service, "rows", width=1, failures=Counter("unstarted", "x", ["worker"], registry=CollectorRegistry()))
    worker.wake()
    assert service.work.count() == 0
