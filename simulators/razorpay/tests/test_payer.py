"""The payer's page, over HTTP: what is listed, what is refused in words, what one press of the button does."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from html.parser import HTMLParser
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from razorpay_simulator import QrPayment, RazorpaySimulator, rupees
from testkit.clock import SteppingClock

Page = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
async def page(sandbox: RazorpaySimulator) -> AsyncIterator[Page]:
    """`await page(path, field=…)` → (status, HTML, where it ended). With fields, the form is sent; redirects are followed."""
    async with aiohttp.ClientSession(sandbox.base_url) as session:

        async def visit(path: str, **typed: str) -> tuple[int, str, str]:
            method = "POST" if typed else "GET"
            async with session.request(method, path, data=typed or None) as response:
                html = await response.text()
                Whole().check(html)
                return response.status, html, response.url.path_qs

        yield visit


@pytest.fixture
def make(api: Any, qr_body: Any) -> Callable[..., Awaitable[Any]]:
    async def qr(**changes: Any) -> Any:
        return (await api("POST", "/v1/payments/qr_codes", qr_body | changes))[1]

    return qr


class Whole(HTMLParser):
    """Fails on markup that isn't closed, on fields without a label, and on anything fetched from elsewhere."""

    VOID = frozenset({"meta", "link", "input", "br"})

    def check(self, html: str) -> None:
        self.open: list[str] = []
        self.ids: set[str] = set()
        self.labels: set[str] = set()
        self.fields: set[str] = set()
        self.feed(html)
        assert self.open == [], "every tag is closed"
        assert self.fields <= self.labels, "every field has a label"
        assert html.count("<h1") == 1
        assert "<script" not in html

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in self.VOID:
            self.open.append(tag)
        if (own := given.get("id")) is not None:
            assert own not in self.ids
            self.ids.add(own)
        if tag in ("input", "select") and given.get("type") != "hidden":
            self.fields.add(given["id"] or "")
        if tag == "label":
            self.labels.add(given["for"] or "")
        for name in ("href", "src", "action"):
            value = given.get(name)
            assert value is None or value.startswith(("/", "#", "data:,")), f"{value} is elsewhere"

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def text(html: str) -> str:
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]+>", " ", html, flags=re.DOTALL).split())


def tap(html: str) -> str:
    found = re.search(r'name="tap" value="([^"]+)"', html)
    assert found is not None
    return found[1]


async def test_an_empty_sandbox_says_what_to_do(page: Page) -> None:
    status, html, where = await page("/")
    assert (status, where) == (200, "/pay")
    assert "No QR code is active. A merchant makes one with POST /v1/payments/qr_codes" in text(html)


async def test_active_codes_are_listed_and_found(page: Page, make: Any, api: Any) -> None:
    first = await make(name="CHG-0001", description="MG Road")
    second = await make(name=None, notes={})
    fixed = await make(name="Fixed", usage="single_use", fixed_amount=True, payment_amount=12345678)
    closed = await make(name="CHG-0009")
    await api("POST", f"/v1/payments/qr_codes/{closed['id']}/close")
    _, html, _ = await page("/pay")
    assert "CHG-0009" not in html
    assert "₹1,23,456.78" in html
    assert "Without a name" in html
    assert html.index(fixed["id"]) < html.index(second["id"]) < html.index(first["id"]), "newest first"
    _, html, _ = await page("/pay?q=mg+road")
    assert (first["id"] in html, second["id"] in html) == (True, False)
    _, html, _ = await page("/pay?q=%3Cb%3E")
    assert "No active code matches “&lt;b&gt;”." in html


async def test_long_lists_come_in_pages(page: Page, make: Any) -> None:
    for number in range(51):
        await make(name=f"CHG-{number:04d}")
    _, html, _ = await page("/pay")
    assert (html.count("/pay/qr/"), 'rel="next"' in html, 'rel="prev"' in html) == (50, True, False)
    _, html, _ = await page("/pay?page=2")
    assert (html.count("/pay/qr/"), 'rel="next"' in html, 'rel="prev"' in html) == (1, False, True)
    assert (await page("/pay?page=minus"))[0] == 200


async def test_names_are_shown_and_never_run(page: Page, make: Any) -> None:
    hostile = '<img src=x onerror=alert(1)>"&'
    qr = await make(name=hostile, description=hostile)
    for path in ("/pay", f"/pay/qr/{qr['id']}"):
        _, html, _ = await page(path)
        assert "<img" not in html
        assert "&lt;img src=x onerror=alert(1)&gt;&quot;&amp;" in html


