"""settlement.processed, with and without its list, early, late, twice and for nobody."""

import pytest

from contracts.payments import RazorpayEventReceived
from contracts.settlement import LedgerEntryChanged
from razorpay_simulator.faults import FaultRule

from .conftest import SELDOM, Build, World


@pytest.mark.parametrize("listed", [True, False], ids=["with a list", "without a list"])
@pytest.mark.parametrize("account", ["linked", "parent"])
async def test_every_entry_of_a_settlement_is_settled_with_its_own_fee(build: Build, listed: bool, account: str) -> None:
    world = await build(sandbox={"settlement_with_transfers": listed, "settlement_event_account": account})
    franchisee_id, other_id = await world.franchisee(1), await world.franchisee(2)
    bills = [world.bill(franchisee_id, energy_wh=wh, paid_paise=20_000) for wh in (1234, 2345, 3456)]
    bystander = world.bill(other_id)
    for bill in (*bills, bystander):
        await world.publish(bill)
    await world.settle()
    [settlement] = world.sandbox.settle(await world.account_of(franchisee_id))
    await world.settle()

    entries = [await world.entry(bill) for bill in bills]
    assert {entry["status"] for entry in entries} == {"SETTLED"}
    assert {entry["utr"] for entry in entries} == {settlement["utr"]}
    fees = {transfer.id: transfer.fees for transfer in world.sandbox.state.transfers.values()}
    assert [entry["transfer_fee_paise"] for entry in entries] == [fees[entry["razorpay_transfer_id"]] for entry in entries]
    assert sum(entry["payout_paise"] for entry in entries) == settlement["amount"]
    assert (await world.entry(bystander))["status"] == "TRANSFERRED"
    shown = await world.call("GET", f"/v1/settlements/{settlement['id']}")
    assert (shown["status"], shown["franchisee_id"]) == ("MATCHED", f"frn_{franchisee_id}")
    assert shown["transfers_paise"] == shown["amount_paise"] == settlement["amount"]
    asked = world.sandbox.requests("GET", "/v1/transfers")
    assert len(asked) == (0 if listed else 1)


async def test_more_transfers_than_a_page_holds_are_all_settled(world: World) -> None:
    franchisee_id = await world.franchisee()
    for _ in range(105):
        await world.publish(world.bill(franchisee_id))
    await world.settle()
    [settlement] = world.sandbox.settle(await world.account_of(franchisee_id))
    await world.settle()
    assert settlement["amount"] == 105 * 5393
    counted = await world.rows("SELECT status, count(*) AS n FROM ledger_entries GROUP BY status")
    assert counted == [{"status": "SETTLED", "n": 105}]


async def test_our_own_settlement_is_recorded_and_changes_nothing(world: World) -> None:
    franchisee_id = await world.franchisee()
    bill = world.bill(franchisee_id)
    await world.publish(bill)
    await world.settle()
    own = world.sandbox.settle_own()
    assert own is not None
    await world.settle()
    shown = await world.call("GET", f"/v1/settlements/{own['id']}")
    assert (shown["status"], shown["franchisee_id"], shown["transfers_count"]) == ("OWN", None, 0)
    assert (await world.entry(bill))["status"] == "TRANSFERRED"


async def test_late_and_repeated_words_change_nothing(world: World) -> None:
    franchisee_id = await world.franchisee()
    bill = world.bill(franchisee_id)
    await world.publish(bill)
    await world.settle()
    world.sandbox.settle(await world.account_of(franchisee_id))
    await world.settle()
    said = len(await world.said(LedgerEntryChanged))
    # Everything once more, the newest first, as a replay from the dashboard might bring it.
    for event in reversed(world.events):
        await world.publish(event)
    failed = next(event for event in world.events if event.event == "transfer.processed").model_dump()
    failed["payload"]["transfer"]["entity"]["status"] = "failed"
    await world.publish(RazorpayEventReceived(**{**failed, "event": "transfers.failed", "razorpay_event_id": "late"}))
    await world.publish(bill.model_copy())
    await world.settle()
    assert (await world.entry(bill))["status"] == "SETTLED"
    assert len(await world.said(LedgerEntryChanged)) == said
    assert await world.dead() == 0


