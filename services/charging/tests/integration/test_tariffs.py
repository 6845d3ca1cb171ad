"""Tariff versions over the API, as payments asks for them, and in a session's explanation."""

from datetime import timedelta

import asyncpg
import pytest

from chassis.web import Role
from contracts.charging import TariffRequested, TransactionStopped
from contracts.topology import address_from

pytestmark = pytest.mark.servers


def z(at):
    """A time as a query's text."""
    return at.isoformat().replace("+00:00", "Z")


async def test_versions_follow_one_another_and_what_holds_is_told(world):
    charger = await world.charger()
    now = world.clock.now()

    async def enter(name, *, status=201, **what):
        body = {"name": name, "paise_per_kwh": 2000, **what}
        return await world.call("POST", "/v1/tariffs", json=body, status=status)

    async def holds(at=now, **who):
        return await world.call("GET", f"/v1/tariffs/in-force?charge_point_id=cp-1&at={z(at)}", **who)

    async def asked(at):
        query = TariffRequested(charge_point_id=charger.name, at=at)
        return await world.bus.ask(query, to=address_from("payments")(query), answer=query.ANSWER, timeout_seconds=60)

    station = f"stn_{charger.station_id}"
    later = await enter("next year", station_id=station, effective_from=z(now + timedelta(days=2)))
    own = await enter("night", charger_id=f"chg_{charger.id}", effective_from=z(now + timedelta(days=3)), gst_bps=500)
    assert (later["state"], later["all_in_paise_per_kwh"], later["effective_until"]) == ("PLANNED", 2360, None)
    [first] = [item for item in (await world.call("GET", f"/v1/tariffs?station_id={station}"))["items"] if item["name"] == "day"]
    assert (first["state"], first["effective_until"], first["all_in_paise_per_kwh"]) == ("CURRENT", later["effective_from"], 2124)

    found = await holds()
    assert found["tariff"] == first
    assert [(change["holds_from"], change["tariff"]["id"]) for change in found["planned"]] == [
        (later["effective_from"], later["id"]),
        (own["effective_from"], own["id"]),
    ]
    assert (await holds(now + timedelta(days=2)))["tariff"]["id"] == later["id"]
    assert (await holds(now - timedelta(days=9)))["tariff"] is None
    assert (await holds(now + timedelta(days=9)))["planned"] == []
    assert (await world.call("GET", f"/v1/tariffs/in-force?charger_id=chg_{charger.id}"))["tariff"] == first
    told = await asked(now)
    assert (told.paise_per_kwh, told.gst_bps, told.all_in_paise_per_kwh) == (1800, 1800, 2124)
    assert told.effective_until == now + timedelta(days=2)
    assert (await asked(now + timedelta(days=4))).all_in_paise_per_kwh == 2100
    assert (await asked(now - timedelta(days=9))).tariff_id is None

    # A franchisee asks for its own chargers, and for nobody else's.
    await holds(role=Role.FRANCHISEE, franchisee_id=5)
    await holds(role=Role.FRANCHISEE, franchisee_id=6, status=404)
    await world.call("GET", "/v1/tariffs/in-force", status=422)

    # Nothing is dated back, and no version is ever changed.
    problem = await enter("yesterday", effective_from=z(now - timedelta(seconds=1)), status=422)
    assert [error["pointer"] for error in problem["errors"]] == ["#/body/effective_from"]
    with pytest.raises(asyncpg.RestrictViolationError):
        await world.admin.execute("UPDATE charging.tariffs SET paise_per_kwh = 1")


async def test_a_session_names_its_version_and_its_place_and_can_be_explained(world):
    charger = await world.charger()
    station = f"/v1/stations/stn_{charger.station_id}"
    problem = await world.call("PATCH", station, json={"state": "Atlantis"}, status=422)
    assert [error["pointer"] for error in problem["errors"]] == ["#/body/state"]
    assert (await world.call("PATCH", station, json={"state": "29", "name": "MG Road"}))["state"] == "Karnataka"
    await charger.connect()
    transaction_id = await charger.start_paid()
    path = f"/v1/transactions/txn_{transaction_id}/explanation"
    await world.call("GET", path, status=409)
    # What is changed or planned while it runs is not its own.
    await world.call("PATCH", station, json={"state": "Kerala"})
    await world.call("POST", "/v1/tariffs", json={"name": "new", "paise_per_kwh": 9900}, status=201)
    await charger.charge(transaction_id, from_wh=1000, seconds=1800, power_w=7200)
    await charger.stop(transaction_id, 4600)
    await world.settle()
    [stopped] = await world.said(TransactionStopped)
    assert (stopped.station_name, stopped.station_state_code) == ("MG Road", "29")
    told = await world.call("GET", path)
    energy, amounts = told["energy"], {amount["name"]: amount for amount in told["amounts"]}
    assert (energy["billed_wh"], energy["counted_wh"], energy["smaller_because"]) == (3600, 3600, None)
    assert (energy["meter_start_wh"], energy["meter_stop_wh"], energy["readings"] > 0) == (1000, 4600, True)
    assert (amounts["energy_charge"]["paise"], amounts["gst"]["paise"]) == (6480, 1166)
    assert amounts["energy_charge"]["sources"]["tariff_paise_per_kwh"] == f"tariff {told['tariff']['id']}"
    assert told["tariff"]["effective_from"] == z(stopped.tariff_effective_from)
    for words in ("EXACT", "3.600 kWh at ₹18.00 a kWh make ₹64.80", "in force since"):
        assert words in told["paragraph"]
    await world.call("GET", path, role=Role.FRANCHISEE, franchisee_id=6, status=404)


async def test_why_less_was_billed_than_the_register_shows_is_said(world):
    charger = await world.charger()
    await charger.connect()
    transaction_id = await charger.start_paid()
    await charger.charge(transaction_id, from_wh=1000, seconds=60, power_w=3600)
    # A stop that shows more than the connector can deliver.
    await charger.stop(transaction_id, 900_000)
    await world.settle()
    told = await world.call("GET", f"/v1/transactions/txn_{transaction_id}/explanation")
    assert "can't have delivered" in told["energy"]["smaller_because"]
    assert told["energy"]["smaller_because"] in told["paragraph"]
    assert told["energy"]["billed_wh"] < 900_000 - 1000
