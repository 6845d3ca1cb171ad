"""Quirk table B: framing and payload shape. Each test bears the number of its row in `ocpp.md` Part 1."""

import pytest

from charger_simulator import Quirks
from testkit.field import Field
from tests.field.bare_session import START, sample, started

DEFECT_LEFT_OUT = (
    '[2,"{id}","MeterValues",{"connectorId":1,"transactionId":,"meterValue":[{"timestamp":"2026-01-05T04:31:00Z",'
    '"sampledValue":[,{"value":"1100","unit":"Wh"}]}]}]'
)
DEFECT_COMMAS = (
    '[2,"{id}","MeterValues",{"connectorId":1,"meterValue":[{"timestamp":"2026-01-05T04:31:00Z",'
    '"sampledValue":[{"value":"1100","unit":"Wh"},]},]}]'
)


@pytest.mark.quirk(16)
async def test_row_16_empty_frames_are_ignored(field: Field) -> None:
    outlet = await field.outlet(online=False)
    bare = await field.bare(outlet)
    for empty in ("", "  \r\n", b""):
        await bare.send(empty)
    assert "currentTime" in await bare.call("Heartbeat", {})
    assert [frame[0] for frame in bare.received] == [3], "nothing was answered but the Heartbeat"


@pytest.mark.quirk(17)
async def test_row_17_a_null_payload_is_an_empty_one(field: Field) -> None:
    outlet = await field.outlet(online=False)
    bare = await field.bare(outlet)
    assert "currentTime" in await bare.call("Heartbeat", None)


@pytest.mark.quirk(18)
@pytest.mark.parametrize("frame", [DEFECT_LEFT_OUT, DEFECT_COMMAS])
async def test_row_18_known_defects_of_json_are_repaired_and_the_energy_counts(field: Field, frame: str) -> None:
    outlet, bare, _ = await started(field)
    await field.pass_seconds(60)
    await bare.send(frame.replace("{id}", "broken"))
    assert await bare.answer("broken") == {}
    await field.rest()
    assert (await field.transaction(outlet))["confirmed_wh"] == 100


@pytest.mark.quirk(18)
async def test_row_18_what_stays_unreadable_is_refused_by_its_id(field: Field) -> None:
    outlet = await field.outlet(online=False)
    bare = await field.bare(outlet)
    await bare.send('[2,"lost","MeterValues",{"connectorId":}}}')
    assert (await bare.answer("lost"))[2] == "FormationViolation"
    assert "currentTime" in await bare.call("Heartbeat", {})


@pytest.mark.quirk(19)
async def test_row_19_a_truncated_answer_fails_its_command_at_once(field: Field) -> None:
    outlet = await field.outlet(quirks=Quirks.of("truncated_configuration"))
    command = await field.command(outlet, "GetConfiguration")
    assert command["status"] in ("CALL_ERROR", "UNKNOWN"), command
    assert (await field.command(outlet, "ClearCache"))["status"] in ("ANSWERED", "REJECTED"), "the next one is served"


@pytest.mark.quirk(20)
async def test_row_20_extra_fields_are_dropped_and_a_misnamed_reason_is_understood(field: Field) -> None:
    outlet, bare, transaction_id = await started(field)
    assert "idTagInfo" in await bare.call("Authorize", {"connectorId": 2, "idTag": "ABC"})
    await field.pass_seconds(60)
    stop = {"transactionId": transaction_id, "meterStop": 1100, "timestamp": "2026-01-05T04:31:00Z"}
    await bare.call("StopTransaction", stop | {"connectorId": 1, "disconnectReason": "EVDisconnected"})
    await field.rest()
    transaction = await field.transaction(outlet)
    assert (transaction["energy_wh"], transaction["ocpp_stop_reason"]) == (100, "EVDisconnected")


@pytest.mark.quirk(21)
async def test_row_21_numbers_where_strings_are_due(field: Field) -> None:
    outlet, bare, _ = await started(field)
    await field.pass_seconds(60)
    assert await bare.call("MeterValues", {"connectorId": 1, "meterValue": [sample(1104.213)]}) == {}
    await field.rest()
    assert (await field.transaction(outlet))["confirmed_wh"] == 104


