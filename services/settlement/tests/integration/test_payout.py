"""From the bill to the franchisee's bank, told as diaries."""

from contracts.settlement import LedgerEntryChanged, LedgerEntryCreated

from .conftest import World


async def test_a_session_is_booked_transferred_and_settled_to_the_paisa(world: World) -> None:
    # 10:00 A franchisee is entered, linked at Razorpay and activated.
    franchisee_id = await world.franchisee()
    account = await world.account_of(franchisee_id)

    # A session of 100 rupees was billed: 59.99 energy, 10.80 GST, 2.36 fee, 26.85 back. Commission 10 % of 59.99, TDS 0.1 %.
    bill = world.bill(franchisee_id)
    await world.publish(bill)
    await world.settle()

    entry = await world.entry(bill)
    assert (entry["commission_paise"], entry["tds_paise"], entry["payout_paise"]) == (600, 6, 5393)
    assert entry["status"] == "TRANSFERRED"
    assert world.sandbox.balances()[account] == 5393
    [sent] = world.sandbox.requests("POST", "/v1/transfers")
    assert sent.idempotency_key == f"txn_{bill.transaction_id}"
    assert sent.body["amount"] == 5393
    assert sent.body["account"] == account

    # Two days later Razorpay settles it to the bank, and says so without a list of transfers.
    [settlement] = world.sandbox.settle(account)
    await world.settle()

    entry = await world.entry(bill)
    # 0.25 % of 53.93 is 13 paise, and 18 % GST of it in two halves of 1 paisa: what the sandbox took on top.
    transfer = next(iter(world.sandbox.state.transfers.values()))
    assert entry["status"] == "SETTLED"
    assert entry["transfer_fee_paise"] == transfer.fees == 15
    assert entry["settlement_id"] == settlement["id"]
    assert entry["utr"] == settlement["utr"]
    [created] = await world.said(LedgerEntryCreated)
    assert (created.gross_paise, created.payout_paise) == (10_000, 5393)
    changes = await world.said(LedgerEntryChanged)
    assert [change.status for change in changes] == ["TRANSFERRING", "TRANSFERRED", "SETTLED"]
    assert [change.subject_version for change in changes] == [1, 2, 3]
    assert (changes[-1].utr, changes[-1].transfer_fee_paise) == (settlement["utr"], 15)
    assert await world.dead() == 0
