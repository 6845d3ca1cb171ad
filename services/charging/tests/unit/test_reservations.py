"""Reservations and id tags: the pure rules."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from charging.domain.charging_profiles import (
    PROFILE_TRANSITIONS,
    ProfileHappening,
    ProfileState,
    next_profile_state,
)
from charging.domain.id_tags import id_tag_status, status_at_start
from charging.domain.local_list import (
    LOCAL_LIST_TRANSITIONS,
    LocalListHappening,
    LocalListState,
    next_local_list_state,
)
from charging.domain.reservations import (
    OPEN,
    RESERVATION_TRANSITIONS,
    ReservationHappening,
    ReservationState,
    entitles,
    is_reserved,
    next_reservation_state,
)
from charging.domain.states import ForbiddenTransitionError
from contracts.ocpp_gateway import IdTagStatus

NOW = datetime(2026, 1, 5, 4, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("states", "happenings", "table", "step"),
    [
        (ReservationState, ReservationHappening, RESERVATION_TRANSITIONS, next_reservation_state),
        (ProfileState, ProfileHappening, PROFILE_TRANSITIONS, next_profile_state),
        (LocalListState, LocalListHappening, LOCAL_LIST_TRANSITIONS, next_local_list_state),
    ],
)
def test_what_is_not_in_the_table_is_forbidden(states, happenings, table, step):
    for state, happening in product(states, happenings):
        if (state, happening) in table:
            assert step(state, happening) is table[state, happening]
        else:
            with pytest.raises(ForbiddenTransitionError):
                step(state, happening)


def test_a_reservation_that_has_ended_stays_so():
    ended = set(ReservationState) - OPEN
    assert {state for state, _ in RESERVATION_TRANSITIONS} == OPEN
    assert {ReservationState.REFUSED, ReservationState.USED, ReservationState.CANCELLED, ReservationState.EXPIRED} == ended


@pytest.mark.parametrize(
    ("id_tag", "parent", "reserved_parent", "may"),
    [
        ("A", None, None, True),
        ("B", None, None, False),
        ("B", "G", None, False),
        ("B", "G", "G", True),
        ("B", "H", "G", False),
        ("G", None, "G", True),  # the group's own tag
        ("A", None, "G", True),
    ],
)
def test_a_reservation_is_for_its_tag_and_its_group(id_tag, parent, reserved_parent, may):
    assert entitles(id_tag=id_tag, parent_id_tag=parent, reserved_for="A", reserved_parent=reserved_parent) is may


@pytest.mark.parametrize(
    ("connector", "reserved", "free", "kept"),
    [
        (1, [], [1, 2], False),
        (1, [1], [1, 2], True),
        (2, [1], [1, 2], False),
        (1, [0], [1, 2], False),
        (1, [0], [1], True),
        (1, [0, 0], [1, 2], True),
        (2, [0, 1], [1, 2], True),
        (2, [0, 1], [1, 2, 3], False),
    ],
)
def test_reservations_of_the_whole_charger_keep_as_many_connectors_free(connector, reserved, free, kept):
    assert is_reserved(connector, reserved=reserved, free=free) is kept


@pytest.mark.parametrize(
    ("enabled", "expires_in", "status"),
    [(True, None, "Accepted"), (True, 1, "Accepted"), (True, 0, "Expired"), (False, 1, "Blocked"), (False, -1, "Blocked")],
)
def test_what_a_tag_is_told(enabled, expires_in, status):
    expires_at = NOW + timedelta(seconds=expires_in) if expires_in is not None else None
    assert id_tag_status(enabled=enabled, expires_at=expires_at, at=NOW) == status


def test_only_a_tag_that_may_charge_can_charge_too_often():
    accepted = IdTagStatus.ACCEPTED
    assert status_at_start(accepted, running=1, concurrent_sessions_max=2) is accepted
    assert status_at_start(accepted, running=2, concurrent_sessions_max=2) is IdTagStatus.CONCURRENT_TX
    assert status_at_start(accepted, running=99, concurrent_sessions_max=None) is accepted
    assert status_at_start(IdTagStatus.BLOCKED, running=2, concurrent_sessions_max=1) is IdTagStatus.BLOCKED
