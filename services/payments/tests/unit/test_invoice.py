"""From a bill to its invoice: place, number, year."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from money import GST_STATES, FinancialYear, final_bill
from payments.domain.invoice import SERIAL_MAX, Invoice, Seller, SeriesFullError, Supply, make_invoice, number_in, series_of
from payments.repository.invoices import InvoiceRow, _values
from payments.usecases.export_invoices import COLUMNS, _decimal, _line

SELLER = Seller("VoltLync Energy Private Limited", "29AAACV4321F1ZJ", "1, Residency Road, Bengaluru 560025", "999799")
NOW = datetime(2026, 12, 1, 4, 30, tzinfo=UTC)
MIDNIGHT = datetime(2027, 3, 31, 18, 30, tzinfo=UTC)
"""31 March becomes 1 April in India."""

seconds = st.integers(-400 * 86_400, 400 * 86_400)


def supply(**what: Any) -> Supply:
    """₹100.00 paid, 3.329 kWh at ₹18.00: the GST of ₹10.79 has no half."""
    bill = final_bill(
        energy_wh=what.pop("energy_wh", 3329),
        tariff_paise_per_kwh=1800,
        gst_bps=1800,
        platform_fee_paise=236,
        paid_paise=what.pop("paid_paise", 10_000),
    )
    figures = ("energy_wh", "paid_paise", "energy_charge_paise", "gst_paise", "platform_fee_paise", "shortfall_paise")
    usual: dict[str, Any] = {
        "source_key": "qr_payment_17",
        "qr_payment_id": 17,
        "transaction_id": 9,
        "charge_point_id": "BLR-IND-01",
        "connector_id": 1,
        "station_id": 3,
        "station_name": "Indiranagar 100 Feet Road",
        "place_code": "29",
        "franchisee_id": 7,
        "buyer_reference": "rdr_12",
        "buyer_masked": "ra***@okhdfcbank",
        "tariff_id": 3,
        "tariff_paise_per_kwh": 1800,
        "gst_bps": 1800,
        "started_at": NOW,
        "stopped_at": NOW + timedelta(minutes=42),
        "billed_at": NOW + timedelta(minutes=42),
        **{name: getattr(bill, name) for name in figures},
    }
    return Supply(**{**usual, **what})


def invoice(at: datetime = NOW, serial: int = 42, seller: Seller = SELLER, **what: Any) -> Invoice:
    series, year = series_of("VL", at)
    return make_invoice(supply(**what), seller, series=series, year=year, serial=serial, issued_at=at)


def row(**what: Any) -> InvoiceRow:
    return InvoiceRow(id=42, **_values(invoice(**what)))


@settings(max_examples=200, deadline=None)
@given(prefix=st.from_regex(r"\A[A-Z0-9]{1,3}\Z"), offset=seconds, serial=st.integers(1, SERIAL_MAX))
def test_every_number_is_one_that_the_rule_allows(prefix: str, offset: int, serial: int) -> None:
    series, year = series_of(prefix, MIDNIGHT + timedelta(seconds=offset))
    number = number_in(series, serial)
    assert re.fullmatch(r"[A-Za-z0-9/-]{1,16}", number)
    assert number.endswith(str(serial))
    assert year == FinancialYear(2027 if 0 <= offset < 366 * 86_400 else 2026 if -365 * 86_400 <= offset < 0 else year.first)
    # In order of numbers they are in order as text.
    assert serial == SERIAL_MAX or number < number_in(series, serial + 1)


def test_a_series_turns_at_midnight_in_india() -> None:
    before = invoice(MIDNIGHT - timedelta(microseconds=1))
    after = invoice(MIDNIGHT, serial=1)
    assert (before.number, str(before.invoice_date), before.financial_year) == ("VL/2627/0000042", "2027-03-31", 2026)
    assert (after.number, str(after.invoice_date), after.financial_year) == ("VL/2728/0000001", "2027-04-01", 2027)
    with pytest.raises(SeriesFullError, match="invoice_prefix"):
        invoice(serial=SERIAL_MAX + 1)
    assert invoice(serial=SERIAL_MAX).number == "VL/2627/9999999"


@settings(max_examples=100, deadline=None)
@given(
    energy_wh=st.integers(1, 20_000),
    paid_paise=st.integers(1, 20_000),
    place=st.one_of(st.none(), st.sampled_from(sorted(GST_STATES))),
)
def test_an_invoice_is_what_was_billed_and_its_tax_what_was_booked(energy_wh: int, paid_paise: int, place: str | None) -> None:
    given_supply = supply(energy_wh=energy_wh, paid_paise=paid_paise, place_code=place)
    made = invoice(energy_wh=energy_wh, paid_paise=paid_paise, place_code=place)
    billed = given_supply.energy_charge_paise + given_supply.gst_paise + given_supply.platform_fee_paise
    assert made.lines.total_paise == billed
    assert made.lines.gst_paise == given_supply.gst_paise
    assert (made.series, made.serial, made.issued_at, made.supply) == ("VL/2627", 42, NOW, given_supply)
    assert made.place_of_supply == (place or "29")
    assert made.interstate == (place not in (None, "29"))
    assert (made.lines.igst_paise == 0) or made.interstate
    if made.interstate:
        assert made.lines.cgst_paise == 0


def test_a_line_of_the_export_adds_up() -> None:
    line = dict(zip(COLUMNS, _line(row()), strict=True))
    assert line["Place of supply"] == "29-Karnataka"
    assert (line["Invoice date"], line["Rate"], line["Quantity kWh"]) == ("01-Dec-2026", "18.00", "3.329")
    parts = ("Taxable value", "Integrated tax", "Central tax", "State/UT tax", "Cess", "Round-off", "Payment fee outside value")
    paise = [int(line[part].replace(".", "")) for part in parts]
    assert sum(paise) == int(line["Invoice value"].replace(".", "")) == 7307
    assert (line["Round-off"], line["GST as booked"]) == ("-0.01", "10.79")
    assert [_decimal(value) for value in (0, 5, -5, -100, 123456)] == ["0.00", "0.05", "-0.05", "-1.00", "1234.56"]
