"""What payments on franchisees' own QR codes do to the accounts: the money is theirs, what they owe us for it is ours.

Not a paisa of such a payment is in our balance, so what happens to it is kept in memo accounts, outside every sum of money: what
the franchisees' linked accounts took and still have of it, what of that is due to riders, and what is the franchisees' own.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from settlement.domain.books.journal import MoneyEvent, Posting, credit, debit


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfDirectPayment(MoneyEvent):
    qr_payment_id: int
    franchisee_id: int

    @property
    def key(self) -> str:
        return f"direct/{self.qr_payment_id}/{self.KIND.removeprefix('direct_')}"

    @property
    def subject(self) -> str:
        return f"qrp_{self.qr_payment_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectCaptured(_OfDirectPayment):
    """A rider paid on a franchisee's own code. Its account has the gross less Razorpay's fee; all of it is due to the rider."""

    KIND: ClassVar[str] = "direct_captured"
    amount_paise: int
    fee_paise: int | None
    """GST included; None: the message did not tell it."""

    def lines(self) -> Iterable[Posting]:
        fee = self.fee_paise or 0
        return (
            debit("direct_collected", self.amount_paise - fee),
            debit("direct_earned", fee),
            credit("direct_riders", self.amount_paise),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectFeeRecorded(_OfDirectPayment):
    """While the session ran, Razorpay told the fee that had been an estimate."""

    KIND: ClassVar[str] = "direct_fee_recorded"
    fee_before_paise: int
    fee_paise: int

    def lines(self) -> Iterable[Posting]:
        more = self.fee_paise - self.fee_before_paise
        return (debit("direct_earned", more), credit("direct_collected", more))


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectBilled(_OfDirectPayment):
    """The session's bill: energy, GST and the fee that the rider bears are the franchisee's; what is left stays the rider's.

    The GST is the franchisee's to pay over, the residue the franchisee's to owe, a shortfall the franchisee's loss.
    """

    KIND: ClassVar[str] = "direct_billed"
    energy_charge_paise: int
    gst_paise: int
    platform_fee_paise: int

    def lines(self) -> Iterable[Posting]:
        billed = self.energy_charge_paise + self.gst_paise + self.platform_fee_paise
        return (debit("direct_riders", billed), credit("direct_earned", billed))


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectRefunded(_OfDirectPayment):
    """The rider has the refund, out of the franchisee's account: of a bill's rest, or of a payment that was not served."""

    KIND: ClassVar[str] = "direct_refunded"
    refund_id: int
    amount_paise: int

    @property
    def key(self) -> str:
        return f"direct_refund/{self.refund_id}/processed"

    def lines(self) -> Iterable[Posting]:
        return (debit("direct_riders", self.amount_paise), credit("direct_collected", self.amount_paise))


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectEntryBooked(MoneyEvent):
    """A session that its franchisee collected: it has its payout already, and owes us our commission and the tax that we owe.

    The tax (s.194-O) is due on what a buyer pays the seller directly as well; there is nothing of it that we could withhold.
    """

    KIND: ClassVar[str] = "direct_entry_booked"
    ledger_entry_id: int
    transaction_id: int
    franchisee_id: int
    commission_paise: int
    tds_paise: int

    @property
    def key(self) -> str:
        # As that of a session we collected: a session is booked in one of the two ways, never in both.
        return f"entry/{self.ledger_entry_id}/booked"

    @property
    def subject(self) -> str:
        return f"led_{self.ledger_entry_id}"

    def lines(self) -> Iterable[Posting]:
        return (
            debit("commission_receivable", self.commission_paise + self.tds_paise),
            credit("commission", self.commission_paise),
            credit("tds_payable", self.tds_paise),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CommissionReceived(MoneyEvent):
    """A franchisee paid into our bank what it owed. A receipt that was entered by mistake has this journal reversed."""

    KIND: ClassVar[str] = "commission_received"
    receipt_id: int
    franchisee_id: int
    amount_paise: int

    @property
    def key(self) -> str:
        return f"receipt/{self.receipt_id}/received"

    @property
    def subject(self) -> str:
        return f"cmr_{self.receipt_id}"

    def lines(self) -> Iterable[Posting]:
        return (debit("own_bank", self.amount_paise), credit("commission_receivable", self.amount_paise))
