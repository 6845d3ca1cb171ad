"""What QR codes brought in: every paisa in one line, India's days, and to a franchisee only what is its own."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import true
from sqlalchemy.dialects import postgresql

from chassis.web import Role
from chassis.web.principal import Principal
from payments.repository.revenue import RevenueBy, revenue
from payments.tables import qr_payments

from .conftest import World

AMOUNTS = (
    "energy_charge_paise",
    "gst_paise",
    "platform_fee_paise",
    "refund_paise",
    "residue_paise",
    "undecided_paise",
)


async def lines(world: World, by: str, *, more: str = "", days: str = "", role: Role = Role.FINANCE) -> dict[str | None, Any]:
    """The lines by key; each adds up."""
    today = world.now().date()
    days = days or f"from={today.replace(day=1)}&to={today.replace(day=28)}"
    found = await world.call("GET", f"/v1/qr-codes/revenue?by={by}&{days}{more}", role=role)
    for line in found["items"]:
        assert line["paid_paise"] == sum(line[name] for name in AMOUNTS)
    return {line["key"]: line for line in found["items"]}


async def of_franchisee(world: World, franchisee_id: int | None, query: str) -> list[dict[str, Any]]:
    """What somebody who owns this site is answered."""
    principal = Principal("owner|1", frozenset({Role.FRANCHISEE}), franchisee_id=franchisee_id)
    path = "/v1/qr-codes/revenue"
    headers = world.signer.headers(principal, audience="payments", method="GET", path=path, now=world.now())
    async with world.http.get(f"{world.url}{path}?{query}", headers=headers) as answer:
        assert answer.status == 200
        items: list[dict[str, Any]] = (await answer.json())["items"]
        return items


async def session(world: World, qr: dict[str, Any], paid: int, energy_wh: int, **terms: Any) -> dict[str, Any]:
    """A rider pays, charges, and is billed."""
    payment = await world.payment(await world.pay(qr, paid))
    started = world.started(payment)
    await world.announce(started.model_copy(update=terms))
    await world.announce(world.stopped(payment, energy_wh, started.transaction_id, **terms))
    return await world.payment(payment["razorpay_payment_id"])


async def test_every_paisa_of_every_payment_is_in_one_line(world: World) -> None:
    first, second = await world.qr_code("CP-1"), await world.qr_code("CP-2")
    await session(world, first, 10_000, 3_333)  # 59.99 + 10.80 + fee 2.36, 26.85 goes back
    await session(world, second, 10_000, 0, station_id=4)  # nothing delivered: all goes back
    waiting = await world.payment(await world.pay(first, 700))
    refused = await world.payment(await world.pay(second, 800))
    await world.announce(world.refused(refused))
    await world.announce(world.refused(await world.payment(await world.pay(second, 99))))  # too little to refund
    assert waiting["state"] == "START_REQUESTED"

    by_code = await lines(world, "qr_code")
    billed = {"energy_wh": 3_333, "energy_charge_paise": 5_999, "gst_paise": 1_080, "platform_fee_paise": 236}
    given_back = {"energy_wh": 0, "energy_charge_paise": 0, "gst_paise": 0, "platform_fee_paise": 0, "undecided_paise": 0}
    assert by_code == {
        first["id"]: {
            "key": first["id"],
            "payments": 2,
            "sessions": 1,
            "paid_paise": 10_700,
            **billed,
            "refund_paise": 2_685,
            "residue_paise": 0,
            "undecided_paise": 700,
            "goodwill_paise": 0,
        },
        second["id"]: {
            "key": second["id"],
            "payments": 3,
            "sessions": 1,
            "paid_paise": 10_899,
            **given_back,
            "refund_paise": 10_800,
            "residue_paise": 99,
            "goodwill_paise": 0,
        },
    }
    by_charger = await lines(world, "charger")
    assert {key: line["paid_paise"] for key, line in by_charger.items()} == {"CP-1": 10_700, "CP-2": 10_899}
    # A payment that nothing ran on has no station: charging snapshots it with the transaction.
    by_station = await lines(world, "station")
    assert {key: line["paid_paise"] for key, line in by_station.items()} == {"stn_3": 10_000, "stn_4": 10_000, None: 1_599}
    (day,) = (await lines(world, "day")).values()
    assert (day["paid_paise"], day["sessions"]) == (21_599, 2)


async def test_what_operators_give_back_is_refund_and_goodwill_leaves_the_revenue(world: World) -> None:
    qr = await world.qr_code("CP-1")
    payment = await session(world, qr, 10_000, 3_333)
    await session(world, qr, 10_000, 3_333)
    refunds = f"/v1/payments/{payment['id']}/refunds"
    for body in ({"amount_paise": 1_000}, {"amount_paise": 1_000}, {"amount_paise": 500, "borne_by": "PLATFORM"}):
        await world.call("POST", refunds, json={**body, "reason": "The screen said otherwise."}, status=201)
    line = (await lines(world, "qr_code"))[qr["id"]]
    # 20.00 are 16.95 of energy and 3.05 of GST, whatever the number of refunds.
    assert (line["energy_charge_paise"], line["gst_paise"]) == (2 * 5_999 - 1_695, 2 * 1_080 - 305)
    assert (line["refund_paise"], line["goodwill_paise"], line["payments"]) == (2 * 2_685 + 2_000, 500, 2)


async def test_where_the_stop_overtakes_the_start_the_station_is_known_as_well(world: World) -> None:
    qr = await world.qr_code("CP-1")
    payment = await world.payment(await world.pay(qr, 10_000))
    started = world.started(payment)
    await world.announce(world.stopped(payment, 1_000, started.transaction_id))
    await world.announce(started)
    assert list(await lines(world, "station", more="&franchisee_id=frn_7")) == ["stn_3"]


async def test_a_day_is_indias(world: World) -> None:
    qr = await world.qr_code("CP-1")
    moments = {
        499: datetime(2026, 3, 31, 18, 29, 59, tzinfo=UTC),
        500: datetime(2026, 3, 31, 18, 30, tzinfo=UTC),
        501: datetime(2026, 4, 1, 18, 29, 59, tzinfo=UTC),
        502: datetime(2026, 4, 1, 18, 30, tzinfo=UTC),
    }
    for amount, paid_at in moments.items():
        await world.pay(qr, amount)
        await world.admin.execute("UPDATE qr_payments SET paid_at = $1 WHERE amount_paise = $2", paid_at, amount)
    by_day = await lines(world, "day", days="from=2026-03-31&to=2026-04-02")
    assert {key: line["paid_paise"] for key, line in by_day.items()} == {
        "2026-03-31": 499,
        "2026-04-01": 1_001,
        "2026-04-02": 502,
    }
    one_day = await lines(world, "qr_code", days="from=2026-04-01&to=2026-04-01")
    assert one_day[qr["id"]]["paid_paise"] == 1_001


async def test_a_franchisee_sees_what_ran_on_its_own_sites_only(world: World) -> None:
    qr = await world.qr_code("CP-1")
    await session(world, qr, 10_000, 1_000)
    await session(world, qr, 20_000, 1_000, franchisee_id=8, station_id=5)
    await session(world, qr, 30_000, 1_000, franchisee_id=None, station_id=6)
    today = world.now().date()
    query = f"by=station&from={today}&to={today}"
    assert [line["key"] for line in await of_franchisee(world, 7, query)] == ["stn_3"]
    assert [line["paid_paise"] for line in await of_franchisee(world, 8, query)] == [20_000]
    for nobody in (9, None):
        assert await of_franchisee(world, nobody, query) == []
    # Asking for another's, or going on from another's cursor, shows nothing more.
    assert await of_franchisee(world, 7, f"{query}&franchisee_id=frn_8") == []
    page = await world.call("GET", f"/v1/qr-codes/revenue?{query}&limit=1")
    assert [line["key"] for line in page["items"]] == ["stn_6"]
    assert [line["key"] for line in await of_franchisee(world, 7, f"{query}&cursor={page['next_cursor']}")] == ["stn_3"]
    await world.call("GET", f"/v1/qr-codes/revenue?{query}", role=Role.RIDER, status=403)


async def test_pages_hold_every_line_once_whatever_they_are_by(world: World) -> None:
    for number in range(3):
        await world.pay(await world.qr_code(f"CP-{number}"), 500 + number)
    today = world.now().date()
    for by in ("qr_code", "charger", "station", "day"):
        query = f"/v1/qr-codes/revenue?by={by}&from={today}&to={today}&limit=1"
        page = await world.call("GET", query)
        seen = page["items"]
        while page["next_cursor"] is not None:
            page = await world.call("GET", f"{query}&cursor={page['next_cursor']}")
            seen += page["items"]
        assert sum(line["paid_paise"] for line in seen) == 1_503
        assert len({line["key"] for line in seen}) == len(seen) == {"qr_code": 3, "charger": 3}.get(by, 1)


async def test_the_sum_reads_an_index_and_not_all_payments(world: World) -> None:
    await world.pay(await world.qr_code("CP-1"))
    # A year of payments, one an hour, of 50 franchisees, and the planner told of it: its choice hangs on nothing else.
    await world.admin.execute(
        """INSERT INTO qr_payments (razorpay_payment_id, paid_at, franchisee_id, amount_paise, platform_fee_paise, fee_source,
                                    rider_id, rider_resolved_by, state, received_at, updated_at)
           SELECT 'pay_' || n, paid_at - n * interval '1 hour', n % 50, amount_paise, platform_fee_paise, fee_source,
                  rider_id, rider_resolved_by, 'REFUNDED', received_at, updated_at
           FROM qr_payments, generate_series(1, 8760) n"""
    )
    await world.admin.execute("ANALYZE qr_payments")
    plans = []
    for visible in (true(), qr_payments.c.franchisee_id == 7):
        asked = revenue(RevenueBy.CHARGER, paid_from=world.now() - timedelta(days=1), paid_before=world.now(), visible=visible)
        text = asked.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})
        plans.append("\n".join(row[0] for row in await world.admin.fetch(f"EXPLAIN {text}")))
    assert "qr_payments_paid_at_idx" in plans[0], plans[0]
    assert "qr_payments_franchisee_id_paid_at_idx" in plans[1], plans[1]
    assert not any("Seq Scan on qr_payments" in plan for plan in plans), plans


async def test_a_question_that_makes_no_sense_is_refused(world: World) -> None:
    day = "from=2026-01-01&to=2026-01-01"
    for query, pointer in {
        day: "#/query/by",
        f"{day}&by=rider": "#/query/by",
        "by=day&from=2026-01-02&to=2026-01-01": "#/query",
        "by=day&from=2024-01-01&to=2026-01-01": "#/query",
        "by=day&from=yesterday&to=2026-01-01": "#/query/from",
        f"by=day&{day}&cursor=WzFd": "#/query/cursor",
        f"by=qr_code&{day}&cursor=WyJ4Il0": "#/query/cursor",
    }.items():
        problem = await world.call("GET", f"/v1/qr-codes/revenue?{query}", status=422)
        assert [error["pointer"] for error in problem["errors"]] == [pointer], query
