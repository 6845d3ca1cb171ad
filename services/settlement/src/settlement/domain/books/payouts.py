"""What franchisees' money does to the accounts: ledger entries, transfers, settlements."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from settlement.domain.books.journal import MoneyEvent, Posting, credit, debit, fee_parts
from settlement.domain.transfer import MINIMUM_PAISE


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryBooked(MoneyEvent):
    """A franchisee's site: the energy revenue passes to the franchisee, less our commission and the tax withheld.

    A payout under ₹1 is carried: no transfer of its own can take it.
    """

    KIND: ClassVar[str] = "entry_booked"
    ledger_entry_id: int
    transaction_id: int
    franchisee_id: int
    commission_paise: int
    tds_paise: int
    payout_paise: int

    @property
    def key(self) -> str:
        return f"entry/{self.ledger_entry_id}/booked"

    @property
    def subject(self) -> str:
        return f"led_{self.ledger_entry_id}"

    def lines(self) -> Iterable[Posting]:
        return (
            debit("energy_revenue", self.commission_paise + self.tds_paise + self.payout_paise),
            credit("commission", self.commission_paise),
            credit("tds_payable", self.tds_paise),
            credit(payout_account(self.payout_paise), self.payout_paise),
        )


def payout_account(payout_paise: int) -> str:
    """Where an entry's payout waits for its transfer."""
    return "franchisee_payable" if payout_paise >= MINIMUM_PAISE else "franchisee_carried"


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfTransfer(MoneyEvent):
    transfer_id: int
    amount_paise: int

    @property
    def key(self) -> str:
        return f"transfer/{self.transfer_id}/{self.KIND.removeprefix('transfer_')}"

    @property
    def subject(self) -> str:
        return f"xfr_{self.transfer_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferClaimed(_OfTransfer):
    """What is due goes into a transfer, before Razorpay is asked. A transfer that fails has this journal reversed."""

    KIND: ClassVar[str] = "transfer_claimed"
    carried_paise: int
    """How much of the amount are payouts under ₹1 that go along, less what corrections take off it: it may be below nothing."""

    def lines(self) -> Iterable[Posting]:
        return (
            debit("franchisee_payable", self.amount_paise - self.carried_paise),
            debit("franchisee_carried", self.carried_paise),
            credit("franchisee_in_transfer", self.amount_paise),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferProcessed(_OfTransfer):
    """Razorpay moved it from our balance to the linked account."""

    KIND: ClassVar[str] = "transfer_processed"

    def lines(self) -> Iterable[Posting]:
        return (debit("linked_accounts", self.amount_paise), credit("nodal", self.amount_paise))


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferSettled(_OfTransfer):
    """A settlement took it to the franchisee's bank: the debt is paid. Its amount is less what was reversed, whenever it was."""

    KIND: ClassVar[str] = "transfer_settled"

    def lines(self) -> Iterable[Posting]:
        return (debit("franchisee_in_transfer", self.amount_paise), credit("linked_accounts", self.amount_paise))


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferCharged(_OfTransfer):
    """Razorpay's charge for the transfer, on top of its amount: our expense. Another figure later reverses this one."""

    KIND: ClassVar[str] = "transfer_charged"
    fee_paise: int
    tax_paise: int | None

    def lines(self) -> Iterable[Posting]:
        fee, tax = fee_parts(self.fee_paise, self.tax_paise)
        return (debit("transfer_costs", fee), debit("gst_input", tax), credit("nodal", fee + tax))


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSettled(MoneyEvent):
    """Razorpay settled our own balance to our own bank."""

    KIND: ClassVar[str] = "own_settled"
    razorpay_settlement_id: str
    amount_paise: int

    @property
    def key(self) -> str:
        return f"settlement/{self.razorpay_settlement_id}/own"

    @property
    def subject(self) -> str:
        return self.razorpay_settlement_id

    def lines(self) -> Iterable[Posting]:
        return (debit("own_bank", self.amount_paise), credit("nodal", self.amount_paise))
