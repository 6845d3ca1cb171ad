"""Double-entry books: the chart of accounts, and one balanced journal per event of money.

    event of money ──its facts──> Journal: postings, each on one side, debits = credits ──> never changed, only reversed

An event of money is a frozen class of facts with a key. `journal()` is the whole of its accounting, so the same facts always
give the same postings: in the handler that hears the event, in the nightly check, and in `voltlync books verify`, which
takes the facts from the raw records of the services. Amounts are whole paise, none negative; a line of nothing is no line.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Self

from money import MIN_REFUND_PAISE
from settlement.domain.transfer import MINIMUM_PAISE


class Side(StrEnum):
    """Where an account's balance normally stands."""

    DEBIT = "DEBIT"
    CREDIT = "CREDIT"


class AccountKind(StrEnum):
    """What an account is in a balance sheet or a profit and loss account."""

    ASSET = "ASSET"
    LIABILITY = "LIABILITY"
    INCOME = "INCOME"
    EXPENSE = "EXPENSE"
    MEMO = "MEMO"
    """Remembered in pairs, outside all sums of money."""


@dataclass(frozen=True, slots=True)
class Account:
    """One account. `holds` says in words what its balance is."""

    code: str
    name: str
    kind: AccountKind
    holds: str

    @property
    def normal_side(self) -> Side:
        """The side on which it grows."""
        if self.kind is AccountKind.MEMO:
            return Side.DEBIT if self.code == "shortfall" else Side.CREDIT
        return Side.DEBIT if self.kind in (AccountKind.ASSET, AccountKind.EXPENSE) else Side.CREDIT


_CHART: Mapping[AccountKind, tuple[tuple[str, str, str], ...]] = {
    AccountKind.ASSET: (
        ("nodal", "Nodal balance", "our balance at Razorpay: payments in; fees, refunds, transfers, own settlements out"),
        ("linked_accounts", "Linked accounts", "processed to franchisees' linked accounts, not yet settled to their banks"),
        ("own_bank", "Own bank", "what Razorpay settled to our own bank"),
        ("gst_input", "GST on Razorpay's fees", "the GST within what Razorpay charged us, where it told it: input credit"),
    ),
    AccountKind.LIABILITY: (
        ("rider_held", "Held for riders", "payments taken whose session is neither billed nor given back"),
        ("refund_payable", "Refunds payable", "refunds decided that riders do not have yet"),
        ("residue", "Residue owed", "owed to riders, below ₹1, which Razorpay does not refund"),
        ("wallet_liability", "Wallets", "what riders have in wallets: the control account of payments' wallets"),
        ("gst_output", "GST collected", "GST that riders paid on energy, owed to the state"),
        ("tds_payable", "TDS payable", "income tax withheld from franchisees, owed to the state"),
        ("franchisee_payable", "Franchisees payable", "payouts of ₹1 and more that are in no living transfer"),
        ("franchisee_carried", "Franchisees carried", "payouts under ₹1, carried until a transfer takes them along"),
        ("franchisee_in_transfer", "Franchisees in transfer", "in a living transfer, not yet settled to the bank"),
    ),
    AccountKind.INCOME: (
        ("energy_revenue", "Energy revenue", "energy billed without GST: all of our own sites', what is unsplit of others'"),
        ("platform_fee", "Fees borne by riders", "what bills made riders bear of Razorpay's fees"),
        ("commission", "Commission", "our share of franchisees' energy revenue"),
    ),
    AccountKind.EXPENSE: (
        ("pg_fee", "Razorpay's payment fees", "fees on payments without their GST, as known when the session ended"),
        ("unserved_fees", "Fees of unserved payments", "fees on payments that were given back whole: ours to bear"),
        ("refund_costs", "Costs of refunds", "what Razorpay charged for speedy refunds, without its GST"),
        ("transfer_costs", "Costs of transfers", "what Razorpay charged for transfers, without its GST"),
        ("fee_corrections", "Fee corrections", "by how much payment fees differ from what was known when it mattered"),
    ),
    AccountKind.MEMO: (
        ("shortfall", "Shortfall", "energy and GST that no payment covered: our loss, never billed"),
        ("shortfall_contra", "Shortfall, counterpart", "the other side of the memo"),
    ),
}
CHART = tuple(Account(code, name, kind, holds) for kind, rows in _CHART.items() for code, name, holds in rows)

ACCOUNTS: Mapping[str, Account] = {account.code: account for account in CHART}


class UnbalancedJournal(ValueError):
    """A journal that would not add up. Never by a caller: the message is parked, nothing is booked."""


@dataclass(frozen=True, slots=True)
class Posting:
    """One line of a journal: an amount on one side of one account, in paise."""

    account: str
    debit_paise: int = 0
    credit_paise: int = 0


