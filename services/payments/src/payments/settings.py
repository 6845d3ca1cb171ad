"""What can be set in payments, with defaults. Razorpay's variables bear Razorpay's own names, without our prefix."""

from datetime import timedelta
from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator

from chassis.runtime import DatabaseSettings
from money import ESTIMATED_FEE_BPS, is_gstin
from payments.domain.invoice import PREFIX_PATTERN, Seller
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
    seller_gstin: str | None = Field(
        None, description="the GSTIN that invoices are issued under, which names the seller's state; empty: none are, bills wait"
    )
    seller_legal_name: str = Field("", max_length=120, description="the seller's legal name on invoices; required with a GSTIN")
    seller_address: str = Field("", max_length=240, description="the seller's address on invoices; required with a GSTIN")
    seller_sac: str = Field(
        "999799",
        pattern=r"^[0-9]{6}$",
        description="service accounting code of charging on invoices; the default is of services not classified elsewhere",
    )
    invoice_prefix: str = Field(
        "VL", pattern=PREFIX_PATTERN, description="what invoices' numbers begin with: VL/2627/0000001; own to this GSTIN"
    )
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
    def seller(self) -> Seller | None:
        """Who sells, as invoices name them; None: nobody said, and no invoice is issued."""
        if self.seller_gstin is None:
            return None
        return Seller(name=self.seller_legal_name, gstin=self.seller_gstin, address=self.seller_address, sac=self.seller_sac)

    @property
    def stale_after(self) -> timedelta:
        """`stale_payment_seconds` as a span."""
        return timedelta(seconds=self.stale_payment_seconds)

    @field_validator("seller_gstin")
    @classmethod
    def _a_gstin(cls, text: str | None) -> str | None:
        if not text:
            return None
        if not is_gstin(text):
            raise ValueError("this is no GSTIN: fifteen characters, the last of which checks the others")
        return text

    @model_validator(mode="after")
    def _a_seller_is_named_whole(self) -> Self:
        if self.seller_gstin is not None and not (self.seller_legal_name and self.seller_address):
            raise ValueError("seller_gstin needs seller_legal_name and seller_address: an invoice bears all three")
        return self

    @model_validator(mode="after")
    def _a_claim_outlasts_its_calls(self) -> Self:
        if self.refund_lease_seconds < 2 * self.razorpay_call_seconds:
            raise ValueError("refund_lease_seconds must outlast a look at Razorpay and a call: twice razorpay_call_seconds")
        return self
