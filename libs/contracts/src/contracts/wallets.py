"""What payments says of riders' wallets: money put in, sessions billed from them, and what they come to altogether."""

from typing import ClassVar

from pydantic import AwareDatetime, Field

from contracts.base import BasisPoints, Event, Paise, Wh
from contracts.payments import GivenBackAfterBill


class WalletRecharged(Event):
    """A rider paid an order of ours, and it is in the wallet. Once per payment, all of it: its fee is our expense."""

    TYPE: ClassVar[str] = "payments.wallet_recharged.v1"
    recharge_payment_id: int
    recharge_id: int
    wallet_id: int
    rider_id: int
    razorpay_payment_id: str
    razorpay_order_id: str
    amount_paise: Paise = Field(gt=0)
    fee_paise: Paise | None = Field(
        description="Razorpay's fee, GST included; null: not told yet, a recharge_fee_recorded follows"
    )
    fee_tax_paise: Paise | None = Field(description="the GST in it; null where it was not told")
    credited_at: AwareDatetime


class RechargeFeeRecorded(Event):
    """Razorpay told the fee of a recharge that had come without it. Once at most per payment."""

    TYPE: ClassVar[str] = "payments.recharge_fee_recorded.v1"
    recharge_payment_id: int
    razorpay_payment_id: str
    fee_paise: Paise
    fee_tax_paise: Paise | None
    recorded_at: AwareDatetime


class WalletSessionBilled(Event):
    """The one bill of a session that a wallet pays; charging keeps the figures as columns, settlement splits them.

    billed = energy_charge + gst, and never more than was held. Not sent when nothing was delivered (the hold is released).
    An invoice of the session hangs on this: it is to a wallet what PaymentBilled is to a QR payment.
    """

    TYPE: ClassVar[str] = "payments.wallet_session_billed.v1"
    wallet_session_id: int
    wallet_id: int
    rider_id: int
    transaction_id: int
    charge_point_id: str
    connector_id: int
    station_id: int
    franchisee_id: int | None
    started_at: AwareDatetime
    stopped_at: AwareDatetime
    energy_wh: Wh
    tariff_paise_per_kwh: Paise
    gst_bps: BasisPoints
    held_paise: Paise = Field(description="what was put aside for the session; what the bill leaves of it is free again")
    billed_paise: Paise
    energy_charge_paise: Paise
    gst_paise: Paise
    shortfall_paise: Paise = Field(description="energy and GST beyond what was held: our loss, never billed")
    implausible: bool = False
    billed_at: AwareDatetime


class WalletRefundDecided(GivenBackAfterBill):
    """Of a session that a wallet paid: it is in the wallet again, by the same commit."""

    TYPE: ClassVar[str] = "payments.wallet_refund_decided.v1"
    wallet_session_id: int
    wallet_id: int


class WalletsCounted(Event):
    """Every night: what all wallets came to at a moment. Settlement holds its control account against it."""

    TYPE: ClassVar[str] = "payments.wallets_counted.v1"
    at: AwareDatetime = Field(description="entries before it are counted")
    wallets: int
    balance_paise: Paise
