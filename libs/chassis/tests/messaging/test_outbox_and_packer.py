"""What leaves: the outbox past what no queue takes, and packs."""

import asyncio

import asyncpg
import pytest
import sqlalchemy as sa

from chassis.database import OutboxRelay
from chassis.database import outbox as outbox_module
from chassis.messaging import BrokerUnavailable, Bus, Outgoing, Packer, Undeliverable
from chassis.messaging import packer as packer_module
from testkit.servers import Servers

from .conftest import THINGS, Probe, Thing, To, administer, lane, mount_events, new_service, ready_again, started, until

NOWHERE = To("probe.lanes", "77", mandatory=True)


async def _stored(probe: Probe, names: list[str]) -> bool:
    return await probe.stored() == names


async def announce(probe: Probe, *names: str, subject: str, to: To = THINGS) -> None:
    """Announce in one transaction."""
    async with probe.database.transaction() as uow:
        for name in names:
            uow.publish(Thing(name=name), subject=subject, to=to)


async def test_a_subject_that_no_queue_takes_keeps_nobody_else_waiting(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "ROUND_ROWS_MAX", 10)
    await mount_events(probe)
    await announce(probe, *(f"lost {n}" for n in range(40)), subject="thing/blocked", to=NOWHERE)
    await announce(probe, "after forty", subject="thing/1")
    await until(lambda: _stored(probe, ["after forty"]))
    assert probe.metric("voltlync_outbox_blocked_subjects") == 1
    await ready_again(probe)


async def test_a_row_that_amqp_can_t_carry_blocks_its_subject_and_not_the_relay(probe: Probe) -> None:
    await mount_events(probe)
    await announce(probe, "x", subject="thing/long", to=To("probe", "k" * 300))
    await announce(probe, "y", subject="thing/gone", to=To("no such exchange", "k"))
    await announce(probe, "good", subject="thing/1")
    await until(lambda: _stored(probe, ["good"]))
    assert not probe.service.tasks.failures


async def test_a_blocked_subject_leaves_in_order_once_its_queue_is_there(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "BLOCKED_SECONDS", (0.05,))
    await mount_events(probe)
    await announce(probe, "1", "2", "3", subject="thing/1", to=To("probe", "later.v1", mandatory=True))

    async def blocked() -> bool:
        return probe.metric("voltlync_outbox_blocked_subjects") == 1

    await until(blocked)
    await administer(probe.amqp_url, lambda channel: channel.queue_bind("probe.events", "probe", "later.v1"))
    await until(lambda: _stored(probe, ["1", "2", "3"]))
    await announce(probe, "4", subject="thing/1")
    await until(lambda: _stored(probe, ["1", "2", "3", "4"]))


async def test_one_of_two_replicas_relays_and_the_other_takes_over(
    probe: Probe, servers: Servers, probe_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "LOCK_SECONDS", 0.05)
    relay = next(part for part in probe.service._parts if isinstance(part, OutboxRelay))

    async def relaying() -> bool:
        return relay._relaying

    await until(relaying)  # before the other begins, which else might win the lock
    other = new_service("other", servers, probe_dsn)
    others = other.service.add(OutboxRelay(other.database, other.bus, other.service))
    await other.service.start()
    await mount_events(probe)
    try:
        await announce(probe, *(f"{n:02d}" for n in range(20)), subject="thing/1")
        await until(lambda: _stored(probe, [f"{n:02d}" for n in range(20)]))
        assert other.metric("voltlync_outbox_relayed_total") == 0

        # Its lock's connection dies without a word to it: whoever has the lock now relays, and it alone.
        admin = await asyncpg.connect(servers.postgres.dsn)
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'voltlync_probe_outbox'"
        )
        await admin.close()
        await announce(probe, "after", subject="thing/1")
        await until(lambda: _stored(probe, [*(f"{n:02d}" for n in range(20)), "after"]))

        async def one_alone() -> bool:
            return relay._relaying + others._relaying == 1

        await until(one_alone)

        await relay.stop()
        await announce(probe, "by the other", subject="thing/1")
        await until(lambda: _has(probe, "by the other"))

        async def counted() -> bool:
            return other.metric("voltlync_outbox_relayed_total") >= 1

        await until(counted)
    finally:
        await other.service.stop()


