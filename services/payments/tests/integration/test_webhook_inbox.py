"""Razorpay gets its answer whatever else is stuck: it waits for no worker, no reader and no neighbour in its batch."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import asyncpg
import pytest

from chassis.database import Database
from payments import webhook_inbox
from payments.app import WEBHOOKS_AT_ONCE
from payments.domain.webhook import signature
from payments.usecases import work_webhooks
from razorpay_simulator import FaultRule

from .conftest import SECRET, World
from .test_webhooks import count, credited

AT_ONCE = 500


async def post(http: aiohttp.ClientSession, world: World, event: dict[str, Any], event_id: str) -> int:
    """Sign and post; the status."""
    body = json.dumps(event).encode()
    headers = {"X-Razorpay-Event-Id": event_id, "X-Razorpay-Signature": signature(body, SECRET)}
    async with http.post(f"{world.url}/webhooks/razorpay", data=body, headers=headers) as answer:
        await answer.read()
        return answer.status


@asynccontextmanager
async def locked(admin_dsn: str, table: str) -> AsyncIterator[None]:
    """Nobody reads or writes the table meanwhile."""
    connection = await asyncpg.connect(admin_dsn)
    try:
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE payments.{table} IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()


async def waiting_for(world: World, table: str) -> int:
    """How many connections wait for the table."""
    query = "SELECT count(*) FROM pg_locks WHERE relation = $1::regclass AND NOT granted"
    return int(await world.admin.fetchval(query, f"payments.{table}"))


async def test_500_at_once_are_answered_while_razorpay_hangs_and_every_worker_and_connection_is_taken(
    world: World, database: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work_webhooks, "BATCH_MAX", 1)  # so that each worker finds one to stand at
    qr = await world.qr_code("CP-5")
    world.razorpay.add_fault(FaultRule(kind="hang", method="GET", path="/v1/payments/pay_*", times=AT_ONCE))

    def credit(number: int) -> dict[str, Any]:
        # Every other fee is unknown, so that its worker asks a Razorpay that hangs; the others' wait for the riders' table.
        fee = {} if number % 2 else {"fee": None, "tax": None}
        paid = {"id": f"pay_{number}", "vpa": f"rider{number}@okaxis", **fee}
        return credited(world, payment=paid, qr_code={"id": qr["razorpay_qr_code_id"]})

    def captured(number: int) -> dict[str, Any]:
        event = credit(number)
        return {**event, "event": "payment.captured", "payload": {"payment": event["payload"]["payment"]}}

    pool = next(part for part in world.service._parts if isinstance(part, Database)).engine
    first = [(credit(number), f"evt_{number}") for number in range(2 * WEBHOOKS_AT_ONCE)]
    new = [(credit(number), f"evt_{number}") for number in range(len(first), 50)]
    twins = [(captured(number), f"twin_{number}") for number in range(AT_ONCE - len(new) - 10 * len(first))]
    repeats = first * 10
    async with (
        locked(database[0], "riders"),
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http,
        AsyncExitStack() as taken,
    ):
        await asyncio.gather(*(post(http, world, event, event_id) for event, event_id in first))
        while await waiting_for(world, "riders") < WEBHOOKS_AT_ONCE:
            await asyncio.sleep(0.01)
        while pool.sync_engine.pool.checkedout() < world.settings.database_pool_size:  # type: ignore[attr-defined]
            await taken.enter_async_context(pool.connect())
        statuses = await asyncio.gather(*(post(http, world, event, event_id) for event, event_id in new + twins + repeats))
        # The workers stand where they stood: the answers came past them, the repeats of what they have in hand as well.
        assert await waiting_for(world, "riders") == WEBHOOKS_AT_ONCE
        assert await count(world, "qr_payments") == 0
    assert Counter(statuses) == {200: AT_ONCE}
    assert await count(world, "webhook_events WHERE event <> 'qr_code.created'") == len(first) + len(new) + len(twins)
    assert await count(world, "webhook_repeats") == len(repeats)
    world.razorpay.clear_faults()
    await world.clock.advance(61)  # also for what had waited too long meanwhile, on a slow machine
    assert await count(world, "qr_payments") == len(first) + len(new)
    assert await count(world, "webhook_events WHERE state = 'RECEIVED'") == 0
    (event,) = (await world.call("GET", "/v1/webhook-events?razorpay_event_id=evt_0"))["items"]
    assert event["deliveries"] == 11


async def test_what_the_database_can_not_take_is_refused_alone(world: World) -> None:
    await world.admin.execute("ALTER TABLE webhook_events ADD CONSTRAINT no_poison CHECK (event <> 'poison')")
    try:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
            names = ["invoice.paid"] * 10 + ["poison"] + ["invoice.paid"] * 10
            posts = (post(http, world, credited(world) | {"event": name}, f"evt_{n}") for n, name in enumerate(names))
            statuses = await asyncio.gather(*posts)
    finally:
        await world.admin.execute("ALTER TABLE webhook_events DROP CONSTRAINT no_poison")
    assert statuses == [200] * 10 + [422] + [200] * 10
    await world.quiet()
    assert await count(world, "webhook_events") == 20


async def test_more_than_may_wait_are_told_to_come_again(
    world: World, database: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_inbox, "WAITING_MAX", 3)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        async with locked(database[0], "webhook_events"):
            posts = [asyncio.ensure_future(post(http, world, credited(world), f"evt_{number}")) for number in range(10)]
            # At most three are being stored and three wait; the others are answered at once.
            refused: set[asyncio.Future[int]] = set()
            while len(refused) < 4:
                refused, _ = await asyncio.wait(posts, return_when=asyncio.FIRST_COMPLETED)
            assert {answer.result() for answer in refused} == {503}
        statuses = Counter(await asyncio.gather(*posts))
        assert set(statuses) == {200, 503}
        assert world.metric("webhook_turned_away_total") == statuses[503]
        await world.quiet()
        assert await count(world, "webhook_events") == statuses[200]
        # Razorpay comes again.
        assert await post(http, world, credited(world), "evt_9") == 200
    await world.quiet()


async def test_an_event_that_somebody_looked_at_in_the_moment_of_its_lease_is_not_left_lying(
    world: World, database: tuple[str, str]
) -> None:
    # A worker that looks for a due event keeps the lock of one that was leased while it looked, as long as its transaction lasts.
    qr = await world.qr_code("CP-5")
    world.razorpay.add_fault(FaultRule(kind="hang", method="GET", path="/v1/payments/pay_*"))
    event = credited(world, payment={"fee": None, "tax": None}, qr_code={"id": qr["razorpay_qr_code_id"]})
    assert await post(world.http, world, event, "evt_1") == 200
    while not await count(world, "webhook_events WHERE reason LIKE '%looked up'"):
        await asyncio.sleep(0.01)
    somebody = await asyncpg.connect(database[0])
    async with somebody.transaction():
        await somebody.execute("SELECT FROM payments.webhook_events WHERE razorpay_event_id = 'evt_1' FOR NO KEY UPDATE")
        while not await count(world, "pg_locks WHERE NOT granted") and world.service.work.count():
            await asyncio.sleep(0.01)
    await somebody.close()
    await world.quiet()
    assert await count(world, "webhook_events WHERE razorpay_event_id = 'evt_1' AND state = 'HANDLED'") == 1
