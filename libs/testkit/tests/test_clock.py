"""The stepping clock: time moves only when told, and every sleeper wakes at its own instant."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from testkit.clock import NothingToWaitFor, SteppingClock


async def test_nothing_moves_by_itself(clock: SteppingClock) -> None:
    before = clock.now()
    task = asyncio.create_task(clock.sleep(0.001))
    await asyncio.sleep(0.02)
    assert not task.done()
    assert clock.now() == before
    await clock.advance(0.001)
    assert task.done()


async def test_sleepers_wake_in_due_order_each_at_its_own_time(clock: SteppingClock) -> None:
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.monotonic()))

    async with asyncio.TaskGroup() as group:
        for name, seconds in (("late", 900), ("early", 5), ("middle", 180), ("also early", 5)):
            group.create_task(sleeper(name, seconds))
        await clock.advance(1000)
    assert woken == [("early", 5), ("also early", 5), ("middle", 180), ("late", 900)]
    assert clock.monotonic() == 1000


async def test_a_sweep_runs_once_per_period_on_the_way(clock: SteppingClock) -> None:
    runs: list[datetime] = []

    async def sweep() -> None:
        while True:
            await clock.sleep(1)
            runs.append(clock.now())

    task = asyncio.create_task(sweep())
    begin = clock.now()
    await clock.advance(60)
    task.cancel()
    assert runs == [begin + timedelta(seconds=second) for second in range(1, 61)]


async def test_the_world_settles_after_each_instant_before_the_next(clock: SteppingClock) -> None:
    """A settle that hands work to somebody else sees the time of the instant, not of the end."""
    seen: list[float] = []

    async def settle() -> None:
        await asyncio.sleep(0)
        seen.append(clock.monotonic())

    sleepers = [asyncio.create_task(clock.sleep(seconds)) for seconds in (1, 2, 3)]
    await clock.advance(2.5, settle)
    assert seen == [0, 1, 2, 2.5]
    assert [sleeper.done() for sleeper in sleepers] == [True, True, False]
    sleepers[2].cancel()


async def test_timeout_raises_when_the_clock_passes_it(clock: SteppingClock) -> None:
    async def wait_for_an_answer() -> str:
        try:
            async with clock.timeout(30):
                await asyncio.Event().wait()
        except TimeoutError:
            return f"given up at {clock.monotonic()}"
        return "answered"

    task = asyncio.create_task(wait_for_an_answer())
    await clock.advance(29.9)
    assert not task.done()
    await clock.advance(0.1)
    assert await task == "given up at 30.0"


async def test_a_timeout_that_was_left_in_time_strikes_nobody(clock: SteppingClock) -> None:
    async def quick() -> str:
        async with clock.timeout(10):
            pass
        await clock.sleep(100)
        return "undisturbed"

    task = asyncio.create_task(quick())
    await clock.advance(100)
    assert await task == "undisturbed"


async def test_cancelling_a_sleeper_takes_its_timer_away(clock: SteppingClock) -> None:
    task = asyncio.create_task(clock.sleep(10))
    await asyncio.sleep(0)
    assert [seconds for seconds, _ in clock.pending] == [10]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert clock.pending == []


async def test_step_to_next_goes_exactly_there_and_says_when_nobody_waits(clock: SteppingClock) -> None:
    task = asyncio.create_task(clock.sleep(1800))
    assert await clock.step_to_next() == clock.now() == datetime(2026, 1, 5, 5, 0, tzinfo=UTC)
    assert task.done()
    with pytest.raises(NothingToWaitFor):
        await clock.step_to_next()


async def test_a_loop_that_never_lets_time_pass_is_named(clock: SteppingClock) -> None:
    async def spin() -> None:
        while True:
            await clock.sleep(1e-300)

    task = asyncio.create_task(spin(), name="impatient sweep")
    with pytest.raises(AssertionError, match="impatient sweep"):
        await clock.advance(1)
    task.cancel()


async def test_advance_until_stops_at_the_event_or_says_who_waits(clock: SteppingClock) -> None:
    done = asyncio.create_task(clock.sleep(42))
    await clock.advance_until(done.done, seconds_max=100)
    assert clock.monotonic() == 42
    forever = asyncio.create_task(clock.sleep(1e9), name="the far future")
    with pytest.raises(AssertionError, match="the far future"):
        await clock.advance_until(forever.done, seconds_max=100)
    forever.cancel()
