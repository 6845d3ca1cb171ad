"""The judge on trial: a day's books that are right are found right, and each single thing that goes wrong with them is seen."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from money import final_bill
from razorpay_simulator.entities import Payment, Refund, Transfer
from razorpay_simulator.events import Delivery, EventRecord
from razorpay_simulator.state import State
from tests.chaos.evidence import Evidence, Metered, Reading, Witnessed
from tests.chaos.invariants import moved, unfinished, wrongs

TEN = datetime(2026, 11, 22, 10, tzinfo=UTC)
PAID, FEE, RATE, GST_BPS, ENERGY_WH = 2000, 47, 1800, 1800, 500
BILL = final_bill(energy_wh=ENERGY_WH, tariff_paise_per_kwh=RATE, gst_bps=GST_BPS, platform_fee_paise=FEE, paid_paise=PAID)
LINES = ("energy_wh", "energy_charge_paise", "gst_paise", "platform_fee_paise", "refund_paise", "residue_paise")


def payment(id_: str, amount: int) -> Payment:
    shape: dict[str, Any] = {"email": None, "contact": None, "customer_id": None, "notes": {}, "acquirer_data": {}, "upi": {}}
    return Payment(
        id=id_, amount=amount, status="captured", captured=True, vpa="a@okaxis", fee=47, tax=7, created_at=0, qr_code_id="qr_1",
        charged_fee=47, charged_tax=7, **shape,
    )  # fmt: skip


def refund(id_: str, payment_id: str, amount: int, **more: Any) -> Refund:
    return Refund(
        id=id_, payment_id=payment_id, amount=amount, notes={}, receipt=None, created_at=0, speed_requested="optimum", due_at=0,
        **{"status": "processed", **more},
    )  # fmt: skip


def webhook(state: str) -> dict[str, Any]:
    return {"razorpay_event_id": "evt", "event": "refund.processed", "state": state, "reason": None}


def books() -> Evidence:
    """Two payments: one served, billed, refunded in part, and paid out; the other given back whole."""
    payout = BILL.energy_charge_paise - 100
    served: dict[str, Any] = {
        "id": 1, "razorpay_payment_id": "pay_1", "request_key": "qr_payment_1", "amount_paise": PAID, "platform_fee_paise": FEE,
        "state": "BILLED", "transaction_id": 7,
    }  # fmt: skip
    not_served = {
        "id": 2, "razorpay_payment_id": "pay_2", "request_key": "qr_payment_2", "amount_paise": 900, "platform_fee_paise": 21,
        "state": "REFUNDED", "transaction_id": None,
    }  # fmt: skip
    made = {"status": "PROCESSED", "last_error": None}
    bill = {
        "id": 1, "qr_payment_id": 1, "transaction_id": 7, "franchisee_id": 3, "paid_paise": PAID,
        **{line: getattr(BILL, line) for line in LINES},
    }  # fmt: skip
    entry = {
        "id": 4, "key": "txn_7", "transaction_id": 7, "franchisee_id": 3, "gross_paise": PAID, "status": "SETTLED",
        "hold_kind": None, "hold_reason": None, "implausible": False, "payout_paise": payout, "pg_fee_paise": FEE,
        "refund_paise": BILL.refund_paise, "residue_paise": BILL.residue_paise, "gst_paise": BILL.gst_paise,
        "commission_paise": 99, "tds_paise": 1,
    }  # fmt: skip
    transaction = {
        "id": 7, "request_key": "qr_payment_1", "state": "STOPPED", "stop_reason": "CHARGER", "ocpp_stop_reason": "Local",
        "energy_wh": ENERGY_WH, "tariff_paise_per_kwh": RATE, "gst_bps": GST_BPS, "total_billed_paise": BILL.total_billed_paise,
    }  # fmt: skip
    reading = Reading("CP-1", 1, TEN, 1_000_250)
    bank = State()
    bank.payments = {"pay_1": payment("pay_1", PAID), "pay_2": payment("pay_2", 900)}
    bank.refunds = {"rfnd_1": refund("rfnd_1", "pay_1", BILL.refund_paise), "rfnd_2": refund("rfnd_2", "pay_2", 900)}
    bank.transfers = {
        "trf_1": Transfer(
            id="trf_1", status="processed", source="acc_0", recipient="acc_3", amount=payout, fees=1, tax=0, notes={},
            created_at=0, due_at=0, settlement_status="settled",
        )
    }  # fmt: skip
    return Evidence(
        paid={"pay_1": PAID, "pay_2": 900},
        bank=bank,
        tables={
            "webhooks": [],
            "payments": [served, not_served],
            "bills": [bill],
            "refunds": [
                {"key": "qr_payment_1", "qr_payment_id": 1, "amount_paise": BILL.refund_paise, **made},
                {"key": "qr_payment_2", "qr_payment_id": 2, "amount_paise": 900, **made},
            ],
            "residues": [],
            "start_requests": [
                {"request_key": "qr_payment_1", "state": "STARTED", "deadline_at": TEN},
                {"request_key": "qr_payment_2", "state": "EXPIRED", "deadline_at": TEN},
            ],
            "transactions": [transaction],
            "commands": [{"id": 1, "action": "RemoteStartTransaction", "status": "ANSWERED", "deadline_at": TEN}],
            "entries": [entry],
            "transfers": [
                {"id": 5, "key": "txn_7", "amount_paise": payout, "status": "SETTLED", "razorpay_transfer_id": "trf_1"}
            ],
            "allocations": [{"transfer_id": 5, "ledger_entry_id": 4, "amount_paise": payout, "live": True}],
        },
        stored=Counter([reading]),
        unpublished={},
        queues={},
        dead={},
        points=Witnessed(
            acknowledged=Counter([reading]),
            sent={reading},
            metered={7: Metered(meter_start_wh=1_000_000, meter_stop_wh=1_000_000 + ENERGY_WH, stopped=True)},
        ),
    )


def test_right_books_are_found_right() -> None:
    assert unfinished(books()) == []
    assert wrongs(books()) == []


def test_money_that_moves_again_is_seen() -> None:
    seen = books()
    seen.bank.refunds["x"] = refund("x", "pay_1", 1)
    assert moved(seen) != moved(books())


Harm = Callable[[Evidence], object]

STILL: dict[str, Harm] = {
    "a payment whose webhook never arrived": lambda seen: seen.tables["payments"].pop(),
    "a payment between its states": lambda seen: seen.tables["payments"][1].update(state="REFUND_DUE"),
    "a refund never sent": lambda seen: seen.tables["refunds"][0].update(status="PENDING"),
    "a refund that failed for good": lambda seen: seen.tables["refunds"][0].update(status="FAILED"),
    "a refund that the bank is making": lambda seen: setattr(seen.bank.refunds["rfnd_1"], "status", "pending"),
    "a bill without a ledger entry": lambda seen: seen.tables["entries"].pop(),
    "a payout never transferred": lambda seen: seen.tables["entries"][0].update(status="PENDING"),
    "a payout never settled": lambda seen: seen.tables["entries"][0].update(status="TRANSFERRED"),
    "a start that nobody decided": lambda seen: seen.tables["start_requests"][1].update(state="REQUESTED"),
    "a session without an end": lambda seen: seen.tables["transactions"][0].update(state="SUSPENDED"),
    "a session that never heard of its bill": lambda seen: seen.tables["transactions"][0].update(total_billed_paise=None),
    "a command without an outcome": lambda seen: seen.tables["commands"][0].update(status="DISPATCHED"),
    "an outbox that holds back": lambda seen: seen.unpublished.update(payments=1),
    "a queue that nobody reads": lambda seen: seen.queues.update({"payments.events": 1}),
    "an acknowledged meter value that is gone": lambda seen: seen.stored.clear(),
    "an acknowledged meter value stored once of twice": lambda seen: seen.points.acknowledged.update(seen.points.sent),
    "a charge point with a message left": lambda seen: seen.points.unsent.update(["CP-1"]),
    "a charge point that goes on charging": lambda seen: seen.points.running.append("CP-1"),
    "a webhook taken and not worked off": lambda seen: seen.tables["webhooks"].append(webhook("RECEIVED")),
    "a webhook that was never taken": lambda seen: seen.bank.events.update(
        evt=EventRecord(
            id="evt", event="refund.processed", account_id="acc_0", created_at=0, body="",
            deliveries=[Delivery(endpoint_id="1", url="", secret="", state="pending", started_at=0, next_at=0)],
        )
    ),
}  # fmt: skip


@pytest.mark.parametrize("harm", STILL.values(), ids=STILL.keys())
def test_what_is_under_way_is_seen(harm: Harm) -> None:
    seen = books()
    harm(seen)
    assert unfinished(seen)


WRONG: dict[str, Harm] = {
    "a rider's payment that nobody has": lambda seen: seen.paid.update(pay_3=500),
    "a payment booked twice": lambda seen: seen.tables["payments"].append(dict(seen.tables["payments"][1], id=9)),
    "a payment booked with another amount": lambda seen: seen.tables["payments"][1].update(amount_paise=901),
    "a payment that was never made": lambda seen: seen.bank.payments.pop("pay_2"),
    "a refund dropped at the bank": lambda seen: seen.bank.refunds.pop("rfnd_1"),
    "a full refund dropped": lambda seen: seen.bank.refunds.pop("rfnd_2"),
    "a refund made twice": lambda seen: seen.bank.refunds.update(x=refund("x", "pay_1", BILL.refund_paise)),
    "a refund of another amount": lambda seen: setattr(seen.bank.refunds["rfnd_2"], "amount", 899),
    "a refund of nothing of ours": lambda seen: seen.bank.refunds.update(x=refund("x", "pay_0", 100)),
    "a second live refund in our books": lambda seen: seen.tables["refunds"].append(dict(seen.tables["refunds"][1], key="x")),
    "a residue that nobody is owed": lambda seen: seen.tables["residues"].append({"qr_payment_id": 1, "amount_paise": 5}),
    "a bill doubled": lambda seen: seen.tables["bills"].append(dict(seen.tables["bills"][0], id=2)),
    "a bill that is gone": lambda seen: seen.tables["bills"].clear(),
    "a bill for a payment that went back": lambda seen: seen.tables["payments"][0].update(state="REFUNDED"),
    "a bill whose lines do not add up": lambda seen: seen.tables["bills"][0].update(gst_paise=0),
    "a bill for more energy than the session's": lambda seen: seen.tables["bills"][0].update(energy_wh=ENERGY_WH + 1),
    "more energy billed than delivered": lambda seen: setattr(seen.points.metered[7], "meter_stop_wh", 1_000_000 + ENERGY_WH - 1),
    "less energy billed than the charger's stop said": lambda seen: setattr(seen.points.metered[7], "meter_stop_wh", 1_000_999),
    "a session that no charge point knows": lambda seen: seen.points.metered.clear(),
    "a ledger entry doubled": lambda seen: seen.tables["entries"].append(dict(seen.tables["entries"][0], id=9, key="x")),
    "a ledger entry that does not add up": lambda seen: seen.tables["entries"][0].update(tds_paise=0),
    "a ledger entry of somebody else": lambda seen: seen.tables["entries"][0].update(franchisee_id=4),
    "an honest meter in doubt": lambda seen: seen.tables["entries"][0].update(implausible=True, status="ON_HOLD"),
    "a payout without a transfer": lambda seen: seen.tables["allocations"].clear(),
    "a payout by two transfers": lambda seen: seen.tables["allocations"].append(
        dict(seen.tables["allocations"][0], transfer_id=6)
    ),
    "a transfer that the bank never made": lambda seen: seen.bank.transfers.clear(),
    "a transfer of another amount": lambda seen: setattr(seen.bank.transfers["trf_1"], "amount", 1),
    "a transfer that the bank made and we don't know": lambda seen: seen.bank.transfers.update(
        x=seen.bank.transfers["trf_1"].model_copy(update={"id": "x"})
    ),
    "a transfer never settled at the bank": lambda seen: setattr(seen.bank.transfers["trf_1"], "settlement_status", "pending"),
    "two sessions of one payment": lambda seen: seen.tables["transactions"].append(dict(seen.tables["transactions"][0], id=8)),
    "a session that its payment does not know": lambda seen: seen.tables["payments"][0].update(transaction_id=8),
    "a start for no payment": lambda seen: seen.tables["start_requests"][0].update(request_key="qr_payment_9"),
    "a message given up": lambda seen: seen.dead.update({"payments.events.dead": 1}),
    "a webhook given up": lambda seen: seen.tables["webhooks"].append(webhook("FAILED")),
    "a meter value that nobody sent": lambda seen: seen.stored.update([Reading("CP-1", 1, TEN + timedelta(seconds=1), 1)]),
}


@pytest.mark.parametrize("harm", WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_seen(harm: Harm) -> None:
    seen = books()
    harm(seen)
    assert wrongs(seen)
