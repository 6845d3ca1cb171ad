"""Payments: https://razorpay.com/docs/api/payments, from the payer's tap to the merchant's balance."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from razorpay_simulator import fields
from razorpay_simulator.core import Core, collection, page
from razorpay_simulator.entities import Entry, JsonObject, Payment, PaymentStatus, QrCode, Terms
from razorpay_simulator.errors import ApiError, ControlError
from razorpay_simulator.fees import Fee, percentage_fee, tax_within
from razorpay_simulator.refunds import Refunds
from razorpay_simulator.settlements import Settlements

RRN_DIGITS = 12
EXPANDABLE = ("card", "emi", "transaction", "transaction.settlement", "refunds", "offers", "token")
_FAILURE: JsonObject = {
    "error_code": "BAD_REQUEST_ERROR",
    "error_description": "Payment failed",
    "error_source": "issuer",
    "error_step": "payment_authorization",
    "error_reason": "payment_failed",
}


class UpiPayment(BaseModel):
    """What a payer does in a UPI app. Only the VPA is theirs to choose; the rest bends the sandbox."""

    model_config = ConfigDict(extra="forbid")

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
    delay: float = Field(default=0, ge=0, description="Seconds from the payment to its webhooks.")
    instant_refunds: bool = Field(default=True, description="Whether refunds at optimum speed are possible.")
    late_after: float | None = Field(
        default=None, ge=0, description="Of a failed payment: seconds until the bank authorises it after all; None: never."
    )


class PaymentPatch(BaseModel):
    """What the control API may change of a payment, to bring about a refund's refusals. None leaves it."""

    model_config = ConfigDict(extra="forbid")

    disputed: bool | None = None
    instant_refunds: bool | None = None
    fee: int | None = None
    tax: int | None = None
    created_at: int | None = None


