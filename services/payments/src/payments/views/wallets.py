"""Wallets: what is in them, what was put in, and the sessions that they paid. Money in paise."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from chassis.web import Body, PageQuery, PrefixedId
from payments.domain.recharge import RechargeFeeSource, RechargeStatus
from payments.domain.wallet import EntryKind
from payments.domain.wallet_session import SessionState
from payments.domain.webhook import PAISE_MAX
from payments.repository.operator_refunds import OperatorRefund
from payments.repository.recharges import Recharge, RechargePayment
from payments.repository.wallet_sessions import WalletBill, WalletSession
from payments.repository.wallets import Wallet
from payments.views.base import ChargePointText, FranchiseeId, RiderId, StationId, TransactionId, WalletSessionId
from payments.views.refunds import OperatorRefundView

WalletId = Annotated[int, PrefixedId("wlt")]
WalletEntryId = Annotated[int, PrefixedId("wle")]
RechargeId = Annotated[int, PrefixedId("rcg")]
RechargePaymentId = Annotated[int, PrefixedId("rcp")]

AmountPaise = Annotated[int, Field(gt=0, le=PAISE_MAX, description="integer paise")]


class WalletView(BaseModel):
    """A rider's prepaid money."""

    id: WalletId
    rider_id: RiderId
    balance_paise: int = Field(description="the sum of its entries; never below zero")
    held_paise: int = Field(description="of it, put aside for sessions")
    available_paise: int = Field(description="what is free")
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: Wallet) -> Self:
        """From its row."""
        return cls(**{name: getattr(row, name) for name in cls.model_fields})


class WalletEntryView(BaseModel):
    """One movement of a wallet."""

    model_config = ConfigDict(from_attributes=True)

    id: WalletEntryId
    kind: EntryKind
    amount_paise: int = Field(description="above zero: put in; below: paid")
    balance_after_paise: int
    recharge_payment_id: RechargePaymentId | None
    wallet_session_id: WalletSessionId | None
    transaction_id: TransactionId | None
    reason: str | None = Field(description="why a part of a bill was given back, in our words to the rider; null: no refund")
    created_at: datetime


class RechargeCreate(Body):
    """How much to put in."""

    amount_paise: AmountPaise


class RechargeView(BaseModel):
    """An order that puts money into the wallet, and what the checkout needs to have it paid."""

    id: RechargeId
    amount_paise: int = Field(description="what was asked for")
    status: RechargeStatus
    razorpay_order_id: str | None = Field(description="null while Razorpay has not answered: ask again")
    razorpay_key_id: str | None = Field(description="the public key of the checkout, while the order is open")
    last_error: str | None
    created_at: datetime
    paid_at: datetime | None = Field(description="when the wallet had it")

    @classmethod
    def of(cls, row: Recharge, *, key_id: str) -> Self:
        """From its row."""
        names = cls.model_fields.keys() - {"razorpay_key_id"}
        payable = row.status is RechargeStatus.OPEN
        return cls(**{name: getattr(row, name) for name in names}, razorpay_key_id=key_id if payable else None)


class RechargePaymentView(BaseModel):
    """A captured payment of a recharge's order. All of it is the rider's; Razorpay's fee is our expense."""

    id: RechargePaymentId
    recharge_id: RechargeId
    wallet_id: WalletId
    rider_id: RiderId
    razorpay_payment_id: str
    razorpay_order_id: str
    amount_paise: int
    fee_paise: int | None = Field(description="GST included; null: Razorpay has not told it yet")
    fee_tax_paise: int | None = Field(description="the GST in it; null where it was not told")
    fee_source: RechargeFeeSource | None
    paid_at: datetime
    received_at: datetime
    credited_at: datetime

    @classmethod
    def of(cls, row: RechargePayment) -> Self:
        """From its row."""
        return cls(**{name: getattr(row, name) for name in cls.model_fields})


class WalletSessionCreate(Body):
    """Which charger, and how much at most."""

    charge_point_id: ChargePointText
    connector_id: int = Field(ge=1, le=100, description="OCPP connector, from 1")
    limit_paise: AmountPaise | None = Field(None, description="the most to spend; without it all that is free in the wallet")


class WalletBillView(BaseModel):
    """billed = energy charge + gst. No fee is in it: what Razorpay took of the recharge is ours to bear."""

    energy_wh: int
    tariff_paise_per_kwh: int
    gst_bps: int
    held_paise: int
    billed_paise: int = Field(description="what left the wallet")
    energy_charge_paise: int
    gst_paise: int
    shortfall_paise: int = Field(description="our loss; outside the sum")
    implausible: bool
    station_id: StationId
    franchisee_id: FranchiseeId | None
    started_at: datetime
    stopped_at: datetime
    billed_at: datetime

    @classmethod
    def of(cls, row: WalletBill) -> Self:
        """From its row."""
        return cls(**{name: getattr(row, name) for name in cls.model_fields})


class WalletSessionView(BaseModel):
    """A session started from the app."""

    id: WalletSessionId
    wallet_id: WalletId
    rider_id: RiderId
    request_key: str = Field(description="as charging knows it")
    charge_point_id: str
    connector_id: int
    limit_paise: int | None
    hold_paise: int = Field(description="what was put aside: the session's budget")
    state: SessionState
    release_reason: str | None = Field(description="why nothing was paid")
    release_detail: str | None = Field(description="the same in words")
    transaction_id: TransactionId | None
    requested_at: datetime
    start_deadline: datetime
    stop_requested_at: datetime | None
    updated_at: datetime
    bill: WalletBillView | None
    given_back_paise: int = Field(description="what we gave back of the bill since: it is in the wallet")

    @classmethod
    def fields_of(cls, row: WalletSession, bill: WalletBill | None, given: Sequence[OperatorRefund]) -> dict[str, Any]:
        """From its row, its bill's, and what was given back of it."""
        names = WalletSessionView.model_fields.keys() - {"bill", "given_back_paise"}
        return {
            **{name: getattr(row, name) for name in names},
            "bill": WalletBillView.of(bill) if bill is not None else None,
            "given_back_paise": sum(refund.amount_paise for refund in given),
        }

    @classmethod
    def of(cls, row: WalletSession) -> Self:
        """From its row, of one that is not billed."""
        return cls(**cls.fields_of(row, None, ()))


class WalletSessionDetail(WalletSessionView):
    """As staff see it."""

    operator_refunds: list[OperatorRefundView] = Field(description="what operators decided to give back after the bill")
    refundable_paise: int = Field(description="what operators may still give back: 0 unless it is billed")


class WalletSessionQuery(PageQuery):
    """Filters of staff's list of sessions."""

    wallet_id: WalletId | None = None
    state: SessionState | None = None


class RechargePaymentQuery(PageQuery):
    """Filters of staff's list of payments on recharges."""

    wallet_id: WalletId | None = None


class WalletControlQuery(BaseModel):
    """As of when."""

    model_config = ConfigDict(extra="forbid")

    at: AwareDatetime | None = Field(None, description="entries before it are counted; null: now")


class WalletControlView(BaseModel):
    """What all wallets come to: the books' account wallet_liability at the same time is this sum."""

    at: datetime
    wallets: int
    balance_paise: int
