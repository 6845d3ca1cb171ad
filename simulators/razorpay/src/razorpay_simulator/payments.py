"""Payments: https://razorpay.com/docs/api/payments."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from razorpay_simulator import fields
from razorpay_simulator.core import Core, collection, page
from razorpay_simulator.entities import JsonObject, Payment
from razorpay_simulator.errors import ApiError, ControlError


class PaymentPatch(BaseModel):
    """What the control API may change of a payment, to bring about a refund's refusals. None leaves it."""

    model_config = ConfigDict(extra="forbid")

    disputed: bool | None = None
    instant_refunds: bool | None = None
    fee: int | None = None
    tax: int | None = None
    created_at: int | None = None


class Payments:
    """Shows payments. They are made at QR codes, already captured."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def fetch(self, payment_id: str, expand: list[str]) -> JsonObject:
        payment = self.find(payment_id)
        shown = payment.view()
        if "refunds" in expand:
            shown["refunds"] = collection([r.view() for r in self._core.state.refunds.values() if r.payment_id == payment.id])
        return shown

    def fetch_all(self, query: Mapping[str, str]) -> JsonObject:
        return page(self._core.state.payments.values(), query)

    def update(self, payment_id: str, raw: object) -> JsonObject:
        body = fields.object_body(raw)
        payment = self.find(payment_id)
        fields.refuse_unknown(body, {"notes"})
        fields.required(body, "notes")
        payment.notes = fields.notes(body)
        return payment.view()

    def capture(self, payment_id: str, raw: object) -> JsonObject:
        """QR payments arrive captured, so this only ever refuses."""
        fields.object_body(raw)
        if self.find(payment_id).captured:
            raise ApiError("This payment has already been captured")
        raise ApiError("Only payments which have been authorized and not yet captured can be captured")

    def find(self, payment_id: str) -> Payment:
        return self._core.find(self._core.state.payments, payment_id, "pay_")

    def patch(self, payment_id: str, patch: PaymentPatch) -> JsonObject:
        """Control: change what a payer or a bank would."""
        payment = self._core.state.payments.get(payment_id)
        if payment is None:
            raise ControlError(f"no payment {payment_id}")
        for name, value in patch.model_dump(exclude_none=True).items():
            setattr(payment, name, value)
        return payment.view()
