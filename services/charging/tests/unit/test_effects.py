"""What proves that a command did what it is for, and what does not (domain/effects.py)."""

from datetime import UTC, datetime, timedelta

import pytest

from charging.domain.commands import OPERATIONS
from charging.domain.effects import (
    Awaiting,
    Effect,
    EffectTimeouts,
    Happened,
    Sign,
    after_outcome,
    available_as_wished,
    expected_of,
    shows,
    waits_for,
)
from charging.domain.states import CommandStatus

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATER = AT + timedelta(seconds=2)
MINUTE = timedelta(seconds=60)


def command(action, payload, *, answered=True, epoch=7):
    status = CommandStatus.ANSWERED if answered else CommandStatus.DISPATCHED
    return Awaiting(action, payload, status, epoch, AT if answered else None)


def happened(sign, *, epoch=7, at=LATER, **what):
    return Happened(sign, epoch, at, **what)


def test_operations_without_a_visible_effect_wait_for_nothing():
    shown = {"Reset", "RemoteStartTransaction", "RemoteStopTransaction", "UnlockConnector", "ChangeAvailability"}
    for action in OPERATIONS - {"TriggerMessage"}:
        assert bool(expected_of(action, {})) == (action in shown), action
        assert (waits_for(action, {}) is None) == (action not in shown), action


def test_a_heartbeat_that_was_triggered_is_no_event_so_nothing_is_expected():
    assert waits_for("TriggerMessage", {"requestedMessage": "Heartbeat"}) is None
    assert waits_for("TriggerMessage", {"requestedMessage": "MeterValues", "connectorId": 2}) == "MeterValues with connectorId 2"


@pytest.mark.parametrize(
    ("reset", "boot", "proves"),
    [
        pytest.param({}, {}, True, id="after the answer, same socket"),
        pytest.param({"answered": False}, {}, False, id="before the answer, same socket: the boot of a fresh connection"),
        pytest.param({"answered": False}, {"epoch": 8}, True, id="the answer was lost with the old socket"),
        pytest.param({}, {"epoch": 6}, False, id="late news of an older connection"),
        pytest.param({}, {"at": AT - MINUTE}, False, id="before it"),
    ],
)
def test_a_reset_is_proved_by_the_boot_that_follows_it(reset, boot, proves):
    assert shows(command("Reset", {"type": "Hard"}, **reset), happened(Sign.BOOT, **boot)) is proves


def test_a_start_may_overtake_its_answer_and_counts_by_its_tag_alone():
    start = command("RemoteStartTransaction", {"idTag": "ab12", "connectorId": 1}, answered=False)
    assert shows(start, happened(Sign.START, id_tag=" AB12 ", connector_ids=frozenset({1})))
    assert not shows(start, happened(Sign.START, id_tag="OTHER", connector_ids=frozenset({1})))


def test_a_stop_counts_by_any_name_of_its_transaction():
    stop = command("RemoteStopTransaction", {"transactionId": 17}, answered=False)
    assert shows(stop, happened(Sign.STOP, transaction_ids=frozenset({99, 17})))
    assert not shows(stop, happened(Sign.STOP, transaction_ids=frozenset({18})))


def test_an_unlock_is_seen_by_its_connector_status_after_the_answer_or_by_the_end_of_its_session():
    unlock = command("UnlockConnector", {"connectorId": 2})
    assert shows(unlock, happened(Sign.STATUS, connector_ids=frozenset({2})))
    assert not shows(unlock, happened(Sign.STATUS, connector_ids=frozenset({1})))
    early = command("UnlockConnector", {"connectorId": 2}, answered=False)
    assert not shows(early, happened(Sign.STATUS, connector_ids=frozenset({2})))
    assert shows(early, happened(Sign.STOP, connector_ids=frozenset({2})))


def test_triggered_messages_of_connector_0_are_any_connectors():
    whole = command("TriggerMessage", {"requestedMessage": "StatusNotification", "connectorId": 0})
    assert shows(whole, happened(Sign.STATUS, connector_ids=frozenset({2})))
    assert not shows(whole, happened(Sign.METER_VALUES, connector_ids=frozenset({2})))


@pytest.mark.parametrize(
    ("payload", "statuses", "so"),
    [
        ({"connectorId": 1, "type": "Inoperative"}, {1: "Unavailable", 2: "Available"}, True),
        ({"connectorId": 1, "type": "Inoperative"}, {1: "Charging"}, False),
        ({"connectorId": 0, "type": "Inoperative"}, {1: "Unavailable", 2: "Available"}, False),
        ({"connectorId": 0, "type": "Inoperative"}, {0: "Unavailable", 1: "Unavailable", 2: "Unavailable"}, True),
        ({"connectorId": 0, "type": "Operative"}, {1: "Preparing", 2: "Available"}, True),
        ({"connectorId": 2, "type": "Operative"}, {2: "Faulted"}, False),
        ({"connectorId": 3, "type": "Operative"}, {2: "Available"}, False),
        ({"connectorId": 0, "type": "Operative"}, {}, False),
    ],
)
def test_availability_is_what_the_connectors_report(payload, statuses, so):
    assert available_as_wished(payload, statuses) is so


@pytest.mark.parametrize(
    ("effect", "status", "after"),
    [
        (Effect.AWAITED, CommandStatus.ANSWERED, Effect.AWAITED),
        (Effect.AWAITED, CommandStatus.TIMED_OUT, Effect.AWAITED),
        (Effect.AWAITED, CommandStatus.UNKNOWN, Effect.AWAITED),
        (Effect.AWAITED, CommandStatus.REJECTED, Effect.NONE_EXPECTED),
        (Effect.AWAITED, CommandStatus.EXPIRED, Effect.NONE_EXPECTED),
        (Effect.SEEN, CommandStatus.ANSWERED, Effect.SEEN),
        (Effect.SEEN, CommandStatus.REJECTED, Effect.NONE_EXPECTED),
        (Effect.NONE_EXPECTED, CommandStatus.ANSWERED, Effect.NONE_EXPECTED),
    ],
)
def test_outcome_and_sign_come_to_the_same_in_either_order(effect, status, after):
    step = after_outcome(effect, "StartTransaction CP/1/5", status=status, said="x", at=AT, timeout=MINUTE)
    assert step.effect is after
    assert step.due_at == (AT + MINUTE if after is Effect.AWAITED else None)


def test_a_hard_reset_has_less_time_than_a_soft_one():
    timeouts = EffectTimeouts()
    assert timeouts.of("Reset", {"type": "Hard"}) < timeouts.of("Reset", {"type": "Soft"})
