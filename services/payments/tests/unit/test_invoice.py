"""From a bill to its invoice: place, number, year; and the page, read back."""

import re
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pypdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from money import GST_STATES, FinancialYear, final_bill, rupees
from payments.domain.invoice import SERIAL_MAX, Invoice, Seller, SeriesFullError, Supply, make_invoice, number_in, series_of
from payments.invoice_pdf import InvoicePage
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
    assert made.place_of_supply == (place or "29")
    assert made.interstate == (place not in (None, "29"))
    assert (made.lines.igst_paise == 0) or made.interstate
    if made.interstate:
        assert made.lines.cgst_paise == 0


def words_on(page: InvoicePage) -> str:
    reader = pypdf.PdfReader(BytesIO(page.draw()))
    assert len(reader.pages) == 1
    assert tuple(map(float, reader.pages[0].mediabox.upper_right)) == pytest.approx((419.528, 595.276), abs=0.01)
    return " ".join(reader.pages[0].extract_text().replace("\u200b", "").split())


def test_the_page_says_what_the_law_asks_for_and_what_the_rider_wants_to_know() -> None:
    printed = row()
    words = words_on(InvoicePage(printed, "VoltLync"))
    for expected in (
        "Tax invoice", "VL/2627/0000042", "01 Dec 2026", "Place of supply Karnataka (29)", "Reverse charge No",
        "VoltLync Energy Private Limited", "1, Residency Road, Bengaluru 560025", "29AAACV4321F1ZJ", "State Karnataka (29)",
        "Unregistered person", "rdr_12", "ra***@okhdfcbank", "txn_9", "Indiranagar 100 Feet Road", "BLR-IND-01, connector 1",
        "01 Dec 2026, 10:00 IST", "trf_3", "Charging of an electric vehicle", "999799", "3.329 kWh", "₹18.00",
        "Taxable value ₹59.92", "CGST 9 % ₹5.40", "SGST 9 % ₹5.40", "Round-off -₹0.01", "recovered at cost ₹2.36",
        "Total ₹73.07", "Paid in advance by UPI ₹100.00", "Due back to the payer ₹26.93",
    ):  # fmt: skip
        assert expected in words, expected
    assert "IGST" not in words
    assert "ran out" not in words


def test_between_states_it_is_one_tax_and_a_capped_bill_says_why_it_is_less() -> None:
    words = words_on(InvoicePage(row(place_code="31", paid_paise=5_000), "VoltLync"))
    made = invoice(place_code="31", paid_paise=5_000)
    assert f"IGST 18 % {rupees(made.lines.igst_paise)}" in words
    assert f"Total {rupees(5_000)}" in words
    assert "The payment ran out" in words
    assert not any(word in words for word in ("CGST", "Round-off", "Due back"))
    # Within a union territory without a legislature the second half has another name.
    chandigarh = Seller("S", "04AAACV4321F1Z1", "A", "999799")
    assert "UTGST 9 %" in words_on(InvoicePage(row(place_code="04", seller=chandigarh), "VoltLync"))


@pytest.mark.parametrize("text", ["#panic()", '#read("/etc/passwd")', "*b* $x^2$ @l <l> = h", '\\ " ] [ } { // ~ --', "W" * 120])
def test_whatever_stands_in_a_name_is_printed_as_it_is(text: str) -> None:
    page = InvoicePage(row(station_name=text, charge_point_id=text[:48]), "VoltLync")
    assert "".join(words_on(page).split()).count("".join(text.split())) >= 1
    image = Image.open(BytesIO(page.typeset("png", pixels_per_inch=127))).convert("L")  # five pixels a millimetre
    inked = image.point(lambda value: 255 - value).getbbox()
    assert inked is not None
    assert min(inked[0], inked[1], image.width - inked[2], image.height - inked[3]) >= 45


def test_the_same_invoice_is_the_same_bytes_and_another_has_another_name() -> None:
    page = InvoicePage(row(), "VoltLync")
    assert page.draw() == InvoicePage(row(), "VoltLync").draw()
    others = [
        InvoicePage(row(serial=43), "VoltLync"),
        InvoicePage(row(), "Other"),
        InvoicePage(row(buyer_masked=None), "VoltLync"),
    ]
    assert len({other.fingerprint() for other in (page, *others)}) == 4


def test_a_line_of_the_export_adds_up() -> None:
    line = dict(zip(COLUMNS, _line(row()), strict=True))
    assert line["Place of supply"] == "29-Karnataka"
    assert (line["Invoice date"], line["Rate"], line["Quantity kWh"]) == ("01-Dec-2026", "18.00", "3.329")
    parts = ("Taxable value", "Integrated tax", "Central tax", "State/UT tax", "Cess", "Round-off", "Payment fee outside value")
    paise = [int(line[part].replace(".", "")) for part in parts]
    assert sum(paise) == int(line["Invoice value"].replace(".", "")) == 7307
    assert (line["Round-off"], line["GST as booked"]) == ("-0.01", "10.79")
    assert [_decimal(value) for value in (0, 5, -5, -100, 123456)] == ["0.00", "0.05", "-0.05", "-1.00", "1234.56"]
