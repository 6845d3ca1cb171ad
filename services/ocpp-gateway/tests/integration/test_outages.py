"""The broker, Redis or charging away: chargers are answered truthfully, and nothing that was answered is lost or overtaken."""

import asyncio

import pytest
from redis.asyncio import Redis

from ocpp_gateway.app import PatientBus
from ocpp_gateway.registry import Registry, charger_key, gateway_key
from ocpp_gateway.relay import Relay
from testkit.clock import SteppingClock

pytestmark = pytest.mark.servers


def meter_values(number: int) -> dict:
    return {
        "connectorId": 1,
        "transactionId": number,
        "meterValue": [{"timestamp": "", "sampledValue": [{"value": str(number)}]}],
    }


async def open_charger(gateway, charging, new_id):
    charger_id = new_id()
    charging.add(charger_id)
    charger = await gateway.connect(charger_id)
    await charging.wait(charger_id, "charge_point_connected")
    return charger_id, charger


async def until(condition, what):
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.002)


async def test_without_the_broker_events_are_answered_from_the_spool_and_relayed_in_order(gateway, charging, new_id, proxy):
    fleet = [await open_charger(gateway, charging, new_id) for _ in range(3)]
    proxy.cut()
    for number in range(20):
        for _, charger in fleet:
            assert (await charger.call("MeterValues", meter_values(number)))[0] == 3
    assert gateway.metric("spool_events") >= 60 - 3
    stopped = await fleet[0][1].call("StopTransaction", {"transactionId": 3, "meterStop": 5, "timestamp": ""})
    assert stopped[2] == {"idTagInfo": {"status": "Accepted"}}
    await proxy.restore()
    for charger_id, _ in fleet:
        await charging.wait(charger_id, "meter_values", 20)
    await charging.wait(fleet[0][0], "stop_transaction")
    for charger_id, _ in fleet:
        # At least once: an event whose confirm was cut off may come twice, the first of each is in order.
        seen = list(dict.fromkeys(event.message_id for event in charging.of(charger_id)))
        assert [int(message_id.rpartition("/")[2]) for message_id in seen] == list(range(len(seen)))
        values = list(dict.fromkeys(event.data["transaction_id"] for event in charging.of(charger_id, "meter_values")))
        assert values == list(range(20))
    await until(lambda: gateway.spool.empty, "the spool is relayed")
    # And on it goes through the broker.
    assert (await fleet[0][1].call("MeterValues", meter_values(20)))[0] == 3
    assert gateway.spool.empty


async def test_new_events_join_the_spool_while_anything_of_their_charger_is_in_it(gateway, charging, new_id, proxy):
    charger_id, charger = await open_charger(gateway, charging, new_id)
    other_id, other = await open_charger(gateway, charging, new_id)
    proxy.cut()
    await charger.call("MeterValues", meter_values(1))
    # The broker is back before the relay has got to it.
    relay = gateway.part(Relay)
    relay._task.cancel()
    await proxy.restore()
    bus = gateway.part(PatientBus).bus
    await until(
        lambda: bus._publishing is not None and not bus._publishing.is_closed and bus.connected.is_set(), "the bus is back"
    )
    await charger.call("MeterValues", meter_values(2))
    await other.call("MeterValues", meter_values(3))
    await charging.wait(other_id, "meter_values")
    assert gateway.spool.waiting[charger_id] == 2
    assert not charging.of(charger_id, "meter_values")
    await relay.start()
    await charging.wait(charger_id, "meter_values", 2)
    assert [event.data["transaction_id"] for event in charging.of(charger_id, "meter_values")] == [1, 2]


async def test_without_the_broker_a_start_is_silence_and_a_data_transfer_rejected(
    gateway, charging, new_id, proxy, clock: SteppingClock
):
    charger_id, charger = await open_charger(gateway, charging, new_id)
    charging.decide = lambda _: {"transaction_id": 9, "status": "Accepted"}
    proxy.cut()
    await charger.call("MeterValues", meter_values(1))
    await charger.send([2, "start", "StartTransaction", {"connectorId": 1, "idTag": "A", "meterStart": 0, "timestamp": "x"}])
    await charger.call("Heartbeat", {})
    await clock.advance(11)
    await charger.send([2, "data", "DataTransfer", {"vendorId": "V"}])
    await charger.call("Heartbeat", {})
    await clock.advance(11)
    assert await charger.receive() == [3, "data", {"status": "Rejected"}]
    assert not charging.of(charger_id, "start_transaction")
    await proxy.restore()
    await charging.wait(charger_id, "meter_values")
    await until(lambda: gateway.spool.empty, "the spool is relayed")
    assert (await charger.call("StartTransaction", {"connectorId": 1, "idTag": "A", "meterStart": 0, "timestamp": "x"}))[2] == {
        "transactionId": 9,
        "idTagInfo": {"status": "Accepted"},
    }


async def test_a_start_that_came_during_the_outage_is_decided_if_the_broker_returns_in_time(gateway, charging, new_id, proxy):
    charger_id, charger = await open_charger(gateway, charging, new_id)
    charging.decide = lambda _: {"transaction_id": 9, "status": "Accepted"}
    proxy.cut()
    await charger.call("MeterValues", meter_values(1))
    await charger.send([2, "start", "StartTransaction", {"connectorId": 1, "idTag": "A", "meterStart": 0, "timestamp": "x"}])
    await charger.call("Heartbeat", {})
    await proxy.restore()
    assert (await charger.receive())[2]["transactionId"] == 9
    kinds = [event.type.split(".")[1] for event in charging.of(charger_id)]
    assert kinds.index("meter_values_received") < kinds.index("start_transaction_received")


