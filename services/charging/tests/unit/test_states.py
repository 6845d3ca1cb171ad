"""The state machines: every pair is either in the table or forbidden, and nobody leaves an end."""

import itertools

import pytest

from charging.domain.states import (
    COMMAND_FINAL,
    COMMAND_TRANSITIONS,
    START_REQUEST_TRANSITIONS,
    TRANSACTION_TRANSITIONS,
    CommandHappening,
    CommandStatus,
    ForbiddenTransitionError,
    StartRequestHappening,
    StartRequestState,
    TransactionHappening,
    TransactionState,
    next_command_status,
    next_start_request_state,
    next_transaction_state,
)

MACHINES = [
    (TransactionState, TransactionHappening, TRANSACTION_TRANSITIONS, next_transaction_state),
    (StartRequestState, StartRequestHappening, START_REQUEST_TRANSITIONS, next_start_request_state),
    (CommandStatus, CommandHappening, COMMAND_TRANSITIONS, next_command_status),
]
PAIRS = [
    pytest.param(table, step, state, happening, id=f"{states.__name__}/{state}/{happening}")
    for states, happenings, table, step in MACHINES
    for state, happening in itertools.product(states, happenings)
]

EXPECTED_TRANSACTION = """
              METER_VALUES  DROPPED    BOOTED     FINALIZED
  STARTED     RUNNING       SUSPENDED  SUSPENDED  STOPPED
  RUNNING     RUNNING       SUSPENDED  SUSPENDED  STOPPED
  SUSPENDED   RUNNING       SUSPENDED  SUSPENDED  STOPPED
  STOPPED     -             -          -          -
"""
EXPECTED_START_REQUEST = """
              TRANSACTION_STARTED  REFUSED  DEADLINE_PASSED
  REQUESTED   STARTED              REFUSED  EXPIRED
  STARTED     -                    -        -
  REFUSED     -                    -        -
  EXPIRED     -                    -        -
"""
EXPECTED_COMMAND = """
              DISPATCHED  NOT_SENT  ANSWERED  REJECTED  CALL_ERROR  TIMED_OUT  LOST     DEADLINE_PASSED
  PENDING     DISPATCHED  -         -         -         -           -          -        EXPIRED
  DISPATCHED  -           PENDING   ANSWERED  REJECTED  CALL_ERROR  TIMED_OUT  UNKNOWN  UNKNOWN
  ANSWERED    -           -         -         -         -           -          -        -
  REJECTED    -           -         -         -         -           -          -        -
  CALL_ERROR  -           -         -         -         -           -          -        -
  TIMED_OUT   -           -         -         -         -           -          -        -
  UNKNOWN     -           -         -         -         -           -          -        -
  EXPIRED     -           -         -         -         -           -          -        -
"""


def _read(expected):
    header, *lines = expected.strip("\n").splitlines()
    happenings = header.split()
    return {
        (state, happening): None if after == "-" else after
        for state, *afters in (line.split() for line in lines)
        for happening, after in zip(happenings, afters, strict=True)
    }


@pytest.mark.parametrize(("table", "step", "state", "happening"), PAIRS)
def test_every_pair_is_as_written_here(table, step, state, happening):
    expected = {
        TransactionState: _read(EXPECTED_TRANSACTION),
        StartRequestState: _read(EXPECTED_START_REQUEST),
        CommandStatus: _read(EXPECTED_COMMAND),
    }[type(state)]
    after = expected[state.value, happening.value]
    if after is None:
        assert (state, happening) not in table
        with pytest.raises(ForbiddenTransitionError, match=happening.value):
            step(state, happening)
    else:
        assert step(state, happening) == after


def test_ends_are_ends():
    assert {s for s in CommandStatus if not any(pair[0] is s for pair in COMMAND_TRANSITIONS)} == COMMAND_FINAL
