"""The fee arithmetic against the triples in Razorpay's own samples."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from razorpay_simulator.fees import Fee, percentage_fee, tax_within, transfer_fee


@pytest.mark.parametrize(
    ("amount", "fee", "tax"), [(1000, 24, 4), (900, 22, 4), (2100, 50, 8), (20_000, 472, 72), (479_030, 11_305, 1_724)]
)
def test_payment_fees_match_published_samples(amount: int, fee: int, tax: int) -> None:
    assert percentage_fee(amount, 200) == Fee(fee, tax)


@pytest.mark.parametrize(("amount", "fee", "tax"), [(90_000, 265, 40), (100_000, 296, 46), (100, 1, 0)])
def test_transfer_fees_match_published_samples(amount: int, fee: int, tax: int) -> None:
    assert transfer_fee(amount, 25) == Fee(fee, tax)


def test_free_transfers_cost_nothing() -> None:
    assert transfer_fee(100, 0) == Fee(0, 0)


@given(amount=st.integers(0, 10**9), rate=st.integers(0, 1000))
def test_the_tax_of_a_fee_is_found_again_from_its_total(amount: int, rate: int) -> None:
    fee = percentage_fee(amount, rate)
    assert tax_within(fee.total) == fee.tax
