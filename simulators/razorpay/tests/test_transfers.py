"""Direct transfers, reversals, settlements."""

from pathlib import Path
from typing import Any

import pytest

from razorpay_simulator import OutcomeRule, QrPayment, RazorpaySimulator
from razorpay_simulator.settings import DAY
from testkit.clock import SteppingClock

TRANSFERS = "/v1/transfers"


def order(account: str, amount: Any = 30_000, **more: Any) -> Any:
    return {"account": account, "amount": amount, "currency": "INR", **more}


async def test_a_transfer_is_processed_and_its_fee_comes_on_top(
    api: Any, sandbox: RazorpaySimulator, activated: Any, receiver: Any
) -> None:
    account = await activated()
    status, transfer = await api("POST", TRANSFERS, order(account, 90_000, notes={"ledger": "17"}))
    assert status == 200
    assert (transfer["fees"], transfer["tax"], transfer["settlement_status"]) == (265, 40, "pending")
    assert transfer["error"] == dict.fromkeys(("code", "description", "reason", "field", "step", "source", "metadata")) | {
        "id": transfer["id"]
    }
    assert sandbox.balances() == {sandbox.settings.account_id: 100_000_00 - 90_265, account: 90_000}
    await sandbox.wait_idle()
    (post,) = receiver.of("transfer.processed")
    assert post.json["payload"]["transfer"]["entity"] == transfer
    assert post.json["account_id"] == sandbox.settings.account_id


@pytest.mark.parametrize(
    ("change", "description"),
    [
        ({"amount": 99}, "The amount must be at least INR 1.00"),
        ({"amount": None}, "The amount field is required."),
        ({"currency": "USD"}, "The currency should be INR for transfers"),
        ({"account": "acc_1"}, "acc_1 is not a valid id"),
        ({"account": "acc_AAAAAAAAAAAAAA"}, "The id provided does not exist"),
        ({"account": None}, "The account field is required."),
        ({"account_code": "nobody"}, "input is an invalid account_code."),
        ({"linked_account_notes": ["a"]}, "Keys sent in linked_account_notes must exist in notes"),
        ({"on_hold_until": 5}, "on_hold_until must be between 946684800 and 4765046400"),
        ({"amount": 100_000_00}, "Transfer cannot be made due to insufficient balance"),
        ({"to": "me"}, "to is/are not required and should not be sent"),
    ],
)
async def test_refusals(api: Any, sandbox: RazorpaySimulator, activated: Any, change: Any, description: str) -> None:
    account = await activated()
    before = sandbox.balances()
    status, answer = await api("POST", TRANSFERS, order(account) | change)
    assert (status, answer["error"]["description"]) == (400, description)
    assert sandbox.balances() == before


async def test_the_account_code_stands_for_the_account(api: Any, activated: Any) -> None:
    account = await activated()
    _, transfer = await api("POST", TRANSFERS, {"account_code": "franchisee_7", "amount": 500, "currency": "INR"})
    assert transfer["recipient"] == account


@pytest.mark.parametrize("state", ["under_review", "needs_clarification", "rejected", "funds_hold", "suspended"])
async def test_a_gated_account_receives_nothing(api: Any, activated: Any, state: str) -> None:
    account = await activated()
    await api("POST", f"/_sandbox/accounts/{account}/kyc", {"state": state})
    status, answer = await api("POST", TRANSFERS, order(account))
    assert (status, answer["error"]["description"]) == (400, "Linked account is not activated for transfers")


async def test_a_forced_failure_returns_the_money(api: Any, sandbox: RazorpaySimulator, activated: Any, receiver: Any) -> None:
    account = await activated()
    sandbox.add_outcome(OutcomeRule(of="transfer", outcome="failed"))
    _, transfer = await api("POST", TRANSFERS, order(account))
    await sandbox.wait_idle()
    assert (transfer["status"], transfer["processed_at"]) == ("failed", None)
    assert transfer["error"]["code"] == "BAD_REQUEST_TRANSFER_INSUFFICIENT_BALANCE"
    assert len(receiver.of("transfer.failed")) == 1
    assert sandbox.balances()[sandbox.settings.account_id] == 100_000_00


