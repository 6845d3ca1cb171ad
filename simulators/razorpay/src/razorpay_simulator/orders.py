"""Orders: https://razorpay.com/docs/api/orders, and the payer at the checkout."""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from razorpay_simulator import fields
from razorpay_simulator.core import Core, collection, page
from razorpay_simulator.entities import JsonObject, Order, Payment
from razorpay_simulator.errors import ApiError, ControlError
from razorpay_simulator.payments import Payments, UpiPayment

MINIMUM = 100
"""Paise: the least that an order may be of."""
LONGEST_RECEIPT = 40
_FIELDS = {
    "amount", "currency", "receipt", "notes", "partial_payment", "first_payment_min_amount", "payment_capture", "unique_receipt",
}  # fmt: skip


class OrderPayment(UpiPayment):
    """What a payer does at the checkout of an order."""

    amount: int | None = Field(default=None, ge=1, description="Paise; None: all that is due.")
    outcome: Literal["captured", "authorized", "failed"] | None = Field(
        default=None, description="None: paid, and captured at once where the order or the account says so."
    )


class Orders:
    """Creates and shows orders, and lets them be paid: created → attempted → paid."""

    def __init__(self, core: Core, payments: Payments) -> None:
        self._core = core
        self._payments = payments

    # -- the API

    def create(self, raw: object) -> JsonObject:
        body = fields.object_body(raw)
        fields.refuse_unknown(body, _FIELDS)
        fields.required(body, "amount")
        amount = fields.integer(body, "amount")
        if amount is None or amount < MINIMUM:
            text = "Order amount less than minimum amount allowed"
            raise ApiError(text, field="amount", step="order_creation", reason="amount_less_than_minimum_amount")
        if fields.required(body, "currency") != "INR":
            raise ApiError("Currency is not supported", field="currency")
        receipt = fields.text(body, "receipt", longest=LONGEST_RECEIPT)
        partial, unique = fields.boolean(body, "partial_payment"), fields.boolean(body, "unique_receipt")
        if receipt is not None and (known := self._with_receipt(receipt)) is not None:
            if unique and known.unique and known.amount == amount:
                return known.view()  # a retried create
            if unique or self._core.settings.order_receipts_unique:
                raise ApiError("Order receipt should be unique.", field="receipt")
        order = Order(
            id=self._core.ids.new("order_"),
            amount=amount,
            amount_due=amount,
            receipt=receipt,
            notes=fields.notes(body),
            created_at=self._core.now(),
            captures=fields.boolean(body, "payment_capture") if body.get("payment_capture") is not None else None,
            partial=partial,
            least=_least(body, amount, partial=partial),
            unique=unique,
        )
        self._core.state.orders[order.id] = order
        return order.view()

    def fetch(self, order_id: str, expand: list[str]) -> JsonObject:
        return self._shown(self.find(order_id), expand)

    def fetch_all(self, query: Mapping[str, str], expand: list[str]) -> JsonObject:
        orders = list(self._core.state.orders.values())
        if (receipt := query.get("receipt")) is not None:
            orders = [order for order in orders if order.receipt == receipt]
        if (authorized := query.get("authorized")) is not None:
            if authorized not in ("0", "1", "true", "false"):
                raise ApiError("The selected authorized is invalid.", field="authorized")
            # Orders with a payment that went through, whether or not it is captured by now.
            wanted = authorized in ("1", "true")
            orders = [order for order in orders if wanted == any(p.status != "failed" for p in self._of(order))]
        return page(orders, query, show=lambda order: self._shown(order, expand))

    def payments(self, order_id: str) -> JsonObject:
        return collection([payment.view() for payment in self._of(self.find(order_id))[::-1]])

    def update(self, order_id: str, raw: object) -> JsonObject:
        body = fields.object_body(raw)
        order = self.find(order_id)
        fields.refuse_unknown(body, {"notes"})
        fields.required(body, "notes")
        order.notes = fields.notes(body)
        return order.view()

    def find(self, order_id: str) -> Order:
        return self._core.find(self._core.state.orders, order_id, "order_")

    def capture(self, payment_id: str, raw: object) -> JsonObject:
        """Capture what a payer's bank authorised. Only orders have such payments: at QR codes they arrive captured."""
        payment = self._payments.find(payment_id)
        self._payments.check_capture(payment, raw)
        if payment.order_id is not None and not _takes(self.find(payment.order_id), payment):
            raise ApiError("Your payment has been declined as the order is already paid")
        self._capture(payment)
        return payment.view()

    # -- the payer and the bank

    def pay(self, order_id: str, tap: OrderPayment) -> JsonObject:
        """A payer pays the order by UPI.

        Returns the payment, the ids of its events, and what the checkout hands to the merchant's page (or None where the
        payment failed): `razorpay_signature` is what `verify_payment_signature` checks.
        """
        order = self._core.state.orders.get(order_id)
        if order is None:
            raise ControlError(f"no order {order_id}")
        if order.status == "paid":
            raise ControlError("this order is paid")
        if any(payment.status == "authorized" for payment in self._of(order)):
            raise ControlError("a payment of this order is authorised already, and waits for its capture")
        amount = order.amount_due if tap.amount is None else tap.amount
        if amount != order.amount_due and not (order.partial and (order.least or 1) <= amount < order.amount_due):
            raise ControlError(f"this order takes {'at most' if order.partial else 'exactly'} {order.amount_due} paise")
        by_itself = self._core.settings.order_capture if order.captures is None else order.captures
        captures = {"captured": True, "authorized": False}.get(tap.outcome or "", by_itself)
        payment = self._payments.make(
            tap,
            amount,
            "failed" if tap.outcome == "failed" else "authorized",
            description=f"Order {order.receipt or order.id}",
            notes=order.notes,
            order_id=order.id,
            captures=captures,
        )
        order.attempts += 1
        order.status = "attempted"
        if payment.status == "failed":
            events = [self._core.emit("payment.failed", self._payments.told(payment), delay=tap.delay)]
            return {"payment": payment.view(), "event_ids": events, "checkout": None}
        events = self.authorised(payment, delay=tap.delay)
        proof = hmac.new(self._core.settings.key_secret.encode(), f"{order.id}|{payment.id}".encode(), hashlib.sha256)
        checkout = {
            "razorpay_order_id": order.id,
            "razorpay_payment_id": payment.id,
            "razorpay_signature": proof.hexdigest(),
        }
        return {"payment": payment.view(), "event_ids": events, "checkout": checkout}

    def authorised(self, payment: Payment, *, delay: float = 0) -> list[str]:
        """Follow up on an authorised payment: capture it, or wait, or send it back where the order is paid already."""
        events = [self._core.emit("payment.authorized", self._payments.told(payment), delay=delay)]
        order = self._core.state.orders[payment.order_id or ""]
        if not _takes(order, payment):
            self._payments.give_back(payment)
        elif payment.captures:
            events += self._capture(payment, delay=delay)
        else:
            self._payments.hold(payment)
        return events

    def _capture(self, payment: Payment, *, delay: float = 0) -> list[str]:
        core, order = self._core, self._core.state.orders[payment.order_id or ""]
        self._payments.capture(payment)
        order.amount_paid += payment.amount
        order.amount_due -= payment.amount
        told = self._payments.told(payment)
        events = [core.emit("payment.captured", told, delay=delay)]
        if not order.amount_due:
            order.status = "paid"
            events.append(core.emit("order.paid", told | {"order": {"entity": order.view()}}, delay=delay))
        return events

    def _of(self, order: Order) -> list[Payment]:
        return [payment for payment in self._core.state.payments.values() if payment.order_id == order.id]

    def _with_receipt(self, receipt: str) -> Order | None:
        return next((order for order in self._core.state.orders.values() if order.receipt == receipt), None)

    def _shown(self, order: Order, expand: list[str]) -> JsonObject:
        return order.view() | ({"payments": self.payments(order.id)} if "payments" in expand else {})


def _takes(order: Order, payment: Payment) -> bool:
    """Whether an order still has room for a payment: others may have come first."""
    return payment.amount <= order.amount_due


def _least(body: JsonObject, amount: int, *, partial: bool) -> int | None:
    least = fields.integer(body, "first_payment_min_amount")
    if least is None:
        return None
    if not partial:
        raise ApiError("first_payment_min_amount is/are not required and should not be sent")
    if not MINIMUM <= least <= amount:
        raise ApiError("The first payment min amount is invalid.", field="first_payment_min_amount")
    return least
