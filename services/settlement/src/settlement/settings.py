"""What can be set in settlement, with defaults. Razorpay's variables bear Razorpay's own names, without our prefix."""

from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator

from chassis.runtime import DatabaseSettings, Environment, ServiceSettings
from settlement.domain.transfer import MAX_TRANSFER_RETRIES

LIVE_URL = "https://api.razorpay.com"
LIVE_KEY_PREFIX = "rzp_live_"


class SettlementSettings(ServiceSettings, DatabaseSettings):
    """Settings of the settlement service."""

    razorpay_key_id: str = Field(validation_alias="RAZORPAY_KEY_ID", description="rzp_live_... or rzp_test_...")
    razorpay_key_secret: SecretStr = Field(validation_alias="RAZORPAY_KEY_SECRET", description="the key's secret")
    razorpay_api_url: str = Field(LIVE_URL, validation_alias="RAZORPAY_API_URL", description="Razorpay's API, or the sandbox's")
    razorpay_test_mode: bool = Field(
        False, validation_alias="RAZORPAY_TEST_MODE", description="allow a rzp_test_ key at Razorpay's own API: its test mode"
    )
    razorpay_connect_seconds: float = Field(3.05, gt=0, description="longest wait for a connection to Razorpay")
    razorpay_read_seconds: float = Field(
        10.0, gt=0, description="longest silence of Razorpay within a call; then its outcome is unknown"
    )
    razorpay_call_seconds: float = Field(30.0, gt=0, description="longest whole call, for an answer that drips")
    razorpay_workers: int = Field(
        4, ge=1, le=64, description="calls to Razorpay at a time: threads, each with a client of its own"
    )

    transfer_environment: str = Field(
        "",
        description="how our transfers are marked at Razorpay, whose account environments may share; empty: `environment`",
    )
    linked_account_category: str = Field("utilities", description="profile.category of linked accounts: one of Razorpay's list")
    linked_account_subcategory: str = Field(
        "electricity", description="profile.subcategory; the case study's electric_vehicle_charging is not on Razorpay's list"
    )
    tds_bps: int = Field(10, ge=0, le=10_000, description="TDS rate of new terms unless told: 0.1 % of s.194-O")
    transfer_retries_max: int = Field(
        MAX_TRANSFER_RETRIES, ge=1, description="attempts of one entry that may fail definitively before a person has to look"
    )
    sweep_seconds: int = Field(30, ge=1, description="how often due rows are looked for; commits wake their workers at once")
    retry_seconds: int = Field(1800, ge=1, description="S6: FAILED and ON_HOLD entries are tried again so often")
    transfer_lease_seconds: int = Field(
        120, ge=60, description="how long a claimed transfer is left alone; then its call's outcome is taken as unknown"
    )
    transfer_poll_seconds: int = Field(
        1800, ge=1, description="how often a transfer that Razorpay has not processed is looked up, in case its event was lost"
    )
    settlement_poll_seconds: int = Field(
        86_400,
        ge=1,
        description="how often a processed transfer is looked up for its settlement, in case settlement.processed was lost",
    )
    kyc_poll_seconds: int = Field(1800, ge=1, description="how often a linked account under KYC is looked up: events may be lost")

    @property
    def environment_mark(self) -> str:
        """The environment in our transfers' notes."""
        return self.transfer_environment or self.environment.value

    @model_validator(mode="after")
    def _keys_and_url_belong_together(self) -> Self:
        """A live key at a sandbox would leak it; a sandbox key at Razorpay would fail at the first payout."""
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
        if self.environment is Environment.PRODUCTION and not (live_key and live_url):
            raise ValueError("production takes a live RAZORPAY_KEY_ID at Razorpay's own API only")
        return self
