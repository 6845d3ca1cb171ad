"""Reservations (OCPP 1.6 §3.12, §5.2, §5.13).

REQUESTED → ACCEPTED | REFUSED;  REQUESTED or ACCEPTED → USED | CANCELLED | EXPIRED
"""

from collections.abc import Collection, Mapping
from enum import StrEnum

from charging.domain.states import ForbiddenTransitionError


class ReservationState(StrEnum):
    """What became of a reservation."""

    REQUESTED = "REQUESTED"
    ACCEPTED = "ACCEPTED"
    """The charger holds it."""
    REFUSED = "REFUSED"
    USED = "USED"
    """A transaction began on it."""
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"


class ReservationHappening(StrEnum):
    """What moves a reservation."""

    ACCEPTED = "ACCEPTED"
    REFUSED = "REFUSED"
    STARTED = "STARTED"
    CANCELLED = "CANCELLED"
    DEADLINE_PASSED = "DEADLINE_PASSED"


_S, _H = ReservationState, ReservationHappening

RESERVATION_TRANSITIONS: Mapping[tuple[ReservationState, ReservationHappening], ReservationState] = {
    (_S.REQUESTED, _H.ACCEPTED): _S.ACCEPTED,
    (_S.REQUESTED, _H.REFUSED): _S.REFUSED,
    # The StartTransaction may overtake the answer to ReserveNow (row 86).
    (_S.REQUESTED, _H.STARTED): _S.USED,
    (_S.REQUESTED, _H.CANCELLED): _S.CANCELLED,
    (_S.REQUESTED, _H.DEADLINE_PASSED): _S.EXPIRED,
    (_S.ACCEPTED, _H.STARTED): _S.USED,
    (_S.ACCEPTED, _H.CANCELLED): _S.CANCELLED,
    (_S.ACCEPTED, _H.DEADLINE_PASSED): _S.EXPIRED,
}

OPEN = frozenset({ReservationState.REQUESTED, ReservationState.ACCEPTED})
"""States in which it keeps a connector."""


def next_reservation_state(state: ReservationState, happening: ReservationHappening) -> ReservationState:
    """Where a reservation goes. Raises ForbiddenTransitionError: what has ended stays so."""
    after = RESERVATION_TRANSITIONS.get((state, happening))
    if after is None:
        raise ForbiddenTransitionError(state, happening)
    return after


def entitles(*, id_tag: str, parent_id_tag: str | None, reserved_for: str, reserved_parent: str | None) -> bool:
    """Whether a tag (normalised, with its parent) may use a reservation: its own tag, or one of the same group (§3.12)."""
    return id_tag == reserved_for or (reserved_parent is not None and reserved_parent in (parent_id_tag, id_tag))


def is_reserved(connector_id: int, *, reserved: Collection[int], free: Collection[int]) -> bool:
    """Whether reservations keep a connector from a stranger.

    `reserved`: their connectors, once each, 0 for any connector of the charge point; `free`: connectors that serve nobody, this
    one among them. As many free connectors as reservations of 0 must stay free.
    """
    if connector_id in reserved:
        return True
    anywhere = sum(1 for connector in reserved if connector == 0)
    unreserved = [connector for connector in free if connector not in reserved]
    return anywhere > 0 and len(unreserved) <= anywhere
