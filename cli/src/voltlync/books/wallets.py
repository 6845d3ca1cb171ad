"""Wallets re-derived: recharges from Razorpay's webhooks, bills from charging's energy and rate, and what is left in all."""

from collections.abc import Callable
from datetime import datetime

from money import MoneyError, final_bill
from settlement.domain.books import MoneyEvent, RechargeCaptured, RechargeFeeRecorded, WalletSessionBilled
from voltlync.books.after_the_bill import number
from voltlync.books.records import Json, Records, moment

Differs = Callable[[datetime, str, str, str], None]
"""When, which row, what it says, and what the raw records say."""
Expect = Callable[[MoneyEvent], None]

BILL_LINES = ("energy_charge_paise", "gst_paise", "shortfall_paise")


def check_wallets(records: Records, *, to: datetime, expect: Expect, differs: Differs) -> str | None:
    """Every recharge and every bill. Returns what is wrong with the sum of all wallets at `to`, in words, if anything is."""
    captured = {
        figure["razorpay_id"]: (event, figure)
        for event in records.webhook_events
        if event["event"] == "payment.captured"
        for figure in event["figures"]
        if figure["entity"] == "payment"
    }
    for payment in records.recharge_payments:
        _recharge(records, payment, captured.get(payment["razorpay_payment_id"]), expect, differs)
    _given_back(records, differs)
    for session in records.wallet_sessions:
        if session["bill"] is not None:
            _session(records, session, expect, differs)
    return _sum_differs(records, to)


def bills_as_payments(records: Records) -> dict[str, Json]:
    """{transaction: its session, the bill in a payment's words}: gross is what was billed, nothing goes back, no fee is in it."""
    nothing = {"refund_paise": 0, "residue_paise": 0, "platform_fee_paise": 0}
    return {
        session["transaction_id"]: {
            **session,
            "collected_by_franchisee_id": None,
            "collected_by_account_id": None,
            "bill": {**session["bill"], **nothing, "paid_paise": session["bill"]["billed_paise"]},
        }
        for session in records.wallet_sessions
        if session["bill"] is not None
    }


def _recharge(records: Records, payment: Json, told: tuple[Json, Json] | None, expect: Expect, differs: Differs) -> None:
    at, row, rcp = moment(payment["credited_at"]), payment["id"], number(payment["id"])
    fee, tax = payment["fee_paise"], payment["fee_tax_paise"]
    if told is None:
        differs(at, row, f"says that {payment['amount_paise']} paise were paid", "no webhook event of it is kept")
    else:
        event, figure = told
        if figure["amount_paise"] != payment["amount_paise"]:
            says = f"says that {payment['amount_paise']} paise were paid"
            differs(at, row, says, f"Razorpay's {event['id']} says {figure['amount_paise']} paise")
        if payment["fee_source"] == "WEBHOOK" and figure["fee_paise"] != fee:
            differs(at, row, f"says that the fee is {fee} paise", f"Razorpay's {event['id']} says {figure['fee_paise']} paise")
    later = next((item for item in records.journals if item["key"] == f"recharge_payment/{rcp}/fee_recorded"), None)
    if later is not None and payment["fee_source"] == "API":
        expect(
            RechargeFeeRecorded(occurred_at=moment(later["occurred_at"]), recharge_payment_id=rcp, fee_paise=fee, tax_paise=tax)
        )
        fee = tax = None
    expect(
        RechargeCaptured(
            occurred_at=at,
            recharge_payment_id=rcp,
            amount_paise=payment["amount_paise"],
            fee_paise=fee,
            tax_paise=tax,
        )
    )


def _given_back(records: Records, differs: Differs) -> None:
    """A recharge is never refunded by us: what Razorpay tells of was somebody's hand, and the wallet still has the money."""
    ours = {payment["razorpay_payment_id"]: payment for payment in records.recharge_payments}
    for event in records.webhook_events:
        for figure in event["figures"]:
            payment = ours.get(figure["razorpay_payment_id"] or "")
            if figure["entity"] == "refund" and figure["status"] != "failed" and payment is not None:
                says = f"tells of {figure['razorpay_id']}, {figure['amount_paise']} paise"
                differs(moment(event["created_at"]), event["id"], says, f"{payment['id']} is in the wallet whole")


def _session(records: Records, session: Json, expect: Expect, differs: Differs) -> None:
    bill, row = session["bill"], f"bill of {session['id']}"
    at, transaction = moment(bill["billed_at"]), records.transactions.get(session["transaction_id"])
    if transaction is None or transaction["energy_wh"] is None:
        differs(at, row, f"is of {session['transaction_id']}", "charging has no energy of it")
        return
    energy_wh, tariff = transaction["energy_wh"], transaction["tariff_paise_per_kwh"]
    try:
        anew = final_bill(
            energy_wh=energy_wh,
            tariff_paise_per_kwh=tariff,
            gst_bps=transaction["gst_bps"],
            platform_fee_paise=0,
            paid_paise=session["hold_paise"],
        )
    except MoneyError as error:
        differs(at, row, "was made", f"none can be made: {error}")
        return
    facts = f"{energy_wh} Wh at {tariff} paise/kWh of {session['transaction_id']}, {session['hold_paise']} paise held"
    for line in BILL_LINES:
        if bill[line] != getattr(anew, line):
            differs(at, row, f"{line} is {bill[line]}", f"{facts}, make it {getattr(anew, line)}")
    expect(
        WalletSessionBilled(
            occurred_at=at,
            wallet_session_id=number(session["id"]),
            billed_paise=anew.total_billed_paise,
            **{line: getattr(anew, line) for line in BILL_LINES},
        )
    )


def _sum_differs(records: Records, to: datetime) -> str | None:
    """Payments' sum of wallets is the control account's balance, and what came in less what was billed and stayed so."""
    came = sum(item["amount_paise"] for item in records.recharge_payments if moment(item["credited_at"]) < to)
    billed = sum(
        item["bill"]["billed_paise"]
        for item in records.wallet_sessions
        if item["bill"] is not None and moment(item["bill"]["billed_at"]) < to
    )
    back = sum(
        decision["amount_paise"]
        for item in records.wallet_sessions
        for decision in item["operator_refunds"]
        if moment(decision["decided_at"]) < to
    )
    counted = records.wallet_control["balance_paise"]
    control = next(item["balance_paise"] for item in records.trial["accounts"] if item["code"] == "wallet_liability")
    if counted == control == came - billed + back:
        return None
    return f"the account wallet_liability is {control}, {came} came in, {billed} were billed and {back} given back of it"
