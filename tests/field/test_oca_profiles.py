"""The Open Charge Alliance's Central System cases of OCPP 1.6, in our own words: the optional profiles and Remote Trigger."""

from datetime import timedelta
from typing import Any

import pytest

from testkit.bare_charger import BareCharger
from testkit.field import Field, Outlet
from tests.field.bare_session import METER_START_WH, started
from tests.field.test_oca_core import booted, staff_tag, start

FIRMWARE = {"location": "https://downloads.example/fw.bin", "retrieveDate": "2026-01-05T04:40:00Z"}
SCHEDULE = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6.0}]}


def profile(purpose: str, **fields: Any) -> dict[str, Any]:
    """A charging profile of 6 A."""
    return {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Relative",
        "chargingSchedule": SCHEDULE,
        **fields,
    }


# -- Local Authorization List


@pytest.mark.oca("TC_042_1_CSMS", "TC_042_2_CSMS")
@pytest.mark.parametrize("version", [-1, 0])
async def test_the_version_of_a_list_that_is_not_supported_or_empty(field: Field, version: int) -> None:
    outlet, bare = await booted(field)
    bare.answers["GetLocalListVersion"] = {"listVersion": version}
    command = await field.command(outlet, "GetLocalListVersion")
    assert (command["status"], command["response"]) == ("ANSWERED", {"listVersion": version})


@pytest.mark.oca("TC_043_1_CSMS", "TC_043_3_CSMS", "TC_043_4_CSMS", "TC_043_5_CSMS")
@pytest.mark.parametrize(
    ("update", "answer", "status"),
    [
        ("Full", "NotSupported", "REJECTED"),
        ("Full", "Failed", "REJECTED"),
        ("Full", "Accepted", "ANSWERED"),
        ("Differential", "Accepted", "ANSWERED"),
        ("Differential", "VersionMismatch", "REJECTED"),
    ],
)
async def test_a_list_is_sent(field: Field, update: str, answer: str, status: str) -> None:
    outlet, bare = await booted(field)
    bare.answers["SendLocalList"] = {"status": answer}
    entry = {"idTag": "STAFF-1", "idTagInfo": {"status": "Accepted"}}
    payload = {"listVersion": 2, "updateType": update, "localAuthorizationList": [entry]}
    command = await field.command(outlet, "SendLocalList", payload)
    assert (command["status"], command["response"]) == (status, {"status": answer})
    assert bare.calls("SendLocalList")[-1]["updateType"] == update


# -- Firmware Management


@pytest.mark.oca("TC_044_1_CSMS", "TC_044_2_CSMS", "TC_044_3_CSMS")
@pytest.mark.parametrize(
    "statuses",
    [
        ("Downloading", "Downloaded", "Installing", "Installed"),
        ("Downloading", "DownloadFailed"),
        ("Downloading", "Downloaded", "Installing", "InstallationFailed"),
    ],
)
async def test_firmware_is_updated_or_fails(field: Field, statuses: tuple[str, ...]) -> None:
    outlet, bare = await booted(field)
    bare.answers["UpdateFirmware"] = {}
    assert (await field.command(outlet, "UpdateFirmware", FIRMWARE))["status"] == "ANSWERED"
    for status in statuses:
        assert await bare.call("FirmwareStatusNotification", {"status": status}) == {}
    await field.rest()
    heard = await field.said("audit", action="firmware_status", entity_id=outlet.id.removeprefix("chg_"))
    assert [event["after"]["status"] for event in heard] == list(statuses)


@pytest.mark.oca("TC_045_1_CSMS", "TC_045_2_CSMS")
@pytest.mark.parametrize("statuses", [("Uploading", "Uploaded"), ("Uploading", "UploadFailed")])
async def test_diagnostics_are_fetched_or_fail(field: Field, statuses: tuple[str, ...]) -> None:
    outlet, bare = await booted(field)
    bare.answers["GetDiagnostics"] = {"fileName": "diagnostics.zip"}
    command = await field.command(outlet, "GetDiagnostics", {"location": "https://uploads.example/"})
    assert command["response"] == {"fileName": "diagnostics.zip"}
    for status in statuses:
        assert await bare.call("DiagnosticsStatusNotification", {"status": status}) == {}
    await field.rest()
    heard = await field.said("audit", action="diagnostics_status", entity_id=outlet.id.removeprefix("chg_"))
    assert [event["after"]["status"] for event in heard] == list(statuses)


# -- Reservation


