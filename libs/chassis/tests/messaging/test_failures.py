"""What goes wrong with one message, and what goes wrong with a consumer: nothing blocks for ever unseen, nothing is lost."""

import asyncio
from datetime import UTC, datetime
from functools import partial

import asyncpg
import orjson
import pytest
import sqlalchemy as sa
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from chassis.database import UnitOfWork
from chassis.messaging import (
    BrokerUnavailable,
    Outgoing,
    Received,
    RpcTimeout,
    Subscription,
    Transient,
    Undeliverable,
    is_transient,
)
from chassis.messaging.dead import replay_dead, show_dead
from chassis.messaging.envelope import PACK_CONTENT_TYPE, Unreadable, pack, unpack
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
    administer,
    lane,
    mount_events,
    mount_lanes,
    mount_questions,
    new_service,
    parked,
    publish_surely,
    queue_anew,
    ready_again,
    store_thing,
    until,
)


class ConnectionError_(Exception):  # noqa: N801
    """Stands where redis.exceptions.ConnectionError stands: no builtin's relative, known by its name."""


ConnectionError_.__name__ = "ConnectionError"
ConnectionError_.__module__ = "redis.exceptions"


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (Transient("later"), True),
        (BrokerUnavailable("away"), True),
        (RpcTimeout("silence"), True),
        (ConnectionResetError(), True),
        (OSError(113, "No route to host"), True),
        (OSError("Multiple exceptions: [Errno 111] ..., [Errno 111] ..."), True),
        (asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"), True),
        (asyncpg.InterfaceError("cannot perform operation: connection is closed"), True),
        (asyncpg.InvalidPasswordError("rotated"), True),
        (asyncpg.InvalidCachedStatementError("a migration ran"), True),
        (asyncpg.DeadlockDetectedError("deadlock"), True),
        (ConnectionError_("redis away"), True),
        (ExceptionGroup("both", [ConnectionResetError(), TimeoutError()]), True),
        (ExceptionGroup("one of ours", [ConnectionResetError(), KeyError("x")]), False),
        (Undeliverable("no queue"), False),
        (FileNotFoundError("a certificate"), False),
        (asyncpg.InterfaceError("cannot perform operation: another operation is in progress"), False),
        (asyncpg.DataError("invalid input for query argument $1: value out of int64 range"), False),
        (asyncpg.UniqueViolationError("twice"), False),
        (RuntimeError("a bug"), False),
    ],
    ids=lambda value: f"{type(value).__name__}: {value}" if isinstance(value, Exception) else str(value),
)
def test_the_environments_fault_is_told_from_the_messages(error: Exception, transient: bool) -> None:
    assert is_transient(error) is transient


async def test_a_value_the_driver_refuses_is_the_messages_fault_by_either_way(probe: Probe) -> None:
    for via_driver in (True, False):
        with pytest.raises((asyncpg.DataError, sa.exc.DBAPIError)) as refused:
            await ask_for_too_much(probe, via_driver=via_driver)
        assert not is_transient(refused.value), "retried in place it would stop its lane for ever"


async def ask_for_too_much(probe: Probe, *, via_driver: bool) -> None:
    """A bigint that is none."""
    async with probe.database.transaction() as uow:
        if via_driver:
            await (await uow.asyncpg()).execute("SELECT $1::bigint", 2**80)
        else:
            await uow.connection.execute(sa.select(sa.cast(sa.bindparam("n", 2**80, sa.BigInteger), sa.BigInteger)))


async def test_one_unstorable_event_is_parked_and_its_lane_goes_on(probe: Probe) -> None:
    async def store(_probe: Probe, uow: UnitOfWork, batch: list[Received]) -> None:
        driver = await uow.asyncpg()
        for received in batch:
            await driver.execute("SELECT $1::bigint", 2**80 if received.model.poison else 1)
            await driver.execute("INSERT INTO probe.things (name) VALUES ($1) ON CONFLICT DO NOTHING", received.model.name)

    await mount_lanes(probe, store)
    for n in range(5):
        await probe.bus.publish(Thing(name=f"{n}", poison=n == 2), to=lane(0), message_id=f"{n}")
    await until(lambda: _stored(probe, ["0", "1", "3", "4"]))
    await parked(probe, LANES[0], 1)


async def _stored(probe: Probe, names: list[str]) -> bool:
    return await probe.stored() == names


def delivered(body: bytes, **properties: object) -> DeliveredMessage:
    """A delivery as aiormq gives it."""
    header = ContentHeader(properties=Basic.Properties(**properties), body_size=len(body))  # type: ignore[arg-type]
    return DeliveredMessage(Basic.Deliver("tag", 1), header, body, channel=None)  # type: ignore[arg-type]