class Payments:
    """Makes, captures and shows payments: created → authorized → captured → refunded; failed, which may yet be authorised."""

    def __init__(self, core: Core, refunds: Refunds, settlements: Settlements) -> None:
        self._core = core
        self._refunds = refunds
        self._settlements = settlements

    # -- the API

    def fetch(self, payment_id: str, expand: list[str], account_id: str | None = None) -> JsonObject:
        return self._expanded(self.find(payment_id, account_id), _checked(expand))

    def fetch_all(self, query: Mapping[str, str], expand: list[str], account_id: str | None = None) -> JsonObject:
        """The parent's payments, or with `X-Razorpay-Account` a linked account's."""
        parts = _checked(expand)
        own = (payment for payment in self._core.state.payments.values() if payment.account_id == account_id)
        return page(own, query, show=lambda payment: self._expanded(payment, parts))

    def update(self, payment_id: str, raw: object) -> JsonObject:
        body = fields.object_body(raw)
        payment = self.find(payment_id)
        fields.refuse_unknown(body, {"notes"})
        fields.required(body, "notes")
        payment.notes = fields.notes(body)
        return payment.view()

    def check_capture(self, payment: Payment, raw: object) -> None:
        """Whether a capture by the API may be: all of an authorised amount, once."""
        body = fields.object_body(raw)
        fields.refuse_unknown(body, {"amount", "currency"})
        fields.required(body, "amount")
        amount = fields.integer(body, "amount")
        if body.get("currency", "INR") != payment.currency:
            raise ApiError("The currency should be the same as that of the payment.", field="currency")
        if payment.captured:
            raise ApiError("This payment has already been captured")
        if payment.status != "authorized":
            raise ApiError("Only payments which have been authorized and not yet captured can be captured")
        if amount != payment.amount:
            raise ApiError("Capture amount must be equal to the amount authorized", field="amount")

    def find(self, payment_id: str, account_id: str | None = None) -> Payment:
        return self._core.find_of(self._core.state.payments, payment_id, "pay_", account_id)

    # -- the payer and the bank

    def make(
        self,
        order: UpiPayment,
        amount: int,
        status: PaymentStatus,
        *,
        description: str,
        notes: JsonObject,
        qr: QrCode | None = None,
        order_id: str | None = None,
        captures: bool = True,
    ) -> Payment:
        """Record a payment as `authorized` or `failed`. What follows from it is its QR code's or its order's to do."""
        core = self._core
        if amount > core.settings.upi_amount_max:
            raise ControlError(f"UPI carries at most {core.settings.upi_amount_max} paise in one payment")
        payment = Payment(
            id=core.ids.new("pay_"),
            amount=amount,
            status=status,
            order_id=order_id,
            captured=False,
            description=description,
            vpa=order.vpa,
            email=order.email,
            contact=order.contact,
            customer_id=order.customer_id,
            notes=dict(notes),
            fee=None,
            tax=None,
            acquirer_data={"rrn": None if status == "failed" else core.ids.digits(RRN_DIGITS)},
            created_at=core.now(),
            upi={"payer_account_type": order.payer_account_type, "vpa": order.vpa},
            qr_code_id=None if qr is None else qr.id,
            account_id=None if qr is None else qr.account_id,
            terms=_terms(order, amount, core.settings.payment_fee_bps),
            captures=captures,
            charged_fee=0,
            charged_tax=0,
            instant_refunds=order.instant_refunds,
        )
        if status == "failed":
            late_at = None if order.late_after is None else core.timestamp() + order.late_after
            payment = payment.model_copy(update=_FAILURE | {"late_at": late_at})
        core.state.payments[payment.id] = payment
        return payment

    def authorise(self, payment: Payment) -> None:
        """The bank says yes after all: UPI may retry inside the app after a failure, with the same payment."""
        if payment.status != "failed":
            raise ControlError(f"payment {payment.id} is {payment.status}, so it cannot be authorised late")
        for name in _FAILURE:
            setattr(payment, name, None)
        payment.status = "authorized"
        payment.acquirer_data = {"rrn": self._core.ids.digits(RRN_DIGITS)}

    def hold(self, payment: Payment) -> None:
        """Wait for somebody to capture what is authorised; where nobody does, it goes back."""
        payment.expires_at = self._core.timestamp() + self._core.settings.authorized_refund_seconds
        self.watch(payment)

    def give_back(self, payment: Payment) -> None:
        """Razorpay's own refund of money that was never captured."""
        self._refunds.automatic(payment)

    def capture(self, payment: Payment) -> None:
        """The money is the merchant's: amount less fee goes to the balance of who owns the code, or of the parent."""
        core = self._core
        terms = payment.terms or _terms(UpiPayment(), payment.amount, core.settings.payment_fee_bps)
        payment.status, payment.captured = "captured", True
        if terms.shown != "never":
            payment.fee, payment.tax = terms.fee, terms.tax
        payment.charged_fee, payment.charged_tax = terms.charged_fee, terms.charged_tax
        core.post(
            Entry(
                account_id=payment.account_id or core.settings.account_id,
                type="payment",
                entity_id=payment.id,
                payment_id=payment.id,
                amount=payment.amount,
                credit=max(payment.amount - payment.charged_fee, 0),
                debit=max(payment.charged_fee - payment.amount, 0),
                fee=payment.charged_fee,
                tax=payment.charged_tax,
                created_at=core.now(),
            )
        )
        linked = payment.account_id is not None
        wait = core.settings.linked_settlement_seconds if linked else core.settings.own_settlement_seconds
        if wait is not None:
            payment.settles_at = core.timestamp() + wait
            self.watch(payment)

    def told(self, payment: Payment, *, amounts: bool = True) -> JsonObject:
        """The payment's part of a webhook. `amounts`: with the two that only webhooks show, and those of QR codes do not."""
        entity = payment.webhook_view() if amounts else payment.view()
        if payment.terms is not None and payment.terms.shown != "webhook":
            entity |= {"fee": None, "tax": None}
        return {"payment": {"entity": entity}}

    def watch(self, payment: Payment) -> None:
        """Set the timers of what time will do to a payment."""
        if payment.status == "authorized" and (expires := payment.expires_at) is not None:

            def expire() -> None:
                if payment.status == "authorized":
                    self.give_back(payment)

            self._core.at(f"end of the authorisation of {payment.id}", expires, expire)
        if payment.captured and (due := payment.settles_at) is not None:

            def settle() -> None:
                payment.settles_at = None
                if payment.account_id is None:
                    self._settlements.settle_own_due(due)
                else:
                    self._settlements.settle_due(payment.account_id, due)

            self._core.at(f"settlement of {payment.id}", due, settle)

    def patch(self, payment_id: str, patch: PaymentPatch) -> JsonObject:
        """Control: change what a payer or a bank would."""
        payment = self._core.state.payments.get(payment_id)
        if payment is None:
            raise ControlError(f"no payment {payment_id}")
        for name, value in patch.model_dump(exclude_none=True).items():
            setattr(payment, name, value)
        return payment.view()

    # -- expansions

    def _expanded(self, payment: Payment, expand: list[str]) -> JsonObject:
        shown = payment.view()
        for name in expand:
            if name == "refunds":
                refunds = self._core.state.refunds.values()
                shown["refunds"] = collection([r.view() for r in refunds if r.payment_id == payment.id])
            elif name == "offers":
                shown["offers"] = collection([])
            elif name in ("card", "emi", "token"):  # of other methods than UPI
                shown[name] = None
        if any(name.startswith("transaction") for name in expand):
            shown["transaction"] = self._transaction(payment, settled="transaction.settlement" in expand)
        return shown

    def _transaction(self, payment: Payment, *, settled: bool) -> JsonObject | None:
        """What the payment did to the balance; None until it was captured."""
        entry = next((e for e in self._core.state.entries if e.entity_id == payment.id and e.type == "payment"), None)
        if entry is None:
            return None
        shown: JsonObject = {
            "id": "txn_" + payment.id.removeprefix("pay_"),
            "entity": "transaction",
            "entity_id": payment.id,
            "amount": entry.amount,
            "currency": payment.currency,
            "credit": entry.credit,
            "debit": entry.debit,
            "fee": entry.fee,
            "tax": entry.tax,
            "settlement_id": entry.settlement_id,
            "created_at": entry.created_at,
        }
        if settled:
            settlement = self._core.state.settlements.get(entry.settlement_id or "")
            shown["settlement"] = settlement.view() if settlement else None
        return shown


def _terms(order: UpiPayment, amount: int, rate_bps: int) -> Terms:
    told = percentage_fee(amount, rate_bps)
    if order.fee is not None:
        told = Fee(order.fee, order.tax if order.tax is not None else tax_within(order.fee))
    charged = told if order.recon_fee is None else Fee(order.recon_fee, tax_within(order.recon_fee))
    return Terms(fee=told.total, tax=told.tax, charged_fee=charged.total, charged_tax=charged.tax, shown=order.fee_shown)


def _checked(expand: list[str]) -> list[str]:
    for number, name in enumerate(expand):
        if name not in EXPANDABLE:
            text = f"Value of each expand must be one of following types: {', '.join(EXPANDABLE)}"
            raise ApiError(text, field=f"expand.{number}")
    return expand