@pytest.mark.quirk(22)
@pytest.mark.parametrize("meter_stop", [1100.333, "1100", "1100.333", " 1100 "])
async def test_row_22_a_fractional_or_quoted_register_is_rounded_and_never_refused(field: Field, meter_stop: object) -> None:
    outlet, bare, transaction_id = await started(field)
    await field.pass_seconds(60)
    stop = {"transactionId": str(transaction_id), "meterStop": meter_stop, "timestamp": "2026-01-05T04:31:00Z"}
    assert isinstance(await bare.call("StopTransaction", stop), dict)
    await field.rest()
    transaction = await field.transaction(outlet)
    assert (transaction["state"], transaction["energy_wh"]) == ("STOPPED", 100)


@pytest.mark.quirk(23)
async def test_row_23_a_stop_without_its_id_ends_the_one_open_session(field: Field) -> None:
    outlet = await field.session(quirks=Quirks.of("null_transaction_id"))
    await outlet.point.unplug()
    await field.rest()
    transaction = await field.transaction(outlet)
    assert (transaction["state"], transaction["energy_wh"]) == ("STOPPED", outlet.point.connectors[1].meter_wh)
    # With nothing open it is acknowledged and kept as an orphan.
    bare = await field.bare(await field.outlet(online=False))
    stop = {"transactionId": None, "meterStop": 5, "timestamp": "2026-01-05T04:31:00Z"}
    assert isinstance(await bare.call("StopTransaction", stop), dict)


@pytest.mark.quirk(24)
async def test_row_24_unknown_enumerations_are_mapped_and_the_word_is_kept(field: Field) -> None:
    outlet, bare, transaction_id = await started(field)
    await field.pass_seconds(60)
    values = [{"value": "50", "unit": "Hz", "measurand": "Frequency"}, {"value": "1100", "context": "Now", "unit": "Wh"}]
    meter_value = {"timestamp": "2026-01-05T04:31:00Z", "sampledValue": values}
    assert await bare.call("MeterValues", {"connectorId": 1, "meterValue": [meter_value]}) == {}
    assert await bare.status("Charging", error_code="Error") == {}
    await field.rest()
    assert (await field.connector(outlet))["error_code"] == "OtherError"
    stop = {"transactionId": transaction_id, "meterStop": 1100, "timestamp": "2026-01-05T04:31:00Z", "reason": "AppStop"}
    assert isinstance(await bare.call("StopTransaction", stop), dict)
    await field.rest()
    transaction = await field.transaction(outlet)
    assert (transaction["energy_wh"], transaction["ocpp_stop_reason"], transaction["stop_reason"]) == (100, "AppStop", "CHARGER")


@pytest.mark.quirk(25)
async def test_row_25_strings_that_are_too_long_are_cut_not_refused(field: Field) -> None:
    outlet = await field.outlet(online=False)
    bare = await field.bare(outlet)
    boot = {"chargePointModel": "M" * 23, "chargePointSerialNumber": "S" * 26, "chargeBoxSerialNumber": "B" * 34}
    assert (await bare.boot(**boot))["status"] == "Accepted"
    assert await bare.status("Available", info="i" * 80) == {}
    assert "idTagInfo" in await bare.call("Authorize", {"idTag": "A" * 21})
    await field.rest()
    charger = await field.api("GET", f"/v1/chargers/{outlet.id}")
    assert charger["serial_number"].startswith("S" * 25)


@pytest.mark.quirk(26)
async def test_row_26_an_empty_vendor_boots(field: Field) -> None:
    bare = await field.bare(await field.outlet(online=False))
    assert (await bare.boot(chargePointVendor=""))["status"] == "Accepted"


@pytest.mark.quirk(27)
@pytest.mark.parametrize("meter_value", [[], [{"timestamp": "2026-01-05T04:31:00Z", "sampledValue": []}]])
async def test_row_27_empty_arrays_are_acknowledged_and_say_nothing(field: Field, meter_value: list[object]) -> None:
    outlet, bare, _ = await started(field)
    assert await bare.call("MeterValues", {"connectorId": 1, "meterValue": meter_value}) == {}
    await field.rest()
    assert (await field.transaction(outlet))["confirmed_wh"] == 0