async def test_a_settlement_that_overtakes_the_transfers_own_event_settles(world: World) -> None:
    franchisee_id = await world.franchisee()
    world.forwarding = False
    bill = world.bill(franchisee_id)
    await world.publish(bill)
    await world.settle()
    world.sandbox.settle(await world.account_of(franchisee_id))
    await world.settle()
    settled = next(event for event in world.events if event.event == "settlement.processed")
    processed = next(event for event in world.events if event.event == "transfer.processed")
    await world.publish(settled)
    await world.publish(processed)
    await world.settle()
    assert (await world.entry(bill))["status"] == "SETTLED"


async def test_a_settlement_whose_event_was_lost_is_found_by_looking(build: Build) -> None:
    world = await build(settings={**SELDOM, "settlement_poll_seconds": 21_600})
    franchisee_id = await world.franchisee()
    bills = [world.bill(franchisee_id) for _ in range(2)]
    for bill in bills:
        await world.publish(bill)
    await world.settle()
    world.forwarding = False
    [settlement] = world.sandbox.settle(await world.account_of(franchisee_id))
    await world.settle()
    await world.pass_time(6 * 3600 + 1200)
    for bill in bills:
        entry = await world.entry(bill)
        assert (entry["status"], entry["utr"]) == ("SETTLED", settlement["utr"])
    shown = await world.call("GET", f"/v1/settlements/{settlement['id']}")
    assert (shown["status"], shown["transfers_count"], shown["transfers_paise"]) == ("MATCHED", 2, 2 * 5393)


@pytest.mark.parametrize("times", [2, 9], ids=["for a while", "until we gave up"])
async def test_a_refused_list_proves_nothing(build: Build, times: int) -> None:
    world = await build(settings={**SELDOM, "settlement_poll_seconds": 21_600}, sandbox={"settlement_event_account": "parent"})
    franchisee_id = await world.franchisee()
    bill = world.bill(franchisee_id)
    await world.publish(bill)
    await world.settle()
    refusal = FaultRule(kind="error", status=400, description="The input field is required", method="GET", path="/v1/transfers")
    world.sandbox.add_fault(refusal.model_copy(update={"times": times}))
    [settlement] = world.sandbox.settle(await world.account_of(franchisee_id))
    await world.settle()
    assert (await world.entry(bill))["status"] == "TRANSFERRED"
    await world.pass_time(7 * 3600)
    world.sandbox.clear_faults()
    assert (await world.entry(bill))["status"] == "SETTLED"
    await world.pass_time(1200)
    shown = await world.call("GET", f"/v1/settlements/{settlement['id']}")
    assert (shown["status"], shown["transfers_paise"]) == ("MATCHED", 5393)


async def test_transfers_of_another_environment_on_the_same_account_are_left_alone(build: Build) -> None:
    world = await build(sandbox={"opening_balance": 100}, settings={"transfer_environment": "staging"})
    bill = world.bill(await world.franchisee())
    await world.publish(bill)
    await world.settle()
    assert (await world.entry(bill))["status"] == "ON_HOLD"
    # Another environment counts its transactions from 1 as well, so it has a transfer with our very key.
    notes = {"key": f"txn_{bill.transaction_id}", "environment": "production"}
    entity = {"id": "trf_Another0000001", "status": "processed", "amount": 5393, "notes": notes}
    theirs = RazorpayEventReceived(
        webhook_event_id=99,
        razorpay_event_id="theirs",
        event="transfer.processed",
        account_id=world.sandbox.settings.account_id,
        payload={"transfer": {"entity": entity}},
        created_at=world.clock.now(),
    )
    await world.publish(theirs)
    await world.settle()
    assert (await world.entry(bill))["status"] == "ON_HOLD"
    # Marked as ours it would have been taken: the event may overtake the answer to our own call.
    entity["notes"] = {**notes, "environment": "staging"}
    await world.publish(theirs.model_copy(update={"payload": {"transfer": {"entity": entity}}}))
    await world.settle()
    assert (await world.entry(bill))["status"] == "TRANSFERRED"
    assert await world.dead() == 0
