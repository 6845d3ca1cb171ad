"""The Open Charge Alliance's Central System cases of OCPP 1.6, in our own words: Core, remote control, connections.

The case is the marker; what each asks of a central system follows from the specification.
"""

from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from testkit.bare_charger import BareCharger
from testkit.field import START_DEADLINE_SECONDS, Field, Outlet
from tests.field.bare_session import METER_START_WH, asked_to_start, read, started, stop, wh

TAG = "STAFF-{number}"


async def booted(field: Field, **outlet: Any) -> tuple[Outlet, BareCharger]:
    """A bare charger that has booted and is free."""
    made = await field.outlet(online=False, **outlet)
    bare = await field.bare(made)
    assert (await bare.boot())["status"] == "Accepted"
    await bare.status("Available")
    await field.rest()
    return made, bare


async def staff_tag(field: Field, **fields: Any) -> str:
    """A tag that may charge, as a charger reads it."""
    tag = TAG.format(number=field.number())
    await field.api("POST", "/v1/id-tags", {"id_tag": tag, "holder": "A. Technician", **fields})
    return tag


async def start(field: Field, bare: BareCharger, tag: str, **fields: Any) -> Any:
    """StartTransaction; its answer."""
    at = field.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    payload = {"connectorId": 1, "idTag": tag, "meterStart": METER_START_WH, "timestamp": at, **fields}
    answer = await bare.call("StartTransaction", payload)
    await field.rest()
    return answer


async def charged(field: Field, outlet: Outlet, bare: BareCharger, answer: Any, **stop_fields: Any) -> dict[str, Any]:
    """100 Wh flow, the session ends; the transaction."""
    assert answer["idTagInfo"]["status"] == "Accepted"
    await bare.status("Charging")
    await read(field, bare, wh(METER_START_WH + 100), transactionId=answer["transactionId"])
    await stop(field, bare, answer["transactionId"], METER_START_WH + 100, **stop_fields)
    await bare.status("Finishing")
    await bare.status("Available")
    await field.rest()
    transaction = await field.transaction(outlet)
    assert (transaction["state"], transaction["energy_wh"]) == ("STOPPED", 100)
    return transaction


@pytest.mark.oca("TC_001_CSMS")
async def test_cold_boot(field: Field) -> None:
    outlet = await field.outlet(online=False, connectors=2)
    bare = await field.bare(outlet)
    answer = await bare.boot()
    assert (answer["status"], answer["interval"]) == ("Accepted", 40)
    for connector in (0, 1, 2):
        assert await bare.status("Available", connector=connector) == {}
    assert "currentTime" in await bare.call("Heartbeat", {})
    await field.rest()
    assert (await field.api("GET", f"/v1/chargers/{outlet.id}"))["online"]
    assert (await field.connector(outlet, 2))["status"] == "Available"


@pytest.mark.oca("TC_003_CSMS")
async def test_a_session_plugged_in_first(field: Field) -> None:
    outlet, bare = await booted(field)
    tag = await staff_tag(field)
    await bare.status("Preparing")
    assert (await bare.call("Authorize", {"idTag": tag}))["idTagInfo"]["status"] == "Accepted"
    await charged(field, outlet, bare, await start(field, bare, tag), reason="Local", idTag=tag)


@pytest.mark.oca("TC_004_1_CSMS")
async def test_a_session_identified_first(field: Field) -> None:
    outlet, bare = await booted(field)
    tag = await staff_tag(field)
    assert (await bare.call("Authorize", {"idTag": tag}))["idTagInfo"]["status"] == "Accepted"
    await bare.status("Preparing")
    await charged(field, outlet, bare, await start(field, bare, tag), reason="Local")


@pytest.mark.oca("TC_004_2_CSMS")
async def test_identified_and_never_plugged_in(field: Field) -> None:
    outlet, bare = await booted(field)
    assert (await bare.call("Authorize", {"idTag": await staff_tag(field)}))["idTagInfo"]["status"] == "Accepted"
    await bare.status("Preparing")
    await bare.status("Available")
    await field.rest()
    assert await field.transactions(outlet) == []
    assert (await field.connector(outlet))["status"] == "Available"


@pytest.mark.oca("TC_005_1_CSMS")
async def test_the_car_side_is_unplugged(field: Field) -> None:
    outlet, bare = await booted(field)
    transaction = await charged(field, outlet, bare, await start(field, bare, await staff_tag(field)), reason="EVDisconnected")
    assert transaction["ocpp_stop_reason"] == "EVDisconnected"


