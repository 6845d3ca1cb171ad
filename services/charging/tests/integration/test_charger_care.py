"""Quirk profiles at work, errors and signal as history, chargers that nobody registered, and the operator's own availability."""

import asyncio
import json

import pytest

from charging.usecases import record_error, unknown_charge_points
from charging.usecases.show_reports import forget_reports
from chassis.web import Role
from contracts.charging import AuditRecorded, ChargerCredentialsChanged, StartRefusal, StartRefused
from contracts.ocpp_gateway import (
    BootNotificationReceived,
    CredentialsListRequested,
    DataTransferDecision,
    DataTransferReceived,
    StatusNotificationReceived,
    UnknownChargePointSeen,
)
from contracts.topology import address_from

pytestmark = pytest.mark.servers

GUARD_SECONDS = 120.0
"""An I/O guard: what is waited for comes in milliseconds, or never."""


@pytest.fixture(scope="module")
def sweep_seconds():
    """No deadline is met here by the second."""
    return 30


async def until(condition, what):
    """Wait for what comes through a queue that `World.settle` does not watch."""
    try:
        async with asyncio.timeout(GUARD_SECONDS):
            while not await condition():
                await asyncio.sleep(0.01)
    except TimeoutError:
        pytest.fail(f"did not happen: {what}")


async def boot_as(charger, vendor, model, firmware=None):
    """Connect, and say at boot of what make it is."""
    await charger.connect(boot=False, status=None)
    await charger.world.send(
        BootNotificationReceived(
            **charger.head(), charge_point_vendor=vendor, charge_point_model=model, firmware_version=firmware
        )
    )
    await charger.status("Preparing")


# --- quirk profiles --------------------------------------------------------------------------------------------------------


async def test_what_applies_to_a_charger_is_shown_with_where_it_comes_from(world):
    listed = {item["name"]: item for item in (await world.call("GET", "/v1/quirk-profiles"))["items"]}
    assert listed["openevse-kwh"]["evidence"][0] == {
        "row": 61,
        "source": "OpenEVSE#703",
        "says": "kWh labelled Wh: 361 to 362 in 7 minutes at 9.4 kW",
    }
    charger = await world.charger()
    path = f"/v1/chargers/chg_{charger.id}"
    before = await world.call("GET", f"{path}/quirks")
    assert (before["vendor"], before["profiles"], before["origins"]) == (None, [], {})
    await boot_as(charger, "openevse", "OpenEVSE WiFi", "4.2.2")
    shown = await world.call("GET", f"{path}/quirks")
    assert [profile["name"] for profile in shown["profiles"]] == ["openevse", "openevse-kwh"]
    assert (shown["effective"]["energy_unit"], shown["origins"]["energy_unit"]) == ("kWh", ["openevse-kwh"])
    await world.call("PATCH", path, json={"quirks": {"energy_unit": "Wh", "configuration": {"FreeMode": None}}})
    shown = await world.call("GET", f"{path}/quirks")
    assert (shown["effective"]["energy_unit"], shown["origins"]["energy_unit"]) == ("Wh", ["override"])
    assert shown["override"] == {"energy_unit": "Wh", "configuration": {"FreeMode": None}}
    await world.call("PATCH", path, json={"quirks": {}})  # the override as a whole
    assert (await world.call("GET", f"{path}/quirks"))["effective"]["energy_unit"] == "kWh"
    await world.call("GET", f"{path}/quirks", role=Role.FRANCHISEE, franchisee_id=6, status=404)
    problem = await world.call("PATCH", path, json={"quirks": {"denied_actions": ["no such word!"]}}, status=422)
    assert problem["errors"][0]["pointer"].startswith("#/body/quirks/denied_actions")


async def test_a_model_that_keeps_another_transaction_id_is_stopped_by_that_one_first(world):  # row 51
    charger = await world.charger()
    await boot_as(charger, "Simpson & Partners", "7 Plus")
    transaction_id = await charger.start_paid()
    await charger.meter(1758670080, 1010)
    await world.call("POST", f"/v1/transactions/txn_{transaction_id}/stop", status=202)
    await world.settle()
    assert charger.last_command("RemoteStopTransaction").payload == {"transactionId": 1758670080}


