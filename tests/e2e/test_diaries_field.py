"""Diaries from the field: chargers and riders who do what the book does not say, and what each of them gets for it."""

import asyncio

import pytest

from charger_simulator import Quirks
from tests.e2e.accounts import accounted_for, given_back, moved_refunds
from tests.e2e.test_diaries_resume import charging
from tests.e2e.world import Site, World

TO_THE_END = [("started", None, "STARTED"), ("state.running", "STARTED", "RUNNING"), ("stopped", "RUNNING", "STOPPED")]


async def steps_of(world: World, transaction_id: str) -> list[tuple[str, str | None, str | None]]:
    """The state machine's steps, as audited."""
    return [step for step in await world.audit_of(transaction_id) if step[2] is not None]


def asked(site: Site, action: str) -> list[dict[str, object]]:
    """Payloads of this operation that we sent to the charger."""
    return [e.request for e in site.point.exchanges if e.action == action and e.direction == "in"]


@pytest.mark.parametrize("seconds", [119, 121])
async def test_a_start_that_races_its_refund(world: World, seconds: int) -> None:
    # 10:00 Meera pays, and looks for her cable. The charger has said yes to the RemoteStart and waits.
    site = await world.open_site(franchised=False, quirks=Quirks.of("never_starts", "ignores_stop"))
    paid = world.pay(site, 10_000)
    await world.rest()
    [remote_start] = asked(site, "RemoteStartTransaction")
    await world.skip_seconds(seconds, stride=30)
    # 10:02 She plugs in at last. The deadline is 120 s after the payment: one car is a second early, the other a second late.
    answer = await site.point.call(
        "StartTransaction",
        {
            "connectorId": 1,
            "idTag": remote_start["idTag"],
            "meterStart": 1000,
            "timestamp": f"{world.clock.now():%Y-%m-%dT%H:%M:%SZ}",
        },
    )
    number = answer["transactionId"]
    assert number > 0, "a real id, whatever the answer"
    await world.rest()
    if seconds < 120:
        assert answer["idTagInfo"]["status"] == "Accepted"
        assert (await world.payment(paid))["state"] == "CHARGING"
        await world.pass_seconds(3)
        stamp = f"{world.clock.now():%Y-%m-%dT%H:%M:%SZ}"
        await site.point.call("StopTransaction", {"transactionId": number, "meterStop": 1006, "timestamp": stamp})
        payment = await accounted_for(world, site, paid, after_seconds=5)
        assert payment["bill"]["energy_wh"] == 6
    else:
        assert answer["idTagInfo"]["status"] == "Blocked"
        assert asked(site, "RemoteStopTransaction") == [{"transactionId": number}], "and told to stop at once"
        await world.pass_seconds(3)
        stamp = f"{world.clock.now():%Y-%m-%dT%H:%M:%SZ}"
        await site.point.call("StopTransaction", {"transactionId": number, "meterStop": 1006, "timestamp": stamp})
        await given_back(world, paid, reason="NOT_PLUGGED_IN")
        transaction = await world.transaction(f"txn_{number}")
        assert (transaction["state"], transaction["stop_reason"]) == ("STOPPED", "START_REFUSED")
        assert (transaction["energy_wh"], transaction["late_wh"]) == (0, 6)
        told = [action for action, _, _ in await world.audit_of(f"txn_{number}")]
        assert "start_refused" in told
        assert "started" not in told
    await site.point.stop()


async def test_two_sockets_with_a_stop_in_flight(world: World) -> None:
    # 10:00 A car charges. The charger's line is half dead: it hears, and its answers get lost.
    site, paid, transaction_id = await charging(world)
    number = int(transaction_id.removeprefix("txn_"))
    site.point.quirks = Quirks(silent_to={"RemoteStopTransaction"})
    # 10:01 An operator stops the session. The CALL is on the first socket when the charger opens a second one.
    await world.api("POST", f"/v1/transactions/{transaction_id}/stop")
    await world.rest()
    assert asked(site, "RemoteStopTransaction") == [{"transactionId": number}]
    site.point.quirks = Quirks()
    await site.point.connect_again()
    # The newest socket wins: the stop in flight is told again there, and the charger obeys.
    await world.pass_seconds(30)  # as soon as it has spoken there
    assert asked(site, "RemoteStopTransaction") == [{"transactionId": number}] * 2
    assert site.point.connectors[1].transaction_id is None
    # The old socket's late end changes nothing.
    await site.point.close_stale_socket()
    await world.rest()
    payment = await accounted_for(world, site, paid, after_seconds=5)
    transaction = await world.transaction(transaction_id)
    assert (transaction["stop_reason"], transaction["ocpp_stop_reason"]) == ("OPERATOR", "Remote")
    assert payment["bill"]["energy_wh"] == site.point.connectors[1].meter_wh
    assert await steps_of(world, transaction_id) == TO_THE_END
    await site.point.stop()


