"""The life of a session that a wallet pays, as data. One function moves it; whatever is not in the table does not happen."""

from enum import StrEnum

from payments.domain.errors import ContradictionError

REQUEST_KEY_PREFIX = "wallet_session_"
"""A session's start request in charging is named `wallet_session_{id}`."""


class SessionState(StrEnum):
    """Where a session stands, and with it the money that was put aside for it."""

    START_REQUESTED = "START_REQUESTED"
    """Held. Charging has been asked and is the arbiter: only its answer moves the session on."""
    CHARGING = "CHARGING"
    """Held. A transaction runs on it."""
    BILLING_FAILED = "BILLING_FAILED"
    """Held. The transaction ended and no honest bill could be computed; tried again every 30 minutes."""
    BILLED = "BILLED"
    """Final: the one bill is paid from the hold, and the rest of it is free."""
    RELEASED = "RELEASED"
    """Final: refused, expired, or no energy. All of the hold is free, nothing was paid."""


class SessionTrigger(StrEnum):
    """What happens to a session."""

    START_FAILED = "START_FAILED"
    """Charging refused it, or its deadline passed there."""
    TRANSACTION_STARTED = "TRANSACTION_STARTED"
    BILLED = "BILLED"
    NOTHING_DELIVERED = "NOTHING_DELIVERED"
    BILLING_FAILED = "BILLING_FAILED"


_S, _T = SessionState, SessionTrigger

TRANSITIONS: dict[tuple[SessionState, SessionTrigger], SessionState] = {
    (_S.START_REQUESTED, _T.START_FAILED): _S.RELEASED,
    (_S.START_REQUESTED, _T.TRANSACTION_STARTED): _S.CHARGING,
    # The stop may overtake the start: a failed handling waits on the ladder.
    (_S.START_REQUESTED, _T.BILLED): _S.BILLED,
    (_S.START_REQUESTED, _T.NOTHING_DELIVERED): _S.RELEASED,
    (_S.START_REQUESTED, _T.BILLING_FAILED): _S.BILLING_FAILED,
    (_S.CHARGING, _T.BILLED): _S.BILLED,
    (_S.CHARGING, _T.NOTHING_DELIVERED): _S.RELEASED,
    (_S.CHARGING, _T.BILLING_FAILED): _S.BILLING_FAILED,
    (_S.BILLING_FAILED, _T.BILLED): _S.BILLED,
    (_S.BILLING_FAILED, _T.NOTHING_DELIVERED): _S.RELEASED,
}

HOLDING = frozenset({_S.START_REQUESTED, _S.CHARGING, _S.BILLING_FAILED})
"""The hold stands."""
RUNNING = frozenset({_S.START_REQUESTED, _S.CHARGING})
"""One at a time per wallet. A bill that waits for a person keeps its hold, and nobody from charging."""

ALREADY_TRUE: dict[SessionTrigger, frozenset[SessionState]] = {
    _T.START_FAILED: frozenset({_S.RELEASED}),
    _T.TRANSACTION_STARTED: frozenset({_S.CHARGING, _S.BILLING_FAILED, _S.BILLED, _S.RELEASED}),
    _T.BILLED: frozenset({_S.BILLED}),
    _T.NOTHING_DELIVERED: frozenset({_S.RELEASED}),
    _T.BILLING_FAILED: frozenset({_S.BILLING_FAILED}),
}
"""States in which a trigger is a repeat or comes late, and changes nothing."""


def next_session_state(state: SessionState, trigger: SessionTrigger) -> SessionState | None:
    """The state after the trigger, or None where the trigger is a repeat and changes nothing.

    Raises ContradictionError for what can't be, such as a bill on a session that was refused.
    """
    after = TRANSITIONS.get((state, trigger))
    if after is not None:
        return after
    if state in ALREADY_TRUE[trigger]:
        return None
    raise ContradictionError(f"{trigger} can't happen to a wallet's session that is {state}")


def session_of_request_key(key: str | None) -> int | None:
    """The wallet's session that a request key names; None for somebody else's key (a QR payment, a staff tag)."""
    if key is None or not key.startswith(REQUEST_KEY_PREFIX):
        return None
    number = key.removeprefix(REQUEST_KEY_PREFIX)
    return int(number) if number.isascii() and number.isdigit() else None