async def test_a_failure_may_be_spelt_as_one_page_of_the_docs_does(
    build: Any, connect: Any, account_body: Any, receiver: Any
) -> None:
    sandbox = await build(transfer_balance_check="async", transfer_failed_event="transfers.failed")
    api = connect(sandbox)
    _, account = await api("POST", "/v2/accounts", account_body)
    sandbox.move_kyc(account["id"], "activated")
    await api("POST", TRANSFERS, order(account["id"]))
    await sandbox.wait_idle()
    assert len(receiver.of("transfers.failed")) == 1


async def test_an_uncovered_transfer_may_fail_later(
    build: Any, connect: Any, clock: SteppingClock, account_body: Any, receiver: Any
) -> None:
    sandbox = await build(transfer_seconds=30, transfer_balance_check="async", opening_balance=1_000)
    api = connect(sandbox)
    _, account = await api("POST", "/v2/accounts", account_body)
    await api("POST", f"/_sandbox/accounts/{account['id']}/kyc", {"state": "activated"})
    _, uncovered = await api("POST", TRANSFERS, order(account["id"], 5_000))
    _, covered = await api("POST", TRANSFERS, order(account["id"], 500))
    assert (uncovered["status"], covered["status"], sandbox.balances()[sandbox.settings.account_id]) == (
        "pending",
        "pending",
        1_000,
    )
    await clock.advance(30)
    assert [post.json["payload"]["transfer"]["entity"]["id"] for post in receiver.of("transfer.failed")] == [uncovered["id"]]
    assert [post.json["payload"]["transfer"]["entity"]["id"] for post in receiver.of("transfer.processed")] == [covered["id"]]
    assert sandbox.balances() == {sandbox.settings.account_id: 1_000 - 501, account["id"]: 500}


async def test_transfers_settle_after_two_days(
    api: Any, sandbox: RazorpaySimulator, activated: Any, receiver: Any, clock: SteppingClock
) -> None:
    account = await activated()
    _, early = await api("POST", TRANSFERS, order(account, 1_000))
    await clock.advance(DAY)
    _, late = await api("POST", TRANSFERS, order(account, 2_000))
    await clock.advance(DAY)
    (post,) = receiver.of("settlement.processed")
    settlement = post.json["payload"]["settlement"]["entity"]
    assert (settlement["amount"], post.json["account_id"]) == (1_000, account)
    assert "transfers" not in settlement
    _, found = await api("GET", f"{TRANSFERS}?recipient_settlement_id={settlement['id']}")
    assert [item["id"] for item in found["items"]] == [early["id"]]
    await clock.advance(DAY)
    assert len(receiver.of("settlement.processed")) == 2
    assert (await api("GET", f"{TRANSFERS}/{late['id']}"))[1]["settlement_status"] == "settled"
    assert sandbox.balances()[account] == 0
    headers = {"X-Razorpay-Account": account}
    assert (await api("GET", "/v1/settlements", headers=headers))[1]["count"] == 2
    assert (await api("GET", "/v1/settlements"))[1]["count"] == 0, "the parent's own are another matter"


async def test_the_settlement_may_list_its_transfers(build: Any, connect: Any, account_body: Any, receiver: Any) -> None:
    sandbox = await build(settlement_with_transfers=True, settlement_event_account="parent", opening_balance=100_000)
    api = connect(sandbox)
    _, account = await api("POST", "/v2/accounts", account_body)
    await api("POST", f"/_sandbox/accounts/{account['id']}/kyc", {"state": "activated"})
    _, transfer = await api("POST", TRANSFERS, order(account["id"]))
    _, answer = await api("POST", "/_sandbox/settle", {"account": account["id"]})
    assert answer["settlements"][0]["amount"] == 30_000
    await sandbox.wait_idle()
    (post,) = receiver.of("settlement.processed")
    assert post.json["account_id"] == sandbox.settings.account_id
    assert [item["id"] for item in post.json["payload"]["settlement"]["entity"]["transfers"]] == [transfer["id"]]
    assert (await api("POST", "/_sandbox/settle", {}))[1] == {"settlements": []}, "nothing is settled twice"


