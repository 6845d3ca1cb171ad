"""Commands to chargers: each sent at most once, on its own connection, with exactly one outcome."""

import asyncio

import aio_pika
import pytest

from contracts.ocpp_gateway import CommandCompleted
from contracts.topology import gateway_queue
from testkit.clock import SteppingClock

pytestmark = pytest.mark.servers


async def open_charger(gateway, charging, new_id, *, boot: bool = True):
    charger_id = new_id()
    charging.add(charger_id)
    charger = await gateway.connect(charger_id)
    if boot:
        await charger.call("BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"})
    epoch = (await charging.wait(charger_id, "charge_point_connected")).data["epoch"]
    return charger_id, charger, epoch


async def completed(charging, charger_id, count: int = 1) -> CommandCompleted:
    event = await charging.wait(charger_id, "command_completed", count)
    return CommandCompleted.model_validate(event.data)


async def in_hand(connection, count: int) -> None:
    """Wait until so many commands wait for their turn on this connection."""
    async with asyncio.timeout(60):
        while len(connection.calls._waiting) < count:
            await asyncio.sleep(0.002)


async def queue_is_empty(broker: str, gateway) -> bool:
    connection = await aio_pika.connect(broker)
    async with connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(gateway_queue(gateway.settings.gateway_name), passive=True)
        return queue.declaration_result.message_count == 0


async def test_answers_and_errors_of_every_shape(gateway, charging, new_id):
    charger_id, charger, epoch = await open_charger(gateway, charging, new_id)
    answers = [
        ([3, "{id}", {"status": "Accepted"}], "ANSWERED", {"status": "Accepted"}, None),
        ([3, "{id}", None], "ANSWERED", {}, None),
        ([3, "", {"status": "Accepted"}], "ANSWERED", {"status": "Accepted"}, None),
        ([3, "{id}", {"configurationKey": [{"key": "K", "value": 5, "odd": "x" * 600}]}], "ANSWERED", ..., None),
        ([3, "{id}", "Accepted"], "CALL_ERROR", None, "FormationViolation"),
        ([4, "{id}", "NotSupported", "no", {}], "CALL_ERROR", None, "NotSupported"),
        ([4, "{id}"], "CALL_ERROR", None, "GenericError"),
        ('[3,"{id}",{"configurationKey":[]', "CALL_ERROR", None, "FormationViolation"),
    ]
    for number, (answer, outcome, response, code) in enumerate(answers, 1):
        command_id = await charging.command(
            gateway.settings.gateway_name, charge_point_id=charger_id, epoch=epoch, action="GetConfiguration"
        )
        call = await charger.receive()
        assert call == [2, command_id, "GetConfiguration", {}]
        if isinstance(answer, str):
            await charger.send(answer.replace("{id}", command_id))
        else:
            await charger.send([answer[0], command_id if answer[1] else "", *answer[2:]])
        result = await completed(charging, charger_id, number)
        assert (result.command_id, result.outcome, result.error_code) == (command_id, outcome, code)
        assert response is ... or result.response == response
    assert len(charging.of(charger_id, "command_completed")) == len(answers)


async def test_stop_goes_before_start_before_the_rest_one_at_a_time(gateway, charging, new_id):
    charger_id, charger, epoch = await open_charger(gateway, charging, new_id)
    name = gateway.settings.gateway_name
    for action, priority in [
        ("GetConfiguration", 5),
        ("ClearCache", 5),
        ("RemoteStartTransaction", 1),
        ("RemoteStopTransaction", 0),
    ]:
        await charging.command(name, charge_point_id=charger_id, epoch=epoch, action=action, priority=priority)
    first = await charger.receive()
    # The other three have to be in hand before the first is answered, or there would be no order to see.
    connection = gateway.connections.live(charger_id, epoch)
    await in_hand(connection, 3)
    order = [first[2]]
    await charger.send([3, first[1], {}])
    for _ in range(3):
        call = await charger.receive()
        order.append(call[2])
        await charger.send([3, call[1], {}])
    assert order == ["GetConfiguration", "RemoteStopTransaction", "RemoteStartTransaction", "ClearCache"]


async def test_before_boot_only_a_stop_goes_out_and_only_once_the_charger_has_spoken(
    gateway, charging, new_id, clock: SteppingClock
):
    charger_id, charger, epoch = await open_charger(gateway, charging, new_id, boot=False)
    name = gateway.settings.gateway_name
    await charging.command(name, charge_point_id=charger_id, epoch=epoch, action="ChangeConfiguration")
    await charging.command(name, charge_point_id=charger_id, epoch=epoch, action="RemoteStopTransaction", priority=0)
    connection = gateway.connections.live(charger_id, epoch)
    await in_hand(connection, 2)
    await clock.advance(5)
    assert len(connection.calls._waiting) == 2
    await charger.send([2, "h", "Heartbeat", {}])
    frames = [await charger.receive(), await charger.receive()]
    assert [frame[2] for frame in frames if frame[0] == 2] == ["RemoteStopTransaction"]
    await charger.send([3, next(frame[1] for frame in frames if frame[0] == 2), {"status": "Accepted"}])
    await completed(charging, charger_id)
    assert len(connection.calls._waiting) == 1
    await clock.advance(16)  # 20 s without a Boot: none will come
    assert (await charger.receive())[2] == "ChangeConfiguration"


