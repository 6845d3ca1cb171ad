"""The books as settlement keeps them: over real events, once each, in any order, and unchangeable."""

import itertools
import json
from collections import Counter
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from chassis.web import Role
from contracts import Event
from contracts.payments import (
    FeeSource,
    PaymentBilled,
    PaymentFeeRecorded,
    PaymentReceived,
    PaymentRefundedInFull,
    RazorpayEventReceived,
    RefundChanged,
)
from contracts.settlement import AuditRecorded
from razorpay_simulator.outcomes import OutcomeRule
from settlement.domain.books import CHART
from settlement.usecases.check_books import check_books
from settlement.usecases.keep_books import book_own_settlement

from .conftest import SELDOM, Build, World


def story_of(world: World, bill: PaymentBilled, *, fee: int = 236, tax: int | None = 36) -> list[Event]:
    """What payments says of a billed session, in the order in which it happens."""
    number, at = bill.qr_payment_id, world.clock.now()
    story: list[Event] = [
        PaymentReceived(
            qr_payment_id=number,
            razorpay_payment_id=bill.razorpay_payment_id,
            qr_code_id=1,
            amount_paise=bill.paid_paise,
            platform_fee_paise=fee,
            platform_fee_tax_paise=tax,
            fee_source=FeeSource.WEBHOOK,
            received_at=at - timedelta(minutes=40),
        ),
        bill,
    ]
    for status, version in (("PENDING", 0), ("PROCESSING", 1), ("PROCESSED", 2)):
        story.append(
            RefundChanged(
                refund_id=number,
                qr_payment_id=number,
                razorpay_refund_id="rfnd_1",
                status=status,
                amount_paise=bill.refund_paise,
                subject_version=version,
                at=at + timedelta(seconds=version),
            )
        )
    return story


async def balances(world: World) -> dict[str, int]:
    """Debits less credits of every account that is not level."""
    rows = await world.rows("SELECT account, sum(debit_paise - credit_paise) AS paise FROM postings GROUP BY account")
    return {row["account"]: int(row["paise"]) for row in rows if row["paise"]}


async def keys(world: World) -> list[str]:
    return [row["key"] for row in await world.rows("SELECT key FROM journals ORDER BY id")]


async def test_a_session_is_in_the_books_from_scan_to_bank(world: World) -> None:
    franchisee_id = await world.franchisee()
    bill = world.bill(franchisee_id)
    for event in story_of(world, bill):
        await world.publish(event)
    await world.settle()
    world.sandbox.settle(await world.account_of(franchisee_id))
    await world.settle()
    entry = await world.entry(bill)
    assert entry["status"] == "SETTLED"
    # 100.00 paid: 59.99 energy, 10.80 GST, 2.36 fee, 26.85 back. 10 % commission 6.00, TDS 0.06, payout 53.93, a transfer fee.
    fee, tax = entry["transfer_fee_paise"], await world.admin.fetchval("SELECT tax_paise FROM transfers")
    assert fee > tax > 0
    assert await balances(world) == {
        "nodal": 10_000 - 236 - 2685 - 5393 - fee,
        "gst_input": 36 + tax,
        "gst_output": -1080,
        "tds_payable": -6,
        "platform_fee": -236,
        "commission": -600,
        "pg_fee": 200,
        "transfer_costs": fee - tax,
    }
    assert Counter(key.split("/")[0] for key in await keys(world)) == {"payment": 2, "refund": 1, "entry": 1, "transfer": 4}
    assert await world.dead() == 0


async def test_events_in_any_order_and_twice_give_the_same_books(world: World) -> None:
    franchisee_id = await world.franchisee()
    orders = [order for n, order in enumerate(itertools.permutations(range(5))) if n % 31 == 0]
    seen = []
    for order in orders:
        story = story_of(world, world.bill(franchisee_id))
        before = Counter(await balances(world))
        for index in (*order, *order[:2]):
            await world.publish(story[index])
        await world.settle()
        after = Counter(await balances(world))
        after.subtract(before)
        seen.append({account: paise for account, paise in after.items() if paise})
    assert len(orders) == 4
    assert all(books == seen[0] for books in seen), seen
    assert "rider_held" not in seen[0]
    assert await world.dead() == 0


