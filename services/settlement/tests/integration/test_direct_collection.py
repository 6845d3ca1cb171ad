"""Sessions that a franchisee collected itself: no transfer, commission receivable, and its settlements are not ours."""

import itertools
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from chassis.web import Role
from contracts.payments import PaymentBilled, PaymentFeeRecorded, PaymentRefundedInFull, RazorpayEventReceived, RefundChanged
from contracts.settlement import DirectCollection, FranchiseeChanged, LedgerEntryChanged, LedgerEntryCreated
from razorpay_simulator import QrPayment
from settlement.domain.tax import india_day
from settlement.usecases.check_books import check_books

from .conftest import SELDOM, Build, World
from .test_books import balances, keys, story_of


async def collected(world: World, franchisee_id: int, *, by: int | None = None, **bill: Any) -> PaymentBilled:
    """A bill of a session whose payment is in a linked account."""
    collector = by or franchisee_id
    found = {"collected_by_franchisee_id": collector, "collected_by_account": await world.account_of(collector)}
    return world.bill(franchisee_id, **bill).model_copy(update=found)


async def tell(world: World, bill: PaymentBilled, *, order: tuple[int, ...] = (0, 1, 2, 3, 4)) -> None:
    whose = {"collected_by_franchisee_id": bill.collected_by_franchisee_id}
    story = [event if event is bill else event.model_copy(update=whose) for event in story_of(world, bill)]
    for index in order:
        await world.publish(story[index])
    await world.settle()


async def receivable(world: World, franchisee_id: int, /, **how: Any) -> dict[str, Any]:
    found: dict[str, Any] = await world.call("GET", f"/v1/franchisees/frn_{franchisee_id}/receivables", **how)
    return found


async def pay_us(world: World, franchisee_id: int, paise: int, reference: str = "UTR0001", /, **how: Any) -> Any:
    body = {"amount_paise": paise, "bank_reference": reference, "received_on": world.clock.now().date().isoformat()}
    path = f"/v1/franchisees/frn_{franchisee_id}/commission-receipts"
    return await world.call("POST", path, json=body, role=how.pop("role", Role.FINANCE), **how)


async def test_a_collected_session_is_settled_by_that_and_owes_us_commission_and_tds(world: World) -> None:
    franchisee_id = await world.franchisee()
    bill = await collected(world, franchisee_id)
    await tell(world, bill)
    entry = await world.entry(bill)
    assert (entry["status"], entry["collected_by_account_id"]) == ("SETTLED", bill.collected_by_account)
    parts = ("refund", "residue", "pg_fee", "gst", "commission", "tds", "payout")
    assert entry["gross_paise"] == sum(entry[f"{part}_paise"] for part in parts)
    assert world.sandbox.requests("POST", "/v1/transfers") == [], "it has its payout already"
    # 100.00 paid: 59.99 energy, 10.80 GST, 2.36 fee, 26.85 back. 10 % commission 6.00, TDS 0.06: 6.06 owed to us.
    assert await balances(world) == {
        "commission_receivable": 606,
        "commission": -600,
        "tds_payable": -6,
        "direct_collected": 10_000 - 236 - 2685,
        "direct_earned": -(5999 + 1080 + 236 - 236),
    }
    (created,), (changed,) = await world.said(LedgerEntryCreated), await world.said(LedgerEntryChanged)
    assert (created.collected_by_account, changed.status) == (bill.collected_by_account, "SETTLED")
    await check_books(world.service.app)
    assert world.service.app.metrics.books_differences._value.get() == 0
    listed = await world.call("GET", "/v1/ledger-entries?collected=true")
    assert [item["id"] for item in listed["items"]] == [entry["id"]]
    assert (await world.call("GET", "/v1/ledger-entries?collected=false"))["items"] == []
    explained = await world.call("GET", f"/v1/ledger-entries/{entry['id']}/explanation")
    assert explained["paragraph"].endswith("You owe VoltLync commission and tax withheld, ₹6.06.")


async def test_one_whose_meter_was_in_doubt_has_nothing_to_be_released(world: World) -> None:
    """It is settled: let go, it would be due for ever, and taken up every two minutes for nothing."""
    bill = await collected(world, await world.franchisee(), implausible=True)
    await tell(world, bill)
    entry = await world.entry(bill)
    await world.call("POST", f"/v1/ledger-entries/{entry['id']}/release", status=409)
    assert await world.rows("SELECT due_at FROM ledger_entries") == [{"due_at": None}]


