"""Paid sessions from scan to payout, told as diaries: real broker, database and cache, one clock that steps."""

import asyncio

import pytest

from charger_simulator import Quirks
from razorpay_simulator import WebhookRule
from tests.e2e.accounts import accounted_for, given_back, moved_refunds
from tests.e2e.world import World


async def test_the_budget_is_used_up_and_the_charger_stops_before_the_money_runs_out(world: World) -> None:
    # 10:00 A car that takes all it can get plugs in at a 120 kW charger; its driver pays 60 rupees and goes for tea.
    site = await world.open_site(rated_power_w=120_000)
    await site.point.plug()
    paid = world.pay(site, 6_000)
    await world.rest()
    assert (await world.payment(paid))["state"] == "CHARGING"
    # The forecast, not the next reading, stops the charger.
    await world.pass_seconds(100)
    assert site.point.connectors[1].transaction_id is None, "the charger has stopped"
    payment = await accounted_for(world, site, paid)
    bill = payment["bill"]
    transaction = await world.transaction(payment["transaction_id"])
    assert transaction["stop_reason"] == "BUDGET_EXHAUSTED"
    assert transaction["ocpp_stop_reason"] == "Remote"
    assert bill["shortfall_paise"] == 0, "nothing was delivered beyond the money"
    # The stop may come early by its latency allowance (3 s) and the sweep's second: at 120 kW that is 133 Wh, 2.83 rupees.
    assert 0 <= bill["refund_paise"] + bill["residue_paise"] <= 290, "and hardly anything of it was left unused"


async def test_a_car_that_leaves_early_gets_its_money_back_to_the_paisa(world: World) -> None:
    # 10:00 Rahul plugs in at a 60 kW charger and pays 100 rupees.
    site = await world.open_site(rated_power_w=60_000)
    await site.point.plug()
    paid = world.pay(site, 10_000)
    await world.rest()
    # Less than two minutes later he has to go: 1.85 kWh.
    await world.pass_seconds(111)
    await site.point.unplug()
    payment = await accounted_for(world, site, paid)
    bill = payment["bill"]
    # 1.85 kWh x 18.00 = 33.30; GST 18 % = 5.99; Razorpay took 2.36; 100.00 - 33.30 - 5.99 - 2.36 = 58.35 go back.
    assert (bill["energy_wh"], bill["energy_charge_paise"], bill["gst_paise"]) == (1850, 3330, 599)
    assert (bill["platform_fee_paise"], bill["fee_source"], bill["refund_paise"]) == (236, "WEBHOOK", 5835)
    assert (await world.transaction(payment["transaction_id"]))["stop_reason"] == "CHARGER"


async def test_paid_and_never_plugged_in_is_given_back_whole(world: World) -> None:
    # 10:00 Asha pays, gets a call, and drives off without plugging in.
    site = await world.open_site()
    paid = world.pay(site, 10_000)
    await world.rest()
    assert (await world.payment(paid))["state"] == "START_REQUESTED"
    # 10:02 The start's deadline passes; nothing can start any more.
    await world.pass_seconds(125)
    await given_back(world, paid, reason="NOT_PLUGGED_IN")
    # Later somebody else plugs in a car at the same connector: it does not charge on Asha's money.
    await site.point.plug()
    await world.pass_seconds(10)
    assert site.point.connectors[1].transaction_id is None


async def test_paid_while_the_charger_is_offline_is_given_back_with_the_reason(world: World) -> None:
    site = await world.open_site(online=False)
    paid = world.pay(site, 5_000)
    await world.rest()
    await given_back(world, paid, reason="CHARGER_OFFLINE")


async def test_paid_while_another_car_charges_is_given_back_with_the_reason(world: World) -> None:
    # 10:00 The first rider's car charges.
    site = await world.open_site()
    await site.point.plug()
    first = world.pay(site, 10_000)
    await world.rest()
    # A minute later a second rider scans the same sticker.
    await world.pass_seconds(60)
    second = world.pay(site, 5_000, vpa="priya@okaxis")
    await world.rest()
    await given_back(world, second, reason="CONNECTOR_BUSY")
    # The first session never noticed.
    assert (await world.payment(first))["state"] == "CHARGING"
    await site.point.unplug()
    await accounted_for(world, site, first)


async def test_paid_while_the_connector_is_faulted_is_given_back_with_the_reason(world: World) -> None:
    site = await world.open_site()
    await site.point.fault(1, "GroundFailure")
    await world.rest()
    paid = world.pay(site, 5_000)
    await world.rest()
    await given_back(world, paid, reason="CONNECTOR_FAULTED")


async def test_a_charger_that_rejects_the_start_is_given_back_with_the_reason(world: World) -> None:
    site = await world.open_site(quirks=Quirks.of("rejects_remote_start"))
    await site.point.plug()
    paid = world.pay(site, 5_000)
    await world.rest()
    await given_back(world, paid, reason="REMOTE_START_REJECTED")


async def test_the_same_webhook_five_times_three_at_once_is_one_session(world: World) -> None:
    site = await world.open_site()
    await site.point.plug()
    # Razorpay posts the event three times at once, and twice more after it was acknowledged.
    world.razorpay.add_webhook_rule(WebhookRule(kind="concurrent", event="qr_code.credited", count=3))
    world.razorpay.add_webhook_rule(WebhookRule(kind="duplicate", event="qr_code.credited", count=2))
    paid = world.pay(site, 10_000)
    await world.rest()
    await world.pass_seconds(60)
    await site.point.unplug()
    await accounted_for(world, site, paid)
    transactions = await world.api("GET", f"/v1/transactions?charge_point_id={site.point.id}")
    assert len(transactions["items"]) == 1
    starts = [exchange for exchange in site.point.exchanges if exchange.action == "RemoteStartTransaction"]
    assert len(starts) == 1, "one RemoteStart on the charger's socket"


