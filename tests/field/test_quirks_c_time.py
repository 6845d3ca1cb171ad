"""Quirk tables C and D: clocks and BootNotification. Each test bears the number of its row in `ocpp.md` Part 1."""

import re
from datetime import timedelta

import pytest

from charger_simulator import Quirks
from testkit.field import Field


async def billed_all(field: Field, **session: object) -> None:
    """A session of two minutes is billed exactly what its meter says."""
    outlet = await field.session(**session)
    await field.pass_seconds(60)
    await outlet.point.unplug()
    await field.rest()
    transaction = await field.transaction(outlet)
    assert (transaction["state"], transaction["stop_reason"]) == ("STOPPED", "CHARGER")
    assert transaction["energy_wh"] == outlet.point.connectors[1].meter_wh > 0
    assert not transaction["implausible"]


@pytest.mark.quirk(33)
async def test_row_33_local_time_without_a_zone_moves_no_money(field: Field) -> None:
    # India's clock, and no zone to say so.
    await billed_all(field, quirks=Quirks(timestamp_zone="", clock_offset_seconds=5.5 * 3600))


@pytest.mark.quirk(34)
async def test_row_34_a_clock_of_1970_moves_no_money(field: Field) -> None:
    await billed_all(field, quirks=Quirks.of("clock_in_1970"))


@pytest.mark.quirk(35)
async def test_row_35_local_time_that_says_utc_moves_no_guard(field: Field) -> None:
    # Two hours ahead: the session still suspends, resumes and ends by our clock.
    outlet = await field.session(quirks=Quirks(clock_offset_seconds=2 * 3600))
    await outlet.point.disconnect(30)
    await field.pass_seconds(100)
    transaction = await field.transaction(outlet)
    assert (transaction["state"], transaction["resume_count"]) == ("RUNNING", 1)
    await outlet.point.disconnect()
    await field.pass_seconds(179)
    assert (await field.transaction(outlet))["state"] == "SUSPENDED"
    await field.pass_seconds(3)
    assert (await field.transaction(outlet))["stop_reason"] == "DISCONNECT_TIMEOUT"


@pytest.mark.quirk(36)
async def test_row_36_a_flood_of_history_moves_nothing_newer_and_stops_nobody(field: Field) -> None:
    outlet = await field.session()
    before = await field.transaction(outlet)
    bare_status = (await field.connector(outlet))["status"]
    then = field.clock.now() - timedelta(days=2)
    for minutes in range(5):
        at = (then + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
        values = [{"value": str(9_000_000 + minutes), "context": "Sample.Clock", "unit": "Wh"}]
        await outlet.point.call("MeterValues", {"connectorId": 1, "meterValue": [{"timestamp": at, "sampledValue": values}]})
    at = then.strftime("%Y-%m-%dT%H:%M:%SZ")
    await outlet.point.call("StopTransaction", {"transactionId": 999_999, "meterStop": 12, "timestamp": at})
    await field.rest()
    after = await field.transaction(outlet)
    assert (after["state"], after["stop_intent"]) == ("RUNNING", None)
    assert after["confirmed_wh"] == before["confirmed_wh"]
    assert (await field.connector(outlet))["status"] == bare_status


@pytest.mark.quirk(37)
async def test_row_37_our_times_are_plain(field: Field) -> None:
    bare = await field.bare(await field.outlet(online=False))
    plain = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
    assert plain.fullmatch((await bare.boot())["currentTime"])
    assert plain.fullmatch((await bare.call("Heartbeat", {}))["currentTime"])


@pytest.mark.quirk(38)
async def test_row_38_a_boot_mid_session_suspends_and_its_readings_resume(field: Field) -> None:
    outlet = await field.session(quirks=Quirks.of("resumes_after_reboot"))
    await outlet.point.reboot()
    await field.pass_seconds(100)
    transaction = await field.transaction(outlet)
    assert (transaction["state"], transaction["resume_count"]) == ("RUNNING", 1)
    await outlet.point.unplug()
    await field.rest()
    assert (await field.transaction(outlet))["energy_wh"] == outlet.point.connectors[1].meter_wh


@pytest.mark.quirk(39)
async def test_row_39_a_forgotten_session_ends_at_its_last_good_reading(field: Field) -> None:
    outlet = await field.session(quirks=Quirks.of("forgets_transaction_on_reboot"))
    known = (await field.transaction(outlet))["confirmed_wh"]
    assert known > 0
    await outlet.point.reboot()
    await field.pass_seconds(200)
    transaction = await field.transaction(outlet)
    assert (transaction["state"], transaction["energy_wh"]) == ("STOPPED", known)
    assert transaction["stop_reason"] in ("BOOT_TIMEOUT", "CONNECTOR_UNAVAILABLE")


@pytest.mark.quirk(40)
async def test_row_40_a_boot_at_every_reconnect_is_no_reboot_and_counts_once(field: Field) -> None:
    outlet = await field.session(quirks=Quirks.of("boots_on_reconnect"))
    for _ in range(4):
        await outlet.point.disconnect(5)
        await field.pass_seconds(70)
    transaction = await field.transaction(outlet)
    # Energy flows between the drops: four of them are no flapping.
    assert (transaction["state"], transaction["resume_count"]) == ("RUNNING", 4)
    # Without energy between, the third drop is the last, not the second: drop and boot are one.
    outlet.point.set_power(1, 0)
    await field.pass_seconds(70)
    for state in ("RUNNING", "RUNNING", "STOPPED"):
        await outlet.point.disconnect(5)
        await field.pass_seconds(70)
        assert (await field.transaction(outlet))["state"] == state
    assert (await field.transaction(outlet))["stop_reason"] == "FLAP_LIMIT"


@pytest.mark.quirk(41)
async def test_row_41_a_stop_whose_start_was_lost_is_kept_and_charges_nobody(field: Field) -> None:
    outlet = await field.outlet(online=False)
    bare = await field.bare(outlet)
    await bare.boot()
    stop = {"transactionId": 4711, "meterStop": 5000, "timestamp": "2026-01-05T04:00:00Z", "idTag": "ABC", "reason": "PowerLoss"}
    assert isinstance(await bare.call("StopTransaction", stop), dict)
    await field.rest()
    assert await field.transactions(outlet) == []
    orphan = await field.admin.fetchrow(
        "SELECT o.* FROM charging.orphans o JOIN charging.chargers c ON c.id = o.charger_id WHERE c.charge_point_id = $1",
        outlet.charge_point_id,
    )
    assert orphan is not None
    assert orphan["reported_transaction_id"] == 4711