async def test_a_broker_that_takes_and_never_confirms_is_an_outage_too(gateway, charging, new_id, proxy, clock: SteppingClock):
    charger_id, charger = await open_charger(gateway, charging, new_id)
    proxy.freeze()
    await charger.send([2, "m", "MeterValues", meter_values(1)])
    await charger.call("Heartbeat", {})
    await clock.advance(6)
    assert await charger.receive() == [3, "m", {}]
    assert gateway.metric("spooled_total") == 1
    proxy.thaw()
    await charging.wait(charger_id, "meter_values")


async def test_a_gateway_that_starts_without_the_broker_lets_known_chargers_in(start_gateway, charging, new_id, proxy):
    first = await start_gateway(name="gw-early")
    charger_id, charger = await open_charger(first, charging, new_id)
    await charger.ws.close()
    await charging.wait(charger_id, "disconnected")
    await first.service.stop()
    proxy.cut()
    second = await start_gateway(name="gw-early", broker_wait_seconds=0)
    charger = await second.connect(charger_id)
    assert (await charger.call("MeterValues", meter_values(7)))[0] == 3
    assert second.metric("spool_events") == 2
    await proxy.restore()
    await charging.wait(charger_id, "meter_values")
    command = await charging.command("gw-early", charge_point_id=charger_id, epoch=1, action="ClearCache")
    assert (await charging.wait(charger_id, "command_completed")).data["command_id"] == command


async def test_authorize_without_charging_is_silence(gateway, charging, new_id, clock: SteppingClock):
    _, charger = await open_charger(gateway, charging, new_id)
    charging.answering = False
    await charger.send([2, "a", "Authorize", {"idTag": "A"}])
    await charger.call("Heartbeat", {})
    await clock.advance(11)
    charging.answering = True
    assert (await charger.call("Authorize", {"idTag": "A"}))[2] == {"idTagInfo": {"status": "Accepted"}}
    assert gateway.metric("calls_unanswered_total", reason="no_decision:Authorize") == 1


async def test_a_full_spool_answers_nobody(start_gateway, charging, new_id, proxy):
    gateway = await start_gateway(spool_bytes_max=1024 * 1024)
    gateway.spool._bytes_max = 3000
    charger_id, charger = await open_charger(gateway, charging, new_id)
    proxy.cut()
    for number in range(20):
        await charger.send([2, f"m{number}", "MeterValues", meter_values(number)])
    await charger.send([2, "last", "Heartbeat", {}])
    while (await charger.receive())[1] != "last":
        pass
    await until(lambda: gateway.metric("calls_unanswered_total", reason="not_durable") > 0, "somebody is left unanswered")
    assert gateway.metric("spool_failures_total", reason="full") > 0
    await proxy.restore()
    await until(lambda: gateway.spool.empty, "the spool is relayed")
    unanswered = gateway.metric("calls_unanswered_total", reason="not_durable")
    assert 0 < unanswered < 20
    await charging.wait(charger_id, "meter_values", 20 - int(unanswered))


async def test_epochs_grow_through_a_redis_flush_and_redis_away(gateway, charging, new_id, servers, clock: SteppingClock):
    charger_id = new_id()
    charging.add(charger_id)
    redis = Redis.from_url(servers.redis.url, decode_responses=True)
    epochs, chargers = [], []
    for step in ("as it is", "flushed", "turned back", "away"):
        if step == "flushed":
            await redis.flushall()
        elif step == "turned back":
            await redis.hset(charger_key(charger_id), mapping={"epoch": 1})
        elif step == "away":
            gateway.part(Registry).reachable = False
        chargers.append(await gateway.connect(charger_id))
        await charging.wait(charger_id, "charge_point_connected", len(epochs) + 1)
        epochs.append(charging.of(charger_id, "charge_point_connected")[-1].data["epoch"])
    assert epochs == sorted(set(epochs)), epochs
    # After the flush everything is asserted again within ten seconds.
    await redis.flushall()
    await clock.advance(11)
    async with asyncio.timeout(60):
        while (entry := await redis.hgetall(charger_key(charger_id))).get("epoch") != str(epochs[-1]):
            await asyncio.sleep(0.002)
    assert entry["gateway"] == gateway.settings.gateway_name
    assert await redis.get(gateway_key(gateway.settings.gateway_name))
    await redis.aclose()


async def test_a_tombstone_in_redis_and_a_newer_socket_elsewhere(start_gateway, charging, new_id, servers, clock: SteppingClock):
    one, other = await start_gateway(), await start_gateway()
    charger_id, first = await open_charger(one, charging, new_id)
    redis = Redis.from_url(servers.redis.url, decode_responses=True)
    second = await other.connect(charger_id)
    await charging.wait(charger_id, "charge_point_connected", 2)
    old, new = (event.data["epoch"] for event in charging.of(charger_id, "charge_point_connected"))
    assert new > old
    # The first gateway learns of it when it asserts its leases, and lets go.
    await clock.advance(11)
    await first.closed()
    assert (await charging.wait(charger_id, "disconnected")).data["reason"] == "SUPERSEDED"
    assert (await redis.hgetall(charger_key(charger_id)))["gateway"] == other.settings.gateway_name
    await second.ws.close()
    async with asyncio.timeout(60):
        while (entry := await redis.hgetall(charger_key(charger_id))).get("gone") != str(new):
            await asyncio.sleep(0.002)
    assert "gateway" not in entry
    name = other.settings.gateway_name
    await other.service.stop()
    assert await redis.get(gateway_key(name)) is None
    await redis.aclose()
