"""The guards of a session at their edges: what suspends, what ends, what waits, and whose a message is when it comes late."""

from datetime import timedelta

import pytest
from redis.asyncio import Redis

from charging.grace_cache import grace_key
from contracts.charging import (
    AuditRecorded,
    StartCancelRequested,
    StartExpired,
    StartRefusal,
    StartRefused,
    StopReason,
    TransactionStarted,
    TransactionStopped,
)
from contracts.ocpp_gateway import (
    DataTransferDecision,
    DataTransferReceived,
    DisconnectReason,
    IdTagStatus,
    MeterValue,
    SampledValue,
    StopTransactionReceived,
)
from contracts.topology import address_from

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def sweep_seconds():
    """These guards are minutes long."""
    return 5


@pytest.fixture
async def redis(servers):
    client = Redis.from_url(servers.redis.url)
    await client.flushdb()
    yield client
    await client.aclose()


async def running(world, **how):
    """A paid session that has delivered 60 Wh in its first minute; (charger, transaction id, register)."""
    charger = await world.charger(**how)
    await charger.connect()
    transaction_id = await charger.start_paid(budget_paise=100_000)
    wh = await charger.charge(transaction_id, from_wh=1000, seconds=60, power_w=3600)
    return charger, transaction_id, wh


async def stopped(world):
    [event] = await world.said(TransactionStopped)
    return event


async def reconnect(charger, *, after, **what):
    await charger.world.pass_time(after)
    await charger.connect(**{"boot": False, "status": None} | what)


async def transfer(charger, data):
    """GetLastMeterValue as the gateway asks it."""
    question = DataTransferReceived(**charger.head(), vendor_id="VoltLync", message_id_text="GetLastMeterValue", data=data)
    charger.world.published += 1
    to = address_from("ocpp_gateway")(question)
    answer = await charger.world.bus.ask(question, to=to, answer=DataTransferDecision, timeout_seconds=600)
    await charger.world.settle()
    return answer


# --- the 900 s guard ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gap_seconds", [899, 900, 901])
@pytest.mark.parametrize("point", ["MeterValues", "BootNotification", "GetLastMeterValue"])
async def test_each_resume_point_checks_the_gap(world, point, gap_seconds):
    charger, transaction_id, wh = await running(world)
    await charger.disconnect(DisconnectReason.GATEWAY_STOPPING)
    # Back in time, and silent: the state stays SUSPENDED until MeterValues, whatever sweeps there are.
    await reconnect(charger, after=60)
    await world.pass_time(gap_seconds - 60 - 1)
    assert (await world.transaction(transaction_id))["state"] == "SUSPENDED"
    # Just before the second is over no sweep has looked yet; the message itself is judged by when it was received.
    world.clock.settle, settle = take_turns_only, world.clock.settle
    try:
        await world.clock.advance(1)
    finally:
        world.clock.settle = settle
    if point == "BootNotification":
        await charger.boot()
    elif point == "GetLastMeterValue":
        answer = await transfer(charger, {"transactionId": transaction_id})
        assert answer.status == ("Accepted" if gap_seconds <= 900 else "Rejected")
    await charger.meter(transaction_id, wh + 30)
    row = await world.transaction(transaction_id)
    if gap_seconds <= 900:
        assert (row["state"], row["confirmed_wh"], row["resume_count"]) == ("RUNNING", 90, 1)
    else:
        assert (row["state"], row["stop_reason"], row["energy_wh"]) == ("STOPPED", "STALE_RECONNECT", 60)
        assert charger.last_command("RemoteStopTransaction").payload == {"transactionId": transaction_id}


async def take_turns_only():
    """The clock moves and nothing is waited for."""


async def test_a_charger_that_only_ever_dials_in_is_bounded_by_the_guard(world):
    charger, transaction_id, _ = await running(world)
    for _ in range(6):
        # A socket that says nothing at all is a probe: no step towards the flap limit, and no new 900 s either.
        await charger.disconnect()
        await reconnect(charger, after=140)
    row = await world.transaction(transaction_id)
    assert (row["state"], row["disconnect_count"]) == ("SUSPENDED", 1)
    await charger.disconnect()
    await world.pass_time(70)
    event = await stopped(world)
    assert event.stop_reason is StopReason.DISCONNECT_TIMEOUT
    assert event.stopped_at - row["last_activity_at"] < timedelta(seconds=910)