async def test_its_events_in_any_order_and_twice_give_the_same_books(world: World) -> None:
    franchisee_id = await world.franchisee()
    seen = []
    for number, order in enumerate(itertools.permutations(range(5))):
        if number % 31:
            continue
        before = await balances(world)
        await tell(world, await collected(world, franchisee_id), order=(*order, *order[:2]))
        after = await balances(world)
        seen.append({account: paise - before.get(account, 0) for account, paise in after.items()})
    assert len(seen) == 4
    assert all(books == seen[0] for books in seen), seen
    assert await world.dead() == 0


async def test_a_payment_given_back_whole_and_a_later_fee_stay_within_the_memos(world: World) -> None:
    franchisee_id = await world.franchisee()
    bill = await collected(world, franchisee_id)
    whose = {"collected_by_franchisee_id": franchisee_id}
    received = story_of(world, bill)[0].model_copy(update={**whose, "platform_fee_paise": 200})
    at = world.clock.now()
    number = bill.qr_payment_id
    fee = PaymentFeeRecorded(
        qr_payment_id=number,
        razorpay_payment_id="pay_1",
        fee_before_paise=200,
        tax_before_paise=None,
        platform_fee_paise=236,
        platform_fee_tax_paise=36,
        recorded_at=at,
        **whose,
    )
    given_back = PaymentRefundedInFull(
        qr_payment_id=number, razorpay_payment_id="pay_1", amount_paise=10_000, reason="STALE", decided_at=at, **whose
    )
    refund = RefundChanged(
        refund_id=number,
        qr_payment_id=number,
        razorpay_refund_id="rfnd_1",
        status="PROCESSED",
        amount_paise=10_000,
        subject_version=3,
        at=at,
        **whose,
    )
    for event in (refund, given_back, fee, received):
        await world.publish(event)
    await world.settle()
    # The fee is the franchisee's to bear: its account is 2.36 short, and not a paisa of ours moved.
    assert await balances(world) == {"direct_collected": -236, "direct_earned": 236}
    # A statement of ours can't correct a fee that is not ours.
    body = {"payment_id": f"qrp_{number}", "fee_paise": 300, "tax_paise": 46, "statement": "setl_1"}
    await world.call("POST", "/v1/books/fee-corrections", json=body, role=Role.FINANCE, status=404)


async def test_what_is_owed_is_listed_by_age_and_paid_oldest_first(build: Build) -> None:
    world = await build(settings=SELDOM)
    franchisee_id, other_id = await world.franchisee(1), await world.franchisee(2)
    for _ in range(3):
        await tell(world, await collected(world, franchisee_id))
        world.clock.jump(timedelta(days=40).total_seconds())
        await world.settle()
    assert await receivable(world, other_id) == {
        "franchisee_id": f"frn_{other_id}",
        **dict.fromkeys(("owed_paise", "received_paise", "open_paise"), 0),
        **dict.fromkeys((f"{age}_days_paise" for age in ("up_to_30", "up_to_60", "up_to_90", "over_90")), 0),
        **dict.fromkeys(("oldest_open_at", "oldest_open_days")),
    }
    owed = await receivable(world, franchisee_id)
    assert (owed["owed_paise"], owed["open_paise"], owed["oldest_open_days"]) == (3 * 606, 3 * 606, 120)
    ages = ("up_to_30_days_paise", "up_to_60_days_paise", "up_to_90_days_paise", "over_90_days_paise")
    assert [owed[age] for age in ages] == [0, 606, 606, 606]
    # One and a half sessions are paid: what is left of the second, and the third.
    receipt = await pay_us(world, franchisee_id, 909, status=201)
    owed = await receivable(world, franchisee_id)
    assert (owed["received_paise"], owed["open_paise"], owed["oldest_open_days"]) == (909, 909, 80)
    assert [owed[age] for age in ages] == [0, 606, 303, 0]
    assert (await balances(world))["own_bank"] == 909
    assert [item["franchisee_id"] for item in (await world.call("GET", "/v1/receivables"))["items"]] == [f"frn_{franchisee_id}"]
    # The same bank reference is one payment; a mistake is taken back, and may be entered again.
    await pay_us(world, franchisee_id, 909, status=409)
    path = f"/v1/commission-receipts/{receipt['id']}/withdraw"
    withdrawn = await world.call("POST", path, json={"reason": "another franchisee's"}, role=Role.FINANCE)
    assert withdrawn["withdrawn_reason"] == "another franchisee's"
    await world.call("POST", path, json={"reason": "once more"}, role=Role.FINANCE, status=409)
    assert (await receivable(world, franchisee_id))["open_paise"] == 3 * 606
    assert "own_bank" not in await balances(world)
    await pay_us(world, franchisee_id, 5 * 606, status=201)
    owed = await receivable(world, franchisee_id)
    assert (owed["open_paise"], owed["oldest_open_at"]) == (-2 * 606, None)
    assert [owed[age] for age in ages] == [0, 0, 0, 0]
    receipts = await world.call("GET", f"/v1/franchisees/frn_{franchisee_id}/commission-receipts")
    assert [item["withdrawn_at"] is None for item in receipts["items"]] == [True, False]
    await check_books(world.service.app)
    assert world.service.app.metrics.books_differences._value.get() == 0