@pytest.mark.oca("TC_007_CSMS")
async def test_a_cached_tag_starts_without_authorize(field: Field) -> None:
    outlet, bare = await booted(field)
    await bare.status("Preparing")
    await charged(field, outlet, bare, await start(field, bare, await staff_tag(field)))


async def remotely_started(field: Field, *, plugged_first: bool) -> tuple[Outlet, BareCharger, dict[str, Any], str]:
    outlet, bare = await booted(field)
    tag = await staff_tag(field)
    bare.answers["RemoteStartTransaction"] = {"status": "Accepted"}
    if plugged_first:
        await bare.status("Preparing")
    command = await field.command(outlet, "RemoteStartTransaction", {"idTag": tag, "connectorId": 1})
    assert (command["status"], command["effect"]) == ("ANSWERED", "AWAITED")
    if not plugged_first:
        await bare.status("Preparing")
    return outlet, bare, command, tag


@pytest.mark.oca("TC_010_CSMS")
async def test_remote_start_with_the_cable_in(field: Field) -> None:
    outlet, bare, command, tag = await remotely_started(field, plugged_first=True)
    await charged(field, outlet, bare, await start(field, bare, tag))
    assert (await field.api("GET", f"/v1/commands/{command['id']}"))["effect"] == "SEEN"


@pytest.mark.oca("TC_011_1_CSMS")
async def test_remote_start_before_the_cable(field: Field) -> None:
    outlet, bare, command, tag = await remotely_started(field, plugged_first=False)
    await charged(field, outlet, bare, await start(field, bare, tag))
    assert (await field.api("GET", f"/v1/commands/{command['id']}"))["effect"] == "SEEN"


@pytest.mark.oca("TC_011_2_CSMS")
async def test_remote_start_that_nobody_plugs_in_for(field: Field) -> None:
    outlet, bare, _ = await asked_to_start(field)
    await bare.status("Available")
    await field.pass_seconds(START_DEADLINE_SECONDS + 2)
    (request,) = (await field.api("GET", f"/v1/start-requests?charge_point_id={outlet.charge_point_id}"))["items"]
    assert request["state"] == "EXPIRED"
    assert await field.transactions(outlet) == []


@pytest.mark.oca("TC_012_CSMS")
async def test_remote_stop(field: Field) -> None:
    outlet, bare, transaction_id = await started(field)
    await read(field, bare, wh(1100))
    await field.api("POST", f"/v1/transactions/txn_{transaction_id}/stop")
    await field.rest()
    assert bare.calls("RemoteStopTransaction") == [{"transactionId": transaction_id}]
    await stop(field, bare, transaction_id, 1100, reason="Remote")
    transaction = await field.transaction(outlet)
    assert (transaction["stop_reason"], transaction["ocpp_stop_reason"]) == ("OPERATOR", "Remote")


@pytest.mark.oca("TC_013_CSMS", "TC_014_CSMS")
@pytest.mark.parametrize("kind", ["Hard", "Soft"])
async def test_reset_is_done_when_the_charger_boots(field: Field, kind: str) -> None:
    outlet, bare = await booted(field)
    bare.answers["Reset"] = {"status": "Accepted"}
    command = await field.command(outlet, "Reset", {"type": kind})
    assert (command["status"], command["effect"]) == ("ANSWERED", "AWAITED")
    await bare.stop()
    await field.rest()
    again = await field.bare(outlet)
    await again.boot()
    await field.rest()
    assert (await field.api("GET", f"/v1/commands/{command['id']}"))["effect"] == "SEEN"


@pytest.mark.oca("TC_017_1_CSMS", "TC_017_2_CSMS", "TC_030_CSMS", "TC_031_CSMS")
@pytest.mark.parametrize(
    ("connector", "answer", "status"),
    [
        (1, "Unlocked", "ANSWERED"),
        (1, "NotSupported", "REJECTED"),
        (1, "UnlockFailed", "REJECTED"),
        (7, "NotSupported", "REJECTED"),
    ],
)
async def test_unlock_without_a_session(field: Field, connector: int, answer: str, status: str) -> None:
    outlet, bare = await booted(field)
    bare.answers["UnlockConnector"] = {"status": answer}
    command = await field.command(outlet, "UnlockConnector", {"connectorId": connector})
    assert (command["status"], command["response"]) == (status, {"status": answer})


