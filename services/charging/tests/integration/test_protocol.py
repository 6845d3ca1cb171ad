"""Id tags, local lists, reservations and charging profiles: REST on one side, the charger's answers on the other."""

import asyncio
from datetime import timedelta

import pytest

from contracts.charging import StartRefused
from contracts.ocpp_gateway import (
    AuthorizeAnswer,
    AuthorizeRequested,
    BootNotificationReceived,
    CommandCompleted,
    CommandOutcome,
)
from contracts.topology import address_from

pytestmark = pytest.mark.servers

FULL_FEATURES = "Core,SmartCharging,Reservation,LocalAuthListManagement"


@pytest.fixture(scope="module")
def sweep_seconds():
    """Minutes pass in these tests."""
    return 5


def tag_body(id_tag, **more):
    return {"id_tag": id_tag, "holder": "Asha"} | more


async def make_tag(world, id_tag, **more):
    return await world.call("POST", "/v1/id-tags", json=tag_body(id_tag, **more), status=201)


async def tell(world, charger, **configuration):
    """The charger is known to be configured so."""
    await world.admin.executemany(
        "INSERT INTO charging.configuration_keys (charger_id, name, key, reported, seen_at) VALUES ($1, lower($2), $2, $3, $4)",
        [(charger.id, key, value, world.clock.now()) for key, value in configuration.items()],
    )


async def answer(charger, command, response=None, *, outcome=CommandOutcome.ANSWERED, error_code=None):
    await charger.world.send(
        CommandCompleted(
            **charger.head(),
            command_id=command.command_id,
            action=command.action,
            outcome=outcome,
            response=response,
            error_code=error_code,
        )
    )


async def authorize(world, charger, id_tag):
    query = AuthorizeRequested(charge_point_id=charger.name, id_tag=id_tag)
    return await world.bus.ask(query, to=address_from("ocpp_gateway")(query), answer=AuthorizeAnswer, timeout_seconds=60)


# --- id tags ----------------------------------------------------------------------------------------------------------


async def test_a_tag_is_told_with_its_group_and_expiry(world):
    charger = await world.charger()
    await charger.connect()
    expires_at = world.clock.now().replace(microsecond=0) + timedelta(seconds=30)
    made = await make_tag(world, "a1", parent_id_tag="fleet", expires_at=expires_at.isoformat())
    assert (made["id_tag"], made["parent_id_tag"], made["status"], made["concurrent_sessions_max"]) == (
        "A1",
        "FLEET",
        "Accepted",
        1,
    )
    told = await authorize(world, charger, " a1")
    assert (told.status, told.parent_id_tag, told.expiry_date) == ("Accepted", "FLEET", expires_at)
    event = charger.start_event("A 1")
    decision = await world.ask_start(event)
    assert (decision.status, decision.parent_id_tag, decision.expiry_date) == ("Accepted", "FLEET", expires_at)
    assert await world.ask_start(event) == decision
    await world.pass_time(30)
    assert (await authorize(world, charger, "A1")).status == "Expired"
    assert (await authorize(world, charger, "NOBODY")) == AuthorizeAnswer(status="Invalid")
    assert (await world.call("GET", f"/v1/id-tags/{made['id']}"))["status"] == "Expired"


async def test_a_tag_charges_no_more_cars_at_once_than_it_may(world):
    one, two, three = await world.charger("CP-1"), await world.charger("CP-2"), await world.charger("CP-3")
    for charger in (one, two, three):
        await charger.connect()
    made = await make_tag(world, "A1")
    first = await one.start("A1")
    assert first.status == "Accepted"
    refused = await two.start("A1")
    assert refused.status == "ConcurrentTx"
    assert two.last_command("RemoteStopTransaction").payload == {"transactionId": refused.transaction_id}
    # Shown to a reader it is as good as ever: it may be there to stop what it runs.
    assert (await authorize(world, two, "A1")).status == "Accepted"
    await world.call("PATCH", f"/v1/id-tags/{made['id']}", json={"concurrent_sessions_max": 2})
    await world.pass_time(1)
    assert (await two.start("A1")).status == "Accepted"
    assert (await three.start("A1")).status == "ConcurrentTx"
    await world.call("PATCH", f"/v1/id-tags/{made['id']}", json={"concurrent_sessions_max": None})
    await world.pass_time(1)
    assert (await three.start("A1")).status == "Accepted"
    # On the connector where it charges already it is the next session, not one more.
    await world.call("PATCH", f"/v1/id-tags/{made['id']}", json={"concurrent_sessions_max": 3})
    await world.pass_time(1)
    assert (await one.start("A1")).status == "Accepted"
    assert (await world.transaction(first.transaction_id))["state"] == "STOPPED"


