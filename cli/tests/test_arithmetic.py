"""`books verify` does the sums apart from the rules: a rule that is wrong is found, though it agrees with itself."""

from typing import Any

import pytest

from voltlync.books.arithmetic import arithmetic_differences
from voltlync.books.records import Records

AT = "2026-11-02T10:00:00+00:00"


def records(*, bill: dict[str, Any] | None = None, entry: dict[str, Any] | None = None) -> Records:
    """100.00 paid, 3.333 kWh at 18.00, GST 18 %, fee 2.36, commission 10 %, TDS 0.1 %."""
    billed = {
        "billed_at": AT,
        "paid_paise": 10_000,
        "energy_charge_paise": 5_999,
        "gst_paise": 1_080,
        "platform_fee_paise": 236,
        "shortfall_paise": 0,
    }
    split = {
        "id": "led_1",
        "kind": "SESSION",
        "franchisee_id": "frn_1",
        "created_at": AT,
        "started_at": AT,
        "commission_bps": 1_000,
        "tds_bps": 10,
        "tds_base": "NET_EXCL_GST",
        "tds_year": None,
        "gross_paise": 10_000,
        "refund_paise": 2_685,
        "residue_paise": 0,
        "pg_fee_paise": 236,
        "gst_paise": 1_080,
        "commission_paise": 600,
        "tds_paise": 6,
        "payout_paise": 5_393,
    }
    return Records(
        payments=[{"id": "qrp_1", "transaction_id": "txn_1", "bill": {**billed, **(bill or {})}}],
        transactions={"txn_1": {"energy_wh": 3_333, "tariff_paise_per_kwh": 1_800, "gst_bps": 1_800}},
        entries=[{**split, **(entry or {})}],
        terms={
            "frn_1": [
                {"commission_bps": bps, "effective_from": f"2026-{month}-01T00:00:00+00:00"}
                for month, bps in (("12", 3_000), ("10", 1_000), ("09", 2_000))
            ]
        },
    )


def differing(found: Records) -> list[str]:
    return [f"{row}: {says}; {should}" for _, row, says, should in arithmetic_differences(found)]


USED_UP = {"shortfall_paise": 1, "paid_paise": 5_236, "energy_charge_paise": 4_237, "gst_paise": 763}
"""52.36 paid, 2.36 of them the fee: 50.00 are 42.37 of energy and 7.63 of GST."""


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"bill": USED_UP},
        {"entry": {"tds_base": "NET_LESS_COMMISSION", "tds_bps": 1_000, "tds_paise": 540}},
        {"entry": {"tds_bps": 10_000, "tds_paise": 5_399, "payout_paise": 0}},
        {"entry": {"tds_year": 2026, "tds_paise": 0}},
        {"entry": {"started_at": "2026-08-01T00:00:00+00:00", "commission_bps": 2_000, "commission_paise": 1_200}},
        {"entry": {"kind": "CORRECTION", "commission_paise": -170}},
    ],
)
def test_what_is_right_agrees(changes: dict[str, Any]) -> None:
    assert differing(records(**changes)) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"bill": {"energy_charge_paise": 6_000}},
            "bill of qrp_1: energy_charge_paise is 6000; 3333 Wh were sold at 1800 paise/kWh",
        ),
        ({"bill": {"gst_paise": 1_079}}, "bill of qrp_1: gst_paise is 1079; GST is 1800 basis points of 5999 paise"),
        (
            {"bill": {**USED_UP, "gst_paise": 762}},
            "bill of qrp_1: has energy and GST of 4999 paise; all of the 5000 paise are used up",
        ),
        (
            {"bill": {**USED_UP, "energy_charge_paise": 4_236, "gst_paise": 764}},
            "bill of qrp_1: energy_charge_paise is 4236; 5000 paise with 1800 basis points of GST in them",
        ),
        ({"entry": {"commission_paise": 599}}, "led_1: commission_paise is 599; it is 1000 basis points of 5999 paise"),
        ({"entry": {"tds_paise": 5}}, "led_1: tds_paise is 5; it is 10 basis points of 5999 paise"),
        (
            {"entry": {"tds_base": "NET_LESS_COMMISSION", "tds_bps": 1_000}},
            "led_1: tds_paise is 6; it is 1000 basis points of 5399",
        ),
        (
            {"entry": {"started_at": "2026-09-30T00:00:00+00:00"}},
            "led_1: takes 1000 basis points; 2000 were agreed on when the session began",
        ),
    ],
)
def test_a_sum_that_is_off_by_a_paisa_is_named(changes: dict[str, Any], words: str) -> None:
    assert any(words in said for said in differing(records(**changes))), differing(records(**changes))