@pytest.mark.parametrize(("vendor", "after_the_first"), [("Grizzl-E", 104), ("Acme", 0)])
async def test_a_register_known_to_count_the_session_is_not_doubted_at_its_first_reading(
    world, vendor, after_the_first
):  # row 62
    charger = await world.charger()
    await boot_as(charger, vendor, "Smart")
    transaction_id = await charger.start_paid(meter_start_wh=4_076_400)
    await world.pass_time(60)
    await charger.meter(transaction_id, 104)
    assert (await world.transaction(transaction_id))["confirmed_wh"] == after_the_first
    await world.pass_time(60)
    await charger.meter(transaction_id, 228)
    row = await world.transaction(transaction_id)
    assert row["confirmed_wh"] == 228  # found out by the second at the latest
    assert json.loads(row["meter_trail"])["began"] == "SESSION_RELATIVE"


async def test_a_unit_known_to_be_wrong_is_put_right(world):  # row 61
    charger = await world.charger(rated_power_w=60_000)
    await boot_as(charger, "OpenEVSE", "OpenEVSE", "4.2.2")
    transaction_id = await charger.start_paid(meter_start_wh=361_000)
    await world.pass_time(60)
    await charger.meter(transaction_id, 362)  # says Wh
    assert (await world.transaction(transaction_id))["confirmed_wh"] == 1000


async def test_a_slow_model_is_given_its_time_to_answer(world):  # row 94
    charger = await world.charger()
    await boot_as(charger, "StarCharge", "Artemis")
    await charger.pay()
    assert charger.last_command("RemoteStartTransaction").timeout_seconds == 60


async def test_gateways_are_told_who_never_comes_back_after_a_close_frame(world):  # row 8
    charger = await world.charger()
    await charger.connect()
    assert await world.said(ChargerCredentialsChanged) == []
    await boot_as(charger, "FoxESS", "A022KP1")
    path = f"/v1/chargers/chg_{charger.id}"
    await world.call("PATCH", path, json={"quirks": {"close_without_frame": False}})
    await world.call("PATCH", path, json={"quirks": {"close_without_frame": False, "energy_unit": "Wh"}})  # no news to a gateway
    await world.call("PATCH", path, json={"quirks": {}})
    assert [said.close_without_frame for said in await world.said(ChargerCredentialsChanged)] == [True, False, True]
    query = CredentialsListRequested(charge_point_id="CP-1")
    page = await world.bus.ask(query, to=address_from("ocpp_gateway")(query), answer=query.ANSWER, timeout_seconds=600)
    assert [credential.close_without_frame for credential in page.credentials] == [True]


# --- unknown charge points -------------------------------------------------------------------------------------------------


async def knock(world, name, **more):
    """A gateway tells that it refused this one; the row that comes of it."""
    count = "SELECT times FROM charging.unknown_charge_points WHERE lower(charge_point_id) = lower($1)"
    before = await world.admin.fetchval(count, name)
    event = UnknownChargePointSeen(charge_point_id=name, seen_at=world.clock.now(), **more)
    await world.bus.publish(event, to=address_from("ocpp_gateway")(event))

    async def noted():
        return await world.admin.fetchval(count, name) not in (before, None)

    await until(noted, f"{name} is noted")


