"""A session's life by itself: its deadlines, its guard, its flap count, its connector's word (architecture.md §4)."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta

import pytest

from charging.domain.deadlines import SuspensionCause, cause_of
from charging.domain.energy import start_meter
from charging.domain.limits import DEFAULT_LIMITS
from charging.domain.samples import Reading
from charging.domain.states import TransactionState
from charging.domain.transaction import Transaction
from contracts.charging import StopReason
from contracts.ocpp_gateway import DisconnectReason

BEGIN = datetime(2026, 1, 5, 4, 30, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)


def at(seconds):
    return BEGIN + timedelta(seconds=seconds)


def session(kind="type2"):
    """A session of a staff tag that has just begun."""
    given = {
        "state": TransactionState.STARTED,
        "connector_kind": kind,
        "rated_power_w": 7200,
        "meter": start_meter(meter_start_wh=0, received_at=BEGIN, charger_at=BEGIN),
        "last_activity_at": BEGIN,
        "last_progress_at": BEGIN,
    }
    counts = ("subject_version", "resume_count", "disconnect_count", "disconnect_energy_wh", "late_wh")
    return Transaction(**dict.fromkeys((field.name for field in fields(Transaction)), None) | dict.fromkeys(counts, 0) | given)


def drop(transaction, seconds, cause=SuspensionCause.DISCONNECT):
    transaction.suspend(cause, at(seconds), DEFAULT_LIMITS)


def meter(transaction, seconds, energy_wh):
    transaction.meter_values(at(seconds), DEFAULT_LIMITS)
    transaction.read(Reading(0, at(seconds), energy_wh, 1, None, None), at(seconds), DEFAULT_LIMITS)


def test_the_third_drop_in_a_row_without_energy_is_one_too_many():
    transaction = session()
    assert [transaction.count_disconnect(DEFAULT_LIMITS) for _ in range(3)] == [False, False, True]


@pytest.mark.parametrize(("between_wh", "ends"), [(9, True), (10, False)])
def test_less_than_10_wh_between_two_drops_are_no_progress(between_wh, ends):
    transaction = session()
    for n in range(3):
        meter(transaction, 30 * (n + 1), between_wh * (n + 1))
        ended = transaction.count_disconnect(DEFAULT_LIMITS)
    assert (transaction.disconnect_count, ended) == ((3, True) if ends else (1, False))


@pytest.mark.parametrize(
    ("reason", "seconds"),
    [
        (DisconnectReason.CLOSED, 180),
        (DisconnectReason.HEARTBEAT_TIMEOUT, 180),
        (DisconnectReason.GATEWAY_STOPPING, 900),
        (DisconnectReason.GATEWAY_LOST, 900),
    ],
)
def test_how_long_a_dropped_socket_may_be_away(reason, seconds):
    transaction = session()
    drop(transaction, 60, cause_of(reason))
    assert transaction.suspension_deadline_at == at(60 + seconds)


def test_on_return_the_guard_counts_from_the_last_reading():
    transaction = session()
    meter(transaction, 100, 100)
    drop(transaction, 200)
    transaction.socket_returned(at(300), DEFAULT_LIMITS)
    assert transaction.suspension_deadline_at == at(1000) + MOMENT
    assert not transaction.stale_at(at(1000), DEFAULT_LIMITS)
    assert transaction.stale_at(at(1000) + MOMENT, DEFAULT_LIMITS)


def test_who_only_ever_dials_in_is_bounded_by_the_guard():
    transaction = session()
    for seconds in (700, 800, 850):
        drop(transaction, seconds)
        transaction.socket_returned(at(seconds + 10), DEFAULT_LIMITS)
    drop(transaction, 880)
    assert transaction.suspension_deadline_at == at(900) + MOMENT


def test_a_boot_gives_180_s_once_and_only_a_word_of_the_session_lifts_it():
    transaction = session()
    for seconds in (60, 100):
        drop(transaction, seconds, SuspensionCause.BOOT)
        transaction.socket_returned(at(seconds + 1), DEFAULT_LIMITS)
        assert (transaction.suspension_cause, transaction.suspension_deadline_at) == (SuspensionCause.BOOT, at(240))
    transaction.spoke_of_session(at(120), DEFAULT_LIMITS)
    assert transaction.suspension_deadline_at == at(900) + MOMENT


def test_a_sockets_grace_counts_from_the_last_energy_and_lives_by_energy_alone():
    transaction = session("socket")
    meter(transaction, 100, 100)
    meter(transaction, 150, 100)
    transaction.connector_free(at(200), DEFAULT_LIMITS)
    assert transaction.availability_deadline_at == at(400)
    meter(transaction, 210, 100)
    assert transaction.availability_deadline_at == at(400)
    meter(transaction, 220, 110)
    assert transaction.availability_deadline_at == at(520)
    transaction.connector_serves()
    assert (transaction.availability_reason, transaction.availability_deadline_at) == (None, None)


def test_a_connectors_word_waits_while_its_session_is_suspended():
    transaction = session("socket")
    transaction.connector_free(at(100), DEFAULT_LIMITS)
    drop(transaction, 110)
    assert transaction.availability_deadline_at is None
    meter(transaction, 200, 0)
    assert transaction.availability_deadline_at == at(500)


def test_a_suspended_type_2_is_not_ended_by_available():
    transaction = session()
    drop(transaction, 60)
    transaction.connector_free(at(100), DEFAULT_LIMITS)
    assert transaction.availability_reason is None
    meter(transaction, 120, 0)
    transaction.connector_free(at(130), DEFAULT_LIMITS)
    assert (transaction.availability_reason, transaction.availability_deadline_at) == (
        StopReason.CONNECTOR_UNAVAILABLE,
        at(135),
    )


def test_a_faults_end_stands():
    transaction = session()
    transaction.connector_gone(at(100), DEFAULT_LIMITS)
    transaction.connector_gone(at(103), DEFAULT_LIMITS)
    transaction.stop_intent = StopReason.CONNECTOR_UNAVAILABLE
    transaction.connector_serves()
    assert transaction.availability_deadline_at == at(105)
