"""Where is my money: summary, payouts, UTR look-up and the month's statement in four forms, over the real parts."""

import csv
import io
from decimal import Decimal
from typing import Any

import openpyxl
from pypdf import PdfReader

from chassis.web import Principal, Role

from .conftest import World

HOSTILE = "=SUM(A1:A9) Volts"
TOTALS = (
    "opening", "gross", "refund", "residue", "pg_fee", "gst", "commission", "tds", "earned", "corrections", "paid", "closing",
)  # fmt: skip


async def fetch(world: World, path: str, *, franchisee_id: int | None = None, status: int = 200) -> bytes:
    """A file as the franchisee, or as finance."""
    role = Role.FRANCHISEE if franchisee_id is not None else Role.FINANCE
    principal = Principal("someone|1", frozenset({role}), franchisee_id=franchisee_id)
    headers = world.signer.headers(principal, audience="settlement", method="GET", path=path, now=world.clock.now())
    async with world.http.get(f"{world.service.web.url}{path}", headers=headers) as answer:
        body = await answer.read()
        assert answer.status == status, body
        return body


async def date_back(world: World) -> None:
    """What was booked and paid so far was so in December: months do not pass in a test, each sweep on the way would."""
    for statement in ("ledger_entries SET created_at = created_at", "transfers SET settled_at = settled_at"):
        await world.admin.execute(f"UPDATE settlement.{statement} - interval '10 days'")


def of_csv(body: bytes) -> dict[str, int]:
    lines = csv.DictReader(io.StringIO(body.decode()))
    return {line["reference"]: int(Decimal(line["amount_inr"]) * 100) for line in lines if line["record"] == "TOTAL"}


def of_xlsx(body: bytes) -> dict[str, int]:
    sheet = openpyxl.load_workbook(io.BytesIO(body))["Summary"]
    # A number of two decimals survives the double that the format stores: repr gives back the very digits.
    found = {}
    for _, amount, name in sheet.iter_rows(values_only=True, max_col=3):
        if name in TOTALS:
            assert isinstance(amount, int | float)
            found[name] = int((Decimal(repr(amount)) * 100).to_integral_exact())
    return found


def of_pdf(body: bytes) -> list[str]:
    return [page.extract_text() for page in PdfReader(io.BytesIO(body)).pages]


def pdf_amount(paise: int) -> str:
    whole, rest = divmod(abs(paise), 100)
    grouped = f"{whole:,}" if whole < 100_000 else f"{whole // 100_000},{whole % 100_000 // 1000:02d},{whole % 1000:03d}"
    return f"{'-' if paise < 0 else ''}₹{grouped}.{rest:02d}"


