"""Charger care at the wire: configuration on connect, passwords handed over, and commands that are only done when it shows."""

from typing import Any

import aiohttp
import pytest

from charger_simulator import Quirks, Settings
from testkit.field import Field, Outlet

LIMITS = {
    "configuration_settle_seconds": 3.0,
    "configuration_postpone_seconds": 3.0,
    "configuration_retry_seconds": 3.0,
    "command_timeout_seconds": 2,
}
"""Shorter than in life: each second of the world's clock costs as much as a message."""

SETTLED_SECONDS = 9
"""Past configuration_settle_seconds and the sweep after it."""

LOOKED_AT_SECONDS = 6
"""Past a sweep."""

HUNG_SECONDS = 4
"""Past command_timeout_seconds and the gateway's report."""

RETRY_SECONDS = 9
"""Past configuration_retry_seconds and the sweep after it."""

DAY_SECONDS = 86_400


def asked(outlet: Outlet, *actions: str) -> list[dict[str, Any]]:
    """What the central system asked of the simulated charge point, in order: payloads of these actions' CALLs."""
    return [
        frame.payload for frame in outlet.point.log if frame.kind == 2 and frame.direction == "in" and frame.action in actions
    ]


def keys_set(outlet: Outlet) -> list[tuple[str, str]]:
    return [(payload["key"], payload["value"]) for payload in asked(outlet, "ChangeConfiguration")]


async def configuration(field: Field, outlet: Outlet) -> dict[str, Any]:
    found: dict[str, Any] = await field.api("GET", f"/v1/chargers/{outlet.id}/configuration")
    return found


def key_of(shown: dict[str, Any], name: str) -> dict[str, Any]:
    return next(key for key in shown["keys"] if key["key"].lower() == name.lower())


@pytest.fixture
async def care(field: Field, monkeypatch: pytest.MonkeyPatch) -> Field:
    """The field with short limits."""
    for name, value in LIMITS.items():
        monkeypatch.setattr(field.charging.app.settings, name, value)
    return field


# Configuration on connect, feature C12


async def test_a_charger_is_configured_key_by_key_once_it_has_settled_and_read_back(care: Field) -> None:
    outlet = await care.outlet(
        settings=Settings(
            configuration={"MeterValueSampleInterval": "300", "AuthorizeRemoteTxRequests": "true", "ResetRetries": "3"}
        )
    )
    await care.pass_seconds(1)
    assert asked(outlet, "GetConfiguration", "ChangeConfiguration") == []  # no CALL while it settles (rows 13, 14)
    await care.pass_seconds(SETTLED_SECONDS - 1)
    assert keys_set(outlet) == [
        ("WebSocketPingInterval", "30"),
        ("MeterValueSampleInterval", "30"),
        ("TransactionMessageAttempts", "10"),
        ("TransactionMessageRetryInterval", "30"),
        ("AuthorizeRemoteTxRequests", "false"),
        ("ResetRetries", "1"),
    ]
    listing, read_back = asked(outlet, "GetConfiguration")
    assert listing == {}
    assert sorted(read_back["key"]) == sorted(key for key, _ in keys_set(outlet))
    shown = await configuration(care, outlet)
    assert (shown["state"], shown["drift"]) == ("DONE", 0)
    interval = key_of(shown, "MeterValueSampleInterval")
    assert (interval["reported"], interval["answer"], interval["drift"]) == ("30", "ACCEPTED", False)
    assert key_of(shown, "HeartbeatInterval")["answer"] is None  # it had a value that will do
    before = len(outlet.point.log)
    await care.pass_seconds(2 * LOOKED_AT_SECONDS)
    assert not [f for f in list(outlet.point.log)[before:] if f.action in ("GetConfiguration", "ChangeConfiguration")]


async def test_drift_is_found_within_a_day_and_mended(care: Field) -> None:
    outlet = await care.outlet(quirks=Quirks(no_heartbeats=True))
    await care.pass_seconds(SETTLED_SECONDS)
    outlet.point.configuration.change("ConnectionTimeOut", "3600")
    await care.admin.execute(
        "UPDATE charging.configurations SET due_at = $1 WHERE charger_id = $2", care.clock.now(), number(outlet)
    )
    await care.pass_seconds(LOOKED_AT_SECONDS)
    assert keys_set(outlet)[-1] == ("ConnectionTimeOut", "90")
    due_at = await care.admin.fetchval("SELECT due_at FROM charging.configurations WHERE charger_id = $1", number(outlet))
    assert 0 < (due_at - care.clock.now()).total_seconds() <= DAY_SECONDS


