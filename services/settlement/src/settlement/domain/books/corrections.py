"""What refunds after the bill do to the accounts: the decision, the correction of the split, and money taken back."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from settlement.domain.books.journal import MoneyEvent, Posting, credit, debit
from settlement.domain.books.payouts import payout_account


@dataclass(frozen=True, slots=True, kw_only=True)
class _GivenBackAfterBill(MoneyEvent):
    """A part of a bill is the rider's again. The supply gives it back, or goodwill is our expense."""

    INTO: ClassVar[str]
    """The account by which it is the rider's."""
    number: int
    energy_charge_paise: int
    gst_paise: int
    goodwill_paise: int

    def lines(self) -> Iterable[Posting]:
        return (
            debit("energy_revenue", self.energy_charge_paise),
            debit("gst_output", self.gst_paise),
            debit("goodwill", self.goodwill_paise),
            credit(self.INTO, self.energy_charge_paise + self.gst_paise + self.goodwill_paise),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorRefundDecided(_GivenBackAfterBill):
    """Of a payment by QR code: owed to the rider until Razorpay has refunded it."""

    KIND: ClassVar[str] = "operator_refund_decided"
    INTO: ClassVar[str] = "refund_payable"
    qr_payment_id: int

    @property
    def key(self) -> str:
        return f"payment/{self.qr_payment_id}/operator_refund/{self.number}"

    @property
    def subject(self) -> str:
        return f"qrp_{self.qr_payment_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletSessionRefunded(_GivenBackAfterBill):
    """Of a session that a wallet paid: it is in the wallet again."""

    KIND: ClassVar[str] = "wallet_session_refunded"
    INTO: ClassVar[str] = "wallet_liability"
    wallet_session_id: int

    @property
    def key(self) -> str:
        return f"wallet_session/{self.wallet_session_id}/operator_refund/{self.number}"

    @property
    def subject(self) -> str:
        return f"wse_{self.wallet_session_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryCorrected(MoneyEvent):
    """A franchisee's site: whoever shared the energy charge gives its part of the refund back. All three are below nothing.

    The payout's part is taken off the carried balance: the next payouts, or a reversal, make it good.
    """

    KIND: ClassVar[str] = "entry_corrected"
    ledger_entry_id: int
    """The correction's own."""
    transaction_id: int
    franchisee_id: int
    commission_paise: int
    tds_paise: int
    payout_paise: int

    @property
    def key(self) -> str:
        return f"entry/{self.ledger_entry_id}/corrected"

    @property
    def subject(self) -> str:
        return f"led_{self.ledger_entry_id}"

    def lines(self) -> Iterable[Posting]:
        return (
            credit("commission", self.commission_paise),
            credit("tds_payable", self.tds_paise),
            credit("franchisee_carried", self.payout_paise),
            debit("energy_revenue", self.commission_paise + self.tds_paise + self.payout_paise),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryNetted(MoneyEvent):
    """All of a session was given back before it was paid out: its payout and its corrections are nothing together."""

    KIND: ClassVar[str] = "entry_netted"
    ledger_entry_id: int
    """The session's."""
    payout_paise: int

    @property
    def key(self) -> str:
        return f"entry/{self.ledger_entry_id}/netted"

    @property
    def subject(self) -> str:
        return f"led_{self.ledger_entry_id}"

    def lines(self) -> Iterable[Posting]:
        if payout_account(self.payout_paise) == "franchisee_carried":
            return ()  # it was in the one account from the first
        return (debit("franchisee_payable", self.payout_paise), credit("franchisee_carried", self.payout_paise))


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferReversed(MoneyEvent):
    """Money came back out of a linked account, by us or by hand: what the transfer had paid is due again."""

    KIND: ClassVar[str] = "transfer_reversed"
    transfer_id: int
    razorpay_reversal_id: str
    amount_paise: int

    @property
    def key(self) -> str:
        return f"transfer/{self.transfer_id}/reversed/{self.razorpay_reversal_id}"

    @property
    def subject(self) -> str:
        return f"xfr_{self.transfer_id}"

    def lines(self) -> Iterable[Posting]:
        return (
            debit("nodal", self.amount_paise),
            credit("linked_accounts", self.amount_paise),
            debit("franchisee_in_transfer", self.amount_paise),
            credit("franchisee_payable", self.amount_paise),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReversalApplied(TransferReversed):
    """What came back makes good what a correction took off: neither is due any more."""

    KIND: ClassVar[str] = "reversal_applied"
    ledger_entry_id: int
    """The correction."""

    @property
    def key(self) -> str:
        return f"transfer/{self.transfer_id}/reversed/{self.razorpay_reversal_id}/applied"

    def lines(self) -> Iterable[Posting]:
        return (debit("franchisee_payable", self.amount_paise), credit("franchisee_carried", self.amount_paise))