async def test_a_boot_counts_no_drop_twice(world):
    charger, transaction_id, wh = await running(world)
    for _ in range(2):
        await charger.disconnect()
        await reconnect(charger, after=5, boot=True)
        await charger.boot()
        await charger.meter(transaction_id, wh)
    row = await world.transaction(transaction_id)
    assert (row["state"], row["disconnect_count"], row["resume_count"]) == ("RUNNING", 2, 2)


async def test_a_boot_after_long_silence_ends_what_nobody_suspended(world):
    charger, _, _ = await running(world)
    await world.admin.execute("UPDATE charging.transactions SET budget_paise = NULL")  # a staff tag's: METER_LOST is not its end
    await world.pass_time(901)
    await charger.boot()
    assert (await stopped(world)).stop_reason is StopReason.STALE_RECONNECT


# --- what a connector says of itself --------------------------------------------------------------------------------------


async def test_a_type2s_five_seconds_do_not_run_while_it_is_away(world):
    charger, transaction_id, wh = await running(world)
    await charger.status("Available")
    await charger.disconnect(DisconnectReason.GATEWAY_STOPPING)
    await reconnect(charger, after=60)
    assert await world.said(TransactionStopped) == []
    # Its StopTransaction was queued: that is the end, with its meterStop.
    await charger.stop(transaction_id, wh + 5)
    event = await stopped(world)
    assert (event.stop_reason, event.energy_wh) == (StopReason.CHARGER, 65)


async def test_preparing_neither_ends_nor_saves(world):
    charger, _, _ = await running(world)
    await charger.status("Preparing")
    await world.pass_time(10)
    assert await world.said(TransactionStopped) == []
    await charger.status("Available")
    await charger.status("Preparing")
    await world.pass_time(10)
    assert (await stopped(world)).stop_reason is StopReason.CONNECTOR_UNAVAILABLE


async def test_charging_takes_an_available_back(world):
    charger, _, _ = await running(world)
    await charger.status("Available")
    await charger.status("Charging")
    await world.pass_time(20)
    assert await world.said(TransactionStopped) == []
    steps = [a for a in await world.said(AuditRecorded) if a.action == "availability"]
    assert [(a.before["ends_as"], a.after["ends_as"]) for a in steps] == [
        (None, "CONNECTOR_UNAVAILABLE"),
        ("CONNECTOR_UNAVAILABLE", None),
    ]


async def test_a_sockets_grace_is_shown_in_redis_and_ended_by_the_column(world, redis):
    charger, transaction_id, wh = await running(world, kind="socket")

    async def shown(expected):
        while (value := await redis.get(grace_key(transaction_id))) != expected:  # after the commit, not within it
            await world.settle()
            await redis.ping()
        return value

    await charger.status("Available")
    ends_at = (await world.transaction(transaction_id))["availability_deadline_at"]
    await shown(ends_at.isoformat().encode())
    await world.pass_time(100)
    await charger.meter(transaction_id, wh + 100)
    renewed = (await world.transaction(transaction_id))["availability_deadline_at"]
    assert renewed == world.clock.now() + timedelta(seconds=300)
    await shown(renewed.isoformat().encode())
    await redis.flushdb()
    # A drop stops its clock; from the resume on it has 300 s again.
    await charger.disconnect(DisconnectReason.GATEWAY_STOPPING)
    await reconnect(charger, after=400)
    await charger.meter(transaction_id, wh + 100)
    assert (await world.transaction(transaction_id))["availability_deadline_at"] == world.clock.now() + timedelta(seconds=300)
    await world.pass_time(305)
    assert (await stopped(world)).stop_reason is StopReason.GRACE_EXPIRED
    await shown(None)


async def test_a_socket_that_says_available_after_its_return_has_its_grace_from_the_resume(world):
    charger, transaction_id, wh = await running(world, kind="socket")
    await charger.disconnect()
    await reconnect(charger, after=60, status="Available")
    assert (await world.transaction(transaction_id))["availability_deadline_at"] is None
    await charger.meter(transaction_id, wh)
    await world.pass_time(290)
    assert await world.said(TransactionStopped) == []
    await world.pass_time(15)
    assert (await stopped(world)).stop_reason is StopReason.GRACE_EXPIRED


