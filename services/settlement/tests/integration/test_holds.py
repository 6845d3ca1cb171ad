"""What is due and waits: for papers, for a person, for the rest of a rupee."""

from contracts.settlement import AuditRecorded, LedgerEntryChanged
from settlement.usecases.measure import measure_ledger

from .conftest import SELDOM, Build, World


async def test_what_waits_for_kyc_goes_when_razorpay_has_approved(build: Build) -> None:
    world = await build(settings=SELDOM)
    franchisee_id = await world.franchisee(activate=False)
    bill = world.bill(franchisee_id)
    await world.publish(bill)
    await world.settle()
    entry = await world.entry(bill)
    assert (entry["status"], entry["hold_kind"]) == ("ON_HOLD", "GATED")
    assert entry["hold_reason"] == "Razorpay is checking this franchisee's papers."
    # Hours of waiting are no tries, and say nothing new.
    await world.pass_time(3 * 3600)
    entry = await world.entry(bill)
    assert (entry["status"], entry["failed_attempts"]) == ("ON_HOLD", 0)
    assert not world.sandbox.requests("POST", "/v1/transfers")
    assert [change.status for change in await world.said(LedgerEntryChanged)] == ["ON_HOLD"]

    world.sandbox.move_kyc(await world.account_of(franchisee_id), "activated")
    await world.settle()
    assert (await world.entry(bill))["status"] == "TRANSFERRED"


async def test_razorpays_hold_of_funds_holds_payouts_until_it_is_lifted(world: World) -> None:
    franchisee_id = await world.franchisee()
    account = await world.account_of(franchisee_id)
    await world.pass_time(60)
    world.sandbox.move_kyc(account, "funds_hold")
    await world.settle()
    bill = world.bill(franchisee_id)
    await world.publish(bill)
    await world.settle()
    entry = await world.entry(bill)
    assert (entry["status"], entry["hold_reason"]) == ("ON_HOLD", "Razorpay holds this franchisee's funds.")
    await world.pass_time(60)
    world.sandbox.move_kyc(account, "funds_unhold")
    await world.settle()
    assert (await world.entry(bill))["status"] == "TRANSFERRED"


async def test_an_operator_holds_and_releases_whatever_razorpay_says(world: World) -> None:
    franchisee_id = await world.franchisee()
    account = await world.account_of(franchisee_id)
    path = f"/v1/franchisees/frn_{franchisee_id}"
    held = await world.call("PATCH", path, json={"operator_hold": True, "operator_reason": "site under dispute"})
    assert held["gate"] == "VoltLync holds the payouts: site under dispute"
    bill = world.bill(franchisee_id)
    await world.publish(bill)
    # Razorpay's good word does not open our own gate.
    world.sandbox.move_kyc(account, "activated")
    await world.settle()
    assert (await world.entry(bill))["hold_reason"] == "VoltLync holds the payouts: site under dispute"
    freed = await world.call("PATCH", path, json={"operator_hold": False})
    assert freed["gate"] is None
    await world.settle()
    assert (await world.entry(bill))["status"] == "TRANSFERRED"
    changes = [record for record in await world.said(AuditRecorded) if record.action == "change"]
    assert [(record.actor, record.after["operator_hold"]) for record in changes] == [("staff|1", True), ("staff|1", False)]


async def test_a_hold_that_comes_while_a_transfer_waits_for_balance_stops_it(build: Build) -> None:
    world = await build(settings=SELDOM)
    franchisee_id = await world.franchisee()
    world.sandbox.add_funds(-world.sandbox.balances()[world.sandbox.settings.account_id])
    bill = world.bill(franchisee_id)
    await world.publish(bill)
    await world.settle()
    assert (await world.entry(bill))["hold_kind"] == "RAZORPAY"
    await world.pass_time(1)
    world.sandbox.move_kyc(await world.account_of(franchisee_id), "funds_hold")
    world.sandbox.add_funds(1_000_000)
    await world.pass_time(3600)
    entry = await world.entry(bill)
    assert (entry["hold_kind"], entry["failed_attempts"]) == ("GATED", 0)
    assert not world.sandbox.state.transfers
    world.sandbox.move_kyc(await world.account_of(franchisee_id), "funds_unhold")
    await world.settle()
    assert (await world.entry(bill))["status"] == "TRANSFERRED"
    assert len(world.sandbox.state.transfers) == 1