async def test_a_month_has_the_same_totals_in_every_form_and_stays_once_closed(world: World) -> None:
    mine = await world.franchisee(1, legal_business_name=HOSTILE, tds_bps=None)
    theirs = await world.franchisee(2)
    account = await world.account_of(mine)
    bills = [world.bill(mine, energy_wh=1000 + 777 * number) for number in range(4)] + [world.bill(theirs)]
    for bill in bills:
        await world.publish(bill)
    await world.settle()
    settlement = world.sandbox.settle(account)[0]
    await world.settle()
    # One session more that month, which is not paid in it.
    late = world.bill(mine, paid_paise=50_000)
    await world.publish(late)
    await world.settle()
    path = f"/v1/franchisees/frn_{mine}/statements"
    await date_back(world)

    shown = await world.call("GET", f"{path}/2025-12")
    entries = [await world.entry(bill) for bill in [*bills[:4], late]]
    earned = sum(entry["payout_paise"] for entry in entries)
    paid = sum(entry["payout_paise"] for entry in entries[:4])
    assert (shown["closed"], shown["opening_paise"], shown["earned_paise"], shown["paid_paise"]) == (True, 0, earned, paid)
    assert shown["closing_paise"] == earned - paid > 0
    assert shown["sessions"]["sessions"] == 5
    assert [(item["utr"], item["transfers"], item["amount_paise"]) for item in shown["payments"]] == [
        (settlement["utr"], 4, paid)
    ]
    assert [(item["section"], item["tds_bps"]) for item in shown["taxes"]] == [("Income-tax Act 1961, s.194-O", 10)]
    assert shown["taxes"][0]["tds_paise"] == sum(entry["tds_paise"] for entry in entries)

    forms = {ending: await fetch(world, f"{path}/2025-12.{ending}", franchisee_id=mine) for ending in ("csv", "xlsx", "pdf")}
    totals = {line["name"]: line["paise"] for line in shown["lines"]}
    assert tuple(totals) == TOTALS
    assert of_csv(forms["csv"]) == totals
    assert of_xlsx(forms["xlsx"]) == totals
    pages = of_pdf(forms["pdf"])
    first = " ".join(pages[0].split())
    for line in shown["lines"]:
        assert f"{line['words']} {pdf_amount(line['paise'])}" in first, line
    assert "December 2025" in pages[0]
    assert settlement["utr"] in pages[0]
    assert str(late.transaction_id) in "".join(pages)

    # What somebody calls himself is no formula, and what is personal is masked.
    rows = list(csv.DictReader(io.StringIO(forms["csv"].decode())))
    assert rows[0]["description"] == f"'{HOSTILE}"
    assert [row["reference"] for row in rows if row["record"] == "SESSION"] == [entry["id"] for entry in entries]
    summary = openpyxl.load_workbook(io.BytesIO(forms["xlsx"]))["Summary"]
    assert (summary["B2"].data_type, summary["B2"].value) == ("s", f"'{HOSTILE}")
    for form in (forms["csv"].decode(), str([cell.value for row in summary for cell in row]), "".join(pages)):
        assert "AAACL1234C" not in form
        assert "1234567890123456" not in form

    # A later month's payment and session change nothing in a closed one, and go on from its closing balance.
    world.sandbox.settle(account)
    await world.publish(world.bill(mine, energy_wh=5000))
    await world.settle()
    await world.pass_time(60)
    assert await world.call("GET", f"{path}/2025-12") == shown
    for ending, body in forms.items():
        again = await fetch(world, f"{path}/2025-12.{ending}", franchisee_id=mine)
        assert again == body if ending != "xlsx" else of_xlsx(again) == totals, ending
    following = await world.call("GET", f"{path}/2026-01")
    assert (following["opening_paise"], following["closed"]) == (shown["closing_paise"], False)
    assert following["paid_paise"] == shown["closing_paise"]
    assert following["sessions"]["sessions"] == 1
    await world.call("GET", f"{path}/2026-02", status=422)
    await world.call("GET", f"{path}/2026-13", status=422)
    before = await world.call("GET", f"{path}/2025-11")
    assert (before["closing_paise"], before["payments"], before["places"]) == (0, [], [])


async def test_summary_payouts_and_utr_say_where_the_money_is(world: World) -> None:
    mine = await world.franchisee(1)
    bills = [world.bill(mine), world.bill(mine, energy_wh=2000), world.bill(mine, implausible=True)]
    tiny = world.bill(mine, energy_wh=10, tariff_paise_per_kwh=1000)
    for bill in bills[:1]:
        await world.publish(bill)
    await world.settle()
    settlement = world.sandbox.settle(await world.account_of(mine))[0]
    await world.settle()
    for bill in (*bills[1:], tiny):
        await world.publish(bill)
    await world.settle()
    first, second, doubtful, small = [await world.entry(bill) for bill in (*bills, tiny)]

    async def see(path: str, **options: Any) -> Any:
        return await world.call("GET", path, role=Role.FRANCHISEE, franchisee_id=mine, **options)

    base = f"/v1/franchisees/frn_{mine}"
    summary = await see(f"{base}/summary")
    assert (summary["first_day"], summary["last_day"]) == ("2026-01-01", "2026-01-05")
    assert summary["sessions"] == 4
    assert summary["payout_paise"] == sum(entry["payout_paise"] for entry in (first, second, doubtful, small))
    assert summary["paid_paise"] == first["payout_paise"]
    assert summary["balance_paise"] == summary["payout_paise"] - summary["paid_paise"]
    # The tiny one waits, or went along: wherever it is, everything that is owed is somewhere.
    assert summary["in_transfer_paise"] + summary["on_hold_paise"] + summary["carried_paise"] == summary["balance_paise"]
    assert [(item["status"], item["amount_paise"]) for item in summary["on_hold"]] == [("ON_HOLD", doubtful["payout_paise"])]
    assert summary["on_hold"][0]["words"] == doubtful["hold_reason"]
    # Monday 5 January: T+2 working days are Wednesday.
    assert (summary["next_expected"]["status"], summary["next_expected"]["expected_on"]) == ("EXPECTED", "2026-01-07")
    assert "by Wed 7 Jan 2026" in summary["next_expected"]["words"]

    payouts = await see(f"{base}/payouts")
    assert [(item["status"], item["utr"], item["amount_paise"]) for item in payouts["items"]] == [
        ("PAID", settlement["utr"], first["payout_paise"])
    ]
    assert {item["status"] for item in payouts["expected"]} >= {"EXPECTED", "ON_HOLD"}
    found = await see(f"/v1/payouts?utr={settlement['utr']}")
    assert [(item["ledger_entry_id"], item["transaction_id"], item["amount_paise"]) for item in found["items"]] == [
        (first["id"], first["transaction_id"], first["payout_paise"])
    ]
    daily = await see(f"{base}/daily?from=2026-01-01&to=2026-01-10")
    assert [day["day"] for day in daily["days"]][::9] == ["2026-01-01", "2026-01-10"]
    assert [day["sessions"] for day in daily["days"]] == [0, 0, 0, 0, 4, 0, 0, 0, 0, 0]
    assert sum(day["payout_paise"] for day in daily["days"]) == summary["payout_paise"]
    assert sum(day["paid_paise"] for day in daily["days"]) == summary["paid_paise"]
    for query in ("from=2026-01-10&to=2026-01-01", "from=2020-01-01", "from=soon"):
        await see(f"{base}/daily?{query}", status=422)


