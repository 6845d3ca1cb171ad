"""The REST surface as operators and franchisees use it."""

import asyncio
import hashlib

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from charging.routes import ROUTES
from chassis.web import Role
from contracts.charging import ChargerCredentialsChanged, SiteOwnerRequested
from contracts.ocpp_gateway import CredentialsListRequested
from contracts.topology import address_from

pytestmark = pytest.mark.servers

STATION = {"name": "MG Road", "franchisee_id": "frn_5", "city": "Bengaluru", "latitude": 12.97, "longitude": 77.6}
CHARGER = {"charge_point_id": "CP-Rest", "connector_kind": "ccs", "rated_power_w": 60_000, "connectors": 2}


async def made(world):
    station = await world.call("POST", "/v1/stations", json=STATION, status=201)
    charger = await world.call("POST", "/v1/chargers", json=CHARGER | {"station_id": station["id"]}, status=201)
    await world.settle()
    return station, charger


async def test_a_charger_is_entered_with_a_password_that_is_shown_once(world):
    station, charger = await made(world)
    assert len(charger["password"]) == 40
    shown = await world.call("GET", f"/v1/chargers/{charger['id']}")
    assert "password" not in shown
    assert shown["station_id"] == station["id"]
    assert shown["online"] is False
    [said] = await world.said(ChargerCredentialsChanged)
    assert said.password_hash == hashlib.sha256((said.salt + charger["password"]).encode()).hexdigest()
    connectors = await world.call("GET", f"/v1/connectors?charger_id={charger['id']}")
    assert [item["connector_id"] for item in connectors["items"]] == [2, 1]

    # The same name in another case is the same charger.
    again = CHARGER | {"charge_point_id": "cp-rest", "station_id": station["id"]}
    await world.call("POST", "/v1/chargers", json=again, status=409)

    rotated = await world.call("POST", f"/v1/chargers/{charger['id']}/credentials", status=201)
    assert rotated["password"] != charger["password"]
    await world.call("PATCH", f"/v1/chargers/{charger['id']}", json={"enabled": False})
    versions = [(said.version, said.enabled) for said in await world.said(ChargerCredentialsChanged)]
    assert versions == [(1, True), (2, True), (3, False)]


async def test_a_password_is_kept_for_nobody_who_repeats_a_key(world):
    station = await world.call("POST", "/v1/stations", json=STATION, status=201)
    creation = CHARGER | {"station_id": station["id"]}
    key = {"Idempotency-Key": "once"}
    charger = await world.call("POST", "/v1/chargers", json=creation, headers=key, status=201)
    rotation = f"/v1/chargers/{charger['id']}/credentials"
    rotated = await world.call("POST", rotation, json={}, headers=key, status=201)
    for path, body in (("/v1/chargers", creation), (rotation, {})):
        said = await world.call("POST", path, json=body, headers=key, status=409)
        assert said["type"] == "urn:voltlync:problem:idempotency-answer-shown-once"
        assert "/credentials" in said["detail"]
    kept = [dict(row) for row in await world.admin.fetch("SELECT * FROM charging.idempotency_keys WHERE key = 'once'")]
    assert len(kept) == 2
    assert all(secret not in repr(kept) for secret in (charger["password"], rotated["password"]))


async def test_a_gateway_rebuilds_its_projection_page_by_page(world):
    for name in ("B-2", "A-1", "c-3"):
        await world.charger(name)
    query = CredentialsListRequested(limit=2)
    page = await world.bus.ask(query, to=address_from("ocpp_gateway")(query), answer=query.ANSWER, timeout_seconds=60)
    assert [c.charge_point_id for c in page.credentials] == ["A-1", "B-2"]
    query = CredentialsListRequested(limit=2, after=page.next_after)
    page = await world.bus.ask(query, to=address_from("ocpp_gateway")(query), answer=query.ANSWER, timeout_seconds=60)
    assert [c.charge_point_id for c in page.credentials] == ["c-3"]
    assert page.next_after is None
    query = CredentialsListRequested(charge_point_id="b-2")
    page = await world.bus.ask(query, to=address_from("ocpp_gateway")(query), answer=query.ANSWER, timeout_seconds=60)
    assert [c.charge_point_id for c in page.credentials] == ["B-2"]


