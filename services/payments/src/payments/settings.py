"""What can be set in payments, with defaults. Razorpay's variables bear Razorpay's own names, without our prefix."""

from datetime import timedelta
from typing import Self

from pydantic import Field, SecretStr, model_validator

from chassis.runtime import DatabaseSettings
from money import ESTIMATED_FEE_BPS
from payments.domain.refund import Speed
from payments.domain.wallet import WalletLimits
from razorpay_client import RazorpaySettings


class PaymentsSettings(RazorpaySettings, DatabaseSettings):
    """Settings of the payments service."""

    razorpay_webhook_secret: SecretStr = Field(
        validation_alias="RAZORPAY_WEBHOOK_SECRET", min_length=1, description="what Razorpay signs our webhooks with"
    )
    razorpay_webhook_secret_previous: SecretStr | None = Field(
        None,
        validation_alias="RAZORPAY_WEBHOOK_SECRET_PREVIOUS",
        description="the secret before a change: retries of older events stay signed with it",
    )
    razorpay_workers: int = Field(
        8, ge=1, le=64, description="calls to Razorpay at a time: threads, each with a client of its own"
    )

    qr_environment: str = Field(
        "",
        description="how QR codes and orders are marked at Razorpay, whose account environments may share; empty: `environment`",
    )
    platform_name: str = Field("VoltLync", min_length=1, max_length=40, description="what stands on the stickers of chargers")
    refund_speed: Speed = Field(
        Speed.OPTIMUM, description="optimum: minutes where the bank can; normal: 2 to 7 days, free of charge"
    )
    fee_estimate_bps: int = Field(
        ESTIMATED_FEE_BPS, ge=0, le=10_000, description="the platform fee's last tier, in basis points of what was paid"
    )
    stale_payment_seconds: int = Field(600, ge=0, description="a payment older than this is refunded instead of served")
    start_deadline_seconds: int = Field(
        120, ge=1, description="a session starts within this from the payment's receipt, or never"
    )
    start_answer_grace_seconds: int = Field(
        60, ge=1, description="how long after the deadline charging may still owe its answer before we alarm and ask to cancel"
    )
    retry_seconds: int = Field(
        1800, ge=1, description="P11: failed bills, unanswered starts and failed refunds are tried again so often"
    )
    refund_lease_seconds: int = Field(
        120, ge=60, description="how long a claimed refund is left alone; then its call's outcome is taken as unknown"
    )
    refund_poll_seconds: int = Field(
        1800, ge=1, description="how often a refund that Razorpay has is looked up, in case its webhook was lost"
    )
    qr_lookup_seconds: int = Field(
        600, ge=0, description="how long a credit for a QR code that we can't find is looked at again before it is decided"
    )

    wallet_recharge_min_paise: int = Field(10_000, ge=100, description="the least that a wallet is recharged with")
    wallet_recharge_max_paise: int = Field(500_000, ge=100, description="the most that one recharge is of")
    wallet_balance_max_paise: int = Field(
        1_000_000, ge=100, description="beyond it no recharge is offered: ₹10,000, the cap of a small prepaid instrument"
    )
    wallet_session_min_paise: int = Field(2_000, ge=1, description="with less in the wallet no session is started")
    wallet_count_seconds: int = Field(
        86_400,
        ge=60,
        description="how often wallets are compared with their entries and counted for the books",
    )

    guest_private_key: SecretStr | None = Field(
        None, description="Ed25519, base64url raw: signs the tokens of guests who proved a payment; none: there are no guests"
    )

    @property
    def wallet_limits(self) -> WalletLimits:
        """The limits of wallets, together."""
        return WalletLimits(
            recharge_min_paise=self.wallet_recharge_min_paise,
            recharge_max_paise=self.wallet_recharge_max_paise,
            balance_max_paise=self.wallet_balance_max_paise,
            session_min_paise=self.wallet_session_min_paise,
        )

    @property
    def qr_mark(self) -> str:
        """The environment in our QR codes' notes."""
        return self.qr_environment or self.environment.value

    @property
    def stale_after(self) -> timedelta:
        """`stale_payment_seconds` as a span."""
        return timedelta(seconds=self.stale_payment_seconds)

    @model_validator(mode="after")
    def _a_claim_outlasts_its_calls(self) -> Self:
        if self.refund_lease_seconds < 2 * self.razorpay_call_seconds:
            raise ValueError("refund_lease_seconds must outlast a look at Razorpay and a call: twice razorpay_call_seconds")
        return self