async def test_a_minute_without_network_is_survived_by_the_session(world: World) -> None:
    # 10:00 A paid session runs.
    site = await world.open_site()
    await site.point.plug()
    paid = world.pay(site, 10_000)
    await world.rest()
    await world.pass_seconds(60)
    # 10:01 The network is gone for a minute; the charger goes on charging by itself.
    await site.point.disconnect(60)
    await world.pass_seconds(30)
    payment = await world.payment(paid)
    assert (await world.transaction(payment["transaction_id"]))["state"] == "SUSPENDED"
    await world.pass_seconds(90)
    running = await world.transaction(payment["transaction_id"])
    assert (running["state"], running["resume_count"]) == ("RUNNING", 1)
    # 10:04 Unplugged. One bill, for all the energy, that of the silent minute included.
    await world.pass_seconds(60)
    await site.point.unplug()
    payment = await accounted_for(world, site, paid)
    delivered = site.point.connectors[1].meter_wh
    assert payment["bill"]["energy_wh"] == delivered


async def test_a_charger_gone_for_longer_than_its_window_is_finalized_and_billed_once(world: World) -> None:
    site = await world.open_site()
    await site.point.plug()
    paid = world.pay(site, 10_000)
    await world.rest()
    await world.pass_seconds(60)
    seen = (await world.transaction((await world.payment(paid))["transaction_id"]))["confirmed_wh"]
    # 10:01 The network is gone; after 180 s the session is finalized at its last good reading.
    await site.point.disconnect(200)
    await world.pass_seconds(181)
    payment = await world.payment(paid)
    transaction = await world.transaction(payment["transaction_id"])
    assert (transaction["state"], transaction["stop_reason"]) == ("STOPPED", "DISCONNECT_TIMEOUT")
    assert transaction["energy_wh"] == seen
    # 10:04 It is back, still charging on nobody's money: it is told to stop, and what it reports is stored, never billed.
    await world.pass_seconds(120)
    await accounted_for(world, site, paid)
    late = await world.transaction(payment["transaction_id"])
    assert late["late_wh"] > 0
    assert late["energy_wh"] == seen
    assert site.point.connectors[1].transaction_id is None, "it was told to stop by the id that it uses"


async def test_ten_chargers_at_once(world: World) -> None:
    sites = [await world.open_site(rated_power_w=120_000) for _ in range(10)]
    for site in sites:
        await site.point.plug()
    payments = [world.pay(site, 3_000 + 1_000 * number) for number, site in enumerate(sites)]
    await world.rest()
    assert [(await world.payment(paid))["state"] for paid in payments] == ["CHARGING"] * 10
    # Some leave early, some stay until the money is used.
    for number, site in enumerate(sites):
        await world.pass_seconds(10)
        if number % 2:
            await site.point.unplug()
    await world.pass_seconds(120)
    for site, paid in zip(sites, payments, strict=True):
        await accounted_for(world, site, paid)


async def test_one_trace_goes_from_the_webhook_to_the_transfer(world: World) -> None:
    site = await world.open_site()
    await site.point.plug()
    world.spans.clear()
    paid = world.pay(site, 10_000)
    await world.rest()
    await world.pass_seconds(60)
    await site.point.unplug()
    await accounted_for(world, site, paid)
    spans = world.spans.get_finished_spans()
    [credited] = {
        span.context.trace_id
        for span in spans
        if span.resource.attributes["service.name"] == "payments" and span.name == "webhook qr_code.credited"
    }
    services = {span.resource.attributes["service.name"] for span in spans if span.context.trace_id == credited}
    assert {"payments", "charging", "ocpp_gateway", "settlement"} <= services
    assert any("transfer" in span.name for span in spans if span.context.trace_id == credited)


@pytest.mark.parametrize("kind", ["tampered", "wrong_secret"])
async def test_an_event_that_razorpay_did_not_sign_starts_nothing(world: World, kind: str) -> None:
    site = await world.open_site()
    await site.point.plug()
    world.razorpay.add_webhook_rule(WebhookRule(kind=kind, event="qr_code.credited", replaces=True))  # type: ignore[arg-type]
    paid = world.pay(site, 10_000)
    await world.rest()
    assert (await world.api("GET", f"/v1/payments?razorpay_payment_id={paid}"))["items"] == []
    assert site.point.connectors[1].transaction_id is None
    assert moved_refunds(world, paid) == []


async def test_two_riders_at_two_connectors_of_one_charger_do_not_meet(world: World) -> None:
    site = await world.open_site(connectors=2)
    await asyncio.gather(site.point.plug(1), site.point.plug(2))
    first, second = world.pay(site, 8_000, connector=1), world.pay(site, 9_000, connector=2, vpa="priya@okaxis")
    await world.rest()
    await world.pass_seconds(60)
    await site.point.unplug(1)
    await world.pass_seconds(30)
    await site.point.unplug(2)
    one, two = await accounted_for(world, site, first), await accounted_for(world, site, second)
    assert one["transaction_id"] != two["transaction_id"]
    assert one["bill"]["energy_wh"] == site.point.connectors[1].meter_wh
    assert two["bill"]["energy_wh"] == site.point.connectors[2].meter_wh
