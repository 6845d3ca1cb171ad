"""A franchisee's standing at Razorpay, folded from its KYC events; and why its payouts are held, in plain words.

Both families of events are understood: `account.*` (partner sub-merchants) and `product.route.*` (razorpay.md §5.4). A standing
is what all events together say, in the order of their own times: the same in whatever order, and however often, they come.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

POLL_PREFIX = "poll.route."
"""Events that we make ourselves of a polled product configuration: Razorpay promises no event for every change."""


class FranchiseeStatus(StrEnum):
    """CREATED → LINKED → the states of Razorpay's KYC."""

    CREATED = "CREATED"
    """Entered here; Razorpay has no account yet."""
    LINKED = "LINKED"
    """The linked account exists, no word on its KYC yet."""
    INSTANTLY_ACTIVATED = "INSTANTLY_ACTIVATED"
    UNDER_REVIEW = "UNDER_REVIEW"
    NEEDS_CLARIFICATION = "NEEDS_CLARIFICATION"
    ACTIVATED_KYC_PENDING = "ACTIVATED_KYC_PENDING"
    ACTIVATED = "ACTIVATED"
    REJECTED = "REJECTED"
    SUSPENDED = "SUSPENDED"


@dataclass(frozen=True, slots=True)
class Effect:
    """What an event does. None leaves a thing as it was. `rank` orders events of the same second: the cautious one is later."""

    rank: int
    status: FranchiseeStatus | None = None
    transfers_enabled: bool | None = None
    funds_on_hold: bool | None = None
    """Where the event's own `hold_funds` is missing."""


EFFECTS: dict[str, Effect] = {
    # May take money, yet its funds are held and its papers unseen: nothing is transferred before the KYC says so.
    "account.instantly_activated": Effect(0, FranchiseeStatus.INSTANTLY_ACTIVATED, transfers_enabled=False),
    "account.payments_enabled": Effect(1),
    "account.under_review": Effect(2, FranchiseeStatus.UNDER_REVIEW, transfers_enabled=False),
    "product.route.under_review": Effect(2, FranchiseeStatus.UNDER_REVIEW, transfers_enabled=False),
    "account.needs_clarification": Effect(3, FranchiseeStatus.NEEDS_CLARIFICATION, transfers_enabled=False),
    "product.route.needs_clarification": Effect(3, FranchiseeStatus.NEEDS_CLARIFICATION, transfers_enabled=False),
    "account.activated_kyc_pending": Effect(4, FranchiseeStatus.ACTIVATED_KYC_PENDING, transfers_enabled=True),
    "account.activated": Effect(5, FranchiseeStatus.ACTIVATED, transfers_enabled=True),
    "product.route.activated": Effect(5, FranchiseeStatus.ACTIVATED, transfers_enabled=True),
    "account.funds_unhold": Effect(6, funds_on_hold=False),
    "account.funds_hold": Effect(7, funds_on_hold=True),
    "account.rejected": Effect(8, FranchiseeStatus.REJECTED, transfers_enabled=False),
    "account.suspended": Effect(9, FranchiseeStatus.SUSPENDED, transfers_enabled=False),
    f"{POLL_PREFIX}under_review": Effect(2, FranchiseeStatus.UNDER_REVIEW, transfers_enabled=False),
    f"{POLL_PREFIX}needs_clarification": Effect(3, FranchiseeStatus.NEEDS_CLARIFICATION, transfers_enabled=False),
    f"{POLL_PREFIX}activated": Effect(5, FranchiseeStatus.ACTIVATED, transfers_enabled=True),
    f"{POLL_PREFIX}suspended": Effect(9, FranchiseeStatus.SUSPENDED, transfers_enabled=False),
}
"""Decided on the event's name and `hold_funds`, never on `activated`: that stays true in a rejection (razorpay.md §5.4)."""


@dataclass(frozen=True, slots=True)
class KycEvent:
    """One word of Razorpay on a linked account."""

    event_id: str
    event: str
    occurred_at: datetime
    hold_funds: bool | None = None
    detail: str | None = None
    """What Razorpay asks for, where it needs clarification."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What Razorpay lets a franchisee have."""

    status: FranchiseeStatus = FranchiseeStatus.LINKED
    transfers_enabled: bool = False
    funds_on_hold: bool = False
    detail: str | None = None