GOOD = {"message_type": "probe.thing_made.v1", "message_id": "1", "timestamp": datetime(2026, 1, 5, tzinfo=UTC)}


@pytest.mark.parametrize(
    "bad",
    [
        {"message_id": None},
        {"message_id": "é" * 200},
        {"message_type": None},
        {"headers": {"occurred_at": "yesterday"}},
        {"headers": {"occurred_at": "0001-01-01T00:00:00+14:00"}},
        {"headers": {"occurred_at": "1969-12-31T23:59:59+00:00"}},
        {"headers": {"subject": 5}},
        {"headers": {"subject_version": "two"}},
        {"content_type": PACK_CONTENT_TYPE},
    ],
    ids=str,
)
def test_what_could_not_be_handled_or_parked_later_is_unreadable_at_once(bad: dict[str, object]) -> None:
    with pytest.raises(Unreadable):
        unpack(delivered(b'{"name": "x"}', **{**GOOD, **bad}), "probe.events")


def test_a_message_that_says_nothing_of_its_time_counts_the_same_at_each_delivery() -> None:
    (received,) = unpack(delivered(b"{}", message_type="x", message_id="1"), "probe.events")
    assert received.occurred_at == datetime(1970, 1, 1, tzinfo=UTC)


def test_a_bad_entry_of_a_pack_stands_for_itself_alone() -> None:
    now = datetime(2026, 1, 5, tzinfo=UTC)
    good = [Outgoing(type=Thing.TYPE, message_id=f"{n}", body=b'{"name":"x"}', occurred_at=now) for n in range(3)]
    body, properties = pack(good, "probe")
    entries = orjson.loads(body)
    del entries[1]["message_id"]
    received = unpack(delivered(orjson.dumps(entries), **{**GOOD, "content_type": properties.content_type}), "q")
    assert [isinstance(each.model, Unreadable) for each in received] == [False, True, False]
    parked = received[1].outgoing()
    assert (orjson.loads(parked.body), parked.content_type) == ([entries[1]], PACK_CONTENT_TYPE)


async def test_what_can_t_be_read_is_parked_as_it_came_and_its_neighbours_are_handled(probe: Probe) -> None:
    now = probe.service.clock.now()
    hostile = [
        Outgoing(type=Thing.TYPE, message_id="naked", body=b"\xff\xfe{", occurred_at=now),
        Outgoing(type=Thing.TYPE, message_id="old", body=b"{}", occurred_at=now, headers={"occurred_at": "0001-01-01T00:00:00"}),
        Outgoing(type=Thing.TYPE, message_id="counted", body=b"[1]", occurred_at=now, headers={"x-attempts": "many"}),
    ]
    for n, message in enumerate(hostile):
        await probe.bus.send(message, to=THINGS)
        await probe.bus.publish(Thing(name=f"good {n}"), to=THINGS)
    await mount_events(probe)
    await parked(probe, "probe.events", 3)
    await until(lambda: _stored(probe, ["good 0", "good 1", "good 2"]))
    letters = {letter.message_id: letter.body for letter in await show_dead(probe.amqp_url, "probe.events")}
    assert letters == {message.message_id: message.body for message in hostile}
    await ready_again(probe)


async def test_the_ladder_carries_no_history_of_the_brokers_own(probe: Probe) -> None:
    await mount_events(probe)
    await probe.bus.publish(Thing(name="bad", poison=True), to=THINGS, message_id="bad")
    await parked(probe, "probe.events", 1)
    (letter,) = await show_dead(probe.amqp_url, "probe.events")
    assert letter.attempts == 1
    assert not [name for name in letter.headers if "death" in name]
    assert await replay_dead(probe.amqp_url, "probe.events") == 1

    async def tried_again() -> bool:
        return probe.seen == ["bad"] * 4

    await until(tried_again)
    await parked(probe, "probe.events", 1)


async def test_an_outage_in_hand_is_seen_and_a_stop_does_not_wait_for_it(probe: Probe, servers: Servers, probe_dsn: str) -> None:
    other = new_service("other", servers, probe_dsn, drain_seconds=10 * GUARD_SECONDS)
    await other.service.start()

    async def away(*_: object) -> None:
        raise ConnectionRefusedError("the database is away")

    await mount_lanes(other, away)
    await probe.bus.publish(Thing(name="waits"), to=lane(0))
    await until(lambda: _unready(other, "database is away"))
    async with asyncio.timeout(GUARD_SECONDS):
        await other.service.stop()

    await mount_lanes(probe)
    await until(lambda: _stored(probe, ["waits"]))


async def _unready(probe: Probe, what: str) -> bool:
    return what in await probe.unready()