async def test_a_payment_given_back_costs_us_its_fee_and_the_rider_nothing(world: World) -> None:
    at = world.clock.now()
    received = PaymentReceived(
        qr_payment_id=9,
        razorpay_payment_id="pay_9",
        qr_code_id=1,
        amount_paise=5000,
        platform_fee_paise=100,
        fee_source=FeeSource.ESTIMATE,
        received_at=at,
    )
    told = PaymentFeeRecorded(
        qr_payment_id=9,
        razorpay_payment_id="pay_9",
        fee_before_paise=100,
        tax_before_paise=None,
        platform_fee_paise=118,
        platform_fee_tax_paise=18,
        recorded_at=at,
    )
    returned = PaymentRefundedInFull(
        qr_payment_id=9,
        razorpay_payment_id="pay_9",
        amount_paise=5000,
        platform_fee_paise=118,
        platform_fee_tax_paise=18,
        reason="NO_ENERGY",
        decided_at=at,
    )
    # The last first: each journal stands on its own event's figures.
    for event in (returned, told, received):
        await world.publish(event)
    await world.settle()
    owed = {"nodal": 5000 - 118, "refund_payable": -5000, "unserved_fees": 100, "gst_input": 18}
    assert await balances(world) == owed
    # A refund that is on its way, or failed, has moved nothing.
    refund = RefundChanged(
        refund_id=3,
        qr_payment_id=9,
        razorpay_refund_id="rfnd_3",
        status="PROCESSING",
        amount_paise=5000,
        subject_version=1,
        at=at,
    )
    await world.publish(refund)
    await world.publish(refund.model_copy(update={"status": "FAILED"}))
    await world.settle()
    assert await balances(world) == owed


async def test_a_platform_owned_site_and_a_bill_without_owner_keep_their_revenue(world: World) -> None:
    await world.publish(world.bill(None))
    await world.publish(world.bill(77))
    await world.settle()
    assert (await balances(world))["energy_revenue"] == -2 * 5999
    franchisee_id = await world.franchisee()
    transaction = world.transactions
    path = f"/v1/ledger-entries/unowned-bills/txn_{transaction}/assign"
    await world.call("POST", path, json={"franchisee_id": f"frn_{franchisee_id}"})
    await world.settle()
    assert (await balances(world))["energy_revenue"] == -5999, "what was assigned is the franchisee's"


async def test_payouts_under_a_rupee_are_carried_and_go_along(world: World) -> None:
    franchisee_id = await world.franchisee()
    await world.publish(world.bill(franchisee_id, energy_wh=30, paid_paise=1000))
    await world.settle()
    carried = -(await balances(world))["franchisee_carried"]
    assert 0 < carried < 100
    await world.publish(world.bill(franchisee_id))
    await world.settle()
    now = await balances(world)
    assert "franchisee_carried" not in now
    assert "franchisee_payable" not in now
    assert -now["franchisee_in_transfer"] == now["linked_accounts"] == 5393 + carried


async def test_a_failed_transfer_is_taken_back_and_the_next_claims_anew(build: Build) -> None:
    world = await build(settings=SELDOM)
    world.sandbox.add_outcome(OutcomeRule(of="transfer", outcome="failed"))
    franchisee_id = await world.franchisee()
    await world.publish(world.bill(franchisee_id))
    await world.settle()
    now = await balances(world)
    assert (now["franchisee_payable"], now.get("franchisee_in_transfer")) == (-5393, None)
    await world.pass_time(2400)
    now = await balances(world)
    assert (now.get("franchisee_payable"), now["franchisee_in_transfer"], now["linked_accounts"]) == (None, -5393, 5393)
    assert [key for key in await keys(world) if "claimed" in key] == [
        "transfer/1/claimed",
        "transfer/1/claimed/reversed",
        "transfer/2/claimed",
    ]


def word_of(world: World, transfer: dict[str, Any], **changes: Any) -> RazorpayEventReceived:
    """Razorpay speaks of a transfer of ours."""
    entity = {"id": transfer["razorpay_transfer_id"], "amount": transfer["amount_paise"], "status": "processed", **changes}
    return RazorpayEventReceived(
        webhook_event_id=99,
        razorpay_event_id=f"word-{json.dumps(changes)}",
        event="transfer.processed",
        payload={"transfer": {"entity": entity}},
        created_at=world.clock.now(),
    )