async def test_tags_are_found_and_only_an_unused_one_goes(world):
    used = await make_tag(world, "A1", parent_id_tag="G")
    unused = await make_tag(world, "B2", holder="Ravi Rao")
    blocked = await make_tag(world, "C3")
    await world.call("PATCH", f"/v1/id-tags/{blocked['id']}", json={"enabled": False})
    charger = await world.charger()
    await charger.connect()
    await charger.start("A1")

    async def found(query):
        return [tag["id_tag"] for tag in (await world.call("GET", f"/v1/id-tags?{query}"))["items"]]

    assert await found("status=Accepted") == ["B2", "A1"]
    assert await found("status=Blocked") == ["C3"]
    assert await found("status=Invalid") == []
    assert await found("holder=rao") == ["B2"]
    assert await found("parent_id_tag=g") == ["A1"]
    assert await found("id_tag=c3") == ["C3"]
    await world.call("DELETE", f"/v1/id-tags/{unused['id']}", status=204)
    await world.call("GET", f"/v1/id-tags/{unused['id']}", status=404)
    problem = await world.call("DELETE", f"/v1/id-tags/{used['id']}", status=409)
    assert "Block it" in problem["detail"]


# --- local lists ------------------------------------------------------------------------------------------------------


async def local_list(world, charger):
    return await world.call("GET", f"/v1/chargers/chg_{charger.id}/local-list")


async def lists_settled(world):
    """The settling time of the lists that are due is over."""
    due = await world.admin.fetchval("SELECT count(*) FROM charging.local_lists WHERE sync_due_at > $1", world.clock.now())
    assert due == 1
    await world.admin.execute("UPDATE charging.local_lists SET sync_due_at = $1", world.clock.now())
    await world.pass_time(5)


async def asked_for(world, charger, **body):
    await world.call("POST", f"/v1/chargers/chg_{charger.id}/local-list/sync", json=body, status=202)
    await world.pass_time(5)


def listed(command):
    return [(e["idTag"], e.get("idTagInfo")) for e in command.payload.get("localAuthorizationList", [])]


ACCEPTED = {"status": "Accepted"}


async def test_a_list_is_taught_and_then_kept_in_step(world):
    charger = await world.charger()
    await charger.connect()
    await charger.pay()  # a minted tag is nobody's but its session's
    await make_tag(world, "A1", parent_id_tag="G")
    b2 = await make_tag(world, "B2")
    before = await local_list(world, charger)
    assert (before["managed"], before["drift"], before["desired_entries"], before["confirmed_version"]) == (False, True, 2, None)

    await asked_for(world, charger)
    await answer(charger, charger.last_command("GetLocalListVersion"), {"listVersion": 7})
    full = charger.last_command("SendLocalList")
    assert (full.payload["listVersion"], full.payload["updateType"]) == (8, "Full")
    assert listed(full) == [("A1", {"status": "Accepted", "parentIdTag": "G"}), ("B2", ACCEPTED)]
    assert (await local_list(world, charger))["state"] == "SENDING"
    await answer(charger, full, {"status": "Accepted"})
    shown = await local_list(world, charger)
    assert (shown["state"], shown["drift"], shown["confirmed_version"], shown["desired_version"]) == ("IDLE", False, 8, 8)

    await make_tag(world, "C3")
    await world.call("PATCH", f"/v1/id-tags/{b2['id']}", json={"enabled": False})
    assert (await local_list(world, charger))["missing"] == ["C3"]
    assert (await local_list(world, charger))["surplus"] == ["B2"]
    await lists_settled(world)
    differential = charger.last_command("SendLocalList")
    assert (differential.payload["listVersion"], differential.payload["updateType"]) == (9, "Differential")
    assert listed(differential) == [("C3", ACCEPTED), ("B2", None)]
    await answer(charger, differential, {"status": "Accepted"})
    assert (await local_list(world, charger))["drift"] is False
    # In step: a new connection says nothing, a boot asks whether it still is.
    await charger.connect(boot=False)
    await lists_settled(world)
    assert len(charger.sent("SendLocalList")) == 2
    assert len(charger.sent("GetLocalListVersion")) == 1
    await charger.boot()
    await lists_settled(world)
    await answer(charger, charger.last_command("GetLocalListVersion"), {"listVersion": 0})
    assert listed(charger.last_command("SendLocalList")) == [("A1", {"status": "Accepted", "parentIdTag": "G"}), ("C3", ACCEPTED)]


