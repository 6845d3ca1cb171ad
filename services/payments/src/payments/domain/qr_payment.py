"""The life of a QR payment, as data. One function moves it; whatever is not in the table does not happen."""

from enum import StrEnum

from payments.domain.errors import ContradictionError

REQUEST_KEY_PREFIX = "qr_payment_"
"""A payment's start request in charging, and its refund at Razorpay, are both named `qr_payment_{id}`."""


class PaymentState(StrEnum):
    """Where a payment stands. Its refund, where it has one, has a life of its own (`domain.refund`)."""

    RECEIVED = "RECEIVED"
    """Recorded, nothing asked for yet."""
    START_REQUESTED = "START_REQUESTED"
    """Charging has been asked and is the arbiter: only its answer moves the payment on."""
    CHARGING = "CHARGING"
    """A transaction runs on it."""
    BILLING_FAILED = "BILLING_FAILED"
    """The transaction ended and no honest bill could be computed; tried again every 30 minutes."""
    BILLED = "BILLED"
    """Final: the one bill is made. What it leaves to the rider is a refund or a residue."""
    REFUND_DUE = "REFUND_DUE"
    """Not served, or no energy: all of it goes back, and a refund says how far that has come."""
    REFUNDED = "REFUNDED"
    """Final: all of it went back."""
    RESIDUE_OWED = "RESIDUE_OWED"
    """Final: all of it is due back, and it is less than Razorpay can refund."""


class Trigger(StrEnum):
    """What happens to a payment."""

    START = "START"
    """It can be served: charging is asked."""
    NOT_SERVED = "NOT_SERVED"
    """Stale, closed QR, no charger: decided here, before anything was asked."""
    START_FAILED = "START_FAILED"
    """Charging refused it, or its deadline passed there."""
    TRANSACTION_STARTED = "TRANSACTION_STARTED"
    BILLED = "BILLED"
    NOTHING_DELIVERED = "NOTHING_DELIVERED"
    BILLING_FAILED = "BILLING_FAILED"
    REFUND_PROCESSED = "REFUND_PROCESSED"
    TOO_SMALL_TO_REFUND = "TOO_SMALL_TO_REFUND"


_S, _T = PaymentState, Trigger

TRANSITIONS: dict[tuple[PaymentState, Trigger], PaymentState] = {
    (_S.RECEIVED, _T.START): _S.START_REQUESTED,
    (_S.RECEIVED, _T.NOT_SERVED): _S.REFUND_DUE,
    (_S.START_REQUESTED, _T.START_FAILED): _S.REFUND_DUE,
    (_S.START_REQUESTED, _T.TRANSACTION_STARTED): _S.CHARGING,
    # The stop may overtake the start: they come through one queue, but a failed handling waits on the ladder.
    (_S.START_REQUESTED, _T.BILLED): _S.BILLED,
    (_S.START_REQUESTED, _T.NOTHING_DELIVERED): _S.REFUND_DUE,
    (_S.START_REQUESTED, _T.BILLING_FAILED): _S.BILLING_FAILED,
    (_S.CHARGING, _T.BILLED): _S.BILLED,
    (_S.CHARGING, _T.NOTHING_DELIVERED): _S.REFUND_DUE,
    (_S.CHARGING, _T.BILLING_FAILED): _S.BILLING_FAILED,
    (_S.BILLING_FAILED, _T.BILLED): _S.BILLED,
    (_S.BILLING_FAILED, _T.NOTHING_DELIVERED): _S.REFUND_DUE,
    (_S.REFUND_DUE, _T.REFUND_PROCESSED): _S.REFUNDED,
    (_S.REFUND_DUE, _T.TOO_SMALL_TO_REFUND): _S.RESIDUE_OWED,
}

GIVEN_BACK = frozenset({_S.REFUND_DUE, _S.REFUNDED, _S.RESIDUE_OWED})
"""All of the payment is the rider's again."""
_ENDED = GIVEN_BACK | {_S.BILLED, _S.BILLING_FAILED}

ALREADY_TRUE: dict[Trigger, frozenset[PaymentState]] = {
    _T.START: frozenset({_S.START_REQUESTED}),
    _T.NOT_SERVED: GIVEN_BACK,
    _T.START_FAILED: GIVEN_BACK,
    _T.TRANSACTION_STARTED: _ENDED | {_S.CHARGING},
    _T.BILLED: frozenset({_S.BILLED}),
    _T.NOTHING_DELIVERED: GIVEN_BACK,
    _T.BILLING_FAILED: frozenset({_S.BILLING_FAILED}),
    # A bill's refund ends as well; the payment stays billed.
    _T.REFUND_PROCESSED: frozenset({_S.REFUNDED, _S.BILLED}),
    _T.TOO_SMALL_TO_REFUND: frozenset({_S.RESIDUE_OWED, _S.BILLED}),
}
"""States in which a trigger is a repeat or comes late, and changes nothing."""


def next_state(state: PaymentState, trigger: Trigger) -> PaymentState | None:
    """The state after the trigger, or None where the trigger is a repeat and changes nothing.

    Raises ContradictionError for what can't be, such as a bill on a payment that has been given back.
    """
    after = TRANSITIONS.get((state, trigger))
    if after is not None:
        return after
    if state in ALREADY_TRUE.get(trigger, frozenset()):
        return None
    raise ContradictionError(f"{trigger} can't happen to a payment that is {state}")


def moved(state: PaymentState, trigger: Trigger) -> PaymentState:
    """As `next_state`, where a repeat leaves the state as it is."""
    return next_state(state, trigger) or state


def request_key(qr_payment_id: int) -> str:
    """The name of a payment's one start request in charging."""
    return f"{REQUEST_KEY_PREFIX}{qr_payment_id}"


def payment_of_request_key(key: str | None) -> int | None:
    """The QR payment that a request key names; None for somebody else's key (a wallet, a staff tag)."""
    if key is None or not key.startswith(REQUEST_KEY_PREFIX):
        return None
    number = key.removeprefix(REQUEST_KEY_PREFIX)
    return int(number) if number.isascii() and number.isdigit() else None
