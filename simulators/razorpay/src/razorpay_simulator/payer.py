"""The payer's door: /pay, where a person pays a QR code or an order as a rider would in a UPI app."""

import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from aiohttp import web

from razorpay_simulator import page, rupees
from razorpay_simulator.entities import Payment, Record
from razorpay_simulator.errors import ControlError
from razorpay_simulator.orders import OrderPayment
from razorpay_simulator.qr_codes import QrPayment
from razorpay_simulator.world import World

if TYPE_CHECKING:
    from razorpay_simulator.simulator import RazorpaySimulator

CODES_PER_PAGE = 50
LAST_PAYMENTS = 10
TAPS_REMEMBERED = 1000
LATE_SECONDS = 60
VPA = re.compile(r"[A-Za-z0-9._-]{2,256}@[A-Za-z0-9.]{2,64}\Z")
CONTACT = re.compile(r"\+?[0-9]{10,13}\Z")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}

R = TypeVar("R", bound=Record)
Handler = Callable[[web.Request], Awaitable[web.Response]]


class NotThere(Exception):
    """Nothing of this id in either mode."""


class PayerPages:
    """Server-rendered pages over the simulator's worlds. Paying is a form that ends in a redirect to the payment."""

    def __init__(self, simulator: "RazorpaySimulator") -> None:
        self._simulator = simulator
        self._taps: OrderedDict[str, str] = OrderedDict()
        """A press of the button → the payment it made: pressed twice, it pays once."""

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get("/", self._front_door)
        router.add_get("/pay", _answering(self._home))
        router.add_get("/pay/qr/{id}", _answering(self._code))
        router.add_post("/pay/qr/{id}", _answering(self._pay_code))
        router.add_get("/pay/orders/{id}", _answering(self._order))
        router.add_post("/pay/orders/{id}", _answering(self._pay_order))
        router.add_get("/pay/payments/{id}", _answering(self._payment))

    async def _front_door(self, _request: web.Request) -> web.Response:
        raise web.HTTPFound("/pay")

    async def _home(self, request: web.Request) -> web.Response:
        query = request.query.get("q", "").strip()
        asked = request.query.get("page", "1")
        number = max(int(asked), 1) if re.fullmatch(r"[0-9]{1,6}", asked) else 1
        worlds = self._simulator.worlds
        codes = [(w.settings.mode, qr) for w in worlds for qr in w.state.qr_codes.values() if qr.status == "active"]
        if query:
            codes = [(mode, qr) for mode, qr in codes if query.lower() in f"{qr.id} {qr.name} {qr.description}".lower()]
        codes.reverse()
        codes.sort(key=lambda found: found[1].created_at, reverse=True)  # stable: of one second, the last made comes first
        first = (number - 1) * CODES_PER_PAGE
        orders = [(w.settings.mode, order) for w in worlds for order in w.state.orders.values() if order.status != "paid"]
        payments = [payment for world in worlds for payment in world.state.payments.values()]
        payments.sort(key=lambda payment: payment.created_at)
        return _html(
            page.home(
                codes[first : first + CODES_PER_PAGE],
                orders[: -LAST_PAYMENTS - 1 : -1],
                payments[: -LAST_PAYMENTS - 1 : -1],
                query=query,
                pages=page.pages(number, first + CODES_PER_PAGE < len(codes), query),
                modes=len(worlds),
            )
        )

    async def _code(self, request: web.Request) -> web.Response:
        return self._show_code(request, self._blank())

    def _show_code(self, request: web.Request, entry: page.Entry) -> web.Response:
        world, qr = self._find(request, "QR code", lambda world: world.state.qr_codes)
        returns = world.settings.closed_qr == "auto_refund"
        html = page.code(qr, world.settings.merchant_vpa, entry, returns=returns)
        return _html(html, 400 if entry.errors else 200)

    async def _pay_code(self, request: web.Request) -> web.Response:
        world, qr = self._find(request, "QR code", lambda world: world.state.qr_codes)
        entry, amount = _checked(await _typed(request), fixed=qr.payment_amount, most=world.settings.upi_amount_max)
        if amount is None:
            return self._show_code(request, entry)
        failed = entry.bank != "paid"
        wish = QrPayment(
            amount=amount,
            vpa=entry.vpa,
            contact=entry.contact or None,
            outcome="failed" if failed else "captured",
            late_after=LATE_SECONDS if entry.bank == "late" else None,
        )
        return self._paid(entry, lambda: world.pay(qr.id, wish), lambda wrong: self._show_code(request, wrong))

    async def _order(self, request: web.Request) -> web.Response:
        return self._show_order(request, self._blank())

    def _show_order(self, request: web.Request, entry: page.Entry) -> web.Response:
        world, order = self._find(request, "order", lambda world: world.state.orders)
        attempts = [p for p in world.state.payments.values() if p.order_id == order.id][::-1]
        return _html(page.order(order, world.settings.merchant_vpa, entry, attempts), 400 if entry.errors else 200)

    async def _pay_order(self, request: web.Request) -> web.Response:
        world, order = self._find(request, "order", lambda world: world.state.orders)
        fixed = None if order.partial else order.amount_due
        entry, amount = _checked(await _typed(request), fixed=fixed, most=world.settings.upi_amount_max)
        if amount is None:
            return self._show_order(request, entry)
        wish = OrderPayment(
            amount=amount,
            vpa=entry.vpa,
            contact=entry.contact or None,
            outcome="failed" if entry.bank != "paid" else None,
            late_after=LATE_SECONDS if entry.bank == "late" else None,
        )
        return self._paid(entry, lambda: world.pay_order(order.id, wish), lambda wrong: self._show_order(request, wrong))

    async def _payment(self, request: web.Request) -> web.Response:
        world, payment = self._find(request, "payment", lambda world: world.state.payments)
        refunds = [refund for refund in world.state.refunds.values() if refund.payment_id == payment.id][::-1]
        paid_for, back = self._purpose(world, payment)
        return _html(page.payment(payment, refunds, paid_for, back))

    # -- inside

    def _purpose(self, world: World, payment: Payment) -> tuple[str, str]:
        """What was paid, and where it can be paid again."""
        if payment.order_id is not None:
            order = world.state.orders[payment.order_id]
            return f"Order {order.receipt or order.id}", f"/pay/orders/{order.id}"
        qr = world.state.qr_codes[payment.qr_code_id or ""]
        return qr.name or qr.id, f"/pay/qr/{qr.id}"

    def _blank(self) -> page.Entry:
        return page.Entry(tap=self._simulator.core.ids.new("tap_"))

    def _paid(
        self, entry: page.Entry, pay: Callable[[], dict[str, object]], again: Callable[[page.Entry], web.Response]
    ) -> web.Response:
        """Pay once for a press of the button, and go to the payment. What is impossible is told in the form."""
        if (known := self._taps.get(entry.tap)) is not None:
            raise web.HTTPSeeOther(f"/pay/payments/{known}")
        try:
            payment = pay()["payment"]
        except ControlError as refused:
            return again(replace(entry, errors={"form": _sentence(str(refused))}))
        assert isinstance(payment, dict)
        if entry.tap:
            self._taps[entry.tap] = payment["id"]
            while len(self._taps) > TAPS_REMEMBERED:
                self._taps.popitem(last=False)
        raise web.HTTPSeeOther(f"/pay/payments/{payment['id']}")

    def _find(self, request: web.Request, what: str, book: Callable[[World], dict[str, R]]) -> tuple[World, R]:
        record_id = request.match_info["id"]
        for world in self._simulator.worlds:
            if (record := book(world).get(record_id)) is not None:
                return world, record
        raise NotThere(f"{what} {record_id}")