async def test_a_long_list_goes_in_pieces_one_at_a_time(world):
    charger = await world.charger()
    await charger.connect()
    await tell(world, charger, SendLocalListMaxLength="2", LocalAuthListMaxLength="5")
    for n in range(5):
        await make_tag(world, f"T{n}")
    await asked_for(world, charger)
    await answer(charger, charger.last_command("GetLocalListVersion"), {"listVersion": 3})
    for version, kind, tags in ((4, "Full", ["T0", "T1"]), (5, "Differential", ["T2", "T3"]), (6, "Differential", ["T4"])):
        command = charger.last_command("SendLocalList")
        assert (command.payload["listVersion"], command.payload["updateType"]) == (version, kind)
        assert [tag for tag, _ in listed(command)] == tags
        assert len(charger.sent("SendLocalList")) == version - 3
        await answer(charger, command, {"status": "Accepted"})
    assert (await local_list(world, charger))["confirmed_entries"] == 5
    # One more than it can hold is seen, not tried.
    await make_tag(world, "T5")
    await lists_settled(world)
    shown = await local_list(world, charger)
    assert (shown["state"], shown["reason"], len(charger.sent("SendLocalList"))) == (
        "FAILED",
        "6 tags, and the charger takes 5.",
        3,
    )


@pytest.mark.parametrize(
    ("response", "outcome", "error_code"),
    [
        ({"listVersion": -1}, CommandOutcome.ANSWERED, None),
        (None, CommandOutcome.CALL_ERROR, "NotImplemented"),
        (None, CommandOutcome.CALL_ERROR, "NotSupported"),
    ],
)
async def test_a_charger_without_lists_is_not_asked_again_until_its_firmware_is_another(world, response, outcome, error_code):
    charger = await world.charger()
    await charger.connect()
    await make_tag(world, "A1")
    await asked_for(world, charger)
    await answer(charger, charger.last_command("GetLocalListVersion"), response, outcome=outcome, error_code=error_code)
    assert (await local_list(world, charger))["state"] == "UNSUPPORTED"
    await world.call("POST", f"/v1/chargers/chg_{charger.id}/local-list/sync", json={}, status=409)
    await charger.boot()
    await lists_settled(world)
    assert len(charger.sent("GetLocalListVersion")) == 1
    await world.send(
        BootNotificationReceived(**charger.head(), charge_point_vendor="Acme", charge_point_model="One", firmware_version="2.0")
    )
    await lists_settled(world)
    assert len(charger.sent("GetLocalListVersion")) == 2


async def test_a_failed_update_is_tried_once_more_as_a_whole_and_then_seen(world):
    charger = await world.charger()
    await charger.connect()
    await make_tag(world, "A1")
    await asked_for(world, charger)
    await answer(charger, charger.last_command("GetLocalListVersion"), {"listVersion": 0})
    assert charger.last_command("SendLocalList").payload["updateType"] == "Differential"
    await answer(charger, charger.last_command("SendLocalList"), {"status": "Failed"})
    again = charger.last_command("SendLocalList")
    assert (again.payload["updateType"], again.payload["listVersion"]) == ("Full", 2)
    await answer(charger, again, {"status": "Failed"})
    shown = await local_list(world, charger)
    assert (shown["state"], shown["reason"], len(charger.sent("SendLocalList"))) == ("FAILED", "Failed", 2)


