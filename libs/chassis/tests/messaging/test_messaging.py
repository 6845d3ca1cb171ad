"""Messages over a real RabbitMQ and a real Postgres: nothing lost, nothing doubled, poison alone."""

import asyncio
from datetime import UTC, datetime

import asyncpg
import orjson
import pytest
import sqlalchemy as sa

from chassis.database import OutboxRelay
from chassis.messaging import BrokerUnavailable, Outgoing, Packer, RpcTimeout, Undeliverable
from chassis.messaging import lanes as lanes_module
from chassis.messaging.dead import list_dead, replay_dead, show_dead
from testkit.servers import Servers

from .conftest import (
    GUARD_SECONDS,
    LANES,
    QUESTIONS,
    THINGS,
    Answer,
    Probe,
    Question,
    Thing,
    To,
    lane,
    mount_events,
    mount_lanes,
    mount_questions,
    new_service,
    parked,
    store_thing,
    until,
)


async def test_an_announcement_leaves_with_its_transaction_and_not_without(probe: Probe) -> None:
    await mount_events(probe)
    async with probe.database.transaction() as uow:
        uow.publish(Thing(name="kept"), subject="thing/1")
    with pytest.raises(RuntimeError):
        await fail_after_announcing(probe)
    async with probe.database.transaction() as uow:
        uow.publish(Thing(name="after"), subject="thing/3")
    await until(lambda: _stored(probe, ["kept", "after"]))


async def _stored(probe: Probe, names: list[str]) -> bool:
    return await probe.stored() == names


async def fail_after_announcing(probe: Probe) -> None:
    """A use case that announces and then fails."""
    async with probe.database.transaction() as uow:
        uow.publish(Thing(name="rolled back"), subject="thing/2")
        raise RuntimeError


async def test_one_subject_leaves_in_the_order_of_its_announcements(probe: Probe) -> None:
    await mount_events(probe)
    names = [f"step {n:03d}" for n in range(60)]
    for name in names:
        async with probe.database.transaction() as uow:
            uow.publish(Thing(name=name), subject="thing/1")
    await until(lambda: _stored(probe, names))


async def test_a_message_delivered_again_changes_nothing(probe: Probe) -> None:
    await mount_events(probe)
    thing = Outgoing(type=Thing.TYPE, message_id="same", body=b'{"name":"once"}', occurred_at=datetime(2026, 11, 22, tzinfo=UTC))
    for _ in range(3):
        await asyncio.gather(*(probe.bus.send(thing, to=THINGS) for _ in range(4)))
    await probe.bus.publish(Thing(name="last"), to=THINGS)
    await until(lambda: _stored(probe, ["once", "last"]))


async def test_poison_is_found_in_its_batch_and_parked_alone_after_the_ladder(probe: Probe) -> None:
    names = [f"good {n}" for n in range(20)]
    for n, name in enumerate(names):
        await probe.bus.publish(Thing(name=name), to=THINGS)
        if n == 7:
            await probe.bus.publish(Thing(name="bad", poison=True), to=THINGS, message_id="the-poison")
    await probe.bus.send(
        Outgoing(type=Thing.TYPE, message_id="no-json", body=b"{", occurred_at=probe.service.clock.now()), to=THINGS
    )
    await mount_events(probe)

    await parked(probe, "probe.events", 2)
    assert sorted(await probe.stored()) == sorted(names)
    letters = {letter.message_id: letter for letter in await show_dead(probe.amqp_url, "probe.events")}
    assert letters["the-poison"].reason == "ValueError: bad is poison"
    assert letters["the-poison"].handler == "store_thing"
    assert letters["the-poison"].attempts == 1, "it climbed the whole ladder (one rung here) before it was parked"
    assert letters["no-json"].reason.startswith("Unreadable")

    async def still_there() -> bool:
        return await list_dead(probe.amqp_url, ["probe.events"]) == {"probe.events": 2}

    await until(still_there)  # looking at dead letters puts them back


