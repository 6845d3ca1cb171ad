"""When a silent session ends. Pure arithmetic on receive times; the results are columns, and the columns win over any timer."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from charging.domain.limits import Limits
from contracts.charging import StopReason
from contracts.ocpp_gateway import DisconnectReason


class SuspensionCause(StrEnum):
    """Why a transaction is suspended: decides how long it may be, and what its end is called."""

    DISCONNECT = "DISCONNECT"
    GATEWAY = "GATEWAY"
    """Our own gateway stopped or was lost."""
    BOOT = "BOOT"
    RETURNED = "RETURNED"
    """The socket is back, MeterValues are not yet."""


STOP_REASON_OF_CAUSE: Mapping[SuspensionCause, StopReason] = {
    SuspensionCause.DISCONNECT: StopReason.DISCONNECT_TIMEOUT,
    SuspensionCause.GATEWAY: StopReason.DISCONNECT_TIMEOUT,
    SuspensionCause.BOOT: StopReason.BOOT_TIMEOUT,
    SuspensionCause.RETURNED: StopReason.STALE_RECONNECT,
}

OUR_DISCONNECTS = frozenset({DisconnectReason.GATEWAY_STOPPING, DisconnectReason.GATEWAY_LOST})
"""We went away, not the charger: the longer window, and no step towards the flap limit."""


class ConnectorKind(StrEnum):
    """What the driver plugs into: decides what Available means mid-session."""

    SOCKET = "socket"
    """A household-style AC socket (Bharat AC-001): no signalling to the car, Available is not proof of an end."""
    TYPE2 = "type2"
    CCS = "ccs"


def should_use_grace_period(kind: ConnectorKind, status: str) -> bool:
    """Whether a status mid-session begins the grace that rising energy prolongs: a socket's Available, and nothing else.

    Faulted, Unavailable and Reserved never do; Type 2 and CCS signal with the car, so their Available means what it says.
    """
    return kind is ConnectorKind.SOCKET and status == "Available"


def cause_of(reason: DisconnectReason) -> SuspensionCause:
    """Which suspension a disconnect means."""
    return SuspensionCause.GATEWAY if reason in OUR_DISCONNECTS else SuspensionCause.DISCONNECT


MOMENT = timedelta(microseconds=1)
"""What PostgreSQL and `datetime` can tell apart: a session is stale from the first moment after the guard, not at it."""

WINDOW_OF_CAUSE: Mapping[SuspensionCause, Callable[[Limits], timedelta]] = {
    SuspensionCause.DISCONNECT: lambda limits: limits.disconnect_suspension,
    SuspensionCause.GATEWAY: lambda limits: limits.gateway_suspension,
    SuspensionCause.BOOT: lambda limits: limits.boot_sign_of_life,
    SuspensionCause.RETURNED: lambda limits: limits.resume_gap_max,
}


def suspension_deadline(
    cause: SuspensionCause, at: datetime, last_activity_at: datetime, limits: Limits, *, again: bool = False
) -> datetime:
    """When a suspension of this cause, from `at` on, ends the session, unless MeterValues come first.

    A drop that suspends gives its whole window: the charger may bring its StopTransaction. Everything else is bounded by the
    guard as well: the boot, the socket's return, and (`again`) a drop of a session that is suspended already, which would
    otherwise be kept alive by a charger that only ever dials in.
    """
    ends_at = at + WINDOW_OF_CAUSE[cause](limits)
    if cause in (SuspensionCause.DISCONNECT, SuspensionCause.GATEWAY) and not again:
        return ends_at
    return max(at, min(ends_at, last_activity_at + limits.resume_gap_max + MOMENT))


def is_stale(last_activity_at: datetime, at: datetime, limits: Limits) -> bool:
    """Whether a resume comes more than the guard after the last activity. Exactly the guard is still in time."""
    return at - last_activity_at > limits.resume_gap_max
