"""TDS by dated rules: resolved at the session's start, kept in the entry, exact over a financial year."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from chassis.web import Role
from contracts.settlement import AuditRecorded
from settlement.usecases.check_books import check_books

from .conftest import World

SEEDED = 8
BY_RULE: dict[str, Any] = {"tds_bps": None}


async def test_the_rule_of_the_day_is_kept_in_the_entry_and_terms_win(world: World) -> None:
    firm = await world.franchisee(1, **BY_RULE)
    nameless = await world.franchisee(2, **BY_RULE, pan=None)
    agreed = await world.franchisee(3, tds_bps=200, tds_base="NET_LESS_COMMISSION")
    days = [datetime(2024, 9, 30, 18, 0, tzinfo=UTC), datetime(2024, 9, 30, 18, 30, tzinfo=UTC)]
    days.append(datetime(2026, 3, 31, 18, 30, tzinfo=UTC))
    bills = [world.bill(firm, started_at=day) for day in days] + [world.bill(nameless), world.bill(agreed)]
    for bill in reversed(bills):
        await world.publish(bill)
    await world.settle()
    entries = [await world.entry(bill) for bill in bills]
    # 59.99 of energy: 1 % until September 2024, 0.1 % since October (IST), 5 % without PAN, and what was agreed.
    assert [entry["tds_bps"] for entry in entries] == [100, 10, 10, 500, 200]
    assert [entry["tds_paise"] for entry in entries] == [60, 6, 6, 300, 108]
    assert [entry["tds_section"] for entry in entries] == [
        "Income-tax Act 1961, s.194-O",
        "Income-tax Act 1961, s.194-O",
        "Income-tax Act 2025 (was s.194-O)",
        "Income-tax Act 1961, s.194-O with s.206AA",
        "Income-tax Act 1961, s.194-O",
    ]
    assert [entry["tax_rule_id"] for entry in entries] == ["txr_1", "txr_4", "txr_6", "txr_3", None]
    assert {entry["fee_source"] for entry in entries} == {"WEBHOOK"}
    await check_books(world.service.app)
    assert world.service.app.metrics.books_differences.collect()[0].samples[0].value == 0
    await world.admin.execute("UPDATE settlement.ledger_entries SET tax_rule_id = 6 WHERE tax_rule_id = 4")
    await check_books(world.service.app)
    assert world.service.app.metrics.books_differences.collect()[0].samples[0].value == 1


async def test_finance_adds_rules_for_days_to_come_and_never_changes_one(world: World) -> None:
    tomorrow = (world.clock.now() + timedelta(days=1, hours=6)).date()
    rule = {"section": "s.393(1)", "rate_bps": 20, "with_pan": True, "effective_from": str(tomorrow)}

    async def add(status: int, role: Role = Role.FINANCE, **changes: Any) -> Any:
        return await world.call("POST", "/v1/tax-rules", role=role, json={**rule, **changes}, status=status)

    try:
        await add(403, role=Role.FRANCHISEE)
        await add(403, role=Role.OPERATOR)
        await add(422, effective_from=str(world.clock.now().date() - timedelta(days=1)))
        await add(422, business_types=[])
        made = await add(201)
        await add(409)
        await add(201, business_types=["trust"], annual_threshold_paise=100)
        franchisee_id = await world.franchisee(1, **BY_RULE)
        today = world.bill(franchisee_id)
        later = world.bill(franchisee_id, started_at=datetime.combine(tomorrow, datetime.min.time(), tzinfo=UTC))
        for bill in (later, today):
            await world.publish(bill)
        await world.settle()
        assert (await world.entry(today))["tds_bps"] == 10
        assert [(entry["tds_bps"], entry["tds_section"]) for entry in [await world.entry(later)]] == [(20, "s.393(1)")]
        listed = await world.call("GET", "/v1/tax-rules?limit=3", role=Role.FRANCHISEE, franchisee_id=franchisee_id)
        rest = await world.call("GET", f"/v1/tax-rules?cursor={listed['next_cursor']}")
        days = [item["effective_from"] for item in listed["items"] + rest["items"]]
        assert (len(listed["items"]), len(days)) == (3, SEEDED + 2)
        assert days == sorted(days, reverse=True)
        assert made["id"] in [item["id"] for item in rest["items"]]
        assert "tax_rule" in {record.entity for record in await world.said(AuditRecorded)}
    finally:
        await world.admin.execute("UPDATE settlement.ledger_entries SET tax_rule_id = NULL")
        await world.admin.execute("DELETE FROM settlement.tax_rules WHERE id > $1", SEEDED)


async def test_a_person_pays_nothing_up_to_five_lakh_a_year_and_then_on_all_of_it(world: World) -> None:
    """The session that passes ₹5,00,000 makes up for the year; a repeated bill counts once, in any order and crowd."""
    person = await world.franchisee(1, **BY_RULE, business_type="individual", pan=None)
    # Before the rule had to look at the year there were entries: they count.
    bills = [world.bill(person, energy_wh=10_000_000, tariff_paise_per_kwh=1000, paid_paise=12_500_000) for _ in range(5)]
    last_year = world.bill(person, energy_wh=10_000_000, tariff_paise_per_kwh=1000, paid_paise=12_500_000)
    last_year = last_year.model_copy(update={"started_at": datetime(2025, 3, 31, 18, 29, tzinfo=UTC)})
    await asyncio.gather(*(world.publish(bill) for bill in (last_year, *bills, bills[0])))
    await world.settle()
    entries = sorted([await world.entry(bill) for bill in bills], key=lambda entry: int(entry["id"].removeprefix("led_")))
    # Each is ₹1,00,000 of energy, ₹1,18,002.36 billed: the fifth passes ₹5,00,000, and 0.1 % of ₹5,00,000 is ₹500.
    assert [entry["tds_paise"] for entry in entries] == [0, 0, 0, 0, 50_000]
    assert [entry["tds_year_sales_paise"] for entry in entries] == [11_800_236 * number for number in range(5)]
    assert (await world.entry(last_year))["tds_paise"] == 0
    after = world.bill(person)
    await world.publish(after)
    await world.settle()
    # 0.1 % of ₹59.99.
    assert (await world.entry(after))["tds_paise"] == 6
    assert await world.rows("SELECT year, withheld_paise FROM tds_years ORDER BY year") == [
        {"year": 2024, "withheld_paise": 0},
        {"year": 2025, "withheld_paise": 50_006},
    ]
    await check_books(world.service.app)
    gauge = world.service.app.metrics.books_differences
    assert gauge.collect()[0].samples[0].value == 0
    await world.admin.execute("UPDATE settlement.tds_years SET withheld_paise = 1 WHERE year = 2025")
    await check_books(world.service.app)
    assert gauge.collect()[0].samples[0].value == 1


async def test_a_threshold_that_ends_within_a_year_leaves_the_year_whole(world: World) -> None:
    """A session billed late is under the old rule, and its year has what was sold under the new one."""
    tomorrow = datetime.combine((world.clock.now() + timedelta(days=1, hours=6)).date(), datetime.min.time(), tzinfo=UTC)
    rule = {"section": "s.393(1)", "rate_bps": 20, "with_pan": True, "effective_from": str(tomorrow.date())}
    await world.call("POST", "/v1/tax-rules", role=Role.FINANCE, json={**rule, "business_types": ["individual"]}, status=201)
    try:
        person = await world.franchisee(1, **BY_RULE, business_type="individual", pan=None)
        before, under_the_new, late = world.bill(person), world.bill(person, started_at=tomorrow), world.bill(person)
        for bill in (before, under_the_new, late):
            await world.publish(bill)
            await world.settle()
        assert [(await world.entry(bill))["tds_bps"] for bill in (before, under_the_new, late)] == [10, 20, 10]
        # 73.15 billed each: 100.00 less 26.85 that went back.
        assert (await world.entry(late))["tds_year_sales_paise"] == 2 * 7315
        await check_books(world.service.app)
        assert world.service.app.metrics.books_differences.collect()[0].samples[0].value == 0
    finally:
        await world.admin.execute("UPDATE settlement.ledger_entries SET tax_rule_id = NULL")
        await world.admin.execute("DELETE FROM settlement.tax_rules WHERE id > $1", SEEDED)
