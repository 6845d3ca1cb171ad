"""`voltlync books verify` through the door, over sessions that happened: it agrees, and names whatever was tampered with."""

import copy
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import asyncpg
import pytest
from typer.testing import CliRunner

from settlement.domain.statement import day_of
from tests.e2e.accounts import accounted_for, given_back
from tests.e2e.world import World
from voltlync.books.records import Records, read_records
from voltlync.books.run import door, verified
from voltlync.books.verify import Verdict, Verifier
from voltlync.cli import app
from voltlync.world import Refused

Seed = Callable[[Records], object]


def silent(_line: str) -> None:
    """Nobody reads along."""


async def read(world: World) -> Records:
    return await read_records(lambda path: world.api("GET", path, role="finance"), silent, from_=None, to=soon(world))


def soon(world: World) -> Any:
    return world.clock.now() + timedelta(seconds=1)


def first_difference(records: Records, world: World) -> str:
    differences = Verifier(records, from_=None, to=soon(world)).verdict().differences
    return str(differences[0]) if differences else "none"


async def verify(world: World) -> tuple[list[str], list[str]]:
    """(what differs, what was said)."""
    said: list[str] = []
    verdict = await verified(lambda path: world.api("GET", path, role="finance"), said.append, from_=None, to=soon(world))
    return [str(difference) for difference in verdict.differences], said


async def play(world: World) -> dict[str, Any]:
    """A payment given back, and a session served and paid out: its payment."""
    site = await world.open_site(rated_power_w=60_000)
    unserved = world.pay(site, 5_000)
    await world.rest()
    await world.pass_seconds(125)
    await given_back(world, unserved, reason="NOT_PLUGGED_IN")
    await site.point.plug()
    paid = world.pay(site, 10_000)
    await world.rest()
    await world.pass_seconds(111)
    await site.point.unplug()
    return await accounted_for(world, site, paid)


def of(records: Records, name: str, key: str, value: Any) -> dict[str, Any]:
    """The one record of a list."""
    (found,) = [item for item in getattr(records, name) if item[key] == value]
    assert isinstance(found, dict)
    return found


async def read_statement(world: World, served: dict[str, Any]) -> dict[str, Any]:
    """Razorpay settles our balance, and its statement is read: of the payment it took 2.95, not 2.36. The settlement."""
    row = next(entry for entry in world.razorpay.state.entries if entry.entity_id == served["razorpay_payment_id"])
    row.fee, row.tax, row.credit = 295, 45, row.amount - 295
    own = world.razorpay.settle_own()
    assert own is not None
    world.razorpay.add_funds(own["amount"])  # what other diaries live on
    await world.rest()
    today = str(day_of(world.clock.now()))
    await world.api("POST", "/v1/reconciliations", {"from": today, "to": today}, role="finance")
    await world.rest()
    return own


