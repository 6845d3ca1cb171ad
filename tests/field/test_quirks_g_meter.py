"""Quirk table G: MeterValues. Each test bears the number of its row in `ocpp.md` Part 1."""

from datetime import timedelta

import pytest

from charger_simulator import Quirks
from testkit.field import Field
from tests.field.bare_session import read, started, stop, wh


@pytest.mark.quirk(58)
@pytest.mark.parametrize("fields", [{}, {"transactionId": 0}, {"transactionId": -1}])
async def test_row_58_readings_without_an_id_belong_to_the_open_session(field: Field, fields: dict[str, object]) -> None:
    outlet, bare, _ = await started(field)
    await read(field, bare, wh(1100), **fields)
    transaction = await field.transaction(outlet)
    assert (transaction["state"], transaction["confirmed_wh"]) == ("RUNNING", 100)


@pytest.mark.quirk(59)
async def test_row_59_a_garbage_id_is_bound_where_a_session_is_open_and_stored_where_none_is(field: Field) -> None:
    outlet, bare, transaction_id = await started(field)
    await read(field, bare, wh(1100), transactionId=1_936_029_036)
    assert (await field.transaction(outlet))["confirmed_wh"] == 100
    await stop(field, bare, transaction_id, 1100)
    await read(field, bare, wh(1100), transactionId=1_936_029_036)
    transaction = await field.transaction(outlet)
    assert (transaction["state"], transaction["energy_wh"], transaction["late_wh"]) == ("STOPPED", 100, 0)


@pytest.mark.quirk(60)
async def test_row_60_connector_0_of_a_box_with_one_outlet_is_that_outlet(field: Field) -> None:
    outlet, bare, _ = await started(field)
    await read(field, bare, wh(1100), connectorId=0)
    assert (await field.transaction(outlet))["confirmed_wh"] == 100


@pytest.mark.quirk(61)
async def test_row_61_kwh_that_say_wh_are_seen_through_by_power_and_time(field: Field) -> None:
    # 60 kW flow and the register, in kWh, says that they are Wh: 361, 362, 363. The power tells the truth.
    outlet, bare, transaction_id = await started(field, rated_power_w=60_000, paise=100_000)
    for register in range(1001, 1006):
        await read(field, bare, wh(register), {"value": "60000", "unit": "W", "measurand": "Power.Active.Import"})
    await stop(field, bare, transaction_id, 1005)
    transaction = await field.transaction(outlet)
    # Billed is the smaller figure, and a person looks at it before the owner is paid; the model gets an override of record.
    assert transaction["energy_wh"] <= 5
    assert transaction["implausible"]


@pytest.mark.quirk(61)
async def test_row_61_an_override_of_record_is_taken_at_its_word_and_no_unit_is_wh(field: Field) -> None:
    outlet, bare, _ = await started(field, quirks_of_record={"energy_unit": "kWh"})
    await read(field, bare, wh("1.1"))
    assert (await field.transaction(outlet))["confirmed_wh"] == 100
    plain, socket, _ = await started(field)
    await read(field, socket, {"value": "1100"})
    assert (await field.transaction(plain))["confirmed_wh"] == 100


@pytest.mark.quirk(62)
async def test_row_62_session_relative_readings_are_offset(field: Field) -> None:
    outlet = await field.session(after_seconds=125, quirks=Quirks.of("session_relative_samples"), meter_start_wh=4_076_400)
    transaction = await field.transaction(outlet)
    assert 0 < transaction["confirmed_wh"] <= outlet.point.connectors[1].meter_wh - 4_076_400
    await outlet.point.unplug()
    await field.rest()
    transaction = await field.transaction(outlet)
    assert transaction["energy_wh"] == outlet.point.connectors[1].meter_wh - 4_076_400


@pytest.mark.quirk(63)
async def test_row_63_a_register_that_starts_at_0_each_session(field: Field) -> None:
    outlet = await field.session(quirks=Quirks.of("register_restarts"), meter_start_wh=700_000)
    transaction = await field.transaction(outlet)
    assert 0 < transaction["confirmed_wh"] <= outlet.point.connectors[1].meter_wh - 700_000
    await outlet.point.unplug()
    await field.rest()
    assert (await field.transaction(outlet))["energy_wh"] == outlet.point.connectors[1].meter_wh - 700_000


@pytest.mark.quirk(64)
async def test_row_64_the_start_repeated_in_every_message_never_overwrites_what_is_live(field: Field) -> None:
    outlet, bare, transaction_id = await started(field)
    for register in (1100, 1200):
        await read(
            field,
            bare,
            wh(register, context="Sample.Periodic"),
            wh(1000, context="Transaction.Begin"),
            transactionId=transaction_id,
        )
    assert (await field.transaction(outlet))["confirmed_wh"] == 200


@pytest.mark.quirk(65)
async def test_row_65_one_reading_of_0_is_held_and_forgotten(field: Field) -> None:
    outlet, bare, transaction_id = await started(field)
    for register in (1100, 0, 1200):
        await read(field, bare, wh(register))
    assert (await field.transaction(outlet))["confirmed_wh"] == 200
    await stop(field, bare, transaction_id, 1200)
    transaction = await field.transaction(outlet)
    assert (transaction["energy_wh"], transaction["implausible"]) == (200, False)


@pytest.mark.quirk(66)
@pytest.mark.parametrize(("value", "energy"), [("  1100.1", 100), ("1100.913", 101), ("", 0)])
async def test_row_66_padded_fractional_and_empty_values(field: Field, value: str, energy: int) -> None:
    outlet, bare, _ = await started(field)
    await read(field, bare, {"value": value, "unit": "Wh"})
    assert (await field.transaction(outlet))["confirmed_wh"] == energy


