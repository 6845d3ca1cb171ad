"""Onboarding a franchisee at Razorpay, step by step, and the bodies of the calls (razorpay.md §5.1 to §5.3)."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

_TAKEN_BY = re.compile(r"email already exists for account - (?:acc_)?(\w{14})\b")


class LinkStep(StrEnum):
    """What is to be done next. Each is claimed, called and persisted by itself."""

    ACCOUNT = "ACCOUNT"
    STAKEHOLDER = "STAKEHOLDER"
    PRODUCT = "PRODUCT"
    BANK = "BANK"
    CORRECTION = "CORRECTION"
    """The stakeholder was corrected after Razorpay had it."""
    DONE = "DONE"


NEXT_STEP = {
    LinkStep.ACCOUNT: LinkStep.STAKEHOLDER,
    LinkStep.STAKEHOLDER: LinkStep.PRODUCT,
    LinkStep.PRODUCT: LinkStep.BANK,
    LinkStep.BANK: LinkStep.DONE,
    LinkStep.CORRECTION: LinkStep.DONE,
}


def with_corrections(step: LinkStep, *, wanted: Mapping[str, Any], sent: Mapping[str, Any] | None) -> LinkStep:
    """The step to go on with: nothing is done while Razorpay has another stakeholder (`sent`) than is `wanted`.

    `sent` None: the stakeholder was made before this was kept, and nobody has corrected it since.
    """
    if step not in (LinkStep.DONE, LinkStep.CORRECTION):
        return step
    return LinkStep.DONE if sent is None or sent == wanted else LinkStep.CORRECTION


def reference_of(franchisee_id: int) -> str:
    """Our name of the franchisee at Razorpay: its account code, 3 to 20 characters."""
    return f"franchisee_{franchisee_id}"


def account_body(
    *,
    franchisee_id: int,
    email: str,
    phone: str,
    legal_business_name: str,
    display_name: str,
    business_type: str,
    contact_name: str,
    category: str,
    subcategory: str,
    address: Mapping[str, Any],
    pan: str | None,
    gstin: str | None,
    environment: str,
) -> dict[str, Any]:
    """The body of `POST /v2/accounts`. Fields without a value are left out: Razorpay refuses nulls."""
    legal = {name: value for name, value in (("pan", pan), ("gst", gstin)) if value is not None}
    body: dict[str, Any] = {
        "email": email,
        "phone": phone,
        "type": "route",
        "reference_id": reference_of(franchisee_id),
        "legal_business_name": legal_business_name,
        "customer_facing_business_name": display_name,
        "business_type": business_type,
        "contact_name": contact_name,
        "profile": {"category": category, "subcategory": subcategory, "addresses": {"registered": dict(address)}},
        "notes": {"franchisee_id": f"frn_{franchisee_id}", "environment": environment},
    }
    return body | ({"legal_info": legal} if legal else {})


def stakeholder_body(stakeholder: Mapping[str, Any]) -> dict[str, Any]:
    """The body of `POST /v2/accounts/:id/stakeholders`."""
    body: dict[str, Any] = {"name": stakeholder["name"], "email": stakeholder["email"]}
    return body | ({"kyc": {"pan": stakeholder["pan"]}} if stakeholder.get("pan") else {})


def stakeholder_correction(stakeholder: Mapping[str, Any]) -> dict[str, Any]:
    """The body of `PATCH /v2/accounts/:id/stakeholders/:id`: what may be corrected. The email may not."""
    return {name: value for name, value in stakeholder_body(stakeholder).items() if name != "email"}


PRODUCT_BODY: dict[str, Any] = {"product_name": "route", "tnc_accepted": True}
"""The body of `POST /v2/accounts/:id/products`. A repeat answers the configuration that exists."""


def bank_body(bank: Mapping[str, Any]) -> dict[str, Any]:
    """The body of `PATCH /v2/accounts/:id/products/:id`: where Razorpay settles to. Sending it again does no harm."""
    return {
        "settlements": {name: bank[name] for name in ("account_number", "ifsc_code", "beneficiary_name")},
        "tnc_accepted": True,
    }


def account_that_has_the_email(description: str) -> str | None:
    """The account that Razorpay's refusal names, as acc_...: ours, if an earlier call's answer was lost."""
    found = _TAKEN_BY.search(description)
    return f"acc_{found[1]}" if found else None
