"""What a decision needs to know from Razorpay: asked outside any transaction, and then the decision is made anew."""

from collections.abc import Mapping
from typing import Any

import structlog

from razorpay_client import Permanent, Razorpay, RazorpayError

log = structlog.get_logger(__name__)

Entity = Mapping[str, Any]


class LookupNeeded(Exception):
    """Raised inside a transaction, which ends by it: look this up, then decide again."""

    def __init__(self, kind: str, razorpay_id: str, account: str | None = None) -> None:
        super().__init__(f"{kind} {razorpay_id} is to be looked up")
        self.kind = kind
        self.razorpay_id = razorpay_id
        self.account = account
        """The linked account whose it is; None: ours."""


class Lookups:
    """Razorpay's answers so far, for one event."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str], Entity | None] = {}

    def payment(self, razorpay_payment_id: str, *, account: str | None) -> Entity | None:
        """The payment entity; None where Razorpay could not be asked, which is no reason to keep a rider waiting."""
        return self._answer("payment", razorpay_payment_id, account)

    def qr_code(self, razorpay_qr_code_id: str, *, account: str | None) -> Entity | None:
        """The QR code entity; None where our keys know of no such QR code."""
        return self._answer("qr_code", razorpay_qr_code_id, account)

    def order(self, razorpay_order_id: str) -> Entity | None:
        """The order entity; None where our keys know of no such order."""
        return self._answer("order", razorpay_order_id, None)

    def _answer(self, kind: str, razorpay_id: str, account: str | None) -> Entity | None:
        if (kind, razorpay_id) not in self._answers:
            raise LookupNeeded(kind, razorpay_id, account)
        return self._answers[kind, razorpay_id]

    async def look_up(self, razorpay: Razorpay, needed: LookupNeeded) -> None:
        """Ask Razorpay. Raises Retryable where a QR code or order can't be asked for now: whose it is must be known first."""
        answer: Entity | None = None
        if needed.kind == "payment":
            try:
                answer = await razorpay.fetch_payment(needed.razorpay_id, account=needed.account)
            except RazorpayError as error:
                log.warning("lookup.payment_unknown", razorpay_payment_id=needed.razorpay_id, error=error.description)
        else:
            try:
                if needed.kind == "order":
                    answer = await razorpay.fetch_order(needed.razorpay_id)
                else:
                    answer = await razorpay.fetch_qr_code(needed.razorpay_id, account=needed.account)
            except Permanent as error:
                log.info("lookup.unknown", kind=needed.kind, razorpay_id=needed.razorpay_id, error=error.description)
        self._answers[needed.kind, needed.razorpay_id] = answer


class Unasked(Lookups):
    """For a preview: nobody is asked, and what would be is noted."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def _answer(self, kind: str, razorpay_id: str, account: str | None) -> Entity | None:
        """A payment's fee is taken as unknown. Whose a QR code or order is can't be: raises LookupNeeded."""
        self.asked.append(f"{kind} {razorpay_id}")
        if kind != "payment":
            raise LookupNeeded(kind, razorpay_id, account)
        return None