async def test_the_books_agree_and_every_seeded_error_is_named(world: World) -> None:
    served = await play(world)
    different, said = await verify(world)
    assert different == []
    assert said[-1].startswith("The books agree: ")
    assert any(line.startswith("Nodal balance") for line in said)
    assert "Razorpay's statement: no row of it was read yet." in said
    await agree_from_any_time_on(world, served)
    own = await read_statement(world, served)
    different, said = await verify(world)
    assert different == []
    nodal = next(line for line in said if line.startswith("Nodal balance by it: "))
    balances = [words.split(",")[0].removesuffix(".") for words in nodal.split(": ")[1].split("say ")]
    assert balances[0] == balances[1], said

    qrp, txn, bill = served["id"], served["transaction_id"], served["bill"]
    number, rfd = qrp.removeprefix("qrp_"), served["refunds"][0]["id"]
    records = await read(world)
    entry = of(records, "entries", "transaction_id", txn)
    booked = {journal["key"]: journal for journal in records.journals}
    captured, billed = booked[f"payment/{number}/captured"], booked[f"payment/{number}/billed"]

    def payment(changed: Records) -> dict[str, Any]:
        return of(changed, "payments", "id", qrp)

    def drop(changed: Records, key: str) -> None:
        changed.journals = [journal for journal in changed.journals if journal["key"] != key]

    def posting(changed: Records, key: str, by: int) -> None:
        journal = of(changed, "journals", "key", key)
        for line in journal["postings"][:2]:
            side = "debit_paise" if line["debit_paise"] else "credit_paise"
            line[side] += by

    def again(changed: Records) -> None:
        payment(changed)["refunds"].append({**served["refunds"][0], "id": "rfd_9999", "razorpay_refund_id": "rfnd_again"})

    def twice_at_razorpay(changed: Records) -> None:
        event = next(
            event
            for event in changed.webhook_events
            if event["event"] == "refund.processed"
            and event["figures"][0]["razorpay_payment_id"] == served["razorpay_payment_id"]
        )
        figure = {**event["figures"][0], "razorpay_id": "rfnd_other"}
        changed.webhook_events.append({**event, "id": "whe_9999", "figures": [figure]})

    def invoice_of(changed: Records) -> dict[str, Any]:
        return of(changed, "invoices", "transaction_id", txn)

    def claim_of(changed: Records) -> dict[str, Any]:
        return of(changed, "transfers", "id", entry["transfer_id"])

    def other_owner(changed: Records) -> None:
        """Another franchisee with the same terms: every figure is right, and so is every journal."""
        changed.terms["frn_9999"] = changed.terms[entry["franchisee_id"]]
        changed.business_types["frn_9999"] = changed.business_types[entry["franchisee_id"]]
        of(changed, "entries", "transaction_id", txn).update(franchisee_id="frn_9999")

    def row(changed: Records, razorpay_id: str, by: int = 0, **values: Any) -> dict[str, Any]:
        """A row of the statement, with so much more of what it moved."""
        found = of(changed, "statement_rows", "razorpay_id", razorpay_id)
        side = "debit_paise" if found["debit_paise"] else "credit_paise"
        found.update({side: found[side] + by, **values})
        return found

    def stranger(changed: Records) -> None:
        known = of(changed, "statement_rows", "razorpay_id", served["razorpay_payment_id"])
        changed.statement_rows.append({**known, "id": "row_9999", "razorpay_id": "pay_other", "payment_id": "pay_other"})

    refund, transfer = served["refunds"][0]["razorpay_refund_id"], entry["razorpay_transfer_id"]
    taken = bill["refund_paise"]
    charge, gst = bill["energy_charge_paise"], bill["gst_paise"]
    seeds: dict[str, tuple[Seed, str]] = {
        "a posting of a capture": (
            lambda changed: posting(changed, captured["key"], 7),
            f"{captured['id']} ({captured['key']}): has nodal debited 9771; {qrp} makes it nodal debited 9764",
        ),
        "a posting that unbalances": (
            lambda changed: of(changed, "journals", "key", billed["key"])["postings"][0].update(debit_paise=10_007),
            f"{billed['id']} ({billed['key']}): its debits exceed its credits by 7 paise",
        ),
        "a missing journal": (
            lambda changed: drop(changed, billed["key"]),
            f"journal {billed['key']}: is not in the books; {qrp} makes it rider_held debited 10000",
        ),
        "a journal of nothing": (
            lambda changed: changed.journals.append(
                {**captured, "key": "payment/99999/captured", "id": "jnl_9", "subject": "qrp_99999"}
            ),
            "jnl_9 (payment/99999/captured): is in the books; no record bears it out",
        ),
        "a wrong bill": (
            lambda changed: payment(changed)["bill"].update(energy_charge_paise=charge + 5, gst_paise=gst - 5),
            f"bill of {qrp}: energy_charge_paise is {charge + 5}; {bill['energy_wh']} Wh at 1800 paise/kWh of {txn}",
        ),
        "more energy": (
            lambda changed: changed.transactions[txn].update(energy_wh=bill["energy_wh"] + 1000),
            f"bill of {qrp}: energy_charge_paise is {charge}; {bill['energy_wh'] + 1000} Wh",
        ),
        "another amount paid": (
            lambda changed: payment(changed).update(amount_paise=10_001),
            f"{qrp}: says that 10001 paise were paid; Razorpay's whe_",
        ),
        "another fee": (
            lambda changed: payment(changed).update(platform_fee_paise=235),
            f"{qrp}: says that the fee is 235 paise; Razorpay's whe_",
        ),
        "no webhook of a payment": (
            lambda changed: changed.webhook_events.clear(),
            "no webhook event of it is kept",
        ),
        "a refund twice": (again, f"rfd_9999: gave 5835 paise back; 5835 paise were due back of {qrp}, and 5835 had gone before"),
        "a refund twice, at Razorpay": (
            twice_at_razorpay,
            f"whe_9999: tells of rfnd_other, 5835 paise; {qrp} has no such refund",
        ),
        "a refund of another amount": (
            lambda changed: payment(changed)["refunds"][0].update(amount_paise=5_000),
            f"{rfd}: is of 5000 paise; Razorpay's whe_",
        ),
        "another commission": (
            lambda changed: of(changed, "entries", "transaction_id", txn).update(commission_paise=1, payout_paise=2),
            f"{entry['id']}: commission_paise is 1; the bill and terms of {entry['franchisee_id']} make it",
        ),
        "a split that is not there": (
            lambda changed: setattr(changed, "entries", [item for item in changed.entries if item["transaction_id"] != txn]),
            f"bill of {qrp}: is {entry['franchisee_id']}'s session {txn}; it has no ledger entry",
        ),
        "a transfer of another amount": (
            lambda changed: claim_of(changed).update(amount_paise=1),
            f"{entry['transfer_id']}: is of 1 paise; the entries that it pays are {entry['payout_paise']} paise",
        ),
        "a transfer that failed": (
            lambda changed: claim_of(changed).update(status="FAILED"),
            f"transfer/{entry['transfer_id'].removeprefix('xfr_')}/claimed): is in the books; no record bears it out",
        ),
        "a payout in two transfers": (
            lambda changed: changed.transfers.append({**claim_of(changed), "id": "xfr_9999"}),
            f"xfr_9999: pays {entry['id']}; {entry['transfer_id']} has done so",
        ),
        "a session booked for another franchisee": (
            lambda changed: other_owner(changed),
            f"{entry['id']}: is frn_9999's; the bill of {qrp} is {entry['franchisee_id']}'s",
        ),
        "a payment that was heard of and lost": (
            lambda changed: changed.payments_known.remove(served["razorpay_payment_id"]),
            f"tells of {served['razorpay_payment_id']}, 10000 paise paid; there is no payment of it",
        ),
        "a session without an invoice": (
            lambda changed: changed.invoices.remove(invoice_of(changed)),
            f"bill of {qrp}: is of {txn}; it has no invoice",
        ),
        "an invoice twice": (
            lambda changed: changed.invoices.append({**invoice_of(changed), "id": "inv_9999"}),
            f"bill of {qrp}: is of {txn}; it has 2: ",
        ),
        "an invoice of another tax": (
            lambda changed: invoice_of(changed).update(cgst_paise=1, sgst_paise=1),
            f"cgst_paise is 1; the bill of {qrp} makes it {(gst + 1) // 2}",
        ),
        "an invoice with IGST within a state": (
            lambda changed: invoice_of(changed).update(
                interstate=True, igst_paise=gst, cgst_paise=0, sgst_paise=0, round_off_paise=0
            ),
            "interstate is True; it was supplied in 29 by a seller of 29",
        ),
        "a tax that was booked otherwise": (
            lambda changed: invoice_of(changed).update(gst_paise=gst - 1),
            f"its GST is {gst - 1}; {billed['id']} ({billed['key']}) books {gst} as GST collected",
        ),
        "a number that is missing": (
            lambda changed: [item.update(number=f"{item['number'][:-1]}9") for item in changed.invoices[-1:]],
            "has this number; VL/",
        ),
        "a payment of another amount in the statement": (
            lambda changed: row(changed, served["razorpay_payment_id"], 7, amount_paise=10_007),
            f"({served['razorpay_payment_id']}): is of 10007 paise; {qrp} says 10000 paise",
        ),
        "a payment of another fee in the statement": (
            lambda changed: row(changed, served["razorpay_payment_id"], 59, fee_paise=236, tax_paise=36),
            f"moved our balance by 9764 paise, 236 paise of them Razorpay's fee; the books moved it by 9705 paise for {qrp}",
        ),
        "a correction that is not booked": (
            lambda changed: drop(changed, f"payment/{number}/fee_corrected/1"),
            f"moved our balance by 9705 paise, 295 paise of them Razorpay's fee; the books moved it by 9764 paise for {qrp}",
        ),
        "a payment that nobody here knows": (
            stranger,
            "row_9999 (pay_other): tells of pay_other, 10000 paise; no record of ours has it",
        ),
        "a refund of another amount in the statement": (
            lambda changed: row(changed, refund, 1, amount_paise=taken + 1),
            f"({refund}): is of {taken + 1} paise; {rfd} says {taken} paise",
        ),
        "a speedy refund's charge that is not booked": (
            lambda changed: row(changed, refund, 590, fee_paise=590, tax_paise=90),
            f"{-taken - 590} paise, 590 paise of them Razorpay's fee; the books moved it by {-taken} paise for {rfd}",
        ),
        "a transfer of another fee in the statement": (
            lambda changed: row(changed, transfer, 3),
            f"({transfer}): moved our balance by",
        ),
        "a settlement that is not its rows": (
            lambda changed: of(changed, "settlements", "id", own["id"]).update(amount_paise=own["amount"] + 5),
            f"{own['id']}: is of {own['amount'] + 5} paise; its rows in Razorpay's statement add up to {own['amount']} paise",
        ),
        "a settlement that nobody told of": (
            lambda changed: setattr(changed, "settlements", [one for one in changed.settlements if one["id"] != own["id"]]),
            f"was settled by {own['id']}, {own['amount']} paise; no settlement of ours is that",
        ),
        "a balance": (
            lambda changed: changed.trial["accounts"][0].update(debit_paise=1),
            "account nodal: its balance moved by",
        ),
    }
    for name, (seed, words) in seeds.items():
        changed = copy.deepcopy(records)
        seed(changed)
        assert words in first_difference(changed, world), name
    assert first_difference(records, world) == "none"
    await found_in_the_tables(world, served)
    await found_at_razorpay(world, served)