@pytest.mark.parametrize(("kind", "free"), [("socket", False), ("type2", True)])
async def test_a_sockets_available_does_not_free_it_of_late_energy(world, kind, free):
    charger, transaction_id, wh = await running(world, kind=kind)
    await charger.disconnect()
    await reconnect(charger, after=190)
    await charger.meter(transaction_id, wh + 100)
    await charger.status("Available")
    await charger.pay("qr_payment_2")
    assert (len(charger.sent("RemoteStartTransaction")) == 2) is free
    if not free:
        # It never obeys, nor says anything more: after three stops without a sign of energy the connector sells again.
        await world.pass_time(200)
        assert [r.reason for r in await world.said(StartRefused)] == [StartRefusal.CONNECTOR_BUSY]
        await charger.pay("qr_payment_3")
        assert len(charger.sent("RemoteStartTransaction")) == 2


async def test_the_whole_boxs_fault_ends_nothing(world):
    charger, _, _ = await running(world)
    for status in ("Faulted", "Unavailable", "Available"):
        await charger.status(status, connector_id=0, error_code="InternalError" if status == "Faulted" else "NoError")
    await world.pass_time(20)
    assert await world.said(TransactionStopped) == []


# --- a busy connector -----------------------------------------------------------------------------------------------------


async def test_a_payment_that_overtook_the_stop_before_it_is_served(world):
    # The broker was away: the car before has gone, its StopTransaction waits in the gateway's spool. The next rider pays.
    charger, transaction_id, wh = await running(world)
    await charger.pay("qr_payment_2")
    assert len(charger.sent("RemoteStartTransaction")) == 1
    await world.pass_time(4)
    await charger.stop(transaction_id, wh)
    await world.pass_time(5)
    assert len(charger.sent("RemoteStartTransaction")) == 2
    decision = await charger.start(charger.last_command("RemoteStartTransaction").payload["idTag"])
    assert decision.status is IdTagStatus.ACCEPTED
    assert await world.said(StartRefused, StartExpired) == []


async def test_a_busy_connector_is_waited_for_no_longer_than_15_seconds(world):
    charger, _, _ = await running(world)
    await charger.pay("qr_payment_2")
    # Who comes third finds another waiting: that is no matter of late news.
    await charger.pay("qr_payment_3")
    assert [r.request_key for r in await world.said(StartRefused)] == ["qr_payment_3"]
    await world.pass_time(10)
    assert len(await world.said(StartRefused)) == 1
    await world.pass_time(10)
    [_, refused] = await world.said(StartRefused)
    assert (refused.request_key, refused.reason) == ("qr_payment_2", StartRefusal.CONNECTOR_BUSY)
    assert len(charger.sent("RemoteStartTransaction")) == 1


async def test_who_waits_may_give_up(world):
    charger, transaction_id, wh = await running(world)
    await charger.pay("qr_payment_2")
    await world.send(StartCancelRequested(charge_point_id=charger.name, request_key="qr_payment_2", actor="rider"))
    await charger.stop(transaction_id, wh)
    await world.pass_time(20)
    assert [r.reason for r in await world.said(StartRefused)] == [StartRefusal.CANCELLED]
    assert len(charger.sent("RemoteStartTransaction")) == 1


# --- whose it is ----------------------------------------------------------------------------------------------------------


async def test_what_an_older_session_said_is_never_the_next_ones(world):
    charger, first, wh = await running(world)
    reading = charger.meter_event(None, wh + 20)
    await world.pass_time(5)
    ending = charger.head() | {
        "transaction_id": -1,
        "meter_stop_wh": wh + 20,
        "timestamp": world.clock.now(),
        "reason": "Local",
    }
    await world.send(StopTransactionReceived(**ending))
    assert (await world.transaction(first))["state"] == "STOPPED"
    await world.pass_time(30)
    second = await charger.start_paid("qr_payment_2", meter_start_wh=wh + 20)
    before = await world.transaction(second)
    # The broker died: both are delivered again. And the charger never saw an answer: it sends the Stop again itself.
    await world.send(reading)
    await world.send(StopTransactionReceived(**ending))
    await world.send(StopTransactionReceived(**ending | {"seq": charger.head()["seq"], "received_at": world.clock.now()}))
    assert await world.transaction(second) == before
    # Its own Stop, as poor of words, ends it.
    await world.pass_time(30)
    await charger.stop(0, wh + 40)
    assert (await world.transaction(second))["stop_reason"] == "CHARGER"


