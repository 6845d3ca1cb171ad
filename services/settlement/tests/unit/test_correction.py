"""A session's entry and its corrections are the split of the session with all its refunds, whatever their number and order."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from money import TdsBase, calculate_settlement, final_bill, supply_reduction
from settlement.domain.books import EntryNetted
from settlement.domain.correction import Correction, SplitFigures, correction_key, correction_of
from settlement.domain.explain_correction import explain_correction
from settlement.domain.ledger_entry import HoldKind
from settlement.domain.reversal import SeenReversal, find_ours
from settlement.domain.transfer import waiting_kind

LINES = ("refund_paise", "gst_paise", "commission_paise", "tds_paise", "payout_paise")


def test_a_small_payout_that_is_given_back_moves_nothing_between_accounts() -> None:
    at = datetime(2026, 12, 1, tzinfo=UTC)
    assert EntryNetted(occurred_at=at, ledger_entry_id=4, payout_paise=99).journal() is None, "carried from the first"
    assert EntryNetted(occurred_at=at, ledger_entry_id=4, payout_paise=100).journal() is not None


def test_a_correction_is_what_it_says_or_can_not_be() -> None:
    lines = {"refund_paise": 2_000, "gst_paise": -305, "commission_paise": -339, "tds_paise": -2, "payout_paise": -1_354}
    Correction(**lines)
    Correction(**{**lines, "refund_paise": 1, "gst_paise": 0, "commission_paise": 0, "tds_paise": 0, "payout_paise": -1})
    wrong = [{"refund_paise": 2_001}, {"refund_paise": 0, "payout_paise": 646}]
    wrong += [{line: 1, "payout_paise": -1_355 + lines[line]} for line in ("gst_paise", "commission_paise", "tds_paise")]
    for change in wrong:
        with pytest.raises(AssertionError):
            Correction(**{**lines, **change})


def test_a_correction_in_words() -> None:
    entry = SplitFigures(
        gross_paise=10_000,
        refund_paise=2685,
        residue_paise=0,
        pg_fee_paise=236,
        gst_paise=1080,
        commission_bps=2000,
        tds_bps=10,
        tds_base="NET_EXCL_GST",
        tds_year=None,
    )
    parts = {"energy_charge_paise": 1695, "gst_paise": 305, "energy_charge_before_paise": 0, "gst_before_paise": 0}
    made = Correction(refund_paise=2000, gst_paise=-305, commission_paise=-340, tds_paise=0, payout_paise=-1355)
    explained = explain_correction(entry, made, first_entry_id=4, refund_number=2, **parts)
    assert {one.name: one.sentence for one in explained} == {
        "refund": "With refund 2 what goes back to the rider grows by ₹20.00.",
        "gst": "With refund 2 GST falls by ₹3.05.",
        "commission": "With refund 2 our commission falls by ₹3.40.",
        "tds": "With refund 2 the tax withheld stays as it was.",
        "payout": "With refund 2 the payout falls by ₹13.55.",
    }
    for one in explained:
        assert one.formula == "off_with_this_refund_paise - off_before_it_paise"
        assert one.inputs == {"off_with_this_refund_paise": one.paise, "off_before_it_paise": 0}
        assert one.sources == {
            "off_with_this_refund_paise": "led_4 with refunds up to 2",
            "off_before_it_paise": "led_4 with the refunds before",
        }
    paisa = Correction(refund_paise=2, gst_paise=-1, commission_paise=-2, tds_paise=0, payout_paise=1)
    words = {one.name: one.sentence for one in explain_correction(entry, paisa, first_entry_id=4, refund_number=1, **parts)}
    assert words["payout"] == "With refund 1 the payout grows by ₹0.01."


def test_by_example() -> None:
    # 100.00 paid, 59.99 of energy, 10.80 GST, 2.36 fee, 26.85 back; commission 20 %, TDS 0.1 %. 20.00 more go back.
    entry = SplitFigures(
        gross_paise=10_000,
        refund_paise=2685,
        residue_paise=0,
        pg_fee_paise=236,
        gst_paise=1080,
        commission_bps=2000,
        tds_bps=10,
        tds_base="NET_EXCL_GST",
        tds_year=None,
    )
    correction = correction_of(entry, energy_charge_paise=1695, gst_paise=305, energy_charge_before_paise=0, gst_before_paise=0)
    # 59.99 make 12.00 + 0.06 + 47.93; 43.04 make 8.61 + 0.04 + 34.39.
    assert correction == Correction(refund_paise=2000, gst_paise=-305, commission_paise=-339, tds_paise=-2, payout_paise=-1354)
    assert correction_key(17, 1) == "txn_17_c1"


@given(
    energy_wh=st.integers(1, 30_000),
    tariff=st.integers(1, 4_000),
    gst_bps=st.sampled_from([0, 500, 1800, 2800]),
    paid=st.integers(1, 60_000),
    fee=st.integers(0, 500),
    commission_bps=st.integers(0, 10_000),
    tds_bps=st.integers(0, 1_000),
    tds_base=st.sampled_from(TdsBase),
    data=st.data(),
)
def test_entry_and_corrections_together_are_the_split_with_all_refunds(
    energy_wh: int,
    tariff: int,
    gst_bps: int,
    paid: int,
    fee: int,
    commission_bps: int,
    tds_bps: int,
    tds_base: TdsBase,
    data: st.DataObject,
) -> None:
    bill = final_bill(energy_wh=energy_wh, tariff_paise_per_kwh=tariff, gst_bps=gst_bps, platform_fee_paise=fee, paid_paise=paid)
    terms = {"commission_bps": commission_bps, "tds_bps": tds_bps, "tds_base": tds_base}
    fixed = {"gross_paise": bill.paid_paise, "residue_paise": bill.residue_paise, "pg_fee_paise": bill.platform_fee_paise}
    first = calculate_settlement(refund_paise=bill.refund_paise, gst_collected_paise=bill.gst_paise, **fixed, **terms)
    entry = SplitFigures(
        refund_paise=bill.refund_paise, gst_paise=bill.gst_paise, tds_year=None, **fixed, **{**terms, "tds_base": tds_base.value}
    )
    left, energy_off, gst_off = bill.energy_charge_paise + bill.gst_paise, 0, 0
    corrections = []
    for _ in range(data.draw(st.integers(0, 5), label="refunds")):
        if left < 1:
            break
        amount = data.draw(st.integers(1, left), label="amount")
        part = supply_reduction(
            amount_paise=amount,
            before_paise=energy_off + gst_off,
            energy_charge_paise=bill.energy_charge_paise,
            gst_paise=bill.gst_paise,
        )
        told = {"energy_charge_before_paise": energy_off, "gst_before_paise": gst_off}
        told |= {"energy_charge_paise": part.energy_charge_paise, "gst_paise": part.gst_paise}
        corrections.append(correction_of(entry, **told))
        explained = explain_correction(entry, corrections[-1], first_entry_id=4, refund_number=len(corrections), **told)
        assert sum(one.paise for one in explained) == 0
        for line in explained:
            with_it, before = line.inputs["off_with_this_refund_paise"], line.inputs["off_before_it_paise"]
            assert isinstance(with_it, int)
            assert isinstance(before, int)
            assert line.paise == with_it - before
            assert before == sum(getattr(one, f"{line.name}_paise") for one in corrections[:-1])
        by_the_year = correction_of(replace(entry, tds_year=2026), **told)
        assert by_the_year.tds_paise == 0, "what a year's threshold withheld, a refund does not unsay"
        assert by_the_year.commission_paise == corrections[-1].commission_paise
        left, energy_off, gst_off = left - amount, energy_off + part.energy_charge_paise, gst_off + part.gst_paise
    sums = {line: sum(getattr(correction, line) for correction in data.draw(st.permutations(corrections))) for line in LINES}
    now = {
        "refund_paise": first.refund_paise + sums["refund_paise"],
        "gst_paise": first.gst_collected_paise + sums["gst_paise"],
        "commission_paise": first.commission_paise + sums["commission_paise"],
        "tds_paise": first.tds_paise + sums["tds_paise"],
        "payout_paise": first.payout_paise + sums["payout_paise"],
    }
    assert bill.paid_paise == sum(now.values()) + bill.residue_paise + bill.platform_fee_paise
    assert min(now.values()) >= 0
    assert now["gst_paise"] == bill.gst_paise - gst_off
    again = calculate_settlement(refund_paise=now["refund_paise"], gst_collected_paise=now["gst_paise"], **fixed, **terms)
    assert (now["commission_paise"], now["tds_paise"], now["payout_paise"]) == (
        again.commission_paise,
        again.tds_paise,
        again.payout_paise,
    )
    assert all(correction.payout_paise <= 1 for correction in corrections)


@pytest.mark.parametrize(
    ("payout", "kind", "words"),
    [
        (-1354, HoldKind.NETTED, "taken off the next payouts"),
        (5393, HoldKind.NETTED, "Used up by refunds"),
        (99, HoldKind.BELOW_MINIMUM, "Less than ₹1"),
    ],
)
def test_what_waits_says_for_what(payout: int, kind: HoldKind, words: str) -> None:
    waits, reason = waiting_kind(payout)
    assert waits is kind
    assert words in reason


def test_which_reversal_is_ours() -> None:
    def seen(name: str, amount: int, key: str | None = None) -> SeenReversal:
        found = SeenReversal.from_entity({"id": name, "amount": amount, "notes": {"key": key} if key else []})
        assert found is not None
        return found

    ours, others = seen("rvrsl_1", 500, "txn_1_c1"), seen("rvrsl_2", 500, "txn_1_c2")
    older, newer = seen("rvrsl_3", 500), seen("rvrsl_4", 500)

    def find(*listed: SeenReversal, known: frozenset[str] = frozenset()) -> SeenReversal | None:
        return find_ours(listed, key="txn_1_c1", amount_paise=500, known=known)

    assert find(newer, others, ours) is ours
    assert find(newer, older, others) is older, "the list is newest first"
    assert find(others, seen("rvrsl_5", 499)) is None
    assert find(older, known=frozenset({"rvrsl_3"})) is None
    for nonsense in ({}, {"id": 1, "amount": 5}, {"id": "rvrsl_1", "amount": "5"}, {"id": "rvrsl_1", "amount": True}):
        assert SeenReversal.from_entity(nonsense) is None
