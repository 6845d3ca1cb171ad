"""What is printed is read back as a phone reads it: the picture decodes to what was to be encoded, and the words are there."""

from io import BytesIO
from typing import Any

import pypdf
import pytest
import zxingcpp
from PIL import Image

from payments.printing import Drawing, ErrorCorrection, Sticker, TooLong, fingerprint

CONTENT = (
    "upi://pay?pa=voltlync.rzp@icici&pn=CP-7%20/%201&tr=RZPHMsVL8HOpbMcjUqrv2&tn=EV%20charging%2C%20CP-7%20/%201&cu=INR&mc=5411"
)
A6_POINTS = (297.6378, 419.52756)


def picture(**how: Any) -> Drawing:
    usual: dict[str, Any] = {"pixels_per_module": 4, "quiet_zone_modules": 4, "error_correction": ErrorCorrection.Q}
    return Drawing(**{"content": CONTENT, "kind": "png", **usual, **how})


def sticker(**how: Any) -> Sticker:
    usual: dict[str, Any] = {"connector_id": 1, "name": None, "paise_per_kwh": None, "gst_bps": None}
    names = {"reference": "qrc_17", "content": CONTENT, "platform": "VoltLync", "charge_point_id": "BLR-MG-0042"}
    return Sticker(**{**names, **usual, **how})


def decoded(png: bytes) -> list[str]:
    return [found.text for found in zxingcpp.read_barcodes(Image.open(BytesIO(png)))]


def page_of(pdf: bytes) -> pypdf.PageObject:
    reader = pypdf.PdfReader(BytesIO(pdf))
    assert len(reader.pages) == 1
    return reader.pages[0]


def words_on(pdf: bytes) -> str:
    """The text as one line; what was broken anywhere is joined again."""
    return " ".join(page_of(pdf).extract_text().replace("\u200b", "").split())


@pytest.mark.parametrize("error_correction", list(ErrorCorrection))
@pytest.mark.parametrize(("pixels", "quiet"), [(2, 4), (16, 4), (3, 40)])
def test_a_picture_decodes_to_what_it_was_made_of(error_correction: ErrorCorrection, pixels: int, quiet: int) -> None:
    drawn = picture(error_correction=error_correction, pixels_per_module=pixels, quiet_zone_modules=quiet).draw()
    assert decoded(drawn) == [CONTENT]
    image = Image.open(BytesIO(drawn)).convert("L")
    assert image.width == image.height
    # White for at least four modules on every side: scanners need it.
    dark = image.point(lambda value: 255 - value).getbbox()
    assert dark is not None
    assert min(dark[0], dark[1], image.width - dark[2], image.height - dark[3]) == quiet * pixels


def test_an_svg_is_drawn_to_scale() -> None:
    drawn = picture(kind="svg", pixels_per_module=10).draw().decode()
    png = Image.open(BytesIO(picture(pixels_per_module=10).draw()))
    assert f'width="{png.width}"' in drawn
    assert "upi:" not in drawn


def test_what_no_qr_code_holds_is_refused_and_not_cut() -> None:
    for printed in (picture(content="x" * 3000), sticker(content="x" * 3000)):
        with pytest.raises(TooLong):
            printed.draw()


def test_a_sticker_bears_code_charger_connector_price_and_how_to_use_it() -> None:
    made = sticker(connector_id=2, name="MG Road, bay 4", paise_per_kwh=1800, gst_bps=1800)
    assert decoded(made.typeset("png")) == [CONTENT]
    pdf = made.draw()
    words = words_on(pdf)
    for expected in (
        "VoltLync",
        "Scan with any UPI app",
        "BLR-MG-0042 2",
        "MG Road, bay 4",
        "₹21.24 per kWh incl. 18 % GST",
        "What you don’t use comes back",
        "qrc_17",
    ):
        assert expected in words
    assert tuple(map(float, page_of(pdf).mediabox.upper_right)) == pytest.approx(A6_POINTS, abs=0.01)


def test_a_sticker_without_a_price_promises_none() -> None:
    words = words_on(sticker().draw())
    assert "kWh" not in words
    assert "GST" not in words
    assert "₹" not in words


@pytest.mark.parametrize(
    ("paise_per_kwh", "gst_bps", "printed"),
    [
        (1800, 1800, "₹21.24 per kWh incl. 18 % GST"),
        (1850, 1825, "₹21.88 per kWh incl. 18.25 % GST"),  # 337.625 → 338, on the bill as well
        (5, 0, "₹0.05 per kWh incl. 0 % GST"),
        (1_000_000, 500, "₹10500.00 per kWh incl. 5 % GST"),
    ],
)
def test_the_price_is_with_gst_and_rounded_as_on_the_bill(paise_per_kwh: int, gst_bps: int, printed: str) -> None:
    assert printed in words_on(sticker(paise_per_kwh=paise_per_kwh, gst_bps=gst_bps).draw())


HOSTILE = [
    "#panic()",
    '#read("/etc/passwd")',
    "*b* _i_ `r` $x^2$ @l <l> = h",
    '\\ " ] [ } { // /* ~ -- ... \\u{41}',
    "-> <= ff fi --- 'x'",
    "W" * 64,
]


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_stands_in_a_name_is_printed_as_it_is(text: str) -> None:
    made = sticker(charge_point_id=text, name=text, platform=text[:40], connector_id=255, paise_per_kwh=10**6, gst_bps=1825)
    words = "".join(words_on(made.draw()).split())
    bare = "".join(text.split())
    assert words.count(bare) == 2 + (len(text) <= 40)
    assert decoded(made.typeset("png")) == [CONTENT]


def test_nothing_is_printed_within_five_millimetres_of_the_edge() -> None:
    for made in (sticker(paise_per_kwh=1800, gst_bps=1800), sticker(charge_point_id="W" * 64, name="W" * 60, connector_id=255)):
        page = Image.open(BytesIO(made.typeset("png", pixels_per_inch=254))).convert("L")  # ten pixels a millimetre
        inked = page.point(lambda value: 255 - value).getbbox()
        assert inked is not None
        assert min(inked[0], inked[1], page.width - inked[2], page.height - inked[3]) >= 50


def test_every_font_is_in_the_pdf() -> None:
    fonts = page_of(sticker(paise_per_kwh=1800, gst_bps=1800).draw())["/Resources"]["/Font"]
    assert len(fonts) >= 2
    for font in fonts.values():
        (descendant,) = font.get_object()["/DescendantFonts"]
        descriptor = descendant.get_object()["/FontDescriptor"].get_object()
        assert {"/FontFile2", "/FontFile3"} & set(descriptor)


def test_the_same_sticker_has_the_same_bytes_and_the_same_name() -> None:
    made = sticker(paise_per_kwh=1800, gst_bps=1800)
    assert made.draw() == sticker(paise_per_kwh=1800, gst_bps=1800).draw()
    assert picture().draw() == picture().draw()
    others = [sticker(), sticker(connector_id=2), sticker(platform="Other"), picture(), picture(kind="svg"), picture(content="x")]
    assert len({fingerprint(printed) for printed in (made, *others)}) == len(others) + 1
