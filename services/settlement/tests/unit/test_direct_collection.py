"""Who may take riders' money on QR codes of its own: no paper is missing, nobody holds anything."""

from typing import Any

import pytest

from contracts.settlement import DirectCollection
from settlement.domain.direct_collection import NO_GSTIN, PAPERS, direct_collection
from settlement.domain.franchisee import FranchiseeStatus

MAY: dict[str, Any] = {
    "status": FranchiseeStatus.ACTIVATED,
    "linked": True,
    "gstin": "29AABCU9603R1ZM",
    "transfers_enabled": True,
    "funds_on_hold": False,
    "operator_hold": False,
    "operator_reason": None,
}


def asked(**changes: Any) -> tuple[DirectCollection, str | None]:
    facts = {**MAY, **changes}
    return direct_collection(facts.pop("status"), **facts)


def test_activated_and_held_by_nobody_may() -> None:
    assert asked() == (DirectCollection.ALLOWED, None)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"gstin": None}, NO_GSTIN),
        ({"funds_on_hold": True}, "Razorpay holds"),
        (
            {"operator_hold": True, "operator_reason": "the site is in dispute"},
            "VoltLync holds the payouts: the site is in dispute",
        ),
        ({"transfers_enabled": False}, "does not take transfers"),
        ({"linked": False}, "does not take transfers"),
        # Payouts may go, and wait with us if they must; its own account would have the money at once.
        ({"status": FranchiseeStatus.ACTIVATED_KYC_PENDING}, PAPERS),
        ({"status": FranchiseeStatus.UNDER_REVIEW, "transfers_enabled": False}, "checking"),
    ],
)
def test_whatever_is_missing_or_held_pauses_it(changes: dict[str, Any], words: str) -> None:
    collection, reason = asked(**changes)
    assert collection is DirectCollection.PAUSED
    assert words in str(reason)


@pytest.mark.parametrize("status", [FranchiseeStatus.REJECTED, FranchiseeStatus.SUSPENDED])
def test_razorpays_no_ends_it_whatever_else_is_so(status: FranchiseeStatus) -> None:
    for changes in ({}, {"operator_hold": True}, {"transfers_enabled": False, "funds_on_hold": True}):
        assert asked(status=status, **changes)[0] is DirectCollection.ENDED
