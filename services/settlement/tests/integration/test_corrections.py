"""A rider is refunded after the bill: the split follows, and what was paid out too much comes back, once and to the paisa."""

from typing import Any

import pytest

from chassis.web import Role
from contracts.payments import BorneBy, OperatorRefundDecided, PaymentBilled
from contracts.settlement import LedgerEntryCorrected, TransferReversed
from money import supply_reduction
from razorpay_simulator.faults import FaultRule
from settlement.domain.due import later
from settlement.repository import ledger
from settlement.usecases import recover
from settlement.usecases.check_books import check_books
from settlement.usecases.correct_entry import correct_forgotten

from .conftest import SELDOM, Build, World
from .test_books import balances
from .test_conservation import received
from .test_statements import fetch

REVERSE = {"method": "POST", "path": "/v1/transfers/*/reversals"}
PAYOUT, OFF = 5393, 1523
"""100.00 paid, 59.99 of energy, commission 10 %: 53.93. With 20.00 refunded 43.04 are of energy, the payout 38.70: 15.23 off."""


def decided(
    world: World, bill: PaymentBilled, amount: int, *, number: int = 1, before: int = 0, goodwill: bool = False
) -> OperatorRefundDecided:
    """What payments says of an operator's refund."""
    lines = {"energy_charge_paise": bill.energy_charge_paise, "gst_paise": bill.gst_paise}
    off = supply_reduction(amount_paise=before, before_paise=0, **lines)
    part = supply_reduction(amount_paise=0 if goodwill else amount, before_paise=before, **lines)
    return OperatorRefundDecided(
        operator_refund_id=bill.transaction_id * 10 + number,
        qr_payment_id=bill.qr_payment_id,
        razorpay_payment_id=bill.razorpay_payment_id,
        transaction_id=bill.transaction_id,
        franchisee_id=bill.franchisee_id,
        number=number,
        amount_paise=amount,
        energy_charge_paise=part.energy_charge_paise,
        gst_paise=part.gst_paise,
        goodwill_paise=amount if goodwill else 0,
        energy_charge_before_paise=off.energy_charge_paise,
        gst_before_paise=off.gst_paise,
        borne_by=BorneBy.PLATFORM if goodwill or bill.franchisee_id is None else BorneBy.FRANCHISEE,
        reason="The connector came off twice.",
        decided_by="staff|1",
        decided_at=world.clock.now(),
    )


async def paid_out(world: World, *bills: PaymentBilled) -> None:
    for bill in bills:
        await world.publish(received(bill))
        await world.publish(bill)
    await world.settle()


async def refund(world: World, bill: PaymentBilled, amount: int = 2000, **more: Any) -> None:
    await world.publish(decided(world, bill, amount, **more))
    await world.settle()


async def correction(world: World, bill: PaymentBilled, number: int = 1) -> dict[str, Any]:
    found = await world.call("GET", f"/v1/ledger-entries?transaction_id=txn_{bill.transaction_id}&kind=CORRECTION")
    [entry] = [item for item in found["items"] if item["refund_number"] == number]
    return dict(entry)


def take_back_by_hand(world: World, transfer_id: str, amount: int) -> None:
    """Somebody reverses a transfer in Razorpay's dashboard: nobody tells us."""
    world.sandbox.nouns.transfers.reverse(transfer_id, {"amount": amount})


async def agree(world: World) -> dict[str, int]:
    """The nightly check finds nothing; every session's lines add up; the balances."""
    await check_books(world.service.app)
    assert world.service.app.metrics.books_differences._value.get() == 0
    owners = await world.rows(
        """SELECT sum(gross_paise) AS gross, sum(refund_paise + residue_paise + pg_fee_paise + gst_paise + commission_paise
                  + tds_paise + payout_paise) AS owned FROM ledger_entries GROUP BY transaction_id"""
    )
    assert all(row["gross"] == row["owned"] for row in owners)
    assert await world.dead() == 0
    return await balances(world)