async def agree_from_any_time_on(world: World, served: dict[str, Any]) -> None:
    """A part of the time is compared with a part of the books: nothing is missed or too much at either end."""

    def verdict_of(from_: datetime | None, to: datetime) -> Awaitable[Verdict]:
        return verified(lambda path: world.api("GET", path, role="finance"), silent, from_=from_, to=to)

    whole = await verdict_of(None, soon(world))
    times = (served["received_at"], served["bill"]["billed_at"], served["refunds"][0]["processed_at"])
    for at in map(datetime.fromisoformat, times):
        earlier, later = await verdict_of(None, at), await verdict_of(at, soon(world))
        assert earlier.differences == later.differences == [], at
        assert 0 < later.journals < whole.journals
        assert earlier.journals + later.journals == whole.journals
        assert earlier.postings + later.postings == whole.postings


POSTINGS = """UPDATE settlement.postings p
    SET debit_paise = debit_paise + $2 * (debit_paise > 0)::int, credit_paise = credit_paise + $2 * (credit_paise > 0)::int
    FROM settlement.journals j WHERE j.id = p.journal_id AND j.key = $1 AND p.line IN (1, 2)"""
BILL = "UPDATE payments.bills SET gst_paise = gst_paise - $2, refund_paise = refund_paise + $2 WHERE qr_payment_id = $1"