def standing(events: Iterable[KycEvent]) -> Standing:
    """The standing after these events, by their own times. Names that we don't know change nothing."""
    unique = {event.event_id: event for event in events if event.event in EFFECTS}
    status, transfers_enabled, funds_on_hold, detail = FranchiseeStatus.LINKED, False, False, None
    for event in sorted(unique.values(), key=lambda event: (event.occurred_at, EFFECTS[event.event].rank, event.event_id)):
        effect = EFFECTS[event.event]
        if effect.status is not None:
            status, detail = effect.status, event.detail
        if effect.transfers_enabled is not None:
            transfers_enabled = effect.transfers_enabled
        hold = event.hold_funds if event.hold_funds is not None else effect.funds_on_hold
        if hold is not None:
            funds_on_hold = hold
    return Standing(status, transfers_enabled, funds_on_hold, detail)


_WORDS = {
    FranchiseeStatus.CREATED: "Razorpay has no account for this franchisee yet.",
    FranchiseeStatus.LINKED: "Razorpay has not begun to check this franchisee's papers.",
    FranchiseeStatus.INSTANTLY_ACTIVATED: "Razorpay has not checked this franchisee's papers yet.",
    FranchiseeStatus.UNDER_REVIEW: "Razorpay is checking this franchisee's papers.",
    FranchiseeStatus.NEEDS_CLARIFICATION: "Razorpay asks this franchisee for more papers.",
    FranchiseeStatus.REJECTED: "Razorpay rejected this franchisee.",
    FranchiseeStatus.SUSPENDED: "Razorpay suspended this franchisee's account.",
}


def gate_reason(
    status: FranchiseeStatus, *, transfers_enabled: bool, funds_on_hold: bool, operator_hold: bool, operator_reason: str | None
) -> str | None:
    """Why nothing is paid out to a franchisee now, in words for them; None: payouts may go."""
    if operator_hold:
        return "VoltLync holds the payouts" + (f": {operator_reason}" if operator_reason else ".")
    if not transfers_enabled:
        return _WORDS.get(status, "Razorpay does not take transfers for this franchisee.")
    if funds_on_hold:
        return "Razorpay holds this franchisee's funds."
    return None


@dataclass(frozen=True, slots=True)
class Terms:
    """What a franchisee and the platform agreed, from a moment on."""

    commission_bps: int
    tds_bps: int | None
    """None: by the tax rule in force."""
    tds_base: str | None
    effective_from: datetime


def terms_in_force(terms: Iterable[Terms], at: datetime) -> Terms:
    """The terms at a session's start: the newest that were effective then.

    A session that began before the first terms (a site handed over before its papers) is settled on those first ones.
    Raises ValueError without any.
    """
    ordered = sorted(terms, key=lambda item: item.effective_from)
    if not ordered:
        raise ValueError("a franchisee without terms")
    return next((item for item in reversed(ordered) if item.effective_from <= at), ordered[0])


def read_kyc_event(
    event: str, payload: Mapping[str, Any], *, event_id: str, account_id: str | None, occurred_at: datetime
) -> tuple[str, KycEvent] | None:
    """The linked account (acc_...) and what is said of it, of either family. None where it is none or names no account."""
    if event not in EFFECTS:
        return None
    merchant = _inner(payload.get("account"), "entity")
    product = _inner(payload.get("merchant_product"), "entity")
    # The partner family's entity has the id without its prefix; the envelope has it in both families.
    named = account_id or merchant.get("id") or product.get("merchant_id")
    if not isinstance(named, str) or not named:
        return None
    hold = merchant.get("hold_funds")
    detail = _inner(merchant, "merchant_detail")
    asked = [str(detail[name]) for name in ("issue_fields", "issue_fields_reason") if detail.get(name)]
    data = _inner(payload.get("merchant_product"), "data")
    requirements = data.get("requirements")
    for item in requirements if isinstance(requirements, list) else []:
        if isinstance(item, Mapping):
            words = [str(item[name]) for name in ("field_reference", "description") if item.get(name)]
            asked.append(": ".join(words))
    return (
        named if named.startswith("acc_") else f"acc_{named}",
        KycEvent(
            event_id=event_id,
            event=event,
            occurred_at=occurred_at,
            hold_funds=hold if isinstance(hold, bool) else None,
            detail="; ".join(asked) or None,
        ),
    )


def _inner(part: object, name: str) -> Mapping[str, Any]:
    """A member that should be an object; Razorpay also sends `[]` and null there."""
    found = part.get(name) if isinstance(part, Mapping) else None
    return found if isinstance(found, Mapping) else {}
