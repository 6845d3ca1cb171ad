"""A GST invoice as a page: A5 portrait, set by typst from what the invoice's row says and from nothing else.

Computing only: it runs in a thread, and the same invoice gives the same bytes for ever.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any, Literal

import typst

from money import GST_STATES, INDIA, kwh, percent, rupees, state_tax_name
from payments.repository.invoices import InvoiceRow

SUPPLY = "Charging of an electric vehicle"
FEE = "Payment fee, as charged by the payment provider with its GST; recovered at cost"


@dataclass(frozen=True, slots=True)
class InvoicePage:
    """One invoice to be printed."""

    row: InvoiceRow
    platform: str
    """The brand that riders know, above the seller's legal name."""

    def draw(self) -> bytes:
        """The PDF."""
        return self.typeset("pdf")

    def typeset(self, kind: Literal["pdf", "png"], *, pixels_per_inch: int = 144) -> bytes:
        """The page as PDF, or as PNG."""
        compiler = typst.Compiler(_template(), ignore_system_fonts=True, sys_inputs={"invoice": json.dumps(self._values())})
        pages = compiler.compile(format=kind, ppi=pixels_per_inch, timestamp=0)
        if not isinstance(pages, bytes):
            raise TypeError(f"an invoice is one page, not {pages and len(pages)}")
        return pages

    def fingerprint(self) -> str:
        """Names the bytes that `draw` gives, without drawing: for a strong ETag."""
        values = {"press": _press(), **self._values()}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:32]

    def _values(self) -> dict[str, Any]:
        row = self.row
        place = f"{GST_STATES.get(row.place_of_supply, '')} ({row.place_of_supply})"
        seller_state = f"{GST_STATES.get(row.seller_gstin[:2], '')} ({row.seller_gstin[:2]})"
        due_back_paise = row.paid_paise - row.total_paise if row.paid_paise is not None else 0
        return {
            "title": f"Tax invoice {row.number}",
            "platform": self.platform,
            "number": row.number,
            "date": f"{row.invoice_date:%d %b %Y}",
            "place": place,
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
            "supply": SUPPLY,
            "sac": row.sac,
            "quantity": kwh(row.energy_wh),
            "rate": rupees(row.tariff_paise_per_kwh),
            "taxable": rupees(row.taxable_paise),
            "taxes": self._taxes(),
            "round_off": rupees(row.round_off_paise) if row.round_off_paise else None,
            "fee_words": FEE,
            "fee": rupees(row.platform_fee_paise) if row.platform_fee_paise else None,
            "total": rupees(row.total_paise),
            "paid": rupees(row.paid_paise) if row.paid_paise is not None else None,
            "paid_how": "Paid in advance by UPI" if row.qr_payment_id is not None else "Paid from the wallet",
            "due_back": rupees(due_back_paise) if due_back_paise else None,
            "capped": self._capped(),
        }

    def _taxes(self) -> list[list[str]]:
        row = self.row
        if row.interstate:
            return [[f"IGST {percent(row.gst_bps)}", rupees(row.igst_paise)]]
        half = percent(row.gst_bps, halved=True)
        return [
            [f"CGST {half}", rupees(row.cgst_paise)],
            [f"{state_tax_name(row.place_of_supply)} {half}", rupees(row.sgst_paise)],
        ]

    def _capped(self) -> str | None:
        if not self.row.shortfall_paise:
            return None
        return "The payment ran out: the value is what it covered, not quantity times rate. Nothing more is owed."


def _in_india(at: datetime) -> str:
    return f"{at.astimezone(INDIA):%d %b %Y, %H:%M} IST"


@cache
def _template() -> bytes:
    return files("payments").joinpath("invoice.typ").read_bytes()


@cache
def _press() -> str:
    """What else decides about the bytes: another version draws otherwise."""
    return f"typst {version('typst')}, {hashlib.sha256(_template()).hexdigest()}"
