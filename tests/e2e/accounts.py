"""After a session: what was paid is accounted for, by the figures of the API and by what the sandbox's bank really moved."""

from typing import Any

from money import final_bill
from tests.e2e.world import Site, World

LINES = ("energy_charge_paise", "gst_paise", "platform_fee_paise", "refund_paise", "residue_paise")
SPLIT = ("refund_paise", "residue_paise", "pg_fee_paise", "gst_paise", "commission_paise", "tds_paise", "payout_paise")


def moved_refunds(world: World, razorpay_payment_id: str) -> list[int]:
    """Amounts of the refunds that Razorpay's bank made or is making for a payment."""
    refunds = world.razorpay.state.refunds.values()
    return [refund.amount for refund in refunds if refund.payment_id == razorpay_payment_id and refund.status != "failed"]


async def accounted_for(world: World, site: Site, razorpay_payment_id: str, *, after_seconds: float = 30) -> dict[str, Any]:
    """Check a served payment to its end, payout in the franchisee's bank included; returns the payment as the API shows it."""
    await world.pass_seconds(after_seconds)
    payment = await world.payment(razorpay_payment_id)
    bill = payment["bill"]
    assert bill is not None, payment
    transaction = await world.transaction(payment["transaction_id"])
    assert transaction["state"] == "STOPPED"
    expected = final_bill(
        energy_wh=transaction["energy_wh"],
        tariff_paise_per_kwh=bill["tariff_paise_per_kwh"],
        gst_bps=bill["gst_bps"],
        platform_fee_paise=bill["platform_fee_paise"],
        paid_paise=payment["amount_paise"],
    )
    assert {line: bill[line] for line in LINES} == {line: getattr(expected, line) for line in LINES}
    assert sum(bill[line] for line in LINES) == payment["amount_paise"], "every paisa paid is in exactly one line"
    due = bill["refund_paise"]
    assert moved_refunds(world, razorpay_payment_id) == ([due] if due else []), "one refund, of the right amount, or none"
    assert [refund["status"] for refund in payment["refunds"]] == (["PROCESSED"] if due else [])
    assert transaction["total_billed_paise"] == bill["total_billed_paise"], "charging read the bill back"
    await invoiced(world, site, payment)
    if site.franchisee is not None:
        await paid_out(world, payment)
    return payment


async def invoiced(world: World, site: Site, payment: dict[str, Any]) -> None:
    """The session has its one invoice, which says what was billed, where, and under which version of the tariff."""
    invoice = await world.found(f"/v1/invoices?transaction_id={payment['transaction_id']}", role="finance")
    transaction, bill = await world.transaction(payment["transaction_id"]), payment["bill"]
    assert (invoice["id"], invoice["qr_payment_id"]) == (payment["invoice_id"], payment["id"])
    assert (invoice["total_paise"], invoice["gst_paise"]) == (bill["total_billed_paise"], bill["gst_paise"])
    assert (invoice["station_name"], invoice["place_of_supply"]) == (site.station["name"], "29-Karnataka")
    assert invoice["tariff_id"] == transaction["tariff_id"]


async def paid_out(world: World, payment: dict[str, Any]) -> None:
    """The franchisee's ledger entry is SETTLED, by one transfer of its payout."""
    # The bank's next working day comes at once: the sandbox settles on demand.
    world.razorpay.settle()
    await world.rest()
    entry = await world.found(f"/v1/ledger-entries?transaction_id={payment['transaction_id']}", role="finance")
    assert entry["status"] == "SETTLED", entry
    assert sum(entry[line] for line in SPLIT) == entry["gross_paise"] == payment["amount_paise"]
    number = entry["transaction_id"].removeprefix("txn_")
    moved = [
        transfer.amount
        for transfer in world.razorpay.state.transfers.values()
        if transfer.id == entry["razorpay_transfer_id"] and transfer.status == "processed"
    ]
    assert moved == [entry["payout_paise"]], f"one transfer for txn_{number}"


async def given_back(world: World, razorpay_payment_id: str, *, reason: str) -> dict[str, Any]:
    """Check that an unserved payment went back whole, with its reason, and nothing else happened."""
    await world.pass_seconds(30)
    payment = await world.payment(razorpay_payment_id)
    assert payment["state"] == "REFUNDED", payment
    assert payment["refund_reason"] == reason
    assert payment["bill"] is None
    assert moved_refunds(world, razorpay_payment_id) == [payment["amount_paise"]]
    assert [refund["status"] for refund in payment["refunds"]] == ["PROCESSED"]
    return payment
