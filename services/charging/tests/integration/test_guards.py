"""What watches over sessions when something of ours, or a meter, falls silent; and what charging answers and keeps."""

from datetime import timedelta

import pytest
from redis.asyncio import Redis

from charging.budget_cache import budget_key
from contracts.charging import DeadlineDue, DeadlineKind, StopReason, TransactionStopped
from contracts.ocpp_gateway import (
    AuthorizeAnswer,
    AuthorizeRequested,
    DataTransferDecision,
    DataTransferReceived,
    IdTagStatus,
)
from contracts.payments import FeeSource, PaymentBilled
from contracts.topology import address_from

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def sweep_seconds():
    """These guards are minutes long."""
    return 5


@pytest.fixture
async def redis(servers):
    """The gateways' Redis, emptied."""
    client = Redis.from_url(servers.redis.url)
    await client.flushdb()
    yield client
    await client.aclose()


async def running(world):
    charger = await world.charger()
    await charger.connect()
    transaction_id = await charger.start_paid()
    wh = await charger.charge(transaction_id, from_wh=1000, seconds=60, power_w=3600)
    return charger, transaction_id, wh


async def test_a_gateway_whose_lease_lapses_has_lost_its_sockets(world, redis):
    await redis.set("ocpp:gateway:gw-1", "process-1")
    charger, transaction_id, wh = await running(world)
    await world.pass_time(60)
    assert (await world.transaction(transaction_id))["state"] == "RUNNING"
    await redis.delete("ocpp:gateway:gw-1")
    await world.pass_time(25)
    assert (await world.transaction(transaction_id))["state"] == "RUNNING"  # a flush of Redis is no loss of a gateway
    await world.pass_time(15)
    row = await world.transaction(transaction_id)
    assert (row["state"], row["suspension_cause"]) == ("SUSPENDED", "GATEWAY")
    # A frame on that very connection proves the opposite.
    await charger.meter(transaction_id, wh + 60)
    assert (await world.transaction(transaction_id))["state"] == "RUNNING"
    assert (await world.row("SELECT online FROM charging.chargers"))["online"] is True


async def test_a_gateway_that_is_another_process_now_has_lost_its_sockets(world, redis):
    await redis.set("ocpp:gateway:gw-1", "process-1")
    charger, transaction_id, _ = await running(world)
    await redis.set("ocpp:gateway:gw-1", "process-2")
    await world.pass_time(10)
    row = await world.transaction(transaction_id)
    assert (row["state"], row["suspension_cause"]) == ("SUSPENDED", "GATEWAY")
    await world.pass_time(20)
    await charger.connect(boot=False, status=None)
    await world.pass_time(60)
    assert (await world.row("SELECT online FROM charging.chargers"))["online"] is True


async def test_a_gateway_that_never_had_a_lease_says_nothing(world, redis):
    _, transaction_id, _ = await running(world)
    await world.pass_time(120)
    assert (await world.transaction(transaction_id))["state"] == "RUNNING"


async def test_a_backlog_is_no_absence(world, redis):
    charger, transaction_id, _ = await running(world)
    await charger.disconnect()
    # The charger is back; the news of it waits in a gateway's spool, while the deadline passes.
    back = charger.epoch + 10**9
    await redis.hset("ocpp:registry:CP-1", mapping={"epoch": back, "gateway": "gw-1"})
    await world.pass_time(200)
    assert (await world.transaction(transaction_id))["state"] == "SUSPENDED"
    # It was no connection after all: the deadline holds, a minute later at most.
    await redis.delete("ocpp:registry:CP-1")
    await world.pass_time(70)
    [event] = await world.said(TransactionStopped)
    assert event.stop_reason is StopReason.DISCONNECT_TIMEOUT


async def test_a_deadline_that_is_told_too_early_or_twice_changes_nothing(world):
    charger, transaction_id, _ = await running(world)
    await charger.disconnect()
    due_at = (await world.transaction(transaction_id))["suspension_deadline_at"]
    notice = DeadlineDue(
        charge_point_id=charger.name, kind=DeadlineKind.SUSPENSION, subject_id=str(transaction_id), due_at=due_at
    )
    await world.send(notice)
    assert (await world.transaction(transaction_id))["state"] == "SUSPENDED"
    await world.pass_time(200)
    before = await world.transaction(transaction_id)
    assert before["state"] == "STOPPED"
    for kind in DeadlineKind:
        await world.send(notice.model_copy(update={"kind": kind}))
    assert await world.transaction(transaction_id) == before
    assert len(await world.said(TransactionStopped)) == 1


async def test_a_prepaid_session_without_readings_is_stopped(world):
    charger = await world.charger()
    await charger.connect()
    # The budget is large: it is silence that ends this one, not the forecast.
    transaction_id = await charger.start_paid(budget_paise=10_000_000)
    await world.down_for(905)
    assert charger.sent("RemoteStopTransaction")[0].payload == {"transactionId": transaction_id}
    # It answers nothing and says nothing: after three stops the session ends at its last reading.
    await world.pass_time(200)
    [event] = await world.said(TransactionStopped)
    assert (event.stop_reason, event.energy_wh) == (StopReason.METER_LOST, 0)
    assert len(charger.sent("RemoteStopTransaction")) == 3


