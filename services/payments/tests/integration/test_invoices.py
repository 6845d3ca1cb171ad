"""Invoices over the running service: one per billed session, numbered without a gap, whoever numbers at once; and explained."""

import asyncio
import csv
from datetime import UTC, datetime, timedelta
from io import BytesIO, StringIO
from typing import Any

import asyncpg
import pypdf
import pytest

from chassis.runtime import Worker
from chassis.web import Role
from payments.settings import PaymentsSettings

from .conftest import SELLER_GSTIN, World, running_service

WAITING_FOR_A_LOCK = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def billed(world: World, qr: dict[str, Any], energy_wh: int = 3329, amount: int = 10_000, **more: Any) -> dict[str, Any]:
    """A session that was paid, ended and billed: its payment."""
    payment = await world.payment(await world.pay(qr, amount))
    await world.announce(world.stopped(payment, energy_wh, **more))
    return await world.payment(payment["razorpay_payment_id"])


async def invoices(world: World, query: str = "") -> list[dict[str, Any]]:
    """Invoices, oldest first."""
    items: list[dict[str, Any]] = (await world.call("GET", f"/v1/invoices{query}"))["items"]
    return items[::-1]


def issuing(service: Any) -> Worker:
    return next(part for part in service._parts if isinstance(part, Worker) and part.name == "invoices")


async def test_a_billed_session_has_one_invoice_and_one_given_back_has_none(world: World) -> None:
    qr = await world.qr_code()
    payment = await billed(world, qr)
    [invoice] = await invoices(world)
    assert payment["invoice_id"] == invoice["id"]
    assert invoice["number"] == f"VL/{invoice['financial_year'][2:4]}{invoice['financial_year'][5:]}/0000001"
    assert (invoice["seller_gstin"], invoice["place_of_supply"], invoice["interstate"]) == (SELLER_GSTIN, "29-Karnataka", False)
    parts = [invoice[f"{name}_paise"] for name in ("taxable", "cgst", "sgst", "igst", "round_off", "platform_fee")]
    assert (parts, invoice["total_paise"]) == ([5992, 540, 540, 0, -1, 236], 7307)
    assert invoice["total_paise"] == payment["bill"]["total_billed_paise"]
    assert invoice["gst_paise"] == payment["bill"]["gst_paise"]
    assert (invoice["transaction_id"], invoice["tariff_id"], invoice["station_name"]) == (
        payment["transaction_id"],
        "trf_1",
        "MG Road",
    )
    assert invoice["buyer_reference"] == payment["rider_id"]
    assert "***" in invoice["buyer_masked"]
    # Nothing delivered, nothing invoiced; and what is told again is issued once.
    await billed(world, qr, energy_wh=0)
    stopped = world.stopped(payment, 3329, transaction_id=int(payment["transaction_id"][4:]))
    await world.announce(stopped, message_id="told-again")
    await world.jump(3600)
    assert await invoices(world) == [invoice]
    assert await world.admin.fetchval("SELECT count(*) FROM invoices_due") == 0
    assert await invoices(world, f"?payment_id={payment['id']}") == [invoice]
    assert await invoices(world, f"?financial_year={invoice['financial_year']}&station_id=stn_3") == [invoice]
    day = invoice["invoice_date"]
    assert await invoices(world, f"?from={day}&to={day}") == [invoice]
    assert await invoices(world, "?station_id=stn_4") == await invoices(world, "?to=2020-01-01") == []
    await world.call("GET", "/v1/invoices?financial_year=2026-28", status=422)
    pdf = await world.call("GET", f"/v1/invoices/{invoice['id']}/invoice.pdf")
    words = pypdf.PdfReader(BytesIO(pdf)).pages[0].extract_text()
    assert all(word in words for word in (invoice["number"], "₹73.07", "MG Road"))
    await world.call("GET", "/v1/invoices/inv_99/invoice.pdf", status=404)
    await world.call("GET", "/v1/invoices", role=Role.FRANCHISEE, status=403)
    await world.call("GET", f"/v1/invoices/export.csv?month={day[:7]}", role=Role.OPERATOR, status=403)
    text = (await world.call("GET", f"/v1/invoices/export.csv?month={day[:7]}", role=Role.FINANCE)).decode()
    [line] = csv.DictReader(StringIO(text))
    assert (line["Invoice number"], line["Invoice value"], line["Central tax"]) == (invoice["number"], "73.07", "5.40")
    empty = await world.call("GET", "/v1/invoices/export.csv?month=2020-01")
    assert len(empty.splitlines()) == 1