async def test_a_charge_point_that_nobody_registered_is_listed_and_adopted(world):
    await knock(world, "New-7", remote_address="203.0.113.9", user_agent="TinyWebsockets Client")
    first = world.clock.now()
    await world.pass_time(60)
    await knock(world, "NEW-7", remote_address="203.0.113.77")
    [listed] = (await world.call("GET", "/v1/unknown-charge-points", role=Role.OPERATOR))["items"]
    assert (listed["charge_point_id"], listed["times"], listed["network"]) == ("NEW-7", 2, "203.0.113.0/24")
    assert listed["first_seen_at"] == first.isoformat().replace("+00:00", "Z")
    await world.call("GET", "/v1/unknown-charge-points", role=Role.FRANCHISEE, franchisee_id=5, status=403)

    station = await world.call("POST", "/v1/stations", json={"name": "MG Road"}, status=201)
    wanted = {"station_id": station["id"], "connector_kind": "socket", "rated_power_w": 3300, "connectors": 2}
    path = f"/v1/unknown-charge-points/{listed['id']}/adopt"
    await world.call("POST", path, json=wanted, role=Role.OPERATOR, status=403)
    made = await world.call("POST", path, json=wanted, status=201)
    assert (made["charge_point_id"], len(made["password"]), made["rated_power_w"]) == ("NEW-7", 40, 3300)
    [announced] = await world.said(ChargerCredentialsChanged)
    assert announced.charge_point_id == "NEW-7"
    assert (await world.call("GET", "/v1/unknown-charge-points"))["items"] == []
    await world.call("POST", path, json=wanted, status=404)
    assert len((await world.call("GET", f"/v1/connectors?charger_id={made['id']}"))["items"]) == 2
    assert [said.after["tried_as"] for said in await world.said(AuditRecorded) if said.action == "adopted"] == ["NEW-7"]


async def test_what_is_registered_or_forgotten_is_no_longer_listed(world):
    await knock(world, "A-1")
    await knock(world, "B 2")
    listed = {item["charge_point_id"]: item["id"] for item in (await world.call("GET", "/v1/unknown-charge-points"))["items"]}
    station = await world.call("POST", "/v1/stations", json={"name": "MG Road"}, status=201)
    wanted = {"station_id": station["id"], "connector_kind": "socket", "rated_power_w": 3300}
    # A space can't stand in a registered id: another spelling has to be given, and set at the charger.
    path = f"/v1/unknown-charge-points/{listed['B 2']}"
    problem = await world.call("POST", f"{path}/adopt", json=wanted, status=422)
    assert [error["pointer"] for error in problem["errors"]] == ["#/body/charge_point_id"]
    await world.call("DELETE", path, status=204)
    await world.call("DELETE", path, status=404)
    await world.call("POST", "/v1/chargers", json=wanted | {"charge_point_id": "a-1"}, status=201)
    assert (await world.call("GET", "/v1/unknown-charge-points"))["items"] == []
    # A gateway that has not heard of it yet tells of it once more: no news.
    late = UnknownChargePointSeen(charge_point_id="A-1", seen_at=world.clock.now())
    await world.bus.publish(late, to=address_from("ocpp_gateway")(late))
    await knock(world, "C-3")
    assert [item["charge_point_id"] for item in (await world.call("GET", "/v1/unknown-charge-points"))["items"]] == ["C-3"]


async def test_the_list_is_bounded_and_keeps_those_that_come_again(world, monkeypatch):
    monkeypatch.setattr(unknown_charge_points, "REMEMBERED_MAX", 3)
    await knock(world, "again")
    await knock(world, "again")
    for number in range(5):
        await world.pass_time(1)
        await knock(world, f"once-{number}")
    names = [item["charge_point_id"] for item in (await world.call("GET", "/v1/unknown-charge-points"))["items"]]
    assert sorted(names) == ["again", "once-3", "once-4"]


# --- availability ----------------------------------------------------------------------------------------------------------


async def test_a_connector_out_of_service_sells_nothing_whatever_it_reports(world):
    charger = await world.charger()
    await charger.connect(status=None)
    await charger.status("Available")
    await charger.status("Available", connector_id=2)
    path = f"/v1/chargers/chg_{charger.id}/connectors/1"
    changed = await world.call("PATCH", path, json={"operative": False})
    assert (changed["operative"], changed["status"]) == (False, "Available")
    await world.settle()
    assert world.commands == []  # it was not asked to be told
    await charger.pay("qr_payment_1")
    [refused] = await world.said(StartRefused)
    assert (refused.reason, refused.detail) == (StartRefusal.CONNECTOR_UNAVAILABLE, "The connector is out of service.")
    await charger.pay("qr_payment_2", connector_id=2)  # the neighbour sells on
    assert charger.last_command("RemoteStartTransaction").payload["connectorId"] == 2
    # What it reports afterwards does not touch the operator's will.
    await charger.status("Unavailable")
    await charger.status("Available")
    assert (await world.call("GET", path))["operative"] is False
    await world.call("PATCH", path, json={"operative": True})
    await charger.pay("qr_payment_3")
    assert charger.last_command("RemoteStartTransaction").payload["connectorId"] == 1