async def test_a_version_mismatch_leads_to_the_version_and_a_full_list(world):
    charger = await world.charger()
    await charger.connect()
    await make_tag(world, "A1")
    await asked_for(world, charger)
    await answer(charger, charger.last_command("GetLocalListVersion"), {"listVersion": 0})
    await answer(charger, charger.last_command("SendLocalList"), {"status": "VersionMismatch"})
    await answer(charger, charger.last_command("GetLocalListVersion"), {"listVersion": 40})
    full = charger.last_command("SendLocalList")
    assert (full.payload["updateType"], full.payload["listVersion"]) == ("Full", 41)
    await answer(charger, full, {"status": "VersionMismatch"})
    assert (await local_list(world, charger))["state"] == "FAILED"


async def test_an_update_lost_with_its_connection_is_begun_anew_on_the_next(world):
    charger = await world.charger()
    await charger.connect()
    await make_tag(world, "A1")
    await asked_for(world, charger)
    await answer(charger, charger.last_command("GetLocalListVersion"), {"listVersion": 0})
    await answer(charger, charger.last_command("SendLocalList"), outcome=CommandOutcome.CONNECTION_LOST)
    shown = await local_list(world, charger)
    assert (shown["state"], shown["reason"], shown["confirmed_version"]) == ("IDLE", "UNKNOWN", None)
    await charger.connect(boot=False)
    await lists_settled(world)
    assert len(charger.sent("GetLocalListVersion")) == 2


async def test_a_charger_that_says_it_manages_lists_is_taught_by_itself(world):
    charger = await world.charger()
    await charger.connect()
    await make_tag(world, "A1")
    path = f"/v1/chargers/chg_{charger.id}/commands"
    await world.call("POST", path, json={"action": "GetConfiguration"}, status=202)
    await world.settle()
    keys = [{"key": "SupportedFeatureProfiles", "readonly": True, "value": FULL_FEATURES}]
    await answer(charger, charger.last_command("GetConfiguration"), {"configurationKey": keys})
    await lists_settled(world)
    assert charger.sent("GetLocalListVersion") != []


# --- reservations -----------------------------------------------------------------------------------------------------


async def reserve(world, charger, id_tag="A1", *, connector_id=1, seconds=3600, **more):
    body = {
        "charger_id": f"chg_{charger.id}",
        "connector_id": connector_id,
        "id_tag": id_tag,
        "expires_at": (world.clock.now() + timedelta(seconds=seconds)).isoformat(),
    } | more
    made = await world.call("POST", "/v1/reservations", json=body, status=201)
    await world.settle()
    return made


async def reservation(world, made):
    return await world.call("GET", f"/v1/reservations/{made['id']}")


def number(made):
    return int(made["id"].removeprefix("rsv_"))


async def test_a_reservation_is_used_by_the_start_that_names_it(world):
    charger = await world.charger()
    await charger.connect(status="Available")
    await make_tag(world, "A1", parent_id_tag="G")
    made = await reserve(world, charger)
    assert made["state"] == "REQUESTED"
    sent = charger.last_command("ReserveNow")
    assert sent.payload == {
        "connectorId": 1,
        "expiryDate": f"{world.clock.now() + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}",
        "idTag": "A1",
        "parentIdTag": "G",
        "reservationId": number(made),
    }
    await charger.answer(sent)
    await charger.status("Reserved")
    assert (await reservation(world, made))["state"] == "ACCEPTED"
    event = charger.start_event("A1").model_copy(update={"reservation_id": number(made)})
    decision = await world.ask_start(event)
    used = await reservation(world, made)
    assert (used["state"], used["transaction_id"]) == ("USED", f"txn_{decision.transaction_id}")
    await world.call("DELETE", f"/v1/reservations/{made['id']}", status=409)


