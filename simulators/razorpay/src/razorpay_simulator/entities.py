"""Razorpay's entities as the sandbox keeps them, and as it shows them. Amounts in paise, times in Unix seconds."""

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

JsonObject = dict[str, Any]
TransferStatus = Literal["created", "pending", "processed", "failed", "reversed", "partially_reversed"]
PaymentStatus = Literal["created", "authorized", "captured", "refunded", "failed"]


class Record(BaseModel):
    """A stored entity. `view()` is its public shape; fields named in `hidden` are the sandbox's own."""

    model_config = ConfigDict(extra="forbid")

    entity: ClassVar[str | None] = None
    hidden: ClassVar[frozenset[str]] = frozenset()

    id: str

    def view(self) -> JsonObject:
        """The entity as Razorpay shows it: `notes` is an array when empty, an object otherwise."""
        fields = self.model_dump(exclude=set(self.hidden))
        shown: JsonObject = {"id": fields.pop("id")}
        if self.entity:
            shown["entity"] = self.entity
        shown |= fields
        if shown.get("notes") == {}:
            shown["notes"] = []
        return shown


class QrCode(Record):
    """https://razorpay.com/docs/api/qr-codes: where money comes in."""

    entity: ClassVar[str] = "qr_code"
    hidden: ClassVar[frozenset[str]] = frozenset({"account_id"})

    created_at: int
    name: str | None
    usage: Literal["single_use", "multiple_use"]
    type: str
    image_url: str
    image_content: str
    payment_amount: int | None
    status: Literal["active", "closed"] = "active"
    description: str | None
    fixed_amount: bool
    payments_amount_received: int = 0
    payments_count_received: int = 0
    notes: JsonObject
    customer_id: str | None
    close_by: int | None
    closed_at: int | None = None
    close_reason: Literal["on_demand", "paid"] | None = None

    account_id: str | None = None
    """The linked account whose code it is; None: the parent's."""


class Terms(BaseModel):
    """What a capture will charge, fixed when the payer paid."""

    fee: int
    """What is told, including tax."""
    tax: int
    charged_fee: int
    """What is really taken, as a settlement's recon will say."""
    charged_tax: int
    shown: Literal["webhook", "api", "never"]


class Payment(Record):
    """A UPI payment, made by scanning a QR code or for an order."""

    entity: ClassVar[str] = "payment"
    hidden: ClassVar[frozenset[str]] = frozenset(
        {
            "qr_code_id", "charged_fee", "charged_tax", "disputed", "instant_refunds", "amount_transferred", "terms",
            "captures", "expires_at", "settles_at", "late_at", "account_id",
        }
    )  # fmt: skip

    amount: int
    currency: str = "INR"
    status: PaymentStatus
    order_id: str | None = None
    invoice_id: str | None = None
    international: bool = False
    method: str = "upi"
    amount_refunded: int = 0
    refund_status: Literal["partial", "full"] | None = None
    captured: bool
    description: str = "QRv2 Payment"
    card_id: str | None = None
    bank: str | None = None
    wallet: str | None = None
    vpa: str
    email: str | None
    contact: str | None
    customer_id: str | None
    notes: JsonObject
    fee: int | None
    tax: int | None
    error_code: str | None = None
    error_description: str | None = None
    error_source: str | None = None
    error_step: str | None = None
    error_reason: str | None = None
    acquirer_data: JsonObject
    created_at: int
    upi: JsonObject

    qr_code_id: str | None = None
    terms: Terms | None = None
    captures: bool = True
    """Whether the money is captured as soon as the bank has authorised it."""
    expires_at: float | None = None
    """When money that is authorised but still not captured goes back by itself."""
    late_at: float | None = None
    """When the bank authorises after all what has failed."""
    settles_at: float | None = None
    """When the parent's own settlement takes it along, where the settings say so."""
    charged_fee: int
    """What Razorpay really took, which the API may not (yet) tell and a settlement's recon may show for the first time."""
    charged_tax: int
    disputed: bool = False
    instant_refunds: bool = True
    amount_transferred: int = 0
    account_id: str | None = None
    """The linked account that took the money; None: the parent."""

    def view(self) -> JsonObject:
        shown = super().view()
        if self.customer_id is None:
            del shown["customer_id"]
        return shown

    def webhook_view(self) -> JsonObject:
        """Payments inside payment, order and refund events carry two more amounts."""
        return self.view() | {"base_amount": self.amount, "amount_transferred": self.amount_transferred}


