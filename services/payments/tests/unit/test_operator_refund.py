"""What operators may give back of a billed payment: never more than was billed, and by parts that add up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.payments import BorneBy
from payments.domain import refund
from payments.domain.errors import ConflictError
from payments.domain.operator_refund import Decision, Given, decide, refundable_paise

BILL = {"energy_charge_paise": 5999, "gst_paise": 1080}


def given_of(decision: Decision) -> Given:
    return Given(
        amount_paise=decision.amount_paise, energy_charge_paise=decision.energy_charge_paise, gst_paise=decision.gst_paise
    )


def test_a_part_takes_energy_and_gst_proportionally() -> None:
    # 20.00 of 70.79: GST is 2000 x 1080 / 7079 = 305.1 paise, half up 3.05; the energy charge is the rest, 16.95.
    first = decide(amount_paise=2000, franchised=True, borne_by=None, given=[], **BILL)
    assert (first.number, first.energy_charge_paise, first.gst_paise, first.goodwill_paise) == (1, 1695, 305, 0)
    assert first.borne_by is BorneBy.FRANCHISEE
    # All that is left: the two together take off exactly the bill's lines.
    rest = decide(amount_paise=5079, franchised=True, borne_by=None, given=[given_of(first)], **BILL)
    assert (rest.number, rest.energy_charge_paise, rest.gst_paise) == (2, 5999 - 1695, 1080 - 305)
    assert (rest.energy_charge_before_paise, rest.gst_before_paise) == (1695, 305)


def test_goodwill_leaves_the_supply_as_it_is() -> None:
    goodwill = decide(amount_paise=2000, franchised=True, borne_by=BorneBy.PLATFORM, given=[], **BILL)
    assert (goodwill.energy_charge_paise, goodwill.gst_paise, goodwill.goodwill_paise) == (0, 0, 2000)
    after = decide(amount_paise=2000, franchised=True, borne_by=None, given=[given_of(goodwill)], **BILL)
    assert (after.energy_charge_before_paise, after.gst_before_paise, after.energy_charge_paise) == (0, 0, 1695)


def test_at_a_site_of_our_own_the_supply_is_reduced_and_the_platform_bears_it() -> None:
    own = decide(amount_paise=2000, franchised=False, borne_by=None, given=[], **BILL)
    assert (own.borne_by, own.energy_charge_paise, own.gst_paise, own.goodwill_paise) == (BorneBy.PLATFORM, 1695, 305, 0)
    with pytest.raises(ConflictError, match="no franchisee to bear it"):
        decide(amount_paise=2000, franchised=False, borne_by=BorneBy.FRANCHISEE, given=[], **BILL)


def test_what_is_too_much_is_refused_in_words() -> None:
    with pytest.raises(ConflictError, match=r"₹70\.80 is more than the ₹70\.79 that were billed"):
        decide(amount_paise=7080, franchised=True, borne_by=None, given=[], **BILL)


@given(
    energy=st.integers(0, 50_000),
    gst=st.integers(0, 15_000),
    wishes=st.lists(st.tuples(st.integers(1, 20_000), st.sampled_from([None, *BorneBy])), max_size=12),
)
def test_whatever_is_asked_for_never_more_goes_back_than_was_billed(
    energy: int, gst: int, wishes: list[tuple[int, BorneBy | None]]
) -> None:
    given_: list[Given] = []
    for amount, borne_by in wishes:
        left = refundable_paise(energy_charge_paise=energy, gst_paise=gst, given=given_)
        try:
            decision = decide(
                amount_paise=amount, energy_charge_paise=energy, gst_paise=gst, franchised=True, borne_by=borne_by, given=given_
            )
        except ConflictError:
            assert amount > left
            continue
        assert amount <= left
        assert decision.amount_paise == decision.energy_charge_paise + decision.gst_paise + decision.goodwill_paise == amount
        assert decision.number == len(given_) + 1
        given_.append(given_of(decision))
    assert sum(part.amount_paise for part in given_) <= energy + gst
    assert sum(part.energy_charge_paise for part in given_) <= energy
    assert sum(part.gst_paise for part in given_) <= gst


def test_the_least_the_last_and_whose_in_words() -> None:
    assert decide(amount_paise=100, franchised=True, borne_by=None, given=[], **BILL).amount_paise == 100
    whole = decide(amount_paise=7079, franchised=True, borne_by=None, given=[], **BILL)
    with pytest.raises(ConflictError, match=r"the ₹0\.00 that were billed for energy and GST and not given back yet"):
        decide(amount_paise=100, franchised=True, borne_by=None, given=[given_of(whole)], **BILL)
    words = "^The site is the platform's own: there is no franchisee to bear it.$"
    with pytest.raises(ConflictError, match=words):
        decide(amount_paise=2000, franchised=False, borne_by=BorneBy.FRANCHISEE, given=[], **BILL)


def test_operators_refunds_have_keys_of_their_own() -> None:
    assert refund.refund_key(7, 1, 2) == "qr_payment_7_op2"
    assert refund.refund_key(7, 3, 2) == "qr_payment_7_op2_r3"
    assert len(refund.refund_key(2**63 - 1, 99, 999)) <= 40, "a receipt of Razorpay's has 40 characters"
    assert refund.is_key_of("qr_payment_7_op2_r3", 7, 2)
    for other in ("qr_payment_7", "qr_payment_7_r2", "qr_payment_7_op21", "qr_payment_7_op21_r2", "qr_payment_7_op1"):
        assert not refund.is_key_of(other, 7, 2)
    assert not refund.is_key_of("qr_payment_7_op2_r2", 7)
