"""QR codes as pictures, and the sticker for a charger: drawn here, from what Razorpay's code encodes, with nobody else's help.

Everything here is computing: it runs in a thread, and the same input gives the same bytes.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from io import BytesIO
from typing import Any, Literal

import segno
import typst
from segno.encoder import DataOverflowError

from money import all_in_paise_per_kwh, percent

QUIET_ZONE_MODULES = 4
"""ISO/IEC 18004 asks for four modules of white around the code."""


class ErrorCorrection(StrEnum):
    """How much of the code may be scratched or dirty."""

    M = "m"
    """15 %."""
    Q = "q"
    """A quarter: it hangs outdoors."""
    H = "h"
    """30 %."""


class TooLong(ValueError):
    """No QR code holds this text at this error correction."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A QR code as a picture."""

    content: str
    kind: Literal["png", "svg"]
    pixels_per_module: int
    quiet_zone_modules: int
    error_correction: ErrorCorrection

    def draw(self) -> bytes:
        """The picture. Raises TooLong."""
        return _qr_code(
            self.content,
            kind=self.kind,
            error_correction=self.error_correction,
            scale=self.pixels_per_module,
            border=self.quiet_zone_modules,
        )


@dataclass(frozen=True, slots=True)
class Sticker:
    """What stands on a charger's connector. A6 portrait."""

    reference: str
    """Our id of the code, in small print: whose sticker it is, where somebody asks."""
    content: str
    """What the QR code encodes."""
    platform: str
    charge_point_id: str
    connector_id: int
    name: str | None
    """Another word for it, such as the bay's; None where there is none."""
    paise_per_kwh: int | None
    """The tariff without GST, as charging has it; None: no price is printed."""
    gst_bps: int | None

    def draw(self) -> bytes:
        """The PDF. Raises TooLong."""
        return self.typeset("pdf")

    def typeset(self, kind: Literal["pdf", "png"], *, pixels_per_inch: int = 144) -> bytes:
        """The sticker as PDF, or the same page as PNG. Raises TooLong."""
        qr = _qr_code(self.content, kind="svg", error_correction=ErrorCorrection.Q, scale=1, border=QUIET_ZONE_MODULES).decode()
        values = {
            "title": f"{self.platform}: {self.charge_point_id} / {self.connector_id}",
            "platform": self.platform,
            "reference": self.reference,
            "charger": self.charge_point_id,
            "connector": self.connector_id,
            "name": self.name,
            "price": self._price(),
            "gst": f"incl. {percent(self.gst_bps)} GST" if self.gst_bps is not None else None,
            "qr": qr,
        }
        # The fonts that come with typst: the same sticker on every machine, and all of them are embedded in the PDF.
        compiler = typst.Compiler(_template(), ignore_system_fonts=True, sys_inputs={"sticker": json.dumps(values)})
        pages = compiler.compile(format=kind, ppi=pixels_per_inch, timestamp=0)
        if not isinstance(pages, bytes):
            raise TypeError(f"a sticker is one page, not {pages and len(pages)}")
        return pages

    def _price(self) -> str | None:
        """What a kWh costs with GST, rounded as on the bill."""
        if self.paise_per_kwh is None or self.gst_bps is None:
            return None
        all_in_paise = all_in_paise_per_kwh(paise_per_kwh=self.paise_per_kwh, gst_bps=self.gst_bps)
        return f"₹{all_in_paise // 100}.{all_in_paise % 100:02d}"


def _qr_code(content: str, *, kind: str, error_correction: ErrorCorrection, scale: int, border: int) -> bytes:
    drawn = BytesIO()
    try:
        code = segno.make(content, error=error_correction.value, micro=False)
    except DataOverflowError as error:
        raise TooLong(f"no QR code holds these {len(content)} characters: {error}") from error
    code.save(drawn, kind=kind, scale=scale, border=border)
    return drawn.getvalue()


@cache
def _template() -> bytes:
    return files("payments").joinpath("sticker.typ").read_bytes()


@cache
def _press() -> str:
    """What else decides about the bytes: another version draws otherwise."""
    template = hashlib.sha256(_template()).hexdigest()
    return f"segno {version('segno')}, typst {version('typst')}, {template}"


def fingerprint(printed: Drawing | Sticker) -> str:
    """Names the bytes that `draw` gives, without drawing: for a strong ETag."""
    values: Mapping[str, Any] = {"of": type(printed).__name__, "press": _press(), **asdict(printed)}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:32]
