"""An invoice as it is printed, read back."""

from io import BytesIO

import pypdf
import pytest
from PIL import Image

from money import rupees
from payments.domain.invoice import Seller
from payments.invoice_pdf import InvoicePage

from .test_invoice import invoice, row


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
