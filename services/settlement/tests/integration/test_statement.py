"""Razorpay's statement is read, matched, booked and listed, over the sandbox's own."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import aiohttp
import asyncpg
import pytest

from chassis.web import Role
from contracts import Event
from contracts.payments import FeeSource, PaymentBilled, PaymentReceived, PaymentRefundedInFull, RefundChanged
from contracts.settlement import AuditRecorded
from contracts.wallets import RechargeFeeRecorded
from razorpay_simulator import Adjustment, FaultRule, QrPayment
from settlement.domain.statement import day_of
from settlement.usecases import judge_statement, read_statement
from settlement.usecases.check_books import check_books
from settlement.usecases.read_statement import schedule_reading

from .conftest import SELDOM, Build, World
from .test_books import balances
from .test_wallets import recharged

QR = {"type": "upi_qr", "usage": "multiple_use"}
OURS = {"voltlync_environment": "development"}
NO_MONEY = {"sandbox": {"opening_balance": 0, "instant_refund_fee": 590, "reserve_balance": 1_000_000}, "settings": SELDOM}
"""No opening balance: it would be an adjustment in the statement."""


async def ask(world: World, method: str, path: str, body: Any = None) -> Any:
    """Razorpay's API by our key, as payments uses it."""
    settings = world.sandbox.settings
    by_key = {"Authorization": aiohttp.encode_basic_auth(settings.key_id, settings.key_secret)}
    async with world.http.request(method, world.sandbox.base_url + path, json=body, headers=by_key) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def paid(world: World, amount: int = 10_000, *, notes: Any = OURS, **more: Any) -> dict[str, Any]:
    """A rider pays at Razorpay."""
    qr = await ask(world, "POST", "/v1/payments/qr_codes", {**QR, "notes": notes})
    payment: dict[str, Any] = world.sandbox.pay(qr["id"], QrPayment(amount=amount, **more))["payment"]
    return payment


def received(world: World, bill: PaymentBilled, *, fee: int | None = 236, tax: int | None = 36) -> PaymentReceived:
    return PaymentReceived(
        qr_payment_id=bill.qr_payment_id,
        razorpay_payment_id=bill.razorpay_payment_id,
        qr_code_id=1,
        amount_paise=bill.paid_paise,
        platform_fee_paise=fee,
        platform_fee_tax_paise=tax,
        fee_source=FeeSource.WEBHOOK,
        received_at=world.clock.now(),
    )


def bill_of(world: World, franchisee_id: int | None, payment: dict[str, Any]) -> PaymentBilled:
    bill = world.bill(franchisee_id, paid_paise=payment["amount"])
    return bill.model_copy(update={"razorpay_payment_id": payment["id"]})


def refund_of(world: World, bill: PaymentBilled, refund: dict[str, Any]) -> RefundChanged:
    return RefundChanged(
        refund_id=bill.qr_payment_id,
        qr_payment_id=bill.qr_payment_id,
        razorpay_refund_id=refund["id"],
        status="PROCESSED",
        amount_paise=refund["amount"],
        subject_version=2,
        at=world.clock.now(),
    )


async def tell(world: World, *events: Event) -> None:
    for event in events:
        await world.publish(event)
    await world.settle()


async def read(world: World, *, days: int = 1, status: int = 201) -> Any:
    """Finance has the last days read."""
    await world.pass_time(1)
    today = day_of(world.clock.now())
    body = {"from": str(today - timedelta(days=days - 1)), "to": str(today)}
    made = await world.call("POST", "/v1/reconciliations", role=Role.FINANCE, json=body, status=status)
    await world.settle()
    return made if status != 201 else await world.call("GET", f"/v1/reconciliations/{made['id']}", role=Role.FINANCE)


async def listed(world: World, query: str = "") -> list[dict[str, Any]]:
    """Exceptions, oldest first."""
    return list((await world.call("GET", f"/v1/reconciliations/exceptions{query}", role=Role.FINANCE))["items"])[::-1]


