"""A rider with a wallet, told as a diary: registers, recharges, starts from the app, is billed; and the books agree."""

import copy
from collections.abc import Callable
from typing import Any

from razorpay_simulator import OrderPayment
from tests.e2e.test_books import first_difference, of, read, verify
from tests.e2e.world import World
from voltlync.books.records import Records

PHONE = "+919811122233"
SPLIT = ("gst_paise", "commission_paise", "tds_paise", "payout_paise")


async def as_asha(world: World, method: str, path: str, body: Any = None, **expect: Any) -> Any:
    """At the door, signed in at the identity provider: nothing in the token says which rider it is."""
    claims = {"sub": "user_asha", "phone_number": PHONE, "phone_number_verified": True, "rider_id": "rdr_999"}
    return await world.api(method, f"/v1/{path}", body, role="rider", **expect, **claims)


async def test_a_rider_recharges_starts_from_the_app_and_is_billed_from_the_wallet(world: World) -> None:
    site = await world.open_site(rated_power_w=60_000)
    # Before there was an app Asha paid at the charger; nobody plugged in, and it went back.
    before = world.pay(site, 3_000, vpa="asha.wallet@okaxis", contact=PHONE)
    await world.rest()
    await world.pass_seconds(125)
    await a_guest_sees_what_was_paid(world, before)
    # She registers: the token has no rider's id, and what she paid as a guest is hers.
    await as_asha(world, "GET", "wallets/me", expect=409)
    me = await as_asha(world, "POST", "riders/me")
    assert (me["kind"], me["phone"]) == ("REGISTERED", "******2233")
    assert (await world.payment(before))["rider_id"] == me["id"]
    mine = await as_asha(world, "GET", "riders/me/payments")
    assert [item["razorpay_payment_id"] for item in mine["items"]] == [before]

    # 500 rupees by the checkout of an order.
    order = await as_asha(world, "POST", "wallets/me/recharges", {"amount_paise": 50_000})
    world.razorpay.pay_order(order["razorpay_order_id"], OrderPayment(vpa="asha.wallet@okaxis"))
    await world.rest()
    assert (await as_asha(world, "GET", f"wallets/me/recharges/{order['id']}"))["status"] == "PAID"

    # She plugs in and starts from the app with at most 100 rupees, and unplugs after 1.85 kWh.
    await site.point.plug()
    name = site.charger["charge_point_id"]
    wish = {"charge_point_id": name, "connector_id": 1, "limit_paise": 10_000}
    session = await as_asha(world, "POST", "wallets/me/sessions", wish)
    await world.rest()
    session = await as_asha(world, "GET", f"wallets/me/sessions/{session['id']}")
    assert session["state"] == "CHARGING"
    held = await as_asha(world, "GET", "wallets/me")
    assert (held["balance_paise"], held["available_paise"]) == (50_000, 40_000)
    await as_asha(world, "POST", "wallets/me/sessions", wish, expect=409)
    await world.pass_seconds(111)
    await site.point.unplug()
    await world.rest()
    session = await as_asha(world, "GET", f"wallets/me/sessions/{session['id']}")
    bill = session["bill"]
    # 1.85 kWh x 18.00 = 33.30; GST 18 % = 5.99; no fee.
    assert (session["state"], bill["energy_wh"], bill["billed_paise"]) == ("BILLED", 1_850, 3_330 + 599)
    wallet = await as_asha(world, "GET", "wallets/me")
    assert (wallet["balance_paise"], wallet["held_paise"]) == (50_000 - 3_929, 0)
    transaction = await world.transaction(session["transaction_id"])
    figures = (transaction["energy_charge_paise"], transaction["gst_amount_paise"], transaction["total_billed_paise"])
    assert figures == (3_330, 599, 3_929)

    # The site's owner is paid as for any session.
    await world.pass_seconds(30)
    world.razorpay.settle()
    await world.rest()
    entry = await world.found(f"/v1/ledger-entries?transaction_id={session['transaction_id']}", role="finance")
    assert (entry["status"], entry["wallet_session_id"], entry["gross_paise"]) == ("SETTLED", session["id"], 3_929)
    assert sum(entry[line] for line in SPLIT) == 3_929

    await a_part_is_given_back(world, session)
    await a_session_stopped_from_the_app(world, site, wish)
    await nobody_elses(world, session)
    assert (await verify(world))[0] == []
    await every_seeded_error_is_named(world, session)


