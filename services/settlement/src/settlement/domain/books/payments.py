"""What riders' money does to the accounts: payments, bills, refunds and Razorpay's fees on them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from money import MIN_REFUND_PAISE
from settlement.domain.books.journal import (
    MoneyEvent,
    Posting,
    credit,
    debit,
    fee_corrected,
    fee_parts,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfPayment(MoneyEvent):
    qr_payment_id: int

    @property
    def key(self) -> str:
        return f"payment/{self.qr_payment_id}/{self.KIND.removeprefix('payment_')}"

    @property
    def subject(self) -> str:
        return f"qrp_{self.qr_payment_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentCaptured(_OfPayment):
    """A rider paid. The gross comes into the nodal balance, Razorpay keeps its fee at once, all of it is held for the rider."""

    KIND: ClassVar[str] = "payment_captured"
    amount_paise: int
    fee_paise: int | None
    """GST included; None: the message did not tell it."""
    tax_paise: int | None

    def lines(self) -> Iterable[Posting]:
        fee, tax = fee_parts(self.fee_paise or 0, self.tax_paise)
        return (
            debit("nodal", self.amount_paise),
            credit("rider_held", self.amount_paise),
            debit("pg_fee", fee),
            debit("gst_input", tax),
            credit("nodal", fee + tax),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentFeeRecorded(_OfPayment):
    """While the session ran, Razorpay told the fee that had been an estimate: the bill takes it, and so does the fee account."""

    KIND: ClassVar[str] = "payment_fee_recorded"
    fee_before_paise: int
    tax_before_paise: int | None
    fee_paise: int
    tax_paise: int | None
    ACCOUNT: ClassVar[str] = "pg_fee"

    def lines(self) -> Iterable[Posting]:
        fee_before, tax_before = fee_parts(self.fee_before_paise, self.tax_before_paise)
        fee, tax = fee_parts(self.fee_paise, self.tax_paise)
        return (
            debit(self.ACCOUNT, fee - fee_before),
            debit("gst_input", tax - tax_before),
            credit("nodal", fee + tax - fee_before - tax_before),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentFeeCorrected(PaymentFeeRecorded):
    """After the bill the fee turned out to be another. The bill stands; the difference is ours."""

    KIND: ClassVar[str] = "payment_fee_corrected"
    ACCOUNT: ClassVar[str] = "fee_corrections"
    correction: int
    """1, 2, ...: how many corrections the payment has had with this one."""

    def lines(self) -> Iterable[Posting]:
        return fee_corrected(
            self.ACCOUNT,
            fee_before_paise=self.fee_before_paise,
            tax_before_paise=self.tax_before_paise,
            fee_paise=self.fee_paise,
            tax_paise=self.tax_paise,
        )

    @property
    def key(self) -> str:
        return f"payment/{self.qr_payment_id}/fee_corrected/{self.correction}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentBilled(_OfPayment):
    """The session's bill: paid = energy charge + gst + platform fee + refund + residue. The shortfall is a memo beside it."""

    KIND: ClassVar[str] = "payment_billed"
    paid_paise: int
    energy_charge_paise: int
    gst_paise: int
    platform_fee_paise: int
    refund_paise: int
    residue_paise: int
    shortfall_paise: int

    def lines(self) -> Iterable[Posting]:
        return (
            debit("rider_held", self.paid_paise),
            credit("energy_revenue", self.energy_charge_paise),
            credit("gst_output", self.gst_paise),
            credit("platform_fee", self.platform_fee_paise),
            credit("refund_payable", self.refund_paise),
            credit("residue", self.residue_paise),
            debit("shortfall", self.shortfall_paise),
            credit("shortfall_contra", self.shortfall_paise),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentGivenBack(_OfPayment):
    """Not served, or no energy: all of the payment is owed to the rider, and Razorpay's fee on it is our expense."""

    KIND: ClassVar[str] = "payment_given_back"
    amount_paise: int
    fee_paise: int | None
    """The payment's fee as known then; None: the message did not tell it, and the fee stays where it was booked."""
    tax_paise: int | None
    reason: str

    def lines(self) -> Iterable[Posting]:
        fee, _ = fee_parts(self.fee_paise or 0, self.tax_paise)
        return (
            debit("rider_held", self.amount_paise),
            credit("refund_payable" if self.amount_paise >= MIN_REFUND_PAISE else "residue", self.amount_paise),
            debit("unserved_fees", fee),
            credit("pg_fee", fee),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundProcessed(_OfPayment):
    """The rider has the refund. One that failed moved nothing: what it owed is still in refunds payable, for the next attempt."""

    KIND: ClassVar[str] = "refund_processed"
    refund_id: int
    amount_paise: int

    @property
    def key(self) -> str:
        return f"refund/{self.refund_id}/processed"

    def lines(self) -> Iterable[Posting]:
        return (debit("refund_payable", self.amount_paise), credit("nodal", self.amount_paise))


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundCharged(_OfPayment):
    """Razorpay charged for a refund's speed, as its statement shows: our expense."""

    KIND: ClassVar[str] = "refund_charged"
    refund_id: int
    fee_paise: int
    tax_paise: int | None

    @property
    def key(self) -> str:
        return f"refund/{self.refund_id}/charged"

    def lines(self) -> Iterable[Posting]:
        fee, tax = fee_parts(self.fee_paise, self.tax_paise)
        return (debit("refund_costs", fee), debit("gst_input", tax), credit("nodal", fee + tax))