class Order(Record):
    """https://razorpay.com/docs/api/orders: a sum to be paid once, in however many attempts."""

    entity: ClassVar[str] = "order"
    hidden: ClassVar[frozenset[str]] = frozenset({"captures", "partial", "least", "unique"})

    amount: int
    amount_paid: int = 0
    amount_due: int
    currency: str = "INR"
    receipt: str | None
    offer_id: str | None = None
    status: Literal["created", "attempted", "paid"] = "created"
    attempts: int = 0
    notes: JsonObject
    created_at: int

    captures: bool | None = None
    """`payment_capture` as asked; None: as the account is set."""
    partial: bool = False
    least: int | None = None
    """`first_payment_min_amount` of an order that may be paid in parts."""
    unique: bool = False
    """Asked with `unique_receipt`: the same receipt again is the same order."""

    def view(self) -> JsonObject:
        return super().view() | ({} if self.least is None else {"first_payment_min_amount": self.least})


class Refund(Record):
    """https://razorpay.com/docs/api/refunds."""

    entity: ClassVar[str] = "refund"
    hidden: ClassVar[frozenset[str]] = frozenset({"due_at", "outcome", "fee", "automatic", "account_id"})

    amount: int
    currency: str = "INR"
    payment_id: str
    notes: JsonObject
    receipt: str | None
    acquirer_data: JsonObject = Field(default_factory=dict)
    created_at: int
    batch_id: str | None = None
    status: Literal["pending", "processed", "failed"] = "pending"
    speed_processed: Literal["normal", "instant"] | None = None
    speed_requested: Literal["normal", "optimum"]

    due_at: float
    """When the pending refund takes its next step."""
    outcome: Literal["processed", "failed", "speed_changed"] = "processed"
    """What that step will be, decided at creation."""
    fee: int = 0
    automatic: bool = False
    """Made by Razorpay itself for money that was never captured: the merchant's balance has no part in it."""
    account_id: str | None = None
    """The linked account out of whose balance it is paid; None: the parent's."""


class Account(Record):
    """A Route linked account. `details` is the merchant's form as posted; the rest is what Razorpay makes of it."""

    details: JsonObject
    created_at: int
    status: Literal["created", "suspended"] = "created"
    suspended_at: int | None = None
    activation: str | None = None
    """The `activation_status` of the account.* events; None before the form was submitted."""
    activated: bool = False
    activated_at: int | None = None
    live: bool = False
    hold_funds: bool = False
    submitted_at: int | None = None
    bank: Literal["initiated", "verified", "failed"] = "initiated"
    """How the penny test of its bank account stands."""

    def view(self) -> JsonObject:
        """The account as /v2 shows it, which is without its KYC state: that is the product configuration's."""
        shown: JsonObject = {"id": self.id, "type": "route", "status": self.status, **self.details, "created_at": self.created_at}
        shown["notes"] = shown.get("notes") or []
        if self.suspended_at is not None:
            shown["suspended_at"] = self.suspended_at
        return shown

    @property
    def may_receive(self) -> bool:
        """Whether transfers to this account are accepted, and payments on QR codes of its own."""
        open_states = {"activated", "activated_kyc_pending", "instantly_activated"}
        return self.status == "created" and self.activation in open_states and not self.hold_funds


