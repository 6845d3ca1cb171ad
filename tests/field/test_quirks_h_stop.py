"""Quirk table H: StopTransaction. Each test bears the number of its row in `ocpp.md` Part 1."""

import pytest

from testkit.field import Field
from tests.field.bare_session import read, started, stop, wh


@pytest.mark.quirk(75)
@pytest.mark.parametrize(("fields", "word"), [({"reason": "AppStop"}, "AppStop"), ({"reason": ""}, "Other"), ({}, "Local")])
async def test_row_75_an_odd_reason_ends_the_session_all_the_same(field: Field, fields: dict[str, object], word: str) -> None:
    outlet, bare, transaction_id = await started(field)
    await read(field, bare, wh(1100))
    assert isinstance(await stop(field, bare, transaction_id, 1100, **fields), dict)
    transaction = await field.transaction(outlet)
    assert (transaction["energy_wh"], transaction["stop_reason"]) == (100, "CHARGER")
    assert transaction["ocpp_stop_reason"] in (word, None)


@pytest.mark.quirk(76)
async def test_row_76_a_wrong_reason_moves_no_money_and_energy_that_goes_on_is_stopped(field: Field) -> None:
    outlet, bare, transaction_id = await started(field)
    await read(field, bare, wh(1100))
    await stop(field, bare, transaction_id, 1100, reason="EmergencyStop", idTag="HardReset")
    for register in (1200, 1300):
        await read(field, bare, wh(register), transactionId=transaction_id)
    transaction = await field.transaction(outlet)
    assert (transaction["energy_wh"], transaction["late_wh"]) == (100, 200), "what came late is never billed"
    assert {"transactionId": transaction_id} in bare.calls("RemoteStopTransaction")
    assert (await field.connector(outlet))["late_transaction_id"] == f"txn_{transaction_id}"


@pytest.mark.quirk(77)
@pytest.mark.parametrize("claimed", [0, -1, -2147483648])
async def test_row_77_a_stop_of_no_id_ends_the_only_open_session(field: Field, claimed: int) -> None:
    outlet, bare, _ = await started(field)
    await read(field, bare, wh(1100))
    assert isinstance(await stop(field, bare, claimed, 1100), dict)
    transaction = await field.transaction(outlet)
    assert (transaction["state"], transaction["energy_wh"]) == ("STOPPED", 100)


@pytest.mark.quirk(78)
async def test_row_78_a_stop_of_an_unknown_session_is_acknowledged_and_kept(field: Field) -> None:
    outlet, bare, _ = await started(field)
    await read(field, bare, wh(1100))
    assert isinstance(await stop(field, bare, 777_777_777, 9_999), dict)
    assert (await field.transaction(outlet))["state"] == "RUNNING", "it may be another's: nothing that runs ends by it"


@pytest.mark.quirk(79)
async def test_row_79_the_same_stop_again_changes_nothing(field: Field) -> None:
    outlet, bare, transaction_id = await started(field)
    await read(field, bare, wh(1100))
    for register in (1100, 1100, 1150):
        await stop(field, bare, transaction_id, register)
    assert (await field.transaction(outlet))["energy_wh"] == 100
    assert len(await field.said("transaction_stopped", charge_point_id=outlet.charge_point_id)) == 1


@pytest.mark.quirk(80)
@pytest.mark.parametrize(
    "payload", [{}, {"transactionId": "x"}, {"meterStop": []}, {"transactionId": 1, "timestamp": "yesterday"}]
)
async def test_row_80_a_stop_is_never_refused(field: Field, payload: dict[str, object]) -> None:
    bare = await field.bare(await field.outlet(online=False))
    assert isinstance(await bare.call("StopTransaction", payload), dict), "a CALLRESULT"
    await field.rest()


@pytest.mark.quirk(81)
@pytest.mark.parametrize("meter_stop", [-1, 900, 0])
async def test_row_81_an_unknown_meter_stop_bills_the_last_good_reading(field: Field, meter_stop: int) -> None:
    outlet, bare, transaction_id = await started(field)
    await read(field, bare, wh(1100))
    await stop(field, bare, transaction_id, meter_stop)
    assert (await field.transaction(outlet))["energy_wh"] == 100


@pytest.mark.quirk(82)
@pytest.mark.parametrize("fields", [{"idTag": ""}, {}, {"transactionData": []}, {"idTag": None}])
async def test_row_82_a_stop_needs_no_tag_and_no_data(field: Field, fields: dict[str, object]) -> None:
    outlet, bare, transaction_id = await started(field)
    await read(field, bare, wh(1100))
    assert isinstance(await stop(field, bare, transaction_id, 1100, **fields), dict)
    assert (await field.transaction(outlet))["energy_wh"] == 100


@pytest.mark.quirk(83)
async def test_row_83_ids_are_unique_and_a_stop_touches_its_senders_sessions_only(field: Field) -> None:
    mine, bare, my_id = await started(field)
    other, stranger, other_id = await started(field)
    assert my_id != other_id
    await read(field, bare, wh(1100))
    await stop(field, stranger, my_id, 5000)
    assert (await field.transaction(mine))["state"] == "RUNNING"
    assert (await field.transaction(other))["state"] == "STARTED"
    await stop(field, bare, my_id, 1100)
    assert (await field.transaction(mine))["energy_wh"] == 100