async def two_running(world):
    """Two sessions on one charger; (charger, the paid one on connector 1, a staff tag's on connector 2)."""
    charger, first, wh = await running(world)
    await world.admin.execute(
        "INSERT INTO charging.id_tags (id_tag, holder, created_at) VALUES ('STAFF', 'staff', $1)", world.clock.now()
    )
    return charger, first, (await charger.start("STAFF", connector_id=2)).transaction_id, wh


def stop_event(charger, transaction_id, meter_stop_wh):
    """A StopTransaction, to be delivered more than once."""
    at = charger.world.clock.now()
    return StopTransactionReceived(
        **charger.head(), transaction_id=transaction_id, meter_stop_wh=meter_stop_wh, timestamp=at, reason="Local"
    )


async def everything(world):
    """The sessions, what is nobody's, and what was said."""
    statements = ("TABLE charging.transactions", "TABLE charging.orphans", "SELECT id FROM charging.outbox")
    return [sorted(map(str, await world.admin.fetch(statement))) for statement in statements]


@pytest.mark.parametrize("named", [None, -1, 4711])
async def test_a_stop_that_names_no_session_of_ours_ends_one_once_however_often_it_is_delivered(world, named):
    charger, transaction_id, wh = await running(world)
    await charger.meter(named, wh)  # 4711: an id of its own
    ending = stop_event(charger, named, wh)
    await world.send(ending)
    assert (await world.transaction(transaction_id))["stop_reason"] == "CHARGER"
    before = await everything(world)
    await world.send(ending)
    assert await everything(world) == before  # no orphan either


async def test_a_stop_that_was_nobodys_ends_none_when_it_is_delivered_again(world):
    charger, first, second, wh = await two_running(world)
    ending = stop_event(charger, None, wh)
    await world.send(ending)  # one of two: whose can't be told
    assert [(await world.transaction(t))["state"] for t in (first, second)] == ["RUNNING", "STARTED"]
    await charger.stop(second, None)
    before = await everything(world)
    await world.send(ending)
    assert await everything(world) == before


async def test_a_chargers_own_constant_id_ends_no_later_session_when_its_stop_comes_again(world):
    charger, first, wh = await running(world)
    await charger.meter(1936029036, wh)
    ending = stop_event(charger, 1936029036, wh)
    await world.send(ending)
    assert (await world.transaction(first))["state"] == "STOPPED"
    await world.pass_time(30)
    second = await charger.start_paid("qr_payment_2", meter_start_wh=wh)
    await world.pass_time(30)
    await charger.meter(1936029036, wh + 20)
    before = await everything(world)
    # Delivered again by the broker; and sent again by the charger, whose queue kept it: as it was made before this start.
    await world.send(ending)
    assert await everything(world) == before
    await world.send(ending.model_copy(update={"seq": charger.head()["seq"], "received_at": world.clock.now()}))
    assert (await world.transaction(second))["state"] == "RUNNING"


async def test_a_refused_start_ends_the_session_before_it_too(world):
    charger, transaction_id, wh = await running(world)
    decision = await charger.start("STRANGER", meter_start_wh=wh + 10)
    assert decision.status is IdTagStatus.INVALID
    event = await stopped(world)
    assert (event.transaction_id, event.energy_wh, event.stop_reason) == (transaction_id, 60, StopReason.CHARGER)
    await world.pass_time(30)
    await charger.meter(None, wh + 40)
    assert (await world.transaction(transaction_id))["late_wh"] == 0


@pytest.mark.parametrize("form", ["number", "digits", "json", "connector", "minus one and connector"])
async def test_the_last_value_is_asked_for_in_many_ways(world, form):
    charger, transaction_id, wh = await running(world)
    data = {
        "number": {"transactionId": transaction_id},
        "digits": {"transactionId": str(transaction_id)},
        "json": f'{{"transactionId": {transaction_id}}}',
        "connector": {"connectorId": 1},
        "minus one and connector": {"transactionId": -1, "connectorId": 1},
    }[form]
    answer = await transfer(charger, data)
    assert f'"meterValueWh":{wh}' in answer.data
    assert (await transfer(charger, {"transactionId": 0})).status == "Rejected"