async def test_a_charger_out_of_service_is_told_so_where_that_is_asked_for(world):
    charger = await world.charger()
    await charger.connect()
    path = f"/v1/chargers/chg_{charger.id}"
    changed = await world.call("PATCH", path, json={"operative": False, "tell_charger": True})
    assert changed["operative"] is False
    await world.settle()
    assert charger.last_command("ChangeAvailability").payload == {"connectorId": 0, "type": "Inoperative"}
    await charger.answer(charger.last_command("ChangeAvailability"), "Rejected")
    await charger.pay()
    [refused] = await world.said(StartRefused)
    assert (refused.reason, refused.detail) == (StartRefusal.CONNECTOR_UNAVAILABLE, "The charger is out of service.")
    await world.call("PATCH", f"{path}/connectors/1", json={"operative": True, "tell_charger": True})
    await world.settle()
    assert charger.last_command("ChangeAvailability").payload == {"connectorId": 1, "type": "Operative"}
    for body, where in (({"tell_charger": True}, path), ({"tell_charger": True}, f"{path}/connectors/1")):
        problem = await world.call("PATCH", where, json=body, status=422)
        assert problem["errors"][0]["pointer"] == "#/body/tell_charger"
    await charger.status("Available", connector_id=0)
    problem = await world.call("PATCH", f"{path}/connectors/0", json={"operative": False}, status=422)
    assert problem["errors"][0]["detail"] == "Set it on the charger"


@pytest.mark.parametrize(("taken_out", "told"), [(False, ["Inoperative", "Operative"]), (True, ["Inoperative"])])
async def test_what_an_escalation_closed_stays_closed_if_the_operator_took_it_out_of_service(world, taken_out, told):
    charger = await world.charger(rated_power_w=60_000)
    await charger.connect()
    path = f"/v1/chargers/chg_{charger.id}"
    await world.call("PATCH", path, json={"quirks": {"stop_escalation": ["INOPERATIVE"]}})
    transaction_id = await charger.start_paid()
    await world.call("POST", f"/v1/transactions/txn_{transaction_id}/stop", status=202)
    await world.settle()
    for minute in (1, 2, 3):  # two stops are ignored, the third means is stronger
        await world.pass_time(30)
        await charger.meter(transaction_id, 1000 + 100 * minute)
        await world.pass_time(30)
    if taken_out:
        await world.call("PATCH", f"{path}/connectors/1", json={"operative": False})
    await charger.stop(transaction_id, 1300)
    await world.settle()
    assert [command.payload["type"] for command in charger.sent("ChangeAvailability")] == told


# --- errors ----------------------------------------------------------------------------------------------------------------


async def report(charger, error_code="NoError", status="Faulted", *, connector_id=1, head=None, **more):
    await charger.world.send(
        StatusNotificationReceived(
            **(head or charger.head()), connector_id=connector_id, status=status, error_code=error_code, **more
        )
    )


async def errors(world, query=""):
    return (await world.call("GET", f"/v1/charger-errors{query}"))["items"]


