"""Who may start, when silence ends, how a stop escalates, what a command's answer means."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from charging.domain.commands import OPERATIONS, happening_of, priority_of
from charging.domain.deadlines import (
    ConnectorKind,
    SuspensionCause,
    cause_of,
    is_stale,
    should_use_grace_period,
    suspension_deadline,
)
from charging.domain.errors import InvalidCommandError
from charging.domain.limits import DEFAULT_LIMITS
from charging.domain.start import Place, Tariff, normalise_id_tag, planned_changes, refusal, tariff_in_force
from charging.domain.states import CommandHappening
from charging.domain.stopping import DEFAULT_ESCALATION, StopMeans, means_of_attempt, stop_command
from charging.ocpp_schemas import check_command
from charging.subscriptions import NEWS
from charging.usecases.handle_batch import _rounds
from chassis.messaging import Received
from contracts.charging import StartRefusal
from contracts.ocpp_gateway import (
    CommandOutcome,
    DisconnectReason,
    FirmwareStatusReceived,
    StatusNotificationReceived,
    UnparsedMeterValuesReceived,
)

NOW = datetime(2026, 1, 5, 4, 30, tzinfo=UTC)
FREE = Place(
    charger_known=True,
    enabled=True,
    online=True,
    operative=True,
    connector_operative=True,
    connector_exists=True,
    connector_status="Preparing",
    active_transaction=False,
    pending_request=False,
    late_energy=False,
    has_tariff=True,
)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"connector_status": "Available"}, None),
        ({"connector_status": "Finishing"}, None),  # the charger itself knows whether it takes a start there
        ({"connector_status": "Unknown"}, None),
        ({"charger_known": False}, StartRefusal.UNKNOWN_CHARGER),
        ({"enabled": False}, StartRefusal.CONNECTOR_UNAVAILABLE),
        ({"operative": False}, StartRefusal.CONNECTOR_UNAVAILABLE),
        ({"connector_operative": False}, StartRefusal.CONNECTOR_UNAVAILABLE),
        ({"online": False}, StartRefusal.CHARGER_OFFLINE),
        ({"connector_exists": False}, StartRefusal.CONNECTOR_UNAVAILABLE),
        ({"connector_status": "Unavailable"}, StartRefusal.CONNECTOR_UNAVAILABLE),
        ({"connector_status": "Faulted"}, StartRefusal.CONNECTOR_FAULTED),
        ({"connector_status": "Charging"}, StartRefusal.CONNECTOR_BUSY),
        ({"connector_status": "SuspendedEV"}, StartRefusal.CONNECTOR_BUSY),
        ({"connector_status": "Reserved"}, StartRefusal.CONNECTOR_BUSY),
        ({"active_transaction": True}, StartRefusal.CONNECTOR_BUSY),
        ({"pending_request": True}, StartRefusal.CONNECTOR_BUSY),
        ({"late_energy": True}, StartRefusal.CONNECTOR_BUSY),
        ({"has_tariff": False}, StartRefusal.NO_TARIFF),
    ],
)
def test_who_may_start(change, reason):
    refused = refusal(replace(FREE, **change))
    assert (refused[0] if refused is not None else None) is reason
    assert refused is None or refused[1].endswith(".")


@pytest.mark.parametrize(
    ("sent", "compared"),
    [
        ("abc123", "ABC123"),
        (" F6 CA 0C C5", "F6CA0CC5"),
        ("x;TAG", "TAG"),
        ("tag\0", "TAG"),
        ("A-b_c.d:e", "A-B_C.D:E"),
        ("", ""),
    ],
)
def test_altered_tags_compare_equal(sent, compared):
    assert normalise_id_tag(sent) == compared


def test_the_most_specific_tariff_in_its_latest_version_is_in_force():
    def tariff(number, *, station=None, charger=None, hours=0):
        return Tariff(number, station, charger, 1800, 1800, NOW + timedelta(hours=hours))

    everywhere, station, newer, charger = (
        tariff(1, hours=-9),
        tariff(2, station=7, hours=-9),
        tariff(3, station=7, hours=-1),
        tariff(4, charger=8, hours=1),
    )
    for order in itertools.permutations([everywhere, station, newer, charger]):
        assert tariff_in_force(order, NOW) == newer
        assert tariff_in_force(order, NOW + timedelta(hours=1)) == charger
        assert tariff_in_force(order, NOW - timedelta(hours=10)) is None


def test_a_planned_change_is_when_another_tariff_comes_to_hold():
    def tariff(number, *, station=None, charger=None, hours=0):
        return Tariff(number, station, charger, 1800, 1800, NOW + timedelta(hours=hours))

    now, everywhere, station, same_hour = (
        tariff(1, hours=-8),
        tariff(2, hours=1),
        tariff(3, station=7, hours=2),
        tariff(4, hours=1),
    )
    shadowed = tariff(5, hours=3)  # the station's own goes on
    hidden = tariff(6, hours=-9)
    known = [now, everywhere, station, same_hour, shadowed, hidden]
    changes = [(NOW + timedelta(hours=1), same_hour), (NOW + timedelta(hours=2), station)]
    assert planned_changes(known, NOW) == planned_changes(known[::-1], NOW) == changes
    assert planned_changes(known, NOW + timedelta(hours=1)) == changes[1:]
    assert planned_changes([everywhere], NOW) == [(NOW + timedelta(hours=1), everywhere)]
    assert planned_changes([], NOW) == []


def test_how_long_a_suspension_lasts():
    at, activity = NOW, NOW - timedelta(seconds=30)

    def seconds(cause, activity=activity, **again):
        return (suspension_deadline(cause, at, activity, DEFAULT_LIMITS, **again) - at).total_seconds()

    assert seconds(SuspensionCause.DISCONNECT) == 180
    assert seconds(SuspensionCause.GATEWAY) == 900
    assert seconds(SuspensionCause.BOOT) == 180
    # The guard's own end is its first stale moment: exactly 900 s still resume.
    assert seconds(SuspensionCause.RETURNED) == 870.000001
    assert seconds(SuspensionCause.BOOT, NOW - timedelta(seconds=800)) == 100.000001
    # A drop gives its whole window, for the StopTransaction it may bring; another one of a suspended session is bounded.
    assert seconds(SuspensionCause.DISCONNECT, NOW - timedelta(seconds=800)) == 180
    assert seconds(SuspensionCause.DISCONNECT, NOW - timedelta(seconds=800), again=True) == 100.000001
    assert seconds(SuspensionCause.GATEWAY, again=True) == 870.000001
    assert seconds(SuspensionCause.DISCONNECT, NOW - timedelta(seconds=1000), again=True) == 0
    assert seconds(SuspensionCause.RETURNED, NOW - timedelta(seconds=1000)) == 0
    assert cause_of(DisconnectReason.GATEWAY_LOST) is SuspensionCause.GATEWAY
    assert cause_of(DisconnectReason.HEARTBEAT_TIMEOUT) is SuspensionCause.DISCONNECT


@pytest.mark.parametrize(("microseconds", "stale"), [(0, False), (1, True), (-1, False)])
def test_exactly_900_seconds_are_not_stale(microseconds, stale):
    assert is_stale(NOW, NOW + timedelta(seconds=900, microseconds=microseconds), DEFAULT_LIMITS) is stale


def test_only_a_sockets_available_begins_a_grace():
    statuses = [
        "Available",
        "Preparing",
        "Charging",
        "SuspendedEV",
        "SuspendedEVSE",
        "Finishing",
        "Reserved",
        "Unavailable",
        "Faulted",
    ]
    graced = [(kind, status) for kind in ConnectorKind for status in statuses if should_use_grace_period(kind, status)]
    assert graced == [(ConnectorKind.SOCKET, "Available")]


def test_a_stop_escalates_each_means_once():
    means: list[StopMeans] = []
    for attempt in range(1, 8):
        means.append(means_of_attempt(attempt, DEFAULT_ESCALATION, means))
    remote = StopMeans.REMOTE_STOP
    # A third plain stop, sent while nothing was known of the energy, takes none of them away.
    assert means_of_attempt(4, DEFAULT_ESCALATION, [remote] * 3) is StopMeans.PROFILE_ZERO
    assert means == [remote, remote, StopMeans.PROFILE_ZERO, StopMeans.INOPERATIVE, StopMeans.RESET_HARD, remote, remote]


def test_every_stop_is_valid_ocpp():
    for means, attempt in itertools.product(StopMeans, (1, 2)):
        check_command(*stop_command(means, transaction_id=2**40, reported_transaction_id=77, attempt=attempt, connector_id=1))
    _, payload = stop_command(StopMeans.REMOTE_STOP, transaction_id=5, reported_transaction_id=77, attempt=2, connector_id=1)
    assert payload == {"transactionId": 77}


@pytest.mark.parametrize("reported_first", [True, False])
def test_a_model_known_to_keep_another_id_is_told_by_that_one_first(reported_first):  # row 51
    told = [
        stop_command(
            StopMeans.REMOTE_STOP,
            transaction_id=5,
            reported_transaction_id=77,
            attempt=attempt,
            connector_id=1,
            reported_first=reported_first,
        )[1]["transactionId"]
        for attempt in (1, 2, 3)
    ]
    assert told == ([77, 5, 77] if reported_first else [5, 77, 5])


def test_every_operation_of_a_central_system_has_its_schema():
    assert len(OPERATIONS) == 19
    for action in OPERATIONS:
        with pytest.raises(InvalidCommandError, match=action):
            check_command(action, {"nonsense": True})
    check_command("GetConfiguration", {})
    check_command("TriggerMessage", {"requestedMessage": "MeterValues", "connectorId": 1})


@pytest.mark.parametrize(
    ("outcome", "response", "happening"),
    [
        (CommandOutcome.ANSWERED, {"status": "Accepted"}, CommandHappening.ANSWERED),
        (CommandOutcome.ANSWERED, {"status": "Scheduled"}, CommandHappening.ANSWERED),
        (CommandOutcome.ANSWERED, {"status": "RebootRequired"}, CommandHappening.ANSWERED),
        (CommandOutcome.ANSWERED, {"configurationKey": []}, CommandHappening.ANSWERED),
        (CommandOutcome.ANSWERED, None, CommandHappening.ANSWERED),
        (CommandOutcome.ANSWERED, {"status": "Rejected"}, CommandHappening.REJECTED),
        (CommandOutcome.ANSWERED, {"status": "UnlockFailed"}, CommandHappening.REJECTED),
        (CommandOutcome.CALL_ERROR, None, CommandHappening.CALL_ERROR),
        (CommandOutcome.NOT_SENT, None, CommandHappening.NOT_SENT),
        (CommandOutcome.TIMED_OUT, None, CommandHappening.TIMED_OUT),
        (CommandOutcome.CONNECTION_LOST, None, CommandHappening.LOST),
        (CommandOutcome.UNKNOWN, None, CommandHappening.LOST),
    ],
)
def test_what_an_outcome_means(outcome, response, happening):
    assert happening_of(outcome, response) is happening


def test_stops_go_first():
    assert priority_of("RemoteStopTransaction") < priority_of("RemoteStartTransaction") < priority_of("Reset")


def test_a_batch_keeps_each_chargers_order_and_takes_meter_values_and_news_together():
    models = {
        "meter": lambda head: UnparsedMeterValuesReceived(**head, connector_id=1),
        "news": lambda head: StatusNotificationReceived(**head, connector_id=1, status="Available"),
        "other": lambda head: FirmwareStatusReceived(**head, status="Idle"),
    }
    batch = []
    for number, (name, kind) in enumerate(
        [
            ("A", "meter"),
            ("B", "news"),
            ("A", "meter"),
            ("A", "news"),
            ("C", "other"),
            ("B", "meter"),
            ("A", "news"),
            ("A", "other"),
            ("C", "other"),
            ("A", "news"),
            ("C", "meter"),
            ("A", "meter"),
            ("B", "other"),
        ]
    ):
        head = {"charge_point_id": name, "epoch": 1, "seq": number, "received_at": NOW, "gateway": "g"}
        received = Received(type="-", message_id=f"{name}{number}", data=None, occurred_at=NOW, queue="q")
        received.model = models[kind](head)
        batch.append(received)
    rounds = [[[r.message_id for r in kind] for kind in each] for each in _rounds(batch, NEWS)]
    assert rounds == [
        [["A0", "A2"], ["B1", "A3", "A6"], ["C4", "A7", "C8"]],
        [["B5", "C10"], ["A9"], ["B12"]],
        [["A11"], [], []],
    ]