async def test_no_answer_is_timed_out_the_late_one_recorded_and_three_in_a_row_end_the_socket(
    gateway, charging, new_id, clock: SteppingClock
):
    charger_id, charger, epoch = await open_charger(gateway, charging, new_id)
    name = gateway.settings.gateway_name
    late = await charging.command(name, charge_point_id=charger_id, epoch=epoch, action="GetConfiguration", timeout_seconds=10)
    await charger.receive()
    await clock.advance(11)
    assert (await completed(charging, charger_id)).outcome == "TIMED_OUT"
    await charger.send([3, late, {"configurationKey": []}])
    result = await completed(charging, charger_id, 2)
    assert (result.late, result.outcome, result.command_id) == (True, "ANSWERED", late)
    # The late answer was a sign of life: three more are needed.
    for number in range(3):
        await charging.command(name, charge_point_id=charger_id, epoch=epoch, action="GetConfiguration", timeout_seconds=10)
        await charger.receive()
        await charger.call("Heartbeat", {})
        await clock.advance(11)
        assert (await completed(charging, charger_id, 3 + number)).outcome == "TIMED_OUT"
    await charger.closed()
    assert (await charging.wait(charger_id, "disconnected")).data["reason"] == "UNRESPONSIVE"


async def test_a_lost_connection_settles_everything_at_once(gateway, charging, new_id, broker):
    charger_id, charger, epoch = await open_charger(gateway, charging, new_id)
    name = gateway.settings.gateway_name
    sent = await charging.command(name, charge_point_id=charger_id, epoch=epoch, action="GetConfiguration")
    waiting = await charging.command(name, charge_point_id=charger_id, epoch=epoch, action="ClearCache")
    await charger.receive()
    await in_hand(gateway.connections.live(charger_id, epoch), 1)
    await charger.ws.close()
    await charging.wait(charger_id, "disconnected")
    await completed(charging, charger_id, 2)
    outcomes = {event.data["command_id"]: event.data["outcome"] for event in charging.of(charger_id, "command_completed")}
    assert outcomes == {sent: "CONNECTION_LOST", waiting: "NOT_SENT"}
    # Its outcomes come before its end.
    assert "disconnected" in charging.of(charger_id)[-1].type
    assert await queue_is_empty(broker, gateway)


async def test_wrong_epoch_past_deadline_and_absent_charger_are_not_sent(gateway, charging, new_id):
    charger_id, _charger, epoch = await open_charger(gateway, charging, new_id)
    name = gateway.settings.gateway_name
    for number, fields in enumerate(
        ({"epoch": epoch - 1}, {"epoch": epoch, "deadline": "2026-01-05T04:29:59Z"}, {"epoch": epoch + 1}), 1
    ):
        command_id = await charging.command(name, charge_point_id=charger_id, action="ClearCache", **fields)
        result = await completed(charging, charger_id, number)
        assert (result.command_id, result.outcome) == (command_id, "NOT_SENT")
        assert result.epoch == fields["epoch"]
    absent = new_id()
    await charging.command(name, charge_point_id=absent, epoch=5, action="ClearCache")
    assert (await completed(charging, absent)).outcome == "NOT_SENT"


async def test_the_same_command_twice_is_sent_once(gateway, charging, new_id):
    charger_id, charger, epoch = await open_charger(gateway, charging, new_id)
    name = gateway.settings.gateway_name
    fields = {"charge_point_id": charger_id, "epoch": epoch, "action": "ClearCache", "command_id": f"{charger_id}-1"}
    await charging.command(name, **fields)
    await charging.command(name, **fields)
    await charging.command(name, charge_point_id=charger_id, epoch=epoch, action="GetConfiguration")
    first = await charger.receive()
    await charger.send([3, first[1], {}])
    second = await charger.receive()
    await charger.send([3, second[1], {}])
    await completed(charging, charger_id, 2)
    assert [first[2], second[2]] == ["ClearCache", "GetConfiguration"]
    await charging.command(name, **fields)  # and once more, after it was done
    last = await charging.command(name, charge_point_id=charger_id, epoch=epoch, action="GetConfiguration")
    assert (await charger.receive())[1] == last


async def test_after_a_broker_outage_a_command_on_the_wire_keeps_its_one_outcome(gateway, charging, new_id, proxy):
    charger_id, charger, epoch = await open_charger(gateway, charging, new_id)
    command_id = await charging.command(
        gateway.settings.gateway_name, charge_point_id=charger_id, epoch=epoch, action="ClearCache"
    )
    await charger.receive()
    proxy.reset_connections()
    await charger.send([3, command_id, {"status": "Accepted"}])
    assert (await completed(charging, charger_id)).outcome == "ANSWERED"
    # The redelivery is recognised: it is neither sent nor reported again.
    next_id = await charging.command(
        gateway.settings.gateway_name, charge_point_id=charger_id, epoch=epoch, action="GetConfiguration"
    )
    assert (await charger.receive())[1] == next_id
    assert len({event.message_id for event in charging.of(charger_id, "command_completed")}) == 1


async def test_stopping_refuses_what_waits_and_loses_what_is_out(start_gateway, charging, new_id, broker):
    gateway = await start_gateway()
    charger_id, charger, epoch = await open_charger(gateway, charging, new_id)
    name = gateway.settings.gateway_name
    sent = await charging.command(name, charge_point_id=charger_id, epoch=epoch, action="GetConfiguration")
    waiting = await charging.command(name, charge_point_id=charger_id, epoch=epoch, action="ClearCache")
    await charger.receive()
    await in_hand(gateway.connections.live(charger_id, epoch), 1)
    await gateway.service.stop()
    await completed(charging, charger_id, 2)
    outcomes = {event.data["command_id"]: event.data["outcome"] for event in charging.of(charger_id, "command_completed")}
    assert outcomes == {sent: "CONNECTION_LOST", waiting: "NOT_SENT"}
    assert await queue_is_empty(broker, gateway)