async def test_payments_asks_whose_site_a_charger_stands_at(world):
    station, charger = await made(world)

    async def owner(name):
        query = SiteOwnerRequested(charge_point_id=name)
        answer = await world.bus.ask(query, to=address_from("payments")(query), answer=query.ANSWER, timeout_seconds=60)
        return answer.station_id, answer.franchisee_id

    number = int(station["id"].removeprefix("stn_"))
    assert await owner(charger["charge_point_id"]) == (number, 5)
    # As it is now: the site was given to another, or taken back.
    for given, told in (("frn_6", 6), (None, None)):
        await world.call("PATCH", f"/v1/stations/{station['id']}", json={"franchisee_id": given})
        assert await owner(charger["charge_point_id"]) == (number, told)
    assert await owner("CP-Nowhere") == (None, None)


async def test_a_franchisee_sees_its_own_sites_only(world):
    station, charger = await made(world)
    foreign = {"role": Role.FRANCHISEE, "franchisee_id": 6}
    own = {"role": Role.FRANCHISEE, "franchisee_id": 5}
    assert [s["id"] for s in (await world.call("GET", "/v1/stations", **own))["items"]] == [station["id"]]
    for path in ("/v1/stations", "/v1/chargers", "/v1/connectors", "/v1/transactions", "/v1/start-requests"):
        assert (await world.call("GET", path, **foreign))["items"] == []
    await world.call("GET", f"/v1/chargers/{charger['id']}", status=404, **foreign)
    await world.call("GET", f"/v1/chargers/{charger['id']}", **own)
    await world.call("PATCH", f"/v1/chargers/{charger['id']}", json={"name": "mine"}, status=403, **own)
    # A franchisee's token without a franchisee sees nothing at all.
    assert (await world.call("GET", "/v1/stations", role=Role.FRANCHISEE))["items"] == []


@pytest.mark.parametrize(
    "body",
    [
        {"action": "Reset", "payload": {"type": "Warm"}},
        {"action": "Reset", "payload": {}},
        {"action": "ChangeAvailability", "payload": {"connectorId": "1", "type": "Operative"}},
        {"action": "StartTransaction", "payload": {}},
        {"action": "reset", "payload": {"type": "Hard"}},
        {"action": "Reset", "payload": {"type": "Hard", "now": True}},
    ],
)
async def test_a_command_that_ocpp_does_not_know_is_refused_with_a_reason(world, body):
    charger = await world.charger()
    problem = await world.call("POST", f"/v1/chargers/chg_{charger.id}/commands", json=body, status=422)
    assert body["action"] in problem["detail"]
    assert world.commands == []


async def test_a_command_waits_for_its_charger_and_shows_its_answer(world):
    charger = await world.charger()
    path = f"/v1/chargers/chg_{charger.id}/commands"
    made = await world.call("POST", path, json={"action": "Reset", "payload": {"type": "Soft"}}, status=202)
    assert made["status"] == "PENDING"
    await world.settle()
    assert world.commands == []
    await charger.connect()
    sent = charger.last_command("Reset")
    assert sent.payload == {"type": "Soft"}
    shown = await world.call("GET", f"/v1/commands/{made['id']}")
    assert (shown["status"], shown["attempts"]) == ("DISPATCHED", 1)
    await charger.answer(sent)
    shown = await world.call("GET", f"/v1/commands/{made['id']}")
    assert (shown["status"], shown["response"]) == ("ANSWERED", {"status": "Accepted"})


async def test_waiting_for_a_command_returns_with_its_outcome(world):
    charger = await world.charger()
    await charger.connect()
    path = f"/v1/chargers/chg_{charger.id}/commands?wait=20"
    body = {"action": "UnlockConnector", "payload": {"connectorId": 1}}
    waiting = asyncio.get_running_loop().create_task(world.call("POST", path, json=body, status=201))
    while not charger.sent("UnlockConnector"):
        await asyncio.sleep(0.01)
    await charger.answer(charger.last_command("UnlockConnector"), "UnlockFailed")
    await world.pass_time(1)
    answer = await waiting
    assert (answer["status"], answer["response"]) == ("REJECTED", {"status": "UnlockFailed"})


async def test_an_operator_stops_a_session(world):
    charger = await world.charger()
    await charger.connect()
    transaction_id = await charger.start_paid()
    await world.call("POST", f"/v1/transactions/txn_{transaction_id}/stop", status=202)
    await world.settle()
    assert charger.last_command("RemoteStopTransaction").payload == {"transactionId": transaction_id}
    await charger.stop(transaction_id, 1000, reason="Remote")
    shown = await world.call("GET", f"/v1/transactions/txn_{transaction_id}")
    assert (shown["state"], shown["stop_reason"], shown["energy_wh"]) == ("STOPPED", "OPERATOR", 0)
    await world.call("POST", f"/v1/transactions/txn_{transaction_id}/stop", status=409)
    [listed] = (await world.call("GET", f"/v1/transactions?charger_id=chg_{charger.id}&active=false"))["items"]
    assert listed["id"] == f"txn_{transaction_id}"