@pytest.mark.parametrize("reason", ["Faulted", "Occupied", "Rejected", "Unavailable"])
async def test_a_charger_may_refuse_a_reservation(world, reason):
    charger = await world.charger()
    await charger.connect()
    await make_tag(world, "A1")
    made = await reserve(world, charger)
    await charger.answer(charger.last_command("ReserveNow"), reason)
    shown = await reservation(world, made)
    assert (shown["state"], shown["reason"]) == ("REFUSED", reason)
    assert charger.sent("CancelReservation") == []


@pytest.mark.parametrize("answered", ["Accepted", "Rejected"])
async def test_a_reservation_is_cancelled(world, answered):
    charger = await world.charger()
    await charger.connect()
    await make_tag(world, "A1")
    made = await reserve(world, charger)
    await charger.answer(charger.last_command("ReserveNow"))
    await world.call("DELETE", f"/v1/reservations/{made['id']}", status=202)
    await world.settle()
    sent = charger.last_command("CancelReservation")
    assert sent.payload == {"reservationId": number(made)}
    assert (await reservation(world, made))["state"] == "ACCEPTED"
    await charger.answer(sent, answered)
    assert (await reservation(world, made))["state"] == "CANCELLED"


async def test_a_reservation_expires_and_one_without_an_answer_is_undone(world):
    charger = await world.charger()
    await charger.connect()
    await make_tag(world, "A1")
    made = await reserve(world, charger, seconds=60)
    await charger.answer(charger.last_command("ReserveNow"))
    unheard = await reserve(world, charger, connector_id=0, seconds=600)
    await charger.answer(charger.last_command("ReserveNow"), outcome=CommandOutcome.TIMED_OUT)
    shown = await reservation(world, unheard)
    assert (shown["state"], shown["reason"]) == ("REFUSED", "TIMED_OUT")
    assert charger.last_command("CancelReservation").payload == {"reservationId": number(unheard)}
    await world.pass_time(50)
    assert (await reservation(world, made))["state"] == "ACCEPTED"
    await world.pass_time(15)
    assert (await reservation(world, made))["state"] == "EXPIRED"
    listed_ = await world.call("GET", f"/v1/reservations?charger_id=chg_{charger.id}&state=EXPIRED&id_tag=a1")
    assert [item["id"] for item in listed_["items"]] == [made["id"]]


@pytest.mark.parametrize(
    ("id_tag", "reservation_id", "state"),
    [
        ("B2", "own", "USED"),  # of the same group (TC_053)
        ("C3", "own", "ACCEPTED"),  # a stranger that the charger let in
        ("A1", 0, "USED"),  # row 55: 0 and -1 are no id, but the tag is the one
        ("A1", -1, "USED"),
        ("A1", None, "USED"),
        ("B2", 0, "ACCEPTED"),
        ("A1", 999_999, "ACCEPTED"),
    ],
)
async def test_who_uses_a_reservation(world, id_tag, reservation_id, state):
    charger = await world.charger()
    await charger.connect()
    await make_tag(world, "A1", parent_id_tag="G")
    await make_tag(world, "B2", parent_id_tag="G")
    await make_tag(world, "C3")
    made = await reserve(world, charger, connector_id=0)
    await charger.answer(charger.last_command("ReserveNow"))
    named = number(made) if reservation_id == "own" else reservation_id
    event = charger.start_event(id_tag).model_copy(update={"reservation_id": named})
    assert (await world.ask_start(event)).status == "Accepted"
    assert (await reservation(world, made))["state"] == state