@pytest.mark.oca("TC_018_1_CSMS")
async def test_unlock_ends_the_session_first(field: Field) -> None:
    outlet, bare, transaction_id = await started(field)
    await read(field, bare, wh(1100))
    bare.answers["UnlockConnector"] = {"status": "Unlocked"}
    command = await field.command(outlet, "UnlockConnector", {"connectorId": 1})
    assert command["status"] == "ANSWERED"
    await stop(field, bare, transaction_id, 1100, reason="UnlockCommand")
    assert (await field.transaction(outlet))["ocpp_stop_reason"] == "UnlockCommand"
    assert (await field.api("GET", f"/v1/commands/{command['id']}"))["effect"] == "SEEN"


@pytest.mark.oca("TC_019_1_CSMS", "TC_019_2_CSMS")
@pytest.mark.parametrize("asked", [{}, {"key": ["HeartbeatInterval"]}])
async def test_configuration_is_read(field: Field, asked: dict[str, Any]) -> None:
    outlet, bare = await booted(field)
    answer = {"configurationKey": [{"key": "HeartbeatInterval", "readonly": False, "value": "40"}], "unknownKey": []}
    bare.answers["GetConfiguration"] = answer
    command = await field.command(outlet, "GetConfiguration", asked)
    assert (command["status"], command["response"]) == ("ANSWERED", answer)
    assert asked in bare.calls("GetConfiguration")


@pytest.mark.oca("TC_021_CSMS", "TC_040_1_CSMS", "TC_040_2_CSMS")
@pytest.mark.parametrize(
    ("answer", "status"),
    [("Accepted", "ANSWERED"), ("RebootRequired", "ANSWERED"), ("NotSupported", "REJECTED"), ("Rejected", "REJECTED")],
)
async def test_configuration_is_changed_or_not(field: Field, answer: str, status: str) -> None:
    outlet, bare = await booted(field)
    bare.answers["ChangeConfiguration"] = {"status": answer}
    wanted = {"key": "MeterValueSampleInterval", "value": "30"}
    command = await field.command(outlet, "ChangeConfiguration", wanted)
    assert (command["status"], command["response"]) == (status, {"status": answer})
    assert bare.calls("ChangeConfiguration") == [wanted]


@pytest.mark.oca("TC_023_1_CSMS", "TC_023_2_CSMS", "TC_023_3_CSMS")
async def test_who_may_not_charge(field: Field) -> None:
    _, bare = await booted(field)
    expired = await staff_tag(field, expires_at=(field.clock.now() + timedelta(seconds=5)).isoformat())
    blocked = TAG.format(number=field.number())
    made = await field.api("POST", "/v1/id-tags", {"id_tag": blocked, "holder": "Left us"})
    await field.api("PATCH", f"/v1/id-tags/{made['id']}", {"enabled": False})
    await field.pass_seconds(6)
    told = {
        tag: (await bare.call("Authorize", {"idTag": tag}))["idTagInfo"]["status"] for tag in ("NEVER-SEEN", expired, blocked)
    }
    assert told == {"NEVER-SEEN": "Invalid", expired: "Expired", blocked: "Blocked"}


@pytest.mark.oca("TC_024_CSMS")
async def test_a_lock_that_fails_is_an_error_on_record_and_no_session(field: Field) -> None:
    outlet, bare = await booted(field)
    assert (await bare.call("Authorize", {"idTag": await staff_tag(field)}))["idTagInfo"]["status"] == "Accepted"
    await bare.status("Preparing")
    assert await bare.status("Faulted", error_code="ConnectorLockFailure") == {}
    await field.rest()
    assert await field.transactions(outlet) == []
    (error,) = (await field.api("GET", f"/v1/charger-errors?charger_id={outlet.id}"))["items"]
    assert error["error_code"] == "ConnectorLockFailure"


@pytest.mark.oca("TC_026_CSMS")
async def test_remote_start_rejected(field: Field) -> None:
    outlet, bare = await booted(field)
    bare.answers["RemoteStartTransaction"] = {"status": "Rejected"}
    command = await field.command(outlet, "RemoteStartTransaction", {"idTag": await staff_tag(field), "connectorId": 1})
    assert (command["status"], command["effect"]) == ("REJECTED", "NONE_EXPECTED")


@pytest.mark.oca("TC_028_CSMS")
async def test_remote_stop_rejected(field: Field) -> None:
    outlet, bare = await booted(field)
    bare.answers["RemoteStopTransaction"] = {"status": "Rejected"}
    command = await field.command(outlet, "RemoteStopTransaction", {"transactionId": 12345})
    assert (command["status"], command["effect"]) == ("REJECTED", "NONE_EXPECTED")