async def test_a_franchisee_sees_its_own_debt_only_and_enters_none(world: World) -> None:
    mine, other = await world.franchisee(1), await world.franchisee(2)
    me: dict[str, Any] = {"role": Role.FRANCHISEE, "franchisee_id": mine}
    await receivable(world, mine, **me)
    await receivable(world, other, status=404, **me)
    await world.call("GET", f"/v1/franchisees/frn_{other}/commission-receipts", status=404, **me)
    await world.call("GET", "/v1/receivables", status=403, **me)
    await pay_us(world, mine, 606, status=403, **me)
    await pay_us(world, mine, 606, status=403, role=Role.OPERATOR)
    await pay_us(world, 999, 606, status=404)
    path, today = f"/v1/franchisees/frn_{mine}/commission-receipts", india_day(world.clock.now())
    body = {"amount_paise": 1, "bank_reference": "UTR0002", "received_on": str(today + timedelta(days=1))}
    await world.call("POST", path, json=body, status=422)
    assert await keys(world) == []
    # Half an hour before midnight in London it is tomorrow in India, and that is the day on the bank's statement.
    world.clock.jump((datetime.combine(today, time(23, 30), UTC) - world.clock.now()).total_seconds())
    await world.call("POST", path, json=body, status=201)


async def test_money_that_another_has_than_the_sites_owner_waits_for_a_person(world: World) -> None:
    owner_id, collector_id = await world.franchisee(1), await world.franchisee(2)
    bill = await collected(world, owner_id, by=collector_id)
    platforms = await collected(world, collector_id)
    platforms = platforms.model_copy(update={"franchisee_id": None})
    await tell(world, bill)
    await tell(world, platforms)
    assert (await world.call("GET", "/v1/ledger-entries"))["items"] == []
    waiting = (await world.call("GET", "/v1/ledger-entries/unowned-bills"))["items"]
    assert {item["collected_by_franchisee_id"] for item in waiting} == {f"frn_{collector_id}"}
    assert world.service.app.metrics.bills_unowned._value.get() == 2
    path = f"/v1/ledger-entries/unowned-bills/txn_{bill.transaction_id}/assign"
    await world.call("POST", path, json={"franchisee_id": f"frn_{owner_id}"}, role=Role.FINANCE, status=422)
    entry = await world.call("POST", path, json={"franchisee_id": f"frn_{collector_id}"}, role=Role.FINANCE, status=201)
    assert (entry["status"], entry["collected_by_account_id"]) == ("SETTLED", bill.collected_by_account)
    assert (await receivable(world, collector_id))["open_paise"] == 606


async def take_in(world: World, franchisee_id: int, paise: int) -> None:
    """A rider pays on the franchisee's own code, at Razorpay."""
    account = await world.account_of(franchisee_id)
    body = {"type": "upi_qr", "usage": "multiple_use", "fixed_amount": False, "name": "CP-1"}
    code = world.sandbox.nouns.qr_codes.create(body, account)
    world.sandbox.pay(code["id"], QrPayment(amount=paise))
    await world.settle()


