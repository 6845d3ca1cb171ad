"""May a franchisee take riders' money on QR codes of its own (S7)? Razorpay's word, ours, and the state's."""

from contracts.settlement import DirectCollection
from settlement.domain.franchisee import FranchiseeStatus, gate_reason

_ENDED = {
    FranchiseeStatus.REJECTED: "Razorpay rejected this franchisee.",
    FranchiseeStatus.SUSPENDED: "Razorpay suspended this franchisee's account.",
}

NO_GSTIN = "This franchisee has no GSTIN: riders pay GST, and who takes it must be registered for it."
PAPERS = "Razorpay has not finished checking this franchisee's papers."


def direct_collection(
    status: FranchiseeStatus,
    *,
    linked: bool,
    gstin: str | None,
    transfers_enabled: bool,
    funds_on_hold: bool,
    operator_hold: bool,
    operator_reason: str | None,
) -> tuple[DirectCollection, str | None]:
    """(whether it may, why not, in words). `linked`: Razorpay has made its account.

    Stricter than the gate of payouts: a payout that waits is still ours to hold, money in the franchisee's account is not. So
    the KYC must have ended (ACTIVATED, not ACTIVATED_KYC_PENDING). A hold of anybody's pauses; only Razorpay's no is final.
    """
    if status in _ENDED:
        return DirectCollection.ENDED, _ENDED[status]
    gate = gate_reason(
        status,
        transfers_enabled=transfers_enabled and linked,
        funds_on_hold=funds_on_hold,
        operator_hold=operator_hold,
        operator_reason=operator_reason,
    )
    if gate is None and status is not FranchiseeStatus.ACTIVATED:
        gate = PAPERS
    if gate is None and not gstin:
        gate = NO_GSTIN
    return (DirectCollection.ALLOWED, None) if gate is None else (DirectCollection.PAUSED, gate)