async def test_out_of_the_linked_account_it_comes_back_by_a_reversal(world: World) -> None:
    franchisee_id = await world.franchisee()
    account, bill = await world.account_of(franchisee_id), world.bill(franchisee_id)
    await paid_out(world, bill)
    assert world.sandbox.balances()[account] == PAYOUT
    await refund(world, bill)

    entry, off = await world.entry(bill), await correction(world, bill)
    assert (entry["refund_paise"], entry["payout_paise"]) == (2685, PAYOUT), "what was booked stands"
    lines = ("refund_paise", "gst_paise", "commission_paise", "tds_paise", "payout_paise")
    assert [off[line] for line in lines] == [2000, -305, -170, -2, -OFF]
    assert (off["status"], off["corrects_id"], off["reason"]) == ("SETTLED", entry["id"], "The connector came off twice.")
    owed = OFF
    assert world.sandbox.balances()[account] == PAYOUT - owed
    [sent] = world.sandbox.requests("POST", "/v1/transfers/*/reversals")
    assert sent.body["amount"] == owed
    transfer = await world.call("GET", f"/v1/transfers/{entry['transfer_id']}")
    [back] = transfer["reversals"]
    assert (transfer["reversed_paise"], back["amount_paise"], back["by_hand"]) == (owed, owed, False)
    assert (back["status"], back["ledger_entry_id"]) == ("DONE", off["id"])
    # Razorpay's statement will have it as a movement of its own: whose it is, is noted.
    noted = await world.rows("SELECT razorpay_id, subject, amount_paise, outcome FROM moves WHERE kind = 'REVERSAL'")
    told = {"razorpay_id": back["razorpay_reversal_id"], "subject": transfer["id"], "amount_paise": owed, "outcome": "DONE"}
    assert noted == [told]
    now = await agree(world)
    assert now["linked_accounts"] == -now["franchisee_in_transfer"] == PAYOUT - owed
    assert "franchisee_carried" not in now
    assert "franchisee_payable" not in now

    world.sandbox.settle(account)
    await world.settle()
    assert world.service.app.metrics.settlement_mismatch._value.get() == 0
    now = await agree(world)
    assert not {"linked_accounts", "franchisee_in_transfer", "franchisee_carried"} & now.keys()
    [said], [told] = await world.said(LedgerEntryCorrected), await world.said(TransferReversed)
    assert (said.payout_paise, told.amount_paise, told.by_hand) == (-owed, owed, False)

    # The franchisee's own papers say the same: every line explains itself, and the month comes out even.
    explained = await world.call("GET", f"/v1/ledger-entries/{off['id']}/explanation")
    assert {f"{amount['name']}_paise": amount["paise"] for amount in explained["amounts"]} == {line: off[line] for line in lines}
    month = f"/v1/franchisees/frn_{franchisee_id}/statements/{world.clock.now():%Y-%m}"
    await world.pass_time(60)
    shown = await world.call("GET", month)
    assert (shown["earned_paise"], shown["paid_paise"], shown["closing_paise"]) == (PAYOUT - owed, PAYOUT - owed, 0)
    assert (shown["sessions"]["sessions"], shown["corrections"]["payout_paise"]) == (1, -owed)
    for form in ("csv", "pdf", "xlsx"):
        assert await fetch(world, f"{month}.{form}", franchisee_id=franchisee_id)


async def test_before_the_payout_it_is_netted_and_after_the_bank_off_the_next(world: World) -> None:
    franchisee_id = await world.franchisee()
    await world.call("PATCH", f"/v1/franchisees/frn_{franchisee_id}", json={"operator_hold": True, "operator_reason": "Look."})
    first = world.bill(franchisee_id)
    await paid_out(world, first)
    await refund(world, first)
    off = await correction(world, first)
    assert (off["status"], off["hold_kind"]) == ("ON_HOLD", "NETTED")
    assert off["hold_reason"] == "The session's rider was refunded in part after the bill: it is taken off the next payouts."
    await world.call("PATCH", f"/v1/franchisees/frn_{franchisee_id}", json={"operator_hold": False})
    await world.settle()
    [sent] = world.sandbox.requests("POST", "/v1/transfers")
    assert sent.body["amount"] == PAYOUT + off["payout_paise"]
    transfer = await world.call("GET", f"/v1/transfers/{(await world.entry(first))['transfer_id']}")
    assert sorted(part["amount_paise"] for part in transfer["pays"]) == [off["payout_paise"], PAYOUT]
    await agree(world)

    # It is at the bank when more goes back: the next session's payout is less by that.
    world.sandbox.settle(await world.account_of(franchisee_id))
    await world.settle()
    await refund(world, first, 3000, number=2, before=2000)
    second = await correction(world, first, 2)
    assert (second["status"], second["hold_kind"]) == ("ON_HOLD", "NETTED")
    assert (await agree(world))["franchisee_carried"] == -second["payout_paise"], "the franchisee owes us"
    next_one = world.bill(franchisee_id)
    await paid_out(world, next_one)
    [*_, sent] = world.sandbox.requests("POST", "/v1/transfers")
    assert sent.body["amount"] == PAYOUT + second["payout_paise"]
    assert world.sandbox.requests("POST", "/v1/transfers/*/reversals") == []
    assert "franchisee_carried" not in await agree(world)