async def test_what_is_on_hold_settles_when_released(
    api: Any, sandbox: RazorpaySimulator, activated: Any, clock: SteppingClock
) -> None:
    account = await activated()
    until = int(clock.now().timestamp() + 5 * DAY)
    _, held = await api("POST", TRANSFERS, order(account, 1_000, on_hold=True))
    _, timed = await api("POST", TRANSFERS, order(account, 2_000, on_hold=True, on_hold_until=until))
    assert held["settlement_status"] == "on_hold"
    await clock.advance(3 * DAY)
    assert sandbox.settle(account) == []
    _, released = await api("PATCH", f"{TRANSFERS}/{held['id']}", {"on_hold": False})
    assert released["settlement_status"] == "pending"
    await clock.advance(1)
    assert (await api("GET", f"{TRANSFERS}/{held['id']}"))[1]["settlement_status"] == "settled"
    await clock.advance(2 * DAY)
    assert (await api("GET", f"{TRANSFERS}/{timed['id']}"))[1]["settlement_status"] == "settled"


async def test_a_reversal_needs_the_linked_accounts_balance(api: Any, sandbox: RazorpaySimulator, activated: Any) -> None:
    account = await activated()
    _, transfer = await api("POST", TRANSFERS, order(account))
    sandbox.settle(account)
    status, answer = await api("POST", f"{TRANSFERS}/{transfer['id']}/reversals", {})
    assert status == 400
    assert answer["error"]["description"] == "The linked account does not have sufficient balance to process reversal."


async def test_a_charged_fee_first_shows_in_recon(api: Any, sandbox: RazorpaySimulator, paid: Any, clock: SteppingClock) -> None:
    payment = await paid(20_000, recon_fee=600)
    assert payment["fee"] == 472
    sandbox.settle_own()
    now = clock.now()
    _, recon = await api("GET", f"/v1/settlements/recon/combined?year={now.year}&month={now.month}&day={now.day}")
    row = next(row for row in recon["items"] if row["entity_id"] == payment["id"])
    assert (row["type"], row["fee"], row["credit"], row["settled"]) == ("payment", 600, 19_400, True)
    for query, text in [
        ("year=26&month=1", "The year must be 4 digits."),
        ("year=2026&month=13", "The month is not a valid month."),
        ("year=2026&month=1&count=0", "The count must be at least 1."),
    ]:
        assert (await api("GET", f"/v1/settlements/recon/combined?{query}"))[1]["error"]["description"] == text


async def test_recon_shows_what_a_speedy_refund_cost_and_what_razorpay_took_by_hand(
    build: Any, connect: Any, qr_body: Any, clock: SteppingClock
) -> None:
    sandbox = await build(instant_refund_fee=590)
    api = connect(sandbox)
    _, qr = await api("POST", "/v1/payments/qr_codes", qr_body)
    payment = (await api("POST", f"/_sandbox/qr/{qr['id']}/pay", {"amount": 20_000}))[1]["payment"]
    _, refund = await api("POST", f"/v1/payments/{payment['id']}/refund", {"amount": 500, "speed": "optimum"})
    lost = {"amount": -700, "payment": payment["id"], "dispute": True, "description": "Chargeback"}
    _, taken = await api("POST", "/_sandbox/adjustments", lost)
    assert (await api("POST", "/_sandbox/adjustments", {"amount": 1, "payment": "pay_none"}))[0] == 400
    own = sandbox.settle_own()
    assert own is not None
    now = clock.now()
    _, recon = await api("GET", f"/v1/settlements/recon/combined?year={now.year}&month={now.month}&day={now.day}")
    rows = {row["entity_id"]: row for row in recon["items"]}
    charged = rows[refund["id"]]
    assert (charged["amount"], charged["fee"], charged["tax"], charged["debit"]) == (500, 590, 90, 1090)
    by_hand = rows[taken["adjustment"]]
    assert (by_hand["type"], by_hand["debit"], by_hand["dispute_id"]) == ("adjustment", 700, taken["dispute"])
    assert (by_hand["payment_id"], by_hand["description"]) == (payment["id"], "Chargeback")
    assert "credit_type" not in by_hand
    assert sum(row["credit"] - row["debit"] for row in recon["items"]) == own["amount"]