async def test_refusals_are_fine_and_energy_alone_will_do(care: Field) -> None:
    outlet = await care.outlet(settings=Settings(configuration={"MeterValuesSampledData": "Voltage"}))
    # It takes one measurand at most (CSL max 1), and has no key WebSocketPingInterval.
    real = outlet.point.configuration.change

    def change(name: str, value: str) -> str:
        if name == "WebSocketPingInterval":
            return "NotSupported"
        return "Rejected" if "," in value else real(name, value)

    outlet.point.configuration = Changed(outlet.point.configuration, change)
    await care.pass_seconds(SETTLED_SECONDS)
    sampled = [value for key, value in keys_set(outlet) if key == "MeterValuesSampledData"]
    assert sampled == ["Energy.Active.Import.Register,Power.Active.Import", "Energy.Active.Import.Register"]
    shown = await configuration(care, outlet)
    assert shown["state"] == "DONE"
    assert (key_of(shown, "MeterValuesSampledData")["fallback"], key_of(shown, "MeterValuesSampledData")["drift"]) == (
        True,
        False,
    )
    ping = key_of(shown, "WebSocketPingInterval")
    assert (ping["answer"], ping["drift"]) == ("NOT_SUPPORTED", True)
    drifting = (await care.api("GET", "/v1/configurations?drift=true"))["items"]
    assert outlet.id in [item["charger_id"] for item in drifting]
    # Each probe once per firmware: the next look asks for nothing that was declined.
    before = len(keys_set(outlet))
    await care.api("PUT", f"/v1/chargers/{outlet.id}/configuration/ResetRetries", {"value": "1"})
    await care.pass_seconds(LOOKED_AT_SECONDS)
    assert keys_set(outlet)[before:] == []


class Changed:
    """A station's keys, with another way of taking changes."""

    def __init__(self, real: Any, change: Any) -> None:
        self._real = real
        self.change = change

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def number(outlet: Outlet) -> int:
    """The charger's id as the tables have it."""
    return int(outlet.id.removeprefix("chg_"))


@pytest.mark.quirk(14)
@pytest.mark.quirk(14)
async def test_a_model_that_reboots_when_probed_is_left_alone(care: Field) -> None:
    outlet = await care.outlet(quirks_of_record={"denied_actions": ["ChangeConfiguration", "GetConfiguration"]})
    await care.pass_seconds(2 * SETTLED_SECONDS)
    assert asked(outlet, "GetConfiguration", "ChangeConfiguration") == []
    assert (await configuration(care, outlet))["state"] == "LEFT_ALONE"


async def test_a_denied_key_is_never_sent_and_a_model_may_want_another_value(care: Field) -> None:
    outlet = await care.outlet(
        quirks_of_record={"denied_keys": ["WebSocketPingInterval"], "configuration": {"ConnectionTimeOut": "45"}}
    )
    await care.pass_seconds(SETTLED_SECONDS)
    assert "WebSocketPingInterval" not in dict(keys_set(outlet))
    assert dict(keys_set(outlet))["ConnectionTimeOut"] == "45"


async def test_a_listing_that_hangs_is_asked_for_once_and_the_keys_are_set_without_it(care: Field) -> None:
    outlet = await care.outlet(quirks=Quirks(silent_to={"GetConfiguration"}))
    while (shown := await configuration(care, outlet))["interruptions"] == 0:
        await care.pass_seconds(1)
    assert (shown["state"], shown["listing_refused"], shown["interruptions"]) == ("WAITING", True, 1)
    assert keys_set(outlet) == []
    await care.pass_seconds(RETRY_SECONDS)
    assert len(asked(outlet, "GetConfiguration")) == 1
    assert [key for key, _ in keys_set(outlet)][:2] == ["HeartbeatInterval", "WebSocketPingInterval"]
    assert (await configuration(care, outlet))["state"] == "DONE"


