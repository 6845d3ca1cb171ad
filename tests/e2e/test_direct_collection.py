"""A franchisee's papers are through, and its charger's QR code becomes its own (S7): riders pay it, and it owes us commission.

Everything in this diary is real but Razorpay, the charger and the token issuer: the question to charging whose site it is,
settlement's word that this franchisee may collect, the webhook with the linked account's id, the refund out of that account.
"""

import copy
from typing import Any

from tests.e2e.accounts import SPLIT, given_back, moved_refunds
from tests.e2e.test_books import first_difference, read, verify
from tests.e2e.world import Site, World

RECEIPT = {"bank_reference": "UTR2026120100001"}


async def own_code(world: World, site: Site) -> str:
    """The site's QR code regenerated as the franchisee's own; the linked account that takes the money."""
    made = await world.api("POST", f"/v1/qr-codes/{site.qr_codes[1]['id']}/regenerate", {"owner": "franchisee"}, role="operator")
    await world.rest()
    site.qr_codes[1] = code = await world.api("GET", f"/v1/qr-codes/{made['id']}")
    assert site.franchisee is not None
    assert (code["status"], code["owner_franchisee_id"]) == ("ACTIVE", site.franchisee["id"])
    return str(code["owner_account_id"])


async def charge(world: World, site: Site, amount_paise: int) -> str:
    """A rider pays, plugs, and drives off after a while."""
    await site.point.plug()
    paid = world.pay(site, amount_paise)
    await world.rest()
    await world.pass_seconds(111)
    await site.point.unplug()
    await world.pass_seconds(30)
    return paid


async def balances(world: World) -> dict[str, int]:
    trial = await world.api("GET", "/v1/books/trial-balance", role="finance")
    return {account["code"]: account["balance_paise"] for account in trial["accounts"]}


async def test_the_diary_of_a_franchisee_who_collects_itself(world: World) -> None:
    site = await world.open_site(rated_power_w=60_000)
    account = await own_code(world, site)
    parent = world.razorpay.settings.account_id
    ours, books = world.razorpay.balances()[parent], await balances(world)

    # A session: the rider sees a bill like any other, and gets the rest.
    paid = await charge(world, site, 10_000)
    # Nobody plugs in: all of it goes back, from where it is. Razorpay kept its fee, which the first payment has to cover.
    unserved = world.pay(site, 5_000)
    await world.rest()
    await world.pass_seconds(125)
    back = await given_back(world, unserved, reason="NOT_PLUGGED_IN")
    assert back["collected_by_account_id"] == account
    payment = await world.payment(paid)
    bill = payment["bill"]
    assert bill["energy_charge_paise"] > 0
    assert moved_refunds(world, paid) == [bill["refund_paise"]]
    assert [refund["status"] for refund in payment["refunds"]] == ["PROCESSED"]
    fees = back["platform_fee_paise"] + payment["platform_fee_paise"]
    assert world.razorpay.balances()[account] == 10_000 - bill["refund_paise"] - fees
    assert world.razorpay.balances()[parent] == ours, "our balance has no part in any of it"

    entry = await world.found(f"/v1/ledger-entries?transaction_id={payment['transaction_id']}", role="finance")
    assert (entry["status"], entry["collected_by_account_id"], entry["transfer_id"]) == ("SETTLED", account, None)
    assert sum(entry[line] for line in SPLIT) == entry["gross_paise"] == 10_000
    debt = entry["commission_paise"] + entry["tds_paise"]
    assert entry["commission_paise"] > 0
    moved = {code: paise - books[code] for code, paise in (await balances(world)).items() if paise != books[code]}
    assert moved == {
        "commission_receivable": debt,
        "commission": entry["commission_paise"],
        "tds_payable": entry["tds_paise"],
        "direct_collected": 10_000 - bill["refund_paise"] - fees,
        "direct_earned": 10_000 - bill["refund_paise"] - fees,
    }
    assert (await verify(world))[0] == []
    await every_seeded_error_is_named(world, payment, entry, account)

    # What it took goes to its bank, and none of that is ours.
    world.razorpay.settle(account)
    await world.pass_seconds(600)
    settled = await world.found(f"/v1/settlements?franchisee_id={entry['franchisee_id']}", role="finance")
    assert (settled["status"], settled["amount_paise"]) == ("COLLECTED", 10_000 - bill["refund_paise"] - fees)

    # It sees what it owes, pays, and finance enters it.
    number = int(entry["franchisee_id"].removeprefix("frn_"))
    path = f"/v1/franchisees/{entry['franchisee_id']}"
    owed = await world.api("GET", f"{path}/receivables", role="franchisee", franchisee_id=number)
    assert (owed["open_paise"], owed["up_to_30_days_paise"]) == (debt, debt)
    today = world.clock.now().date().isoformat()
    await world.api(
        "POST", f"{path}/commission-receipts", {**RECEIPT, "amount_paise": debt, "received_on": today}, role="finance"
    )
    assert (await world.api("GET", f"{path}/receivables", role="finance"))["open_paise"] == 0
    assert (await verify(world))[0] == []

    # Razorpay suspends it: nobody is served on its code any more, and an operator makes one of ours in its place.
    world.razorpay.settings.closed_qr = "leak"
    world.razorpay.move_kyc(account, "suspended")
    await world.rest()
    late = world.pay(site, 2_000)
    await world.rest()
    assert (await world.payment(late))["state"] == "REFUND_DUE"
    await world.pass_seconds(70)
    assert (await world.api("GET", f"/v1/qr-codes/{site.qr_codes[1]['id']}"))["status"] == "CLOSED"
    ended = await world.api(
        "POST", f"/v1/qr-codes/{site.qr_codes[1]['id']}/regenerate", {"owner": "franchisee"}, role="admin", expect=409
    )
    assert "suspended" in ended["detail"]
    world.razorpay.settings.closed_qr = "auto_refund"
    replaced = await world.api("POST", f"/v1/qr-codes/{site.qr_codes[1]['id']}/regenerate", {"owner": "platform"}, role="admin")
    assert replaced["owner"] == "platform"
    assert (await verify(world))[0] == []


