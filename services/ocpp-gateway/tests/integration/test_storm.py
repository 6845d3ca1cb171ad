"""A fleet that comes back together, and those who only half knock."""

import asyncio

import pytest
import redis.asyncio

from contracts.ocpp_gateway import StartTransactionDecision
from ocpp_gateway.registry import SESSIONS
from ocpp_gateway.websocket import OcppDoor
from testkit.clock import SteppingClock
from testkit.servers import Servers

pytestmark = pytest.mark.servers

START = {"connectorId": 1, "idTag": "TAG", "meterStart": 0, "timestamp": "2026-01-01T00:00:00Z"}
STOP = {"transactionId": 17, "meterStop": 1, "timestamp": "2026-01-01T00:00:00Z"}
BOOT = {"chargePointVendor": "V", "chargePointModel": "M"}


def accept_starts(charging) -> None:
    charging.decide = lambda _: StartTransactionDecision(transaction_id=17, status="Accepted").model_dump()


async def true_within_guard(condition, what: str) -> None:
    try:
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0.002)
    except TimeoutError:
        raise AssertionError(f"did not happen: {what}") from None


async def test_in_a_storm_the_charger_with_a_session_comes_in_first_and_nobody_is_refused(start_gateway, charging, new_id):
    accept_starts(charging)
    gateway = await start_gateway(handshakes_at_once=1)
    idle = [new_id() for _ in range(20)]
    busy = new_id()
    for charger_id in (*idle, busy):
        charging.add(charger_id)
    charger = await gateway.connect(busy)
    assert (await charger.call("StartTransaction", START))[0] == 3
    await charger.ws.close()
    await charging.wait(busy, "charge_point_disconnected")
    admission = gateway.part(OcppDoor)._admission
    async with admission.place(first=True):
        knocking = [asyncio.ensure_future(gateway.connect(charger_id)) for charger_id in idle]
        await true_within_guard(lambda: gateway.metric("handshakes_waiting") == len(idle), "all of them wait")
        knocking.append(asyncio.ensure_future(gateway.connect(busy)))
        await true_within_guard(lambda: gateway.metric("handshakes_waiting") == len(idle) + 1, "the last one waits")
        assert len(gateway.connections) == 0
    chargers = await asyncio.gather(*knocking)
    # Python's dicts keep the order in which their keys came.
    order = list(gateway.connections._live)
    assert order[0] == busy
    assert sorted(order[1:]) == sorted(idle)
    for charger in chargers:
        assert (await charger.call("BootNotification", BOOT))[0] == 3
    for charger_id in idle:
        await charging.wait(charger_id, "boot_notification")


async def once_asserted(clock: SteppingClock, condition, what: str) -> None:
    """Let gateways say who bears a session, every ten seconds, until it is so."""
    try:
        async with asyncio.timeout(60):
            while True:
                await clock.advance(10)
                for _ in range(200):
                    if await condition():
                        return
                    await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"did not happen: {what}") from None


async def test_who_bears_a_session_is_known_to_a_gateway_that_never_saw_the_charger(
    start_gateway, charging, new_id, clock: SteppingClock, servers: Servers
):
    accept_starts(charging)
    # No socket is to fall silent while the clock is moved.
    first = await start_gateway(silence_seconds=100_000)
    charger_id, idle = new_id(), new_id()
    charging.add(charger_id)
    charging.add(idle)
    charger = await first.connect(charger_id)
    assert (await charger.call("StartTransaction", START))[0] == 3
    assert first.connections.bears_session(charger_id)
    async with redis.asyncio.from_url(servers.redis.url, decode_responses=True) as client:

        async def noted() -> bool:
            return await client.zscore(SESSIONS, charger_id) is not None

        async def struck_out() -> bool:
            return not await noted()

        await once_asserted(clock, noted, "the session is noted")
        second = await start_gateway(silence_seconds=100_000)
        assert second.connections.bears_session(charger_id)
        assert not second.connections.bears_session(idle)
        # Redis forgets: it is said again.
        await client.delete(SESSIONS)
        samples = [{"timestamp": "2026-01-01T00:00:00Z", "sampledValue": [{"value": "1"}]}]
        await charger.call("MeterValues", {"connectorId": 1, "transactionId": 17, "meterValue": samples})
        await once_asserted(clock, noted, "it is noted again")
        await charger.call("StopTransaction", STOP)
        assert not first.connections.bears_session(charger_id)
        await once_asserted(clock, struck_out, "its end is noted")

        async def learned() -> bool:
            return not second.connections.bears_session(charger_id)

        await once_asserted(clock, learned, "the other gateway learns of its end")


async def test_who_leaves_the_line_is_not_let_in_and_costs_nothing(start_gateway, charging, new_id, session):
    gateway = await start_gateway(handshakes_at_once=1)
    impatient, patient = new_id(), new_id()
    charging.add(impatient)
    charging.add(patient)
    door = gateway.part(OcppDoor)
    async with door._admission.place(first=True):
        leaving = asyncio.ensure_future(gateway.connect(impatient))
        await true_within_guard(lambda: gateway.metric("handshakes_waiting") == 1, "it stands in line")
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        await true_within_guard(lambda: door._knocks.gone == 1, "the gateway sees it leave")
    charger = await gateway.connect(patient)
    assert (await charger.call("Heartbeat", {}))[0] == 3
    await charging.wait(patient, "charge_point_connected")
    assert charging.of(impatient) == []
    assert gateway.metric("handshakes_total", status="101") == 1


async def knock_by_half(gateway) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    port = int(gateway.url("").rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /ocpp/CP HTTP/1.1\r\nHost: x\r\nUpgrade: webs")
    await writer.drain()
    return reader, writer


async def closed(reader: asyncio.StreamReader) -> None:
    """Wait until the other side has ended it."""
    async with asyncio.timeout(60):
        try:
            assert await reader.read() == b""
        except ConnectionResetError:
            return


async def test_a_request_that_never_ends_is_closed_in_time_and_an_open_socket_is_not(start_gateway, charging, new_id):
    gateway = await start_gateway()
    charger_id = new_id()
    charging.add(charger_id)
    charger = await gateway.connect(charger_id)
    gateway.part(OcppDoor)._knocks._seconds = 0.2  # only now: on a busy machine an honest charger may take as long
    halves = [await knock_by_half(gateway) for _ in range(3)]
    for reader, writer in halves:
        await closed(reader)
        writer.close()
    assert gateway.metric("handshakes_total", status="timeout") == 3
    assert (await charger.call("Heartbeat", {}))[0] == 3


async def test_too_many_half_requests_cost_the_oldest_ones_and_never_a_whole_one(start_gateway, charging, new_id):
    gateway = await start_gateway(handshakes_unfinished_max=3)
    charger_id = new_id()
    charging.add(charger_id)
    halves = []
    for _ in range(5):
        halves.append(await knock_by_half(gateway))
        # The order in which they came is the gateway's to see: one after the other.
        await true_within_guard(
            lambda: gateway.part(OcppDoor)._knocks.arrived == len(halves), "the gateway has accepted the last one"
        )
    for reader, _ in halves[:2]:
        await closed(reader)
    charger = await gateway.connect(charger_id)
    assert (await charger.call("Heartbeat", {}))[0] == 3
    assert gateway.metric("handshakes_total", status="crowded") == 3
    for _, writer in halves:
        writer.close()