def kinds(exceptions: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    return sorted((one["kind"], one["razorpay_id"]) for one in exceptions)


async def refunded(world: World, payment: dict[str, Any], amount: int, speed: str = "optimum") -> dict[str, Any]:
    made = await ask(world, "POST", f"/v1/payments/{payment['id']}/refund", {"amount": amount, "speed": speed})
    await world.pass_time(5)
    return dict(made)


async def test_a_session_agrees_with_the_statement_and_its_fees_are_put_right(build: Build) -> None:
    world = await build(**NO_MONEY)
    franchisee_id = await world.franchisee()
    payment = await paid(world, recon_fee=295)
    bill = bill_of(world, franchisee_id, payment)
    await tell(world, received(world, bill), bill)
    refund = await refunded(world, payment, bill.refund_paise)
    await tell(world, refund_of(world, bill, refund))
    own = world.sandbox.settle_own()
    assert own is not None
    await world.settle()
    before = await balances(world)
    done = await read(world)
    assert (done["status"], done["rows_read"], done["rows_new"], done["rows_changed"]) == ("DONE", 3, 3, 0)
    after = await balances(world)
    # The fee was 2.36 with 0.36 GST, the statement says 2.95 with 0.45; the speedy refund cost 5.90 with 0.90.
    assert {
        code: after.get(code, 0) - before.get(code, 0) for code in {*before, *after} if after.get(code) != before.get(code)
    } == {
        "fee_corrections": 50,
        "refund_costs": 500,
        "gst_input": 9 + 90,
        "nodal": -(59 + 590),
    }
    assert "nodal" not in after, "everything that Razorpay had of ours went to our bank"
    assert await listed(world) == []
    (told,) = await listed(world, "?resolved=true")
    number = bill.qr_payment_id
    assert (told["kind"], told["subject"], told["ours_paise"], told["theirs_paise"]) == (
        "FEE_DIFFERS",
        f"qrp_{number}",
        -236,
        -295,
    )
    assert told["reason"] == f"Booked as payment/{number}/fee_corrected/1."
    # Read again, and every event told again: nothing moves.
    again = await read(world)
    assert (again["rows_read"], again["rows_new"], again["rows_changed"]) == (3, 0, 0)
    await tell(world, received(world, bill), bill, refund_of(world, bill, refund))
    assert await balances(world) == after
    assert len(await listed(world, "?resolved=true")) == 1
    rows = (await world.call("GET", "/v1/reconciliations/rows", role=Role.FINANCE))["items"]
    transfer = (await world.rows("SELECT * FROM transfers"))[0]
    assert {row["razorpay_id"]: (row["state"], row["subject"]) for row in rows} == {
        payment["id"]: ("MATCHED", f"qrp_{number}"),
        refund["id"]: ("MATCHED", f"rfd_{number}"),
        transfer["razorpay_transfer_id"]: ("MATCHED", f"xfr_{transfer['id']}"),
    }
    await check_books(world.service.app)
    assert world.service.app.metrics.books_differences._value.get() == 0
    assert await world.dead() == 0


@pytest.mark.parametrize("told", [(236, 36), None], ids=["fee told", "fee told after the statement"])
async def test_a_recharges_fee_is_the_statements_and_stays_our_expense(build: Build, told: tuple[int, int] | None) -> None:
    world = await build(**NO_MONEY)
    payment = await paid(world, amount=50_000, recon_fee=295)
    recharge = recharged(world, amount=50_000).model_copy(
        update={
            "razorpay_payment_id": payment["id"],
            "fee_paise": told[0] if told else None,
            "fee_tax_paise": told[1] if told else None,
        }
    )
    late = RechargeFeeRecorded(
        recharge_payment_id=1,
        razorpay_payment_id=payment["id"],
        fee_paise=236,
        fee_tax_paise=36,
        recorded_at=world.clock.now(),
    )
    world.sandbox.settle_own()
    await world.settle()
    await read(world)
    assert kinds(await listed(world)) == [("UNKNOWN_HERE", payment["id"])]
    await tell(world, recharge)
    if told is None:
        assert (await balances(world))["recharge_fees"] == 250, "the statement's, before anybody else tells it"
        await tell(world, late)
    # 2.95 with 0.45 GST was taken out of the balance, and all of what came in is the rider's.
    expected = {"recharge_fees": 250, "gst_input": 45, "own_bank": 50_000 - 295, "wallet_liability": -50_000}
    assert await balances(world) == expected
    # Read again, and everything told again: nothing moves.
    await read(world)
    await tell(world, recharge, *([] if told else [late]))
    assert await balances(world) == expected
    assert await listed(world) == []
    words = {one["kind"]: one["reason"] for one in await listed(world, "?resolved=true")}
    assert words["FEE_DIFFERS"] == f"Booked as recharge_payment/1/fee_corrected/{1 if told else 2}."
    await check_books(world.service.app)
    assert world.service.app.metrics.books_differences._value.get() == 0
    assert await world.dead() == 0


async def test_rows_before_their_events_wait_and_are_explained(build: Build) -> None:
    world = await build(**NO_MONEY)
    payment = await paid(world, recon_fee=295)
    bill = bill_of(world, None, payment)
    refund = await refunded(world, payment, bill.refund_paise)
    world.sandbox.settle_own()
    await world.settle()
    await read(world)
    assert kinds(await listed(world)) == sorted([("UNKNOWN_HERE", payment["id"]), ("UNKNOWN_HERE", refund["id"])])
    assert "Its notes say that it is ours." in (await listed(world))[0]["words"]
    await tell(world, refund_of(world, bill, refund))
    assert kinds(await listed(world)) == [("UNKNOWN_HERE", payment["id"])]
    await tell(world, bill)
    assert await listed(world) == []
    assert "fee_corrections" not in await balances(world), "its capture is not in the books yet"
    await tell(world, received(world, bill))
    now = await balances(world)
    assert (now["fee_corrections"], now["pg_fee"], now.get("nodal")) == (50, 200, None)
    assert {one["resolved_by"] for one in await listed(world, "?resolved=true")} == {"settlement"}


async def test_what_people_must_see_is_listed_until_it_is_explained_or_resolved(build: Build) -> None:
    world = await build(**NO_MONEY)
    payment = await paid(world)
    bill = bill_of(world, None, payment)
    await tell(world, received(world, bill), bill)
    stranger, other = await paid(world, 700, notes={"voltlync_environment": "staging"}), await paid(world, 900, notes={})
    by_hand = await refunded(world, payment, 100, speed="normal")
    lost = world.sandbox.adjust(Adjustment(amount=-300, payment=payment["id"], dispute=True, description="Chargeback"))
    given = world.sandbox.adjust(Adjustment(amount=50, description="Goodwill"))
    own = world.sandbox.settle_own()
    assert own is not None
    await world.settle()
    await read(world)
    open_ = await listed(world)
    assert kinds(open_) == sorted(
        [
            ("UNKNOWN_HERE", other["id"]),
            ("UNKNOWN_HERE", by_hand["id"]),
            ("DISPUTE", lost["adjustment"]),
            ("ADJUSTMENT", given["adjustment"]),
            ("SETTLEMENT_MIXED", own["id"]),
        ]
    )
    by_id = {one["razorpay_id"]: one for one in open_}
    assert by_id[by_hand["id"]]["subject"] == f"qrp_{bill.qr_payment_id}"
    assert by_id[given["adjustment"]]["theirs_paise"] == 50
    assert "Goodwill" in by_id[given["adjustment"]]["words"]
    shown = await world.call("GET", f"/v1/reconciliations/exceptions/{by_id[own['id']]['id']}", role=Role.FINANCE)
    assert stranger["id"] in {row["razorpay_id"] for row in shown["rows"]}
    # Of the settlement the other environment's money is not ours: 7.00 less its fee.
    foreign = stranger["amount"] - stranger["fee"]
    assert (await balances(world))["own_bank"] == own["amount"] - foreign
    assert (await world.call("GET", f"/v1/settlements/{own['id']}"))["own_share_paise"] == own["amount"] - foreign

    path = f"/v1/reconciliations/exceptions/{by_id[given['adjustment']]['id']}/resolve"
    for role in (Role.OPERATOR, Role.FRANCHISEE, Role.RIDER):
        await world.call("POST", path, role=role, json={"reason": "of ours"}, status=403)
    done = await world.call("POST", path, role=Role.FINANCE, json={"reason": "a present of Razorpay's, seen by Meera"})
    assert (done["resolved_by"], done["reason"]) == ("staff|1", "a present of Razorpay's, seen by Meera")
    await world.call("POST", path, role=Role.FINANCE, json={"reason": "again"}, status=409)
    await world.call("POST", path.replace("exc_", "exc_9"), role=Role.FINANCE, json={"reason": "nothing"}, status=404)
    await read(world)
    assert kinds(await listed(world)) == [one for one in kinds(open_) if one[1] != given["adjustment"]], "it stays resolved"
    # The dispute is lost, and the refund by hand was right: both are ours. The settlement is no movement.
    before = await balances(world)
    for razorpay_id in (lost["adjustment"], by_hand["id"]):
        one = f"/v1/reconciliations/exceptions/{by_id[razorpay_id]['id']}/resolve"
        await world.call("POST", one, role=Role.FINANCE, json={"reason": "seen by Meera", "book": True})
    mixed = f"/v1/reconciliations/exceptions/{by_id[own['id']]['id']}/resolve"
    await world.call("POST", mixed, role=Role.FINANCE, json={"reason": "no", "book": True}, status=422)
    await world.call("POST", mixed, role=Role.FINANCE, json={"reason": "none", "book": True}, status=409)
    after = await balances(world)
    assert (after["adjustments"], after["nodal"] - before["nodal"]) == (300 + 100, -400)
    # Payments tells of the refund after all: what was booked for it is taken back.
    await tell(world, refund_of(world, bill, by_hand))
    assert (await balances(world))["adjustments"] == 300
    await check_books(world.service.app)
    assert world.service.app.metrics.books_differences._value.get() == 0
    assert [audit.action for audit in await world.said(AuditRecorded) if audit.entity == "recon_exception"] == ["resolve"] * 3


async def test_an_environment_that_shares_the_account_has_no_part_in_our_books(build: Build) -> None:
    world = await build(**NO_MONEY)
    await paid(world, notes={"voltlync_environment": "staging"})
    own = world.sandbox.settle_own()
    assert own is not None
    await world.settle()
    assert (await balances(world))["own_bank"] == own["amount"], "taken for ours until its rows are read"
    await read(world)
    assert await balances(world) == {}
    assert await listed(world) == []
    await read(world)
    assert await balances(world) == {}


async def test_lost_events_are_healed_by_the_statement(build: Build) -> None:
    world = await build(**NO_MONEY)
    franchisee_id = await world.franchisee()
    payment = await paid(world, 50_000)
    bill = bill_of(world, franchisee_id, payment)
    world.forwarding = False
    await tell(world, received(world, bill), bill)
    world.sandbox.settle(await world.account_of(franchisee_id))
    own = world.sandbox.settle_own()
    assert own is not None
    await world.settle()
    assert (await world.entry(bill))["status"] == "TRANSFERRED"
    assert "own_bank" not in await balances(world)
    await read(world)
    assert (await world.entry(bill))["status"] == "SETTLED"
    now = await balances(world)
    assert now["own_bank"] == own["amount"]
    assert "nodal" not in now
    assert await listed(world) == []


async def test_a_transfers_fee_is_the_statements_whoever_says_otherwise(build: Build) -> None:
    world = await build(**NO_MONEY)
    payment = await paid(world, 50_000)
    bill = bill_of(world, await world.franchisee(), payment)
    await tell(world, received(world, bill), bill)
    entry = next(one for one in world.sandbox.state.entries if one.type == "transfer" and one.debit)
    entry.fee, entry.tax, entry.debit = entry.fee + 11, entry.tax + 2, entry.debit + 11
    fee = (await world.entry(bill))["transfer_fee_paise"]
    world.sandbox.settle_own()
    await world.settle()
    await read(world)
    keys = [row["key"] for row in await world.rows("SELECT key FROM journals WHERE key LIKE 'transfer/1/charged%' ORDER BY id")]
    assert keys == ["transfer/1/charged", "transfer/1/charged/reversed", "transfer/1/charged#2"]
    assert (await world.entry(bill))["transfer_fee_paise"] == fee + 11
    assert await listed(world) == []


async def test_pages_faults_and_a_killed_process_cost_time_and_nothing_else(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_statement, "PAGE_ROWS", 2)
    monkeypatch.setattr(judge_statement, "MATCHES_AT_ONCE", 2)
    world = await build(**NO_MONEY)
    stories = []
    for number in range(5):
        payment = await paid(world, 5_000 + number)
        stories.append(bill_of(world, None, payment))
    for bill in stories:
        await tell(world, received(world, bill), bill)
    own = world.sandbox.settle_own()
    assert own is not None
    await world.settle()
    world.sandbox.add_fault(FaultRule(kind="html", path="/v1/settlements/recon/*", after=1, times=1))
    started = await read(world)
    assert (started["status"], started["rows_read"]) == ("READING", 2)
    assert "502" in started["last_error"]
    # A process that died between claim and answer: the lease ends, and the same page is asked for again.
    await world.pass_time(1300)
    done = await world.call("GET", f"/v1/reconciliations/{started['id']}")
    assert (done["status"], done["rows_new"]) == ("DONE", 5)
    states = await world.rows("SELECT DISTINCT state FROM statement_matches")
    assert [row["state"] for row in states] == ["MATCHED"], await listed(world)
    day = (await world.call("GET", "/v1/reconciliations/days"))["items"][0]
    assert (day["rows"], day["day"]) == (5, str(day_of(world.clock.now())))
    refused = await read(world, days=93, status=422)
    assert "at most 92 days" in str(refused)


async def test_once_a_day_the_last_days_are_read_and_what_was_missed_too(build: Build) -> None:
    world = await build(sandbox={"opening_balance": 0}, settings={"sweep_seconds": 600})
    await world.settle()

    async def readings() -> list[tuple[str, str, str]]:
        found = (await world.call("GET", "/v1/reconciliations"))["items"]
        return [(one["from_day"], one["to_day"], one["status"]) for one in found]

    def days(first: int, last: int) -> tuple[str, str, str]:
        today = day_of(world.clock.now())
        return str(today - timedelta(days=first)), str(today - timedelta(days=last)), "DONE"

    assert await readings() == [days(4, 1)]
    await schedule_reading(world.service.app)
    await world.settle()
    assert len(await readings()) == 1, "once a day"
    world.clock.jump(10 * 86_400)
    await schedule_reading(world.service.app)
    await world.settle()
    assert (await readings())[:2] == [days(10, 5), days(4, 1)], "from the day after the last that was read"


async def test_what_razorpay_does_not_show_after_days_is_listed_until_it_does(build: Build) -> None:
    world = await build(sandbox={"opening_balance": 0}, settings={"sweep_seconds": 86_400})
    await world.settle()
    payment = await paid(world)
    bill = bill_of(world, None, payment)
    given_back = world.bill(None).model_copy(update={"razorpay_payment_id": "pay_never"})
    await tell(world, received(world, bill), bill, received(world, given_back))
    at = world.clock.now()
    back = PaymentRefundedInFull(
        qr_payment_id=given_back.qr_payment_id,
        razorpay_payment_id="pay_never",
        amount_paise=10_000,
        reason="STALE",
        decided_at=at,
    )
    await tell(world, back)
    for days in (4, 4):
        assert await listed(world) == []
        world.clock.jump(days * 86_400)
        await schedule_reading(world.service.app)
        await world.settle()
    missing = await listed(world)
    assert kinds(missing) == sorted([("UNKNOWN_AT_RAZORPAY", payment["id"]), ("UNKNOWN_AT_RAZORPAY", "pay_never")])
    assert {one["ours_paise"] for one in missing} == {10_000}
    world.sandbox.settle_own()
    await world.settle()
    await read(world)
    assert kinds(await listed(world)) == [("UNKNOWN_AT_RAZORPAY", "pay_never")]


async def test_a_row_that_is_shown_anew_is_kept_beside_the_first_and_counts(build: Build) -> None:
    world = await build(**NO_MONEY)
    payment = await paid(world)
    bill = bill_of(world, None, payment)
    await tell(world, received(world, bill), bill)
    world.sandbox.settle_own()
    await world.settle()
    await read(world)
    assert "fee_corrections" not in await balances(world)
    entry = next(one for one in world.sandbox.state.entries if one.entity_id == payment["id"])
    entry.fee, entry.tax, entry.credit = 118, 18, payment["amount"] - 118
    again = await read(world)
    assert (again["rows_new"], again["rows_changed"]) == (0, 1)
    assert (await balances(world))["fee_corrections"] == -100
    versions = await world.rows("SELECT version, fee_paise, body FROM statement_rows ORDER BY version")
    assert [(row["version"], row["fee_paise"]) for row in versions] == [(1, 236), (2, 118)]
    ((kind, _),) = kinds(await listed(world))
    assert kind == "SETTLEMENT_DIFFERS", "it was paid out with the first"


async def test_raw_inputs_of_money_are_never_changed_or_deleted(build: Build) -> None:
    world = await build(**NO_MONEY)
    await paid(world)
    world.sandbox.settle_own()
    await world.settle()
    await read(world)
    for statement in (
        "UPDATE statement_rows SET amount_paise = 1",
        "UPDATE statement_rows SET body = '{}'",
        "DELETE FROM statement_rows",
        "DELETE FROM journals",
        "DELETE FROM postings",
    ):
        with pytest.raises(asyncpg.RestrictViolationError):
            await world.admin.execute(statement)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await world.admin.execute("DELETE FROM statement_readings")