class Stakeholder(Record):
    """The natural person behind a linked account; Route allows one."""

    entity: ClassVar[str] = "stakeholder"

    account_id: str
    details: JsonObject

    def view(self) -> JsonObject:
        shown: JsonObject = {"id": self.id, "entity": self.entity, **self.details}
        shown["notes"] = shown.get("notes") or []
        return shown


class Product(Record):
    """A linked account's Route configuration: its bank account, and how far its review has come."""

    account_id: str
    requested_at: int
    tnc_id: str
    tnc_accepted_at: int | None
    settlements: JsonObject = Field(default_factory=dict)
    activation_status: Literal["requested", "needs_clarification", "under_review", "activated", "suspended"]
    clarifications: list[JsonObject] = Field(default_factory=list)
    """Requirements put by a reviewer, beyond the missing fields."""
    activates_at: float | None = None


class Transfer(Record):
    """Money on its way to a linked account: a direct transfer from the parent's balance, or one out of a payment."""

    entity: ClassVar[str] = "transfer"
    hidden: ClassVar[frozenset[str]] = frozenset({"due_at", "outcome", "debited", "settles_at", "error_fields"})

    status: TransferStatus
    source: str
    recipient: str
    amount: int
    currency: str = "INR"
    amount_reversed: int = 0
    fees: int = 0
    tax: int = 0
    notes: JsonObject
    linked_account_notes: list[str] = Field(default_factory=list)
    on_hold: bool = False
    on_hold_until: int | None = None
    settlement_status: Literal["pending", "on_hold", "settled"] | None = None
    recipient_settlement_id: str | None = None
    created_at: int
    processed_at: int | None = None

    due_at: float
    outcome: Literal["processed", "insufficient_balance", "transfer_amount_higher_than_balance"] = "processed"
    """How it shall end: why it fails, unless it is processed."""
    debited: bool = False
    settles_at: float | None = None
    error_fields: JsonObject = Field(default_factory=dict)

    def held(self, now: float) -> bool:
        """Whether its settlement is on hold: until somebody releases it, or until `on_hold_until`."""
        return self.on_hold and (self.on_hold_until is None or now < self.on_hold_until)

    def view(self) -> JsonObject:
        empty = dict.fromkeys(("code", "description", "reason", "field", "step", "source", "metadata"))
        shown = super().view() | {"error": empty | {"id": self.id} | self.error_fields}
        if self.payment_id is not None and self.status == "pending":
            del shown["fees"], shown["tax"]  # told once it is processed
        return shown

    @property
    def payment_id(self) -> str | None:
        """The payment that it is made out of; None: a direct transfer."""
        return self.source if self.source.startswith("pay_") else None


class Reversal(Record):
    """Money taken back from a linked account."""

    entity: ClassVar[str] = "reversal"

    transfer_id: str
    amount: int
    fee: int = 0
    tax: int = 0
    currency: str = "INR"
    notes: JsonObject
    initiator_id: str
    customer_refund_id: str | None = None
    utr: str | None = None
    created_at: int


class Settlement(Record):
    """A payout of an account's balance to its bank: the parent's own, or a linked account's."""

    entity: ClassVar[str] = "settlement"
    hidden: ClassVar[frozenset[str]] = frozenset({"account_id"})

    amount: int
    status: Literal["created", "processed", "failed"] = "processed"
    fees: int = 0
    tax: int = 0
    utr: str
    created_at: int

    account_id: str


class Entry(BaseModel):
    """One movement on one account's balance; an account's balance is the sum of its credits less its debits."""

    account_id: str
    type: Literal["payment", "refund", "transfer", "reversal", "settlement", "adjustment"]
    entity_id: str
    amount: int
    credit: int = 0
    debit: int = 0
    fee: int = 0
    tax: int = 0
    payment_id: str | None = None
    description: str | None = None
    dispute_id: str | None = None
    created_at: int
    settlement_id: str | None = None
    settled_at: int | None = None


class IdempotentAnswer(BaseModel):
    """What was asked under an idempotency key, and what was answered."""

    path: str
    body: Any
    answer: JsonObject