async def test_a_transfer_that_went_through_after_all_is_a_debt_of_the_franchisee(build: Build) -> None:
    world = await build(settings=SELDOM)
    world.sandbox.add_outcome(OutcomeRule(of="transfer", outcome="failed"))
    await world.publish(world.bill(await world.franchisee()))
    await world.settle()
    await world.pass_time(2400)
    first = (await world.rows("SELECT * FROM transfers ORDER BY id"))[0]
    await world.publish(word_of(world, first, fees=10, tax=2))
    await world.publish(word_of(world, first, fees=10, tax=2, settlement_status="settled"))
    await world.settle()
    now = await balances(world)
    assert now["franchisee_payable"] == 5393, "paid twice: the franchisee owes it"
    assert (now["linked_accounts"], now["franchisee_in_transfer"]) == (5393, -5393), (
        "the second one is on its way, the first in the bank"
    )
    shown = await world.call("GET", f"/v1/transfers/xfr_{first['id']}")
    assert (shown["status"], shown["paid_twice_status"]) == ("FAILED", "SETTLED")


async def test_a_transfers_fee_that_is_told_anew_reverses_the_first(world: World) -> None:
    await world.publish(world.bill(await world.franchisee()))
    await world.settle()
    transfer = (await world.rows("SELECT * FROM transfers"))[0]
    told = transfer["fee_paise"]
    await world.publish(word_of(world, transfer, fees=told + 50, tax=9))
    await world.settle()
    assert (await balances(world))["transfer_costs"] == told + 50 - 9
    await world.publish(word_of(world, transfer, fees=told + 50, tax=9, notes=[]))
    await world.settle()
    assert [key for key in await keys(world) if "charged" in key] == [
        "transfer/1/charged",
        "transfer/1/charged/reversed",
        "transfer/1/charged#2",
    ]


async def test_our_own_settlement_goes_to_our_own_bank(world: World) -> None:
    await world.publish(world.bill(await world.franchisee()))
    await world.settle()
    own = world.sandbox.settle_own()
    assert own is not None
    await world.settle()
    assert (await balances(world))["own_bank"] == own["amount"]


async def test_a_settlement_that_was_taken_for_ours_is_taken_back(world: World) -> None:
    app, at = world.service.app, world.clock.now()
    for own, paise in ((True, 500), (True, 500), (False, None), (False, None), (True, 500)):
        async with app.database.transaction() as uow:
            await book_own_settlement(app, uow, razorpay_settlement_id="setl_1", amount_paise=500, processed_at=at, own=own)
        assert (await balances(world)).get("own_bank") == paise
    assert len(await keys(world)) == 3


async def test_other_figures_under_a_booked_key_change_nothing_and_are_counted(world: World) -> None:
    bill = world.bill(None)
    await world.publish(bill)
    await world.settle()
    before = await balances(world)
    await world.publish(bill.model_copy(update={"gst_paise": bill.gst_paise + 5, "refund_paise": bill.refund_paise - 5}))
    await world.settle()
    assert await balances(world) == before
    assert world.service.app.metrics.books_conflict._value.get() == 1


async def test_the_chart_in_the_database_is_the_rules_own(database: tuple[str, str]) -> None:
    admin = await asyncpg.connect(database[0])
    rows = await admin.fetch("SELECT code, name, kind, normal_side, holds FROM settlement.accounts")
    await admin.close()
    chart = {(account.code, account.name, account.kind.value, account.normal_side.value, account.holds) for account in CHART}
    assert {tuple(row) for row in rows} == chart


INSERT = """INSERT INTO settlement.journals (key, kind, subject, facts, lines, total_paise, occurred_at, posted_at)
            VALUES ($1, 'own_settled', 'setl_x', '{}', 2, 5, now(), now()) RETURNING id, occurred_at"""
LINE = "INSERT INTO settlement.postings VALUES ($1, $2, $3, $4, $5, $6)"


@pytest.mark.parametrize(
    "lines",
    [
        [("nodal", 5, 0), ("own_bank", 0, 4)],
        [("nodal", 5, 0)],
        [("nodal", 4, 0), ("own_bank", 0, 4)],
        [],
    ],
    ids=["unbalanced", "one line", "another total", "none"],
)
async def test_the_database_takes_no_journal_that_does_not_add_up(
    database: tuple[str, str], lines: list[tuple[str, int, int]]
) -> None:
    service = await asyncpg.connect(database[1])
    try:
        made = service.transaction()
        await made.start()
        journal = await service.fetchrow(INSERT, "bad")
        for number, (account, debit, credit) in enumerate(lines, 1):
            await service.execute(LINE, journal["id"], number, account, journal["occurred_at"], debit, credit)
        with pytest.raises(asyncpg.CheckViolationError, match="does not add up"):
            await made.commit()
        assert await service.fetchval("SELECT count(*) FROM settlement.journals WHERE key = 'bad'") == 0
    finally:
        await service.close()


