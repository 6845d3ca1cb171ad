"""What can be set in settlement, with defaults. Razorpay's variables bear Razorpay's own names, without our prefix."""

from pydantic import Field

from chassis.runtime import DatabaseSettings
from razorpay_client import RazorpaySettings
from settlement.domain.transfer import MAX_TRANSFER_RETRIES


class SettlementSettings(RazorpaySettings, DatabaseSettings):
    """Settings of the settlement service."""

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

    qr_environment: str = Field(
        "", description="payments' mark of its QR codes, as set there: whose a payment of the statement is; empty: `environment`"
    )
    recon_days_back: int = Field(
        4, ge=1, le=31, description="how many whole days of Razorpay's statement are read every day: its rows may come late"
    )
    recon_overdue_days: int = Field(
        7, ge=1, description="after so many days what only we or only Razorpay know of is an exception; settlements come at T+2"
    )

    books_check_seconds: int = Field(
        86_400, ge=60, description="how often the books are derived again and compared, at start-up first: the nightly check"
    )

    @property
    def environment_mark(self) -> str:
        """The environment in our transfers' notes."""
        return self.transfer_environment or self.environment.value

    @property
    def payment_mark(self) -> str:
        """The environment in the notes of payments' QR codes and refunds."""
        return self.qr_environment or self.environment.value
