"""Diaries of sessions that were interrupted: what the charger says on its wire, what we answer, and what the rider pays."""

import json
from typing import Any

import pytest

from charger_simulator import Quirks
from charger_simulator.meter import Meter
from tests.e2e.accounts import accounted_for, moved_refunds
from tests.e2e.world import Site, World

SUSPENDED_ONCE = [
    ("started", None, "STARTED"),
    ("state.running", "STARTED", "RUNNING"),
    ("state.suspended", "RUNNING", "SUSPENDED"),
]
RESUMED = [*SUSPENDED_ONCE, ("state.running", "SUSPENDED", "RUNNING"), ("stopped", "RUNNING", "STOPPED")]


async def charging(world: World, *, amount_paise: int = 50_000, seconds: float = 60, **site: Any) -> tuple[Site, str, str]:
    """A paid session that has charged for a while; (site, Razorpay's payment id, transaction id)."""
    opened = await world.open_site(franchised=False, **site)
    await opened.point.plug()
    paid = world.pay(opened, amount_paise)
    await world.rest()
    await world.skip_seconds(seconds, stride=10)
    return opened, paid, (await world.payment(paid))["transaction_id"]


async def speak(site: Site, transaction_id: str) -> None:
    """The charger tells its register, out of turn."""
    point = site.point
    sample = {"value": str(point.connectors[1].meter_wh), "unit": "Wh"}
    stamp = f"{point.clock.now():%Y-%m-%dT%H:%M:%SZ}"
    number = int(transaction_id.removeprefix("txn_"))
    answer = await point.call(
        "MeterValues",
        {"connectorId": 1, "transactionId": number, "meterValue": [{"timestamp": stamp, "sampledValue": [sample]}]},
    )
    assert answer == {}


async def ask(site: Site, transaction_id: str) -> dict[str, Any]:
    """GetLastMeterValue."""
    data = json.dumps({"transactionId": int(transaction_id.removeprefix("txn_"))})
    return await site.point.call("DataTransfer", {"vendorId": "VoltLync", "messageId": "GetLastMeterValue", "data": data})


@pytest.mark.parametrize("path", ["MeterValues", "BootNotification", "GetLastMeterValue"])
async def test_back_after_899_900_and_901_seconds(world: World, path: str) -> None:
    # 10:00 Three cars charge at three chargers.
    sessions = [await charging(world, seconds=0) for _ in range(3)]
    await world.skip_seconds(60, stride=10)
    # 10:01 The site's network fails for a minute. Nobody hears of the cars from here on, though the sockets are soon back.
    heard_at, heard_wh = world.clock.monotonic(), []
    for site, _, transaction_id in sessions:
        await speak(site, transaction_id)
        site.point.quirks = Quirks.of("no_meter_values")
        heard_wh.append(site.point.connectors[1].meter_wh)
    await world.rest()
    for site, _, _ in sessions:
        await site.point.disconnect(60)
    await world.skip_seconds(120)
    for (site, _, transaction_id), gap in zip(sessions, (899, 900, 901), strict=True):
        # 10:16 They speak again, one second after the other.
        await world.skip_seconds(heard_at + gap - 1 - world.clock.monotonic())
        assert (await world.transaction(transaction_id))["state"] == ("SUSPENDED" if gap <= 901 else "STOPPED")
        await world.pass_seconds(heard_at + gap - world.clock.monotonic())
        if path == "BootNotification":
            accepted = await site.point.call("BootNotification", {"chargePointVendor": "VoltLync", "chargePointModel": "Sim-1"})
            assert accepted["status"] == "Accepted"
        elif path == "GetLastMeterValue":
            answer = await ask(site, transaction_id)
            assert answer["status"] == ("Accepted" if gap <= 900 else "Rejected")
            if gap <= 900:
                assert json.loads(answer["data"])["meterValueWh"] == heard_wh[gap - 899]
        await speak(site, transaction_id)
        await world.rest()
        transaction = await world.transaction(transaction_id)
        assert transaction["state"] == ("RUNNING" if gap <= 900 else "STOPPED"), gap
    # 10:17 Two of them unplug; the third was told to stop, by the id that it uses.
    for site, _, _ in sessions[:2]:
        await site.point.unplug()
    await world.pass_seconds(10)
    for number, (site, paid, transaction_id) in enumerate(sessions):
        payment = await accounted_for(world, site, paid, after_seconds=0)
        transaction = await world.transaction(transaction_id)
        steps = [step for step in await world.audit_of(transaction_id) if step[2] is not None]
        delivered = site.point.connectors[1].meter_wh
        if number < 2:
            assert (transaction["stop_reason"], transaction["resume_count"]) == ("CHARGER", 1)
            assert payment["bill"]["energy_wh"] == delivered
            assert steps == RESUMED
        else:
            assert (transaction["stop_reason"], transaction["resume_count"]) == ("STALE_RECONNECT", 0)
            assert payment["bill"]["energy_wh"] == heard_wh[number]
            assert transaction["late_wh"] == delivered - heard_wh[number]
            assert steps == [*SUSPENDED_ONCE, ("stopped", "SUSPENDED", "STOPPED")]
            stops = [e for e in site.point.exchanges if e.action == "RemoteStopTransaction"]
            assert [e.request for e in stops] == [{"transactionId": int(transaction_id.removeprefix("txn_"))}]
        await site.point.stop()


