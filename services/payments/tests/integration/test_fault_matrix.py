"""Payments' half of docs/fault-matrix.md: every call to Razorpay under every fault comes to its end once, by itself."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from chassis.runtime import Service, Worker
from razorpay_simulator import WebhookRule
from testkit.fault_matrix import Failpoints, FaultMatrix, as_table, rows_missing, unfinished

from .conftest import World
from .fault_rows import ROWS, Stage

SOURCE = Path(__file__).parents[2] / "src"
MOVES = ((30, 5), (30, 5), (60, 10), (180, 60), (300, 60), (1200, 300), (1800, 600), (1800, 600))
"""Retries in seconds, lapsed claims after two minutes, polls after half an hour."""


ONE_LIVE = {"refunds_one_live_per_number_idx"}
"""Unique indexes: what the database itself forbids."""
RecordProperty = Callable[[str, object], None]


def test_every_call_has_its_row() -> None:
    assert rows_missing(ROWS, SOURCE) == []


@pytest.mark.parametrize("one_in", [3, pytest.param(1, marks=[pytest.mark.long, pytest.mark.timeout(1200)])])
async def test_whatever_becomes_of_a_call_there_is_one_effect(world: World, record_property: RecordProperty, one_in: int) -> None:
    failpoints: Failpoints[Stage] = Failpoints()
    settings = {"razorpay_workers": 16, "razorpay_read_seconds": 1.5}

    async def restart(asleep: bool) -> None:
        await world.restart(failpoints.install, **settings)
        if asleep:
            await asyncio.gather(*(part.stop() for part in _workers(world.service)))

    await restart(asleep=False)
    stage = Stage(world, await world.qr_code())
    for event in ("refund.*", "qr_code.closed"):
        world.razorpay.add_webhook_rule(WebhookRule(kind="drop", event=event, times=None))
    matrix = FaultMatrix(stage, world.clock, world.razorpay, ROWS, restart, stage.look, failpoints, MOVES)
    cells = await matrix.run(one_in=one_in)
    await asyncio.gather(*stage.asking)
    record_property("fault_matrix", as_table(cells))
    assert unfinished(cells) == []
    assert world.razorpay.faults == []
    unique = "SELECT indexname FROM pg_indexes WHERE indexname = ANY($1) AND indexdef LIKE 'CREATE UNIQUE INDEX %'"
    assert {row["indexname"] for row in await world.admin.fetch(unique, ONE_LIVE)} == ONE_LIVE


def _workers(service: Service) -> list[Worker]:
    return [part for part in service._parts if isinstance(part, Worker)]
