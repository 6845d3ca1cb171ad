"""Timers on the injected clock."""

from __future__ import annotations

import asyncio

from charger_simulator.clock import Every, Timer


async def breathe() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_period_does_not_drift_when_it_is_served_late_and_skips_what_it_missed(world):
    fired = []
    every = Every(world.clock, 10, lambda: fired.append(world.clock.monotonic()))
    await breathe()
    world.clock._elapsed = 13  # the process stood still
    await world.clock.advance(0)
    await world.clock.advance(17)
    world.clock._elapsed = 75
    await world.clock.advance(5)
    every.cancel()
    await world.clock.advance(100)
    assert fired == [13, 20, 30, 75, 80]


async def test_a_timer_counts_from_when_it_was_made(world):
    fired = []
    Timer(world.clock, 10, lambda: fired.append(world.clock.monotonic()))
    world.clock._elapsed = 4  # before its task ever ran
    await breathe()
    await world.clock.advance(5.9)
    assert fired == []
    await world.clock.advance(0.1)
    assert fired == [10]
