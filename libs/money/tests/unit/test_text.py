"""Rupees in Indian grouping."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from money import rupees


@pytest.mark.parametrize(
    ("paise", "text"),
    [
        (0, "₹0.00"),
        (5, "₹0.05"),
        (99, "₹0.99"),
        (100, "₹1.00"),
        (99_999, "₹999.99"),
        (1_00_000, "₹1,000.00"),
        (12_345_00, "₹12,345.00"),
        (99_999_99, "₹99,999.99"),
        (1_00_000_00, "₹1,00,000.00"),
        (1_23_456_78, "₹1,23,456.78"),
        (1_00_00_000_00, "₹1,00,00,000.00"),
        (12_34_56_789_01, "₹12,34,56,789.01"),
        (-5, "-₹0.05"),
        (-1_23_456_78, "-₹1,23,456.78"),
    ],
)
def test_rupees(paise: int, text: str) -> None:
    assert rupees(paise) == text


@settings(deadline=None)
@given(paise=st.integers(-(10**15), 10**15))
def test_the_text_reads_back_as_the_amount(paise: int) -> None:
    assert int(rupees(paise).replace("₹", "").replace(",", "").replace(".", "")) == paise