async def _has(probe: Probe, name: str) -> bool:
    return name in await probe.stored()


async def test_what_was_committed_before_a_stop_has_left_when_it_is_over(servers: Servers, probe_dsn: str) -> None:
    leaving = new_service("leaving", servers, probe_dsn)
    leaving.service.add(OutboxRelay(leaving.database, leaving.bus, leaving.service))
    await leaving.service.start()

    async def relaying() -> bool:
        return any(part._relaying for part in leaving.service._parts if isinstance(part, OutboxRelay))

    await until(relaying)
    for subject in range(5):
        await announce(leaving, *(f"{subject} {n}" for n in range(40)), subject=f"thing/{subject}")
    await leaving.service.stop()
    admin = await asyncpg.connect(probe_dsn)
    assert await admin.fetchval("SELECT count(*) FROM probe.outbox WHERE published_at IS NULL") == 0
    await admin.close()


async def test_nothing_is_announced_in_a_reading_transaction(probe: Probe) -> None:
    async with probe.database.reading() as uow:
        with pytest.raises(RuntimeError, match="read-only"):
            uow.publish(Thing(name="x"), subject="thing/1")


async def test_a_hint_that_fails_undoes_no_commit(probe: Probe) -> None:
    hints: list[str] = []

    def fail() -> None:
        raise ValueError("cache away")

    async with probe.database.transaction() as uow:
        await uow.connection.execute(sa.text("INSERT INTO probe.things (name) VALUES ('kept')"))
        uow.after_commit(fail)
        uow.after_commit(lambda: hints.append("called"))
    assert (await probe.stored(), hints) == (["kept"], ["called"])


def outgoing(probe: Probe, n: int) -> Outgoing:
    """A numbered event."""
    return Outgoing(type=Thing.TYPE, message_id=f"{n}", body=b'{"name":"%d"}' % n, occurred_at=probe.service.clock.now())


async def test_a_pack_that_no_queue_takes_fails_its_own_events_and_no_others(probe: Probe) -> None:
    packer = Packer(probe.bus, probe.service)
    await started(probe, packer)
    lost = [packer.enqueue(outgoing(probe, 100 + n), to=NOWHERE) for n in range(20)]
    good = [packer.enqueue(outgoing(probe, n), to=lane(0)) for n in range(20)]
    outcomes = await asyncio.gather(*lost, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {Undeliverable}
    assert await asyncio.gather(*good) == [None] * 20


async def test_the_failure_of_one_pack_is_not_that_of_the_next(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    packer = Packer(probe.bus, probe.service)
    send_body, sent = Bus.send_body, 0

    async def second_fails(bus: Bus, *args: object, **kwargs: object) -> None:
        nonlocal sent
        sent += 1
        if sent == 2:
            raise BrokerUnavailable("not confirmed")
        await send_body(bus, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Bus, "send_body", second_fails)
    monkeypatch.setattr(packer_module, "PACK_EVENTS_MAX", 5)
    futures = [packer.enqueue(outgoing(probe, n), to=lane(0)) for n in range(15)]
    outcomes = await asyncio.gather(*futures, return_exceptions=True)
    assert [isinstance(outcome, BrokerUnavailable) for outcome in outcomes] == [False] * 5 + [True] * 5 + [False] * 5


async def test_waiting_is_bounded_and_said_at_once(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packer_module, "WAITING_EVENTS_MAX", 3)
    packer = Packer(probe.bus, probe.service)
    futures = [packer.enqueue(outgoing(probe, n), to=lane(0)) for n in range(3)]
    with pytest.raises(BrokerUnavailable, match="3 events wait"):
        packer.enqueue(outgoing(probe, 4), to=lane(0))
    packer.enqueue(outgoing(probe, 5), to=lane(1)).cancel()
    assert await asyncio.gather(*futures) == [None] * 3


async def test_nobody_waits_for_a_packer_that_was_cut_off(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Bus, "send_body", hang)
    packer = Packer(probe.bus, probe.service)
    first = packer.enqueue(outgoing(probe, 0), to=lane(0))
    await asyncio.sleep(0)
    behind = packer.enqueue(outgoing(probe, 1), to=lane(0))
    for sender in list(packer._senders):
        sender.cancel()
    for future in (first, behind):
        with pytest.raises(BrokerUnavailable):
            await future