@dataclass(frozen=True, slots=True)
class Journal:
    """What one event of money does to the accounts. It can't exist unbalanced."""

    key: str
    """The event's own, unique: however often it is told, it is booked once."""
    kind: str
    subject: str
    """The record it is about, by its prefixed id: qrp_17."""
    occurred_at: datetime
    facts: Mapping[str, Any]
    postings: tuple[Posting, ...]
    reverses: str | None = None
    """Key of the journal that this one takes back, line by line."""

    def __post_init__(self) -> None:
        if len(self.postings) < 2:
            raise UnbalancedJournal(f"{self.key} has {len(self.postings)} postings")
        for posting in self.postings:
            amounts = (posting.debit_paise, posting.credit_paise)
            if posting.account not in ACCOUNTS:
                raise UnbalancedJournal(f"{self.key} posts to {posting.account}, which is no account")
            if any(not isinstance(paise, int) or isinstance(paise, bool) or paise < 0 for paise in amounts) or 0 not in amounts:
                raise UnbalancedJournal(f"{self.key} posts {amounts} to {posting.account}")
            if amounts == (0, 0):
                raise UnbalancedJournal(f"{self.key} posts nothing to {posting.account}")
        debits = sum(posting.debit_paise for posting in self.postings)
        credits_ = sum(posting.credit_paise for posting in self.postings)
        if debits != credits_:
            raise UnbalancedJournal(f"{self.key} debits {debits} and credits {credits_} paise")

    @property
    def total_paise(self) -> int:
        """The sum of either side."""
        return sum(posting.debit_paise for posting in self.postings)


def debit(account: str, paise: int) -> Posting:
    """A line on the left; a negative amount stands on the right."""
    return Posting(account, debit_paise=paise) if paise >= 0 else Posting(account, credit_paise=-paise)


def credit(account: str, paise: int) -> Posting:
    """A line on the right; a negative amount stands on the left."""
    return debit(account, -paise)


def reversal_of(journal: Journal, *, occurred_at: datetime, reason: str) -> Journal:
    """The journal that takes another back: the same lines, sides exchanged. A reversal can itself be taken back."""
    return Journal(
        key=f"{journal.key}/reversed",
        kind="reversal",
        subject=journal.subject,
        occurred_at=occurred_at,
        facts={"reverses": journal.key, "reason": reason},
        postings=tuple(Posting(line.account, line.credit_paise, line.debit_paise) for line in journal.postings),
        reverses=journal.key,
    )


def standing(reverses: Mapping[str, str | None]) -> frozenset[str]:
    """The events' own journals that stand, of {key: key of what it reverses}: not reversed, or by one that is itself reversed."""
    reversed_by = {original: key for key, original in reverses.items() if original is not None}

    def stands(key: str) -> bool:
        result = True
        while key in reversed_by:
            key, result = reversed_by[key], not result
        return result

    return frozenset(key for key, original in reverses.items() if original is None and stands(key))


def fee_parts(fee_paise: int, tax_paise: int | None) -> tuple[int, int]:
    """(fee without GST, GST in it). GST that was not told, or can't be part of the fee, counts as none: no credit is claimed."""
    tax = tax_paise if tax_paise is not None and tax_paise <= fee_paise else 0
    return fee_paise - tax, tax


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyEvent:
    """Facts of one event of money. Subclasses say what it does to the accounts."""

    KIND: ClassVar[str] = ""
    occurred_at: datetime

    @property
    def key(self) -> str:
        """Its identity in the books."""
        raise NotImplementedError

    @property
    def subject(self) -> str:
        """The record it is about."""
        raise NotImplementedError

    def lines(self) -> Iterable[Posting]:
        """Its postings; those of nothing may be among them."""
        raise NotImplementedError

    def facts(self) -> dict[str, Any]:
        """All but the time, as JSON holds it: kept beside the postings, so that they can be derived again."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "occurred_at"}

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any], *, occurred_at: datetime) -> Self:
        """The event of kept facts. Raises TypeError for facts of another kind."""
        return cls(occurred_at=occurred_at, **facts)

    def journal(self) -> Journal | None:
        """The event's journal; None where no paisa moves. Raises UnbalancedJournal for facts that contradict each other."""
        postings = tuple(line for line in self.lines() if line.debit_paise or line.credit_paise)
        if not postings:
            return None
        return Journal(self.key, self.KIND, self.subject, self.occurred_at, self.facts(), postings)


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
    """How much of the amount are payouts under ₹1 that go along."""

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
    """A settlement took it to the franchisee's bank: the debt is paid."""

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


KINDS: Mapping[str, type[MoneyEvent]] = {
    kind.KIND: kind
    for kind in (
        PaymentCaptured, PaymentFeeRecorded, PaymentFeeCorrected, PaymentBilled, PaymentGivenBack, RefundProcessed, RefundCharged,
        EntryBooked, TransferClaimed, TransferProcessed, TransferSettled, TransferCharged, OwnSettled,
    )
}  # fmt: skip
"""Every event of money by its kind; a reversal is none of its own."""
