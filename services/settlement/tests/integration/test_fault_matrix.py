"""Settlement's half of docs/fault-matrix.md: every call to Razorpay under every fault comes to its end once, by itself."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from chassis.runtime import Service, Worker
from settlement.usecases.check_books import check_books
from testkit.fault_matrix import Failpoints, FaultMatrix, as_table, rows_missing, unfinished

from .conftest import Build
from .fault_rows import ROWS, UNTRIED, Stage

SOURCE = Path(__file__).parents[2] / "src"
MOVES = ((60, 10), (60, 10), (180, 60), (300, 60), (900, 300), (1800, 300), (3600, 1200), (3600, 1200), (3600, 1200))
"""Retries in seconds, lapsed claims after two minutes, polls of accounts after half an hour, of settlements after an hour."""
ONE_LIVE = {"transfers_one_live_per_entry_idx", "allocations_one_live_per_entry_idx"}
"""Unique indexes: what the database itself forbids."""
RecordProperty = Callable[[str, object], None]


def test_every_call_has_its_row() -> None:
    assert rows_missing(ROWS, SOURCE, UNTRIED) == []


@pytest.mark.parametrize("one_in", [3, pytest.param(1, marks=[pytest.mark.long, pytest.mark.timeout(1200)])])
async def test_whatever_becomes_of_a_call_there_is_one_effect(build: Build, record_property: RecordProperty, one_in: int) -> None:
    world = await build(
        sandbox={"activation_seconds": 0, "opening_balance": 100_000_000}, settings={"settlement_poll_seconds": 3600}
    )
    failpoints: Failpoints[Stage] = Failpoints()

    async def restart(asleep: bool) -> None:
        await world.restart(failpoints.install, razorpay_workers=16, razorpay_read_seconds=1.5)
        if asleep:
            await asyncio.gather(*(part.stop() for part in _workers(world.service)))

    await restart(asleep=False)
    stage = Stage(world, await world.franchisee(activate=False))
    matrix = FaultMatrix(stage, world.clock, world.sandbox, ROWS, restart, stage.look, failpoints, MOVES)
    cells = await matrix.run(one_in=one_in)
    record_property("fault_matrix", as_table(cells))
    assert unfinished(cells) == []
    assert world.sandbox.faults == []
    assert await world.dead() == 0
    await check_books(world.service.app)
    assert world.service.app.metrics.books_differences._value.get() == 0
    unique = "SELECT indexname FROM pg_indexes WHERE indexname = ANY($1) AND indexdef LIKE 'CREATE UNIQUE INDEX %'"
    assert {row["indexname"] for row in await world.admin.fetch(unique, ONE_LIVE)} == ONE_LIVE


def _workers(service: Service) -> list[Worker]:
    return [part for part in service._parts if isinstance(part, Worker)]
