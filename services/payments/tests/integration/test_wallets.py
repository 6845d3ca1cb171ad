"""Wallets over the real parts: recharged through the sandbox's orders, held, billed, released; once, in any order."""

import asyncio
import io
import json
from typing import Any

import asyncpg
import pytest
from pypdf import PdfReader

from chassis.web import Role
from chassis.web.principal import Principal
from contracts.charging import SessionStopRequested, StartCancelRequested, StartRefusal, StartRequested
from contracts.payments import PaymentBilled
from contracts.wallets import RechargeFeeRecorded, WalletRecharged, WalletsCounted, WalletSessionBilled
from payments.domain.webhook import signature
from payments.usecases import record_recharge_fees
from razorpay_simulator import FaultRule, OrderPayment

from .conftest import SECRET, World

RIDER = Principal("user_a", frozenset({Role.RIDER}))
OTHER = Principal("user_b", frozenset({Role.RIDER}))
ORDERS = "/v1/orders"


async def ask(world: World, method: str, path: str, caller: Principal = RIDER, **kwargs: Any) -> Any:
    return await world.call(method, f"/v1/wallets/me{path}", caller=caller, **kwargs)


async def order(world: World, amount: int = 50_000, caller: Principal = RIDER) -> dict[str, Any]:
    await world.call("POST", "/v1/riders/me", caller=caller)
    made: dict[str, Any] = await ask(world, "POST", "/recharges", caller, json={"amount_paise": amount}, status=201)
    return made


async def recharge(world: World, amount: int = 50_000, caller: Principal = RIDER, **how: Any) -> dict[str, Any]:
    """The recharge once everything that follows its payment has happened."""
    made = await order(world, amount, caller)
    world.razorpay.pay_order(made["razorpay_order_id"], OrderPayment(**how))
    await world.quiet()
    shown: dict[str, Any] = await ask(world, "GET", f"/recharges/{made['id']}", caller)
    return shown


async def start(world: World, caller: Principal = RIDER, **body: Any) -> Any:
    status = body.pop("status", 201)
    wanted = {"charge_point_id": "CP-1", "connector_id": 1} | body
    return await ask(world, "POST", "/sessions", caller, json=wanted, status=status)


async def sums(world: World, caller: Principal = RIDER) -> tuple[int, int, int]:
    """(balance, held, available) in paise."""
    wallet = await ask(world, "GET", "", caller)
    return wallet["balance_paise"], wallet["held_paise"], wallet["available_paise"]


async def test_a_recharge_is_in_the_wallet_once_however_often_it_is_told(world: World) -> None:
    made = await recharge(world)
    assert (made["status"], made["amount_paise"]) == ("PAID", 50_000)
    assert await sums(world) == (50_000, 0, 50_000)
    (told,) = await world.said(WalletRecharged)
    assert (told.amount_paise, told.fee_paise, told.fee_tax_paise) == (50_000, 1_180, 180)
    # The same event again, under another event id.
    body = next(event.body.encode() for event in world.razorpay.events if event.event == "payment.captured")
    for event_id in ("again_1", "again_2"):
        assert await world.post_event(body, signature=signature(body, SECRET), event_id=event_id) == 200
    await world.quiet()
    assert await sums(world) == (50_000, 0, 50_000)
    (entry,) = (await ask(world, "GET", "/entries"))["items"]
    assert (entry["kind"], entry["amount_paise"], entry["balance_after_paise"]) == ("RECHARGE", 50_000, 50_000)
    (payment,) = (await world.call("GET", "/v1/wallets/recharge-payments"))["items"]
    assert (payment["fee_source"], payment["recharge_id"], payment["id"]) == ("WEBHOOK", made["id"], entry["recharge_payment_id"])
    with pytest.raises(asyncpg.RestrictViolationError):
        await world.admin.execute("UPDATE wallet_entries SET amount_paise = 1")


async def test_what_a_wallet_may_take_has_limits(world: World) -> None:
    await recharge(world, 500_000)
    await recharge(world, 450_000)
    for amount, words in ((9_999, "A recharge is of"), (500_001, "A recharge is of"), (50_001, "₹500.00 more can be added")):
        refused = await ask(world, "POST", "/recharges", json={"amount_paise": amount}, status=409)
        assert words in refused["detail"]
    await recharge(world, 50_000)
    assert await sums(world) == (1_000_000, 0, 1_000_000)