async def test_between_states_and_where_nobody_told_the_place(world: World) -> None:
    qr = await world.qr_code()
    await billed(world, qr, station_state_code="27")
    await billed(world, qr, station_state_code=None, station_name=None)
    elsewhere, untold = await invoices(world)
    assert (elsewhere["interstate"], elsewhere["igst_paise"], elsewhere["cgst_paise"]) == (True, 1079, 0)
    assert elsewhere["place_of_supply"] == "27-Maharashtra"
    assert (untold["interstate"], untold["place_of_supply"], untold["station_name"]) == (False, "29-Karnataka", None)


async def test_many_who_number_at_once_leave_no_gap_and_give_nothing_twice(world: World, database: tuple[str, str]) -> None:
    """Sixty bills, and three replicas that are woken together."""
    qr = await world.qr_code()
    await billed(world, qr)
    async with running_service(world.settings, world.clock) as second, running_service(world.settings, world.clock) as third:
        world.others += [second, third]
        watcher = await asyncpg.connect(database[0])
        workers = [issuing(service) for service in (world.service, second, third)]
        # The table as sixty sessions leave it that end at the same moment.
        await world.admin.execute(
            """
            INSERT INTO invoices_due (source_key, supply, next_attempt_at, created_at)
            SELECT 'wallet_' || n, jsonb_build_object(
                'source_key', 'wallet_' || n, 'qr_payment_id', null, 'transaction_id', 5000 + n,
                'charge_point_id', 'CP-1', 'connector_id', 1, 'station_id', 3, 'station_name', 'MG Road',
                'place_code', '29',
                'franchisee_id', null, 'buyer_reference', 'rdr_1', 'buyer_masked', null, 'tariff_id', 1,
                'tariff_paise_per_kwh', 1800, 'gst_bps', 1800, 'energy_wh', 1000 + n, 'paid_paise', null,
                'energy_charge_paise', 1800 + n, 'gst_paise', 324, 'platform_fee_paise', 0, 'shortfall_paise', 0,
                'started_at', $1::timestamptz, 'stopped_at', $1::timestamptz, 'billed_at', $1::timestamptz), $1, $1
            FROM generate_series(1, 60) n
            """,
            world.now(),
        )
        # One of them can't be: it waits for a person, and nobody waits for it.
        await world.admin.execute(
            "UPDATE invoices_due SET supply = jsonb_set(supply, '{gst_paise}', '-5') WHERE source_key = 'wallet_7'"
        )
        # All three stand at the series' row before any of them may number.
        async with world.admin.transaction():
            await world.admin.execute("SELECT * FROM invoice_series FOR UPDATE")
            for worker in workers:
                worker.wake()
            async with asyncio.timeout(60):
                while await watcher.fetchval(WAITING_FOR_A_LOCK) < len(workers):
                    await asyncio.sleep(0.01)
        await watcher.close()
        await world.quiet()
        for _ in range(3):
            await asyncio.gather(*(service.work.idle() for service in (world.service, second, third)))
        await world.quiet()
        world.others.clear()
    rows = await world.admin.fetch("SELECT number, serial, source_key, transaction_id, issued_at FROM invoices ORDER BY serial")
    assert [row["serial"] for row in rows] == list(range(1, 61))
    assert len({row["source_key"] for row in rows}) == len({row["number"] for row in rows}) == 60
    assert [row["transaction_id"] for row in rows[1:]] == [5000 + n for n in range(1, 61) if n != 7], "in the order of billing"
    assert [row["issued_at"] for row in rows] == sorted(row["issued_at"] for row in rows)
    [left] = await world.admin.fetch("SELECT source_key, attempts, last_error FROM invoices_due")
    assert (left["source_key"], left["attempts"]) == ("wallet_7", 1)
    assert "NegativeQuantityError" in left["last_error"]
    await world.jump(360)
    assert world.metric("invoices_waiting") == 1
    # Mended, it gets the next number when it is due again.
    await world.admin.execute("UPDATE invoices_due SET supply = jsonb_set(supply, '{gst_paise}', '324')")
    await world.jump(1800)
    assert (await invoices(world))[-1]["number"].endswith("/0000061")
    await world.jump(120)
    assert world.metric("invoices_waiting") == 0