async def test_what_is_typed_is_shown_again_and_never_run(page: Page, make: Any) -> None:
    qr = await make()
    for field in ("amount", "vpa", "contact", "tap", "bank"):
        typed = {"amount": "1,00", "vpa": "asha@okaxis"} | {field: '"><b>x'}
        status, html, _ = await page(f"/pay/qr/{qr['id']}", **typed)
        assert status == 400
        assert "<b>" not in html
        assert field == "bank" or 'value="&quot;&gt;&lt;b&gt;x"' in html
    _, html, _ = await page("/pay?q=%22%3E%3Cb%3Ex&page=2")
    assert "<b>" not in html


async def test_nothing_may_be_loaded_from_anywhere(sandbox: RazorpaySimulator) -> None:
    async with aiohttp.ClientSession(sandbox.base_url) as session, session.get("/pay") as answer:
        policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script" not in policy


async def test_a_rider_pays_and_sees_what_became_of_it(
    page: Page, make: Any, api: Any, sandbox: RazorpaySimulator, receiver: Any, clock: SteppingClock
) -> None:
    qr = await make(name="CHG-0042")
    status, html, _ = await page(f"/pay/qr/{qr['id']}")
    assert status == 200
    assert "Paid to sandbox@rzp" in text(html)
    status, html, where = await page(f"/pay/qr/{qr['id']}", amount="1,234.5", vpa="asha@okaxis", tap=tap(html))
    assert status == 200
    ((payment_id, payment),) = sandbox.state.payments.items()
    assert where == f"/pay/payments/{payment_id}"
    assert (payment.amount, payment.vpa, payment.contact, payment.status) == (1_234_50, "asha@okaxis", None, "captured")
    for shown in ("₹1,234.50", "asha@okaxis", payment.acquirer_data["rrn"], payment_id, "CHG-0042", "None until now."):
        assert shown in text(html)
    await sandbox.wait_idle()
    assert len(receiver.of("qr_code.credited")) == 1

    _, refund = await api("POST", f"/v1/payments/{payment_id}/refund", {"amount": 10_000, "speed": "optimum"})
    _, html, _ = await page(where)
    assert "Paid, and refunded in part" in text(html)
    assert "₹100.00 On its way, at once" in text(html)
    await clock.advance(2)
    _, html, _ = await page(where)
    assert "₹100.00 Credited" in text(html)
    assert sandbox.state.refunds[refund["id"]].acquirer_data["rrn"] in text(html)
    await api("POST", f"/v1/payments/{payment_id}/refund", {})
    assert "Paid, and refunded in full" in text((await page(where))[1])


@pytest.mark.parametrize(
    ("amount", "problem"),
    [
        ("", "Enter an amount."),
        ("0", "The amount must be more than ₹0."),
        ("0.00", "The amount must be more than ₹0."),
        ("-5", "Write the amount like 500, 500.50 or 1,23,456.78."),
        ("1,00", "Write the amount like 500, 500.50 or 1,23,456.78."),
        ("12.345", "Write the amount like 500, 500.50 or 1,23,456.78."),
        ("1e3", "Write the amount like 500, 500.50 or 1,23,456.78."),
        ("<b>", "Write the amount like 500, 500.50 or 1,23,456.78."),
        ("1,00,000.01", "UPI carries at most ₹1,00,000.00 in one payment."),
    ],
)
async def test_amounts_are_refused_in_words(page: Page, make: Any, sandbox: RazorpaySimulator, amount: str, problem: str) -> None:
    qr = await make()
    status, html, _ = await page(f"/pay/qr/{qr['id']}", amount=amount, vpa="asha@okaxis")
    assert status == 400
    assert "Nothing was paid." in text(html)
    assert text(html).count(problem) == 2, "above, and at the field"
    assert 'aria-invalid="true"' in html
    assert 'aria-describedby="amount-hint amount-error"' in html
    assert 'value="asha@okaxis"' in html, "what was right is kept"
    assert sandbox.state.payments == {}


@pytest.mark.parametrize("vpa", ["", "asha", "@okaxis", "asha@", "a@b", "asha @okaxis"])
async def test_a_upi_id_has_a_form(page: Page, make: Any, sandbox: RazorpaySimulator, vpa: str) -> None:
    qr = await make()
    status, html, _ = await page(f"/pay/qr/{qr['id']}", amount="500", vpa=vpa, contact="12")
    assert status == 400
    assert "A UPI ID looks like asha@okaxis." in text(html)
    assert "A phone number has 10 digits" in text(html)
    assert "<details open>" in html, "an error is never folded away"
    assert sandbox.state.payments == {}


