"""The chart of accounts."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


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


_CARRIED = (
    "payouts under ₹1, carried until a transfer takes them along, "
    "less what corrections take off the next ones: below nothing, franchisees owe us"
)

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
        ("franchisee_carried", "Franchisees carried", _CARRIED),
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
        ("goodwill", "Goodwill", "what operators gave back at our own expense: the supply stands"),
        (
            "adjustments",
            "Adjustments and disputes",
            "taken or given by Razorpay by hand, disputes lost among it, as accepted",
        ),
        ("fee_corrections", "Fee corrections", "by how much payment fees differ from what was known when it mattered"),
    ),
    AccountKind.MEMO: (
        ("shortfall", "Shortfall", "energy and GST that no payment covered: our loss, never billed"),
        ("shortfall_contra", "Shortfall, counterpart", "the other side of the memo"),
    ),
}
CHART = tuple(Account(code, name, kind, holds) for kind, rows in _CHART.items() for code, name, holds in rows)

ACCOUNTS: Mapping[str, Account] = {account.code: account for account in CHART}