async def test_a_dead_letter_is_replayed_once_its_cause_is_gone(probe: Probe) -> None:
    consumer = await mount_events(probe)
    await probe.bus.publish(Thing(name="first bad", poison=True), to=THINGS, message_id="bad")
    await parked(probe, "probe.events", 1)
    async with probe.database.transaction() as uow:
        assert await uow.connection.scalar(sa.text("SELECT count(*) FROM probe.inbox")) == 0, (
            "what failed was not noted as handled"
        )

    async def repaired(app: Probe, uow: object, thing: Thing) -> None:
        await store_thing(app, uow, thing.model_copy(update={"poison": False}))  # type: ignore[arg-type]

    consumer._handlers[Thing.TYPE] = repaired
    assert await replay_dead(probe.amqp_url, "probe.events", message_id="another") == 0
    assert await replay_dead(probe.amqp_url, "probe.events", message_id="bad") == 1
    await until(lambda: _stored(probe, ["first bad"]))
    await parked(probe, "probe.events", 0)


async def test_the_environments_fault_is_retried_in_place_and_never_parked(probe: Probe) -> None:
    failures = iter([ConnectionResetError("database away"), asyncpg.DeadlockDetectedError("deadlock")])

    async def shaky(app: Probe, uow: object, thing: Thing) -> None:
        error = next(failures, None)
        if error is not None:
            raise error
        await store_thing(app, uow, thing)  # type: ignore[arg-type]

    consumer = await mount_events(probe)
    consumer._handlers[Thing.TYPE] = shaky
    await probe.bus.publish(Thing(name="patient"), to=THINGS)
    await until(lambda: _stored(probe, ["patient"]))
    assert await probe.dead("probe.events") == 0


async def test_lanes_keep_order_in_packs_and_park_poison_at_once(probe: Probe) -> None:
    packer = Packer(probe.bus, probe.service)
    futures = []
    for n in range(300):
        thing = Thing(name=f"{n:03d}", poison=n == 150)
        message = Outgoing(
            type=Thing.TYPE, message_id=f"cp/1/{n}", body=thing.model_dump_json().encode(), occurred_at=probe.service.clock.now()
        )
        futures.append(packer.enqueue(message, to=lane(0)))
    await asyncio.gather(*futures)
    depth, _ = await probe.bus.depth(LANES[0])
    assert depth < 10, f"300 waiting events were framed in a few messages, not {depth}"
    await mount_lanes(probe)
    expected = [f"{n:03d}" for n in range(300) if n != 150]
    await until(lambda: _stored(probe, expected))
    await parked(probe, LANES[0], 1)
    letter = (await show_dead(probe.amqp_url, LANES[0]))[0]
    assert (letter.message_id, orjson.loads(letter.body)["name"]) == ("cp/1/150", "150"), (
        "the event alone is parked, not its pack"
    )


async def test_a_question_through_a_lane_is_answered_after_the_commit(probe: Probe) -> None:
    await mount_lanes(probe)
    assert (await probe.bus.ask(Question(name="why"), to=lane(1), answer=Answer, timeout_seconds=GUARD_SECONDS)).name == "WHY"


async def test_questions_on_a_queue_are_answered_and_unanswerable_ones_time_out(probe: Probe) -> None:
    await mount_questions(probe)
    answers = await asyncio.gather(
        *(probe.bus.ask(Question(name=f"q{n}"), to=QUESTIONS, answer=Answer, timeout_seconds=GUARD_SECONDS) for n in range(50))
    )
    assert [answer.name for answer in answers] == [f"q{n}!" for n in range(50)]
    with pytest.raises(RpcTimeout):
        await probe.bus.ask(Question(name="unanswerable"), to=QUESTIONS, answer=Answer, timeout_seconds=0.3)


async def test_a_mandatory_message_without_a_queue_is_an_error_and_an_event_without_a_consumer_is_none(probe: Probe) -> None:
    with pytest.raises(Undeliverable):
        await probe.bus.publish(Thing(name="x"), to=To("probe.lanes", "77", mandatory=True))
    await probe.bus.publish(Thing(name="x"), to=To("probe", "probe.unheard.v1"))


