"""The paid-energy guarantee through the whole of VoltLync: chargers that obey, refuse, drop and ignore; a doubtful meter.

The distribution over hundreds of sessions is `python -m tests.fleet.report`, on the same rules without I/O.
"""

import asyncio
from random import Random
from typing import Any

import pytest

from charger_simulator import ChargePoint, Quirks
from tests.e2e.accounts import accounted_for
from tests.e2e.world import Site, World

POWERS_W = (60_000, 120_000)
STOP_REASON = "BUDGET_EXHAUSTED"


def rejects_once(point: ChargePoint) -> None:
    """The first RemoteStop is refused, the second taken."""

    def answer(_: ChargePoint, __: dict[str, Any]) -> dict[str, Any]:
        point._handlers.pop("RemoteStopTransaction")
        return {"status": "Rejected"}

    point.on("RemoteStopTransaction", answer)


async def fleet(world: World, sizes: dict[str, int], *, seed: int) -> list[tuple[str, Site, str]]:
    """(behaviour, site, payment) of so many sessions, all charging."""
    random = Random(seed)
    running = []
    for behaviour, size in sizes.items():
        for _ in range(size):
            quirks = Quirks.of("ignores_stop") if behaviour == "ignores" else Quirks()
            site = await world.open_site(rated_power_w=random.choice(POWERS_W), franchised=False, quirks=quirks)
            if behaviour == "rejects":
                rejects_once(site.point)
            running.append((behaviour, site))
    for _, site in running:
        await site.point.plug()
    paid = [(behaviour, site, world.pay(site, random.randrange(1000, 2000, 100))) for behaviour, site in running]
    await world.rest()
    return paid


async def overspend(world: World, sizes: dict[str, int], *, seed: int, seconds: int) -> dict[str, list[int]]:
    """What was delivered beyond the money, in paise, by behaviour; every session has ended by its budget."""
    random = Random(seed)
    sessions = await fleet(world, sizes, seed=seed)
    for second in range(0, seconds, 5):
        for _, site, _ in sessions:
            point = site.point
            if random.random() < 0.2:  # cars taper, and draw a little more or less
                wanted = point.connectors[1].ev_power_w
                point.set_power(1, max(3000, int(wanted * random.uniform(0.85, 1.02))))
        if second == 15:
            await asyncio.gather(*(site.point.disconnect(40) for kind, site, _ in sessions if kind == "drops"))
        await world.pass_seconds(5)
    found: dict[str, list[int]] = {}
    for behaviour, site, paid in sessions:
        payment = await world.payment(paid)
        transaction = await world.transaction(payment["transaction_id"])
        if behaviour == "ignores" and transaction["state"] != "STOPPED":
            assert transaction["stop_attempt"] >= 3, "stronger means than RemoteStop are being tried"
            assert site.point.connectors[1].power_w == 0, "the 0 A profile holds"
            continue
        assert (transaction["state"], transaction["stop_reason"]) == ("STOPPED", STOP_REASON), (behaviour, transaction)
        found.setdefault(behaviour, []).append(payment["bill"]["shortfall_paise"])
        energy = await world.api("GET", f"/v1/transactions/{payment['transaction_id']}/energy")
        assert energy["evidence"]["billed_wh"] == transaction["energy_wh"]
    return found


async def test_a_small_fleet_stays_within_what_was_paid(world: World) -> None:
    found = await overspend(world, {"obeys": 3, "rejects": 1, "drops": 1}, seed=5, seconds=110)
    assert found["obeys"] == [0] * 3, "nothing is delivered beyond the money where the charger obeys"
    # A refusal costs one way there and back: what 120 kW deliver in the second until the next sweep is 71 paise.
    assert max(found["rejects"]) <= 75


@pytest.mark.long
async def test_a_fleet_stays_within_what_was_paid(world: World) -> None:
    found = await overspend(world, {"obeys": 60, "rejects": 20, "drops": 10, "ignores": 10}, seed=6, seconds=300)
    assert found["obeys"] == [0] * 60


async def test_a_meter_that_jumps_is_billed_the_smaller_figure_and_its_payout_waits_for_a_person(world: World) -> None:
    # 10:00 A meter that at the very end shows what no connector delivers in the time.
    site = await world.open_site(rated_power_w=60_000, quirks=Quirks(payload_changes={"StopTransaction": {"meterStop": 900_000}}))
    await site.point.plug()
    paid = world.pay(site, 10_000)
    await world.rest()
    await world.pass_seconds(100)
    await site.point.unplug()
    await world.pass_seconds(30)
    payment = await world.payment(paid)
    transaction = await world.transaction(payment["transaction_id"])
    assert transaction["implausible"] is True
    assert 0 < transaction["energy_wh"] <= site.point.connectors[1].meter_wh, "never more than what flowed"
    energy = await world.api("GET", f"/v1/transactions/{payment['transaction_id']}/energy")
    assert energy["evidence"]["confidence"] == "DISPUTABLE"
    assert energy["evidence"]["meter_stop"] == "IMPLAUSIBLE"
    assert energy["sentence"].startswith("DISPUTABLE: ")
    # The franchisee's entry is on hold: no transfer leaves until somebody lets it go.
    world.razorpay.settle()
    await world.rest()
    entry = await world.found(f"/v1/ledger-entries?transaction_id={payment['transaction_id']}", role="finance")
    assert (entry["status"], entry["razorpay_transfer_id"]) == ("ON_HOLD", None)


async def test_an_honest_session_is_exact(world: World) -> None:
    site = await world.open_site(rated_power_w=60_000)
    await site.point.plug()
    paid = world.pay(site, 10_000)
    await world.rest()
    await world.pass_seconds(45)
    await site.point.unplug()
    payment = await accounted_for(world, site, paid)
    energy = await world.api("GET", f"/v1/transactions/{payment['transaction_id']}/energy")
    assert energy["evidence"]["confidence"] == "EXACT", energy
    [segment] = energy["evidence"]["segments"]
    assert (segment["from_reading"], segment["counted_wh"]) == ("meterStart", energy["billed_wh"])
    assert segment["to_reading"].endswith("/meterStop")
