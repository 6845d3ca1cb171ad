"""Operators give back what wallets paid: into the wallet, with the decision, never more than was billed."""

import asyncio
from typing import Any

import asyncpg
import pytest

from chassis.web import Role
from contracts.payments import AuditRecorded, BorneBy, OperatorRefundDecided
from contracts.wallets import WalletRefundDecided

from .conftest import World
from .test_wallets import OTHER, RIDER, ask, recharge, start, sums

WHY = "The charger's screen showed another price."


async def billed(world: World, amount: int = 50_000) -> dict[str, Any]:
    """3.333 kWh out of a wallet: 59.99 of energy and 10.80 of GST."""
    await recharge(world, amount)
    session = await start(world, limit_paise=10_000)
    await world.announce(world.stopped(session, 3_333))
    shown: dict[str, Any] = await ask(world, "GET", f"/sessions/{session['id']}")
    assert shown["state"] == "BILLED"
    return shown


async def give(world: World, session: dict[str, Any], amount: int, **more: Any) -> Any:
    body = {"amount_paise": amount, "reason": WHY, **more.pop("body", {})}
    made = await world.call("POST", f"/v1/wallets/sessions/{session['id']}/refunds", json=body, **{"status": 201, **more})
    await world.quiet()
    return made


async def seen_by_staff(world: World) -> dict[str, Any]:
    (session,) = (await world.call("GET", "/v1/wallets/sessions"))["items"]
    return dict(session)


async def test_a_part_is_in_the_wallet_at_once_and_every_paper_follows(world: World) -> None:
    session = await billed(world)
    assert (session["given_back_paise"], (await seen_by_staff(world))["refundable_paise"]) == (0, 7_079)
    made = await give(world, session, 2_000)
    assert (made["number"], made["energy_charge_paise"], made["gst_paise"], made["borne_by"]) == (1, 1_695, 305, "FRANCHISEE")
    assert await sums(world) == (44_921, 0, 44_921)
    newest, *_ = (await ask(world, "GET", "/entries"))["items"]
    assert (newest["kind"], newest["amount_paise"], newest["balance_after_paise"]) == ("REFUND", 2_000, 44_921)
    assert (newest["wallet_session_id"], newest["transaction_id"]) == (session["id"], session["transaction_id"])
    assert newest["reason"] == WHY
    mine = await ask(world, "GET", f"/sessions/{session['id']}")
    assert (mine["given_back_paise"], mine["bill"]["billed_paise"], "operator_refunds" in mine) == (2_000, 7_079, False)

    (said,) = await world.said(WalletRefundDecided)
    assert (said.wallet_session_id, said.wallet_id, said.number) == (1, 1, 1)
    assert (said.amount_paise, said.energy_charge_paise, said.gst_paise, said.goodwill_paise) == (2_000, 1_695, 305, 0)
    assert (said.borne_by, said.franchisee_id, said.reason, said.decided_by) == (BorneBy.FRANCHISEE, 7, WHY, "staff|1")
    assert await world.said(OperatorRefundDecided) == []
    assert world.refund_calls() == [], "nothing of it is Razorpay's"
    (told,) = [record for record in await world.said(AuditRecorded) if record.action == "refund_part"]
    assert (told.entity_id, told.before, told.after["amount_paise"]) == (session["id"], {"given_back_paise": 0}, 2_000)

    # The credit note is the rider's, and nobody else's.
    await world.quiet()
    (note,) = (await world.call("GET", "/v1/credit-notes"))["items"]
    assert (note["wallet_session_id"], note["qr_payment_id"], note["refund_number"]) == (session["id"], None, 1)
    assert (note["taxable_paise"], note["gst_paise"], note["total_paise"]) == (1_695, 305, 2_000)
    assert (await world.call("GET", "/v1/riders/me/credit-notes", caller=RIDER))["items"] == [note]
    await world.call("POST", "/v1/riders/me", caller=OTHER)
    assert (await world.call("GET", "/v1/riders/me/credit-notes", caller=OTHER))["items"] == []
    assert (await world.call("GET", f"/v1/credit-notes/{note['id']}/credit-note.pdf")).startswith(b"%PDF")
    month = note["note_date"][:7]
    register = (await world.call("GET", f"/v1/credit-notes/export.csv?month={month}", role=Role.FINANCE)).decode()
    assert f"{session['request_key']}_op1" in register
    explained = await world.call("GET", f"/v1/credit-notes/{note['id']}/explanation")
    assert explained["amounts"][0]["sources"]["energy_charge_paise"] == f"the operators' refund 1 of {session['id']}"

    # What was given back can be asked for its derivation, by the rider too.
    explained = await ask(world, "GET", f"/sessions/{session['id']}/explanation")
    assert explained == await world.call("GET", f"/v1/wallets/sessions/{session['id']}/explanation")
    paise = {amount["name"]: amount["paise"] for amount in explained["amounts"]}
    assert (paise["energy_charge"], paise["gst"]) == (5_999, 1_080)
    parts = ("refund", "energy_charge", "gst", "goodwill")
    assert [paise[f"given_back_1_{part}"] for part in parts] == [2_000, 1_695, 305, 0]


