"""One paid session, scan to payout, played over public interfaces only and told line by line: ids, paise, times, states.

The driver plugs in, the rider pays the printed QR code, VoltLync starts the charger; the car leaves (or the money runs out);
the bill, the refund, the franchisee's ledger entry, the transfer and its settlement follow.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from voltlync.money_text import kwh, rupees
from voltlync.seed import FAST_CHARGER, Network
from voltlync.world import Json, World, until

Say = Callable[[str], None]

START_SECONDS_MAX = 60.0
ENERGY_SECONDS_MAX = 180.0
END_SECONDS_MAX = 120.0
SETTLED_SECONDS_MAX = 120.0

RIDER_VPA = "rahul@okhdfcbank"
RIDER_CONTACT = "+919812345678"


class SessionWentWrong(RuntimeError):
    """The session did not come out as it should. The message says which sum or state is wrong."""


async def show_one_session(world: World, network: Network, say: Say) -> None:
    """What `make run` plays: the fast charger, ₹30, and a driver who leaves before the money is used, so that all parts act."""
    await play(
        world,
        charge_point_id=FAST_CHARGER,
        qr_code=network.qr_codes[FAST_CHARGER],
        amount_paise=3000,
        leave_after_wh=600,
        say=say,
    )


async def show_more_sessions(world: World, network: Network, say: Say) -> None:
    """What `make demo` plays: a driver who leaves early, then one who stays until the money is used."""
    await show_one_session(world, network, say)
    await play(
        world,
        charge_point_id=FAST_CHARGER,
        qr_code=network.qr_codes[FAST_CHARGER],
        amount_paise=2000,
        leave_after_wh=None,
        say=say,
    )


@dataclass
class Transcript:
    """Lines with the seconds since the session began and who is speaking."""

    say: Say
    began: float = field(default_factory=time.monotonic)

    def tell(self, who: str, line: str) -> None:
        """One line of the story."""
        self.say(f"  {time.monotonic() - self.began:6.1f} s  {who:<10}  {line}")


async def play(
    world: World, *, charge_point_id: str, qr_code: Json, amount_paise: int, leave_after_wh: int | None, say: Say
) -> Json:
    """Play a session on connector 1 and return the payment's final view. `leave_after_wh`: None stays until the money is used.

    Raises TimeoutError for what never happened, SessionWentWrong when the books do not add up.
    """
    told = Transcript(say)
    say(f"\nA session at {charge_point_id}, paid with {rupees(amount_paise)}:")
    await world.charger(charge_point_id, "plug", {"connector": 1})
    told.tell("driver", "plugs in")
    try:
        paid = await world.razorpay(
            "POST",
            f"/qr/{qr_code['razorpay_qr_code_id']}/pay",
            {"amount": amount_paise, "vpa": RIDER_VPA, "contact": RIDER_CONTACT},
        )
        razorpay_payment_id = paid["payment"]["id"]
        told.tell("rider", f"scans {qr_code['id']} and pays {rupees(amount_paise)}: {razorpay_payment_id}")
        payment = await _charging(world, razorpay_payment_id, told)
        if payment["transaction_id"] is not None:
            await _watch(world, payment["transaction_id"], charge_point_id, leave_after_wh, told)
    finally:
        await _unplug(world, charge_point_id)
    payment = await _billed(world, payment["id"], told)
    payment = await _refunded(world, payment["id"], told)
    if payment["bill"] is not None:
        await _paid_out(world, payment, told)
    _check(payment)
    told.tell("books", _sum_of(payment))
    return payment


async def _charging(world: World, razorpay_payment_id: str, told: Transcript) -> Json:
    async def decided() -> Json | None:
        found = await world.all_of(f"/v1/payments?razorpay_payment_id={razorpay_payment_id}")
        return found[0] if found and found[0]["state"] not in ("RECEIVED", "START_REQUESTED") else None

    payment = await until(f"{razorpay_payment_id} to start a session", decided, seconds_max=START_SECONDS_MAX)
    fee = f"platform fee {rupees(payment['platform_fee_paise'])} ({payment['fee_source'].lower()})"
    told.tell("payments", f"{payment['id']} for rider {payment['rider_id']} ({payment['rider_resolved_by'].lower()}), {fee}")
    told.tell(
        "payments",
        f"{payment['id']} is {payment['state']}" + (f": {payment['refund_reason']}" if payment["refund_reason"] else ""),
    )
    return payment


async def _watch(world: World, transaction_id: str, charge_point_id: str, leave_after_wh: int | None, told: Transcript) -> None:
    """Tell of the energy as it comes, until the session ends or the car leaves."""
    last_wh = -1

    async def over() -> Json | None:
        nonlocal last_wh
        seen: Json = await world.api("GET", f"/v1/transactions/{transaction_id}")
        if seen["confirmed_wh"] != last_wh and seen["state"] != "STOPPED":
            last_wh = seen["confirmed_wh"]
            power = f" at {seen['power_w'] / 1000:.1f} kW" if seen["power_w"] else ""
            told.tell(
                "charging", f"{transaction_id} {seen['state']}  {kwh(last_wh)}{power} of {kwh(seen['affordable_wh'])} affordable"
            )
        if seen["state"] == "STOPPED":
            return seen
        if leave_after_wh is not None and last_wh >= leave_after_wh:
            return seen
        return None

    seen = await until(f"{transaction_id} to deliver", over, seconds_max=ENERGY_SECONDS_MAX)
    if seen["state"] != "STOPPED":
        told.tell("driver", "unplugs and leaves")
        await _unplug(world, charge_point_id)

    async def stopped() -> Json | None:
        now: Json = await world.api("GET", f"/v1/transactions/{transaction_id}")
        return now if now["state"] == "STOPPED" else None

    final = await until(f"{transaction_id} to be finalized", stopped, seconds_max=END_SECONDS_MAX)
    told.tell("charging", f"{transaction_id} STOPPED  {kwh(final['energy_wh'])}, reason {final['stop_reason']}")


async def _unplug(world: World, charge_point_id: str) -> None:
    seen = (await world.chargers())[charge_point_id]
    if seen["connectors"]["1"]["plugged"]:
        await world.charger(charge_point_id, "unplug", {"connector": 1})


async def _billed(world: World, payment_id: str, told: Transcript) -> Json:
    async def ended() -> Json | None:
        seen: Json = await world.api("GET", f"/v1/payments/{payment_id}")
        return seen if seen["state"] not in ("RECEIVED", "START_REQUESTED", "CHARGING") else None

    payment = await until(f"{payment_id} to be billed", ended, seconds_max=END_SECONDS_MAX)
    bill = payment["bill"]
    if bill is not None:
        rate = f"{rupees(bill['tariff_paise_per_kwh'])}/kWh"
        told.tell("payments", f"bill: {kwh(bill['energy_wh'])} at {rate} = {rupees(bill['energy_charge_paise'])}")
        told.tell(
            "payments",
            f"      GST {bill['gst_bps'] / 100:g} % {rupees(bill['gst_paise'])}, fee {rupees(bill['platform_fee_paise'])}",
        )
        told.tell(
            "payments", f"      total {rupees(bill['total_billed_paise'])}, back to the rider {rupees(bill['refund_paise'])}"
        )
    return payment


async def _refunded(world: World, payment_id: str, told: Transcript) -> Json:
    async def settled() -> Json | None:
        seen: Json = await world.api("GET", f"/v1/payments/{payment_id}")
        return seen if all(refund["status"] == "PROCESSED" for refund in seen["refunds"]) and _refund_is_there(seen) else None

    payment = await until(f"{payment_id}'s refund", settled, seconds_max=END_SECONDS_MAX)
    for refund in payment["refunds"]:
        told.tell("razorpay", f"{refund['id']} {rupees(refund['amount_paise'])} PROCESSED as {refund['razorpay_refund_id']}")
    return payment


def _refund_is_there(payment: Json) -> bool:
    due = payment["bill"]["refund_paise"] if payment["bill"] else payment["amount_paise"] - payment["residue_paise"]
    return bool(payment["refunds"]) or due == 0


async def _paid_out(world: World, payment: Json, told: Transcript) -> None:
    async def entry_made() -> Json | None:
        found = await world.all_of(f"/v1/ledger-entries?transaction_id={payment['transaction_id']}&kind=SESSION", role="finance")
        return found[0] if found else None

    entry = await until("the franchisee's ledger entry", entry_made, seconds_max=END_SECONDS_MAX)
    kept = f"gateway fee {rupees(entry['pg_fee_paise'])}, GST {rupees(entry['gst_paise'])}"
    told.tell("settlement", f"{entry['id']} gross {rupees(entry['gross_paise'])}, refund {rupees(entry['refund_paise'])}, {kept}")
    shares = f"commission {rupees(entry['commission_paise'])}, TDS {rupees(entry['tds_paise'])}"
    told.tell("settlement", f"      {shares}, payout to {entry['franchisee_id']} {rupees(entry['payout_paise'])}")

    async def done() -> Json | None:
        seen: Json = await world.api("GET", f"/v1/ledger-entries/{entry['id']}", role="finance")
        return seen if seen["status"] == "SETTLED" else None

    await until(f"{entry['id']} to be settled", done, seconds_max=SETTLED_SECONDS_MAX)
    for transfer in await world.all_of(f"/v1/transfers?franchisee_id={entry['franchisee_id']}", role="finance"):
        whole: Json = await world.api("GET", f"/v1/transfers/{transfer['id']}", role="finance")
        if any(paid["ledger_entry_id"] == entry["id"] for paid in whole["pays"]):
            told.tell(
                "razorpay", f"{whole['id']} {rupees(whole['amount_paise'])} {whole['status']} as {whole['razorpay_transfer_id']}"
            )
            told.tell("razorpay", f"      in the franchisee's bank by {whole['settlement_id']}, UTR {whole['utr']}")
            return


def _check(payment: Json) -> None:
    """Every paisa paid is in exactly one line."""
    bill = payment["bill"]
    if bill is None:
        returned = sum(refund["amount_paise"] for refund in payment["refunds"]) + payment["residue_paise"]
        if returned != payment["amount_paise"]:
            raise SessionWentWrong(f"{payment['id']}: paid {payment['amount_paise']} paise, given back {returned}")
        return
    lines = sum(
        bill[name] for name in ("energy_charge_paise", "gst_paise", "platform_fee_paise", "refund_paise", "residue_paise")
    )
    if lines != payment["amount_paise"]:
        raise SessionWentWrong(f"{payment['id']}: paid {payment['amount_paise']} paise, the bill's lines add up to {lines}")


def _sum_of(payment: Json) -> str:
    bill = payment["bill"]
    if bill is None:
        return f"{rupees(payment['amount_paise'])} paid, all of it given back"
    parts = ("energy_charge_paise", "gst_paise", "platform_fee_paise", "refund_paise", "residue_paise")
    names = " + ".join(f"{rupees(bill[name])} {name.removesuffix('_paise').replace('_', ' ')}" for name in parts if bill[name])
    return f"{rupees(payment['amount_paise'])} = {names}"
