"""Everything about the sandbox that can be turned."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MINUTE = 60.0
HOUR = 60 * MINUTE
DAY = 24 * HOUR
Mode = Literal["test", "live"]
TEST_KEY_PREFIX, LIVE_KEY_PREFIX = "rzp_test_", "rzp_live_"


class WebhookSettings(BaseModel):
    """One receiver of webhooks."""

    model_config = ConfigDict(extra="forbid")

    url: str
    secret: str = Field(min_length=1, description="An empty secret would verify against an empty key, which anyone can forge.")
    events: list[str] | None = Field(default=None, description="Subscribed event names; None is all of them.")


class SandboxSettings(BaseModel):
    """The sandbox's settings. Amounts are paise, durations seconds on the injected clock, rates basis points."""

    model_config = ConfigDict(extra="forbid")

    # -- the account
    key_id: str = "rzp_test_sandbox0000001"
    key_secret: str = "sandbox-secret"  # noqa: S105  # of a sandbox
    other_key_id: str | None = Field(
        default=None, description="A key of the account's other mode (rzp_live_… beside rzp_test_…), which is a world of its own."
    )
    other_key_secret: str = "sandbox-other-secret"  # noqa: S105  # of a sandbox
    other_webhooks: list[WebhookSettings] = Field(default_factory=list, description="The other mode's receivers.")
    account_id: str = Field(default="acc_SandboxParent1", description="The parent account, as in webhooks and direct transfers.")
    merchant_vpa: str = Field(default="sandbox@rzp", description="The payee in a QR code's `image_content`.")
    opening_balance: int = Field(default=0, ge=0, description="Available balance of an empty sandbox.")
    reserve_balance: int = Field(default=0, ge=0, description="How far refunds and transfers may overdraw the balance.")
    payment_fee_bps: int = Field(default=200, ge=0)
    transfer_fee_bps: int = Field(default=25, ge=0)
    instant_refund_fee: int = Field(default=0, ge=0, description="Charged on a refund sent instantly; returned when it fails.")
    instant_refund_minimum: int = Field(default=100, ge=1, description="Razorpay's pages disagree on refunds under ₹1.")
    route_code_support: bool = Field(default=True, description="The feature that allows `reference_id` on linked accounts.")
    account_oddities: bool = Field(
        default=False, description="As seen live: business_type individual comes back as not_yet_registered, phones with +91."
    )
    silent_subcategories: list[str] = Field(
        default_factory=list,
        description="As seen live: these leave a complete product waiting, without requirement or event.",
    )
    multiple_use_closable: bool = Field(default=True, description="The dashboard's docs say a multiple_use QR cannot be closed.")
    closed_qr: Literal["auto_refund", "leak"] = Field(
        default="auto_refund", description="A payment on a closed QR code is returned to the payer, or credited all the same."
    )
    order_capture: bool = Field(default=True, description="Capture an order's payment at once (the dashboard's setting).")
    order_receipts_unique: bool = Field(default=False, description="The account feature that refuses a second use of a receipt.")
    upi_amount_max: int = Field(default=1_00_000_00, ge=1, description="The most that UPI carries in one payment.")
    test_qr_payable: bool = Field(
        default=True, description="Razorpay's own test mode codes cannot be scanned; False: those of the test keys cannot here."
    )
    key_reuse_status_refund: int = Field(default=409, description="The docs' table says 409, their prose BAD_REQUEST.")
    key_reuse_status_transfer: int = 400
    low_balance_text: Literal["documented", "seen"] = Field(
        default="documented",
        description="Of a refund beyond the balance. seen: `invalid request sent`, as the live API was seen to say.",
    )
    transfer_failed_event: Literal["transfer.failed", "transfers.failed"] = Field(
        default="transfer.failed", description="One page of the docs spells it with an s."
    )

    # -- how long things take
    instant_refund_seconds: float = Field(default=2.0, ge=0)
    normal_refund_seconds: float = Field(default=5 * DAY, ge=0, description="Razorpay: 2 to 7 days for UPI.")
    authorized_refund_seconds: float = Field(
        default=3 * DAY, ge=0, description="From an authorisation that nobody captures to its refund by Razorpay."
    )
    transfer_seconds: float = Field(default=0.0, ge=0, description="0: the answer to the create already says processed.")
    transfer_balance_check: Literal["sync", "async"] = Field(
        default="sync", description="async: an uncovered transfer is accepted and fails when it is processed."
    )
    linked_settlement_seconds: float | None = Field(
        default=2 * DAY, ge=0, description="From a processed transfer to its settlement (T+2); None: only on demand."
    )
    own_settlement_seconds: float | None = Field(
        default=None, ge=0, description="From a capture to the parent's own settlement (Razorpay: T+2); None: only on demand."
    )
    activation_seconds: float | None = Field(
        default=None, ge=0, description="From a complete product configuration to its activation; None: only on demand."
    )

    # -- webhooks
    webhooks: list[WebhookSettings] = Field(default_factory=list)
    webhook_timeout_seconds: float = Field(default=5.0, gt=0, description="Razorpay's: slower answers count as failures.")
    retry_first_seconds: float = Field(default=MINUTE, gt=0, description="Razorpay publishes no intervals, only the horizon.")
    retry_factor: float = Field(default=2.0, ge=1)
    retry_cap_seconds: float = Field(default=HOUR, gt=0)
    retry_horizon_seconds: float = Field(default=DAY, gt=0, description="After this the receiver is disabled.")
    retry_schedule_seconds: list[float] = Field(
        default_factory=list, description="The waits one by one, the last of them over and over; empty: first, factor and cap."
    )
    webhook_time_scale: float = Field(
        default=1.0, gt=0, description="How much faster than life webhooks are retried and given up: 60 makes a day 24 minutes."
    )
    event_spread_seconds: float = Field(
        default=0.0, ge=0, description="Every event is first sent at a random moment within this: order is no promise."
    )
    webhook_urls: Literal["any", "public"] = Field(
        default="any", description="public: as Razorpay, /v1/webhooks takes public hosts and the ports 80 and 443 only."
    )
    captured_twin: bool = Field(default=True, description="A QR payment also fires payment.captured, as Razorpay does.")
    kyc_events: Literal["both", "account", "product"] = "both"
    settlement_with_transfers: bool = Field(default=False, description="Put a `transfers` list into settlement.processed.")
    recon_notes: Literal["text", "object", "null", "mixed"] = Field(
        default="mixed",
        description="How recon shows notes. mixed: a payment's as text, a refund's as an object, else null.",
    )
    settlement_event_account: Literal["linked", "parent"] = "linked"

    # -- the process
    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535, description="0: any free port.")
    state_file: Path | None = Field(default=None, description="Where the state survives a restart; None: memory only.")
    log_size: int = Field(default=10_000, gt=0, description="Requests, delivery attempts and finished events remembered.")
    body_limit: int = Field(default=1 << 20, gt=0, description="Bytes of a request body.")

    @property
    def mode(self) -> Mode:
        """Razorpay tells its two modes by the key alone."""
        return "live" if self.key_id.startswith(LIVE_KEY_PREFIX) else "test"

    def retry_wait(self, attempts: int) -> float:
        """Seconds from the failure of this many attempts to the next one."""
        if self.retry_schedule_seconds:
            wait = self.retry_schedule_seconds[min(attempts, len(self.retry_schedule_seconds)) - 1]
        else:
            wait = min(self.retry_first_seconds * self.retry_factor ** min(attempts - 1, 64), self.retry_cap_seconds)
        return wait / self.webhook_time_scale

    @property
    def retry_horizon(self) -> float:
        """Seconds from an event to the moment in which Razorpay gives it up."""
        return self.retry_horizon_seconds / self.webhook_time_scale

    @model_validator(mode="after")
    def _two_modes_are_two(self) -> Self:
        if self.other_key_id is not None:
            prefixes = {key[: len(LIVE_KEY_PREFIX)] for key in (self.key_id, self.other_key_id)}
            if prefixes != {TEST_KEY_PREFIX, LIVE_KEY_PREFIX}:
                raise ValueError("two keys are of two modes: rzp_test_… and rzp_live_…")
        return self

    def other_mode(self) -> "SandboxSettings | None":
        """The settings of the other mode's world: everything alike but keys, receivers and the place of its state."""
        if self.other_key_id is None:
            return None
        file = self.state_file
        return self.model_copy(
            update={
                "key_id": self.other_key_id,
                "key_secret": self.other_key_secret,
                "webhooks": self.other_webhooks,
                "other_key_id": None,
                "state_file": file and file.with_name(f"{file.stem}.other{file.suffix}"),
            }
        )