async def test_a_payout_that_is_wholly_used_up_waits_in_plain_words(world: World) -> None:
    franchisee_id = await world.franchisee()
    account = await world.account_of(franchisee_id)
    big, small = world.bill(franchisee_id), world.bill(franchisee_id, energy_wh=1000, paid_paise=3000)
    await paid_out(world, big)
    world.sandbox.settle(account)
    await world.settle()
    await refund(world, big, 7079)
    await paid_out(world, small)
    waits = await world.entry(small)
    assert (waits["status"], waits["hold_kind"], waits["transfer_id"]) == ("ON_HOLD", "NETTED", None)
    assert (
        waits["hold_reason"]
        == "Used up by refunds on sessions that were paid out before: it goes out with the next payouts, less those."
    )
    assert len(world.sandbox.state.transfers) == 1
    again = world.bill(franchisee_id)
    await paid_out(world, again)
    [*_, sent] = world.sandbox.requests("POST", "/v1/transfers")
    assert sent.body["amount"] == waits["payout_paise"], "53.93 go back, 53.93 are due, and the small one goes out"
    assert {(await world.entry(bill))["status"] for bill in (small, again)} == {"TRANSFERRED"}
    now = await agree(world)
    assert not {"franchisee_carried", "franchisee_payable"} & now.keys()
    assert (await correction(world, big))["status"] == "TRANSFERRED"