async def _typed(request: web.Request) -> page.Entry:
    form = await request.post()

    def text(name: str) -> str:
        value = form.get(name, "")
        return value.strip() if isinstance(value, str) else ""

    bank = text("bank")
    return page.Entry(
        amount=text("amount"),
        vpa=text("vpa"),
        contact=text("contact"),
        bank=bank if bank in page.BANK_ANSWERS else "paid",
        tap=text("tap"),
    )


def _checked(entry: page.Entry, *, fixed: int | None, most: int) -> tuple[page.Entry, int | None]:
    """The entry with what is wrong with it, and the amount in paise where nothing is."""
    errors: dict[str, str] = {}
    amount = rupees.read(entry.amount) if fixed is None else fixed
    if not entry.amount and fixed is None:
        errors["amount"] = "Enter an amount."
    elif amount is None:
        errors["amount"] = "Write the amount like 500, 500.50 or 1,23,456.78."
    elif amount < 1:
        errors["amount"] = "The amount must be more than ₹0."
    elif amount > most:
        errors["amount"] = f"UPI carries at most {rupees.shown(most)} in one payment."
    if not VPA.match(entry.vpa):
        errors["vpa"] = "A UPI ID looks like asha@okaxis."
    if entry.contact and not CONTACT.match(entry.contact):
        errors["contact"] = "A phone number has 10 digits, perhaps with +91 before them."
    return replace(entry, errors=errors), None if errors else amount


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _html(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html", headers=HEADERS)


def _answering(handler: Handler) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except NotThere as missing:
            return _html(page.missing(str(missing)), 404)

    return handle
