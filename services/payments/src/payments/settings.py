"""What can be set in payments, with defaults. Razorpay's variables bear Razorpay's own names, without our prefix."""

from datetime import timedelta
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator

from chassis.runtime import Environment, ServiceSettings
from chassis.runtime.settings import DatabaseSettings
from money import ESTIMATED_FEE_BPS
from payments.domain.refund import Speed

LIVE_URL = "https://api.razorpay.com"
LIVE_KEY_PREFIX = "rzp_live_"


class PaymentsSettings(ServiceSettings, DatabaseSettings):
    """Settings of the payments service."""

    razorpay_key_id: str = Field(validation_alias="RAZORPAY_KEY_ID", description="rzp_live_... or rzp_test_...")
    razorpay_key_secret: SecretStr = Field(validation_alias="RAZORPAY_KEY_SECRET", description="the key's secret")
    razorpay_webhook_secret: SecretStr = Field(
        validation_alias="RAZORPAY_WEBHOOK_SECRET", min_length=1, description="what Razorpay signs our webhooks with"
    )
    razorpay_webhook_secret_previous: SecretStr | None = Field(
        None,
        validation_alias="RAZORPAY_WEBHOOK_SECRET_PREVIOUS",
        description="the secret before a change: retries of older events stay signed with it",
    )
    razorpay_api_url: str = Field(LIVE_URL, validation_alias="RAZORPAY_API_URL", description="Razorpay's API, or the sandbox's")
    razorpay_test_mode: bool = Field(
        False,
        validation_alias="RAZORPAY_TEST_MODE",
        description="allow a rzp_test_ key at Razorpay's own API: its test mode, in which QR codes can't be scanned",
    )
    razorpay_connect_seconds: float = Field(3.05, gt=0, description="longest wait for a connection to Razorpay")
    razorpay_read_seconds: float = Field(
        10.0, gt=0, description="longest silence of Razorpay within a call; then its outcome is unknown"
    )
    razorpay_call_seconds: float = Field(30.0, gt=0, description="longest whole call, for an answer that drips")
    razorpay_workers: int = Field(
        8, ge=1, le=64, description="calls to Razorpay at a time: threads, each with a client of its own"
    )

    qr_environment: str = Field(
        "",
        description="how our QR codes are marked at Razorpay, whose account several environments may share; empty: `environment`",
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

    @property
    def qr_mark(self) -> str:
        """The environment in our QR codes' notes."""
        return self.qr_environment or self.environment.value

    @property
    def stale_after(self) -> timedelta:
        """`stale_payment_seconds` as a span."""
        return timedelta(seconds=self.stale_payment_seconds)

    @model_validator(mode="after")
    def _what_must_fit_together(self) -> Self:
        """A live key at a sandbox would leak it; a sandbox key at Razorpay would fail at the first rider."""
        live_key = self.razorpay_key_id.startswith(LIVE_KEY_PREFIX)
        live_url = urlsplit(self.razorpay_api_url).hostname == urlsplit(LIVE_URL).hostname
        if live_key and not live_url:
            raise ValueError(
                "RAZORPAY_KEY_ID is a live key and RAZORPAY_API_URL is not Razorpay's: a live key never goes elsewhere"
            )
        if live_url and not live_key and not self.razorpay_test_mode:
            raise ValueError(
                "RAZORPAY_API_URL is Razorpay's own and RAZORPAY_KEY_ID is no live key: set RAZORPAY_API_URL to the sandbox, "
                "or RAZORPAY_TEST_MODE=true for Razorpay's test mode"
            )
        if self.refund_lease_seconds < 2 * self.razorpay_call_seconds:
            raise ValueError("refund_lease_seconds must outlast a look at Razorpay and a call: twice razorpay_call_seconds")
        if self.environment is Environment.PRODUCTION and not (live_key and live_url):
            raise ValueError("production takes a live RAZORPAY_KEY_ID at Razorpay's own API only")
        return self