async def test_one_press_pays_once(page: Page, make: Any, sandbox: RazorpaySimulator) -> None:
    qr = await make()
    _, html, _ = await page(f"/pay/qr/{qr['id']}")
    typed = {"amount": "500", "vpa": "asha@okaxis", "tap": tap(html)}
    ends = {(await page(f"/pay/qr/{qr['id']}", **typed))[2] for _ in range(3)}
    assert len(ends) == len(sandbox.state.payments) == 1
    _, html, _ = await page(f"/pay/qr/{qr['id']}")
    await page(f"/pay/qr/{qr['id']}", **typed | {"tap": tap(html)})
    assert len(sandbox.state.payments) == 2, "the page opened anew pays anew"


async def test_a_fixed_amount_is_not_the_payers_to_choose(page: Page, make: Any, sandbox: RazorpaySimulator) -> None:
    qr = await make(usage="single_use", fixed_amount=True, payment_amount=12_345)
    _, html, _ = await page(f"/pay/qr/{qr['id']}")
    assert 'name="amount"' not in html
    assert "Pay ₹123.45" in text(html)
    status, _, _ = await page(f"/pay/qr/{qr['id']}", amount="1", vpa="asha@okaxis")
    assert status == 200
    assert [payment.amount for payment in sandbox.state.payments.values()] == [12_345]
    assert "This code is closed. What you pay goes back to you by itself." in text((await page(f"/pay/qr/{qr['id']}"))[1])


async def test_money_for_a_closed_code_is_seen_to_come_back(
    page: Page, make: Any, api: Any, sandbox: RazorpaySimulator, clock: SteppingClock
) -> None:
    qr = await make()
    await api("POST", f"/v1/payments/qr_codes/{qr['id']}/close")
    _, html, where = await page(f"/pay/qr/{qr['id']}", amount="500", vpa="asha@okaxis")
    assert "Returned" in text(html)
    assert "Razorpay itself: the merchant never took the money" in text(html)
    assert "On its way, within 7 working days" in text(html)
    await clock.advance(sandbox.settings.normal_refund_seconds)
    assert "Credited" in text((await page(where))[1])


async def test_a_bank_may_decline_and_change_its_mind(page: Page, make: Any, clock: SteppingClock) -> None:
    qr = await make()
    _, html, where = await page(f"/pay/qr/{qr['id']}", amount="500", vpa="asha@okaxis", bank="late")
    assert "Not paid" in text(html)
    assert "none: nothing was paid" in text(html)
    await clock.advance(60)
    assert text((await page(where))[1]).startswith("Paid · Sandbox UPI")
    _, html, where = await page(f"/pay/qr/{qr['id']}", amount="500", vpa="asha@okaxis", bank="failed", contact="+919000090000")
    await clock.advance(600)
    assert "Not paid" in text((await page(where))[1])


async def test_what_is_impossible_is_told_in_the_form(build: Any, connect: Any, qr_body: Any) -> None:
    sandbox = await build(test_qr_payable=False)
    _, qr = await connect(sandbox)("POST", "/v1/payments/qr_codes", qr_body)
    typed = {"amount": "500", "vpa": "asha@okaxis"}
    async with (
        aiohttp.ClientSession(sandbox.base_url) as session,
        session.post(f"/pay/qr/{qr['id']}", data=typed) as answer,
    ):
        assert answer.status == 400
        assert "A QR code of the test mode cannot be scanned." in text(await answer.text())


async def test_an_order_is_paid(page: Page, api: Any, sandbox: RazorpaySimulator) -> None:
    _, order = await api("POST", "/v1/orders", {"amount": 50_000, "currency": "INR", "receipt": "wallet_17"})
    _, html, _ = await page("/pay")
    assert "Orders to be paid wallet_17" in text(html)
    path = f"/pay/orders/{order['id']}"
    _, html, _ = await page(path, vpa="asha@okaxis", bank="failed")
    assert "Not paid" in text(html)
    _, html, _ = await page(path)
    assert "Pay ₹500.00" in text(html)
    assert "Attempts Not paid" in text(html)
    _, html, where = await page(path, vpa="asha@okaxis", tap=tap(html))
    assert "Order wallet_17" in text(html)
    assert where.startswith("/pay/payments/pay_")
    assert sandbox.state.orders[order["id"]].status == "paid"
    _, html, _ = await page(path)
    assert "This order is paid. ₹500.00" in text(html)
    assert "<form" not in html
    status, html, _ = await page(path, vpa="asha@okaxis")
    assert (status, "This order is paid." in text(html)) == (400, True)
    assert len(sandbox.state.payments) == 2