async def a_guest_sees_what_was_paid(world: World, paid: str) -> None:
    """Without an account: the end of the bank's reference proves the payment, and the door takes payments' token for it."""
    payment = await world.payment(paid)
    proof = {"vpa": "asha.wallet@okaxis", "reference_ends": payment["rrn"][-6:]}
    wrong = {**proof, "reference_ends": "000000" if payment["rrn"][-6:] != "000000" else "000001"}
    door = "/v1/public/riders/guest-tokens"
    await world.api("POST", door, wrong, expect=404)
    token = (await world.api("POST", door, proof))["access_token"]
    _, seen = await world.bearing(token, "/v1/riders/me/payments")
    assert [item["id"] for item in seen["items"]] == [payment["id"]]
    assert (await world.bearing(token, "/v1/wallets/me"))[0] == 403
    assert (await world.bearing(f"{token[:-2]}xx", "/v1/riders/me"))[0] == 401


async def a_part_is_given_back(world: World, session: dict[str, Any]) -> None:
    """Finance gives 10 rupees of the session back: they are in her wallet at once, and the site's owner bears its part."""
    why = {"reason": "The charger's screen showed another price."}
    path = f"/v1/wallets/sessions/{session['id']}/refunds"
    await world.api("POST", path, {"amount_paise": 3_930, **why}, role="finance", expect=409)
    await world.api("POST", path, {"amount_paise": 1_000, **why}, role="operator", expect=403)
    await world.api("POST", path, {"amount_paise": 1_000, **why}, role="finance")
    await world.api("POST", path, {"amount_paise": 50, **why, "borne_by": "PLATFORM"}, role="finance")
    assert (await as_asha(world, "GET", "wallets/me"))["balance_paise"] == 50_000 - 3_929 + 1_050
    newest, *_ = (await as_asha(world, "GET", "wallets/me/entries"))["items"]
    assert (newest["kind"], newest["amount_paise"], newest["reason"]) == ("REFUND", 50, why["reason"])
    await world.pass_seconds(30)
    of_it = f"transaction_id={session['transaction_id']}&kind=CORRECTION"
    owed = await world.found(f"/v1/ledger-entries?{of_it}", role="finance")
    # 8.48 of the ten rupees are energy, of which the owner had nine tenths, less TDS.
    assert (owed["wallet_session_id"], owed["gst_paise"], owed["status"]) == (session["id"], -152, "ON_HOLD")
    (note,) = (await as_asha(world, "GET", "riders/me/credit-notes"))["items"]
    assert (note["wallet_session_id"], note["total_paise"]) == (session["id"], 1_000)


async def a_session_stopped_from_the_app(world: World, site: Any, wish: dict[str, Any]) -> None:
    await site.point.plug()
    session = await as_asha(world, "POST", "wallets/me/sessions", wish)
    await world.rest()
    await world.pass_seconds(60)
    await as_asha(world, "POST", f"wallets/me/sessions/{session['id']}/stop")
    await world.pass_seconds(5)
    session = await as_asha(world, "GET", f"wallets/me/sessions/{session['id']}")
    assert (session["state"], session["bill"]["energy_wh"] > 900) == ("BILLED", True)
    await site.point.unplug()
    # Once more without a car: refused when the deadline passes, and nothing is held any more.
    session = await as_asha(world, "POST", "wallets/me/sessions", wish)
    await world.pass_seconds(125)
    session = await as_asha(world, "GET", f"wallets/me/sessions/{session['id']}")
    assert (session["state"], session["release_reason"]) == ("RELEASED", "NOT_PLUGGED_IN")
    assert (await as_asha(world, "GET", "wallets/me"))["held_paise"] == 0


async def nobody_elses(world: World, session: dict[str, Any]) -> None:
    """Another account, without a verified phone, sees and stops nothing of hers."""
    ravi = {"role": "rider", "sub": "user_ravi", "phone_number": PHONE}
    me = await world.api("POST", "/v1/riders/me", **ravi)
    assert me["phone"] is None
    await world.api("GET", f"/v1/wallets/me/sessions/{session['id']}", expect=404, **ravi)
    await world.api("GET", "/v1/wallets", expect=403, **ravi)


