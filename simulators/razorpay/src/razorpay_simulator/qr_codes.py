"""QR codes: https://razorpay.com/docs/api/qr-codes, and the payer who scans them."""

from collections.abc import Mapping
from typing import Literal
from urllib.parse import quote

from pydantic import Field

from razorpay_simulator import fields
from razorpay_simulator.core import Core, page
from razorpay_simulator.entities import JsonObject, Payment, PaymentStatus, QrCode
from razorpay_simulator.errors import LINKED_ACCOUNT_NOT_LIVE, ApiError, ControlError, invalid_id
from razorpay_simulator.ids import is_id
from razorpay_simulator.payments import Payments, UpiPayment

SHORTEST_LIFE = 2 * 60
LONGEST_LIFE = 2 * 60 * 60
"""Seconds. A single_use code lives between these; Razorpay's older pages say 15 minutes to 45 days."""
MERCHANT_CATEGORY = "5411"
_FIELDS = {
    "type", "name", "usage", "fixed_amount", "payment_amount", "description", "customer_id", "close_by", "notes"
}  # fmt: skip


class QrPayment(UpiPayment):
    """What a payer does at a QR code."""

    amount: int = Field(ge=1, description="Paise.")
    outcome: Literal["captured", "failed"] = "captured"


class QrCodes:
    """Creates, shows and closes QR codes, and lets them be paid."""

    def __init__(self, core: Core, payments: Payments) -> None:
        self._core = core
        self._payments = payments

    def create(self, raw: object, account_id: str | None = None) -> JsonObject:
        """A code of the parent's, or of a linked account that may take money."""
        body = fields.object_body(raw)
        if account_id is not None and not self._core.state.accounts[account_id].may_receive:
            raise ApiError(LINKED_ACCOUNT_NOT_LIVE)
        fields.refuse_unknown(body, _FIELDS)
        kind = fields.choice(body, "type", {"upi_qr", "bharat_qr"})
        usage = fields.choice(body, "usage", {"single_use", "multiple_use"})
        fixed = fields.boolean(body, "fixed_amount")
        amount = self._amount(body, fixed=fixed)
        if usage == "single_use" and not fixed:
            raise ApiError("The selected fixed amount is invalid.", field="fixed_amount")
        customer_id = fields.text(body, "customer_id")
        if customer_id is not None and not is_id(customer_id, "cust_"):
            raise invalid_id(customer_id, field="customer_id")
        core, qr_id = self._core, self._core.ids.new("qr_")
        name = fields.text(body, "name")
        description = fields.text(body, "description")
        qr = QrCode(
            id=qr_id,
            created_at=core.now(),
            name=name,
            usage="single_use" if usage == "single_use" else "multiple_use",
            type=kind,
            image_url="https://rzp.io/i/" + core.ids.new("")[:8],
            image_content=self._image_content(qr_id, name, description, amount, account_id),
            payment_amount=amount,
            description=description,
            fixed_amount=fixed,
            notes=fields.notes(body),
            customer_id=customer_id,
            close_by=self._close_by(body, usage),
            account_id=account_id,
        )
        core.state.qr_codes[qr_id] = qr
        self.watch(qr)
        # Razorpay's sample has neither closing field in this event, and close_by as a string.
        created = {key: value for key, value in qr.view().items() if key not in ("closed_at", "close_reason")}
        created["close_by"] = None if qr.close_by is None else str(qr.close_by)
        core.emit("qr_code.created", {"qr_code": {"entity": created}}, account_id=account_id)
        return qr.view()

    def fetch(self, qr_id: str, account_id: str | None = None) -> JsonObject:
        return self._find(qr_id, account_id).view()

    def fetch_all(self, query: Mapping[str, str], account_id: str | None = None) -> JsonObject:
        """The parent's codes, or with `X-Razorpay-Account` a linked account's."""
        codes = [code for code in self._core.state.qr_codes.values() if code.account_id == account_id]
        if payment_id := query.get("payment_id"):
            payment = self._core.find_of(self._core.state.payments, payment_id, "pay_", account_id)
            codes = [code for code in codes if code.id == payment.qr_code_id]
        if customer_id := query.get("customer_id"):
            codes = [code for code in codes if code.customer_id == customer_id]
        return page(codes, query)

    def payments(self, qr_id: str, query: Mapping[str, str], account_id: str | None = None) -> JsonObject:
        qr = self._find(qr_id, account_id)
        return page((p for p in self._core.state.payments.values() if p.qr_code_id == qr.id and p.status != "failed"), query)

    def update(self, qr_id: str, raw: object, account_id: str | None = None) -> JsonObject:
        body = fields.object_body(raw)
        qr = self._find(qr_id, account_id)
        fields.refuse_unknown(body, {"notes"})
        fields.required(body, "notes")
        qr.notes = fields.notes(body)
        return qr.view()

    def close(self, qr_id: str, account_id: str | None = None) -> JsonObject:
        qr = self._find(qr_id, account_id)
        if qr.usage == "multiple_use" and not self._core.settings.multiple_use_closable:
            raise ApiError("QR code with usage multiple_use cannot be closed.")
        if qr.status == "closed":
            raise ApiError("QR code is already closed.")
        qr.status, qr.closed_at, qr.close_reason = "closed", self._core.now(), "on_demand"
        self._core.emit("qr_code.closed", {"qr_code": {"entity": qr.view()}}, account_id=account_id)
        return qr.view()

    def pay(self, qr_id: str, order: QrPayment) -> JsonObject:
        """A payer scans the code and pays: payment.captured and qr_code.credited follow. Returns payment and event ids."""
        core = self._core
        qr = core.state.qr_codes.get(qr_id)
        if qr is None:
            raise ControlError(f"no QR code {qr_id}")
        if qr.fixed_amount and order.amount != qr.payment_amount:
            raise ControlError(f"this QR code takes exactly {qr.payment_amount} paise")
        if core.settings.mode == "test" and not core.settings.test_qr_payable:
            raise ControlError("a QR code of the test mode cannot be scanned")
        order = order.model_copy(update={"customer_id": order.customer_id or qr.customer_id})
        status: PaymentStatus = "failed" if order.outcome == "failed" else "authorized"
        payment = self._payments.make(order, order.amount, status, description="QRv2 Payment", notes=qr.notes, qr=qr)
        if payment.status == "failed":
            failed = self._payments.told(payment)
            events = [core.emit("payment.failed", failed, account_id=qr.account_id, delay=order.delay)]
        else:
            events = self.authorised(payment, delay=order.delay)
        return {"payment": payment.view(), "event_ids": events}

    def authorised(self, payment: Payment, *, delay: float = 0) -> list[str]:
        """The money is there: credit it, or send it back where the code is closed. No event tells of the authorisation."""
        core, qr = self._core, self._core.state.qr_codes[payment.qr_code_id or ""]
        if qr.status == "closed" and core.settings.closed_qr == "auto_refund":
            self._payments.give_back(payment)
            return []
        self._payments.capture(payment)
        # A snapshot from before the counters go up.
        credited = self._payments.told(payment, amounts=False) | {"qr_code": {"entity": qr.view()}}
        qr.payments_amount_received += payment.amount
        qr.payments_count_received += 1
        if qr.usage == "single_use":
            qr.status, qr.closed_at, qr.close_reason = "closed", core.now(), "paid"
        events = [core.emit("qr_code.credited", credited, account_id=qr.account_id, delay=delay)]
        if core.settings.captured_twin:
            captured = self._payments.told(payment)
            events.append(core.emit("payment.captured", captured, account_id=qr.account_id, delay=delay))
        return events

    def watch(self, qr: QrCode) -> None:
        """A code with an end closes by itself then; Razorpay sends no event for that."""
        if qr.close_by is None or qr.status != "active":
            return
        close_by = qr.close_by

        def expire() -> None:
            if qr.status == "active":
                qr.status, qr.closed_at = "closed", close_by

        self._core.at(f"expiry of {qr.id}", close_by, expire)

    def _find(self, qr_id: str, account_id: str | None) -> QrCode:
        return self._core.find_of(self._core.state.qr_codes, qr_id, "qr_", account_id)

    def _amount(self, body: JsonObject, *, fixed: bool) -> int | None:
        if not fixed:
            if body.get("payment_amount") is not None:
                raise ApiError("payment_amount is/are not required and should not be sent")
            return None
        fields.required(body, "payment_amount")
        amount = fields.integer(body, "payment_amount")
        if amount is None or amount < 1:
            raise ApiError("The payment amount must be at least 1.", field="payment_amount")
        return amount

    def _close_by(self, body: JsonObject, usage: str) -> int | None:
        close_by = fields.instant(body, "close_by")
        if usage == "multiple_use":
            if close_by is not None:
                raise ApiError("close_by is/are not required and should not be sent")
            return None
        now = self._core.now()
        if close_by is None:
            return now + LONGEST_LIFE
        if close_by < now + SHORTEST_LIFE:
            raise ApiError("close_by should be at least 2 minutes after current time", field="close_by")
        return min(close_by, now + LONGEST_LIFE)

    def _image_content(
        self, qr_id: str, name: str | None, description: str | None, amount: int | None, account_id: str | None
    ) -> str:
        """The UPI link that the QR image encodes, so that a client can draw the code without the image's URL."""
        vpa = self._core.settings.merchant_vpa
        parts = {
            # A linked account is a merchant of its own, with an address of its own.
            "pa": vpa if account_id is None else f"{account_id.replace('_', '.').lower()}@{vpa.partition('@')[2]}",
            "pn": name or "Sandbox",
            "tr": f"RZP{qr_id.removeprefix('qr_')}qrv2",
            "tn": description or f"PaymentTo{name or 'Sandbox'}",
            "cu": "INR",
            "mc": MERCHANT_CATEGORY,
        }
        if amount is not None:
            parts["am"] = f"{amount // 100}.{amount % 100:02d}"
        return "upi://pay?" + "&".join(f"{key}={quote(value, safe='@.-_')}" for key, value in parts.items())
