"""Sessions that wallets pay: one ledger entry each, their journals, and the control account against payments' count."""

from collections import Counter
from datetime import timedelta

import asyncpg
import pytest

from contracts import Event
from contracts.payments import BorneBy
from contracts.settlement import LedgerEntryCreated
from contracts.wallets import RechargeFeeRecorded, WalletRecharged, WalletRefundDecided, WalletsCounted, WalletSessionBilled
from money import final_bill, supply_reduction
from settlement.usecases.check_books import check_books

from .conftest import World
from .test_books import balances, keys


def recharged(world: World, number: int = 1, *, amount: int = 50_000, fee: int | None = 1_180) -> WalletRecharged:
    return WalletRecharged(
        recharge_payment_id=number,
        recharge_id=number,
        wallet_id=1,
        rider_id=1,
        razorpay_payment_id=f"pay_{number}",
        razorpay_order_id=f"order_{number}",
        amount_paise=amount,
        fee_paise=fee,
        fee_tax_paise=None if fee is None else 180,
        credited_at=world.clock.now(),
    )


def billed(world: World, franchisee_id: int | None, *, number: int = 1, held: int = 20_000) -> WalletSessionBilled:
    bill = final_bill(energy_wh=3_333, tariff_paise_per_kwh=1_800, gst_bps=1_800, platform_fee_paise=0, paid_paise=held)
    now = world.clock.now()
    return WalletSessionBilled(
        wallet_session_id=number,
        wallet_id=1,
        rider_id=1,
        transaction_id=9_000 + number,
        charge_point_id="CP-1",
        connector_id=1,
        station_id=1,
        franchisee_id=franchisee_id,
        started_at=now - timedelta(minutes=30),
        stopped_at=now,
        energy_wh=3_333,
        tariff_paise_per_kwh=1_800,
        gst_bps=1_800,
        held_paise=held,
        billed_paise=bill.total_billed_paise,
        energy_charge_paise=bill.energy_charge_paise,
        gst_paise=bill.gst_paise,
        shortfall_paise=bill.shortfall_paise,
        billed_at=now,
    )


async def differences(world: World) -> float:
    await check_books(world.service.app)
    return float(world.service.app.metrics.books_differences._value.get())


async def test_a_wallets_session_is_split_booked_and_paid_out_once(world: World) -> None:
    franchisee_id = await world.franchisee()
    bill = billed(world, franchisee_id)
    events: list[Event] = [bill, recharged(world, fee=None), bill]
    fee = RechargeFeeRecorded(
        recharge_payment_id=1, razorpay_payment_id="pay_1", fee_paise=1_180, fee_tax_paise=180, recorded_at=world.clock.now()
    )
    for event in (*events, fee, *events):
        await world.publish(event)
    await world.settle()
    (entry,) = (await world.call("GET", "/v1/ledger-entries?transaction_id=txn_9001"))["items"]
    # Gross is what was billed: 59.99 and 10.80 of GST; nothing went back, and no fee is the franchisee's to bear.
    assert (entry["gross_paise"], entry["refund_paise"], entry["residue_paise"], entry["pg_fee_paise"]) == (7_079, 0, 0, 0)
    assert (entry["gst_paise"], entry["commission_paise"], entry["tds_paise"], entry["payout_paise"]) == (1_080, 600, 6, 5_393)
    assert (entry["qr_payment_id"], entry["wallet_session_id"], entry["status"]) == (None, "wse_1", "TRANSFERRED")
    assert len(await world.said(LedgerEntryCreated)) == 1
    told = await balances(world)
    assert (told["wallet_liability"], told["recharge_fees"], told["gst_output"]) == (-(50_000 - 7_079), 1_000, -1_080)
    assert "energy_revenue" not in told  # all of it is the franchisee's and ours
    kinds = Counter(key.split("/")[0] for key in await keys(world))
    assert (kinds["recharge_payment"], kinds["wallet_session"], kinds["entry"]) == (2, 1, 1)
    assert await differences(world) == 0
    # Razorpay's statement will have the payment: whose it is, is noted.
    noted = await world.rows("SELECT razorpay_id, subject, amount_paise FROM moves WHERE kind = 'PAYMENT'")
    assert noted == [{"razorpay_id": "pay_1", "subject": "rcp_1", "amount_paise": 50_000}]


async def test_a_wallets_bill_for_nobody_waits_for_a_person(world: World) -> None:
    await world.publish(billed(world, 777))
    await world.settle()
    (waiting,) = (await world.call("GET", "/v1/ledger-entries/unowned-bills"))["items"]
    assert (waiting["qr_payment_id"], waiting["wallet_session_id"], waiting["paid_paise"]) == (None, "wse_1", 7_079)
    franchisee_id = await world.franchisee()
    path = "/v1/ledger-entries/unowned-bills/txn_9001/assign"
    entry = await world.call("POST", path, json={"franchisee_id": f"frn_{franchisee_id}"}, status=201)
    assert (entry["wallet_session_id"], entry["gross_paise"]) == ("wse_1", 7_079)