async def test_an_order_in_parts_asks_how_much(page: Page, api: Any) -> None:
    _, order = await api("POST", "/v1/orders", {"amount": 50_000, "currency": "INR", "partial_payment": True})
    path = f"/pay/orders/{order['id']}"
    assert 'name="amount"' in (await page(path))[1]
    assert (await page(path, amount="600", vpa="asha@okaxis"))[0] == 400
    assert (await page(path, amount="200", vpa="asha@okaxis"))[0] == 200
    assert (await api("GET", f"/v1/orders/{order['id']}"))[1]["amount_due"] == 30_000


async def test_what_is_authorised_only_is_told_apart(page: Page, api: Any) -> None:
    _, order = await api("POST", "/v1/orders", {"amount": 50_000, "currency": "INR", "payment_capture": 0})
    _, html, _ = await page(f"/pay/orders/{order['id']}", vpa="asha@okaxis")
    assert "Paid, and not yet taken by the merchant" in text(html)


@pytest.mark.parametrize("path", ["/pay/qr/qr_x", "/pay/orders/order_x", "/pay/payments/pay_%3Cb%3E"])
async def test_what_is_not_there(page: Page, path: str) -> None:
    status, html, _ = await page(path)
    assert status == 404
    assert "in this sandbox. It may have been reset since. See what can be paid" in text(html)
    assert "<b>" not in html


async def test_codes_of_both_modes_are_there_and_told_apart(build: Any, connect: Any, qr_body: Any) -> None:
    sandbox = await build(other_key_id="rzp_live_sandbox0000001")
    live = sandbox.world("live")
    await connect(sandbox)("POST", "/v1/payments/qr_codes", qr_body)
    _, qr = await connect(sandbox, live.settings)("POST", "/v1/payments/qr_codes", qr_body)
    async with aiohttp.ClientSession(sandbox.base_url) as session:
        async with session.get("/pay") as answer:
            shown = text(await answer.text())
            assert "· live" in shown
            assert "· test" in shown
        await session.post(f"/pay/qr/{qr['id']}", data={"amount": "500", "vpa": "asha@okaxis"})
    assert (len(sandbox.state.payments), len(live.state.payments)) == (0, 1)


async def test_a_failed_refund_is_not_called_credited(page: Page, api: Any, sandbox: RazorpaySimulator, make: Any) -> None:
    qr = await make()
    payment = sandbox.pay(qr["id"], QrPayment(amount=500_00))["payment"]
    await api("POST", "/_sandbox/outcomes", {"of": "refund", "outcome": "failed"})
    sandbox.settings.instant_refund_seconds = 0
    await api("POST", f"/v1/payments/{payment['id']}/refund", {"speed": "optimum"})
    shown = text((await page(f"/pay/payments/{payment['id']}"))[1])
    assert "Failed: the merchant keeps it until another try" in shown
    assert "Credited" not in shown
    assert shown.startswith("Paid · Sandbox UPI")


class TestRupees:
    @pytest.mark.parametrize(
        ("paise", "shown"),
        [
            (0, "₹0.00"),
            (5, "₹0.05"),
            (99_999, "₹999.99"),
            (1_000_00, "₹1,000.00"),
            (99_999_00, "₹99,999.00"),
            (1_00_000_00, "₹1,00,000.00"),
            (1_23_45_678_90, "₹1,23,45,678.90"),
            (-12_345, "-₹123.45"),
        ],
    )
    def test_shown(self, paise: int, shown: str) -> None:
        assert rupees.shown(paise) == shown

    @pytest.mark.parametrize(
        ("typed", "paise"),
        [
            ("500", 500_00),
            (" ₹ 500.5 ", 500_50),
            ("1,23,456.78", 1_23_456_78),
            ("123456.78", 1_23_456_78),
            ("1,000", 1_000_00),
            ("123,456", None),
            ("1,2345", None),
            (",500", None),
            ("500.", None),
            (".5", None),
            ("५००", None),
            ("5 00", None),
        ],
    )
    def test_read(self, typed: str, paise: int | None) -> None:
        assert rupees.read(typed) == paise

    @given(st.integers(0, 10**13))
    def test_what_is_shown_is_read_back(self, paise: int) -> None:
        assert rupees.read(rupees.shown(paise)) == paise
