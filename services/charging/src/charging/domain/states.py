"""The state machines, as data and one function each. A pair that is not in its table is forbidden.

transaction      STARTED → RUNNING ⇄ SUSPENDED → STOPPED
start request    REQUESTED → STARTED | REFUSED | EXPIRED
command          PENDING ⇄ DISPATCHED → ANSWERED | REJECTED | CALL_ERROR | TIMED_OUT | UNKNOWN;  PENDING → EXPIRED
"""

from collections.abc import Mapping
from enum import StrEnum


class ForbiddenTransitionError(Exception):
    """This must not happen in that state: a bug, or two writers."""

    def __init__(self, state: StrEnum, happening: StrEnum) -> None:
        super().__init__(f"{type(state).__name__} {state.value} does not allow {happening.value}")
        self.state = state
        self.happening = happening


class TransactionState(StrEnum):
    """architecture.md §4."""

    STARTED = "STARTED"
    """StartTransaction was accepted, no reading yet."""
    RUNNING = "RUNNING"
    SUSPENDED = "SUSPENDED"
    """The socket dropped or the charger rebooted; waiting for MeterValues."""
    STOPPED = "STOPPED"
    """Final: energy and reason never change again."""


class TransactionHappening(StrEnum):
    """What moves a transaction."""

    METER_VALUES = "METER_VALUES"
    DROPPED = "DROPPED"
    BOOTED = "BOOTED"
    FINALIZED = "FINALIZED"


TRANSACTION_TRANSITIONS: Mapping[tuple[TransactionState, TransactionHappening], TransactionState] = {
    (TransactionState.STARTED, TransactionHappening.METER_VALUES): TransactionState.RUNNING,
    (TransactionState.STARTED, TransactionHappening.DROPPED): TransactionState.SUSPENDED,
    (TransactionState.STARTED, TransactionHappening.BOOTED): TransactionState.SUSPENDED,
    (TransactionState.STARTED, TransactionHappening.FINALIZED): TransactionState.STOPPED,
    (TransactionState.RUNNING, TransactionHappening.METER_VALUES): TransactionState.RUNNING,
    (TransactionState.RUNNING, TransactionHappening.DROPPED): TransactionState.SUSPENDED,
    (TransactionState.RUNNING, TransactionHappening.BOOTED): TransactionState.SUSPENDED,
    (TransactionState.RUNNING, TransactionHappening.FINALIZED): TransactionState.STOPPED,
    (TransactionState.SUSPENDED, TransactionHappening.METER_VALUES): TransactionState.RUNNING,
    (TransactionState.SUSPENDED, TransactionHappening.DROPPED): TransactionState.SUSPENDED,
    (TransactionState.SUSPENDED, TransactionHappening.BOOTED): TransactionState.SUSPENDED,
    (TransactionState.SUSPENDED, TransactionHappening.FINALIZED): TransactionState.STOPPED,
}


def next_transaction_state(state: TransactionState, happening: TransactionHappening) -> TransactionState:
    """Where a transaction goes. Raises ForbiddenTransitionError: nothing moves a STOPPED one."""
    after = TRANSACTION_TRANSITIONS.get((state, happening))
    if after is None:
        raise ForbiddenTransitionError(state, happening)
    return after


class StartRequestState(StrEnum):
    """The one arbiter of a paid start: decided once, in the lane."""

    REQUESTED = "REQUESTED"
    STARTED = "STARTED"
    REFUSED = "REFUSED"
    EXPIRED = "EXPIRED"


class StartRequestHappening(StrEnum):
    """What decides a start request."""

    TRANSACTION_STARTED = "TRANSACTION_STARTED"
    REFUSED = "REFUSED"
    DEADLINE_PASSED = "DEADLINE_PASSED"


START_REQUEST_TRANSITIONS: Mapping[tuple[StartRequestState, StartRequestHappening], StartRequestState] = {
    (StartRequestState.REQUESTED, StartRequestHappening.TRANSACTION_STARTED): StartRequestState.STARTED,
    (StartRequestState.REQUESTED, StartRequestHappening.REFUSED): StartRequestState.REFUSED,
    (StartRequestState.REQUESTED, StartRequestHappening.DEADLINE_PASSED): StartRequestState.EXPIRED,
}


def next_start_request_state(state: StartRequestState, happening: StartRequestHappening) -> StartRequestState:
    """Where a start request goes. Raises ForbiddenTransitionError: what was decided stays decided."""
    after = START_REQUEST_TRANSITIONS.get((state, happening))
    if after is None:
        raise ForbiddenTransitionError(state, happening)
    return after


class CommandStatus(StrEnum):
    """What became of an OCPP command. The row owns it; a gateway owns only the socket."""

    PENDING = "PENDING"
    """Waits for the charger's connection."""
    DISPATCHED = "DISPATCHED"
    """Handed to the gateway that holds the socket."""
    ANSWERED = "ANSWERED"
    """The charger answered and did not refuse."""
    REJECTED = "REJECTED"
    """The charger answered with a refusal (Rejected, NotSupported, UnlockFailed, ...)."""
    CALL_ERROR = "CALL_ERROR"
    TIMED_OUT = "TIMED_OUT"
    """Sent, not answered in time. Its effect is unknown."""
    UNKNOWN = "UNKNOWN"
    """It may have been sent: the connection or the gateway died with it. Never sent again blindly."""
    EXPIRED = "EXPIRED"
    """Its deadline passed, and it was certainly never sent."""


COMMAND_FINAL = frozenset(CommandStatus) - {CommandStatus.PENDING, CommandStatus.DISPATCHED}


class CommandHappening(StrEnum):
    """What moves a command."""

    DISPATCHED = "DISPATCHED"
    NOT_SENT = "NOT_SENT"
    ANSWERED = "ANSWERED"
    REJECTED = "REJECTED"
    CALL_ERROR = "CALL_ERROR"
    TIMED_OUT = "TIMED_OUT"
    LOST = "LOST"
    DEADLINE_PASSED = "DEADLINE_PASSED"


COMMAND_TRANSITIONS: Mapping[tuple[CommandStatus, CommandHappening], CommandStatus] = {
    (CommandStatus.PENDING, CommandHappening.DISPATCHED): CommandStatus.DISPATCHED,
    (CommandStatus.PENDING, CommandHappening.DEADLINE_PASSED): CommandStatus.EXPIRED,
    (CommandStatus.DISPATCHED, CommandHappening.NOT_SENT): CommandStatus.PENDING,
    (CommandStatus.DISPATCHED, CommandHappening.ANSWERED): CommandStatus.ANSWERED,
    (CommandStatus.DISPATCHED, CommandHappening.REJECTED): CommandStatus.REJECTED,
    (CommandStatus.DISPATCHED, CommandHappening.CALL_ERROR): CommandStatus.CALL_ERROR,
    (CommandStatus.DISPATCHED, CommandHappening.TIMED_OUT): CommandStatus.TIMED_OUT,
    (CommandStatus.DISPATCHED, CommandHappening.LOST): CommandStatus.UNKNOWN,
    # A gateway that never reported at all: it may have been sent.
    (CommandStatus.DISPATCHED, CommandHappening.DEADLINE_PASSED): CommandStatus.UNKNOWN,
}


def next_command_status(status: CommandStatus, happening: CommandHappening) -> CommandStatus:
    """Where a command goes. Raises ForbiddenTransitionError: a late answer changes no outcome."""
    after = COMMAND_TRANSITIONS.get((status, happening))
    if after is None:
        raise ForbiddenTransitionError(status, happening)
    return after