async def test_poison_that_can_t_be_put_aside_is_seen_and_nothing_is_lost(probe: Probe) -> None:
    dead = f"{LANES[0]}.dead"
    await administer(probe.amqp_url, lambda channel: channel.queue_unbind(dead, "probe.dead", dead))
    await mount_lanes(probe)
    await probe.bus.publish(Thing(name="bad", poison=True), to=lane(0), message_id="bad")
    await probe.bus.publish(Thing(name="behind"), to=lane(0), message_id="behind")
    await until(lambda: _unready(probe, "bad of probe.lane.00 can't be put aside: Undeliverable"))
    assert probe.metric("voltlync_lanes_park_failures_total") > 0
    assert await probe.stored() == []

    await administer(probe.amqp_url, lambda channel: channel.queue_bind(dead, "probe.dead", dead))
    await until(lambda: _stored(probe, ["behind"]))
    await parked(probe, LANES[0], 1)
    await ready_again(probe)


async def test_a_worker_that_fails_as_nobody_thought_forgets_no_delivery(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its successor's acknowledgement covers all earlier deliveries: one that was dropped on the way would be gone."""
    consumer = await mount_lanes(probe)
    handle, failures = consumer._handle, iter([asyncio.CancelledError(), SystemError("nobody thought of this")])

    async def failing(events: list[Received]) -> None:
        error = next(failures, None)
        if error is not None:
            raise error
        await handle(events)

    monkeypatch.setattr(consumer, "_handle", failing)
    for n in range(20):
        await probe.bus.publish(Thing(name=f"{n:02d}"), to=lane(0), message_id=f"{n}")
    await until(lambda: _stored(probe, [f"{n:02d}" for n in range(20)]))
    assert probe.metric("voltlync_task_failures_total", task="lanes.worker") == 2
    assert "lanes.worker" in await probe.unready()


async def test_a_missing_queue_is_named_and_stops_nobody_else(probe: Probe, servers: Servers, probe_dsn: str) -> None:
    await administer(probe.amqp_url, lambda channel: channel.queue_delete("probe.events"))
    await mount_lanes(probe)
    await mount_events(probe)
    await until(lambda: _unready(probe, "probe.events is not consumed"))
    await publish_surely(probe, Thing(name="by lane"), to=lane(0))
    await until(lambda: _stored(probe, ["by lane"]))

    await administer(probe.amqp_url, queue_anew)
    await publish_surely(probe, Thing(name="by event"))
    await until(lambda: _stored(probe, ["by lane", "by event"]))
    await ready_again(probe)


async def test_a_consumer_that_the_broker_cancels_comes_back(probe: Probe) -> None:
    await mount_events(probe)
    await administer(probe.amqp_url, lambda channel: channel.queue_delete("probe.events"))
    await until(lambda: _unready(probe, "probe.events is not consumed"))
    await administer(probe.amqp_url, queue_anew)
    await publish_surely(probe, Thing(name="after"))
    await until(lambda: _stored(probe, ["after"]))
    await ready_again(probe)
    assert probe.metric("voltlync_consumers_lost_total", queue="probe.events") >= 1


KILL_CHANNELS = "[exit(Channel, crashed) || Channel <- rabbit_channel:list()]."
"""The broker's own crash in one of our channels: it closes the whole connection with 541 INTERNAL_ERROR, as it does where a
consumer subscribes to a queue that is half deleted."""


async def test_an_internal_error_of_the_broker_is_an_outage_like_any_other(
    probe: Probe, servers: Servers, caplog: pytest.LogCaptureFixture
) -> None:
    """Publishers and askers in flight hear of it, consumers come back, and what is repeated under its message id counts once."""
    await mount_events(probe)
    refused: list[Exception] = []
    over = asyncio.Event()

    async def publish(number: int) -> list[str]:
        names: list[str] = []
        while not over.is_set():
            name = f"{number} {len(names):04d}"
            await until(partial(_confirmed, probe, probe.bus.outgoing(Thing(name=name)), refused))
            names.append(name)
            await asyncio.sleep(0.01)  # the machine's other half is for the broker's tool, which starts an Erlang of its own
        return names

    async def refused_and_back() -> bool:
        return bool(refused) and probe.bus.connected.is_set()

    publishing = asyncio.gather(*(publish(number) for number in range(4)))
    silent = asyncio.ensure_future(probe.bus.ask(Question(name="?"), to=QUESTIONS, answer=Answer, timeout_seconds=GUARD_SECONDS))
    try:
        await asyncio.to_thread(servers.rabbitmq.ctl, "eval", KILL_CHANNELS)
        with pytest.raises(BrokerUnavailable):  # nobody answers, and nobody waits for the deadline of a question that is lost
            await silent
        await until(refused_and_back)
    finally:
        over.set()
        await asyncio.wait({publishing})
    names = sorted(name for names in await publishing for name in names)

    async def all_stored() -> bool:
        return sorted(await probe.stored()) == names

    await until(all_stored)
    await ready_again(probe)
    assert "INTERNAL_ERROR" in caplog.text  # by aiormq's own log: each publisher may have been between two messages just then


async def test_a_consumer_that_costs_the_connection_each_time_is_tried_later_and_later(probe: Probe) -> None:
    """Tried at once after each reconnection, it would leave no publisher a connection to live on."""
    await mount_events(probe)

    async def fatal(channel: Channel) -> None:
        await channel.basic_qos(prefetch_size=1)  # 540 NOT_IMPLEMENTED: an error of the connection, not of the channel

    costly = Subscription("probe.questions", lambda _message: None, prefetch=1, declare=fatal)
    await probe.bus.subscribe(costly)

    async def tried_thrice() -> bool:
        return costly.attempts >= 3

    await until(tried_thrice)
    await until(lambda: _unready(probe, "probe.questions is not consumed"))
    await publish_surely(probe, Thing(name="meanwhile"))
    await until(lambda: _stored(probe, ["meanwhile"]))
    await probe.bus.unsubscribe(costly)
    await ready_again(probe)


async def _confirmed(probe: Probe, message: Outgoing, refused: list[Exception]) -> bool:
    try:
        await probe.bus.send(message, to=THINGS)
    except BrokerUnavailable as error:
        refused.append(error)
        return False
    return True


async def test_publishing_to_an_exchange_that_is_not_there_harms_only_itself(probe: Probe) -> None:
    await mount_events(probe)
    answers = await asyncio.gather(
        probe.bus.publish(Thing(name="good"), to=THINGS, message_id="good"),
        probe.bus.publish(Thing(name="x"), to=To("nowhere", "x")),
        return_exceptions=True,
    )
    assert isinstance(answers[1], Undeliverable), "not the broker's absence: repeating it helps nobody"

    async def again() -> bool:
        try:
            await probe.bus.publish(Thing(name="good"), to=THINGS, message_id="good")
        except BrokerUnavailable:
            return False
        return True

    await until(again)
    await until(lambda: _stored(probe, ["good"]))


async def test_a_lane_is_handed_over_while_messages_keep_coming(probe: Probe, servers: Servers, probe_dsn: str) -> None:
    """Replicas are added under load: there is no idle moment to wait for."""
    first = await mount_lanes(probe)
    await mount_questions(probe)
    second = new_service("second", servers, probe_dsn)
    await second.service.start()
    flooding = True

    async def flood(number: int) -> None:
        n = 0
        while flooding:
            n += 1
            await asyncio.gather(
                *(probe.bus.publish(Thing(name=f"{number} {n} {k}"), to=lane(number), message_id=f"{n}") for k in range(5))
            )

    floods = [asyncio.ensure_future(flood(number)) for number in (0, 1)]
    try:
        await mount_lanes(second)
        await mount_questions(second)
        await until(lambda: _both_active(first))
        await first._share_once()
        await until(lambda: _seen(second))
    finally:
        flooding = False
        await asyncio.gather(*floods)
        await second.service.stop()


async def _both_active(consumer: object) -> bool:
    return len(consumer._active) == 2  # type: ignore[attr-defined]


async def _seen(probe: Probe) -> bool:
    return bool(probe.seen)


async def test_a_drain_finishes_the_batch_in_hand_and_gives_the_rest_back(probe: Probe, servers: Servers, probe_dsn: str) -> None:
    other = new_service("other", servers, probe_dsn)
    await other.service.start()
    in_hand, go_on = asyncio.Event(), asyncio.Event()

    async def slow(app: Probe, uow: UnitOfWork, thing: Thing) -> None:
        in_hand.set()
        await go_on.wait()
        await store_thing(app, uow, thing)

    await mount_events(other, slow)
    await probe.bus.publish(Thing(name="in hand"), to=THINGS)
    await in_hand.wait()
    await probe.bus.publish(Thing(name="not begun"), to=THINGS)
    stopping = asyncio.ensure_future(other.service.stop())
    await asyncio.sleep(0)
    go_on.set()
    await stopping
    assert await probe.stored() == ["in hand"]

    async def given_back() -> bool:
        return (await probe.bus.depth("probe.events"))[0] == 1

    await until(given_back)

    await mount_events(probe)
    await until(lambda: _stored(probe, ["in hand", "not begun"]))
    assert probe.seen == ["not begun"]
