"""QR codes: https://razorpay.com/docs/api/qr-codes, and the payer who scans them."""

from collections.abc import Mapping
from typing import Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field

from razorpay_simulator import fields
from razorpay_simulator.core import Core, page
from razorpay_simulator.entities import Entry, JsonObject, Payment, QrCode
from razorpay_simulator.errors import ApiError, ControlError, invalid_id
from razorpay_simulator.fees import Fee, percentage_fee, tax_within
from razorpay_simulator.ids import is_id
from razorpay_simulator.refunds import Refunds

SHORTEST_LIFE = 2 * 60
LONGEST_LIFE = 2 * 60 * 60
"""Seconds. A single_use code lives between these; Razorpay's older pages say 15 minutes to 45 days."""
RRN_DIGITS = 12
MERCHANT_CATEGORY = "5411"
_FIELDS = {
    "type", "name", "usage", "fixed_amount", "payment_amount", "description", "customer_id", "close_by", "notes"
}  # fmt: skip


class QrPayment(BaseModel):
    """What a payer does at a QR code. Only the amount and the VPA are theirs to choose; the rest bends the sandbox."""

    model_config = ConfigDict(extra="forbid")

    amount: int = Field(ge=1, description="Paise.")
    vpa: str = Field(default="rider@okhdfcbank", min_length=3)
    contact: str | None = None
    email: str | None = None
    customer_id: str | None = None
    fee: int | None = Field(default=None, ge=0, description="Razorpay's fee including GST; None: by its percentage.")
    tax: int | None = Field(default=None, ge=0)
    fee_shown: Literal["webhook", "api", "never"] = Field(
        default="webhook", description="Where the fee is first told: api leaves it null in the webhook, never also in the API."
    )
    recon_fee: int | None = Field(default=None, ge=0, description="What was really charged, as the settlement's recon will say.")
    payer_account_type: Literal["bank_account", "credit_card", "wallet", "credit_line"] = "bank_account"
    outcome: Literal["captured", "failed"] = "captured"
    delay: float = Field(default=0, ge=0, description="Seconds from the payment to its webhooks.")
    instant_refunds: bool = Field(default=True, description="Whether refunds at optimum speed are possible.")