@pytest.mark.parametrize(
    ("setting", "payment_notes", "refund_notes", "transfer_notes"),
    [
        ("mixed", '{"charger": "CHG-0042"}', {"a": "b"}, None),
        ("text", '{"charger": "CHG-0042"}', '{"a": "b"}', "{}"),
        ("object", {"charger": "CHG-0042"}, {"a": "b"}, []),
        ("null", None, None, None),
    ],
)
async def test_recon_shows_notes_in_every_shape_and_comes_in_pages(
    api: Any,
    sandbox: RazorpaySimulator,
    paid: Any,
    activated: Any,
    clock: SteppingClock,
    setting: Any,
    payment_notes: Any,
    refund_notes: Any,
    transfer_notes: Any,
) -> None:
    sandbox.settings.recon_notes = setting
    account, payment = await activated(), await paid(20_000)
    await api("POST", f"/v1/payments/{payment['id']}/refund", {"amount": 500, "notes": {"a": "b"}})
    await api("POST", TRANSFERS, order(account, 500))
    own = sandbox.settle_own()
    assert own is not None
    now = clock.now()
    path = f"/v1/settlements/recon/combined?year={now.year}&month={now.month}"
    _, recon = await api("GET", path)
    by_type = {row["type"]: row for row in recon["items"]}
    assert by_type["payment"]["notes"] == payment_notes
    assert by_type["refund"]["notes"] == refund_notes
    assert by_type["transfer"]["notes"] == transfer_notes
    assert "credit_type" not in by_type["adjustment"]
    assert sum(row["credit"] - row["debit"] for row in recon["items"]) == own["amount"], "it adds up to what was paid out"
    assert {row["settlement_id"] for row in recon["items"]} == {own["id"]}
    paged = [row for skip in range(4) for row in (await api("GET", f"{path}&count=1&skip={skip}"))[1]["items"]]
    assert paged == recon["items"]


async def test_the_own_settlement_may_come_by_itself(build: Any, connect: Any, clock: SteppingClock, qr_body: Any) -> None:
    sandbox = await build(own_settlement_seconds=2 * DAY)
    api = connect(sandbox)
    _, qr = await api("POST", "/v1/payments/qr_codes", qr_body)

    async def pay(amount: int) -> Any:
        return (await api("POST", f"/_sandbox/qr/{qr['id']}/pay", {"amount": amount, "fee": 0}))[1]["payment"]

    first = await pay(20_000)
    await clock.advance(DAY)
    await pay(5_000)
    await api("POST", f"/v1/payments/{first['id']}/refund", {"amount": 3_000})
    await clock.advance(DAY)
    _, settled = await api("GET", "/v1/settlements")
    assert [item["amount"] for item in settled["items"]] == [17_000], "the old payment less the refund; the new one is not due"
    assert sandbox.balances()[sandbox.settings.account_id] == 5_000
    await clock.advance(DAY)
    assert [s.amount for s in sandbox.state.settlements.values()] == [17_000, 5_000]


async def test_an_own_settlement_that_fell_due_meanwhile_comes_after_the_restart(
    build: Any, connect: Any, clock: SteppingClock, qr_body: Any, tmp_path: Path
) -> None:
    file = tmp_path / "razorpay.json"
    first = await build(own_settlement_seconds=2 * DAY, state_file=file)
    _, qr = await connect(first)("POST", "/v1/payments/qr_codes", qr_body)
    first.pay(qr["id"], QrPayment(amount=20_000, fee=0))
    await first.stop()
    await clock.advance(3 * DAY)
    second = await build(own_settlement_seconds=2 * DAY, state_file=file)
    await clock.advance(1)
    assert [settlement.amount for settlement in second.state.settlements.values()] == [20_000]
    assert second.balances()[second.settings.account_id] == 0
