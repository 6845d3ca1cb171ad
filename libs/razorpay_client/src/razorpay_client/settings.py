"""How to reach Razorpay. The variables bear Razorpay's own names, without our prefix; services mix these into theirs."""

from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator

from chassis.runtime import Environment, ServiceSettings

LIVE_URL = "https://api.razorpay.com"
LIVE_KEY_PREFIX = "rzp_live_"


class RazorpaySettings(ServiceSettings):
    """For services that call Razorpay."""

    razorpay_key_id: str = Field(validation_alias="RAZORPAY_KEY_ID", description="rzp_live_... or rzp_test_...")
    razorpay_key_secret: SecretStr = Field(validation_alias="RAZORPAY_KEY_SECRET", description="the key's secret")
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
        4, ge=1, le=64, description="calls to Razorpay at a time: threads, each with a client of its own"
    )

    @property
    def at_razorpay_itself(self) -> bool:
        """Whether `razorpay_api_url` is Razorpay's own host, and no sandbox's."""
        return urlsplit(self.razorpay_api_url).hostname == urlsplit(LIVE_URL).hostname

    @model_validator(mode="after")
    def _key_and_address_belong_together(self) -> Self:
        """A live key at a sandbox would leak it; a sandbox key at Razorpay would fail at the first rider or payout."""
        live_key = self.razorpay_key_id.startswith(LIVE_KEY_PREFIX)
        if live_key and not self.at_razorpay_itself:
            raise ValueError(
                "RAZORPAY_KEY_ID is a live key and RAZORPAY_API_URL is not Razorpay's: a live key never goes elsewhere"
            )
        if self.at_razorpay_itself and not live_key and not self.razorpay_test_mode:
            raise ValueError(
                "RAZORPAY_API_URL is Razorpay's own and RAZORPAY_KEY_ID is no live key: set RAZORPAY_API_URL to the sandbox, "
                "or RAZORPAY_TEST_MODE=true for Razorpay's test mode"
            )
        if self.environment is Environment.PRODUCTION and not (live_key and self.at_razorpay_itself):
            raise ValueError("production takes a live RAZORPAY_KEY_ID at Razorpay's own API only")
        return self
