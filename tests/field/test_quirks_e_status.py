"""Quirk table E: StatusNotification. Each test bears the number of its row in `ocpp.md` Part 1."""

import pytest

from charger_simulator import Quirks
from testkit.field import Field
from tests.field.bare_session import read, started, wh


@pytest.mark.quirk(42)
async def test_row_42_a_socket_that_says_available_while_power_flows_goes_on(field: Field) -> None:
    outlet, bare, _ = await started(field, kind="socket")
    await read(field, bare, wh(1100))
    await bare.status("Available")
    # Longer than the grace of 300 s: rising energy keeps it alive.
    for register in (1300, 1500):
        await read(field, bare, wh(register), after=200)
    assert (await field.transaction(outlet))["state"] == "RUNNING"
    # The energy stands still: 300 s after its last step the session is over.
    await read(field, bare, wh(1500), after=200)
    assert (await field.transaction(outlet))["state"] == "RUNNING"
    await field.pass_seconds(102)
    transaction = await field.transaction(outlet)
    assert (transaction["stop_reason"], transaction["energy_wh"]) == ("GRACE_EXPIRED", 500)


@pytest.mark.quirk(42)
async def test_row_42_a_type_2_connector_that_says_available_ends(field: Field) -> None:
    outlet = await field.session(kind="type2", quirks=Quirks(never_send_stop=True))
    await outlet.point.unplug()
    await field.pass_seconds(7)
    transaction = await field.transaction(outlet)
    assert (transaction["state"], transaction["stop_reason"]) == ("STOPPED", "CONNECTOR_UNAVAILABLE")


@pytest.mark.quirk(43)
async def test_row_43_available_just_before_the_stop_waits_for_its_register(field: Field) -> None:
    outlet = await field.session(quirks=Quirks.of("status_before_stop"))
    await field.pass_seconds(7)
    await outlet.point.unplug()
    await field.pass_seconds(4)
    transaction = await field.transaction(outlet)
    assert (transaction["stop_reason"], transaction["ocpp_stop_reason"]) == ("CHARGER", "EVDisconnected")
    # Its meterStop counts, not the last reading before.
    assert transaction["energy_wh"] == outlet.point.connectors[1].meter_wh


@pytest.mark.quirk(44)
async def test_row_44_phantom_cycles_without_a_transaction_do_nothing(field: Field) -> None:
    outlet = await field.outlet()
    for _ in range(3):
        for status in ("Preparing", "SuspendedEV", "Finishing", "Available"):
            await outlet.point.call("StatusNotification", {"connectorId": 1, "status": status, "errorCode": "NoError"})
    await field.rest()
    assert await field.transactions(outlet) == []
    assert (await field.connector(outlet))["status"] == "Available"


@pytest.mark.quirk(45)
async def test_row_45_a_charger_that_wants_unplugging_first_refuses_and_the_money_is_due_back(field: Field) -> None:
    outlet = await field.session(quirks=Quirks.of("finishing_refuses_start"))
    await outlet.point.stop_transaction(1)
    await field.rest()
    key = await field.paid_start(outlet)
    request = await field.start_request(key)
    assert (request["state"], request["reason"]) == ("REFUSED", "REMOTE_START_REJECTED")
    await outlet.point.unplug()
    await outlet.point.plug()
    await field.rest()
    assert (await field.start_request(await field.paid_start(outlet)))["state"] == "STARTED"


@pytest.mark.quirk(46)
async def test_row_46_energy_not_status_proves_charging(field: Field) -> None:
    outlet = await field.session(quirks=Quirks.of("preparing_while_charging"))
    transaction = await field.transaction(outlet)
    assert transaction["state"] == "RUNNING"
    assert transaction["confirmed_wh"] > 0


@pytest.mark.quirk(47)
async def test_row_47_a_fault_of_the_box_warns_and_one_of_the_connector_ends_and_stops(field: Field) -> None:
    outlet = await field.session(quirks=Quirks.of("charges_while_faulted"))
    box = {"connectorId": 0, "status": "Faulted", "errorCode": "OtherError", "info": "Modbus TCP/IP lost, in safe mode"}
    await outlet.point.call("StatusNotification", box)
    await field.pass_seconds(10)
    assert (await field.transaction(outlet))["state"] == "RUNNING"
    await outlet.point.fault(1, "InternalError")
    await field.pass_seconds(10)
    transaction = await field.transaction(outlet)
    assert transaction["state"] == "STOPPED"
    assert [exchange.action for exchange in outlet.point.exchanges].count("RemoteStopTransaction") >= 1, (
        "it went on: told to stop"
    )


@pytest.mark.quirk(48)
async def test_row_48_error_fields_of_a_healthy_status_open_no_error(field: Field) -> None:
    outlet = await field.outlet()
    healthy = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
    await outlet.point.call("StatusNotification", healthy | {"info": "null", "vendorErrorCode": "0x0000"})
    await field.rest()
    assert (await field.api("GET", f"/v1/charger-errors?charger_id={outlet.id}"))["items"] == []
    await outlet.point.call("StatusNotification", healthy | {"errorCode": "HighTemperature", "vendorErrorCode": "E7"})
    await field.rest()
    (error,) = (await field.api("GET", f"/v1/charger-errors?charger_id={outlet.id}"))["items"]
    assert (error["error_code"], error["vendor_error_code"], error["resolved_at"]) == ("HighTemperature", "E7", None)
    await outlet.point.call("StatusNotification", healthy)
    await field.rest()
    (error,) = (await field.api("GET", f"/v1/charger-errors?charger_id={outlet.id}"))["items"]
    assert error["resolved_at"] is not None


@pytest.mark.quirk(49)
async def test_row_49_connectors_are_made_on_sight(field: Field) -> None:
    outlet = await field.outlet()
    await outlet.point.call("StatusNotification", {"connectorId": 4, "status": "Available", "errorCode": "NoError"})
    await field.rest()
    assert (await field.connector(outlet, 4))["status"] == "Available"