async def test_one_that_hangs_on_every_key_is_given_up_until_its_firmware_changes(care: Field) -> None:
    outlet = await care.outlet(quirks=Quirks(silent_to={"ChangeConfiguration"}))
    await care.pass_seconds(SETTLED_SECONDS + 3 * (RETRY_SECONDS + HUNG_SECONDS))
    tried = [key for key, _ in keys_set(outlet)]
    assert len(tried) == len(set(tried)) == 3  # never the same key twice, and three times in all
    shown = await configuration(care, outlet)
    assert (shown["state"], shown["due_at"]) == ("GIVEN_UP", None)
    await care.pass_seconds(RETRY_SECONDS)
    assert len(keys_set(outlet)) == 3
    outlet.point.quirks = Quirks()
    outlet.point.firmware_version = "2.0.0"
    await outlet.point.reboot(hard=True)
    await care.pass_seconds(SETTLED_SECONDS + LOOKED_AT_SECONDS)
    assert (await configuration(care, outlet))["state"] == "DONE"


async def test_nothing_is_asked_while_a_session_runs_or_a_paid_start_waits(care: Field) -> None:
    outlet = await care.outlet()
    await care.paid_start(outlet)  # nobody has plugged in yet
    await care.pass_seconds(SETTLED_SECONDS)
    assert asked(outlet, "GetConfiguration") == []
    assert (await configuration(care, outlet))["reason"] == "a paid start is pending"
    await outlet.point.plug()
    await care.pass_seconds(65)
    assert (await care.transaction(outlet))["state"] == "RUNNING"
    assert asked(outlet, "GetConfiguration") == []
    await outlet.point.unplug()
    await care.pass_seconds(SETTLED_SECONDS)
    assert (await configuration(care, outlet))["state"] == "DONE"


async def test_a_start_goes_before_configuration_and_stops_it(care: Field) -> None:
    outlet = await care.outlet()
    await outlet.point.plug()
    outlet.point.quirks = Quirks(silent_to={"GetConfiguration"})  # so that its answer is awaited while the rider pays
    while not asked(outlet, "GetConfiguration"):
        await care.pass_seconds(1)
    await care.paid_start(outlet)
    assert asked(outlet, "RemoteStartTransaction") == []  # one CALL at a time
    await care.pass_seconds(HUNG_SECONDS)
    assert (await care.transaction(outlet))["state"] in ("STARTED", "RUNNING")
    assert keys_set(outlet) == []
    assert (await configuration(care, outlet))["state"] == "WAITING"


