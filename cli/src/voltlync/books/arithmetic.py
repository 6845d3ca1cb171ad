"""The formulas of money once more, written apart from `money` and settlement's rules: what those get wrong is not wrong here too.

Each share is its rate's part of what it is taken of, to half a paisa: which way a tie is rounded is the rules' to say.
"""

from collections.abc import Iterator

from voltlync.books.after_the_bill import Finding
from voltlync.books.records import Json, Records, moment
from voltlync.books.wallets import bills_as_payments

BPS = 10_000


def arithmetic_differences(records: Records) -> Iterator[Finding]:
    """Every bill by its session's energy and rate, every split by its franchisee's terms."""
    for payment in (*records.payments, *bills_as_payments(records).values()):
        session = records.transactions.get(payment["transaction_id"])
        if payment["bill"] is not None and session is not None and session["energy_wh"] is not None:
            yield from _bill(payment, session)
    for entry in records.entries:
        if entry["kind"] == "SESSION":
            yield from _split(entry, records.terms[entry["franchisee_id"]])


def _bill(payment: Json, session: Json) -> Iterator[Finding]:
    bill, at, row = payment["bill"], moment(payment["bill"]["billed_at"]), f"bill of {payment['id']}"
    charge, gst, gst_bps = bill["energy_charge_paise"], bill["gst_paise"], session["gst_bps"]
    if bill["shortfall_paise"]:
        billed = bill["paid_paise"] - bill["platform_fee_paise"]
        if charge + gst != billed:
            yield at, row, f"has energy and GST of {charge + gst} paise", f"all of the {billed} paise are used up"
        if _is_off(charge, billed * BPS, BPS + gst_bps):
            yield at, row, f"energy_charge_paise is {charge}", f"{billed} paise with {gst_bps} basis points of GST in them"
        return
    energy_wh, rate = session["energy_wh"], session["tariff_paise_per_kwh"]
    if _is_off(charge, energy_wh * rate, 1000):
        yield at, row, f"energy_charge_paise is {charge}", f"{energy_wh} Wh were sold at {rate} paise/kWh"
    if _is_off(gst, charge * gst_bps, BPS):
        yield at, row, f"gst_paise is {gst}", f"GST is {gst_bps} basis points of {charge} paise"


def _split(entry: Json, terms: list[Json]) -> Iterator[Finding]:
    at, row, started_at = moment(entry["created_at"]), entry["id"], moment(entry["started_at"])
    since = sorted((moment(item["effective_from"]), item["commission_bps"]) for item in terms)
    agreed = [bps for effective_from, bps in since if effective_from <= started_at] or [bps for _, bps in since[:1]]
    commission, bps = entry["commission_paise"], entry["commission_bps"]
    if bps != agreed[-1]:
        yield at, row, f"takes {bps} basis points", f"{agreed[-1]} were agreed on when the session began"
    net = entry["gross_paise"] - sum(entry[f"{line}_paise"] for line in ("refund", "residue", "pg_fee", "gst"))
    if _is_off(commission, net * bps, BPS):
        yield at, row, f"commission_paise is {commission}", f"it is {bps} basis points of {net} paise"
    if entry["tds_year"] is not None:
        return  # a financial year's tax, not this entry's
    base = net - (commission if entry["tds_base"] == "NET_LESS_COMMISSION" else 0)
    if entry["tds_paise"] != net - commission and _is_off(entry["tds_paise"], base * entry["tds_bps"], BPS):
        yield at, row, f"tds_paise is {entry['tds_paise']}", f"it is {entry['tds_bps']} basis points of {base} paise"


def _is_off(paise: int, dividend: int, divisor: int) -> bool:
    """Whether it is further than half a paisa from the quotient."""
    return 2 * abs(paise * divisor - dividend) > divisor