@pytest.mark.oca("TC_032_1_CSMS")
async def test_a_power_failure_and_the_stop_after_it(field: Field) -> None:
    outlet, bare, transaction_id = await started(field)
    await read(field, bare, wh(1100))
    await bare.stop()
    await field.pass_seconds(30)
    again = await field.bare(outlet)
    await again.boot()
    await again.status("Preparing")
    await stop(field, again, transaction_id, 1100, reason="PowerLoss")
    transaction = await field.transaction(outlet)
    assert (transaction["stop_reason"], transaction["ocpp_stop_reason"], transaction["energy_wh"]) == (
        "CHARGER",
        "PowerLoss",
        100,
    )


@pytest.mark.oca("TC_037_1_CSMS")
async def test_a_start_made_offline_with_a_valid_tag(field: Field) -> None:
    outlet, bare = await booted(field)
    tag = await staff_tag(field)
    await bare.stop()
    await field.rest()
    began = field.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    await field.pass_seconds(60)
    again = await field.bare(outlet)
    await charged(field, outlet, again, await start(field, again, tag, timestamp=began))


@pytest.mark.oca("TC_037_3_CSMS")
async def test_a_start_made_offline_with_an_unknown_tag(field: Field) -> None:
    outlet, bare = await booted(field)
    bare.answers["RemoteStopTransaction"] = {"status": "Accepted"}
    answer = await start(field, bare, "NEVER-SEEN", timestamp="2026-01-05T04:00:00Z")
    assert answer["idTagInfo"]["status"] == "Invalid"
    assert answer["transactionId"] > 0
    await stop(field, bare, answer["transactionId"], METER_START_WH + 50, reason="DeAuthorized")
    transaction = await field.transaction(outlet)
    assert (transaction["state"], transaction["stop_reason"], transaction["payer_reference"]) == (
        "STOPPED",
        "START_REFUSED",
        None,
    )


@pytest.mark.oca("TC_039_CSMS")
async def test_a_whole_session_made_offline(field: Field) -> None:
    outlet, bare = await booted(field)
    tag = await staff_tag(field)
    answer = await start(field, bare, tag, timestamp="2026-01-05T04:00:00Z")
    assert answer["idTagInfo"]["status"] == "Accepted"
    payload = {"transactionId": answer["transactionId"], "meterStop": METER_START_WH + 500, "timestamp": "2026-01-05T04:20:00Z"}
    assert isinstance(await bare.call("StopTransaction", payload | {"reason": "Local"}), dict)
    await field.rest()
    transaction = await field.transaction(outlet)
    assert (transaction["state"], transaction["energy_wh"]) == ("STOPPED", 500)


@pytest.mark.oca("TC_061_CSMS")
@pytest.mark.parametrize(("answer", "status"), [("Accepted", "ANSWERED"), ("Rejected", "REJECTED")])
async def test_the_authorization_cache_is_cleared(field: Field, answer: str, status: str) -> None:
    outlet, bare = await booted(field)
    bare.answers["ClearCache"] = {"status": answer}
    assert (await field.command(outlet, "ClearCache"))["status"] == status


@pytest.mark.oca("TC_064_CSMS")
async def test_data_transfer_to_the_central_system(field: Field) -> None:
    _, bare = await booted(field)
    answer = await bare.call("DataTransfer", {"vendorId": "org.somebody", "messageId": "any", "data": "x"})
    assert answer["status"] == "UnknownVendorId"
    known = await bare.call("DataTransfer", {"vendorId": "VoltLync", "messageId": "SignalQuality", "data": '{"rssi":20,"ber":0}'})
    assert known["status"] == "Accepted"


@pytest.mark.oca("TC_085_CSMS")
async def test_basic_authentication(field: Field) -> None:
    outlet = await field.outlet(online=False)
    assert (await (await field.bare(outlet)).boot())["status"] == "Accepted"
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await field.bare(outlet, key=b"guessed")
    assert refused.value.status == 401


@pytest.mark.oca("TC_088_CSMS")
async def test_the_subprotocol_is_negotiated(field: Field) -> None:
    outlet = await field.outlet(online=False)
    both = await field.bare(outlet, protocols=("ocpp2.0.1", "ocpp1.6"))
    assert both.subprotocol == "ocpp1.6"
    await both.stop()
    other = BareCharger(outlet.charge_point_id, outlet.password, field.port)
    await other.connect(protocols=("ocpp2.0.1",))
    assert other.subprotocol is None
    assert await other.closed() == 1002
    await other.stop()
