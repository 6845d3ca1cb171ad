"""What a staff tag may do: IdTagInfo (OCPP 1.6 §7.8 IdTagInfo, §7.2 AuthorizationStatus)."""

from dataclasses import dataclass
from datetime import datetime

from contracts.ocpp_gateway import IdTagStatus


@dataclass(frozen=True, slots=True)
class IdTagInfo:
    """As the charger is told it."""

    status: IdTagStatus
    expiry_date: datetime | None = None
    parent_id_tag: str | None = None


UNKNOWN_TAG = IdTagInfo(IdTagStatus.INVALID)


def id_tag_status(*, enabled: bool, expires_at: datetime | None, at: datetime) -> IdTagStatus:
    """Of a tag that we know. Expired from its very moment on."""
    if not enabled:
        return IdTagStatus.BLOCKED
    if expires_at is not None and expires_at <= at:
        return IdTagStatus.EXPIRED
    return IdTagStatus.ACCEPTED


def status_at_start(status: IdTagStatus, *, running: int, concurrent_sessions_max: int | None) -> IdTagStatus:
    """At StartTransaction, and only there (§7.2): Accepted becomes ConcurrentTx where the tag charges as often as it may.

    `concurrent_sessions_max` None: as often as it likes.
    """
    if status is IdTagStatus.ACCEPTED and concurrent_sessions_max is not None and running >= concurrent_sessions_max:
        return IdTagStatus.CONCURRENT_TX
    return status