async def test_meter_values_and_tariffs_are_listed(world):
    charger = await world.charger()
    await charger.connect()
    transaction_id = await charger.start_paid()
    await charger.charge(transaction_id, from_wh=1000, seconds=60, power_w=3600)
    page = await world.call("GET", f"/v1/transactions/txn_{transaction_id}/meter-values")
    assert [(item["energy_wh"], item["confirmed_wh"], item["power_w"]) for item in page["items"]] == [
        (1060, 60, 3600),
        (1030, 30, 3600),
    ]
    assert page["items"][0]["sampled_value"][0]["value"] == "1060"
    tariff = await world.call(
        "POST",
        "/v1/tariffs",
        json={"charger_id": f"chg_{charger.id}", "name": "new", "paise_per_kwh": 2000},
        status=201,
    )
    assert (tariff["gst_bps"], tariff["paise_per_kwh"]) == (1800, 2000)
    assert (await world.call("GET", f"/v1/tariffs?charger_id=chg_{charger.id}"))["items"] == [tariff]


async def test_staff_tags_charge_without_a_payer(world):
    charger = await world.charger()
    await charger.connect()
    tag = await world.call("POST", "/v1/id-tags", json={"id_tag": "staff-1", "holder": "Asha"}, status=201)
    await world.call("POST", "/v1/id-tags", json={"id_tag": "STAFF-1", "holder": "Ravi"}, status=409)
    decision = await charger.start(" Staff-1 ")
    assert decision.status == "Accepted"
    row = await world.transaction(decision.transaction_id)
    assert (row["budget_paise"], row["request_key"], row["stop_due_at"]) == (None, None, None)
    await world.call("PATCH", f"/v1/id-tags/{tag['id']}", json={"enabled": False})
    await charger.stop(decision.transaction_id, 1000)
    await world.pass_time(1)
    assert (await charger.start("STAFF-1")).status == "Blocked"


async def test_the_surface_describes_itself(world):
    document = world.service.web.openapi
    OpenAPIV31SpecValidator(document).validate()
    assert len(document["paths"]) == len({route.path for route in ROUTES})


@pytest.mark.parametrize(
    ("method", "path", "body", "pointer"),
    [
        ("POST", "/v1/stations", {"name": ""}, "#/body/name"),
        ("POST", "/v1/stations", {"name": "S", "latitude": 91}, "#/body/latitude"),
        ("POST", "/v1/chargers", CHARGER | {"station_id": "chg_1"}, "#/body/station_id"),
        ("POST", "/v1/chargers", CHARGER | {"station_id": "stn_1", "charge_point_id": "a/b"}, "#/body/charge_point_id"),
        ("POST", "/v1/chargers", CHARGER | {"station_id": "stn_1", "rated_power_w": 0}, "#/body/rated_power_w"),
        ("POST", "/v1/tariffs", {"name": "T", "paise_per_kwh": 18.5}, "#/body/paise_per_kwh"),
        ("POST", "/v1/tariffs", {"name": "T", "paise_per_kwh": 1, "gst_bps": 10_001}, "#/body/gst_bps"),
        ("POST", "/v1/id-tags", {"id_tag": "x" * 21, "holder": "A"}, "#/body/id_tag"),
        ("GET", "/v1/transactions?state=GONE", None, "#/query/state"),
        ("GET", "/v1/transactions/17", None, "#/path/transaction_id"),
    ],
)
async def test_what_is_not_valid_is_said_by_field(world, method, path, body, pointer):
    problem = await world.call(method, path, json=body, status=422)
    assert pointer in [error["pointer"] for error in problem["errors"]]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/stations/stn_999999", None),
        ("GET", "/v1/chargers/chg_999999", None),
        ("GET", "/v1/tariffs/trf_999999", None),
        ("GET", "/v1/transactions/txn_999999", None),
        ("GET", "/v1/transactions/txn_999999/meter-values", None),
        ("GET", "/v1/start-requests/req_999999", None),
        ("GET", "/v1/commands/cmd_999999", None),
        ("POST", "/v1/chargers", CHARGER | {"station_id": "stn_999999"}),
        ("POST", "/v1/chargers/chg_999999/credentials", None),
        ("POST", "/v1/chargers/chg_999999/commands", {"action": "ClearCache"}),
        ("POST", "/v1/transactions/txn_999999/stop", None),
        ("PATCH", "/v1/id-tags/tag_999999", {"enabled": False}),
    ],
)
async def test_what_is_not_there_is_404(world, method, path, body):
    await world.call(method, path, status=404, **({"json": body} if body is not None else {}))