async def test_an_error_is_open_from_its_first_report_until_no_error(world):
    charger = await world.charger()
    await charger.connect(status="Available")
    opened_at = world.clock.now()
    said = {"vendor_id": "ABB", "vendor_error_code": "0x0017", "info": "earth leakage"}
    await report(charger, "GroundFailure", **said)
    await world.pass_time(60)
    await report(charger, "GroundFailure", status="Unavailable", **said)
    [found] = await errors(world)
    assert (found["open"], found["occurrences"], found["status"], found["info"]) == (True, 2, "Unavailable", "earth leakage")
    assert (found["vendor_id"], found["vendor_error_code"], found["connector_id"]) == ("ABB", "0x0017", 1)
    assert found["opened_at"] == opened_at.isoformat().replace("+00:00", "Z")
    await report(charger, status="Available")
    [found] = await errors(world)
    assert (found["open"], found["resolution"]) == (False, "NoError with status Available")
    await report(charger, "GroundFailure", **said)  # it is back: a new one
    assert [(e["open"], e["occurrences"]) for e in await errors(world)] == [(True, 1), (False, 2)]
    audited = [said.action for said in await world.said(AuditRecorded) if said.action.startswith("error")]
    assert audited == ["error_opened", "error_resolved", "error_opened"]


async def test_each_connector_has_its_own_errors_and_each_vendor_code_is_one(world):  # row 47
    charger = await world.charger()
    await charger.connect(status="Available")
    await report(charger, "InternalError", connector_id=0, info="Modbus TCP/IP lost, in safe mode")
    await report(charger, "OtherError", vendor_error_code="E1")
    await report(charger, "OtherError", vendor_error_code="E2")
    await report(charger, status="Charging")
    found = {(e["connector_id"], e["vendor_error_code"]): e["open"] for e in await errors(world)}
    assert found == {(0, ""): True, (1, "E1"): False, (1, "E2"): False}
    await report(charger, status="Available", connector_id=0)
    assert await errors(world, "?open=true") == []


async def test_healthy_reports_with_junk_open_nothing(world):  # row 48
    charger = await world.charger()
    await charger.connect(status="Available")
    await report(charger, status="Charging", info="null", vendor_id="null", vendor_error_code="0x0000")
    await report(charger, status="Available", vendor_error_code="0x0017")
    assert await errors(world) == []
    await report(charger, "OtherError", status="Finishing", info="null", vendor_error_code="0x0000")
    [found] = await errors(world)
    assert (found["info"], found["vendor_error_code"], found["status"]) == ("", "", "Finishing")


async def test_a_report_delivered_again_or_late_changes_nothing(world):
    charger = await world.charger()
    await charger.connect(status="Available")
    early, faulty, healthy = charger.head(), charger.head(), charger.head()
    await report(charger, "GroundFailure", head=faulty)
    await report(charger, "GroundFailure", head=faulty)
    await report(charger, status="Available", head=early)
    [found] = await errors(world)
    assert (found["open"], found["occurrences"]) == (True, 1)
    await report(charger, status="Available", head=healthy)
    await report(charger, "GroundFailure", head=faulty)
    assert [(e["open"], e["occurrences"]) for e in await errors(world)] == [(False, 1)]


async def test_errors_are_filtered_and_shown_to_whom_they_concern(world):
    one, two = await world.charger("CP-1"), await world.charger("CP-2")
    for charger in (one, two):
        await charger.connect(status="Available")
        await report(charger, "HighTemperature")
        await report(charger, "InternalError", connector_id=0)
        await report(charger, status="Available")

    async def codes(query):
        return {(e["charge_point_id"], e["error_code"]) for e in await errors(world, query)}

    assert len(await codes("")) == 4
    assert await codes(f"?charger_id=chg_{one.id}&open=true") == {("CP-1", "InternalError")}
    assert await codes(f"?station_id=stn_{two.station_id}&connector_id=1") == {("CP-2", "HighTemperature")}
    assert await codes("?error_code=HighTemperature&open=false") == {("CP-1", "HighTemperature"), ("CP-2", "HighTemperature")}
    first = await world.call("GET", "/v1/charger-errors?limit=3")
    rest = await world.call("GET", f"/v1/charger-errors?limit=3&cursor={first['next_cursor']}")
    assert (len(first["items"]), len(rest["items"]), rest["next_cursor"]) == (3, 1, None)
    foreign = {"role": Role.FRANCHISEE, "franchisee_id": 6}
    assert (await world.call("GET", "/v1/charger-errors", **foreign))["items"] == []
    # A week later only what is still open is shown unasked.
    await world.admin.execute("UPDATE charging.charger_errors SET last_seen_at = last_seen_at - interval '8 days'")
    assert await codes("") == {("CP-1", "InternalError"), ("CP-2", "InternalError")}
    assert len(await codes("?since=2020-01-01T00:00:00Z")) == 4


