"""What `books verify` sees between rows: each seeded error is right in itself, and derived again it agrees."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from voltlync.books.payees import payee_differences
from voltlync.books.records import Records

AT = "2026-11-02T10:00:00+00:00"
BILLED, ENERGY, COMMISSION = 7_315, 5_999, 600
PAYOUT = ENERGY - COMMISSION


def entry(number: int, **changes: Any) -> dict[str, Any]:
    """A session's entry of frn_1: 100.00 paid, 26.85 back, 10.80 GST and 2.36 fee billed, commission 6.00."""
    return {
        "id": f"led_{number}",
        "kind": "SESSION",
        "transaction_id": f"txn_{number}",
        "franchisee_id": "frn_1",
        "started_at": AT,
        "created_at": AT,
        "gross_paise": 10_000,
        "refund_paise": 2_685,
        "residue_paise": 0,
        "pg_fee_paise": 236,
        "gst_paise": 1_080,
        "commission_paise": COMMISSION,
        "tds_paise": 0,
        "payout_paise": PAYOUT,
        "tds_bps": 10,
        "tds_base": "NET_EXCL_GST",
        "tds_year": 2026,
        "tds_year_sales_paise": BILLED * (number - 1),
        "tds_year_due_paise_bps": ENERGY * 10 * (number - 1),
        "tds_year_withheld_paise": 0,
        "collected_by_account_id": None,
        **changes,
    }


def transfer(number: int, *pays: tuple[str, int]) -> dict[str, Any]:
    return {
        "id": f"xfr_{number}",
        "franchisee_id": "frn_1",
        "status": "SETTLED",
        "razorpay_transfer_id": f"trf_{number}",
        "created_at": AT,
        "processed_at": AT,
        "amount_paise": sum(paise for _, paise in pays),
        "reversed_paise": 0,
        "settlement_id": f"setl_{number}",
        "pays": [{"ledger_entry_id": name, "amount_paise": paise} for name, paise in pays],
        "reversals": [],
    }


def settled(number: int, paise: int) -> dict[str, Any]:
    return {"id": f"setl_{number}", "amount_paise": paise, "processed_at": f"2026-11-0{number + 2}T10:00:00+00:00"}


def webhook(number: int, event: str, entity: str, razorpay_id: str, status: str) -> dict[str, Any]:
    figure = {"entity": entity, "razorpay_id": razorpay_id, "status": status, "amount_paise": 10_000}
    return {"id": f"whe_{number}", "event": event, "state": "HANDLED", "created_at": AT, "figures": [figure]}


def agreeing() -> Records:
    """Two sessions of one franchisee, each paid and transferred, with a correction of the second; a third one waits."""
    bill = {"billed_at": AT, "franchisee_id": "frn_1"}
    refund = {"id": "rfd_1", "status": "PROCESSED", "processed_at": AT, "razorpay_refund_id": "rfnd_1"}
    return Records(
        payments=[
            {
                "id": f"qrp_{n}",
                "transaction_id": f"txn_{n}",
                "collected_by_franchisee_id": None,
                "bill": bill,
                "refunds": [refund],
            }
            for n in (1, 2)
        ],
        payments_known={"pay_1", "pay_2"},
        transactions={f"txn_{n}": {"franchisee_id": "frn_1"} for n in (1, 2)},
        webhook_events=[
            webhook(1, "qr_code.credited", "payment", "pay_1", "captured"),
            webhook(2, "refund.failed", "refund", "rfnd_1", "failed"),
            webhook(3, "refund.processed", "refund", "rfnd_1", "processed"),
        ],
        entries=[
            entry(1),
            entry(2),
            entry(3, kind="CORRECTION", transaction_id="txn_2", tds_year=None, payout_paise=-1_523),
            entry(4, tds_year_sales_paise=2 * BILLED, tds_year_due_paise_bps=2 * ENERGY * 10),
        ],
        settlements=[settled(2, PAYOUT - 1_523), settled(1, PAYOUT)],
        transfers=[transfer(1, ("led_1", PAYOUT)), transfer(2, ("led_2", PAYOUT), ("led_3", -1_523))],
    )


