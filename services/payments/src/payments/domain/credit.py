"""Can this payment be served? The rules before charging is asked; charging has the last word (architecture §3)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from payments.domain.qr_code import QrCodeStatus


class RefundReason(StrEnum):
    """Why a payment goes back whole. Charging's own reasons (`StartRefusal`) stand beside these, by their names."""

    STALE = "STALE"
    """The rider has waited too long to still be there."""
    QR_CODE_CLOSED = "QR_CODE_CLOSED"
    QR_CODE_UNKNOWN = "QR_CODE_UNKNOWN"
    """Of our environment by its notes, and no such row turned up."""
    NO_CONNECTOR = "NO_CONNECTOR"
    """The QR code is not bound to a connector."""
    NO_ENERGY = "NO_ENERGY"
    """The session ended without confirmed energy."""
    WRONG_ACCOUNT = "WRONG_ACCOUNT"
    """The QR code is one account's, and Razorpay says that the money is in another's: it goes back from where it is."""
    COLLECTION_STOPPED = "COLLECTION_STOPPED"
    """The QR code is a franchisee's own, who may not take riders' money just now."""


SERVED_STATUSES = frozenset({QrCodeStatus.CREATING, QrCodeStatus.ACTIVE})
"""CREATING: Razorpay already takes money on it, our own commit is still under way or was lost."""


@dataclass(frozen=True, slots=True)
class QrBinding:
    """What of a QR code decides: its status, the connector it is for, and whose it is."""

    status: QrCodeStatus
    charge_point_id: str | None
    connector_id: int | None
    owner_franchisee_id: int | None = None
    """The franchisee whose own code it is; None: the platform's."""
    owner_may_collect: bool = True
    """Whether that franchisee may take riders' money now."""


def refusal(
    qr: QrBinding | None, *, collected_by: int | None = None, paid_at: datetime, now: datetime, stale_after: timedelta
) -> RefundReason | None:
    """Why this payment must go back instead of starting anything, or None if charging is to be asked.

    `collected_by`: the franchisee whose linked account has the money, by Razorpay; None: none that we know, so ours.
    Exactly `stale_after` old is still served. A payment time ahead of our clock is not stale.
    """
    if qr is None:
        return RefundReason.QR_CODE_UNKNOWN
    if qr.owner_franchisee_id != collected_by:
        return RefundReason.WRONG_ACCOUNT
    if now - paid_at > stale_after:
        return RefundReason.STALE
    if qr.status not in SERVED_STATUSES:
        return RefundReason.QR_CODE_CLOSED
    if not qr.owner_may_collect:
        return RefundReason.COLLECTION_STOPPED
    if qr.charge_point_id is None or qr.connector_id is None:
        return RefundReason.NO_CONNECTOR
    return None