@pytest.mark.parametrize("lost", ["before_effect", "after_effect"])
async def test_an_order_whose_answer_was_lost_is_looked_for_before_it_is_made_again(world: World, lost: str) -> None:
    world.razorpay.add_fault(FaultRule.model_validate({"kind": "reset", "when": lost, "method": "POST", "path": ORDERS}))
    made = await order(world)
    assert (made["status"], made["razorpay_order_id"], made["razorpay_key_id"]) == ("CREATING", None, None)
    await world.clock.advance(15)
    made = await ask(world, "GET", f"/recharges/{made['id']}")
    assert (made["status"], made["razorpay_key_id"]) == ("OPEN", world.settings.razorpay_key_id)
    assert len(world.razorpay.state.orders) == 1
    assert len(world.razorpay.requests("POST", ORDERS)) == (2 if lost == "before_effect" else 1)


async def test_an_order_that_razorpay_refuses_is_told_and_not_sent_again(world: World) -> None:
    rule = {"kind": "error", "status": 400, "code": "BAD_REQUEST_ERROR", "method": "POST", "path": ORDERS}
    world.razorpay.add_fault(FaultRule.model_validate(rule))
    await world.call("POST", "/v1/riders/me", caller=RIDER)
    await ask(world, "POST", "/recharges", json={"amount_paise": 50_000}, status=502)
    await world.clock.advance(60)
    assert [item["status"] for item in (await ask(world, "GET", "/recharges"))["items"]] == ["REFUSED"]
    assert (len(world.razorpay.requests("POST", ORDERS)), world.metric("recharge_failed_total")) == (1, 1)


async def test_a_payment_that_failed_and_was_authorised_late_is_credited_then(world: World) -> None:
    made = await recharge(world, outcome="failed", late_after=60)
    assert (made["status"], await sums(world)) == ("OPEN", (0, 0, 0))
    await world.clock.advance(61)
    assert (await ask(world, "GET", f"/recharges/{made['id']}"))["status"] == "PAID"
    assert await sums(world) == (50_000, 0, 50_000)


async def test_a_fee_that_was_not_told_is_asked_for_until_it_is(world: World) -> None:
    await recharge(world, fee_shown="never")
    (told,) = await world.said(WalletRecharged)
    assert (told.fee_paise, await world.said(RechargeFeeRecorded)) == (None, [])
    (payment,) = world.razorpay.state.payments.values()
    payment.fee, payment.tax = 1_180, 180
    await world.clock.advance(61)
    (fee,) = await world.said(RechargeFeeRecorded)
    assert (fee.fee_paise, fee.fee_tax_paise) == (1_180, 180)


async def event_of_a_payment(world: World, **changed: Any) -> int:
    """Razorpay tells of a captured payment that is like the last one but for this; the event is worked."""
    told = next(event.body for event in reversed(world.razorpay.events) if event.event == "payment.captured")
    event = json.loads(told)
    event["payload"]["payment"]["entity"] |= {"id": "pay_OtherPayment01"} | changed
    body = json.dumps(event).encode()
    assert await world.post_event(body, signature=signature(body, SECRET), event_id="other") == 200
    await world.quiet()
    return int(await world.admin.fetchval("SELECT max(id) FROM webhook_events"))


async def reason_of(world: World, event_id: int) -> tuple[str, str]:
    row = await world.admin.fetchrow("SELECT state, reason FROM webhook_events WHERE id = $1", event_id)
    return row["state"], row["reason"] or ""


async def test_whatever_was_captured_is_the_riders(world: World) -> None:
    made = await recharge(world)
    await event_of_a_payment(world, amount=30_000)
    assert await sums(world) == (80_000, 0, 80_000)
    assert world.metric("recharge_mismatches_total") == 1
    assert len((await world.call("GET", "/v1/wallets/recharge-payments?wallet_id=wlt_1"))["items"]) == 2
    assert (await ask(world, "GET", f"/recharges/{made['id']}"))["status"] == "PAID"


async def test_orders_of_others_on_the_same_account_are_left_alone(world: World) -> None:
    await recharge(world)
    auth = {"Authorization": world.basic}
    notes = {"voltlync_environment": "staging", "voltlync_recharge": "1"}
    for marked, words in ((notes, "OTHER_ENVIRONMENT: staging"), ({}, "UNKNOWN_ORDER")):
        body = {"amount": 50_000, "currency": "INR", "receipt": "recharge_1", "notes": marked}
        async with world.http.post(f"{world.razorpay.base_url}{ORDERS}", json=body, headers=auth) as answer:
            theirs = (await answer.json())["id"]
        world.razorpay.pay_order(theirs, OrderPayment())
        await world.quiet()
        event = await world.admin.fetchval("SELECT max(id) FROM webhook_events WHERE event = 'payment.captured'")
        state, reason = await reason_of(world, event)
        assert (state, reason[: len(words)]) == ("IGNORED", words)
    # A QR payment fires payment.captured too, and is no recharge.
    await world.pay(await world.qr_code(), 5_000)
    event = await world.admin.fetchval("SELECT max(id) FROM webhook_events WHERE event = 'payment.captured'")
    assert (await reason_of(world, event))[1].startswith("NO_ORDER")
    assert await sums(world) == (50_000, 0, 50_000)
    assert len(await world.said(WalletRecharged)) == 1


