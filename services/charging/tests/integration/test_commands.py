"""Commands to many chargers and their receipts, over the real database and lanes; the test plays the gateway."""

import pytest
import sqlalchemy as sa

from charging.domain.states import CommandStatus
from contracts.ocpp_gateway import CommandOutcome

pytestmark = pytest.mark.servers

FLEET = 300
"""As many as a site operator has; each gets its own command in the same statement."""


async def fleet(world, first):
    """More chargers beside the first, never connected."""
    await world.admin.execute(
        "INSERT INTO charging.chargers (charge_point_id, station_id, connector_kind, rated_power_w, password_salt, password_hash,"
        " created_at, updated_at) SELECT 'FLEET-' || n, $1, 'type2', 7400, '', '', $2, $2 FROM generate_series(1, $3) n",
        first.station_id,
        world.clock.now(),
        FLEET - 1,
    )


async def test_a_whole_site_in_a_handful_of_statements_and_once_only(world):
    charger = await world.charger()
    await charger.connect()
    await fleet(world, charger)
    statements = []
    engine = world.service.app.database.engine.sync_engine
    listener = lambda _c, _cursor, statement, *_: statements.append(statement)  # noqa: E731
    sa.event.listen(engine, "before_cursor_execute", listener)
    body = {"action": "ClearCache", "station_id": f"stn_{charger.station_id}"}
    try:
        batch = await world.call("POST", "/v1/commands", json=body, headers={"Idempotency-Key": "site-1"}, status=201)
        inserts = [statement for statement in statements if "INSERT INTO charging.commands" in statement]
        assert len(inserts) <= 2, "a statement for hundreds of commands, not one each"
        again = await world.call("POST", "/v1/commands", json=body, headers={"Idempotency-Key": "site-1"}, status=201)
    finally:
        sa.event.remove(engine, "before_cursor_execute", listener)
    assert (again["id"], batch["requested"]) == (batch["id"], FLEET)
    await world.settle()
    (command,) = charger.sent("ClearCache")
    await charger.answer(command)
    shown = await world.call("GET", f"/v1/command-batches/{batch['id']}?limit=100")
    assert shown["by_status"] == {"ANSWERED": 1, "PENDING": FLEET - 1}
    seen = {each["charger_id"] for each in shown["results"]["items"]}
    while shown["results"]["next_cursor"] is not None:
        shown = await world.call("GET", f"/v1/command-batches/{batch['id']}?limit=100&cursor={shown['results']['next_cursor']}")
        seen |= {each["charger_id"] for each in shown["results"]["items"]}
    assert len(seen) == FLEET


@pytest.mark.parametrize("start_first", [True, False], ids=["the effect first", "the answer first"])
async def test_a_start_is_seen_in_either_order(world, start_first):
    charger = await world.charger()
    await charger.connect()
    await charger.pay()
    command = charger.last_command("RemoteStartTransaction")
    if start_first:
        await charger.start(command.payload["idTag"])
        await charger.answer(command)
    else:
        await charger.answer(command)
        await charger.start(command.payload["idTag"])
    row = await world.row("SELECT * FROM charging.commands")
    assert (row["status"], row["effect"], row["effect_due_at"]) == ("ANSWERED", "SEEN", None)


async def test_a_reset_that_was_not_sent_awaits_its_boot_anew(world):
    """The boot of the connection that it never went out on was taken for its effect: that is taken back."""
    charger = await world.charger()
    await charger.connect()
    await world.call("POST", f"/v1/chargers/chg_{charger.id}/commands", json={"action": "Reset", "payload": {"type": "Hard"}})
    await world.settle()
    first = charger.last_command("Reset")
    await charger.connect()
    assert (await world.row("SELECT effect FROM charging.commands"))["effect"] == "SEEN"
    await charger.answer(first, outcome=CommandOutcome.NOT_SENT)
    row = await world.row("SELECT * FROM charging.commands")
    assert (row["status"], row["effect"], row["effect_evidence"]) == (CommandStatus.DISPATCHED.value, "AWAITED", None)
    second = charger.last_command("Reset")
    await charger.answer(second)
    await charger.boot()
    row = await world.row("SELECT * FROM charging.commands")
    assert (row["status"], row["effect"]) == ("ANSWERED", "SEEN")


async def test_unanswered_is_not_undone_the_effect_may_still_show(world):
    charger = await world.charger()
    await charger.connect()
    body = {"action": "UnlockConnector", "payload": {"connectorId": 1}}
    await world.call("POST", f"/v1/chargers/chg_{charger.id}/commands", json=body)
    await world.settle()
    await charger.answer(charger.last_command("UnlockConnector"), outcome=CommandOutcome.TIMED_OUT)
    await charger.status("Available", connector_id=2)
    assert (await world.row("SELECT effect FROM charging.commands"))["effect"] == "AWAITED"
    await charger.status("Available")
    row = await world.row("SELECT * FROM charging.commands")
    assert (row["status"], row["effect"]) == ("TIMED_OUT", "SEEN")


async def test_a_stop_without_stop_transaction_is_seen_by_flat_energy(world):
    charger = await world.charger()
    await charger.connect()
    transaction_id = await charger.start_paid()
    register = await charger.charge(transaction_id, from_wh=1000, seconds=60, power_w=7000)
    body = {"action": "RemoteStopTransaction", "payload": {"transactionId": transaction_id}}
    made = await world.call("POST", f"/v1/chargers/chg_{charger.id}/commands", json=body)
    await world.settle()
    await charger.answer(charger.last_command("RemoteStopTransaction"))
    await world.pass_time(20)
    await charger.meter(transaction_id, register, power_w=0)
    await world.pass_time(60)
    shown = await world.call("GET", f"/v1/commands/{made['id']}")
    assert (shown["effect"], shown["effect_evidence"]) == ("SEEN", "flat energy")


async def test_a_caller_may_wait_for_the_effect(world):
    charger = await world.charger()
    await charger.connect()
    body = {"action": "ChangeAvailability", "payload": {"connectorId": 1, "type": "Operative"}}
    made = await world.call("POST", f"/v1/chargers/chg_{charger.id}/commands", json=body, status=202)
    assert made["effect_waits_for"] == "StatusNotification Available on connector 1"
    await world.settle()
    await charger.answer(charger.last_command("ChangeAvailability"))
    shown = await world.call("GET", f"/v1/commands/{made['id']}")
    assert (shown["status"], shown["effect"]) == ("ANSWERED", "SEEN")  # it reported Preparing when it connected