async def every_seeded_error_is_named(world: World, payment: dict[str, Any], entry: dict[str, Any], account: str) -> None:
    """`books verify` derives the memos and the debt from raw records, and names what differs."""
    records = await read(world)
    qrp = payment["id"]
    debt = entry["commission_paise"] + entry["tds_paise"]

    def row(changed: Any, name: str, key: str, value: Any) -> dict[str, Any]:
        (found,) = [item for item in getattr(changed, name) if item[key] == value]
        assert isinstance(found, dict)
        return found

    def move(changed: Any, key: str, by: int) -> None:
        for line in row(changed, "journals", "key", key)["postings"][:2]:
            line["debit_paise" if line["debit_paise"] else "credit_paise"] += by

    def ours(changed: Any) -> None:
        row(changed, "payments", "id", qrp).update(collected_by_account_id=None, collected_by_franchisee_id=None)

    led = entry["id"].removeprefix("led_")
    seeds = {
        "another debt": (
            lambda changed: move(changed, f"entry/{led}/booked", 7),
            f"(entry/{led}/booked): has commission credited {entry['commission_paise'] + 7}",
        ),
        "no debt at all": (
            lambda changed: changed.journals.remove(row(changed, "journals", "key", f"entry/{led}/booked")),
            f"journal entry/{led}/booked: is not in the books; {entry['id']} makes it commission_receivable debited {debt}",
        ),
        "money that is said to be ours": (
            ours,
            f"{qrp}: says that our own account has the payment; Razorpay's whe_",
        ),
        "an entry that is said to be ours to pay out": (
            lambda changed: row(changed, "entries", "id", entry["id"]).update(collected_by_account_id=None),
            f"{entry['id']}: says that our own account has the payment; {qrp} says that {account} has it",
        ),
        "a receipt that nobody entered": (
            lambda changed: changed.commission_receipts.append(
                {
                    "id": "cmr_99",
                    "franchisee_id": entry["franchisee_id"],
                    "amount_paise": 606,
                    "created_at": world.clock.now().isoformat(),
                    "withdrawn_at": None,
                }
            ),
            "journal receipt/99/received: is not in the books; cmr_99 makes it own_bank debited 606",
        ),
        "a refund that left our memos": (
            lambda changed: setattr(
                changed, "journals", [item for item in changed.journals if not item["key"].startswith("direct_refund/")]
            ),
            "is not in the books; qrp_",
        ),
    }
    for name, (seed, words) in seeds.items():
        changed = copy.deepcopy(records)
        seed(changed)
        assert words in first_difference(changed, world), name
    assert first_difference(records, world) == "none"


async def test_a_site_that_changes_hands_takes_one_payment_for_the_old_owner_and_no_second(world: World) -> None:
    site, other = await world.open_site(rated_power_w=60_000), await world.open_site()
    account = await own_code(world, site)
    assert site.franchisee is not None
    assert other.franchisee is not None
    await world.api("PATCH", f"/v1/stations/{site.station['id']}", {"franchisee_id": other.franchisee["id"]})
    paid = await charge(world, site, 10_000)
    payment = await world.payment(paid)
    assert (payment["state"], payment["collected_by_account_id"]) == ("BILLED", account)
    assert (await world.api("GET", f"/v1/qr-codes/{site.qr_codes[1]['id']}"))["status"] == "CLOSED"
    (waiting,) = [
        item
        for item in (await world.api("GET", "/v1/ledger-entries/unowned-bills", role="finance"))["items"]
        if item["transaction_id"] == payment["transaction_id"]
    ]
    assert waiting["collected_by_franchisee_id"] == site.franchisee["id"]
    assert (await verify(world))[0] == []
    path = f"/v1/ledger-entries/unowned-bills/{payment['transaction_id']}/assign"
    entry = await world.api("POST", path, {"franchisee_id": site.franchisee["id"]}, role="finance")
    assert (entry["status"], entry["collected_by_account_id"]) == ("SETTLED", account)
    # The new owner's own code is asked for at the new owner's account.
    site.franchisee = other.franchisee
    assert await own_code(world, site) != account
    await world.pass_seconds(10)
    assert (await verify(world))[0] == []