@pytest.mark.quirk(67)
@pytest.mark.parametrize(("value", "energy"), [("1100,4", 100), ("1.100,5", 0), ("1 100", 0), ("eleven", 0)])
async def test_row_67_one_comma_is_a_decimal_one_and_what_is_unclear_is_no_reading(field: Field, value: str, energy: int) -> None:
    outlet, bare, _ = await started(field)
    await read(field, bare, {"value": value, "unit": "Wh"})
    transaction = await field.transaction(outlet)
    assert transaction["confirmed_wh"] == energy


@pytest.mark.quirk(68)
async def test_row_68_a_spike_stops_nobody_and_is_billed_to_nobody(field: Field) -> None:
    outlet, bare, transaction_id = await started(field)
    await read(field, bare, wh(1100))
    await read(field, bare, wh(11_000_000))
    transaction = await field.transaction(outlet)
    assert (transaction["confirmed_wh"], transaction["stop_intent"]) == (100, None)
    assert bare.calls("RemoteStopTransaction") == []
    await read(field, bare, wh(1200))
    await stop(field, bare, transaction_id, 1200)
    assert (await field.transaction(outlet))["energy_wh"] == 200


@pytest.mark.quirk(69)
async def test_row_69_phases_are_added_up_only_where_there_is_no_total(field: Field) -> None:
    outlet, bare, _ = await started(field)
    await read(field, bare, wh(340, phase="L1"), wh(350, phase="L2"), wh(410, phase="L3"))
    assert (await field.transaction(outlet))["confirmed_wh"] == 100
    await read(field, bare, wh(1200), wh(400, phase="L1"), wh(400, phase="L2"), wh(400, phase="L3"))
    assert (await field.transaction(outlet))["confirmed_wh"] == 200


@pytest.mark.quirk(70)
async def test_row_70_signed_data_is_stored_and_no_energy(field: Field) -> None:
    outlet, bare, transaction_id = await started(field)
    blob = {"value": "T0NNRnx7fXx7fQ==", "format": "SignedData", "measurand": "Energy.Active.Import.Register"}
    await read(field, bare, wh(1100), blob)
    assert (await field.transaction(outlet))["confirmed_wh"] == 100
    stored = await field.api("GET", f"/v1/transactions/txn_{transaction_id}/meter-values")
    assert "T0NNRnx7fXx7fQ==" in str(stored["items"][0]["sampled_value"])


@pytest.mark.quirk(71)
async def test_row_71_closing_values_after_the_stop_reopen_nothing(field: Field) -> None:
    outlet, bare, transaction_id = await started(field)
    await read(field, bare, wh(1090))
    await field.pass_seconds(10)
    await stop(field, bare, transaction_id, 1100)
    await read(field, bare, wh(1104, context="Transaction.End"), after=1, transactionId=transaction_id)
    transaction = await field.transaction(outlet)
    assert (transaction["state"], transaction["energy_wh"]) == ("STOPPED", 100)
    assert len(await field.said("transaction_stopped", charge_point_id=outlet.charge_point_id)) == 1


@pytest.mark.quirk(72)
async def test_row_72_a_prepaid_session_without_any_reading_is_asked_and_then_stopped(field: Field) -> None:
    outlet, bare, _ = await started(field, paise=1_000)
    await field.pass_seconds(300)
    assert bare.calls("RemoteStopTransaction"), "by the rated power its money is used up: it is stopped unseen"
    transaction = await field.transaction(outlet)
    assert transaction["stop_intent"] in ("BUDGET_EXHAUSTED", "METER_LOST")


@pytest.mark.quirk(73)
async def test_row_73_a_message_is_asked_for_at_most_once_a_minute(field: Field) -> None:
    outlet, bare, _ = await started(field)
    bare.answers["TriggerMessage"] = {"status": "Accepted"}
    for _ in range(6):
        await field.pass_seconds(30)
        await bare.call("Heartbeat", {})
    asked = [call for call in bare.calls("TriggerMessage") if call["requestedMessage"] == "MeterValues"]
    assert len(asked) <= 3
    assert (await field.transaction(outlet))["state"] in ("STARTED", "RUNNING")


@pytest.mark.quirk(74)
async def test_row_74_a_burst_of_queued_readings_beyond_the_money_is_one_stop_and_a_capped_bill(field: Field) -> None:
    outlet, bare, transaction_id = await started(field, paise=500, rated_power_w=22_000)
    await bare.stop()
    await field.rest()
    began = field.clock.now()
    await field.pass_seconds(120)
    again = await field.bare(outlet)
    again.answers["RemoteStopTransaction"] = {"status": "Accepted"}
    # A minute of readings was queued, at 22 kW: 5 rupees are used up after some 40 s.
    queued = [
        {"timestamp": (began + timedelta(seconds=s)).strftime("%Y-%m-%dT%H:%M:%SZ"), "sampledValue": [wh(1000 + 6 * s)]}
        for s in range(10, 120, 10)
    ]
    for meter_value in queued:
        await again.call("MeterValues", {"connectorId": 1, "transactionId": transaction_id, "meterValue": [meter_value]})
    await field.rest()
    assert len(again.calls("RemoteStopTransaction")) == 1
    await stop(field, again, transaction_id, 1000 + 6 * 120)
    transaction = await field.transaction(outlet)
    assert (transaction["state"], transaction["energy_wh"]) == ("STOPPED", 720)
    assert transaction["budget_paise"] == 500, "what bills caps the bill at the money: libs/money shows it"