async def test_a_stop_that_is_accepted_and_ignored(world: World) -> None:
    # 10:00 Ten rupees buy 459 Wh: half a minute at 60 kW. This charger says yes to every stop, and charges on.
    site = await world.open_site(
        franchised=False, rated_power_w=60_000, quirks=Quirks.of("ignores_stop", "ignores_profiles"), kind="ccs"
    )
    await site.point.plug()
    paid = world.pay(site, 1_000)
    await world.rest()
    # It is told again, more and more firmly, each means once, never two at a time, until it obeys: a hard reset.
    await world.skip_seconds(420, stride=10)
    stops = ("RemoteStopTransaction", "SetChargingProfile", "ChangeAvailability", "Reset")
    told = [e.action for e in site.point.exchanges if e.action in stops and e.direction == "in"]
    firmly = list(dict.fromkeys(told))
    assert firmly == [*stops], told
    assert told.count("RemoteStopTransaction") >= 2
    assert told.count("SetChargingProfile") == told.count("Reset") == 1
    assert site.point.connectors[1].transaction_id is None
    # The rider pays what was paid, not a paisa more; the rest is our loss, and on record.
    payment = await accounted_for(world, site, paid, after_seconds=20)
    bill = payment["bill"]
    assert bill["total_billed_paise"] == payment["amount_paise"]
    assert bill["refund_paise"] == bill["residue_paise"] == 0
    assert bill["shortfall_paise"] > 0
    transaction = await world.transaction(payment["transaction_id"])
    assert (transaction["state"], transaction["stop_reason"]) == ("STOPPED", "BUDGET_EXHAUSTED")
    assert transaction["energy_wh"] == site.point.connectors[1].meter_wh
    wanted = [action for action, _, _ in await world.audit_of(payment["transaction_id"])]
    assert wanted.count("stop_wanted") == 1
    await site.point.stop()


async def test_a_socket_that_says_available_while_it_charges(world: World) -> None:
    # 10:00 A Bharat AC-001 socket knows nothing of the car: it reports Available, and 3.3 kW flow.
    site, paid, transaction_id = await charging(
        world, kind="socket", rated_power_w=3300, quirks=Quirks.of("available_while_charging")
    )
    # 10:08 Rising readings have kept it alive for longer than the grace.
    await world.skip_seconds(420)
    transaction = await world.transaction(transaction_id)
    assert (transaction["state"], transaction["resume_count"]) == ("RUNNING", 0)
    # The plug is pulled. The socket says nothing new; its readings stand still.
    connector = site.point.connectors[1]
    connector.meter.power_w = 0
    delivered = connector.meter_wh
    await world.skip_seconds(270)
    assert (await world.transaction(transaction_id))["state"] == "RUNNING"
    await world.skip_seconds(70)
    payment = await accounted_for(world, site, paid, after_seconds=5)
    transaction = await world.transaction(transaction_id)
    assert (transaction["state"], transaction["stop_reason"]) == ("STOPPED", "GRACE_EXPIRED")
    assert payment["bill"]["energy_wh"] == delivered
    assert await steps_of(world, transaction_id) == TO_THE_END
    assert "availability" in [action for action, _, _ in await world.audit_of(transaction_id)]
    await site.point.stop()


async def test_kilowatt_hours_that_call_themselves_watt_hours(world: World) -> None:
    # 10:00 60 kW flow, and the meter says "1.000 Wh" after a minute. Its last word, meterStop, is unknown (-1).
    quirks = Quirks.of("kwh_labelled_wh", "unknown_meter_stop")
    site, paid, transaction_id = await charging(world, rated_power_w=60_000, seconds=100, quirks=quirks)
    delivered = site.point.connectors[1].meter_wh
    await site.point.unplug()
    payment = await accounted_for(world, site, paid, after_seconds=5)
    # Power x time contradicts the register: the rider pays the smaller figure at once, and somebody looks at the rest.
    transaction = await world.transaction(transaction_id)
    assert transaction["stop_reason"] == "CHARGER"
    assert payment["bill"]["energy_wh"] == transaction["energy_wh"] <= delivered
    assert transaction["implausible"] is (transaction["energy_wh"] < delivered // 2)
    assert await steps_of(world, transaction_id) == TO_THE_END
    await site.point.stop()


async def test_sessions_that_are_called_0_minus_1_nothing_and_seul(world: World) -> None:
    # 10:00 Four chargers, each with its own idea of a transaction's id: 0, -1, none at all, and a constant of its own.
    names = ("zero_transaction_id", "negative_transaction_id", "null_transaction_id", "garbage_transaction_id")
    sites = [await world.open_site(franchised=False, quirks=Quirks.of(name)) for name in names]
    sites[2].point.quirks.meter_values_transaction_id = "missing"
    await asyncio.gather(*(site.point.plug() for site in sites))
    payments = [world.pay(site, 5_000) for site in sites]
    await world.rest()
    await world.skip_seconds(60, stride=10)
    for site, paid in zip(sites, payments, strict=True):
        await speak_as_it_does(site)
        await site.point.unplug()
        await world.rest()
        payment = await accounted_for(world, site, paid, after_seconds=5)
        assert payment["bill"]["energy_wh"] == site.point.connectors[1].meter_wh > 0
        transaction = await world.transaction(payment["transaction_id"])
        assert (transaction["state"], transaction["stop_reason"], transaction["late_wh"]) == ("STOPPED", "CHARGER", 0)
        [stop] = [e for e in site.point.exchanges if e.action == "StopTransaction"]
        assert stop.error is None, "never a CALLERROR, whatever it calls itself"
        assert await steps_of(world, payment["transaction_id"]) == TO_THE_END
        assert moved_refunds(world, paid) == [payment["bill"]["refund_paise"]]
        await site.point.stop()


async def speak_as_it_does(site: Site) -> None:
    """A reading under the id that the charger uses."""
    named = site.point.quirks.meter_values_transaction_id
    stamp = f"{site.point.clock.now():%Y-%m-%dT%H:%M:%SZ}"
    sample = {"value": str(site.point.connectors[1].meter_wh), "unit": "Wh"}
    own = {} if named == "missing" else {"transactionId": site.point.connectors[1].transaction_id if named == "own" else named}
    meter_value = [{"timestamp": stamp, "sampledValue": [sample]}]
    assert await site.point.call("MeterValues", {"connectorId": 1, **own, "meterValue": meter_value}) == {}
