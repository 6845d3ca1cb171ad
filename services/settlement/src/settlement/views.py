"""The REST surface of settlement: what it shows, and what it takes."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, Field, StringConstraints

from chassis.web import Body, PageQuery, PrefixedId
from money import TdsBase
from settlement.domain.books import AccountKind, Side
from settlement.domain.franchisee import FranchiseeStatus
from settlement.domain.ledger_entry import EntryStatus, HoldKind
from settlement.domain.link import LinkStep
from settlement.domain.settlement_event import SettlementStatus
from settlement.domain.transfer import TransferStatus
from settlement.repository.books import Booked

FranchiseeId = Annotated[int, PrefixedId("frn")]
LedgerEntryId = Annotated[int, PrefixedId("led")]
TransferId = Annotated[int, PrefixedId("xfr")]
TransactionId = Annotated[int, PrefixedId("txn")]
JournalId = Annotated[int, PrefixedId("jnl")]
QrPaymentId = Annotated[int, PrefixedId("qrp")]
RefundId = Annotated[int, PrefixedId("rfd")]
StationId = Annotated[int, PrefixedId("stn")]
SettlementId = Annotated[str, StringConstraints(pattern=r"^setl_[A-Za-z0-9]{1,30}$")]
"""Razorpay's own: settlements are theirs."""

