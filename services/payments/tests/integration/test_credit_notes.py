"""Credit notes over the running service: one per refund that reduced a supply, after its invoice, numbered without a gap."""

import asyncio
import csv
from io import BytesIO, StringIO
from typing import Any

import asyncpg
import pypdf
import pytest

from chassis.web import Role

from .conftest import World, running_service
from .test_invoices import billed as invoiced
from .test_invoices import issuing
from .test_operator_refunds import billed, give
from .test_riders import PHONE, account, register


async def notes(world: World, query: str = "", **how: Any) -> list[dict[str, Any]]:
    """Credit notes, oldest first."""
    items: list[dict[str, Any]] = (await world.call("GET", f"/v1/credit-notes{query}", **how))["items"]
    return items[::-1]


async def test_a_refund_that_reduces_the_supply_has_its_note_and_goodwill_has_none(world: World) -> None:
    payment = await billed(world)
    made = await give(world, payment, 2_000)
    await give(world, payment, 500, body={"borne_by": "PLATFORM"})
    await give(world, payment, 5_079 - 500)
    first, second = await notes(world)
    [invoice] = (await world.call("GET", "/v1/invoices"))["items"]
    assert [note["number"][-8:] for note in (first, second)] == ["/C000001", "/C000002"]
    assert first["number"].startswith(f"{invoice['number'][:7]}/C")
    assert [note["refund_number"] for note in (first, second)] == [1, 3]
    lines = ("taxable_paise", "cgst_paise", "sgst_paise", "igst_paise", "round_off_paise", "gst_paise", "total_paise")
    assert [first[line] for line in lines] == [1_695, 153, 153, 0, -1, 305, 2_000]
    # Goodwill of 5.00 left the supply as it was: all but that is given back.
    assert first["total_paise"] + second["total_paise"] == 5_999 + 1_080 - 500
    assert all(first[line] + second[line] <= invoice[line] for line in lines if line != "round_off_paise")
    refund = await world.call("GET", f"/v1/refunds/{made['id']}")
    assert refund["decision"]["credit_note_id"] == first["id"]
    detail = await world.payment(payment["razorpay_payment_id"])
    assert [one["credit_note_id"] for one in detail["operator_refunds"]] == [first["id"], None, second["id"]]
    assert (await notes(world, f"?invoice_id={invoice['id']}")) == (await notes(world, f"?payment_id={payment['id']}"))
    assert await notes(world, f"?from={first['note_date']}&to={first['note_date']}") == [first, second]
    assert await notes(world, "?to=2020-01-01") == []
    assert await world.call("GET", f"/v1/credit-notes/{first['id']}") == first
    told = await world.call("GET", f"/v1/credit-notes/{second['id']}/explanation")
    assert {amount["name"]: amount["paise"] for amount in told["amounts"]}["cgst"] == second["cgst_paise"]
    assert told["paragraph"].startswith(f"{second['number']} takes a refund off {invoice['number']}, because: ")
    pdf = await world.call("GET", f"/v1/credit-notes/{first['id']}/credit-note.pdf")
    words = pypdf.PdfReader(BytesIO(pdf)).pages[0].extract_text()
    assert all(word in words for word in (first["number"], invoice["number"], "₹20.00"))
    month = first["note_date"][:7]
    text = (await world.call("GET", f"/v1/credit-notes/export.csv?month={month}", role=Role.FINANCE)).decode()
    line, _ = csv.DictReader(StringIO(text))
    figures = ("Note number", "Note type", "Invoice number", "Note value", "Taxable value", "Central tax", "Round-off")
    assert [line[name] for name in figures] == [first["number"], "C", invoice["number"], "20.00", "16.95", "1.53", "-0.01"]
    assert line["Refund"] == made["key"]
    await world.call("GET", f"/v1/credit-notes/export.csv?month={month}", role=Role.OPERATOR, status=403)
    await world.call("GET", "/v1/credit-notes/crn_99", status=404)


async def test_a_note_waits_for_its_invoice_and_the_next_ones_do_not_wait_for_it(world: World) -> None:
    await issuing(world.service).stop()
    payment = await billed(world)
    await give(world, payment, 2_000)
    await world.jump(400)
    assert (await notes(world), world.metric("invoices_waiting")) == ([], 2)
    await world.admin.execute("UPDATE invoices_due SET supply = jsonb_set(supply, '{gst_paise}', '-5')")
    other = await invoiced(world, await world.qr_code("CP-2"))
    await give(world, other, 1_000)
    await issuing(world.service).start()
    await world.jump(10)
    assert [note["qr_payment_id"] for note in await notes(world)] == [other["id"]]
    await world.admin.execute("UPDATE invoices_due SET supply = jsonb_set(supply, '{gst_paise}', '1080')")
    await world.jump(1_800)
    assert [note["qr_payment_id"] for note in await notes(world)] == [other["id"], payment["id"]]
    assert await world.admin.fetchval("SELECT count(*) FROM credit_notes_due") == 0