async def every_seeded_error_is_named(world: World, session: dict[str, Any]) -> None:
    records = await read(world)
    (recharge,) = records.recharge_payments
    entry, correction = (
        next(item for item in records.entries if item["wallet_session_id"] == session["id"] and item["kind"] == kind)
        for kind in ("SESSION", "CORRECTION")
    )
    rcp, wse = recharge["id"].removeprefix("rcp_"), session["id"].removeprefix("wse_")
    captured, billed = f"recharge_payment/{rcp}/captured", f"wallet_session/{wse}/billed"

    def drop(changed: Records, key: str) -> None:
        changed.journals = [journal for journal in changed.journals if journal["key"] != key]

    def refunded(changed: Records) -> None:
        event = next(event for event in changed.webhook_events if event["event"] == "refund.processed")
        figure = {**event["figures"][0], "razorpay_id": "rfnd_x", "razorpay_payment_id": recharge["razorpay_payment_id"]}
        figure["amount_paise"] = 3000
        changed.webhook_events.append({**event, "id": "whe_9999", "figures": [figure]})

    seeds: dict[str, tuple[Callable[[Records], object], str]] = {
        "another amount": (
            lambda changed: changed.recharge_payments[0].update(amount_paise=50_001),
            f"{recharge['id']}: says that 50001 paise were paid; Razorpay's whe_",
        ),
        "another fee": (
            lambda changed: changed.recharge_payments[0].update(fee_paise=1),
            f"{recharge['id']}: says that the fee is 1 paise; Razorpay's whe_",
        ),
        "a missing recharge": (lambda changed: drop(changed, captured), f"journal {captured}: is not in the books"),
        "a missing bill": (lambda changed: drop(changed, billed), f"journal {billed}: is not in the books"),
        "a wrong bill": (
            lambda changed: of(changed, "wallet_sessions", "id", session["id"])["bill"].update(gst_paise=600),
            f"bill of {session['id']}: gst_paise is 600; 1850 Wh at 1800 paise/kWh of {session['transaction_id']}, 10000 paise",
        ),
        "a recharge given back by hand": (refunded, f"whe_9999: tells of rfnd_x, 3000 paise; {recharge['id']} is in the wallet"),
        "another sum of wallets": (
            lambda changed: changed.wallet_control.update(balance_paise=7),
            "wallets: they come to 7 paise; the account wallet_liability is",
        ),
        "a missing refund": (
            lambda changed: drop(changed, f"wallet_session/{wse}/operator_refund/1"),
            f"journal wallet_session/{wse}/operator_refund/1: is not in the books",
        ),
        "a wrong refund": (
            lambda changed: of(changed, "wallet_sessions", "id", session["id"])["operator_refunds"][0].update(gst_paise=1),
            f"refund 1 of {session['id']} by user_finance: takes (848, 1, 0) paise off energy, GST and goodwill",
        ),
        "a refund too large": (
            lambda changed: of(changed, "wallet_sessions", "id", session["id"])["operator_refunds"][1].update(amount_paise=9_000),
            f"refund 2 of {session['id']} by user_finance: makes 10000 paise given back; 3929 were billed",
        ),
        "a note of nobody's": (
            lambda changed: of(changed, "credit_notes", "wallet_session_id", session["id"]).update(refund_number=7),
            f"operators' refund 1 of {session['id']}: takes 1000 paise off the supply; it has no credit note",
        ),
        "a correction that is gone": (
            lambda changed: changed.entries.remove(of(changed, "entries", "id", correction["id"])),
            f"refund 1 of {session['id']} by user_finance: reduces the supply of {session['transaction_id']}",
        ),
        "another gross": (
            lambda changed: of(changed, "entries", "id", entry["id"]).update(gross_paise=1),
            "gross_paise is 1; the bill and terms of",
        ),
    }
    for name, (seed, words) in seeds.items():
        changed = copy.deepcopy(records)
        seed(changed)
        assert words in first_difference(changed, world), name
    assert first_difference(records, world) == "none"