Paise = Annotated[int, Field(description="paise")]
BasisPoints = Annotated[int, Field(ge=0, le=10_000, description="hundredths of a percent")]
Words = Annotated[str, Field(min_length=1, max_length=100)]
Pan = Annotated[str, Field(pattern=r"^[A-Z]{5}[0-9]{4}[A-Z]$", description="ten characters, capitals", examples=["AAACL1234C"])]
Email = Annotated[str, Field(min_length=6, max_length=132, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
Phone = Annotated[str, Field(pattern=r"^\+?[0-9]{8,14}$")]

BusinessType = Literal[
    "llp", "ngo", "other", "individual", "partnership", "proprietorship", "public_limited", "private_limited", "trust",
    "society", "not_yet_registered", "educational_institutes", "huf",
]  # fmt: skip


class Address(Body):
    """A registered address, as Razorpay wants it."""

    street1: Words
    street2: Words
    city: Words
    state: Annotated[str, Field(min_length=2, max_length=32, description="a state of India")]
    postal_code: Annotated[str, Field(pattern=r"^[1-9][0-9]{5}$", description="PIN code")]
    country: Literal["IN"] = "IN"


class Stakeholder(Body):
    """The person behind the business."""

    name: Annotated[str, Field(min_length=4, max_length=255)]
    email: Email
    pan: Pan | None = None


class BankAccount(Body):
    """Where Razorpay settles to."""

    account_number: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{5,20}$")]
    ifsc_code: Annotated[str, Field(pattern=r"^[A-Z]{4}0[A-Z0-9]{6}$", examples=["HDFC0000317"])]
    beneficiary_name: Annotated[str, Field(min_length=4, max_length=120)]


class FranchiseeCreate(Body):
    """What is needed to pay an owner of sites: enough for Razorpay's linked account in one go."""

    legal_business_name: Annotated[str, Field(min_length=4, max_length=200, description="as on the papers")]
    display_name: Annotated[
        str | None, Field(min_length=4, max_length=200, description="as riders see it; default: the legal name")
    ] = None
    business_type: BusinessType
    email: Email
    phone: Phone
    contact_name: Annotated[str, Field(min_length=4, max_length=255)]
    pan: Pan | None = None
    gstin: Annotated[str | None, Field(pattern=r"^[0-3][0-9][A-Z]{5}[0-9]{4}[A-Z][0-9][A-Z0-9][A-Z0-9]$")] = None
    address: Address
    stakeholder: Stakeholder
    bank: BankAccount
    commission_bps: BasisPoints
    tds_bps: BasisPoints | None = Field(None, description="default: the service's setting")
    tds_base: TdsBase = Field(TdsBase.NET_EXCL_GST, strict=False, description="what the TDS rate is taken of")


class FranchiseePatch(Body):
    """What may be changed; what is left out stays. A change of details takes the onboarding up again where it was refused."""

    operator_hold: bool | None = Field(None, description="hold the payouts, or let them go")
    operator_reason: Annotated[str | None, Field(max_length=300, description="why, in words for the franchisee")] = None
    email: Email | None = None
    phone: Phone | None = None
    contact_name: Annotated[str | None, Field(min_length=4, max_length=255)] = None
    pan: Pan | None = None
    gstin: Annotated[str | None, Field(pattern=r"^[0-3][0-9][A-Z]{5}[0-9]{4}[A-Z][0-9][A-Z0-9][A-Z0-9]$")] = None
    address: Address | None = None
    stakeholder: Stakeholder | None = None
    bank: BankAccount | None = None


class BankAccountView(BaseModel):
    """A bank account, as much of it as anyone needs to recognise it."""

    account_number_ends: str
    ifsc_code: str
    beneficiary_name: str


class FranchiseeView(BaseModel):
    """An owner of sites, and whether it is paid."""

    id: FranchiseeId
    legal_business_name: str
    display_name: str
    business_type: str
    email: str
    phone: str
    contact_name: str
    pan: str | None
    gstin: str | None
    address: dict[str, Any]
    bank: BankAccountView
    status: FranchiseeStatus
    status_detail: str | None = Field(description="what Razorpay asks for")
    transfers_enabled: bool = Field(description="whether Razorpay's KYC allows transfers")
    funds_on_hold: bool = Field(description="whether Razorpay holds the funds")
    operator_hold: bool = Field(description="whether VoltLync holds the payouts")
    gate: str | None = Field(description="why nothing is paid out now, in words; null: payouts go")
    razorpay_account_id: str | None
    link_step: LinkStep
    link_error: str | None
    created_at: datetime
    updated_at: datetime


class TermsCreate(Body):
    """New terms. They apply to sessions that start from `effective_from` on."""

    commission_bps: BasisPoints
    tds_bps: BasisPoints
    tds_base: TdsBase = Field(TdsBase.NET_EXCL_GST, strict=False)
    effective_from: AwareDatetime | None = Field(None, strict=False, description="default: now; never in the past")


class TermsView(BaseModel):
    """Commission and TDS from a moment on."""

    commission_bps: int
    tds_bps: int
    tds_base: TdsBase
    effective_from: datetime
    created_by: str
    created_at: datetime


class FranchiseeQuery(PageQuery):
    """Filters of franchisees."""

    status: FranchiseeStatus | None = None


class LedgerEntryQuery(PageQuery):
    """Filters of ledger entries."""

    franchisee_id: FranchiseeId | None = None
    transaction_id: TransactionId | None = None
    status: EntryStatus | None = None


class UnownedBillQuery(PageQuery):
    """Filters of bills without an owner."""

    assigned: bool = Field(False, description="also those whose owner was named since")


class AssignBill(Body):
    """Whose a bill is."""

    franchisee_id: FranchiseeId


class UnownedBillView(BaseModel):
    """A bill that names a franchisee who does not exist."""

    transaction_id: TransactionId
    qr_payment_id: QrPaymentId
    named_franchisee_id: FranchiseeId = Field(description="as the station bore it when the session began")
    station_id: StationId
    charge_point_id: str
    connector_id: int
    energy_wh: int
    paid_paise: Paise
    refund_paise: Paise
    billed_at: datetime
    received_at: datetime
    ledger_entry_id: LedgerEntryId | None
    assigned_by: str | None
    assigned_at: datetime | None

    @classmethod
    def of(cls, row: Any) -> Self:
        """From its row: the figures are the bill's own."""
        return cls.model_validate({**row.bill, **row._mapping})  # noqa: SLF001


class TransferQuery(PageQuery):
    """Filters of transfers."""

    franchisee_id: FranchiseeId | None = None
    status: TransferStatus | None = None
    settlement_id: SettlementId | None = None


class SettlementQuery(PageQuery):
    """Filters of settlements."""

    franchisee_id: FranchiseeId | None = None
    status: SettlementStatus | None = None
    utr: Annotated[str | None, Field(max_length=60)] = None


class LedgerEntryView(BaseModel):
    """One billed session's money: gross = refund + residue + pg_fee + gst + commission + tds + payout."""

    id: LedgerEntryId
    transaction_id: TransactionId
    qr_payment_id: QrPaymentId
    franchisee_id: FranchiseeId
    station_id: StationId
    charge_point_id: str
    connector_id: int
    energy_wh: int
    started_at: datetime
    stopped_at: datetime
    billed_at: datetime
    commission_bps: int
    tds_bps: int
    tds_base: TdsBase
    gross_paise: Paise
    refund_paise: Paise
    residue_paise: Paise
    pg_fee_paise: Paise
    gst_paise: Paise
    commission_paise: Paise
    tds_paise: Paise
    payout_paise: Paise
    status: EntryStatus
    hold_kind: HoldKind | None
    hold_reason: str | None = Field(description="what it waits for, in words")
    failed_attempts: int
    last_error: str | None
    implausible: bool
    transfer_id: TransferId | None = Field(description="the transfer that pays it")
    razorpay_transfer_id: str | None
    transfer_fee_paise: int | None = Field(description="what Razorpay took for the transfer: our expense; paise")
    settlement_id: str | None
    utr: str | None = Field(description="the bank's reference of the settlement")
    created_at: datetime
    updated_at: datetime


class AllocationView(BaseModel):
    """An entry that a transfer pays."""

    ledger_entry_id: LedgerEntryId
    transaction_id: TransactionId
    amount_paise: Paise


class TransferView(BaseModel):
    """A Route transfer to a linked account."""

    id: TransferId
    key: str = Field(description="X-Transfer-Idempotency")
    attempt: int
    franchisee_id: FranchiseeId
    amount_paise: Paise
    status: TransferStatus
    razorpay_transfer_id: str | None
    fee_paise: int | None = Field(description="GST included; paise, on top of the amount")
    tax_paise: int | None
    settlement_id: str | None
    utr: str | None
    calls: int
    last_error: str | None
    paid_twice_status: TransferStatus | None = Field(description="where it went through although we had replaced it: paid twice")
    created_at: datetime
    processed_at: datetime | None
    settled_at: datetime | None
    pays: list[AllocationView] = Field(default_factory=list, description="in a single transfer's view: the entries it pays")


class SettlementView(BaseModel):
    """What Razorpay paid to a bank."""

    id: SettlementId
    franchisee_id: FranchiseeId | None = Field(description="null: our own")
    amount_paise: Paise
    fee_paise: Paise
    tax_paise: Paise
    utr: str | None
    status: SettlementStatus
    transfers_count: int | None
    transfers_paise: int | None
    razorpay_account_id: str | None = Field(description="the account of Razorpay's event: a hint, never a key")
    last_error: str | None = Field(description="why its transfers could not be listed, at the last try")
    processed_at: datetime
    created_at: datetime


class AccountQuery(PageQuery):
    """When balances are wanted."""

    at: Annotated[datetime | None, Field(description="balances of what happened before this time; default: of all")] = None


class AccountView(BaseModel):
    """An account with its balance. The balance stands on the account's normal side; below nothing it stands on the other."""

    code: str
    name: str
    kind: AccountKind
    normal_side: Side
    holds: str = Field(description="what its balance is, in words")
    debit_paise: Paise
    credit_paise: Paise
    balance_paise: Paise
    postings: int = Field(description="how many lines it has")


class TrialBalanceView(BaseModel):
    """All accounts, and that both sides are equal."""

    at: datetime | None
    debit_paise: Paise
    credit_paise: Paise
    balanced: bool
    journals: int
    postings: int
    accounts: list[AccountView]


class JournalQuery(PageQuery):
    """Filters of journals."""

    account: Annotated[str | None, Field(max_length=60, description="those that post to it")] = None
    subject: Annotated[str | None, Field(max_length=60, description="of one record: qrp_17, led_4, xfr_7")] = None
    key: Annotated[str | None, Field(max_length=200, description="the event's own")] = None
    from_: Annotated[datetime | None, Field(alias="from", description="happened then or later")] = None
    to: Annotated[datetime | None, Field(description="happened before")] = None


class FeeCorrection(Body):
    """What Razorpay really took for a payment, by its own statement."""

    payment_id: QrPaymentId
    fee_paise: Annotated[int, Field(ge=0, description="GST included; paise")]
    tax_paise: Annotated[int | None, Field(ge=0, description="the GST in it; null where the statement does not show it")] = None
    statement: Annotated[str, Field(min_length=1, max_length=300, description="where it stands, so that others find it")]


class RefundCharge(Body):
    """What Razorpay charged for a refund's speed, by its own statement."""

    refund_id: RefundId
    fee_paise: Annotated[int, Field(ge=0, description="GST included; paise")]
    tax_paise: Annotated[int | None, Field(ge=0, description="the GST in it; null where the statement does not show it")] = None
    statement: Annotated[str, Field(min_length=1, max_length=300, description="where it stands, so that others find it")]


class PostingView(BaseModel):
    """One line of a journal, on one side of one account."""

    account: str
    debit_paise: Paise
    credit_paise: Paise


class JournalView(BaseModel):
    """What one event of money did to the accounts."""

    id: JournalId
    key: str = Field(description="the event's own: booked once, however often it was told")
    kind: str
    subject: str
    facts: dict[str, Any] = Field(description="what the lines are derived from")
    occurred_at: datetime
    posted_at: datetime
    reverses: str | None = Field(description="key of the journal that it takes back")
    reversed_by: str | None = Field(description="key of the journal that took it back")
    postings: list[PostingView]

    @classmethod
    def of(cls, booked: Booked) -> Self:
        """From the books."""
        lines = [
            PostingView(account=line.account, debit_paise=line.debit_paise, credit_paise=line.credit_paise)
            for line in booked.postings
        ]
        return cls(
            id=booked.id,
            key=booked.key,
            kind=booked.kind,
            subject=booked.subject,
            facts=dict(booked.facts),
            occurred_at=booked.occurred_at,
            posted_at=booked.posted_at,
            reverses=booked.reverses,
            reversed_by=booked.reversed_by,
            postings=lines,
        )
