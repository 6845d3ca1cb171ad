"""A rider is refunded in part after the bill, through the door: the franchisee's share comes back, and the books agree."""

import copy
from typing import Any

from tests.e2e.accounts import accounted_for
from tests.e2e.test_books import first_difference, of, read, verify
from tests.e2e.world import World

WHY = "The charger's screen showed another price."


async def session(world: World, site: Any) -> str:
    """100 rupees' worth of charging, until the rider unplugs. Razorpay's id of the payment."""
    await site.point.plug()
    paid: str = world.pay(site, 10_000)
    await world.rest()
    await world.pass_seconds(111)
    await site.point.unplug()
    return paid


async def give_back(world: World, payment: dict[str, Any], amount_paise: int, **more: Any) -> dict[str, Any]:
    body = {"amount_paise": amount_paise, "reason": WHY, **more}
    made: dict[str, Any] = await world.api("POST", f"/v1/payments/{payment['id']}/refunds", body, role="finance")
    await world.pass_seconds(30)
    refund: dict[str, Any] = await world.api("GET", f"/v1/refunds/{made['id']}")
    assert refund["status"] == "PROCESSED"
    assert refund["words"].startswith(f"Razorpay has sent ₹{amount_paise // 100}.{amount_paise % 100:02d} to your bank")
    return refund


async def correction_of(world: World, payment: dict[str, Any], number: int = 1) -> dict[str, Any]:
    path = f"/v1/ledger-entries?transaction_id={payment['transaction_id']}&kind=CORRECTION"
    page = await world.api("GET", path, role="finance")
    return next(item for item in page["items"] if item["refund_number"] == number)


async def test_what_was_paid_out_comes_back_and_the_books_agree(world: World) -> None:
    site = await world.open_site(rated_power_w=60_000)
    first = await accounted_for(world, site, await session(world, site))
    # At the bank already: it is taken off the next payout.
    await give_back(world, first, 1_500)
    owed = await correction_of(world, first)
    assert (owed["status"], owed["hold_kind"], owed["reason"]) == ("ON_HOLD", "NETTED", WHY)

    paid = await session(world, site)
    await world.pass_seconds(60)
    second = await world.payment(paid)
    entry = await world.found(f"/v1/ledger-entries?transaction_id={second['transaction_id']}", role="finance")
    assert (await correction_of(world, first))["status"] == entry["status"] == "TRANSFERRED"
    transfer = await world.api("GET", f"/v1/transfers/{entry['transfer_id']}", role="finance")
    assert transfer["amount_paise"] == entry["payout_paise"] + owed["payout_paise"]

    # In the linked account still: it is taken back out of it.
    await give_back(world, second, 2_000)
    back = await correction_of(world, second)
    assert back["status"] == "SETTLED"
    transfer = await world.api("GET", f"/v1/transfers/{entry['transfer_id']}", role="finance")
    [reversal] = transfer["reversals"]
    assert (reversal["status"], reversal["amount_paise"]) == ("DONE", -back["payout_paise"])
    await give_back(world, second, 500, borne_by="PLATFORM")
    assert (await verify(world))[0] == []
    world.razorpay.settle()
    await world.rest()
    assert (await verify(world))[0] == []
    await errors_are_named(world, second, back, transfer["id"])


async def errors_are_named(world: World, payment: dict[str, Any], back: dict[str, Any], transfer_id: str) -> None:
    records = await read(world)
    qrp = payment["id"]

    def decision(changed: Any) -> dict[str, Any]:
        found = of(changed, "payments", "id", qrp)["operator_refunds"][0]
        assert isinstance(found, dict)
        return found

    def without(changed: Any) -> None:
        changed.entries = [entry for entry in changed.entries if entry["id"] != back["id"]]

    def reversals(changed: Any) -> list[dict[str, Any]]:
        found = of(changed, "transfers", "id", transfer_id)["reversals"]
        assert isinstance(found, list)
        return found

    def note(changed: Any) -> dict[str, Any]:
        found = of(changed, "credit_notes", "qr_payment_id", qrp)
        assert isinstance(found, dict)
        return found

    parts = decision(records)
    energy, gst = parts["energy_charge_paise"], parts["gst_paise"]
    seeds = {
        f"takes ({energy + 1}, {gst - 1}, 0) paise off energy, GST and goodwill; the bill makes it ({energy}, {gst}, 0)": (
            lambda changed: decision(changed).update(energy_charge_paise=energy + 1, gst_paise=gst - 1)
        ),
        "no ledger entry corrects its split": without,
        f"{back['id']}: payout_paise is 0; refund 1 of {qrp} makes it {back['payout_paise']}": (
            lambda changed: of(changed, "entries", "id", back["id"]).update(payout_paise=0)
        ),
        "paise were taken back; its reversals are 0": lambda changed: reversals(changed).clear(),
        f"operators' refund 1 of {qrp}: takes 2000 paise off the supply; it has no credit note": (
            lambda changed: changed.credit_notes.remove(note(changed))
        ),
        "cgst_paise is 0; the decision makes it": lambda changed: note(changed).update(cgst_paise=0),
        "off the GST collected": lambda changed: note(changed).update(gst_paise=0),
        "was invoiced by": lambda changed: note(changed).update(invoice_id="inv_999"),
        "goodwill leaves the supply as it is": (
            lambda changed: changed.credit_notes.append({**note(changed), "id": "crn_999", "refund_number": 2})
        ),
        "has no 1, or it was given twice": lambda changed: changed.credit_notes[0].update(number="VL/2526/C000009"),
    }
    for words, seed in seeds.items():
        changed = copy.deepcopy(records)
        seed(changed)
        assert words in first_difference(changed, world), words
    assert first_difference(records, world) == "none"