async def test_an_order_of_ours_whose_row_is_gone_is_an_alarm_and_nobodys_money(world: World) -> None:
    await recharge(world)
    await world.admin.execute("UPDATE wallet_recharges SET razorpay_order_id = 'order_another'")
    assert (await reason_of(world, await event_of_a_payment(world)))[0] == "FAILED"
    assert await sums(world) == (50_000, 0, 50_000)


async def test_a_session_from_the_app_is_held_billed_and_the_rest_is_free(world: World) -> None:
    await recharge(world)
    session = await start(world, limit_paise=20_000)
    assert (session["state"], session["hold_paise"], await sums(world)) == ("START_REQUESTED", 20_000, (50_000, 20_000, 30_000))
    await world.quiet()
    (wish,) = await world.lane("CP-1")
    assert isinstance(wish, StartRequested)
    assert (wish.request_key, wish.budget_paise, wish.platform_fee_paise) == (session["request_key"], 20_000, 0)
    started = world.started(session)
    await world.announce(started)
    assert (await ask(world, "GET", f"/sessions/{session['id']}"))["state"] == "CHARGING"
    stopped = world.stopped(session, 3_333, started.transaction_id)
    await world.announce(stopped)
    await world.announce(stopped)  # said twice, under two message ids
    # 3.333 kWh at 18.00 are 59.99, GST 18 % of it 10.80; no fee.
    session = await ask(world, "GET", f"/sessions/{session['id']}")
    bill = session["bill"]
    assert (session["state"], bill["billed_paise"], bill["energy_charge_paise"], bill["gst_paise"]) == (
        "BILLED",
        7_079,
        5_999,
        1_080,
    )
    assert await sums(world) == (42_921, 0, 42_921)
    (billed,) = await world.said(WalletSessionBilled)
    assert (billed.held_paise, billed.billed_paise, billed.shortfall_paise) == (20_000, 7_079, 0)
    assert await world.said(PaymentBilled) == []
    newest, _ = (await ask(world, "GET", "/entries"))["items"]
    assert (newest["kind"], newest["amount_paise"], newest["wallet_session_id"]) == ("SESSION", -7_079, session["id"])
    explained = await ask(world, "GET", f"/sessions/{session['id']}/explanation")
    assert explained == await world.call("GET", f"/v1/wallets/sessions/{session['id']}/explanation")
    assert {amount["name"]: amount["paise"] for amount in explained["amounts"]} == {
        "held": 20_000,
        "energy_charge": 5_999,
        "gst": 1_080,
        "released": 12_921,
        "shortfall": 0,
    }
    readings = explained["session"]
    assert (readings["transaction_id"], readings["energy_wh"]) == (f"txn_{started.transaction_id}", 3_333)
    (charge,) = (amount for amount in explained["amounts"] if amount["name"] == "energy_charge")
    assert charge["sources"]["energy_wh"] == f"transaction txn_{started.transaction_id}"
    control = await world.call("GET", "/v1/wallets/control")
    assert (control["wallets"], control["balance_paise"]) == (1, 42_921)
    await world.quiet()
    (invoice,) = (await world.call("GET", "/v1/invoices"))["items"]
    assert (invoice["transaction_id"], invoice["qr_payment_id"]) == (f"txn_{started.transaction_id}", None)
    assert (invoice["taxable_paise"], invoice["platform_fee_paise"], invoice["total_paise"]) == (5_999, 0, 7_079)
    explained = await world.call("GET", f"/v1/invoices/{invoice['id']}/explanation")
    assert sum(amount["paise"] for amount in explained["amounts"] if amount["name"] == "total") == 7_079
    (mine,) = (await world.call("GET", "/v1/riders/me/invoices", caller=RIDER))["items"]
    assert mine == invoice
    await world.call("POST", "/v1/riders/me", caller=OTHER)
    assert (await world.call("GET", "/v1/riders/me/invoices", caller=OTHER))["items"] == []
    pages = PdfReader(io.BytesIO(await world.call("GET", f"/v1/invoices/{invoice['id']}/invoice.pdf"))).pages
    assert "Paid from the wallet" in pages[0].extract_text()