def of(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(row for row in rows if row["id"] == name)


def reversed_too(records: Records) -> None:
    back = {"id": "rvs_1", "ledger_entry_id": "led_3", "status": "DONE", "done_at": AT}
    of(records.transfers, "xfr_1")["reversals"].append(back)


def assign(records: Records, transaction: str) -> None:
    """Its site bore the number of a franchisee who does not exist."""
    records.assigned.add(transaction)
    records.transactions[transaction]["franchisee_id"] = "frn_9"
    payment = next(payment for payment in records.payments if payment["transaction_id"] == transaction)
    payment["bill"] = {**payment["bill"], "franchisee_id": "frn_9"}


SEEDS: dict[str, tuple[Callable[[Records], object], str]] = {
    "a session booked for another franchisee": (
        lambda records: [of(records.entries, f"led_{n}").update(franchisee_id="frn_2", tds_year=None) for n in (1, 2, 3)],
        "led_1: is frn_2's; the bill of qrp_1 is frn_1's",
    ),
    "a bill of another's session": (
        lambda records: records.transactions["txn_1"].update(franchisee_id=None),
        "bill of qrp_1: is frn_1's; txn_1 is the platform's own",
    ),
    "a payout that went to another franchisee": (
        lambda records: of(records.transfers, "xfr_1").update(franchisee_id="frn_2"),
        "xfr_1: pays led_1 to frn_2; it is frn_1's",
    ),
    "a payout in two transfers": (
        lambda records: records.transfers.append(transfer(3, ("led_1", PAYOUT))),
        "xfr_3: pays led_1; xfr_1 has done so",
    ),
    "a part of a payout": (
        lambda records: of(records.transfers, "xfr_1")["pays"][0].update(amount_paise=PAYOUT - 1),
        f"xfr_1: pays led_1 with {PAYOUT - 1} paise; it is due {PAYOUT}",
    ),
    "a transfer of nothing that was earned": (
        lambda records: records.transfers.append(transfer(3, ("led_9", PAYOUT))),
        "xfr_3: pays led_9; there is no such entry",
    ),
    "a correction made good twice": (reversed_too, "xfr_2: pays led_3; rvs_1 has done so"),
    "a settlement that brought less": (
        lambda records: of(records.settlements, "setl_2").update(amount_paise=3_000),
        f"frn_1's setl_2: is of 3000 paise, {PAYOUT + 3_000} in all; its transfers come to {2 * PAYOUT - 1_523} in all",
    ),
    "a year that forgot a session": (
        lambda records: of(records.entries, "led_2").update(tds_year_sales_paise=0, tds_year_due_paise_bps=0),
        f"led_2: has (0, 0, 0) of sales, tax due and withheld before it in 2026; its owner's entries make them ({BILLED}, ",
    ),
    "a session in the year that had ended": (
        lambda records: of(records.entries, "led_1").update(started_at="2026-03-31T18:29:00+00:00"),
        "led_1: has (0, 0, 0) of sales, tax due and withheld before it in 2026; its owner's entries make them (0, 0, 0) in 2025",
    ),
    "a payment that was heard of and lost": (
        lambda records: records.payments_known.remove("pay_1"),
        "whe_1: tells of pay_1, 10000 paise paid; there is no payment of it",
    ),
    "a refund that failed": (
        lambda records: records.webhook_events.pop(),
        "rfd_1: is PROCESSED; Razorpay says that rfnd_1 failed",
    ),
    "a transfer that failed": (
        lambda records: records.webhook_events.append(webhook(4, "transfer.failed", "transfer", "trf_2", "failed")),
        "xfr_2: is SETTLED; Razorpay says that trf_2 failed",
    ),
}


def differing(records: Records) -> list[str]:
    return [f"{row}: {says}; {should}" for _, row, says, should in payee_differences(records)]


def test_what_is_right_between_rows_agrees() -> None:
    assert differing(agreeing()) == []


@pytest.mark.parametrize("name", SEEDS)
def test_an_error_between_rows_is_named(name: str) -> None:
    seed, words = SEEDS[name]
    records = copy.deepcopy(agreeing())
    seed(records)
    assert any(words in said for said in differing(records)), differing(records)


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(lambda records: of(records.transfers, "xfr_1").update(status="FAILED"), id="a failed transfer pays nothing"),
        pytest.param(
            lambda records: records.transfers.append({**transfer(3, ("led_1", PAYOUT)), "status": "FAILED"}),
            id="one that Razorpay made after all is counted elsewhere",
        ),
        pytest.param(lambda records: assign(records, "txn_1"), id="a person said whose it is"),
        pytest.param(
            lambda records: (
                of(records.transfers, "xfr_1").update(reversed_paise=500),
                of(records.settlements, "setl_2").update(amount_paise=PAYOUT - 1_523 - 500),
            ),
            id="what was reversed after it was settled comes out of the next settlement",
        ),
        pytest.param(
            lambda records: (
                of(records.entries, "led_4").update(collected_by_account_id="acc_1"),
                of(records.settlements, "setl_2").update(amount_paise=1),
            ),
            id="who collects itself has refunds of its own",
        ),
    ],
)
def test_what_is_known_is_no_error(changed: Callable[[Records], object]) -> None:
    records = agreeing()
    changed(records)
    assert differing(records) == []