async def test_the_service_itself_can_change_nothing_in_the_books(world: World, database: tuple[str, str]) -> None:
    await world.publish(world.bill(None))
    await world.settle()
    service = await asyncpg.connect(database[1])
    try:
        for statement in (
            "UPDATE settlement.postings SET debit_paise = debit_paise + 1 WHERE debit_paise > 0",
            "DELETE FROM settlement.postings",
            "UPDATE settlement.journals SET key = key || 'x'",
            "DELETE FROM settlement.journals",
            "UPDATE settlement.accounts SET normal_side = 'DEBIT'",
        ):
            with pytest.raises(asyncpg.RestrictViolationError, match="never changed"):
                await service.execute(statement)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await service.execute("TRUNCATE settlement.postings")
        journal = await service.fetchrow("SELECT * FROM settlement.journals")
        # A line more on a journal that is booked.
        for number, refusal in (
            (99, asyncpg.CheckViolationError),
            (0, asyncpg.CheckViolationError),
            (1, asyncpg.UniqueViolationError),
        ):
            with pytest.raises(refusal):
                await service.execute(LINE, journal["id"], number, "nodal", journal["occurred_at"], 5, 0)
    finally:
        await service.close()


async def test_finance_reads_balances_journals_and_the_trial_balance(world: World) -> None:
    bill = world.bill(None)
    for event in story_of(world, bill):
        await world.publish(event)
    await world.settle()
    number, at = bill.qr_payment_id, world.clock.now()

    trial = await world.call("GET", "/v1/books/trial-balance", role=Role.FINANCE)
    assert (trial["balanced"], trial["journals"], trial["postings"]) == (True, 3, 5 + 5 + 2)
    assert trial["debit_paise"] == trial["credit_paise"] == 10_236 + 10_000 + 2685
    assert [account["code"] for account in trial["accounts"]] == [account.code for account in CHART]
    listed = (await world.call("GET", "/v1/books/accounts", role=Role.FINANCE))["items"]
    assert sorted(listed, key=lambda item: item["code"]) == sorted(trial["accounts"], key=lambda item: item["code"])
    of = {account["code"]: account["balance_paise"] for account in listed}
    assert (of["nodal"], of["energy_revenue"], of["gst_output"], of["rider_held"]) == (10_000 - 236 - 2685, 5999, 1080, 0)

    # Before the bill all of it was held for the rider.
    earlier = (at - timedelta(minutes=1)).isoformat().replace("+", "%2B")
    then = await world.call("GET", f"/v1/books/trial-balance?at={earlier}", role=Role.FINANCE)
    assert {account["code"]: account["balance_paise"] for account in then["accounts"]}["rider_held"] == 10_000
    assert then["journals"] == 1

    first = await world.call("GET", f"/v1/books/journals?subject=qrp_{number}&limit=2", role=Role.FINANCE)
    rest = await world.call(
        "GET", f"/v1/books/journals?subject=qrp_{number}&limit=2&cursor={first['next_cursor']}", role=Role.FINANCE
    )
    assert [item["kind"] for item in (*first["items"], *rest["items"])] == [
        "refund_processed",
        "payment_billed",
        "payment_captured",
    ]
    assert rest["next_cursor"] is None
    shown = await world.call("GET", f"/v1/books/journals/{rest['items'][0]['id']}", role=Role.FINANCE)
    assert shown == rest["items"][0]
    assert shown["postings"][0] == {"account": "nodal", "debit_paise": 10_000, "credit_paise": 0}

    for filters, kinds in (
        ("account=refund_payable", ["refund_processed", "payment_billed"]),
        (f"to={earlier}", ["payment_captured"]),
        (f"from={earlier}&account=nodal", ["refund_processed"]),
        (f"key=payment/{number}/billed", ["payment_billed"]),
    ):
        found = await world.call("GET", f"/v1/books/journals?{filters}", role=Role.FINANCE)
        assert [item["kind"] for item in found["items"]] == kinds, filters
    problem = await world.call("GET", "/v1/books/journals?account=pocket", role=Role.FINANCE, status=422)
    assert "pocket is no account" in json.dumps(problem)
    await world.call("GET", "/v1/books/journals/jnl_999", role=Role.FINANCE, status=404)
    for role in (Role.OPERATOR, Role.FRANCHISEE, Role.RIDER):
        await world.call("GET", "/v1/books/accounts", role=role, status=403)


