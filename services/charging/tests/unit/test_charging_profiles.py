"""Charging profiles: what the specification allows, what a charger can, and what several of them come to."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from charging.domain.charging_profiles import (
    Capabilities,
    Kind,
    Period,
    Profile,
    Purpose,
    RateUnit,
    Recurrency,
    capabilities_of,
    clears,
    complaints,
    read_profile,
    replaces,
)
from charging.domain.composite_schedule import compose, in_unit
from charging.domain.errors import InvalidCommandError
from charging.domain.offline_cap import cap_payload, offline_cap
from charging.ocpp_schemas import check_command

AT = datetime(2026, 1, 5, 4, 30, tzinfo=UTC)
DAY = 86_400

DEFAULT = Profile(
    connector_id=1,
    profile_id=1,
    purpose=Purpose.TX_DEFAULT,
    stack_level=0,
    kind=Kind.ABSOLUTE,
    unit=RateUnit.AMPERE,
    periods=(Period(0, Decimal(16)),),
    start_at=AT,
)


def steps(*pairs):
    return tuple(Period(start, Decimal(str(limit))) for start, limit in pairs)


# --- what is allowed --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"purpose": Purpose.CHARGE_POINT_MAX}, "connectorId 0"),
        ({"purpose": Purpose.CHARGE_POINT_MAX, "connector_id": 0, "kind": Kind.RELATIVE, "start_at": None}, "can't be Relative"),
        ({"purpose": Purpose.TX, "connector_id": 0}, "one connector's transaction"),
        ({"transaction_id": 7}, "TxProfile only"),
        ({"stack_level": -1}, "stackLevel"),
        ({"connector_id": -1}, "connectorId"),
        ({"valid_from": AT, "valid_to": AT}, "validFrom"),
        ({"kind": Kind.RELATIVE}, "no startSchedule"),
        ({"start_at": None}, "needs startSchedule"),
        ({"kind": Kind.RECURRING}, "recurrencyKind"),
        ({"recurrency": Recurrency.DAILY}, "recurrencyKind"),
        ({"kind": Kind.RECURRING, "recurrency": Recurrency.DAILY, "duration_seconds": DAY + 1}, "longer than Daily"),
        ({"duration_seconds": 0}, "duration must be positive"),
        ({"periods": ()}, "at least one"),
        ({"periods": steps((1, 16))}, "start at 0"),
        ({"periods": steps((0, 16), (60, 8), (60, 6))}, "ascend"),
        ({"periods": steps((0, 16), (60, 8)), "duration_seconds": 60}, "after the schedule has ended"),
        ({"periods": steps((0, -1))}, "negative"),
        ({"periods": steps((0, 6.25))}, "one digit"),
        ({"periods": (Period(0, Decimal(6), 4),)}, "numberPhases"),
    ],
)
def test_what_the_specification_forbids(changes, says):
    assert complaints(DEFAULT) == []
    [found] = complaints(replace(DEFAULT, **changes))
    assert says in found


@pytest.mark.parametrize(
    ("configuration", "says"),
    [
        ({"chargeprofilemaxstacklevel": "0"}, "stackLevel up to 0"),
        ({"chargingschedulemaxperiods": "1"}, "up to 1 periods"),
        ({"chargingscheduleallowedchargingrateunit": "Power"}, "limits in W only"),
        ({"supportedfeatureprofiles": "Core,Reservation"}, "SmartCharging"),
    ],
)
def test_what_a_charger_can_not(configuration, says):
    profile = replace(DEFAULT, stack_level=1, periods=steps((0, 16), (60, 8)))
    assert complaints(profile) == []
    [found] = complaints(profile, capabilities_of(configuration))
    assert says in found


def test_what_a_charger_says_of_itself_is_read_as_chargers_write_it():
    can = capabilities_of(
        {
            "chargeprofilemaxstacklevel": " 8 ",
            "chargingschedulemaxperiods": "many",
            "chargingscheduleallowedchargingrateunit": '"Current", "W"',
            "supportedfeatureprofiles": "Core, Smart Charging",
        }
    )
    assert can == Capabilities(stack_level_max=8, units=frozenset(RateUnit), smart_charging=True)
    assert complaints(replace(DEFAULT, stack_level=8), can) == []


def test_a_profile_is_read_from_its_own_words():
    said = {
        "chargingProfileId": 3,
        "transactionId": 7,
        "stackLevel": 2,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Recurring",
        "recurrencyKind": "Weekly",
        "validFrom": "2026-01-05T04:30:00.900Z",
        "validTo": "2026-01-06T10:00:00+05:30",
        "chargingSchedule": {
            "duration": 3600,
            "startSchedule": "2026-01-05T04:30:00",
            "chargingRateUnit": "W",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 11000.1, "numberPhases": 3}],
        },
    }
    assert read_profile(1, said) == Profile(
        connector_id=1,
        profile_id=3,
        purpose=Purpose.TX,
        stack_level=2,
        kind=Kind.RECURRING,
        unit=RateUnit.WATT,
        periods=(Period(0, Decimal("11000.1"), 3),),
        recurrency=Recurrency.WEEKLY,
        transaction_id=7,
        valid_from=AT,
        valid_to=AT + timedelta(days=1),
        start_at=AT,
        duration_seconds=3600,
    )
    said["validTo"] = "tomorrow"
    with pytest.raises(ValueError, match="validTo: 'tomorrow'"):
        read_profile(1, said)


TX_PROFILE = {
    "chargingProfileId": 1,
    "stackLevel": 0,
    "chargingProfilePurpose": "TxProfile",
    "chargingProfileKind": "Relative",
    "chargingSchedule": {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.1}]},
}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"chargingProfilePurpose": "TxDefaultProfile"}, "must be a TxProfile"),
        ({"transactionId": 7}, "without transactionId"),
        ({"chargingProfileKind": "Absolute"}, "startSchedule"),
    ],
)
def test_a_remote_start_brings_a_tx_profile_or_none(changes, says):
    request = {"idTag": "A1", "connectorId": 1}
    check_command("RemoteStartTransaction", request)
    check_command("RemoteStartTransaction", request | {"chargingProfile": TX_PROFILE})
    with pytest.raises(InvalidCommandError, match=says):
        check_command("RemoteStartTransaction", request | {"chargingProfile": TX_PROFILE | changes})


# --- which others it replaces or clears -------------------------------------------------------------------------------


def test_a_profile_replaces_the_one_in_its_place_and_the_one_of_its_id():
    other = replace(DEFAULT, profile_id=2)
    assert replaces(other, DEFAULT)
    for change in ({"stack_level": 1}, {"connector_id": 2}, {"purpose": Purpose.TX}):
        assert not replaces(replace(other, **change), DEFAULT)
        assert replaces(replace(DEFAULT, **change), DEFAULT)  # the same id


@pytest.mark.parametrize(
    ("request_", "cleared"),
    [
        ({}, {1, 2, 3}),
        ({"id": 2}, {2}),
        ({"id": 9}, set()),
        ({"id": 2, "connectorId": 1}, {2}),
        ({"connectorId": 1}, {1, 3}),
        ({"connectorId": 0}, {2}),
        ({"chargingProfilePurpose": "TxDefaultProfile"}, {1, 3}),
        ({"stackLevel": 0}, {1, 2}),
        ({"stackLevel": 0, "connectorId": 1, "chargingProfilePurpose": "TxDefaultProfile"}, {1}),
    ],
)
def test_a_clear_means_the_id_or_all_that_is_given(request_, cleared):
    held = (
        DEFAULT,
        replace(DEFAULT, profile_id=2, connector_id=0, purpose=Purpose.CHARGE_POINT_MAX),
        replace(DEFAULT, profile_id=3, stack_level=1),
    )
    assert {profile.profile_id for profile in held if clears(request_, profile)} == cleared


# --- what they come to ------------------------------------------------------------------------------------------------


def composed(profiles, *, connector_id=1, seconds=3600, unit=RateUnit.AMPERE, started_at=None):
    periods = compose(
        profiles, connector_id=connector_id, at=AT, duration_seconds=seconds, unit=unit, transaction_started_at=started_at
    )
    return [(period.start_seconds, None if period.limit is None else float(period.limit)) for period in periods]


def test_nothing_limits_where_nothing_is_set():
    assert composed([]) == [(0, None)]


def test_the_highest_level_leads_and_leaves_the_lead_when_it_runs_out():
    high = replace(DEFAULT, profile_id=2, stack_level=3, periods=steps((0, 10), (600, 8)), duration_seconds=1200)
    later = replace(DEFAULT, profile_id=3, stack_level=5, valid_from=AT + timedelta(seconds=300), periods=steps((0, 32)))
    ends = replace(later, valid_to=AT + timedelta(seconds=900))
    assert composed([DEFAULT, high]) == [(0, 10), (600, 8), (1200, 16)]
    assert composed([DEFAULT, high, ends]) == [(0, 10), (300, 32), (900, 8), (1200, 16)]


def test_a_tx_profile_overrules_defaults_whatever_their_level_and_the_maximum_bounds_both():
    tx = replace(
        DEFAULT, profile_id=2, purpose=Purpose.TX, kind=Kind.RELATIVE, start_at=None, periods=steps((0, 20)), duration_seconds=900
    )
    default = replace(DEFAULT, profile_id=3, stack_level=9)
    maximum = replace(
        DEFAULT, profile_id=4, purpose=Purpose.CHARGE_POINT_MAX, connector_id=0, periods=steps((0, 32), (300, 12), (1800, 32))
    )
    began = AT - timedelta(seconds=300)
    assert composed([tx, default], started_at=began) == [(0, 20), (600, 16)]
    assert composed([tx, default, maximum], started_at=began) == [(0, 20), (300, 12), (1800, 16)]
    assert composed([tx, default, maximum], connector_id=0) == [(0, 32), (300, 12), (1800, 32)]


def test_a_connectors_own_default_goes_before_that_of_all_connectors():
    everywhere = replace(DEFAULT, connector_id=0, profile_id=9, periods=steps((0, 6)))
    assert composed([everywhere, DEFAULT]) == [(0, 16)]
    assert composed([everywhere, DEFAULT], connector_id=2) == [(0, 6)]
    assert composed([replace(everywhere, stack_level=1), DEFAULT]) == [(0, 6)]


def test_a_daily_profile_begins_again_every_day():
    night = replace(
        DEFAULT,
        kind=Kind.RECURRING,
        recurrency=Recurrency.DAILY,
        start_at=AT - timedelta(days=3, seconds=-600),
        periods=steps((0, 6), (3600, 32)),
    )
    assert composed([night], seconds=DAY) == [(0, 32), (600, 6), (4200, 32)]
    assert composed([replace(night, start_at=AT + timedelta(seconds=600))]) == [(0, None), (600, 6)]


def test_watts_and_amperes_are_compared_at_nominal_voltage():
    watts = replace(DEFAULT, profile_id=2, purpose=Purpose.CHARGE_POINT_MAX, connector_id=0, unit=RateUnit.WATT)
    watts = replace(watts, periods=(Period(0, Decimal(6900), 3),))
    assert composed([DEFAULT, watts]) == [(0, 10)]
    assert composed([DEFAULT, watts], unit=RateUnit.WATT) == [(0, 6900)]
    assert in_unit(Period(0, Decimal(16), 1), RateUnit.AMPERE, RateUnit.WATT) == 3680
    assert in_unit(Period(0, Decimal(100), 1), RateUnit.WATT, RateUnit.AMPERE) == Decimal("0.4")  # 0.43, never above


# A second reading of the same rules, second by second, which knows nothing of turning points.


def offset(moment):
    return None if moment is None else int((moment - AT).total_seconds())


def plainly(profile):
    """Whole seconds from AT on, and nothing that needs a calendar."""
    length = {None: None, Recurrency.DAILY: DAY, Recurrency.WEEKLY: 7 * DAY}[profile.recurrency]
    starts = [(period.start_seconds, period.limit) for period in profile.periods]
    times = [offset(moment) for moment in (profile.valid_from, profile.valid_to, profile.start_at)]
    return profile, *times, length, profile.duration_seconds, starts


def by_the_second(plain, connector_id, second, began):
    def value(valid_from, valid_to, start, length, duration, starts):
        if (valid_from is not None and second < valid_from) or (valid_to is not None and second >= valid_to):
            return None
        into = second - (began if start is None else start)
        if length is not None and into >= 0:
            into %= length
        if into < 0 or (duration is not None and into >= duration):
            return None
        return [limit for begin, limit in starts if begin <= into][-1]

    def lead(purpose):
        candidates = [(p, rest) for p, *rest in plain if p.purpose is purpose and p.connector_id in (0, connector_id)]
        candidates.sort(key=lambda c: (c[0].stack_level, c[0].connector_id != 0, c[0].profile_id), reverse=True)
        return next((limit for _, rest in candidates if (limit := value(*rest)) is not None), None)

    own = lead(Purpose.TX)
    own = lead(Purpose.TX_DEFAULT) if own is None else own
    return min((limit for limit in (own, lead(Purpose.CHARGE_POINT_MAX)) if limit is not None), default=None)


WINDOW = 120
seconds_near = st.integers(-WINDOW, WINDOW)


@st.composite
def profiles(draw, number):
    purpose = draw(st.sampled_from(Purpose))
    kind = draw(st.sampled_from([Kind.ABSOLUTE, Kind.RECURRING] if purpose is Purpose.CHARGE_POINT_MAX else list(Kind)))
    recurrency = draw(st.sampled_from(Recurrency)) if kind is Kind.RECURRING else None
    # So near to a recurrence of the schedule that its turn falls into the window now and then.
    ago = draw(st.sampled_from([0, 0, DAY, 7 * DAY])) if kind is Kind.RECURRING else 0
    starts = sorted({0} | draw(st.sets(st.integers(1, WINDOW), max_size=3)))
    duration = draw(st.none() | st.integers(starts[-1] + 1, 2 * WINDOW))
    valid_from = draw(st.none() | seconds_near)
    valid_to = draw(st.none() | st.integers((valid_from if valid_from is not None else -WINDOW) + 1, 2 * WINDOW))
    connector = {Purpose.CHARGE_POINT_MAX: 0, Purpose.TX: 1}.get(purpose)
    return Profile(
        connector_id=draw(st.integers(0, 2)) if connector is None else connector,
        profile_id=number,
        purpose=purpose,
        stack_level=draw(st.integers(0, 2)),
        kind=kind,
        unit=RateUnit.AMPERE,
        periods=tuple(Period(start, Decimal(draw(st.integers(0, 4)))) for start in starts),
        recurrency=recurrency,
        valid_from=AT + timedelta(seconds=valid_from) if valid_from is not None else None,
        valid_to=AT + timedelta(seconds=valid_to) if valid_to is not None else None,
        start_at=None if kind is Kind.RELATIVE else AT + timedelta(seconds=draw(seconds_near) - ago),
        duration_seconds=duration,
    )


@st.composite
def stacks(draw):
    return [draw(profiles(number)) for number in range(draw(st.integers(0, 5)))]


@given(stack=stacks(), began=seconds_near)
@example(stack=[replace(DEFAULT, kind=Kind.RECURRING, recurrency=Recurrency.WEEKLY, duration_seconds=60)], began=0)
def test_the_composite_is_what_each_second_says(stack, began):
    assert all(complaints(profile) == [] for profile in stack)
    periods = compose(
        stack,
        connector_id=1,
        at=AT,
        duration_seconds=WINDOW,
        unit=RateUnit.AMPERE,
        transaction_started_at=AT + timedelta(seconds=began),
    )
    assert periods[0].start_seconds == 0
    assert all(a.start_seconds < b.start_seconds < WINDOW for a, b in pairwise(periods))
    plain = [plainly(profile) for profile in stack]
    for second in range(WINDOW):
        in_force = [period for period in periods if period.start_seconds <= second][-1]
        assert in_force.limit == by_the_second(plain, 1, second, began), second


# --- the offline-safe cap ---------------------------------------------------------------------------------------------


def test_a_cap_falls_when_the_budget_could_be_used_up_and_is_looked_at_halfway():
    cap = offline_cap(affordable_wh=3700, used_wh=0, rated_power_w=7400)
    assert (cap.seconds, cap.renew_after_seconds) == (1800, 900)
    assert offline_cap(affordable_wh=3700, used_wh=3600, rated_power_w=7400).renew_after_seconds is None
    assert offline_cap(affordable_wh=3700, used_wh=3800, rated_power_w=7400).seconds == 0


@given(affordable=st.integers(0, 10**6), used=st.integers(0, 10**6), rated=st.integers(1, 2_000_000), elapsed=st.integers(0, DAY))
def test_a_cap_never_lets_more_through_than_the_budget_and_is_a_profile(affordable, used, rated, elapsed):
    cap = offline_cap(affordable_wh=affordable, used_wh=used, rated_power_w=rated)
    assert rated * cap.seconds <= max(0, affordable - used) * 3600
    payload = cap_payload(
        cap,
        connector_id=1,
        transaction_id=2**31 + 5,
        reported_transaction_id=None,
        elapsed_seconds=elapsed,
        rated_power_w=rated,
        can=Capabilities(units=frozenset({RateUnit.WATT})) if rated % 2 else Capabilities(),
    )
    check_command("SetChargingProfile", payload)
    profile = read_profile(1, payload["csChargingProfiles"])
    assert (profile.profile_id, profile.stack_level) == (5, 0)
    first, last = profile.periods
    assert last == Period(max(1, elapsed + cap.seconds), Decimal("0.0"))
    # What comes before it holds nobody back.
    assert in_unit(replace(first, phases=1), profile.unit, RateUnit.WATT) >= rated
