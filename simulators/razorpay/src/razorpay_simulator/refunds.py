"""Refunds: https://razorpay.com/docs/api/refunds. A refund is paid out of the balance, never out of the payment."""

from collections.abc import Mapping

from razorpay_simulator import fields
from razorpay_simulator.core import Core, page
from razorpay_simulator.entities import Entry, JsonObject, Payment, Refund
from razorpay_simulator.errors import (
    AMOUNT_BELOW_MINIMUM,
    REFUND_BALANCE,
    REFUND_BALANCE_SEEN,
    REVERSE_ALL_ON_PART,
    ApiError,
    not_applicable,
    unknown_id,
)
from razorpay_simulator.fees import tax_within
from razorpay_simulator.transfers import Transfers

NORMAL_MINIMUM = 100
"""Paise: the least a normal refund may be."""
OLDEST_REFUNDABLE = 183 * 24 * 60 * 60
"""Seconds. Razorpay says six months."""
_FIELDS = {"amount", "speed", "notes", "receipt", "reverse_all"}


class Refunds:
    """Creates refunds and walks them: pending → processed, or failed; optimum speed may fall back to normal first."""

    def __init__(self, core: Core, transfers: Transfers) -> None:
        self._core = core
        self._transfers = transfers

    def create(self, payment_id: str, raw: object) -> JsonObject:
        body = {} if raw is None else fields.object_body(raw)
        payment = self._core.find(self._core.state.payments, payment_id, "pay_")
        fields.refuse_unknown(body, _FIELDS)
        speed = fields.choice(body, "speed", {"normal", "optimum"}, default="normal")
        receipt = fields.text(body, "receipt", longest=40)
        amount = self._amount(payment, body, speed)
        self._refuse(payment, receipt, speed)
        reverse_all = fields.boolean(body, "reverse_all")
        if reverse_all and amount != payment.amount:
            raise ApiError(REVERSE_ALL_ON_PART, field="reverse_all")
        instant = speed == "optimum"
        settings = self._core.settings
        fee = settings.instant_refund_fee if instant else 0
        comes_back = self._transfers.reversible(payment) if reverse_all else 0
        if not self._core.covers(amount + fee - comes_back):
            documented = settings.low_balance_text == "documented"
            raise ApiError(REFUND_BALANCE) if documented else not_applicable(REFUND_BALANCE_SEEN)
        delay = settings.instant_refund_seconds if instant else settings.normal_refund_seconds
        refund = Refund(
            id=self._core.ids.new("rfnd_"),
            amount=amount,
            payment_id=payment.id,
            notes=fields.notes(body),
            receipt=receipt,
            created_at=self._core.now(),
            speed_requested="optimum" if instant else "normal",
            due_at=self._core.timestamp() + delay,
            outcome=self._core.outcomes.take("refund"),
            fee=fee,
        )
        if reverse_all:
            self._transfers.reverse_all(payment, refund.id)
        self._book(refund, debit=amount + fee)
        self._core.state.refunds[refund.id] = refund
        self._count(payment, amount)
        self._tell("refund.created", refund)
        self.watch(refund)
        return refund.view()

    def automatic(self, payment: Payment) -> None:
        """Razorpay's own refund of money it never captured. The merchant's balance has no part in it."""
        refund = Refund(
            id=self._core.ids.new("rfnd_"),
            amount=payment.amount,
            payment_id=payment.id,
            notes={},
            receipt=None,
            created_at=self._core.now(),
            speed_requested="normal",
            due_at=self._core.timestamp() + self._core.settings.normal_refund_seconds,
            automatic=True,
        )
        self._core.state.refunds[refund.id] = refund
        self._count(payment, payment.amount)
        self._tell("refund.created", refund)
        self.watch(refund)

    def watch(self, refund: Refund) -> None:
        """Take the pending refund's next step when it is due; at once where it takes no time."""
        if refund.status != "pending":
            return
        if refund.due_at <= self._core.timestamp():
            self._step(refund)
        else:
            self._core.at(f"refund {refund.id}", refund.due_at, lambda: self._step(refund))

    def fetch(self, refund_id: str, payment_id: str | None = None) -> JsonObject:
        refund = self._core.find(self._core.state.refunds, refund_id, "rfnd_")
        if payment_id is not None and refund.payment_id != payment_id:
            raise unknown_id()
        return refund.view()

    def fetch_all(self, query: Mapping[str, str], payment_id: str | None = None) -> JsonObject:
        refunds = list(self._core.state.refunds.values())
        if payment_id is not None:
            payment = self._core.find(self._core.state.payments, payment_id, "pay_")
            refunds = [refund for refund in refunds if refund.payment_id == payment.id]
        return page(refunds, query)

    def update(self, refund_id: str, raw: object) -> JsonObject:
        body = fields.object_body(raw)
        refund = self._core.find(self._core.state.refunds, refund_id, "rfnd_")
        fields.refuse_unknown(body, {"notes"})
        fields.required(body, "notes")
        refund.notes = fields.notes(body)
        return refund.view()

    def _amount(self, payment: Payment, body: JsonObject, speed: str) -> int:
        """The amount asked for, or all that remains."""
        if not payment.captured:
            raise ApiError("The payment status should be captured for action to be taken.")
        remaining = payment.amount - payment.amount_refunded
        if remaining == 0:
            raise not_applicable("The payment has been fully refunded already")
        amount = fields.integer(body, "amount")
        if amount == 0:
            raise ApiError("Amount cannot be blank.", field="amount")
        amount = remaining if amount is None else amount
        least = self._core.settings.instant_refund_minimum if speed == "optimum" else NORMAL_MINIMUM
        if amount < least:
            raise ApiError(AMOUNT_BELOW_MINIMUM, field="amount")
        if amount > remaining:
            raise ApiError("The refund amount provided is greater than amount captured.", field="amount")
        return amount

    def _refuse(self, payment: Payment, receipt: str | None, speed: str) -> None:
        if payment.disputed:
            raise ApiError("The refund on this payment is blocked due to ongoing dispute investigation.")
        if self._core.now() - payment.created_at > OLDEST_REFUNDABLE:
            raise ApiError(
                "Refund is not supported by the bank because the payment is more than 6 months old",
                source=None,
                step=None,
                reason=None,
            )
        if speed == "optimum" and not payment.instant_refunds:
            raise ApiError("Instant refund not supported for the payment.")
        if receipt is not None and any(
            refund.payment_id == payment.id and refund.receipt == receipt for refund in self._core.state.refunds.values()
        ):
            raise ApiError("Duplicate receipt found for this refund request.", field="receipt")

    def _step(self, refund: Refund) -> None:
        """What `outcome` says happens now. A refund that is no longer pending stays as it is."""
        if refund.status != "pending":
            return
        if refund.outcome == "speed_changed" and refund.speed_requested == "optimum":
            refund.speed_processed, refund.outcome = "normal", "processed"
            refund.due_at = self._core.timestamp() + self._core.settings.normal_refund_seconds
            if refund.fee:
                self._book(refund, credit=refund.fee)
                refund.fee = 0
            self._tell("refund.speed_changed", refund)
            self.watch(refund)
        elif refund.outcome == "failed":
            refund.status = "failed"
            self._count(self._core.state.payments[refund.payment_id], -refund.amount)
            if not refund.automatic:
                self._book(refund, credit=refund.amount + refund.fee)
            self._tell("refund.failed", refund)
        else:
            refund.status = "processed"
            instant = refund.speed_requested == "optimum" and refund.speed_processed is None
            refund.speed_processed = "instant" if instant else "normal"
            refund.acquirer_data = {"rrn": self._core.ids.digits(12)}
            self._tell("refund.processed", refund)

    def _book(self, refund: Refund, *, credit: int = 0, debit: int = 0) -> None:
        self._core.post(
            Entry(
                account_id=self._core.settings.account_id,
                type="refund" if debit else "adjustment",
                entity_id=refund.id,
                payment_id=refund.payment_id,
                amount=refund.amount,
                credit=credit,
                debit=debit,
                fee=refund.fee if debit else 0,
                tax=tax_within(refund.fee) if debit else 0,
                created_at=self._core.now(),
            )
        )

    def _count(self, payment: Payment, change: int) -> None:
        """Keep the payment's own account of what was refunded."""
        payment.amount_refunded += change
        full = payment.amount_refunded == payment.amount
        payment.refund_status = "full" if full else "partial" if payment.amount_refunded else None
        if full:
            payment.status = "refunded"
        elif payment.status == "refunded":
            payment.status = "captured" if payment.captured else "authorized"

    def _tell(self, event: str, refund: Refund) -> None:
        payment = self._core.state.payments[refund.payment_id]
        self._core.emit(event, {"refund": {"entity": refund.view()}, "payment": {"entity": payment.webhook_view()}})