async def test_a_new_financial_year_begins_at_midnight_in_india_with_number_one(world: World) -> None:
    qr = await world.qr_code()
    midnight = datetime(2026, 3, 31, 18, 30, tzinfo=UTC)
    world.clock._elapsed += (midnight - timedelta(seconds=30) - world.now()).total_seconds()
    first = await billed(world, qr)
    await world.jump(60)
    await billed(world, qr)
    numbers = [(invoice["number"], invoice["invoice_date"], invoice["financial_year"]) for invoice in await invoices(world)]
    assert numbers == [("VL/2526/0000001", "2026-03-31", "2025-26"), ("VL/2627/0000001", "2026-04-01", "2026-27")]
    assert [invoice["qr_payment_id"] for invoice in await invoices(world, "?financial_year=2025-26")] == [first["id"]]


async def test_without_a_seller_bills_wait_and_lose_nothing(world: World) -> None:
    unnamed = world.settings.model_copy(update={"seller_gstin": None})
    assert isinstance(unnamed, PaymentsSettings)
    assert unnamed.seller is None
    await issuing(world.service).stop()
    qr = await world.qr_code()
    payment = await billed(world, qr)
    assert (payment["state"], payment["invoice_id"]) == ("BILLED", None)
    async with running_service(unnamed, world.clock) as other:
        world.others.append(other)
        issuing(other).wake()
        await world.quiet()
        world.others.clear()
    assert await invoices(world) == []
    await world.jump(400)
    assert world.metric("invoices_waiting") == 1
    await issuing(world.service).start()
    await world.jump(10)
    assert [invoice["qr_payment_id"] for invoice in await invoices(world)] == [payment["id"]]


async def test_the_database_itself_refuses_a_change_a_gap_and_lines_that_do_not_add_up(world: World) -> None:
    await billed(world, await world.qr_code())
    for statement in ("UPDATE invoices SET total_paise = 1", "UPDATE invoices SET seller_name = 'x'", "DELETE FROM invoices"):
        with pytest.raises(asyncpg.RestrictViolationError, match="credit note"):
            await world.admin.execute(statement)
    columns = [row["column_name"] for row in await world.admin.fetch(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'payments' AND table_name = 'invoices'"
    ) if row["column_name"] != "id"]  # fmt: skip

    async def copied(**changed: str) -> None:
        fresh = {
            "number": "'VL/x/3'",
            "serial": "2",
            "source_key": "'k'",
            "qr_payment_id": "null",
            "transaction_id": "1",
            **changed,
        }
        values = ", ".join(fresh.get(column, column) for column in columns)
        await world.admin.execute(f"INSERT INTO invoices ({', '.join(columns)}) SELECT {values} FROM invoices")  # noqa: S608

    with pytest.raises(asyncpg.CheckViolationError, match="has no number 2"):
        await copied(serial="3")
    for wrong in ({"total_paise": "total_paise + 1"}, {"cgst_paise": "541", "total_paise": "total_paise + 1"}):
        with pytest.raises(asyncpg.CheckViolationError):
            await copied(**wrong)
    with pytest.raises(asyncpg.CheckViolationError, match="number"):
        await copied(number="'VL/2627/000000042'")
    with pytest.raises(asyncpg.UniqueViolationError):
        await copied(source_key="source_key")
    await copied()