@pytest.fixture
def shared_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """No replica gives a lane away by itself while a test looks at who has it."""
    monkeypatch.setattr(lanes_module, "SHARE_SECONDS", 1e6)


@pytest.mark.usefixtures("shared_by_hand")
async def test_two_replicas_share_the_lanes_and_each_lane_keeps_its_order(probe: Probe, servers: Servers, probe_dsn: str) -> None:
    first = await mount_lanes(probe)
    await mount_questions(probe)
    second_probe = new_service("second", servers, probe_dsn)
    await second_probe.service.start()
    try:
        second = await mount_lanes(second_probe)
        await mount_questions(second_probe)
        for number in (0, 1):
            await probe.bus.publish(Thing(name=f"before {number}"), to=lane(number), message_id=f"before {number}")
        await until(lambda: _seen(probe, 2))
        assert not second_probe.seen, "who came first holds all lanes"

        await first._share_once()

        for n in range(20):
            for number in (0, 1):
                await probe.bus.publish(Thing(name=f"{number} {n:02d}"), to=lane(number), message_id=f"{number} {n:02d}")
        await until(lambda: _total(probe, 42))
        assert [name for name in probe.seen if name.startswith("0 ")] == [f"0 {n:02d}" for n in range(20)]
        assert [name for name in second_probe.seen if name.startswith("1 ")] == [f"1 {n:02d}" for n in range(20)]
        assert second.subscriptions.keys() == first.subscriptions.keys()
    finally:
        await second_probe.service.stop()


async def _seen(probe: Probe, count: int) -> bool:
    return len(probe.seen) >= count


async def _total(probe: Probe, count: int) -> bool:
    return len(await probe.stored()) >= count


async def test_the_brokers_death_loses_nothing_confirmed_and_nothing_announced(probe: Probe, servers: Servers) -> None:
    await mount_events(probe)
    announced = []
    confirmed = []
    refused = 0
    back = asyncio.Event()

    async def announce() -> None:
        for n in range(40):
            async with probe.database.transaction() as uow:
                uow.publish(Thing(name=f"announced {n}"), subject=f"thing/{n % 5}")
            announced.append(f"announced {n}")
            await asyncio.sleep(0.005)

    async def publish() -> None:
        nonlocal refused
        n = 0
        while not back.is_set():
            n += 1
            try:
                await probe.bus.publish(Thing(name=f"direct {n}"), to=THINGS, message_id=f"direct {n}")
                confirmed.append(f"direct {n}")
            except BrokerUnavailable:
                refused += 1
            await asyncio.sleep(0.005)

    async def die() -> None:
        await asyncio.to_thread(servers.rabbitmq.sync_queue_directory)
        await asyncio.to_thread(servers.rabbitmq.kill)
        await until(some_refused)
        await asyncio.to_thread(servers.rabbitmq.start)
        back.set()

    async def some_refused() -> bool:
        return refused > 0

    await asyncio.gather(announce(), publish(), die())

    async def all_there() -> bool:
        return {*announced, *confirmed} <= set(await probe.stored())

    await until(all_there)
    stored = await probe.stored()
    assert len(stored) == len(set(stored)), "redelivery doubled nothing"


async def test_a_relay_that_dies_after_publishing_sends_again_and_the_inbox_absorbs_it(probe: Probe) -> None:
    await mount_events(probe)
    async with probe.database.transaction() as uow:
        uow.publish(Thing(name="twice sent"), subject="thing/1")
    await until(lambda: _stored(probe, ["twice sent"]))
    async with probe.database.transaction() as uow:
        # As if the process had been killed between the confirm and the mark.
        await uow.connection.execute(sa.text("UPDATE probe.outbox SET published_at = NULL"))
    await next(part for part in probe.service._parts if isinstance(part, OutboxRelay)).stop()
    await probe.bus.publish(Thing(name="marker"), to=THINGS)
    await until(lambda: _stored(probe, ["twice sent", "marker"]))