@pytest.mark.parametrize("heard", ["refund first", "bill first"])
async def test_in_any_order_and_twice_there_is_one_correction(world: World, heard: str) -> None:
    franchisee_id = await world.franchisee()
    bill = world.bill(franchisee_id)
    first, second = decided(world, bill, 2000), decided(world, bill, 3000, number=2, before=2000)
    story = [second, first, bill] if heard == "refund first" else [bill, second, first]
    for again in (False, True):
        for event in story:
            await world.publish(event)
            await world.settle()
        entries = await world.rows("SELECT kind, payout_paise FROM ledger_entries ORDER BY id")
        assert [row["kind"] for row in entries].count("CORRECTION") == 2, again
    whole = (bill.energy_charge_paise + bill.gst_paise - 5000) * 10_000 // 11_800
    assert abs(sum(row["payout_paise"] for row in entries) - (whole * 9 // 10 - whole // 1000)) <= 2
    await agree(world)


async def test_goodwill_and_our_own_sites_touch_no_split(world: World) -> None:
    franchisee_id = await world.franchisee()
    theirs, ours = world.bill(franchisee_id), world.bill(None)
    await paid_out(world, theirs, ours)
    await refund(world, theirs, 500, goodwill=True)
    await refund(world, ours, 2000)
    assert await world.rows("SELECT id FROM ledger_entries WHERE kind = 'CORRECTION'") == []
    now = await agree(world)
    assert (now["goodwill"], now["energy_revenue"]) == (500, -(5999 - 1695))
    assert now["refund_payable"] == -(2 * 2685 + 2500)
    assert world.sandbox.requests("POST", "/v1/transfers/*/reversals") == []


async def test_an_assigned_bill_is_corrected_when_it_has_its_owner(world: World) -> None:
    bill = world.bill(77)
    await paid_out(world, bill)
    await refund(world, bill)
    assert await world.rows("SELECT id FROM ledger_entries") == []
    franchisee_id = await world.franchisee()
    path = f"/v1/ledger-entries/unowned-bills/txn_{bill.transaction_id}/assign"
    await world.call("POST", path, json={"franchisee_id": f"frn_{franchisee_id}"})
    await world.settle()
    off = await correction(world, bill)
    assert off["franchisee_id"] == f"frn_{franchisee_id}"
    assert world.sandbox.balances()[await world.account_of(franchisee_id)] == PAYOUT + off["payout_paise"]
    await agree(world)


async def test_a_correction_that_cannot_be_made_keeps_no_other_waiting(world: World) -> None:
    """Bill and refund came at the same moment, and neither saw the other: the sweep makes up for it, session by session."""
    franchisee_id = await world.franchisee()
    odd, bill = world.bill(franchisee_id), world.bill(franchisee_id)
    await paid_out(world, odd, bill)
    add = "INSERT INTO refund_decisions (operator_refund_id, transaction_id, decision, received_at) VALUES ($1, $2, $3, now())"
    await world.admin.execute(add, 1, odd.transaction_id, '{"of": "another release"}')
    await world.admin.execute(add, 2, bill.transaction_id, decided(world, bill, 2000).model_dump_json())
    await correct_forgotten(world.service.app)
    await world.settle()
    assert (await correction(world, bill))["payout_paise"] == -OFF
    assert world.service.app.metrics.work_failed.labels("corrections")._value.get() == 1


@pytest.mark.parametrize(
    ("kind", "when"),
    [
        ("hang", "after_effect"),
        ("error", "before_effect"),
        ("html", "after_effect"),
        ("reset", "after_effect"),
        ("throttle", "before_effect"),
    ],
)
async def test_one_reversal_whatever_becomes_of_the_call(build: Build, kind: Any, when: Any) -> None:
    world = await build(settings=SELDOM)
    franchisee_id = await world.franchisee()
    account, bill = await world.account_of(franchisee_id), world.bill(franchisee_id)
    await paid_out(world, bill)
    world.sandbox.add_fault(FaultRule(kind=kind, when=when, **REVERSE))
    await refund(world, bill)
    off = await correction(world, bill)
    assert off["status"] == ("TRANSFERRING" if kind == "throttle" else "UNKNOWN")
    # While it is in doubt the next payout goes out whole: it is not taken twice.
    other = world.bill(franchisee_id)
    await paid_out(world, other)
    await world.pass_time(900)
    assert (await correction(world, bill))["status"] == "SETTLED"
    [made] = world.sandbox.state.reversals.values()
    assert made.amount == -off["payout_paise"]
    assert len(world.sandbox.requests("POST", "/v1/transfers/*/reversals")) == (1 if when == "after_effect" else 2)
    assert world.sandbox.balances()[account] == 2 * PAYOUT + off["payout_paise"]
    now = await agree(world)
    assert "franchisee_carried" not in now


@pytest.mark.parametrize("called", [False, True], ids=["before the call", "after the call"])
async def test_a_process_that_dies_with_a_claim_leaves_one_reversal(world: World, called: bool) -> None:
    franchisee_id = await world.franchisee()
    account, bill = await world.account_of(franchisee_id), world.bill(franchisee_id)
    await paid_out(world, bill)
    app = world.service.app
    await app.payouts.stop()
    await refund(world, bill)
    async with app.database.transaction() as uow:
        due = await ledger.claim_due(uow.connection, now=uow.now, lapses_at=later(uow.now, 120))
        assert due is not None
        claimed = await recover._claim(app, uow, due)
    assert claimed is not None
    reversal, transfer = claimed
    if called:
        await app.razorpay.reverse_transfer(str(transfer.razorpay_transfer_id), reversal.body or {})
    await app.payouts.start()
    await world.pass_time(90)
    assert (await correction(world, bill))["status"] == "TRANSFERRING"  # its lease protects what may be under way
    await world.pass_time(60)
    assert (await correction(world, bill))["status"] == "SETTLED"
    assert len(world.sandbox.state.reversals) == len(world.sandbox.requests("POST", "/v1/transfers/*/reversals")) == 1
    assert world.sandbox.balances()[account] == PAYOUT - OFF
    await agree(world)


async def test_what_the_linked_account_does_not_have_is_taken_off_the_next_payout(world: World) -> None:
    franchisee_id = await world.franchisee()
    bill, other = world.bill(franchisee_id), world.bill(franchisee_id)
    await paid_out(world, bill)
    refusal = "The linked account does not have sufficient balance to process reversal."
    world.sandbox.add_fault(FaultRule(kind="error", status=400, description=refusal, **REVERSE))
    await refund(world, bill)
    off = await correction(world, bill)
    assert (off["status"], off["hold_kind"], off["last_error"]) == ("ON_HOLD", "NETTED", refusal)
    assert world.service.app.metrics.reversal_failed._value.get() == 1
    await paid_out(world, other)
    [*_, sent] = world.sandbox.requests("POST", "/v1/transfers")
    assert sent.body["amount"] == PAYOUT + off["payout_paise"]
    assert world.sandbox.state.reversals == {}
    assert "franchisee_carried" not in await agree(world)


async def test_a_whole_refund_leaves_nothing_for_the_bank(world: World) -> None:
    franchisee_id = await world.franchisee()
    account, bill = await world.account_of(franchisee_id), world.bill(franchisee_id)
    await paid_out(world, bill)
    await refund(world, bill, 7079)
    assert world.sandbox.balances()[account] == 0
    assert {(await world.entry(bill))["status"], (await correction(world, bill))["status"]} == {"SETTLED"}
    now = await agree(world)
    assert not {"linked_accounts", "franchisee_in_transfer", "franchisee_carried", "commission", "tds_payable"} & now.keys()


async def test_a_whole_refund_before_the_payout_is_even_without_a_transfer(world: World) -> None:
    franchisee_id = await world.franchisee(activate=False)
    bill, small = world.bill(franchisee_id), world.bill(franchisee_id, energy_wh=50, paid_paise=400, fee_paise=0)
    await paid_out(world, bill, small)
    await refund(world, bill, 2000)
    assert (await correction(world, bill))["status"] == "ON_HOLD"
    await refund(world, bill, 5079, number=2, before=2000)
    await refund(world, small, small.energy_charge_paise + small.gst_paise)
    for session in (bill, small):
        assert {(await world.entry(session))["status"], (await correction(world, session))["status"]} == {"SETTLED"}
    now = await agree(world)
    assert not {"franchisee_payable", "franchisee_carried", "energy_revenue", "commission", "tds_payable"} & now.keys()
    assert world.sandbox.requests("POST", "/v1/transfers") == []


@pytest.mark.parametrize("learnt", ["by the settlement", "by a poll", "after the settlement"])
async def test_what_somebody_takes_back_by_hand_is_booked_told_and_shown(build: Build, learnt: str) -> None:
    seldom = {**SELDOM, "settlement_poll_seconds": 1800}
    world = await build(settings=seldom, sandbox={"settlement_with_transfers": learnt == "by the settlement"})
    franchisee_id = await world.franchisee()
    account, bill = await world.account_of(franchisee_id), world.bill(franchisee_id)
    await paid_out(world, bill)
    [transfer] = world.sandbox.state.transfers.values()
    take_back_by_hand(world, transfer.id, 1000)
    if learnt != "by a poll":
        world.sandbox.settle(account)
    await world.settle()
    await world.pass_time(2500 if learnt == "by a poll" else 700)
    assert world.service.app.metrics.reversed_by_hand._value.get() == 1
    [row] = (await world.call("GET", "/v1/reversals?unmatched=true"))["items"]
    assert (row["amount_paise"], row["by_hand"], row["status"], row["ledger_entry_id"]) == (1000, True, "DONE", None)
    [told] = await world.said(TransferReversed)
    assert (told.amount_paise, told.by_hand, told.ledger_entry_id) == (1000, True, None)
    assert (await world.call("GET", "/v1/reversals", role=Role.FRANCHISEE, franchisee_id=franchisee_id + 1))["items"] == []
    assert len((await world.call("GET", "/v1/reversals", role=Role.FRANCHISEE, franchisee_id=franchisee_id))["items"]) == 1
    now = await agree(world)
    assert now["franchisee_payable"] == -1000, "it is due again until somebody says why"
    left = PAYOUT - 1000 if learnt == "by a poll" else 0
    assert (now.get("linked_accounts", 0), now.get("franchisee_in_transfer", 0)) == (left, -left)
    assert world.service.app.metrics.settlement_mismatch._value.get() == 0


async def test_a_correction_finds_what_was_taken_back_by_hand_for_it(world: World) -> None:
    franchisee_id = await world.franchisee()
    account, bill = await world.account_of(franchisee_id), world.bill(franchisee_id)
    await paid_out(world, bill)
    [transfer] = world.sandbox.state.transfers.values()
    take_back_by_hand(world, transfer.id, PAYOUT)
    world.sandbox.send_event("transfer.processed", {"transfer": {"entity": transfer.view()}})
    await world.settle()
    assert (await agree(world))["franchisee_payable"] == -PAYOUT
    await refund(world, bill, 7079)
    assert (await correction(world, bill))["status"] == "SETTLED"
    assert (await world.call("GET", "/v1/reversals?unmatched=true"))["items"] == []
    assert world.sandbox.requests("POST", "/v1/transfers/*/reversals") == []
    assert world.sandbox.balances()[account] == 0
    now = await agree(world)
    assert not {"franchisee_payable", "franchisee_carried", "linked_accounts", "franchisee_in_transfer"} & now.keys()
