"""Quirk table F: StartTransaction. Each test bears the number of its row in `ocpp.md` Part 1."""

import pytest

from charger_simulator import Quirks
from testkit.field import Field
from tests.field.bare_session import asked_to_start, read, wh


@pytest.mark.quirk(50)
async def test_row_50_the_same_start_again_is_the_same_transaction_on_any_socket(field: Field) -> None:
    outlet, bare, start = await asked_to_start(field)
    first = await bare.call("StartTransaction", start)
    assert await bare.call("StartTransaction", start) == first
    await bare.stop()
    await field.rest()
    again = await field.bare(outlet)
    assert await again.call("StartTransaction", start) == first
    assert (await field.transaction(outlet))["id"] == f"txn_{first['transactionId']}"


@pytest.mark.quirk(51)
async def test_row_51_a_charger_that_keeps_its_first_id_is_understood_and_stopped_by_it(field: Field) -> None:
    outlet, bare, start = await asked_to_start(field)
    ours = (await bare.call("StartTransaction", start))["transactionId"]
    # It goes on under an id that it got elsewhere, and refuses to stop under any other.
    await read(field, bare, wh(1100), transactionId=1_758_670_080)
    assert (await field.transaction(outlet))["confirmed_wh"] == 100
    bare.answers["RemoteStopTransaction"] = {"status": "Rejected"}
    await field.api("POST", f"/v1/transactions/txn_{ours}/stop")
    await field.rest()
    for register in (1200, 1300, 1400):
        await read(field, bare, wh(register), after=61, transactionId=1_758_670_080)
    told = {stop["transactionId"] for stop in bare.calls("RemoteStopTransaction")}
    assert told == {ours, 1_758_670_080}


@pytest.mark.quirk(52)
async def test_row_52_two_riders_at_once_are_one_remote_start(field: Field) -> None:
    outlet, bare, start = await asked_to_start(field)
    second = await field.paid_start(outlet)
    request = await field.start_request(second)
    assert (request["state"], request["reason"]) == ("REFUSED", "CONNECTOR_BUSY")
    assert len(bare.calls("RemoteStartTransaction")) == 1
    assert (await bare.call("StartTransaction", start))["idTagInfo"]["status"] == "Accepted"


@pytest.mark.quirk(53)
@pytest.mark.parametrize("written", [" {tag}", "{lower}", "VISA;{tag}", "{spaced}"])
async def test_row_53_an_altered_tag_is_still_the_riders(field: Field, written: str) -> None:
    outlet, bare, start = await asked_to_start(field)
    tag = str(start["idTag"])
    spaced = " ".join(tag[i : i + 2] for i in range(0, len(tag), 2))
    answer = await bare.call("StartTransaction", start | {"idTag": written.format(tag=tag, lower=tag.lower(), spaced=spaced)})
    assert answer["idTagInfo"]["status"] == "Accepted"
    assert (await field.transaction(outlet))["payer_reference"] is not None


@pytest.mark.quirk(53)
async def test_row_53_a_corrupted_tag_is_matched_by_the_one_start_that_is_awaited(field: Field) -> None:
    outlet, bare, start = await asked_to_start(field)
    answer = await bare.call("StartTransaction", start | {"idTag": str(start["idTag"])[:-3] + "?!"})
    assert answer["idTagInfo"]["status"] == "Accepted"
    assert (await field.transaction(outlet))["payer_reference"] is not None


@pytest.mark.quirk(54)
async def test_row_54_minted_tags_are_hex_of_twenty_at_most(field: Field) -> None:
    _, _, start = await asked_to_start(field)
    tag = str(start["idTag"])
    assert 0 < len(tag) <= 20
    assert set(tag) <= set("0123456789ABCDEF")


@pytest.mark.quirk(55)
@pytest.mark.parametrize("reservation_id", [0, -1])
async def test_row_55_a_reservation_of_nothing_is_none(field: Field, reservation_id: int) -> None:
    _, bare, start = await asked_to_start(field)
    answer = await bare.call("StartTransaction", start | {"reservationId": reservation_id})
    assert answer["idTagInfo"]["status"] == "Accepted"


@pytest.mark.quirk(56)
async def test_row_56_a_refused_start_gets_a_real_id_and_its_stop_of_minus_one_is_acknowledged(field: Field) -> None:
    outlet = await field.outlet(online=False)
    bare = await field.bare(outlet)
    await bare.boot()
    start = {"connectorId": 1, "idTag": "NOBODYS", "meterStart": 7, "timestamp": "2026-01-05T04:30:00Z"}
    answer = await bare.call("StartTransaction", start)
    assert answer["idTagInfo"]["status"] in ("Invalid", "Blocked")
    assert answer["transactionId"] > 0
    stop = {"transactionId": -1, "meterStop": 7, "timestamp": "2026-01-05T04:30:01Z", "reason": "DeAuthorized"}
    assert isinstance(await bare.call("StopTransaction", stop), dict)
    await field.rest()
    transaction = await field.transaction(outlet)
    assert (transaction["state"], transaction["energy_wh"], transaction["stop_reason"]) == ("STOPPED", 0, "START_REFUSED")


@pytest.mark.quirk(57)
@pytest.mark.parametrize("meter_start", [0, 1_234_567])
async def test_row_57_any_meter_start_is_a_beginning(field: Field, meter_start: int) -> None:
    outlet = await field.session(meter_start_wh=meter_start)
    await outlet.point.unplug()
    await field.rest()
    transaction = await field.transaction(outlet)
    assert transaction["meter_start_wh"] == meter_start
    assert transaction["energy_wh"] == outlet.point.connectors[1].meter_wh - meter_start > 0
    # Another session on the same register, counting on: its own energy only.
    await outlet.point.plug()
    await field.paid_start(outlet)
    await field.pass_seconds(65)
    before = outlet.point.connectors[1].transaction
    assert before is not None
    await outlet.point.unplug()
    await field.rest()
    second = (await field.transactions(outlet))[1]
    assert second["energy_wh"] == outlet.point.connectors[1].meter_wh - second["meter_start_wh"] > 0


@pytest.mark.quirk(57)
async def test_row_57_a_register_that_starts_again_each_time_is_one_too(field: Field) -> None:
    outlet = await field.session(meter_start_wh=500_000, quirks=Quirks.of("register_restarts"))
    await outlet.point.unplug()
    await field.rest()
    transaction = await field.transaction(outlet)
    assert transaction["energy_wh"] == outlet.point.connectors[1].meter_wh - 500_000 > 0