async def test_every_amount_can_be_asked_for_its_derivation(world: World) -> None:
    qr = await world.qr_code()
    payment = await world.payment(await world.pay(qr))
    await world.call("GET", f"/v1/payments/{payment['id']}/explanation", status=409)
    await world.announce(world.stopped(payment, 3329))
    payment = await world.payment(payment["razorpay_payment_id"])
    told = await world.call("GET", f"/v1/payments/{payment['id']}/explanation")
    amounts = {amount["name"]: amount for amount in told["amounts"]}
    bill = payment["bill"]
    assert {name: amount["paise"] for name, amount in amounts.items()} == {
        "paid": 10_000,
        **{name: bill[f"{name}_paise"] for name in ("energy_charge", "gst", "platform_fee", "refund", "residue", "shortfall")},
    }
    assert amounts["energy_charge"]["sources"]["energy_wh"] == f"transaction {payment['transaction_id']}"
    assert amounts["energy_charge"]["sources"]["tariff_paise_per_kwh"].startswith("tariff trf_1")
    event = await world.admin.fetchval("SELECT id FROM webhook_events WHERE event = 'qr_code.credited'")
    assert amounts["platform_fee"]["sources"]["provider_fee_paise"] == f"webhook event whe_{event}"
    session = told["session"]
    assert (session["meter_start_wh"], session["meter_stop_wh"], session["energy_wh"]) == (1000, 4329, 3329)
    assert session["tariff_effective_from"] is not None
    for words in ("₹100.00 were paid", "3.329 kWh at ₹18.00 a kWh make ₹59.92", "as its webhook told", "₹26.93, goes back"):
        assert words in told["paragraph"]

    [refund] = payment["refunds"]
    told = await world.call("GET", f"/v1/refunds/{refund['id']}/explanation")
    assert told["subject"] == refund["id"]
    assert f"{refund['id']} is of ₹26.93" in told["paragraph"]

    body = {"amount_paise": 1000, "reason": "The cable was too short.", "borne_by": "PLATFORM"}
    given = await world.call("POST", f"/v1/payments/{payment['id']}/refunds", json=body)
    told = await world.call("GET", f"/v1/refunds/{given['id']}/explanation")
    parts = {amount["name"]: amount["paise"] for amount in told["amounts"]}
    assert parts["refund"] == 1000 == parts["gst"] + parts["energy_charge"] + parts["goodwill"]
    assert told["amounts"][0]["sources"]["amount_paise"].endswith("The cable was too short.")

    told = await world.call("GET", f"/v1/invoices/{payment['invoice_id']}/explanation")
    assert {amount["name"]: amount["paise"] for amount in told["amounts"]}["round_off"] == -1
    assert "-₹0.01 is rounded off" in told["paragraph"]

    unserved = await world.payment(await world.pay(qr, 5_000))
    await world.announce(world.refused(unserved))
    told = await world.call("GET", f"/v1/payments/{unserved['id']}/explanation")
    assert {amount["name"]: amount["paise"] for amount in told["amounts"]} == {
        "paid": 5_000, "platform_fee": 0, "refund": 5_000, "residue": 0,
    }  # fmt: skip
    assert "The charger is offline." in told["paragraph"]
    assert told["session"] is None
    await world.call("GET", "/v1/payments/qrp_99/explanation", status=404)
    await world.call("GET", f"/v1/payments/{payment['id']}/explanation", role=Role.GUEST, status=403)