async def test_an_implausible_session_waits_for_a_person(build: Build) -> None:
    world = await build(settings=SELDOM)
    franchisee_id = await world.franchisee()
    bill = world.bill(franchisee_id, implausible=True)
    await world.publish(bill)
    await world.settle()
    await world.pass_time(2 * 3600)
    entry = await world.entry(bill)
    assert (entry["status"], entry["hold_kind"]) == ("ON_HOLD", "IMPLAUSIBLE")
    released = await world.call("POST", f"/v1/ledger-entries/{entry['id']}/release")
    assert released["payout_paise"] == 5393
    await world.settle()
    assert (await world.entry(bill))["status"] == "TRANSFERRED"
    await world.call("POST", f"/v1/ledger-entries/{entry['id']}/release", status=409)


async def test_payouts_under_a_rupee_wait_for_each_other_and_go_together(world: World) -> None:
    franchisee_id = await world.franchisee()
    # 40 Wh at 18 rupees are 72 paise; 10 % commission 7, TDS 0: 65 paise each.
    small = [world.bill(franchisee_id, energy_wh=40) for _ in range(3)]
    await world.publish(small[0])
    await world.settle()
    entry = await world.entry(small[0])
    assert (entry["payout_paise"], entry["status"], entry["hold_kind"]) == (65, "ON_HOLD", "BELOW_MINIMUM")
    # The second makes it a rupee and thirty: one transfer pays both, under the key of the second.
    await world.publish(small[1])
    await world.settle()
    [made] = world.sandbox.state.transfers.values()
    assert made.amount == 130
    assert made.notes["key"] == f"txn_{small[1].transaction_id}"
    assert [(await world.entry(bill))["status"] for bill in small[:2]] == ["TRANSFERRED", "TRANSFERRED"]
    # The third goes along with the next ordinary payout.
    await world.publish(small[2])
    await world.settle()
    ordinary = world.bill(franchisee_id)
    await world.publish(ordinary)
    await world.settle()
    assert sorted(transfer.amount for transfer in world.sandbox.state.transfers.values()) == [130, 5393 + 65]
    entries = [await world.entry(bill) for bill in (small[2], ordinary)]
    assert [entry["status"] for entry in entries] == ["TRANSFERRED", "TRANSFERRED"]
    assert entries[0]["transfer_id"] == entries[1]["transfer_id"]
    # One transfer has one fee, borne by its leading entry.
    assert entries[0]["transfer_fee_paise"] == 0
    shown = await world.call("GET", f"/v1/transfers/{entries[0]['transfer_id']}")
    assert entries[1]["transfer_fee_paise"] == shown["fee_paise"] > 0
    assert [part["amount_paise"] for part in shown["pays"]] == [65, 5393]


async def test_a_session_that_leaves_nothing_to_pay_is_done_at_once(world: World) -> None:
    franchisee_id = await world.franchisee(commission_bps=10_000, tds_bps=0)
    bill = world.bill(franchisee_id)
    await world.publish(bill)
    await world.settle()
    entry = await world.entry(bill)
    assert (entry["payout_paise"], entry["commission_paise"], entry["status"]) == (0, 5999, "SETTLED")
    assert not world.sandbox.requests("POST", "/v1/transfers")