async def test_a_rider_does_not_get_a_connector_that_is_reserved(world):
    charger = await world.charger()
    await charger.connect(status="Available")
    await make_tag(world, "A1")
    made = await reserve(world, charger, seconds=60)
    await charger.answer(charger.last_command("ReserveNow"))
    await charger.pay()
    [refused] = await world.said(StartRefused)
    assert (refused.reason, refused.detail) == ("CONNECTOR_BUSY", "The connector is reserved.")
    await world.pass_time(70)
    assert (await reservation(world, made))["state"] == "EXPIRED"
    await charger.pay("qr_payment_2")
    assert charger.sent("RemoteStartTransaction") != []


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"expires_at": "2020-01-01T00:00:00Z"}, 422),
        ({"expires_at": "2999-01-01T00:00:00Z"}, 422),
        ({"id_tag": "NOBODY"}, 422),
        ({"connector_id": 9}, 422),
        ({"connector_id": 0}, 409),
        ({"charger_id": "chg_999999"}, 404),
    ],
)
async def test_what_can_not_be_reserved(world, changes, status):
    charger = await world.charger()
    await charger.connect()
    await tell(world, charger, ReserveConnectorZeroSupported="false")
    await make_tag(world, "A1")
    body = {
        "charger_id": f"chg_{charger.id}",
        "connector_id": 1,
        "id_tag": "A1",
        "expires_at": (world.clock.now() + timedelta(hours=1)).isoformat(),
    }
    await world.call("POST", "/v1/reservations", json=body | changes, status=status)
    assert charger.sent("ReserveNow") == []


# --- charging profiles ------------------------------------------------------------------------------------------------


def profile(limit=16.0, *, purpose="TxDefaultProfile", level=0, kind="Absolute", **more):
    schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}]}
    if kind != "Relative":
        schedule["startSchedule"] = "2020-01-01T00:00:00Z"
    return {
        "stackLevel": level,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": kind,
        "chargingSchedule": schedule,
    } | more


def profiles_path(charger, rest=""):
    return f"/v1/chargers/chg_{charger.id}/charging-profiles{rest}"


async def set_profile(world, charger, said, *, connector_id=1, answered="Accepted"):
    body = {"connector_id": connector_id, "profile": said}
    made = await world.call("POST", profiles_path(charger), json=body, status=201)
    assert made["state"] == "REQUESTED"
    await world.settle()
    sent = charger.last_command("SetChargingProfile")
    assert sent.payload["csChargingProfiles"]["chargingProfileId"] == made["charging_profile_id"]
    await charger.answer(sent, answered)
    return made


async def states(world, charger, query=""):
    page = await world.call("GET", profiles_path(charger, query))
    return {item["id"]: item["state"] for item in page["items"]}


async def composite(world, charger, connector=1, **query):
    words = "".join(f"&{name}={value}" for name, value in query.items())
    shown = await world.call("GET", f"/v1/chargers/chg_{charger.id}/composite-schedule?connector={connector}{words}")
    return [(period["start_period"], period["limit"]) for period in shown["periods"]]


async def test_profiles_are_kept_as_the_charger_holds_them_and_composed(world):
    charger = await world.charger()
    await charger.connect()
    first = await set_profile(world, charger, profile(16))
    assert await composite(world, charger) == [(0, 16)]
    refused = await set_profile(world, charger, profile(20, level=5), answered="Rejected")
    second = await set_profile(world, charger, profile(10))
    maximum = await set_profile(world, charger, profile(8, purpose="ChargePointMaxProfile"), connector_id=0)
    assert await states(world, charger) == {
        first["id"]: "REPLACED",
        refused["id"]: "REFUSED",
        second["id"]: "ACCEPTED",
        maximum["id"]: "ACCEPTED",
    }
    assert set(await states(world, charger, "?in_force=true")) == {second["id"], maximum["id"]}
    assert await composite(world, charger) == [(0, 8)]
    await world.call("DELETE", profiles_path(charger, f"/{maximum['id']}"), status=202)
    await world.settle()
    assert charger.last_command("ClearChargingProfile").payload == {"id": maximum["charging_profile_id"]}
    await charger.answer(charger.last_command("ClearChargingProfile"))
    assert await composite(world, charger, unit="W") == [(0, 6900)]
    await world.call("DELETE", profiles_path(charger, f"/{maximum['id']}"), status=409)
    await world.call("DELETE", profiles_path(charger, "?purpose=TxDefaultProfile&connector=1"), status=202)
    await world.settle()
    await charger.answer(charger.last_command("ClearChargingProfile"), "Unknown")
    assert (await states(world, charger))[second["id"]] == "CLEARED"
    assert await composite(world, charger) == [(0, None)]