@pytest.mark.parametrize("event_account", ["linked", "parent"])
async def test_a_franchisees_own_settlement_is_never_booked_as_ours(build: Build, event_account: str) -> None:
    world = await build(sandbox={"settlement_event_account": event_account})
    franchisee_id = await world.franchisee()
    await tell(world, await collected(world, franchisee_id))
    before = await balances(world)
    await take_in(world, franchisee_id, 10_000)
    [theirs] = world.sandbox.settle(await world.account_of(franchisee_id))
    await world.settle()
    await world.pass_time(3600)
    shown = await world.call("GET", f"/v1/settlements/{theirs['id']}")
    assert (shown["status"], shown["franchisee_id"], shown["transfers_count"]) == ("COLLECTED", f"frn_{franchisee_id}", 0)
    assert await balances(world) == before
    # Ours is ours all the same.
    own = world.sandbox.settle_own()
    assert own is not None
    await world.settle()
    assert (await world.call("GET", f"/v1/settlements/{own['id']}"))["status"] == "OWN"
    assert (await balances(world))["own_bank"] == own["amount"]


async def test_a_settlement_of_transfers_and_of_what_was_collected_is_no_mismatch(world: World) -> None:
    franchisee_id = await world.franchisee()
    await tell(world, await collected(world, franchisee_id))
    transferred = world.bill(franchisee_id)
    await tell(world, transferred)
    await take_in(world, franchisee_id, 10_000)
    [settled] = world.sandbox.settle(await world.account_of(franchisee_id))
    await world.settle()
    shown = await world.call("GET", f"/v1/settlements/{settled['id']}")
    assert (shown["status"], shown["transfers_paise"]) == ("MATCHED", 5393)
    assert shown["amount_paise"] == 5393 + 10_000 - 236
    assert (await world.entry(transferred))["status"] == "SETTLED"
    assert world.service.app.metrics.settlement_mismatch._value.get() == 0


async def test_others_are_told_who_may_collect_and_when_that_changes(world: World) -> None:
    franchisee_id = await world.franchisee()
    account = await world.account_of(franchisee_id)
    body = {"operator_hold": True, "operator_reason": "the site is in dispute"}
    await world.call("PATCH", f"/v1/franchisees/frn_{franchisee_id}", json=body)
    shown = await world.call("GET", f"/v1/franchisees/frn_{franchisee_id}")
    assert (shown["direct_collection"], shown["direct_collection_reason"]) == (
        "PAUSED",
        "VoltLync holds the payouts: the site is in dispute",
    )
    await world.call("PATCH", f"/v1/franchisees/frn_{franchisee_id}", json={"operator_hold": False})
    world.sandbox.move_kyc(account, "rejected")
    await world.settle()
    told = [event for event in await world.said(FranchiseeChanged) if event.franchisee_id == franchisee_id]
    assert {event.razorpay_account_id for event in told} == {account}
    assert [event.subject_version for event in told] == list(range(1, len(told) + 1))
    standings = [event.direct_collection for event in told]
    assert standings[-4:] == [
        DirectCollection.ALLOWED,
        DirectCollection.PAUSED,
        DirectCollection.ALLOWED,
        DirectCollection.ENDED,
    ]
    # Told again, Razorpay's word changes nothing that others know.
    for event in reversed([event for event in world.events if event.event.startswith(("account.", "product."))]):
        await world.publish(RazorpayEventReceived.model_validate(event.model_dump()))
    await world.settle()
    assert len([event for event in await world.said(FranchiseeChanged) if event.franchisee_id == franchisee_id]) == len(told)


async def test_who_was_linked_before_anybody_was_told_is_told_of_once(world: World) -> None:
    franchisee_id = await world.franchisee()
    # As a release that tells nobody left it.
    await world.admin.execute("UPDATE franchisees SET subject_version = 0; DELETE FROM outbox")
    await world.pass_time(900)
    (told,) = await world.said(FranchiseeChanged)
    assert (told.franchisee_id, told.direct_collection, told.subject_version) == (franchisee_id, DirectCollection.ALLOWED, 1)