async def test_an_entry_has_one_payer(world: World) -> None:
    franchisee_id = await world.franchisee()
    await world.publish(billed(world, franchisee_id))
    await world.settle()
    for both in ("qr_payment_id = 5", "wallet_session_id = NULL"):
        with pytest.raises(asyncpg.CheckViolationError, match="one_payer"):
            await world.admin.execute(f"UPDATE ledger_entries SET {both}")  # noqa: S608


async def test_the_nightly_check_holds_the_control_account_against_the_last_count_that_rested(world: World) -> None:
    await world.publish(recharged(world))
    await world.publish(billed(world, None))
    await world.settle()
    at = world.clock.now() + timedelta(seconds=1)
    await world.publish(WalletsCounted(at=at, wallets=1, balance_paise=50_000 - 7_079))
    world.clock.jump(3_700)
    await world.settle()
    assert await differences(world) == 0
    # What comes after the count is none of its business; what payments has and the books have not is.
    await world.publish(recharged(world, 2))
    await world.publish(WalletsCounted(at=world.clock.now(), wallets=1, balance_paise=50_000))
    await world.settle()
    assert await differences(world) == 0  # it has not rested
    world.clock.jump(3_700)
    await world.settle()
    assert await differences(world) == 1


def given_back(
    world: World, bill: WalletSessionBilled, amount: int = 2_000, *, number: int = 1, goodwill: bool = False
) -> WalletRefundDecided:
    lines = {"energy_charge_paise": bill.energy_charge_paise, "gst_paise": bill.gst_paise}
    part = supply_reduction(amount_paise=0 if goodwill else amount, before_paise=0, **lines)
    return WalletRefundDecided(
        operator_refund_id=bill.transaction_id * 10 + number,
        wallet_session_id=bill.wallet_session_id,
        wallet_id=bill.wallet_id,
        transaction_id=bill.transaction_id,
        franchisee_id=bill.franchisee_id,
        number=number,
        amount_paise=amount,
        energy_charge_paise=part.energy_charge_paise,
        gst_paise=part.gst_paise,
        goodwill_paise=amount if goodwill else 0,
        energy_charge_before_paise=0,
        gst_before_paise=0,
        borne_by=BorneBy.PLATFORM if goodwill or bill.franchisee_id is None else BorneBy.FRANCHISEE,
        reason="The connector came off twice.",
        decided_by="staff|1",
        decided_at=world.clock.now(),
    )


@pytest.mark.parametrize("bill_first", [True, False])
async def test_what_an_operator_gives_back_is_the_wallets_and_the_split_follows(world: World, bill_first: bool) -> None:
    franchisee_id = await world.franchisee()
    bill = billed(world, franchisee_id)
    back = given_back(world, bill)
    events: list[Event] = [recharged(world), bill, back] if bill_first else [back, recharged(world), bill]
    for event in (*events, back):
        await world.publish(event)
    await world.settle()
    (entry,) = (await world.call("GET", "/v1/ledger-entries?transaction_id=txn_9001&kind=SESSION"))["items"]
    (correction,) = (await world.call("GET", "/v1/ledger-entries?transaction_id=txn_9001&kind=CORRECTION"))["items"]
    assert (correction["wallet_session_id"], correction["qr_payment_id"], correction["refund_number"]) == ("wse_1", None, 1)
    # 43.04 of energy are left: a tenth of 16.95 less of commission, and the payout less by the rest.
    assert (entry["payout_paise"], correction["payout_paise"]) == (5_393, -1_523)
    assert (entry["commission_paise"], correction["commission_paise"]) == (600, -170)
    told = await balances(world)
    assert told["wallet_liability"] == -(50_000 - 7_079 + 2_000)
    assert told["gst_output"] == -(1_080 - 305)
    assert "energy_revenue" not in told
    assert (await keys(world)).count("wallet_session/1/operator_refund/1") == 1
    assert await differences(world) == 0
    explained = await world.call("GET", f"/v1/ledger-entries/{correction['id']}/explanation")
    assert {amount["name"]: amount["paise"] for amount in explained["amounts"]}["payout"] == -1_523


@pytest.mark.parametrize("ours", [True, False])
async def test_goodwill_and_our_own_sites_correct_nobodys_split(world: World, ours: bool) -> None:
    bill = billed(world, None if ours else await world.franchisee())
    for event in (recharged(world), bill, given_back(world, bill, goodwill=not ours)):
        await world.publish(event)
    await world.settle()
    assert (await world.call("GET", "/v1/ledger-entries?kind=CORRECTION"))["items"] == []
    told = await balances(world)
    assert told["wallet_liability"] == -(50_000 - 7_079 + 2_000)
    assert told.get("goodwill", 0) == (0 if ours else 2_000)
    assert await differences(world) == 0