async def test_a_raw_command_is_recorded_like_ours(world):
    charger = await world.charger()
    await charger.connect()
    path = f"/v1/chargers/chg_{charger.id}/commands"
    for level in (0, 1):
        payload = {"connectorId": 1, "csChargingProfiles": profile(10 + level, level=level, chargingProfileId=level + 1)}
        await world.call("POST", path, json={"action": "SetChargingProfile", "payload": payload}, status=202)
        await world.settle()
        await charger.answer(charger.last_command("SetChargingProfile"))
    assert await composite(world, charger) == [(0, 11)]
    clear = {"action": "ClearChargingProfile", "payload": {"stackLevel": 1}}
    await world.call("POST", path, json=clear, status=202)
    await world.settle()
    await charger.answer(charger.last_command("ClearChargingProfile"))
    assert await composite(world, charger) == [(0, 10)]
    # Once more, unanswered: it may be there, so it is not shown as in force, and is cleared with the rest.
    payload = {"connectorId": 1, "csChargingProfiles": profile(6, level=2, chargingProfileId=9)}
    await world.call("POST", path, json={"action": "SetChargingProfile", "payload": payload}, status=202)
    await world.settle()
    await charger.answer(charger.last_command("SetChargingProfile"), outcome=CommandOutcome.TIMED_OUT)
    assert set((await states(world, charger, "?state=UNKNOWN")).values()) == {"UNKNOWN"}
    assert await composite(world, charger) == [(0, 10)]
    await world.call("POST", path, json={"action": "ClearChargingProfile", "payload": {}}, status=202)
    await world.settle()
    await charger.answer(charger.last_command("ClearChargingProfile"))
    assert set((await states(world, charger)).values()) == {"CLEARED"}


async def test_a_tx_profile_is_one_transactions(world):
    charger = await world.charger()
    await charger.connect()
    relative = profile(6, purpose="TxProfile", kind="Relative")
    await world.call("POST", profiles_path(charger), json={"connector_id": 1, "profile": relative}, status=409)
    transaction_id = await charger.start_paid()
    foreign = {"connector_id": 1, "profile": relative | {"transactionId": transaction_id + 1}}
    await world.call("POST", profiles_path(charger), json=foreign, status=409)
    made = await set_profile(world, charger, relative)
    assert charger.last_command("SetChargingProfile").payload["csChargingProfiles"]["transactionId"] == transaction_id
    assert await composite(world, charger) == [(0, 6)]
    assert list(await states(world, charger, "?in_force=true")) == [made["id"]]
    await charger.stop(transaction_id, 1000)
    assert await composite(world, charger) == [(0, None)]
    assert await states(world, charger, "?in_force=true") == {}


async def test_a_profile_that_comes_with_a_remote_start_is_its_transactions(world):
    charger = await world.charger()
    await charger.connect()
    await make_tag(world, "A1")
    said = profile(9, purpose="TxProfile", kind="Relative", chargingProfileId=4)
    payload = {"connectorId": 1, "idTag": "A1", "chargingProfile": said}
    path = f"/v1/chargers/chg_{charger.id}/commands"
    await world.call("POST", path, json={"action": "RemoteStartTransaction", "payload": payload}, status=202)
    await world.settle()
    await charger.answer(charger.last_command("RemoteStartTransaction"))
    assert await composite(world, charger) == [(0, None)]
    decision = await charger.start("A1")
    assert await composite(world, charger) == [(0, 9)]
    [item] = (await world.call("GET", profiles_path(charger)))["items"]
    assert item["transaction_id"] == f"txn_{decision.transaction_id}"
    wrong = payload | {"chargingProfile": said | {"chargingProfilePurpose": "TxDefaultProfile"}}
    problem = await world.call("POST", path, json={"action": "RemoteStartTransaction", "payload": wrong}, status=422)
    assert "TxProfile" in problem["detail"]