async def test_a_bill_for_an_owner_whom_we_do_not_have_waits_for_a_person_and_is_paid_then(world: World) -> None:
    bill = world.bill(99)
    for _ in range(2):  # Razorpay pays once, brokers deliver twice
        await world.publish(bill)
    await world.settle()
    assert await world.rows("SELECT id FROM ledger_entries") == []
    assert await world.dead() == 0
    path = f"/v1/ledger-entries/unowned-bills/txn_{bill.transaction_id}/assign"
    [waiting] = (await world.call("GET", "/v1/ledger-entries/unowned-bills"))["items"]
    assert (waiting["transaction_id"], waiting["named_franchisee_id"]) == (f"txn_{bill.transaction_id}", "frn_99")
    assert (waiting["paid_paise"], waiting["refund_paise"], waiting["ledger_entry_id"]) == (10_000, bill.refund_paise, None)
    assert world.service.app.metrics.bills_unowned._value.get() == 1
    await measure_ledger(world.service.app)
    assert world.service.app.metrics.unowned_open._value.get() == 1

    refused = await world.call("POST", path, json={"franchisee_id": "frn_98"}, status=422)
    assert refused["errors"][0]["pointer"] == "#/body/franchisee_id"
    franchisee_id = await world.franchisee()
    await world.settle()
    assert await world.rows("SELECT id FROM ledger_entries") == [], "nobody is paid because a number fits"

    entry = await world.call("POST", path, json={"franchisee_id": f"frn_{franchisee_id}"}, status=201)
    assert (entry["franchisee_id"], entry["gross_paise"]) == (f"frn_{franchisee_id}", 10_000)
    await world.settle()
    assert (await world.entry(bill))["status"] == "TRANSFERRED"
    [made] = world.sandbox.state.transfers.values()
    assert made.amount == (await world.entry(bill))["payout_paise"]
    assert (await world.call("GET", "/v1/ledger-entries/unowned-bills"))["items"] == []
    [done] = (await world.call("GET", "/v1/ledger-entries/unowned-bills?assigned=true"))["items"]
    assert done["ledger_entry_id"] == entry["id"]
    await world.call("POST", path, json={"franchisee_id": f"frn_{franchisee_id}"}, status=409)
    await world.call("POST", path.replace(f"txn_{bill.transaction_id}", "txn_404"), json={"franchisee_id": "frn_1"}, status=404)
    # The bill once more, after everything: nothing moves.
    await world.publish(bill)
    await world.settle()
    assert len(world.sandbox.state.transfers) == 1
    await measure_ledger(world.service.app)
    assert world.service.app.metrics.unowned_open._value.get() == 0


async def test_a_second_bill_with_other_figures_is_counted_and_changes_nothing(world: World) -> None:
    franchisee_id = await world.franchisee()
    bill = world.bill(franchisee_id)
    await world.publish(bill)
    await world.publish(bill.model_copy(update={"paid_paise": 20_000, "refund_paise": bill.refund_paise + 10_000}))
    await world.settle()
    assert (await world.entry(bill))["gross_paise"] == 10_000
    assert world.service.app.metrics.bill_conflict._value.get() == 1
    assert len(world.sandbox.state.transfers) == 1


async def test_the_platforms_own_site_has_no_entry(world: World) -> None:
    await world.franchisee()
    await world.publish(world.bill(None))
    await world.settle()
    assert await world.rows("SELECT id FROM ledger_entries") == []
    assert await world.dead() == 0


async def test_terms_are_those_in_force_when_the_session_began(world: World) -> None:
    franchisee_id = await world.franchisee()
    before = world.clock.now()
    await world.pass_time(60)
    path = f"/v1/franchisees/frn_{franchisee_id}/terms"
    await world.call("POST", path, json={"commission_bps": 2000, "tds_bps": 0})
    await world.pass_time(60)
    old, new = world.bill(franchisee_id, started_at=before), world.bill(franchisee_id, started_at=world.clock.now())
    for bill in (old, new):
        await world.publish(bill)
    await world.settle()
    assert [(await world.entry(bill))["commission_paise"] for bill in (old, new)] == [600, 1200]
    past = (before).isoformat()
    refused = await world.call("POST", path, json={"commission_bps": 1, "tds_bps": 0, "effective_from": past}, status=422)
    assert refused["errors"][0]["pointer"] == "#/body/effective_from"
    listed = await world.call("GET", path)
    assert [terms["commission_bps"] for terms in listed["items"]] == [2000, 1000]