# --- a StopTransaction whose start was lost -------------------------------------------------------------------------------


def edge(context, wh, at):
    return MeterValue(timestamp=at, sampled_value=(SampledValue(value=str(wh), unit="Wh", context=context),))


async def waiting(world):
    """A rider has paid, the charger has accepted, and then reset: it knows of the session only its end."""
    charger = await world.charger()
    await charger.connect()
    await charger.pay()
    command = charger.last_command("RemoteStartTransaction")
    await charger.answer(command)
    await world.pass_time(100)
    return charger, command.payload["idTag"]


def lost_start(world, begin=5000, end=5060):
    now = world.clock.now()
    return (edge("Transaction.Begin", begin, now - timedelta(seconds=90)), edge("Transaction.End", end, now))


async def test_an_orphan_with_the_minted_tag_and_its_figures_is_the_riders(world):
    charger, id_tag = await waiting(world)
    await charger.stop(-1, 5060, id_tag=id_tag.lower(), transaction_data=lost_start(world))
    [started] = await world.said(TransactionStarted)
    event = await stopped(world)
    assert (started.request_key, event.request_key, event.energy_wh) == ("qr_payment_1", "qr_payment_1", 60)
    assert event.stop_reason is StopReason.CHARGER
    row = await world.row("SELECT state, transaction_id FROM charging.start_requests")
    assert (row["state"], row["transaction_id"]) == ("STARTED", event.transaction_id)
    # Told again it changes nothing.
    await charger.stop(-1, 5060, id_tag=id_tag, transaction_data=lost_start(world))
    assert len(await world.said(TransactionStarted)) == 1


async def test_an_orphan_that_could_not_be_delivered_in_the_time_bills_nothing(world):
    charger, id_tag = await waiting(world)
    await charger.stop(-1, 9000, id_tag=id_tag, transaction_data=lost_start(world, 5000, 9000))  # 4 kWh in 100 s
    event = await stopped(world)
    assert (event.energy_wh, event.implausible) == (0, True)


@pytest.mark.parametrize("data", ["none", "only the end", "none at all, another session runs"])
async def test_an_orphan_without_its_figures_gives_the_money_back_at_once(world, data):
    charger, id_tag = await waiting(world)
    begin, end = lost_start(world)
    figures = {"none": (), "only the end": (end,), "none at all, another session runs": (begin, end)}[data]
    if data.endswith("runs"):
        await world.call("POST", "/v1/id-tags", json={"id_tag": "T1", "holder": "Asha"}, status=201)
        await charger.start("T1")
    await charger.stop(987654321, 5060, id_tag=id_tag, transaction_data=figures)
    [expired] = await world.said(StartExpired)
    assert expired.request_key == "qr_payment_1"
    assert [s.request_key for s in await world.said(TransactionStarted) if s.request_key] == []


@pytest.mark.parametrize("tag", [None, "", "SOMEBODY"])
async def test_an_orphan_without_the_minted_tag_is_nobodys(world, tag):
    charger, minted = await waiting(world)
    await charger.stop(-1, 5060, id_tag=tag, transaction_data=lost_start(world))
    assert await world.said(StartExpired, StartRefused, TransactionStarted) == []
    assert (await world.row("SELECT start_request_id FROM charging.orphans"))["start_request_id"] is None
    # The rider plugs in at last and is served.
    assert (await charger.start(minted)).status is IdTagStatus.ACCEPTED


async def test_an_orphan_of_a_refunded_payment_charges_nobody(world):
    charger, id_tag = await waiting(world)
    await world.pass_time(30)
    assert len(await world.said(StartExpired)) == 1
    await charger.stop(-1, 5060, id_tag=id_tag, transaction_data=lost_start(world))
    assert await world.said(TransactionStarted, TransactionStopped) == []
    linked = await world.row("SELECT o.start_request_id = r.id AS same FROM charging.orphans o, charging.start_requests r")
    assert linked["same"] is True