async def test_all_of_it_in_parts_is_the_bill_line_by_line_and_no_paisa_more(world: World) -> None:
    session = await billed(world)
    assert (await give(world, session, 1))["amount_paise"] == 1, "Razorpay's least amount is not ours"
    goodwill = await give(world, session, 500, body={"borne_by": "PLATFORM"})
    assert (goodwill["goodwill_paise"], goodwill["energy_charge_paise"], goodwill["gst_paise"]) == (500, 0, 0)
    problem = await give(world, session, 7_079 - 500, status=409)
    assert "₹65.79 is more than the ₹65.78 that were billed" in problem["detail"]
    await give(world, session, 7_078 - 500)
    await give(world, session, 1, status=409)
    assert await sums(world) == (50_000, 0, 50_000)
    staff = await seen_by_staff(world)
    assert (staff["refundable_paise"], staff["given_back_paise"]) == (0, 7_079)
    assert [one["number"] for one in staff["operator_refunds"]] == [1, 2, 3]
    await world.quiet()
    notes = (await world.call("GET", "/v1/credit-notes"))["items"]
    assert {note["refund_number"] for note in notes} == {1, 3}
    assert sum(note["total_paise"] for note in notes) == 7_079 - 500
    assert [one["credit_note_id"] is None for one in (await seen_by_staff(world))["operator_refunds"]] == [False, True, False]
    assert await world.admin.fetchval("SELECT sum(amount_paise) FROM wallet_entries") == 50_000


async def test_two_operators_at_once_give_no_more_than_was_billed(world: World) -> None:
    session = await billed(world)
    path = f"/v1/wallets/sessions/{session['id']}/refunds"

    async def wish(amount: int) -> int:
        body = {"amount_paise": amount, "reason": WHY}
        async with world.http.post(f"{world.url}{path}", json=body, headers=world.headers("POST", path)) as answer:
            return answer.status

    assert sorted(await asyncio.gather(*(wish(3_000) for _ in range(5)))) == [201, 201, 409, 409, 409]
    assert (await sums(world))[0] == 50_000 - 7_079 + 6_000
    assert [refund.number for refund in await world.said(WalletRefundDecided)] == [1, 2]


async def test_what_comes_back_is_never_refused_for_want_of_room(world: World) -> None:
    session = await billed(world, 10_000)
    limits = world.settings.wallet_limits
    await recharge(world, limits.recharge_max_paise)
    await recharge(world, limits.balance_max_paise - limits.recharge_max_paise - 10_000 + 7_079)
    assert (await sums(world))[0] == limits.balance_max_paise
    await give(world, session, 7_079)
    assert (await sums(world))[0] == limits.balance_max_paise + 7_079


async def test_only_a_billed_session_only_finance_and_only_whole_requests(world: World) -> None:
    await recharge(world)
    session = await start(world)
    problem = await give(world, session, 100, status=409)
    assert problem["detail"] == "It is START_REQUESTED: only of a session that is BILLED a part can be given back."
    await world.announce(world.stopped(session, 3_333))
    for role in (Role.OPERATOR, Role.FRANCHISEE, Role.RIDER, Role.GUEST):
        await give(world, session, 100, role=role, status=403)
    await give(world, session, 0, status=422)
    await give(world, session, 100, body={"reason": "no"}, status=422)
    await give(world, session, 100, body={"borne_by": "RIDER"}, status=422)
    await give(world, {"id": "wse_99"}, 100, status=404)
    assert await sums(world) == (42_921, 0, 42_921)
    await give(world, session, 100, role=Role.FINANCE)


@pytest.mark.parametrize(("amount", "of"), [(5, None), (-5, 2), (5, 1)])
async def test_the_database_itself_refuses_what_can_not_be(world: World, amount: int, of: int | None) -> None:
    session = await billed(world)
    await give(world, session, 2_000)
    with pytest.raises(asyncpg.CheckViolationError, match="one_payer"):
        await world.admin.execute("UPDATE operator_refunds SET qr_payment_id = NULL, wallet_session_id = NULL")
    await give(world, session, 5, body={"borne_by": "PLATFORM"})
    columns = "wallet_id, kind, amount_paise, balance_after_paise, operator_refund_id, created_at"
    with pytest.raises((asyncpg.CheckViolationError, asyncpg.UniqueViolationError)):
        await world.admin.execute(
            f"INSERT INTO wallet_entries ({columns}) VALUES (1, 'REFUND', $1, 5, $2, now())",  # noqa: S608
            amount,
            of,
        )
