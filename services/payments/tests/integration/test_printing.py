"""Pictures and stickers over HTTP: what comes decodes to what Razorpay said, and is sent again only where it changed."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from io import BytesIO
from typing import Any

import pypdf
import zxingcpp
from PIL import Image

from chassis.web import Role
from contracts.charging import TariffAnswer
from payments.printing import Drawing, ErrorCorrection, Sticker

from .conftest import TARIFF, World


async def fetched(world: World, path: str, **headers: str) -> tuple[int, Mapping[str, str], bytes]:
    """(status, headers, body)."""
    async with world.http.get(f"{world.url}{path}", headers=world.headers("GET", path) | headers) as answer:
        return answer.status, answer.headers, await answer.read()


async def test_the_picture_decodes_to_what_razorpay_said(world: World) -> None:
    qr = await world.qr_code("CP-7")
    status, headers, png = await fetched(world, f"/v1/qr-codes/{qr['id']}/image.png?pixels_per_module=5&error_correction=h")
    assert (status, headers["Content-Type"]) == (200, "image/png")
    (found,) = zxingcpp.read_barcodes(Image.open(BytesIO(png)))
    assert found.text == qr["image_content"]
    _, headers, svg = await fetched(world, f"/v1/qr-codes/{qr['id']}/image.svg")
    assert headers["Content-Type"] == "image/svg+xml"
    assert svg == Drawing(qr["image_content"], "svg", 16, 4, ErrorCorrection.Q).draw()


async def test_the_sticker_is_of_this_code_and_of_the_price_in_force(world: World) -> None:
    qr = await world.qr_code("CP-7")
    status, headers, pdf = await fetched(world, f"/v1/qr-codes/{qr['id']}/sticker.pdf")
    assert (status, headers["Content-Type"]) == (200, "application/pdf")
    words = pypdf.PdfReader(BytesIO(pdf)).pages[0].extract_text()
    assert all(word in words for word in ("CP-7", "₹21.24", qr["id"]))
    # The very same page, rasterised, as a phone sees it.
    same = Sticker(qr["id"], qr["image_content"], "VoltLync", "CP-7", 1, None, 1800, 1800)
    assert same.draw() == pdf
    (found,) = zxingcpp.read_barcodes(Image.open(BytesIO(same.typeset("png"))))
    assert found.text == qr["image_content"]
    # The price is charging's word, of now or of the time asked for.
    assert [(query.charge_point_id, query.at) for query in world.asked] == [("CP-7", world.now())]
    later = world.now() + timedelta(days=3)
    await fetched(world, f"/v1/qr-codes/{qr['id']}/sticker.pdf?at={later.isoformat().replace('+00:00', 'Z')}")
    assert world.asked[-1].at == later


async def test_a_sticker_without_a_price_asks_nobody_and_one_with_a_price_invents_none(world: World) -> None:
    qr = await world.qr_code("CP-7")
    path = f"/v1/qr-codes/{qr['id']}/sticker.pdf"
    _, _, pdf = await fetched(world, f"{path}?price=false")
    assert "₹" not in pypdf.PdfReader(BytesIO(pdf)).pages[0].extract_text()
    assert world.asked == []
    world.tariff = TariffAnswer()
    problem = await world.call("GET", path, status=409)
    assert "No tariff is in force at CP-7" in problem["detail"]
    # Charging is silent: the caller is told, in ten seconds of the service's clock.
    world.tariff = None
    asking = asyncio.create_task(world.call("GET", path, status=503))
    while len(world.asked) < 2:
        await asyncio.sleep(0.01)
    world.clock.jump(11)
    assert "print without a price" in (await asking)["detail"]


async def test_what_the_caller_has_already_is_not_drawn_again(world: World, monkeypatch: Any) -> None:
    qr = await world.qr_code("CP-7")
    for name in ("image.png", "image.svg", "sticker.pdf"):
        path = f"/v1/qr-codes/{qr['id']}/{name}"
        _, headers, _ = await fetched(world, path)
        tag = headers["ETag"]
        assert tag.startswith('"')
        assert headers["Cache-Control"] == "private, no-cache"
        with monkeypatch.context() as patched:
            patched.setattr(Drawing, "draw", None)
            patched.setattr(Sticker, "draw", None)
            for known in (tag, f'"other", {tag}', f"W/{tag}", "*"):
                status, headers, body = await fetched(world, path, **{"If-None-Match": known})
                assert (status, headers["ETag"], body) == (304, tag, b"")
        status, _, body = await fetched(world, path, **{"If-None-Match": '"other"'})
        assert (status, body != b"") == (200, True)


async def test_another_price_or_size_is_another_thing(world: World) -> None:
    qr = await world.qr_code("CP-7")
    paths = [
        "image.png",
        "image.png?pixels_per_module=3",
        "image.png?quiet_zone_modules=5",
        "image.png?error_correction=m",
        "sticker.pdf",
        "sticker.pdf?price=false",
    ]
    tags = {(await fetched(world, f"/v1/qr-codes/{qr['id']}/{path}"))[1]["ETag"] for path in paths}
    assert len(tags) == len(paths)
    world.tariff = TARIFF.model_copy(update={"paise_per_kwh": 1801})
    assert (await fetched(world, f"/v1/qr-codes/{qr['id']}/sticker.pdf"))[1]["ETag"] not in tags


async def test_sizes_and_prices_that_make_no_sense_are_refused(world: World) -> None:
    qr = await world.qr_code("CP-7")
    wrong = {
        "image.png?pixels_per_module=0": "#/query/pixels_per_module",
        "image.png?pixels_per_module=41": "#/query/pixels_per_module",
        "image.svg?quiet_zone_modules=3": "#/query/quiet_zone_modules",
        "image.png?error_correction=l": "#/query/error_correction",
        "image.png?size=3": "#/query/size",
        "sticker.pdf?paise_per_kwh=1800": "#/query/paise_per_kwh",
        "sticker.pdf?price=perhaps": "#/query/price",
        "sticker.pdf?at=yesterday": "#/query/at",
    }
    for path, pointer in wrong.items():
        problem = await world.call("GET", f"/v1/qr-codes/{qr['id']}/{path}", status=422)
        assert [error["pointer"] for error in problem["errors"]] == [pointer]
    await world.call("GET", f"/v1/qr-codes/{qr['id']}/sticker.pdf", role=Role.GUEST, status=403)
    await world.call("GET", "/v1/qr-codes/qrc_99/sticker.pdf", status=404)


async def test_a_sticker_of_a_closed_code_is_not_printed(world: World) -> None:
    qr = await world.qr_code("CP-7")
    new = await world.call("POST", f"/v1/qr-codes/{qr['id']}/regenerate", status=201)
    problem = await world.call("GET", f"/v1/qr-codes/{qr['id']}/sticker.pdf", status=409)
    assert "payments on it are refunded" in problem["detail"]
    assert (await fetched(world, f"/v1/qr-codes/{qr['id']}/image.png"))[0] == 200
    assert (await fetched(world, f"/v1/qr-codes/{new['id']}/sticker.pdf"))[0] == 200


async def test_what_is_not_known_or_too_long_to_draw_says_so(world: World) -> None:
    qr = await world.qr_code("CP-7")
    for content, words in ((None, "has not said yet"), ("x" * 3000, "too long to draw")):
        await world.admin.execute("UPDATE qr_codes SET image_content = $1", content)
        for name in ("image.png", "sticker.pdf"):
            problem = await world.call("GET", f"/v1/qr-codes/{qr['id']}/{name}", status=409)
            assert words in problem["detail"]