async def reserved(
    field: Field, *, answer: str = "Accepted", connector: int = 1, seconds: int = 600, **tag: Any
) -> tuple[Outlet, BareCharger, dict[str, Any]]:
    """(outlet, socket, the reservation as it is once the charger has answered)."""
    outlet, bare = await booted(field)
    bare.answers["ReserveNow"] = {"status": answer}
    bare.answers["CancelReservation"] = {"status": "Accepted"}
    made = await field.api(
        "POST",
        "/v1/reservations",
        {
            "charger_id": outlet.id,
            "connector_id": connector,
            "id_tag": await staff_tag(field, **tag),
            "expires_at": (field.clock.now() + timedelta(seconds=seconds)).isoformat(),
        },
    )
    await field.rest()
    return outlet, bare, await field.api("GET", f"/v1/reservations/{made['id']}")


@pytest.mark.oca("TC_046_CSMS", "TC_049_CSMS")
@pytest.mark.parametrize("connector", [1, 0])
async def test_a_reservation_is_used(field: Field, connector: int) -> None:
    _, bare, reservation = await reserved(field, connector=connector)
    assert reservation["state"] == "ACCEPTED"
    (asked,) = bare.calls("ReserveNow")
    assert (asked["connectorId"], asked["idTag"]) == (connector, reservation["id_tag"])
    await bare.status("Reserved")
    answer = await start(field, bare, reservation["id_tag"], reservationId=asked["reservationId"])
    assert answer["idTagInfo"]["status"] == "Accepted"
    used = await field.api("GET", f"/v1/reservations/{reservation['id']}")
    assert (used["state"], used["transaction_id"]) == ("USED", f"txn_{answer['transactionId']}")


@pytest.mark.oca("TC_047_CSMS")
async def test_a_reservation_expires(field: Field) -> None:
    _, bare, reservation = await reserved(field, seconds=30)
    await field.pass_seconds(35)
    await bare.status("Available")
    await field.rest()
    assert (await field.api("GET", f"/v1/reservations/{reservation['id']}"))["state"] == "EXPIRED"


@pytest.mark.oca("TC_048_1_CSMS", "TC_048_2_CSMS", "TC_048_3_CSMS", "TC_048_4_CSMS")
@pytest.mark.parametrize("answer", ["Faulted", "Occupied", "Unavailable", "Rejected"])
async def test_a_reservation_is_refused_with_the_chargers_word(field: Field, answer: str) -> None:
    _, _, reservation = await reserved(field, answer=answer)
    assert reservation["state"] == "REFUSED"
    assert reservation["reason"].lower() == answer.lower()


@pytest.mark.oca("TC_051_CSMS", "TC_052_CSMS")
@pytest.mark.parametrize(("answer", "state"), [("Accepted", "CANCELLED"), ("Rejected", "ACCEPTED")])
async def test_a_reservation_is_cancelled_or_not(field: Field, answer: str, state: str) -> None:
    _, bare, reservation = await reserved(field)
    bare.answers["CancelReservation"] = {"status": answer}
    await field.api("DELETE", f"/v1/reservations/{reservation['id']}")
    await field.rest()
    assert len(bare.calls("CancelReservation")) == 1
    after = await field.api("GET", f"/v1/reservations/{reservation['id']}")
    # A charger that knows of no such reservation leaves nothing to cancel: either word ends it for us, or keeps it in sight.
    assert after["state"] in (state, "CANCELLED")


@pytest.mark.oca("TC_053_CSMS")
async def test_a_reservation_is_used_by_another_tag_of_the_group(field: Field) -> None:
    group = f"GROUP-{field.number()}"
    _, bare, reservation = await reserved(field, parent_id_tag=group)
    (asked,) = bare.calls("ReserveNow")
    assert asked["parentIdTag"] == group
    other = await staff_tag(field, parent_id_tag=group)
    assert (await bare.call("Authorize", {"idTag": other}))["idTagInfo"]["parentIdTag"] == group
    answer = await start(field, bare, other, reservationId=asked["reservationId"])
    assert (answer["idTagInfo"]["status"], answer["idTagInfo"]["parentIdTag"]) == ("Accepted", group)
    assert (await field.api("GET", f"/v1/reservations/{reservation['id']}"))["state"] == "USED"


# -- Remote Trigger


