"""Stored webhooks are worked many in one transaction, and none of them suffers for its neighbours."""

import asyncio
from typing import Any

import asyncpg

from chassis.runtime import Worker

from .conftest import World
from .test_webhook_inbox import locked, post
from .test_webhooks import count, credited

SWEEP_SECONDS = 6
TRANSACTIONS = "SELECT count(DISTINCT xmin::text) FROM webhook_events WHERE razorpay_event_id LIKE 'evt_%'"


def credit(world: World, qr: dict[str, Any], number: int, **payment: Any) -> dict[str, Any]:
    """A rider's payment; two riders share each phone, two others each VPA."""
    paid = {"id": f"pay_{number}", "vpa": f"rider{number // 2}@okaxis", "contact": f"+9190000900{(number + 1) // 2:02}"}
    return credited(world, payment={**paid, **payment}, qr_code={"id": qr["razorpay_qr_code_id"]})


def twin(event: dict[str, Any]) -> dict[str, Any]:
    return {**event, "event": "payment.captured", "payload": {"payment": event["payload"]["payment"]}}


async def backlog(world: World, events: list[dict[str, Any]]) -> None:
    """They are stored while nobody works; then somebody does."""
    worker = next(part for part in world.service._parts if isinstance(part, Worker) and part.name == "webhooks")
    await worker.stop()
    for number, event in enumerate(events):
        assert await post(world.http, world, event, f"evt_{number}") == 200
    await worker.start()
    await world.clock.advance(SWEEP_SECONDS)
    await world.quiet()


async def test_a_backlog_is_one_transaction_and_a_payment_told_twice_in_it_is_one(world: World) -> None:
    qr = await world.qr_code("CP-5")
    paid = [credit(world, qr, number) for number in range(6)]
    told_again = {**paid[0], "created_at": paid[0]["created_at"] + 1}  # another event of the same payment
    await backlog(world, [*paid, *map(twin, paid), told_again])
    assert await count(world, "qr_payments") == 6
    assert await count(world, "webhook_events WHERE razorpay_event_id LIKE 'evt_%' AND state = 'HANDLED'") == 7
    assert await count(world, "webhook_events WHERE razorpay_event_id LIKE 'evt_%' AND state = 'IGNORED'") == 6
    assert await world.admin.fetchval(TRANSACTIONS) == 1
    # Each goes on in the trace of its own delivery.
    traces = "SELECT count(DISTINCT traceparent) FROM webhook_events WHERE razorpay_event_id LIKE 'evt_%'"
    assert await world.admin.fetchval(traces) == 13


async def test_what_can_not_be_worked_fails_alone(world: World) -> None:
    qr = await world.qr_code("CP-5")
    paid = [credit(world, qr, number) for number in range(6)]
    paid[3]["payload"]["payment"]["entity"]["amount"] = -1  # can't be read
    await world.admin.execute("ALTER TABLE qr_payments ADD CONSTRAINT poison CHECK (razorpay_payment_id <> 'pay_1')")
    try:
        await backlog(world, paid)  # and one that the database does not take, after others were written
    finally:
        await world.admin.execute("ALTER TABLE qr_payments DROP CONSTRAINT poison")
    rows = await world.admin.fetch(
        "SELECT razorpay_event_id, state, attempts FROM webhook_events WHERE razorpay_event_id LIKE 'evt_%' ORDER BY id"
    )
    handled = [(f"evt_{number}", "HANDLED", 0) for number in range(6)]
    handled[3], handled[1] = ("evt_3", "FAILED", 0), ("evt_1", "RECEIVED", 1)
    assert [tuple(row) for row in rows] == handled
    assert await count(world, "qr_payments") == 4
    await world.clock.advance(61)
    await world.quiet()
    assert await count(world, "qr_payments") == 5


async def test_one_that_razorpay_is_asked_about_takes_no_other_with_it(world: World) -> None:
    qr = await world.qr_code("CP-5")
    unknown = {"fee": None, "tax": None}
    await backlog(world, [credit(world, qr, number, **(unknown if number in (1, 3) else {})) for number in range(5)])
    assert await count(world, "qr_payments") == 5
    assert await count(world, "webhook_events WHERE state = 'RECEIVED'") == 0
    assert await count(world, "qr_payments WHERE fee_source = 'WEBHOOK'") == 3


async def test_a_batch_whose_connection_is_killed_is_worked_once_all_the_same(world: World, database: tuple[str, str]) -> None:
    qr = await world.qr_code("CP-5")
    waiting = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE relation = 'payments.qr_payments'::regclass AND NOT granted"
    # The world's own connection is asked meanwhile whether all is quiet.
    other = await asyncpg.connect(database[0])
    try:
        async with locked(database[0], "qr_payments"):
            working = asyncio.create_task(backlog(world, [credit(world, qr, number) for number in range(5)]))
            while not await other.fetch(waiting):
                await asyncio.sleep(0.01)
        await working
    finally:
        await other.close()
    await world.clock.advance(61)
    await world.quiet()
    assert await count(world, "qr_payments") == 5
    assert await count(world, "webhook_events WHERE state = 'RECEIVED'") == 0