@pytest.mark.parametrize(
    ("connector_id", "said", "status", "says"),
    [
        (1, profile(purpose="ChargePointMaxProfile"), 422, "connectorId 0"),
        (1, profile(level=4), 422, "stackLevel up to 3"),
        (1, profile(chargingSchedule={"chargingRateUnit": "A"}), 422, "chargingSchedulePeriod"),
        (1, profile(validFrom="now"), 422, "is no time"),
        (9, profile(), 422, None),
    ],
)
async def test_a_profile_that_can_not_be_is_refused_with_a_reason(world, connector_id, said, status, says):
    charger = await world.charger()
    await charger.connect()
    await tell(world, charger, ChargeProfileMaxStackLevel="3")
    problem = await world.call(
        "POST", profiles_path(charger), json={"connector_id": connector_id, "profile": said}, status=status
    )
    assert says is None or says in problem["detail"]
    assert charger.sent("SetChargingProfile") == []
    assert await states(world, charger) == {}


async def test_the_charger_is_asked_for_its_own_schedule(world):
    charger = await world.charger()
    await charger.connect()
    await set_profile(world, charger, profile(16))
    path = f"/v1/chargers/chg_{charger.id}/composite-schedule?connector=1&duration=600"
    waiting = asyncio.get_running_loop().create_task(world.call("POST", path))
    while not charger.sent("GetCompositeSchedule"):
        await asyncio.sleep(0.01)
    sent = charger.last_command("GetCompositeSchedule")
    assert sent.payload == {"connectorId": 1, "duration": 600, "chargingRateUnit": "A"}
    await charger.answer(sent)
    await world.pass_time(1)
    shown = await waiting
    assert shown["periods"] == [{"start_period": 0, "limit": 16.0, "number_phases": None}]
    assert (shown["reported"]["status"], shown["reported"]["response"]) == ("ANSWERED", {"status": "Accepted"})


# --- the offline-safe cap ---------------------------------------------------------------------------------------------


async def test_a_prepaid_session_is_capped_while_its_charger_may_be_away(world):
    charger = await world.charger()
    await charger.connect()
    await world.admin.execute("UPDATE charging.chargers SET quirks = '{\"offline_cap\": true}'")
    transaction_id = await charger.start_paid()
    assert charger.sent("SetChargingProfile") == []  # it does not claim SmartCharging
    await charger.stop(transaction_id, 1000)
    await charger.status("Preparing")
    await tell(world, charger, SupportedFeatureProfiles=FULL_FEATURES)
    transaction_id = await charger.start_paid("qr_payment_2", budget_paise=1000)
    row = await world.transaction(transaction_id)
    seconds = row["affordable_wh"] * 3600 // 7400
    cap = charger.last_command("SetChargingProfile")
    assert cap.payload["csChargingProfiles"]["transactionId"] == transaction_id
    assert cap.payload["csChargingProfiles"]["chargingSchedule"]["chargingSchedulePeriod"] == [
        {"startPeriod": 0, "limit": 33.0},
        {"startPeriod": seconds, "limit": 0.0},
    ]
    await charger.answer(cap)
    # The car draws half the rated power: halfway the cap is put off by what is left.
    wh = await charger.charge(transaction_id, from_wh=1000, seconds=(seconds // 2 // 30 + 1) * 30, power_w=3700)
    await world.pass_time(10)
    renewed = charger.last_command("SetChargingProfile")
    assert renewed.command_id != cap.command_id
    [_, falls] = renewed.payload["csChargingProfiles"]["chargingSchedule"]["chargingSchedulePeriod"]
    assert seconds * 1.2 < falls["startPeriod"] < seconds * 1.4
    await charger.answer(renewed)
    held = await world.call("GET", profiles_path(charger, "?in_force=true"))
    assert [item["transaction_id"] for item in held["items"]] == [f"txn_{transaction_id}"]
    # Over: no more of it.
    await charger.stop(transaction_id, wh)
    await world.pass_time(seconds)
    assert charger.last_command("SetChargingProfile") is renewed


async def test_without_the_setting_nothing_is_capped(world):
    charger = await world.charger()
    await charger.connect()
    await tell(world, charger, SupportedFeatureProfiles=FULL_FEATURES)
    await charger.start_paid()
    assert charger.sent("SetChargingProfile") == []