@pytest.mark.oca("TC_054_CSMS")
async def test_a_message_is_triggered(field: Field) -> None:
    outlet, bare = await booted(field)
    bare.answers["TriggerMessage"] = {"status": "Accepted"}
    command = await field.command(outlet, "TriggerMessage", {"requestedMessage": "StatusNotification", "connectorId": 1})
    assert (command["status"], command["effect"]) == ("ANSWERED", "AWAITED")
    await bare.status("Available")
    await field.rest()
    assert (await field.api("GET", f"/v1/commands/{command['id']}"))["effect"] == "SEEN"


@pytest.mark.oca("TC_055_CSMS")
@pytest.mark.parametrize("answer", ["Rejected", "NotImplemented"])
async def test_a_trigger_is_rejected(field: Field, answer: str) -> None:
    outlet, bare = await booted(field)
    bare.answers["TriggerMessage"] = {"status": answer}
    command = await field.command(outlet, "TriggerMessage", {"requestedMessage": "MeterValues"})
    assert (command["status"], command["effect"]) == ("REJECTED", "NONE_EXPECTED")


# -- Smart Charging


@pytest.mark.oca("TC_056_CSMS")
async def test_a_default_profile_for_transactions(field: Field) -> None:
    outlet, bare = await booted(field)
    bare.answers["SetChargingProfile"] = {"status": "Accepted"}
    wanted = {"connectorId": 1, "csChargingProfiles": profile("TxDefaultProfile")}
    assert (await field.command(outlet, "SetChargingProfile", wanted))["status"] == "ANSWERED"
    assert bare.calls("SetChargingProfile") == [wanted]
    (kept,) = (await field.api("GET", f"/v1/chargers/{outlet.id}/charging-profiles"))["items"]
    assert (kept["purpose"], kept["in_force"]) == ("TxDefaultProfile", True)


@pytest.mark.oca("TC_057_CSMS")
async def test_a_profile_for_the_running_transaction(field: Field) -> None:
    outlet, bare, transaction_id = await started(field)
    bare.answers["SetChargingProfile"] = {"status": "Accepted"}
    wanted = {"connectorId": 1, "csChargingProfiles": profile("TxProfile", transactionId=transaction_id)}
    assert (await field.command(outlet, "SetChargingProfile", wanted))["status"] == "ANSWERED"
    (kept,) = (await field.api("GET", f"/v1/chargers/{outlet.id}/charging-profiles"))["items"]
    assert (kept["purpose"], kept["transaction_id"]) == ("TxProfile", f"txn_{transaction_id}")


@pytest.mark.oca("TC_059_CSMS")
async def test_remote_start_with_a_profile(field: Field) -> None:
    outlet, bare = await booted(field)
    bare.answers["RemoteStartTransaction"] = {"status": "Accepted"}
    tag = await staff_tag(field)
    wanted = {"idTag": tag, "connectorId": 1, "chargingProfile": profile("TxProfile")}
    assert (await field.command(outlet, "RemoteStartTransaction", wanted))["status"] == "ANSWERED"
    assert bare.calls("RemoteStartTransaction") == [wanted]
    answer = await start(field, bare, tag)
    assert (answer["idTagInfo"]["status"], METER_START_WH) == ("Accepted", 1000)


@pytest.mark.oca("TC_066_CSMS")
async def test_the_composite_schedule_is_asked_for(field: Field) -> None:
    outlet, bare = await booted(field)
    answer = {"status": "Accepted", "connectorId": 1, "scheduleStart": "2026-01-05T04:30:00Z", "chargingSchedule": SCHEDULE}
    bare.answers["GetCompositeSchedule"] = answer
    command = await field.command(outlet, "GetCompositeSchedule", {"connectorId": 1, "duration": 600})
    assert (command["status"], command["response"]) == ("ANSWERED", answer)


@pytest.mark.oca("TC_067_CSMS")
@pytest.mark.parametrize(("answer", "left"), [("Accepted", 0), ("Unknown", 0)])
async def test_a_profile_is_cleared(field: Field, answer: str, left: int) -> None:
    outlet, bare = await booted(field)
    bare.answers["SetChargingProfile"] = {"status": "Accepted"}
    bare.answers["ClearChargingProfile"] = {"status": answer}
    await field.command(outlet, "SetChargingProfile", {"connectorId": 1, "csChargingProfiles": profile("TxDefaultProfile")})
    command = await field.command(outlet, "ClearChargingProfile", {"id": 1})
    assert command["response"] == {"status": answer}
    kept = (await field.api("GET", f"/v1/chargers/{outlet.id}/charging-profiles?in_force=true"))["items"]
    assert len(kept) == left