async def test_few_chargers_at_once(care: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(care.charging.app.settings, "configuration_at_once", 1)
    outlets = [await care.outlet(quirks=Quirks(answer_delays={"GetConfiguration": 2.0})) for _ in range(3)]
    for _ in range(20):
        await care.pass_seconds(1)
        running = await care.admin.fetchval(
            "SELECT count(*) FROM charging.configurations WHERE state IN ('LISTING', 'CHANGING', 'READING_BACK')"
        )
        assert running <= 1
    await care.pass_seconds(2 * LOOKED_AT_SECONDS)
    for outlet in outlets:
        assert (await configuration(care, outlet))["state"] == "DONE"


async def test_a_person_sets_a_key_for_one_charger_and_takes_it_back(care: Field) -> None:
    outlet = await care.outlet()
    await care.pass_seconds(SETTLED_SECONDS)
    path = f"/v1/chargers/{outlet.id}/configuration"
    assert (await care.api("PUT", f"{path}/connectiontimeout", {"value": "75"}, status=202))["drift"] == 1
    await care.pass_seconds(LOOKED_AT_SECONDS)
    assert keys_set(outlet)[-1] == ("ConnectionTimeOut", "75")
    shown = key_of(await configuration(care, outlet), "ConnectionTimeOut")
    assert (shown["override"], shown["desired"], shown["reported"], shown["drift"]) == ("75", "75", "75", False)
    await care.api("DELETE", f"{path}/ConnectionTimeOut", status=204)
    await care.pass_seconds(LOOKED_AT_SECONDS)
    assert keys_set(outlet)[-1] == ("ConnectionTimeOut", "75")  # between 60 and 120 will do: nothing is sent for it
    assert key_of(await configuration(care, outlet), "ConnectionTimeOut")["override"] is None
    await care.api("DELETE", f"{path}/ConnectionTimeOut", status=404)
    for secret in ("AuthorizationKey", "WifiPassword"):
        await care.api("PUT", f"{path}/{secret}", {"value": "x"}, status=422)
    before = len(asked(outlet, "GetConfiguration"))
    await care.api("POST", f"{path}/refresh", status=202)
    await care.pass_seconds(LOOKED_AT_SECONDS)
    assert len(asked(outlet, "GetConfiguration")) == before + 1


@pytest.mark.quirk(93)
@pytest.mark.quirk(93)
async def test_misspelt_and_secret_keys_are_matched_and_never_kept(care: Field) -> None:
    listed = [
        {"key": "stationPassword", "readonly": False, "value": "LetMeIn!"},
        {"key": "HEARTBEATINTERVAL", "readonly": False, "value": 40},
        {"key": "StopTransactionOnInvalid", "readonly": False, "value": "true"},
    ]
    outlet = await care.outlet(quirks=Quirks(answers={"GetConfiguration": {"configurationKey": listed, "unknownKey": []}}))
    await care.pass_seconds(SETTLED_SECONDS)
    await care.command(outlet, "GetConfiguration")
    shown = await configuration(care, outlet)
    assert key_of(shown, "StationPassword")["reported"] == "***"
    assert "HeartbeatInterval" not in dict(keys_set(outlet))
    assert await kept_anywhere(care, "LetMeIn!") == []


async def kept_anywhere(field: Field, secret: str) -> list[str]:
    """The tables of charging in which this text stands."""
    tables = await field.admin.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'charging'")
    found = []
    for row in tables:
        name = row["tablename"]
        body = "|| convert_from(body, 'UTF8')" if name == "outbox" else ""
        if await field.admin.fetchval(f"SELECT count(*) FROM charging.{name} t WHERE (t::text {body}) LIKE $1", f"%{secret}%"):  # noqa: S608
            found.append(name)
    return found


# Passwords, feature C13


async def hand_over(field: Field, outlet: Outlet) -> dict[str, Any]:
    made = await field.api("POST", f"/v1/chargers/{outlet.id}/credentials", {"deliver": True}, status=201)
    assert made["password"] is None
    await field.rest()
    found: dict[str, Any] = await field.api("GET", f"/v1/commands/{made['command_id']}")
    return found


async def refused(field: Field, outlet: Outlet, password: str) -> bool:
    """Whether a handshake with this password is answered 401."""
    outlet.password, before = password, outlet.password
    try:
        bare = await field.bare(outlet)
    except aiohttp.WSServerHandshakeError as error:
        return error.status == 401
    finally:
        outlet.password = before
    await bare.stop()
    field.quiet.charge_points.remove(bare)
    await field.rest()
    return False


@pytest.mark.oca("TC_073_CSMS")
@pytest.mark.oca("TC_073_CSMS")
async def test_a_new_password_is_told_to_the_charger_alone_and_the_old_one_ends_when_it_comes_back(field: Field) -> None:
    outlet = await field.outlet()
    old = outlet.password
    command = await hand_over(field, outlet)
    assert (command["status"], command["effect"]) == ("ANSWERED", "AWAITED")
    assert command["payload"] == {"key": "AuthorizationKey", "value": "***"}
    new = outlet.point.password
    assert new is not None
    assert new != old
    assert len(bytes.fromhex(new)) == 20
    assert await kept_anywhere(field, new) == []
    await field.api("POST", f"/v1/chargers/{outlet.id}/credentials", {"deliver": True}, status=409)
    # Both open the door while nobody knows which one it will come with.
    await outlet.point.disconnect()
    assert not await refused(field, outlet, old)
    await outlet.point.connect()
    await field.pass_seconds(1)
    command = await field.api("GET", f"/v1/commands/{command['id']}")
    assert (command["effect"], command["effect_evidence"].split()[:4]) == ("SEEN", ["a", "connection", "with", "the"])
    await outlet.point.disconnect()
    assert await refused(field, outlet, old)
    assert not await refused(field, outlet, new)


async def test_a_charger_that_declines_keeps_its_password_and_the_new_one_is_dropped(field: Field) -> None:
    outlet = await field.outlet(quirks=Quirks(answers={"ChangeConfiguration": {"status": "Rejected"}}))
    command = await hand_over(field, outlet)
    assert (command["status"], command["effect"]) == ("REJECTED", "NONE_EXPECTED")
    row = await field.admin.fetchrow("SELECT * FROM charging.chargers WHERE id = $1", number(outlet))
    assert row["previous_password_hash"] is None
    assert await field.said("audit_recorded", action="credentials_handover_failed", entity_id=str(number(outlet)))
    await outlet.point.disconnect()
    assert not await refused(field, outlet, outlet.password)


async def test_one_that_accepts_and_comes_back_with_the_old_password_keeps_it_after_the_deadline(
    field: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(field.charging.app.settings, "credentials_handover_seconds", 10)
    outlet = await field.outlet(quirks=Quirks(answers={"ChangeConfiguration": {"status": "Accepted"}}))
    command = await hand_over(field, outlet)
    await outlet.point.disconnect()
    await outlet.point.connect()
    await field.pass_seconds(12)
    command = await field.api("GET", f"/v1/commands/{command['id']}")
    assert command["effect"] == "NOT_SEEN"
    row = await field.admin.fetchrow("SELECT * FROM charging.chargers WHERE id = $1", number(outlet))
    assert row["previous_password_hash"] is None
    await outlet.point.disconnect()
    assert not await refused(field, outlet, outlet.password)


async def test_a_password_set_by_a_raw_command_would_lock_the_charger_out_and_other_secrets_are_sealed(field: Field) -> None:
    outlet = await field.outlet()
    body = {"action": "ChangeConfiguration", "payload": {"key": "authorizationkey", "value": "0123456789abcdef"}}
    await field.api("POST", f"/v1/chargers/{outlet.id}/commands", body, status=422)
    command = await field.command(outlet, "ChangeConfiguration", {"key": "WifiPassword", "value": "hush-hush-hush"})
    assert command["payload"]["value"] == "***"
    assert asked(outlet, "ChangeConfiguration") == [{"key": "WifiPassword", "value": "hush-hush-hush"}]
    assert await kept_anywhere(field, "hush-hush-hush") == []


# Receipts, feature B13


async def receipt(field: Field, command: dict[str, Any]) -> tuple[str, str]:
    found = await field.api("GET", f"/v1/commands/{command['id']}")
    return found["status"], found["effect"]


async def test_a_reset_is_done_when_the_charger_boots(field: Field) -> None:
    outlet = await field.outlet()
    command = await field.command(outlet, "Reset", {"type": "Hard"})
    assert (command["status"], command["effect"], command["effect_waits_for"]) == ("ANSWERED", "AWAITED", "BootNotification")
    await field.pass_seconds(10)
    assert await receipt(field, command) == ("ANSWERED", "SEEN")


async def test_an_accepted_reset_that_nothing_follows_is_not_done(field: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(field.charging.app.settings, "effect_reset_hard_seconds", 10)
    outlet = await field.outlet(quirks=Quirks(answers={"Reset": {"status": "Accepted"}}))
    command = await field.command(outlet, "Reset", {"type": "Hard"})
    await field.pass_seconds(8)
    assert await receipt(field, command) == ("ANSWERED", "AWAITED")
    await field.pass_seconds(4)
    assert await receipt(field, command) == ("ANSWERED", "NOT_SEEN")
    assert await field.said("audit_recorded", action="command_without_effect", entity_id=str(number(outlet)))


@pytest.mark.quirk(86)
async def test_a_start_that_overtakes_its_answer_is_its_effect(field: Field) -> None:
    outlet = await field.outlet(quirks=Quirks.of("start_before_answer"))
    await outlet.point.plug()
    await field.paid_start(outlet)
    (command,) = (await field.api("GET", f"/v1/chargers/{outlet.id}/commands"))["items"]
    assert (command["action"], command["status"], command["effect"]) == ("RemoteStartTransaction", "ANSWERED", "SEEN")
    assert command["effect_evidence"].startswith("StartTransaction CP-")


async def test_a_stop_is_done_by_its_stop_transaction_and_a_refused_command_expects_nothing(field: Field) -> None:
    outlet = await field.session(after_seconds=10)
    transaction_id = int((await field.transaction(outlet))["id"].removeprefix("txn_"))
    refusal = await field.command(outlet, "RemoteStopTransaction", {"transactionId": transaction_id + 1})
    assert await receipt(field, refusal) == ("REJECTED", "NONE_EXPECTED")
    command = await field.command(outlet, "RemoteStopTransaction", {"transactionId": transaction_id})
    assert await receipt(field, command) == ("ANSWERED", "SEEN")


async def test_a_change_of_availability_waits_for_the_session_to_end(field: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(field.charging.app.settings, "effect_status_seconds", 5)
    outlet = await field.session(after_seconds=10)
    command = await field.command(outlet, "ChangeAvailability", {"connectorId": 0, "type": "Inoperative"})
    assert command["response"] == {"status": "Scheduled"}
    await field.pass_seconds(12)
    assert await receipt(field, command) == ("ANSWERED", "AWAITED")
    await outlet.point.unplug()
    await field.pass_seconds(5)
    assert await receipt(field, command) == ("ANSWERED", "SEEN")
    again = await field.command(outlet, "ChangeAvailability", {"connectorId": 1, "type": "Inoperative"})
    assert (again["effect"], again["effect_evidence"]) == ("SEEN", "the connectors report it")


@pytest.mark.quirk(73)
async def test_a_message_is_triggered_at_most_once_a_minute(field: Field) -> None:
    outlet = await field.outlet()
    payload = {"requestedMessage": "StatusNotification", "connectorId": 1}
    command = await field.command(outlet, "TriggerMessage", payload)
    assert (command["effect"], command["effect_evidence"].split()[0]) == ("SEEN", "StatusNotification")
    body = {"action": "TriggerMessage", "payload": payload}
    await field.api("POST", f"/v1/chargers/{outlet.id}/commands", body, status=429)
    heartbeat = await field.command(outlet, "TriggerMessage", {"requestedMessage": "Heartbeat"})
    assert heartbeat["effect"] == "NONE_EXPECTED"
    age = "UPDATE charging.commands SET created_at = created_at - interval '1 minute' WHERE charger_id = $1"
    await field.admin.execute(age, number(outlet))
    await field.api("POST", f"/v1/chargers/{outlet.id}/commands", body, status=202)


async def test_one_operation_for_many_chargers_with_an_answer_for_each(field: Field) -> None:
    good = await field.outlet()
    bad = await field.outlet(quirks=Quirks(answers={"ClearCache": {"status": "Rejected"}}))
    away = await field.outlet(online=False)
    body = {"action": "ClearCache", "charger_ids": [good.id, bad.id, away.id, "chg_99999999", good.id]}
    batch = await field.api("POST", "/v1/commands", body, status=201)
    assert (batch["requested"], [each["charger_id"] for each in batch["refused"]]) == (4, ["chg_99999999"])
    await field.rest()
    batch = await field.api("GET", f"/v1/command-batches/{batch['id']}?limit=2")
    assert batch["by_status"] == {"ANSWERED": 1, "REJECTED": 1, "PENDING": 1}
    assert len(batch["results"]["items"]) == 2
    rest = await field.api("GET", f"/v1/command-batches/{batch['id']}?limit=2&cursor={batch['results']['next_cursor']}")
    results = {each["charger_id"]: each["status"] for each in batch["results"]["items"] + rest["results"]["items"]}
    assert results == {good.id: "ANSWERED", bad.id: "REJECTED", away.id: "PENDING"}
    station = await field.api("POST", "/v1/commands", {"action": "ClearCache", "station_id": good.station_id}, status=201)
    assert (station["requested"], len(station["results"]["items"])) == (1, 1)
    for wrong in ({"action": "ClearCache"}, {"action": "Heartbeat", "charger_ids": [good.id]}):
        await field.api("POST", "/v1/commands", wrong, status=422)
    await field.api("GET", "/v1/command-batches/bat_99999999", status=404)