async def test_a_suspended_session_without_a_deadline_is_swept(world):
    charger, transaction_id, _ = await running(world)
    await charger.disconnect()
    await world.admin.execute("UPDATE charging.transactions SET suspension_deadline_at = NULL, suspension_cause = NULL")
    await world.down_for(1000)
    [event] = await world.said(TransactionStopped)
    assert (event.transaction_id, event.stop_reason) == (transaction_id, StopReason.SWEPT)


async def test_the_bill_is_read_back(world):
    charger, transaction_id, wh = await running(world)
    await charger.stop(transaction_id, wh)
    now = world.clock.now()
    bill = PaymentBilled(
        qr_payment_id=1,
        razorpay_payment_id="pay_1",
        transaction_id=transaction_id,
        charge_point_id=charger.name,
        connector_id=1,
        station_id=charger.station_id,
        franchisee_id=5,
        started_at=now,
        stopped_at=now,
        energy_wh=60,
        tariff_paise_per_kwh=1800,
        gst_bps=1800,
        paid_paise=10_000,
        energy_charge_paise=108,
        gst_paise=19,
        platform_fee_paise=236,
        fee_source=FeeSource.API,
        refund_paise=9637,
        residue_paise=0,
        shortfall_paise=0,
        billed_at=now,
    )
    await world.bus.publish(bill, to=address_from("payments")(bill))
    shown = {}
    while shown.get("total_billed_paise") is None:
        shown = await world.call("GET", f"/v1/transactions/txn_{transaction_id}")
    assert [shown[f"{name}_paise"] for name in ("energy_charge", "gst_amount", "total_billed")] == [108, 19, 363]


async def test_the_budget_is_shown_in_redis_while_the_session_runs(world, redis):
    charger, transaction_id, wh = await running(world)
    cached = await redis.get(budget_key(transaction_id))
    assert b'"budget_paise":10000' in cached
    await charger.stop(transaction_id, wh)
    while await redis.get(budget_key(transaction_id)) is not None:  # after the commit, not within it
        await world.settle()


async def test_who_may_charge(world):
    charger = await world.charger()
    await charger.connect()
    await charger.pay()
    minted = charger.last_command("RemoteStartTransaction").payload["idTag"]

    async def status(id_tag):
        query = AuthorizeRequested(charge_point_id=charger.name, id_tag=id_tag)
        to = address_from("ocpp_gateway")(query)
        return (await world.bus.ask(query, to=to, answer=AuthorizeAnswer, timeout_seconds=60)).status

    assert await status(minted.lower()) is IdTagStatus.ACCEPTED
    assert await status("nobody") is IdTagStatus.INVALID
    expires = (world.clock.now() + timedelta(seconds=60)).isoformat()
    await world.call("POST", "/v1/id-tags", json={"id_tag": "T1", "holder": "Asha", "expires_at": expires}, status=201)
    assert await status("t1") is IdTagStatus.ACCEPTED
    await world.pass_time(130)
    assert await status("t1") is IdTagStatus.EXPIRED
    assert await status(minted) is IdTagStatus.BLOCKED  # its start has expired


@pytest.mark.parametrize(
    ("vendor", "message", "data", "status"),
    [
        ("VoltLync", "SignalQuality", '{"rssi": 17, "ber": 0}', "Accepted"),
        ("VoltLync", "SignalQuality", {"rssi": 99, "ber": 99}, "Accepted"),
        ("VoltLync", "SignalQuality", '{"rssi": 32, "ber": 0}', "Rejected"),
        ("VoltLync", "SignalQuality", '{"rssi": true, "ber": 0}', "Rejected"),
        ("VoltLync", "SignalQuality", "[" * 100_000, "Rejected"),
        ("VoltLync", "GetLastMeterValue", '{"transactionId": 999999}', "Rejected"),
        ("VoltLync", "GetLastMeterValue", None, "Rejected"),
        ("VoltLync", "Sing", None, "UnknownMessageId"),
        ("Acme", "SignalQuality", '{"rssi": 17, "ber": 0}', "UnknownVendorId"),
    ],
)
async def test_data_transfer(world, vendor, message, data, status):
    charger = await world.charger()
    await charger.connect()
    event = DataTransferReceived(**charger.head(), vendor_id=vendor, message_id_text=message, data=data)
    world.published += 1
    answer = await world.bus.ask(event, to=address_from("ocpp_gateway")(event), answer=DataTransferDecision, timeout_seconds=60)
    assert answer.status == status
    stored = await world.row("SELECT count(*) AS n FROM charging.signal_quality")
    assert stored["n"] == (1 if (status, message) == ("Accepted", "SignalQuality") else 0)