async def test_anothers_money_does_not_exist_on_any_route_and_every_amount_explains_itself(world: World) -> None:
    mine, theirs = await world.franchisee(1), await world.franchisee(2)
    bills = [world.bill(mine), world.bill(theirs)]
    for bill in bills:
        await world.publish(bill)
    await world.settle()
    banked = [world.sandbox.settle(await world.account_of(number))[0] for number in (mine, theirs)]
    await world.settle()
    entries = [await world.entry(bill) for bill in bills]

    def routes(number: int) -> list[str]:
        owner = f"/v1/franchisees/frn_{(mine, theirs)[number]}"
        entry, settlement = entries[number], banked[number]
        return [
            f"{owner}/summary",
            f"{owner}/daily",
            f"{owner}/payouts",
            *(f"{owner}/statements/2026-01{ending}" for ending in ("", ".csv", ".xlsx", ".pdf")),
            f"/v1/ledger-entries/{entry['id']}/explanation",
            f"/v1/transfers/{entry['transfer_id']}/explanation",
            f"/v1/settlements/{settlement['id']}/explanation",
        ]

    for path in routes(0):
        await fetch(world, path, franchisee_id=mine)
        await fetch(world, path)
        await world.call("GET", path, role=Role.RIDER, status=403)
        await world.call("GET", path, role=Role.FRANCHISEE, status=404)
    for path in routes(1):
        await world.call("GET", path, role=Role.FRANCHISEE, franchisee_id=mine, status=404)
    utrs = [f"/v1/payouts?utr={item['utr']}" for item in banked]
    found = [await world.call("GET", path, role=Role.FRANCHISEE, franchisee_id=mine) for path in utrs]
    assert [len(page["items"]) for page in found] == [1, 0]
    assert (await world.call("GET", utrs[0], role=Role.FRANCHISEE))["items"] == []
    assert len((await world.call("GET", utrs[1], role=Role.FINANCE))["items"]) == 1

    explained = await world.call("GET", routes(0)[-3])
    amounts = {item["name"]: item["paise"] for item in explained["amounts"]}
    assert all(amounts[name] == entries[0][f"{name}_paise"] for name in amounts if name != "net")
    assert explained["paragraph"] == (
        "₹100.00 came in. The session cost ₹73.15, so ₹26.85 goes back to the rider. Nothing is left over below ₹1.00. "
        "Razorpay's fee in the bill is ₹2.36, as Razorpay told it with the payment. GST on the energy is ₹10.80 and goes to the "
        "state. That leaves ₹59.99 for the energy itself. The commission is 10 % of it: ₹6.00. Income tax withheld (Income-tax "
        "Act 1961, s.194-O) is 0.1 % of the energy: ₹0.06. The rest, ₹53.93, is yours. Razorpay settled it to the bank with "
        f"{banked[0]['id']} under the reference (UTR) {banked[0]['utr']}."
    )
    transfer = await world.call("GET", routes(0)[-2])
    assert [(item["name"], item["formula"], item["paise"]) for item in transfer["amounts"]] == [
        ("amount", entries[0]["id"], 5_393),
        ("fee", "fee_without_gst_paise + fee_gst_paise", entries[0]["transfer_fee_paise"]),
    ]
    settled = await world.call("GET", routes(0)[-1])
    assert settled["amounts"][0]["inputs"] == {"transfers_paise": 5_393, "other_paise": 0, "transfers": 1}
    assert banked[0]["utr"] in settled["paragraph"]
    await world.call("GET", "/v1/ledger-entries/led_999/explanation", status=404)
