"""Franchisees, their terms and bank accounts."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, Field

from chassis.web import Body, PageQuery
from contracts.settlement import DirectCollection
from money import TdsBase
from settlement.domain.franchisee import FranchiseeStatus
from settlement.domain.link import LinkStep
from settlement.views.base import (
    BasisPoints,
    FranchiseeId,
    Words,
)

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
    tds_bps: BasisPoints | None = Field(None, description="default: by the tax rule in force")
    tds_base: TdsBase = Field(TdsBase.NET_EXCL_GST, strict=False, description="what `tds_bps` is taken of, where it is given")


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
    direct_collection: DirectCollection = Field(description="whether it may take riders' money on QR codes of its own")
    direct_collection_reason: str | None = Field(description="why not, in words; null: it may")
    razorpay_account_id: str | None
    link_step: LinkStep
    link_error: str | None
    created_at: datetime
    updated_at: datetime


class TermsCreate(Body):
    """New terms. They apply to sessions that start from `effective_from` on."""

    commission_bps: BasisPoints
    tds_bps: BasisPoints | None = Field(None, description="default: by the tax rule in force")
    tds_base: TdsBase = Field(TdsBase.NET_EXCL_GST, strict=False, description="what `tds_bps` is taken of, where it is given")
    effective_from: AwareDatetime | None = Field(None, strict=False, description="default: now; never in the past")


class TermsView(BaseModel):
    """Commission and TDS from a moment on."""

    commission_bps: int
    tds_bps: int | None = Field(description="null: by the tax rule in force")
    tds_base: TdsBase | None = Field(description="null: by the tax rule in force")
    effective_from: datetime
    created_by: str
    created_at: datetime


class FranchiseeQuery(PageQuery):
    """Filters of franchisees."""

    status: FranchiseeStatus | None = None