async def test_a_reboot_that_sets_the_register_back(world: World) -> None:
    # 10:00 A car charges at 60 kW: a kilowatt-hour a minute.
    site, paid, transaction_id = await charging(world, rated_power_w=60_000, quirks=Quirks.of("resumes_after_reboot"))
    await speak(site, transaction_id)
    await world.rest()
    before = site.point.connectors[1].meter_wh
    # 10:01 The breaker trips; the charger is back in 5 s, its register at 0, its session in memory.
    await site.point.reboot(hard=True)
    connector = site.point.connectors[1]
    connector.meter = Meter(world.clock, 0)
    await world.pass_seconds(8)
    assert (await world.transaction(transaction_id))["state"] == "SUSPENDED"
    answer = await ask(site, transaction_id)
    assert json.loads(answer["data"])["meterValueWh"] == before, "the last known figure, to go on from"
    await speak(site, transaction_id)
    first_wh = connector.meter_wh
    await world.rest()
    transaction = await world.transaction(transaction_id)
    assert (transaction["state"], transaction["resume_count"]) == ("RUNNING", 1)
    # 10:02 Unplugged. What flowed between the last reading and the first after the boot can't be known: it is not billed.
    await world.pass_seconds(60)
    await site.point.unplug()
    payment = await accounted_for(world, site, paid, after_seconds=5)
    assert payment["bill"]["energy_wh"] == before + connector.meter_wh - first_wh
    assert (await world.transaction(transaction_id))["stop_reason"] == "CHARGER"
    assert [step for step in await world.audit_of(transaction_id) if step[2] is not None] == RESUMED
    boots = [e for e in site.point.exchanges if e.action == "BootNotification"]
    assert len(boots) == 2
    assert all(e.response is not None and e.response["status"] == "Accepted" for e in boots)
    await site.point.stop()


async def test_a_queue_that_is_replayed_hours_after_the_end(world: World) -> None:
    # 10:00 A car charges; a minute later an excavator cuts the site's line. The charger goes on by itself.
    site, paid, transaction_id = await charging(world)
    await speak(site, transaction_id)
    await world.rest()
    billed_wh = site.point.connectors[1].meter_wh
    await site.point.disconnect()
    await world.skip_seconds(185)
    # 10:04 Finalized at the last reading, refunded, and the car still charges until 10:11.
    payment = await accounted_for(world, site, paid, after_seconds=10)
    await world.skip_seconds(400)
    await site.point.unplug()
    delivered_wh = site.point.connectors[1].meter_wh
    # 12:10 The line is mended. The charger sends all that it kept, and every message of it is answered.
    await world.skip_seconds(2 * 3600, stride=1200)
    await site.point.connect()
    await world.pass_seconds(5)
    assert not site.point.outbox.transactional, "the queue is out"
    [stop] = [e for e in site.point.exchanges if e.action == "StopTransaction"]
    assert stop.error is None
    assert stop.response is not None
    # It is on record, and nobody pays for it: not the rider, not twice.
    transaction = await world.transaction(transaction_id)
    assert (transaction["state"], transaction["stop_reason"]) == ("STOPPED", "DISCONNECT_TIMEOUT")
    assert (transaction["energy_wh"], transaction["late_wh"]) == (billed_wh, delivered_wh - billed_wh)
    again = await world.payment(paid)
    assert again["bill"] == payment["bill"]
    assert moved_refunds(world, paid) == [payment["bill"]["refund_paise"]]
    told = await world.audit_of(transaction_id)
    assert [step for step in told if step[2] is not None] == [*SUSPENDED_ONCE, ("stopped", "SUSPENDED", "STOPPED")]
    assert "stopped_late" in [action for action, _, _ in told]
    # Old readings are no reason to stop anybody, and the connector sells: 20 s after its return the charger is asked.
    assert [e for e in site.point.exchanges if e.action == "RemoteStopTransaction"] == []
    await site.point.plug()
    world.pay(site, 5_000, vpa="priya@okaxis")
    await world.pass_seconds(20)
    assert site.point.connectors[1].transaction_id is not None
    await site.point.unplug()
    await world.rest()
    await site.point.stop()


async def test_a_line_that_flaps(world: World) -> None:
    # 10:00 A car charges for a minute, then its battery is full: no more energy flows.
    site, paid, transaction_id = await charging(world)
    site.point.set_power(1, 0)
    await speak(site, transaction_id)
    await world.rest()
    delivered_wh = site.point.connectors[1].meter_wh
    # 10:01 The modem loses its network, finds it, and loses it again, and boots each time: a boot is no second drop.
    site.point.quirks = Quirks.of("boots_on_reconnect")
    for drop in (1, 2, 3):
        assert (await world.transaction(transaction_id))["state"] != "STOPPED", drop
        await site.point.disconnect(5)
        await world.pass_seconds(12)
        await speak(site, transaction_id)
        await world.rest()
    transaction = await world.transaction(transaction_id)
    assert (transaction["state"], transaction["stop_reason"]) == ("STOPPED", "FLAP_LIMIT")
    payment = await accounted_for(world, site, paid, after_seconds=5)
    assert payment["bill"]["energy_wh"] == delivered_wh
    steps = [step for step in await world.audit_of(transaction_id) if step[2] is not None]
    round_trip = [("state.suspended", "RUNNING", "SUSPENDED"), ("state.running", "SUSPENDED", "RUNNING")]
    last = [("state.suspended", "RUNNING", "SUSPENDED"), ("stopped", "SUSPENDED", "STOPPED")]
    assert steps == [*SUSPENDED_ONCE[:2], *round_trip, *round_trip, *last]
    await site.point.stop()