async def test_a_charger_that_invents_codes_does_not_fill_the_history(world, monkeypatch):
    monkeypatch.setattr(record_error, "OPEN_MAX", 3)
    charger = await world.charger()
    await charger.connect(status="Available")
    for number in range(5):
        await world.put(
            StatusNotificationReceived(
                **charger.head(), connector_id=1, status="Faulted", error_code="OtherError", vendor_error_code=f"E{number + 1}"
            )
        )
    await world.settle()
    assert await world.admin.fetchval("SELECT count(*) FROM charging.charger_errors") == 3


# --- signal quality --------------------------------------------------------------------------------------------------------


async def signal(charger, data):
    world = charger.world
    question = DataTransferReceived(**charger.head(), vendor_id="VoltLync", message_id_text="SignalQuality", data=data)
    world.published += 1
    answer = await world.bus.ask(
        question, to=address_from("ocpp_gateway")(question), answer=DataTransferDecision, timeout_seconds=600
    )
    await world.settle()
    return answer.status


async def test_signal_quality_is_kept_as_history_and_told_in_words(world):
    one, two = await world.charger("CP-1"), await world.charger("CP-2")
    await one.connect(status="Available")
    await two.connect(status="Available")
    assert await signal(one, '{"rssi": 18, "ber": 0}') == "Accepted"
    await world.pass_time(30)
    assert await signal(one, {"rssi": 4, "ber": 99}) == "Accepted"
    assert await signal(two, {"rssi": 99, "ber": 7}) == "Accepted"
    for nonsense in ({"rssi": 32, "ber": 0}, {"rssi": 3, "ber": 8}, {"rssi": -1, "ber": 0}, {"rssi": 3}, "rubbish", None):
        assert await signal(one, nonsense) == "Rejected"
    history = (await world.call("GET", f"/v1/signal-quality?charger_id=chg_{one.id}"))["items"]
    assert [(item["quality"], item["dbm"], item["bit_error_rate"]) for item in history] == [
        ("weak", -105, None),
        ("good", -77, "under 0.2 %"),
    ]
    latest = (await world.call("GET", "/v1/signal-quality?latest=true"))["items"]
    assert {(item["charge_point_id"], item["quality"]) for item in latest} == {("CP-1", "weak"), ("CP-2", "no signal")}
    since = world.clock.now().isoformat().replace("+00:00", "Z")
    assert len((await world.call("GET", f"/v1/signal-quality?charger_id=chg_{one.id}&since={since}"))["items"]) == 1
    assert (await world.call("GET", "/v1/signal-quality", role=Role.FRANCHISEE, franchisee_id=6))["items"] == []


async def test_what_is_past_its_retention_goes_but_open_errors_stay(world):
    charger = await world.charger()
    await charger.connect(status="Available")
    await report(charger, "HighTemperature")
    await report(charger, status="Available")
    await report(charger, "GroundFailure")
    await signal(charger, {"rssi": 18, "ber": 0})
    await knock(world, "old")
    await forget_reports(world.service.app)
    assert len(await errors(world)) == 2
    await world.admin.execute(
        "UPDATE charging.charger_errors SET last_seen_at = last_seen_at - interval '366 days',"
        " resolved_at = resolved_at - interval '366 days', opened_at = opened_at - interval '366 days'"
    )
    await world.admin.execute("UPDATE charging.signal_quality SET received_at = received_at - interval '91 days'")
    await world.admin.execute("UPDATE charging.unknown_charge_points SET last_seen_at = last_seen_at - interval '31 days'")
    await forget_reports(world.service.app)
    assert [error["error_code"] for error in await errors(world)] == ["GroundFailure"]
    assert (await world.call("GET", "/v1/signal-quality"))["items"] == []
    assert (await world.call("GET", "/v1/unknown-charge-points"))["items"] == []