@pytest.mark.parametrize("word", ["refused", "no energy"])
async def test_a_session_that_was_not_served_releases_its_hold(world: World, word: str) -> None:
    await recharge(world)
    session = await start(world)
    assert await sums(world) == (50_000, 50_000, 0)
    await ask(world, "GET", f"/sessions/{session['id']}/explanation", status=409)
    if word == "refused":
        event: Any = world.refused(session, StartRefusal.CHARGER_OFFLINE)
    else:
        event = world.stopped(session, 0)
    await world.announce(event)
    await world.announce(event)
    assert await sums(world) == (50_000, 0, 50_000)
    session = await ask(world, "GET", f"/sessions/{session['id']}")
    reason = "CHARGER_OFFLINE" if word == "refused" else "NO_ENERGY"
    assert (session["state"], session["release_reason"], session["bill"]) == ("RELEASED", reason, None)
    explained = await ask(world, "GET", f"/sessions/{session['id']}/explanation")
    assert session["release_detail"] in explained["paragraph"]
    assert [(amount["name"], amount["paise"]) for amount in explained["amounts"]] == [("held", 50_000), ("released", 50_000)]
    assert await world.said(WalletSessionBilled) == []


async def test_energy_beyond_the_hold_is_a_memo_and_the_wallet_never_below_zero(world: World) -> None:
    await recharge(world, 10_000)
    session = await start(world)
    started = world.started(session)
    # The stop overtakes the start, as after a failed handling.
    await world.announce(world.stopped(session, 6_000, started.transaction_id))
    await world.announce(started)
    # 108.00 and 19.44 of GST; 100.00 are there: 84.75 with 15.25 of GST in it.
    bill = (await ask(world, "GET", f"/sessions/{session['id']}"))["bill"]
    assert (bill["billed_paise"], bill["energy_charge_paise"], bill["shortfall_paise"]) == (10_000, 8_475, 2_744)
    assert await sums(world) == (0, 0, 0)
    refused = await start(world, status=409)
    assert "₹20.00 at least" in refused["detail"]


async def test_one_session_at_a_time_and_what_is_asked_at_once_holds_once(world: World) -> None:
    await recharge(world)

    async def wish(number: int) -> int:
        path = "/v1/wallets/me/sessions"
        headers = world.headers("POST", path, caller=RIDER)
        body = {"charge_point_id": f"CP-{number}", "connector_id": 1, "limit_paise": 10_000}
        async with world.http.post(f"{world.url}{path}", json=body, headers=headers) as answer:
            return answer.status

    assert sorted(await asyncio.gather(*(wish(number) for number in range(4)))) == [201, 409, 409, 409]
    assert await sums(world) == (50_000, 10_000, 40_000)
    assert len(await world.said(StartRequested)) == 1


async def test_a_session_that_is_started_while_the_wallet_changes_waits_for_the_change(world: World) -> None:
    await recharge(world)
    async with world.admin.transaction():
        await world.admin.execute("UPDATE wallets SET balance_paise = balance_paise + 10000")
        starting = asyncio.create_task(start(world))
        waits = "SELECT count(*) FROM pg_locks WHERE locktype IN ('transactionid', 'tuple') AND NOT granted"
        while not starting.done() and not await world.admin.fetchval(waits):
            await asyncio.sleep(0.01)
    assert (await starting)["hold_paise"] == 60_000
    assert await sums(world) == (60_000, 60_000, 0)


async def test_a_rider_stops_what_runs_and_cancels_what_does_not(world: World) -> None:
    await recharge(world)
    session = await start(world)
    await world.quiet()
    await world.lane("CP-1")
    stop = f"/sessions/{session['id']}/stop"
    assert (await ask(world, "POST", stop))["stop_requested_at"] is not None
    await world.quiet()
    (cancel,) = await world.lane("CP-1")
    assert isinstance(cancel, StartCancelRequested)
    # It had begun already: charging passes the cancel over, and the wish is told again as a stop.
    started = world.started(session)
    await world.announce(started)
    (stopping,) = await world.lane("CP-1")
    assert isinstance(stopping, SessionStopRequested)
    assert (stopping.transaction_id, stopping.actor, stopping.trigger) == (started.transaction_id, session["rider_id"], "app")
    await ask(world, "POST", stop)
    await world.quiet()
    assert [type(wish) for wish in await world.lane("CP-1")] == [SessionStopRequested]
    await world.announce(world.stopped(session, 100, started.transaction_id))
    await ask(world, "POST", stop, status=409)