class QrCodes:
    """Creates, shows and closes QR codes, and lets them be paid."""

    def __init__(self, core: Core, refunds: Refunds) -> None:
        self._core = core
        self._refunds = refunds

    def create(self, raw: object) -> JsonObject:
        body = fields.object_body(raw)
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
            image_content=self._image_content(qr_id, name, description, amount),
            payment_amount=amount,
            description=description,
            fixed_amount=fixed,
            notes=fields.notes(body),
            customer_id=customer_id,
            close_by=self._close_by(body, usage),
        )
        core.state.qr_codes[qr_id] = qr
        self.watch(qr)
        # Razorpay's sample has neither closing field in this event, and close_by as a string.
        created = {key: value for key, value in qr.view().items() if key not in ("closed_at", "close_reason")}
        created["close_by"] = None if qr.close_by is None else str(qr.close_by)
        core.emit("qr_code.created", {"qr_code": {"entity": created}})
        return qr.view()

    def fetch(self, qr_id: str) -> JsonObject:
        return self._find(qr_id).view()

    def fetch_all(self, query: Mapping[str, str]) -> JsonObject:
        codes = list(self._core.state.qr_codes.values())
        if payment_id := query.get("payment_id"):
            payment = self._core.find(self._core.state.payments, payment_id, "pay_")
            codes = [code for code in codes if code.id == payment.qr_code_id]
        if customer_id := query.get("customer_id"):
            codes = [code for code in codes if code.customer_id == customer_id]
        return page(codes, query)

    def payments(self, qr_id: str, query: Mapping[str, str]) -> JsonObject:
        qr = self._find(qr_id)
        return page((p for p in self._core.state.payments.values() if p.qr_code_id == qr.id and p.status != "failed"), query)

    def update(self, qr_id: str, raw: object) -> JsonObject:
        body = fields.object_body(raw)
        qr = self._find(qr_id)
        fields.refuse_unknown(body, {"notes"})
        fields.required(body, "notes")
        qr.notes = fields.notes(body)
        return qr.view()

    def close(self, qr_id: str) -> JsonObject:
        qr = self._find(qr_id)
        if qr.usage == "multiple_use" and not self._core.settings.multiple_use_closable:
            raise ApiError("QR code with usage multiple_use cannot be closed.")
        if qr.status == "closed":
            raise ApiError("QR code is already closed.")
        qr.status, qr.closed_at, qr.close_reason = "closed", self._core.now(), "on_demand"
        self._core.emit("qr_code.closed", {"qr_code": {"entity": qr.view()}})
        return qr.view()

    def pay(self, qr_id: str, order: QrPayment) -> JsonObject:
        """A payer scans the code and pays: payment.captured and qr_code.credited follow. Returns payment and event ids."""
        core = self._core
        qr = core.state.qr_codes.get(qr_id)
        if qr is None:
            raise ControlError(f"no QR code {qr_id}")
        if qr.fixed_amount and order.amount != qr.payment_amount:
            raise ControlError(f"this QR code takes exactly {qr.payment_amount} paise")
        refused = qr.status == "closed" and core.settings.closed_qr == "auto_refund"
        payment = self._payment(qr, order, captured=order.outcome == "captured" and not refused)
        core.state.payments[payment.id] = payment
        in_webhook = payment.view()
        if order.fee_shown != "webhook":
            in_webhook |= {"fee": None, "tax": None}
        parts: JsonObject = {"payment": {"entity": in_webhook}}
        if order.outcome == "failed":
            events = [core.emit("payment.failed", parts, delay=order.delay)]
        elif refused:
            self._refunds.automatic(payment)
            events = []
        else:
            credited = parts | {"qr_code": {"entity": qr.view()}}  # a snapshot from before the counters go up
            core.post(
                Entry(
                    account_id=core.settings.account_id,
                    type="payment",
                    entity_id=payment.id,
                    payment_id=payment.id,
                    amount=payment.amount,
                    credit=max(payment.amount - payment.charged_fee, 0),
                    debit=max(payment.charged_fee - payment.amount, 0),
                    fee=payment.charged_fee,
                    tax=payment.charged_tax,
                    created_at=payment.created_at,
                )
            )
            qr.payments_amount_received += payment.amount
            qr.payments_count_received += 1
            if qr.usage == "single_use":
                qr.status, qr.closed_at, qr.close_reason = "closed", core.now(), "paid"
            events = [core.emit("qr_code.credited", credited, delay=order.delay)]
            if core.settings.captured_twin:
                events.append(core.emit("payment.captured", parts, delay=order.delay))
        return {"payment": payment.view(), "event_ids": events}

    def watch(self, qr: QrCode) -> None:
        """A code with an end closes by itself then; Razorpay sends no event for that."""
        if qr.close_by is None or qr.status != "active":
            return
        close_by = qr.close_by

        def expire() -> None:
            if qr.status == "active":
                qr.status, qr.closed_at = "closed", close_by

        self._core.at(f"expiry of {qr.id}", close_by, expire)

    def _find(self, qr_id: str) -> QrCode:
        return self._core.find(self._core.state.qr_codes, qr_id, "qr_")

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

    def _image_content(self, qr_id: str, name: str | None, description: str | None, amount: int | None) -> str:
        """The UPI link that the QR image encodes, so that a client can draw the code without the image's URL."""
        parts = {
            "pa": self._core.settings.merchant_vpa,
            "pn": name or "Sandbox",
            "tr": f"RZP{qr_id.removeprefix('qr_')}qrv2",
            "tn": description or f"PaymentTo{name or 'Sandbox'}",
            "cu": "INR",
            "mc": MERCHANT_CATEGORY,
        }
        if amount is not None:
            parts["am"] = f"{amount // 100}.{amount % 100:02d}"
        return "upi://pay?" + "&".join(f"{key}={quote(value, safe='@.-_')}" for key, value in parts.items())

    def _payment(self, qr: QrCode, order: QrPayment, *, captured: bool) -> Payment:
        core, rate = self._core, self._core.settings.payment_fee_bps
        failed = order.outcome == "failed"
        said = percentage_fee(order.amount, rate)
        if order.fee is not None:
            said = Fee(order.fee, order.tax if order.tax is not None else tax_within(order.fee))
        charged = said if order.recon_fee is None else Fee(order.recon_fee, tax_within(order.recon_fee))
        shown = captured and order.fee_shown != "never"
        return Payment(
            id=core.ids.new("pay_"),
            amount=order.amount,
            status="captured" if captured else "failed" if failed else "authorized",
            captured=captured,
            vpa=order.vpa,
            email=order.email,
            contact=order.contact,
            customer_id=order.customer_id or qr.customer_id,
            notes=dict(qr.notes),
            fee=said.total if shown else None,
            tax=said.tax if shown else None,
            acquirer_data={"rrn": None if failed else core.ids.digits(RRN_DIGITS)},
            created_at=core.now(),
            upi={"payer_account_type": order.payer_account_type, "vpa": order.vpa},
            qr_code_id=qr.id,
            charged_fee=charged.total if captured else 0,
            charged_tax=charged.tax if captured else 0,
            instant_refunds=order.instant_refunds,
            error_code="BAD_REQUEST_ERROR" if failed else None,
            error_description="Payment failed" if failed else None,
            error_source="issuer" if failed else None,
            error_step="payment_authorization" if failed else None,
            error_reason="payment_failed" if failed else None,
        )
