"""A GST invoice, or a credit note on one, as a page: A5 portrait, set by typst from what its row says and from nothing else.

Computing only: it runs in a thread, and the same document gives the same bytes for ever.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any, Literal

import typst

from money import GST_STATES, INDIA, kwh, percent, rupees, state_tax_name
from payments.repository.credit_notes import CreditNoteRow, NoteOnInvoice
from payments.repository.invoices import InvoiceRow

SUPPLY = "Charging of an electric vehicle"
FEE = "Payment fee, as charged by the payment provider with its GST; recovered at cost"


class Page:
    """A document to be printed."""

    def draw(self) -> bytes:
        """The PDF."""
        return self.typeset("pdf")

    def typeset(self, kind: Literal["pdf", "png"], *, pixels_per_inch: int = 144) -> bytes:
        """The page as PDF, or as PNG."""
        compiler = typst.Compiler(_template(), ignore_system_fonts=True, sys_inputs={"invoice": json.dumps(self._values())})
        pages = compiler.compile(format=kind, ppi=pixels_per_inch, timestamp=0)
        if not isinstance(pages, bytes):
            raise TypeError(f"it is one page, not {pages and len(pages)}")
        return pages

    def fingerprint(self) -> str:
        """Names the bytes that `draw` gives, without drawing: for a strong ETag."""
        values = {"press": _press(), **self._values()}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:32]

    def _values(self) -> dict[str, Any]:
        """What the template takes."""
        raise NotImplementedError


def _parties(row: InvoiceRow, platform: str) -> dict[str, Any]:
    """What an invoice and its notes have in common: who sold what to whom."""
    seller_state = f"{GST_STATES.get(row.seller_gstin[:2], '')} ({row.seller_gstin[:2]})"
    return {
        "platform": platform,
        "seller": {
            "name": row.seller_name,
            "address": row.seller_address,
            "gstin": row.seller_gstin,
            "state": seller_state,
        },
        "buyer": {"reference": row.buyer_reference, "masked": row.buyer_masked},
        "session": [
            ["Session", f"txn_{row.transaction_id}"],
            ["Where", row.station_name or f"stn_{row.station_id}"],
            ["Charger", f"{row.charge_point_id}, connector {row.connector_id}"],
            ["From", _in_india(row.started_at)],
            ["To", _in_india(row.stopped_at)],
            ["Tariff", f"trf_{row.tariff_id}" if row.tariff_id is not None else "as at the start"],
        ],
        "sac": row.sac,
    }


def _place(row: InvoiceRow) -> str:
    return f"{GST_STATES.get(row.place_of_supply, '')} ({row.place_of_supply})"


def _taxes(row: InvoiceRow, lines: InvoiceRow | CreditNoteRow) -> list[list[str]]:
    """The taxes of these lines, by the kinds that the invoice's place of supply has."""
    if row.interstate:
        return [[f"IGST {percent(row.gst_bps)}", rupees(lines.igst_paise)]]
    half = percent(row.gst_bps, halved=True)
    return [
        [f"CGST {half}", rupees(lines.cgst_paise)],
        [f"{state_tax_name(row.place_of_supply)} {half}", rupees(lines.sgst_paise)],
    ]


@dataclass(frozen=True, slots=True)
class InvoicePage(Page):
    """One invoice to be printed."""

    row: InvoiceRow
    platform: str
    """The brand that riders know, above the seller's legal name."""

    def _values(self) -> dict[str, Any]:
        row = self.row
        due_back_paise = row.paid_paise - row.total_paise if row.paid_paise is not None else 0
        return {
            **_parties(row, self.platform),
            "title": f"Tax invoice {row.number}",
            "heading": "Tax invoice",
            "number_label": "Invoice no.",
            "number": row.number,
            "head": [["Date", _day(row.invoice_date)], ["Place of supply", _place(row)], ["Reverse charge", "No"]],
            "supply": SUPPLY,
            "quantity": kwh(row.energy_wh),
            "rate": rupees(row.tariff_paise_per_kwh),
            "taxable": rupees(row.taxable_paise),
            "taxes": _taxes(row, row),
            "round_off": rupees(row.round_off_paise) if row.round_off_paise else None,
            "fee_words": FEE,
            "fee": rupees(row.platform_fee_paise) if row.platform_fee_paise else None,
            "total": rupees(row.total_paise),
            "paid": rupees(row.paid_paise) if row.paid_paise is not None else None,
            "paid_how": "Paid in advance by UPI" if row.qr_payment_id is not None else "Paid from the wallet",
            "due_back": rupees(due_back_paise) if due_back_paise else None,
            "remark": self._capped(),
        }

    def _capped(self) -> str | None:
        if not self.row.shortfall_paise:
            return None
        return "The payment ran out: the value is what it covered, not quantity times rate. Nothing more is owed."


@dataclass(frozen=True, slots=True)
class CreditNotePage(Page):
    """One credit note to be printed, with the invoice that it reduces."""

    of: NoteOnInvoice
    platform: str

    def _values(self) -> dict[str, Any]:
        note, row = self.of.note, self.of.invoice
        return {
            **_parties(row, self.platform),
            "title": f"Credit note {note.number}",
            "heading": "Credit note",
            "number_label": "Credit note no.",
            "number": note.number,
            "head": [
                ["Date", _day(note.note_date)],
                ["On invoice", row.number],
                ["Invoice date", _day(row.invoice_date)],
                ["Place of supply", _place(row)],
            ],
            "supply": f"Less: {SUPPLY[0].lower()}{SUPPLY[1:]}",
            "quantity": None,
            "rate": None,
            "taxable": rupees(note.taxable_paise),
            "taxes": _taxes(row, note),
            "round_off": rupees(note.round_off_paise) if note.round_off_paise else None,
            "fee_words": FEE,
            "fee": None,
            "total": rupees(note.total_paise),
            "paid": rupees(note.total_paise),
            "paid_how": "Given back to the payer",
            "due_back": None,
            "remark": f"Why: {note.reason}",
        }


def _day(day: date) -> str:
    return f"{day:%d %b %Y}"


def _in_india(at: datetime) -> str:
    return f"{at.astimezone(INDIA):%d %b %Y, %H:%M} IST"


@cache
def _template() -> bytes:
    return files("payments").joinpath("invoice.typ").read_bytes()


@cache
def _press() -> str:
    """What else decides about the bytes: another version draws otherwise."""
    return f"typst {version('typst')}, {hashlib.sha256(_template()).hexdigest()}"