async def test_nobody_sees_or_stops_what_is_another_riders(world: World) -> None:
    mine = await recharge(world)
    session = await start(world)
    await recharge(world, 20_000, OTHER)
    assert await sums(world, OTHER) == (20_000, 0, 20_000)
    for method, path in (
        ("GET", f"/recharges/{mine['id']}"),
        ("GET", f"/sessions/{session['id']}"),
        ("GET", f"/sessions/{session['id']}/explanation"),
        ("POST", f"/sessions/{session['id']}/stop"),
    ):
        await ask(world, method, path, OTHER, status=404)
    assert (await ask(world, "GET", "/sessions", OTHER))["items"] == []
    assert [entry["amount_paise"] for entry in (await ask(world, "GET", "/entries", OTHER))["items"]] == [20_000]
    for path in ("/v1/wallets", "/v1/wallets/wlt_1", "/v1/wallets/wlt_1/entries", "/v1/wallets/sessions", "/v1/wallets/control"):
        await world.call("GET", path, caller=OTHER, status=403)
        await world.call("GET", path, role=Role.FINANCE)


async def test_an_unanswered_start_is_chased_and_its_hold_stands(world: World) -> None:
    await recharge(world)
    session = await start(world)
    await world.quiet()
    (first,) = await world.lane("CP-1")
    await world.clock.advance(200)
    assert await sums(world) == (50_000, 50_000, 0)
    assert (world.metric("start_unanswered_total"), world.metric("wallet_unanswered")) == (1, 1)
    again, cancel = await world.lane("CP-1")
    assert again == first
    assert isinstance(cancel, StartCancelRequested)
    await world.announce(world.refused(session, StartRefusal.DEADLINE_PASSED))
    assert await sums(world) == (50_000, 0, 50_000)


async def test_what_cannot_be_billed_keeps_its_hold_and_is_billed_once_it_can(world: World) -> None:
    await recharge(world)
    session = await start(world, limit_paise=20_000)
    await world.announce(world.stopped(session, 3_333, tariff_paise_per_kwh=-1_800))
    assert (await ask(world, "GET", f"/sessions/{session['id']}"))["state"] == "BILLING_FAILED"
    assert await sums(world) == (50_000, 20_000, 30_000)
    # Nobody is kept from charging by it.
    other = await start(world, limit_paise=10_000)
    await world.announce(world.refused(other))
    await world.admin.execute("UPDATE wallet_sessions SET stopped = jsonb_set(stopped, '{tariff_paise_per_kwh}', '1800')")
    await world.jump(1800)
    assert (await ask(world, "GET", f"/sessions/{session['id']}"))["state"] == "BILLED"
    assert await sums(world) == (42_921, 0, 42_921)


async def test_the_nightly_count_tells_the_books_and_finds_a_wallet_that_differs(world: World) -> None:
    await recharge(world)
    await world.jump(86_400)
    *_, told = await world.said(WalletsCounted)
    assert (told.wallets, told.balance_paise, world.metric("wallets_differing")) == (1, 50_000, 0)
    await world.admin.execute("UPDATE wallets SET balance_paise = balance_paise + 1, held_paise = 1")
    await world.jump(86_400)
    assert world.metric("wallets_differing") == 1


async def test_the_database_itself_refuses_a_wallet_below_zero(world: World) -> None:
    await recharge(world)
    for wrong in ("balance_paise = -1", "held_paise = balance_paise + 1", "held_paise = -1"):
        with pytest.raises(asyncpg.CheckViolationError, match="never_below_zero"):
            await world.admin.execute(f"UPDATE wallets SET {wrong}")  # noqa: S608


async def test_fees_that_are_never_told_keep_no_later_one_from_being_asked_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_recharge_fees, "ASKED_AT_ONCE_MAX", 2)
    for _ in range(4):
        await recharge(world, 10_000, fee_shown="never")
    last = list(world.razorpay.state.payments.values())[-1]
    last.fee, last.tax = 1_180, 180
    await world.clock.advance(125)
    assert [fee.razorpay_payment_id for fee in await world.said(RechargeFeeRecorded)] == [last.id]
    # Who does not tell is asked ever less.
    asked = "GET", "/v1/payments/pay_*"
    await world.clock.advance(3_600)
    before = len(world.razorpay.requests(*asked))
    await world.clock.advance(1_800)
    assert len(world.razorpay.requests(*asked)) - before <= 3
