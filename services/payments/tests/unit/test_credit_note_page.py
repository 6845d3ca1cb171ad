"""A credit note as it is printed."""

from io import BytesIO

import pypdf

from payments.invoice_pdf import CreditNotePage
from payments.repository.credit_notes import CreditNoteRow, NoteOnInvoice, _values

from .test_credit_note import note
from .test_invoice import row


def page(**what: object) -> CreditNotePage:
    payer = {"qr_payment_id": 17, "wallet_session_id": None, "source_key": "qr_payment_17"}
    more = {**payer, "refund_number": 1, "reason": "The screen showed another price.", "gst_before_paise": 0}
    return CreditNotePage(NoteOnInvoice(CreditNoteRow(id=3, **{**_values(note()), **more, **what}), row()), "VoltLync")  # type: ignore[arg-type]


def words_on(drawn: CreditNotePage) -> str:
    (only,) = pypdf.PdfReader(BytesIO(drawn.draw())).pages
    return str(only.extract_text())


def test_the_page_says_what_the_law_asks_for_and_why() -> None:
    words = words_on(page())
    for word in (
        "Credit note", "VL/2627/C000007", "On invoice", "VL/2627/0000042", "29AAACV4321F1ZJ", "Karnataka (29)", "rdr_12",
        "₹12.71", "CGST 9 %", "₹1.15", "SGST 9 %", "Round-off", "-₹0.01", "₹15.00", "Given back to the payer",
        "Why: The screen showed another price.", "Less: charging of an electric", "01 Dec 2026", "Invoice date",
    ):  # fmt: skip
        assert word in words, word
    assert not any(word in words for word in ("Reverse charge", "Quantity", "Rate per kWh"))


def test_the_same_note_is_the_same_bytes_and_hostile_words_are_only_words() -> None:
    assert page().draw() == page().draw()
    assert page().fingerprint() != page(reason="Another.").fingerprint()
    hostile = "#panic() $x$ _a_ *b* [c] <d> @e \\ " + "W" * 400
    assert "#panic() $x$" in words_on(page(reason=hostile))
