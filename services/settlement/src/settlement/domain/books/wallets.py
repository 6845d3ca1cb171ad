"""What wallets do to the accounts: money put in, Razorpay's fee on it, and sessions that are paid from it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from settlement.domain.books.journal import MoneyEvent, Posting, credit, debit, fee_corrected, fee_parts


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfRecharge(MoneyEvent):
    recharge_payment_id: int

    @property
    def key(self) -> str:
        return f"recharge_payment/{self.recharge_payment_id}/{self.KIND.removeprefix('recharge_')}"

    @property
    def subject(self) -> str:
        return f"rcp_{self.recharge_payment_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RechargeCaptured(_OfRecharge):
    """A rider put money into a wallet: all of it is owed to the rider. Razorpay keeps its fee at once, at our expense."""

    KIND: ClassVar[str] = "recharge_captured"
    amount_paise: int
    fee_paise: int | None
    """GST included; None: not told yet, and booked by itself when it is."""
    tax_paise: int | None

    def lines(self) -> Iterable[Posting]:
        return (
            debit("nodal", self.amount_paise),
            credit("wallet_liability", self.amount_paise),
            *_fee(self.fee_paise or 0, self.tax_paise),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RechargeFeeRecorded(_OfRecharge):
    """Razorpay told the fee of a recharge that came without it."""

    KIND: ClassVar[str] = "recharge_fee_recorded"
    fee_paise: int
    tax_paise: int | None

    def lines(self) -> Iterable[Posting]:
        return _fee(self.fee_paise, self.tax_paise)


@dataclass(frozen=True, slots=True, kw_only=True)
class RechargeFeeCorrected(_OfRecharge):
    """Razorpay's statement shows another fee than was told: ours, as the first was."""

    KIND: ClassVar[str] = "recharge_fee_corrected"
    fee_before_paise: int
    tax_before_paise: int | None
    fee_paise: int
    tax_paise: int | None
    correction: int
    """1, 2, ...: how many corrections the recharge has had with this one."""

    def lines(self) -> Iterable[Posting]:
        return fee_corrected(
            "recharge_fees",
            fee_before_paise=self.fee_before_paise,
            tax_before_paise=self.tax_before_paise,
            fee_paise=self.fee_paise,
            tax_paise=self.tax_paise,
        )

    @property
    def key(self) -> str:
        return f"recharge_payment/{self.recharge_payment_id}/fee_corrected/{self.correction}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletSessionBilled(MoneyEvent):
    """A session's bill leaves the wallet: billed = energy charge + gst. The shortfall is a memo beside it."""

    KIND: ClassVar[str] = "wallet_session_billed"
    wallet_session_id: int
    billed_paise: int
    energy_charge_paise: int
    gst_paise: int
    shortfall_paise: int

    @property
    def key(self) -> str:
        return f"wallet_session/{self.wallet_session_id}/billed"

    @property
    def subject(self) -> str:
        return f"wse_{self.wallet_session_id}"

    def lines(self) -> Iterable[Posting]:
        return (
            debit("wallet_liability", self.billed_paise),
            credit("energy_revenue", self.energy_charge_paise),
            credit("gst_output", self.gst_paise),
            debit("shortfall", self.shortfall_paise),
            credit("shortfall_contra", self.shortfall_paise),
        )


def _fee(fee_paise: int, tax_paise: int | None) -> tuple[Posting, ...]:
    fee, tax = fee_parts(fee_paise, tax_paise)
    return (debit("recharge_fees", fee), debit("gst_input", tax), credit("nodal", fee + tax))