async def test_finance_enters_what_razorpays_statement_shows(world: World) -> None:
    bill = world.bill(None)
    story = story_of(world, bill)
    number = bill.qr_payment_id
    fee = {"payment_id": f"qrp_{number}", "fee_paise": 295, "tax_paise": 45, "statement": "recon of 30 November, row 12"}
    charge = {"refund_id": f"rfd_{number}", "fee_paise": 590, "tax_paise": 90, "statement": "invoice 7"}
    for path, body in (("fee-corrections", fee), ("refund-charges", charge)):
        await world.call("POST", f"/v1/books/{path}", role=Role.FINANCE, json=body, status=404)
        await world.call("POST", f"/v1/books/{path}", role=Role.OPERATOR, json=body, status=403)
    await world.publish(story[0])
    await world.settle()
    await world.call("POST", "/v1/books/fee-corrections", role=Role.FINANCE, json=fee, status=409)
    for event in story[1:]:
        await world.publish(event)
    await world.settle()
    before = Counter(await balances(world))

    booked = await world.call("POST", "/v1/books/fee-corrections", role=Role.FINANCE, json=fee)
    assert (booked["key"], booked["reverses"]) == (f"payment/{number}/fee_corrected/1", None)
    await world.call("POST", "/v1/books/fee-corrections", role=Role.FINANCE, json=fee, status=409)
    # The statement was misread: it is 2.47 with 0.38.
    await world.call("POST", "/v1/books/fee-corrections", role=Role.FINANCE, json={**fee, "fee_paise": 247, "tax_paise": 38})
    await world.call("POST", "/v1/books/refund-charges", role=Role.FINANCE, json=charge)
    await world.call("POST", "/v1/books/refund-charges", role=Role.FINANCE, json={**charge, "fee_paise": 118, "tax_paise": 18})
    after = Counter(await balances(world))
    after.subtract(before)
    # 2.47 - 2.36 = 0.11, of which 0.38 - 0.36 = 0.02 is GST; and 1.00 + 0.18 for the refund.
    assert {code: paise for code, paise in after.items() if paise} == {
        "fee_corrections": 9,
        "refund_costs": 100,
        "gst_input": 2 + 18,
        "nodal": -(11 + 118),
    }
    assert (await world.said(AuditRecorded))[0].after == {"fee_paise": 295, "statement": fee["statement"]}
    await check_books(world.service.app)
    assert world.service.app.metrics.books_differences._value.get() == 0


SEEDS = {
    "a changed posting": "UPDATE postings SET debit_paise = debit_paise + 1 WHERE account = 'rider_held' AND debit_paise > 0",
    "a posting too many": "INSERT INTO postings SELECT journal_id, 99, account, occurred_at, 5, 0 FROM postings LIMIT 1",
    "a missing split": "DELETE FROM journals WHERE kind = 'entry_booked'",
    "a missing settlement": "DELETE FROM journals WHERE kind = 'transfer_settled'",
    "another charge": "UPDATE transfers SET fee_paise = fee_paise + 1",
    "another commission": "UPDATE ledger_entries SET commission_paise = commission_paise + 1, payout_paise = payout_paise - 1",
    "a transfer of more": "UPDATE transfers SET amount_paise = amount_paise + 1",
    "a transfer taken back": "UPDATE transfers SET status = 'FAILED'",
    "other facts": """UPDATE journals SET facts = jsonb_set(facts, '{commission_paise}', '1') WHERE kind = 'entry_booked'""",
}


async def test_the_nightly_check_agrees_and_counts_what_was_tampered_with(world: World) -> None:
    franchisee_id = await world.franchisee()
    bill = world.bill(franchisee_id)
    for event in story_of(world, bill):
        await world.publish(event)
    await world.settle()
    world.sandbox.settle(await world.account_of(franchisee_id))
    await world.settle()

    async def differences() -> float:
        await check_books(world.service.app)
        return float(world.service.app.metrics.books_differences._value.get())

    assert await differences() == 0
    kept = {table: await world.admin.fetch(f"TABLE {table}") for table in ("journals", "postings", "ledger_entries", "transfers")}
    await world.admin.execute("SET session_replication_role = replica")
    for name, statement in SEEDS.items():
        assert not (await world.admin.execute(statement)).endswith(" 0"), name
        assert await differences() > 0, name
        for table, rows in kept.items():
            await world.admin.execute(f"DELETE FROM {table}")  # noqa: S608  (our own names)
            await world.admin.copy_records_to_table(table, schema_name="settlement", records=[tuple(row) for row in rows])
        assert await differences() == 0, name
    # A second refund of what is no longer owed: to be judged once it has rested.
    again = story_of(world, bill)[-1].model_copy(update={"refund_id": 999})
    await world.publish(again)
    await world.settle()
    assert await differences() == 0
    world.clock.jump(3700)
    await world.settle()
    assert await differences() == 1