async def test_two_who_number_at_once_leave_no_gap_and_give_nothing_twice(world: World) -> None:
    await issuing(world.service).stop()
    qr = await world.qr_code()
    for _ in range(4):
        payment = await invoiced(world, qr)
        await give(world, payment, 1_000)
    async with running_service(world.settings, world.clock) as other:
        world.others.append(other)
        await issuing(world.service).start()
        for service in (world.service, other):
            issuing(service).wake()
        await asyncio.gather(world.quiet())
        world.others.clear()
    numbers = [int(note["number"][-6:]) for note in await notes(world)]
    assert numbers == [1, 2, 3, 4]


async def test_what_no_note_can_be_made_of_is_put_off_and_holds_up_nobody(world: World) -> None:
    await issuing(world.service).stop()
    qr = await world.qr_code()
    bad, good = await invoiced(world, qr), await invoiced(world, qr)
    await give(world, bad, 1_000)
    await give(world, good, 1_000)
    # By an administrator's hand: the table refuses it of everybody else.
    await world.admin.execute("ALTER TABLE operator_refunds DROP CONSTRAINT operator_refunds_not_negative_check")
    number = bad["id"].removeprefix("qrp_")
    await world.admin.execute(f"UPDATE operator_refunds SET gst_before_paise = -1 WHERE qr_payment_id = {number}")  # noqa: S608
    await issuing(world.service).start()
    await world.jump(10)
    assert [(note["qr_payment_id"], note["number"][-7:]) for note in await notes(world)] == [(good["id"], "C000001")]
    assert world.metric("invoice_failed_total") == 1
    await world.admin.execute(f"UPDATE operator_refunds SET gst_before_paise = 0 WHERE qr_payment_id = {number}")  # noqa: S608
    await world.jump(1_800)
    assert [note["qr_payment_id"] for note in await notes(world)] == [good["id"], bad["id"]]


async def test_the_database_itself_refuses_a_change_and_a_gap(world: World) -> None:
    payment = await billed(world)
    await give(world, payment, 1_000)
    for statement in ("UPDATE credit_notes SET total_paise = 1", "DELETE FROM credit_notes"):
        with pytest.raises(asyncpg.RestrictViolationError, match="credit note is never changed"):
            await world.admin.execute(statement)
    values = "'VL/x/C3', series, 3, financial_year, note_date, operator_refund_id, invoice_id, taxable_paise, cgst_paise"
    names = "number, series, serial, financial_year, note_date, operator_refund_id, invoice_id, taxable_paise, cgst_paise"
    rest = "sgst_paise, igst_paise, round_off_paise, total_paise, issued_at"
    with pytest.raises(asyncpg.CheckViolationError, match="has no number 2"):
        await world.admin.execute(f"INSERT INTO credit_notes ({names}, {rest}) SELECT {values}, {rest} FROM credit_notes")  # noqa: S608


async def test_riders_have_their_own_documents_and_nobody_elses(world: World) -> None:
    qr = await world.qr_code()
    payment = await world.payment(await world.pay(qr, contact=PHONE))
    await world.announce(world.stopped(payment, 3_333))
    await give(world, await world.payment(payment["razorpay_payment_id"]), 1_000)
    asha, ravi = account(), account("user_b", None)
    await register(world, asha)
    await register(world, ravi)
    mine = "/v1/riders/me"
    (invoice,) = (await world.call("GET", f"{mine}/invoices", caller=asha))["items"]
    (note,) = (await world.call("GET", f"{mine}/credit-notes", caller=asha))["items"]
    assert (invoice["qr_payment_id"], note["invoice_id"]) == (payment["id"], invoice["id"])
    for path in (f"invoices/{invoice['id']}/invoice.pdf", f"credit-notes/{note['id']}/credit-note.pdf"):
        assert (await world.call("GET", f"{mine}/{path}", caller=asha)).startswith(b"%PDF")
        await world.call("GET", f"{mine}/{path}", caller=ravi, status=404)
    for noun in ("invoices", "credit-notes"):
        assert (await world.call("GET", f"{mine}/{noun}", caller=ravi))["items"] == []