@pytest.mark.quirk(28)
async def test_row_28_one_message_id_for_everything_confuses_nothing(field: Field) -> None:
    outlet = await field.session(quirks=Quirks.of("reuses_message_ids"), after_seconds=60)
    await outlet.point.disconnect(10)
    await field.pass_seconds(60)
    await outlet.point.unplug()
    await field.rest()
    transaction = await field.transaction(outlet)
    assert transaction["energy_wh"] == outlet.point.connectors[1].meter_wh


@pytest.mark.quirk(29)
async def test_row_29_the_same_id_with_another_payload_is_another_message(field: Field) -> None:
    outlet, bare, transaction_id = await started(field)
    await field.pass_seconds(60)
    stop = {"meterStop": 1100, "timestamp": "2026-01-05T04:31:00Z"}
    for claimed in (transaction_id, -1):
        assert isinstance(await bare.call("StopTransaction", stop | {"transactionId": claimed}, message_id="531531539"), dict)
    await field.rest()
    assert (await field.transaction(outlet))["energy_wh"] == 100
    assert len(await field.said("transaction_stopped", charge_point_id=outlet.charge_point_id)) == 1


@pytest.mark.quirk(30)
async def test_row_30_a_repeated_frame_is_answered_again_with_the_same_result(field: Field) -> None:
    outlet = await field.outlet(online=False)
    bare = await field.bare(outlet)
    bare.answers["RemoteStartTransaction"] = {"status": "Accepted"}
    await bare.boot()
    await bare.status("Preparing")
    await field.paid_start(outlet)
    start = START | {"idTag": bare.calls("RemoteStartTransaction")[0]["idTag"]}
    answers = [await bare.call("StartTransaction", start, message_id="same") for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    assert len(await field.transactions(outlet)) == 1


@pytest.mark.quirk(31)
async def test_row_31_a_bad_answer_fails_its_command_only(field: Field) -> None:
    outlet = await field.outlet(online=False)
    bare = await field.bare(outlet)
    await bare.boot()
    # An integer for a string, a long value, an object's worth of extra fields: read as they are meant.
    key = {"key": "HeartbeatInterval", "readonly": "false", "value": 40, "unit": "s"}
    bare.answers["GetConfiguration"] = {"configurationKey": [key, {"key": "Long", "readonly": False, "value": "x" * 600}]}
    command = await field.command(outlet, "GetConfiguration")
    assert command["status"] == "ANSWERED"
    # A frame that answers nobody, and an error whose details are a text, end nothing.
    await bare.send('[3,"",{"status":"Accepted"}]')
    await bare.send('[4,"nobody","InternalError","","details"]')
    bare.answers["ClearCache"] = {"status": "Accepted"}
    assert (await field.command(outlet, "ClearCache"))["status"] == "ANSWERED"


@pytest.mark.quirk(32)
async def test_row_32_error_codes_are_spelt_as_16_spells_them(field: Field) -> None:
    bare = await field.bare(await field.outlet(online=False))
    spelt = {
        "NotImplemented", "NotSupported", "InternalError", "ProtocolError", "SecurityError", "FormationViolation",
        "PropertyConstraintViolation", "OccurenceConstraintViolation", "TypeConstraintViolation", "GenericError",
    }  # fmt: skip
    refused = [
        await bare.call("Unheard", {}),
        await bare.call("RemoteStartTransaction", {"idTag": "A"}),
        await bare.call("StatusNotification", {}),
        await bare.call("FirmwareStatusNotification", {"status": 7}),
        await bare.call("Heartbeat", [1]),
    ]
    codes = [frame[2] for frame in refused if isinstance(frame, list)]
    assert codes[0] == "NotImplemented", "an action that OCPP does not know"
    assert len(codes) >= 3
    assert set(codes) <= spelt
    assert "OccurrenceConstraintViolation" not in codes