async def found_in_the_tables(world: World, served: dict[str, Any]) -> None:
    """An administrator's hand, past the triggers, is found by name; undone, the books agree again."""
    number = int(served["id"].removeprefix("qrp_"))
    billed, refunded = f"payment/{number}/billed", f"refund/{served['refunds'][0]['id'].removeprefix('rfd_')}/processed"
    admin = await asyncpg.connect(world.dsn)
    try:
        # Triggers don't fire for a replication role: the one hand that can change the books.
        await admin.execute("SET session_replication_role = replica")
        for statement, key, words in (
            (POSTINGS, billed, f"({billed}): has energy_revenue"),
            (BILL, number, f"bill of qrp_{number}: gst"),
        ):
            await admin.execute(statement, key, 7)
            different, said = await verify(world)
            assert words in different[0]
            assert any(line.startswith("DIFFERS  ") and words in line for line in said)
            await admin.execute(statement, key, -7)
        gone = await admin.fetchrow("DELETE FROM settlement.journals WHERE key = $1 RETURNING *", refunded)
        assert f"journal {refunded}: is not in the books" in (await verify(world))[0][0]
        await admin.copy_records_to_table("journals", schema_name="settlement", records=[tuple(gone)])
        assert (await verify(world))[0] == []
    finally:
        await admin.close()


async def found_at_razorpay(world: World, served: dict[str, Any]) -> None:
    """Somebody gives money back in Razorpay's dashboard, beside the refund that we made."""
    settings = world.razorpay.settings
    by_key = aiohttp.encode_basic_auth(settings.key_id, settings.key_secret)
    async with aiohttp.ClientSession(headers={"Authorization": by_key}) as http:
        path = f"{world.razorpay.base_url}/v1/payments/{served['razorpay_payment_id']}/refund"
        async with http.post(path, json={"amount": 1000}) as answer:
            assert answer.status == 200, await answer.text()
            by_hand = (await answer.json())["id"]
    await world.pass_seconds(30)
    (different,) = (await verify(world))[0]
    assert f"tells of {by_hand}, 1000 paise; {served['id']} has no such refund" in different
    # It never was: the world is checked once more when all diaries are told.
    admin = await asyncpg.connect(world.dsn)
    await admin.execute("DELETE FROM payments.webhook_events WHERE convert_from(body, 'UTF8') LIKE '%' || $1 || '%'", by_hand)
    await admin.close()


async def test_the_command_reads_the_door_with_a_token_of_finance(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOLTLYNC_TOKEN", await world.token("finance"))
    async with door(world.door) as get:
        assert (await get("/v1/books/trial-balance"))["balanced"]
    monkeypatch.setenv("VOLTLYNC_TOKEN", await world.token("operator"))
    async with door(world.door) as get:
        with pytest.raises(Refused, match="403"):
            await get("/v1/books/trial-balance")


@pytest.mark.parametrize("words", ["yesterday", "2026-13-01"])
def test_a_time_that_is_none_is_refused(words: str) -> None:
    outcome = CliRunner().invoke(app, ["books", "verify", "--from", words])
    assert outcome.exit_code == 2
    assert "is no time" in outcome.output
