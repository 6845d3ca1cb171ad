"""Confirmed forward steps: what is billed, and what never is (ocpp.md Part 0)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charging.domain.energy import billable_wh, close, flowing_w, open_segment, plausible_wh, start_meter, take
from charging.domain.stopping import LATENCY_MAX_MS, LATENCY_MIN_MS, learn_latency

NOW = datetime(2026, 1, 5, 4, 30, tzinfo=UTC)
RATED_W = 7200  # 2 Wh a second
MARGIN = 1.2


def session(start_wh, readings, *, rated_power_w=RATED_W, resolution_wh=1):
    """A meter after readings (second, register) or (second, "boot"); the credited of the readings."""
    meter = start_meter(meter_start_wh=start_wh, received_at=NOW, charger_at=NOW)
    credited = []
    for second, value in readings:
        at = NOW + timedelta(seconds=second)
        if value == "boot":
            open_segment(meter)
            continue
        credited.append(
            take(
                meter,
                value_wh=value,
                resolution_wh=resolution_wh,
                received_at=at,
                charger_at=at,
                rated_power_w=rated_power_w,
            )
        )
    return meter, credited


@pytest.mark.parametrize(
    ("what", "start_wh", "readings", "confirmed_wh", "implausible"),
    [
        ("an ordinary session", 1000, [(30, 1060), (60, 1120)], 120, False),
        ("flat", 1000, [(30, 1000), (60, 1000)], 0, False),
        ("a drop to zero and back (row 65)", 16_000_000, [(30, 16_000_050), (60, 0), (90, 16_000_150)], 150, False),
        ("a x10 spike and back (row 68)", 35_548, [(30, 35_549), (60, 355_549), (90, 35_650)], 102, False),
        ("a drop that stays: a new segment", 5000, [(30, 5050), (60, 10), (90, 60), (120, 110)], 150, False),
        ("a reset by a boot begins at its first value", 5000, [(30, 5050), (31, "boot"), (60, 20), (90, 70)], 100, False),
        ("a boot that lost nothing", 5000, [(30, 5050), (31, "boot"), (60, 5100)], 100, False),
        ("a boot explains one step back, not a later one", 5000, [(30, 5050), (31, "boot"), (60, 5100), (90, 0)], 100, False),
        (
            "a zero after a boot, and a zero later that is only a glitch",
            5000,
            [(31, "boot"), (60, 20), (90, 70), (120, 0), (150, 130)],
            110,
            False,
        ),
        ("a jump explained by a boot", 5000, [(30, 5050), (31, "boot"), (60, 90_000), (90, 90_050)], 100, False),
        # Two readings agree on 40 kWh in a minute: 60 s x 7.2 kW = 120 Wh is the smaller figure.
        ("a jump that stays", 1000, [(30, 41_000), (60, 41_000)], 120, True),
        # 22 kW through a connector that was entered as 7.2: the rider pays for what 7.2 kW deliver, a person looks at it.
        ("a rated power that is too small", 0, [(30 * n, 183 * n) for n in range(1, 9)], 480, True),
        # Two readings at one instant, then a spike: the small step was held, the spike is not its confirmation.
        ("a spike on a held step", 1000, [(30, 1060), (30, 1070), (30, 50_000_000), (60, 1120)], 120, False),
        ("a session-relative register (row 62)", 4_076_400, [(52, 104), (114, 228), (177, 353)], 353, False),
        (
            "glitches at the very begin are not taken for a relative register for good",
            4_076_400,
            [(30, 0), (60, 0), (90, 4_076_460)],
            60,
            False,
        ),
        ("a late old record moves nothing (row 36)", 1000, [(60, 1120), (30, 1060), (20, 1040), (90, 1180)], 180, False),
        ("a gap of an hour", 1000, [(3600, 8200)], 7200, False),
    ],
)
def test_confirmed_energy(what, start_wh, readings, confirmed_wh, implausible):
    meter, credited = session(start_wh, readings)
    assert (meter.confirmed_wh, meter.implausible) == (confirmed_wh, implausible), what
    assert sum(credited) == confirmed_wh


def test_a_coarse_register_is_no_spike():
    # 0.1 kWh steps at 2 Wh a second: a step of 100 Wh within 15 s is the register's own grain.
    meter, _ = session(0, [(15, 0), (30, 0), (45, 0), (60, 100), (75, 100), (90, 200)], resolution_wh=100)
    assert (meter.confirmed_wh, meter.implausible) == (200, False)


def test_a_replayed_queue_is_measured_by_the_chargers_clock():
    meter = start_meter(meter_start_wh=0, received_at=NOW, charger_at=NOW)
    # An hour of readings arrives within a second.
    for minute in range(1, 61):
        take(
            meter,
            value_wh=120 * minute,
            resolution_wh=1,
            received_at=NOW + timedelta(seconds=1),
            charger_at=NOW + timedelta(minutes=minute),
            rated_power_w=RATED_W,
        )
    assert meter.confirmed_wh == 7200


@pytest.mark.parametrize(
    ("meter_stop_wh", "confirmed_wh", "implausible"),
    [
        (1080, 80, False),
        (1060, 60, False),
        (None, 60, False),
        (-1, 60, False),  # row 81
        (0, 60, False),
        (1059, 60, False),
        (90_000, 60, True),  # a spike that nothing can confirm any more
    ],
)
def test_meter_stop_is_the_last_sample(meter_stop_wh, confirmed_wh, implausible):
    meter, _ = session(1000, [(30, 1060)])
    at = NOW + timedelta(seconds=40)
    close(meter, meter_stop_wh=meter_stop_wh, received_at=at, charger_at=at, rated_power_w=RATED_W)
    assert (meter.confirmed_wh, meter.implausible) == (confirmed_wh, implausible)


def test_meter_stop_may_be_lifetime_while_samples_count_the_session():
    for meter_stop_wh in (4_076_773, 373):
        meter, _ = session(4_076_400, [(52, 104), (114, 228), (177, 353)])
        at = NOW + timedelta(seconds=187)
        close(meter, meter_stop_wh=meter_stop_wh, received_at=at, charger_at=at, rated_power_w=RATED_W)
        assert meter.confirmed_wh == 373


def test_a_register_that_power_and_time_contradict_is_billed_the_smaller():
    meter = start_meter(meter_start_wh=0, received_at=NOW, charger_at=NOW)
    for n in range(1, 61):
        at = NOW + timedelta(seconds=30 * n)
        # The register claims 7.2 kW; the charger's own power says 1.8.
        take(meter, value_wh=60 * n, resolution_wh=1, received_at=at, charger_at=at, rated_power_w=RATED_W, power_w=1800)
    assert meter.confirmed_wh == 3600
    assert billable_wh(meter) == (900, True)
    # A charger whose power always reads 0 has a broken sensor, not free energy.
    meter, _ = session(0, [(30 * n, 60 * n) for n in range(1, 61)])
    assert billable_wh(meter) == (3600, False)


def test_a_queue_held_up_by_an_outage_does_not_contradict_its_own_power():
    # 7.2 kW, a reading every 10 s; for 100 s nothing gets through, then all of it comes within a second: twice over.
    meter = start_meter(meter_start_wh=0, received_at=NOW, charger_at=NOW)
    for n in range(1, 31):
        sampled_at = NOW + timedelta(seconds=10 * n)
        outage_ends = 100 if n <= 10 else 200 if n <= 20 else 0
        received_at = max(sampled_at, NOW + timedelta(seconds=outage_ends, milliseconds=10 * n))
        take(
            meter,
            value_wh=20 * n,
            resolution_wh=1,
            received_at=received_at,
            charger_at=sampled_at,
            rated_power_w=RATED_W,
            power_w=RATED_W,
        )
    assert meter.power_mwh == 600_000
    assert billable_wh(meter) == (600, False)


@pytest.mark.parametrize(
    "clock_seconds", [lambda n: 0, lambda n: -n, lambda n: None], ids=["stands still", "runs back", "absent"]
)
def test_power_and_time_are_checked_by_our_clock_where_the_chargers_tells_no_time(clock_seconds):
    meter = start_meter(meter_start_wh=0, received_at=NOW, charger_at=NOW)
    for n in range(1, 61):
        told = clock_seconds(n)
        take(
            meter,
            value_wh=60 * n,
            resolution_wh=1,
            received_at=NOW + timedelta(seconds=30 * n),
            charger_at=None if told is None else NOW + timedelta(seconds=told),
            rated_power_w=RATED_W,
            power_w=RATED_W,
        )
    assert billable_wh(meter) == (3600, False)


def test_the_power_to_forecast_with():
    meter = start_meter(meter_start_wh=0, received_at=NOW, charger_at=NOW)
    assert flowing_w(meter, RATED_W) == RATED_W  # before any reading
    at = NOW + timedelta(seconds=30)
    take(meter, value_wh=30, resolution_wh=1, received_at=at, charger_at=at, rated_power_w=RATED_W, power_w=3500)
    assert flowing_w(meter, RATED_W) == 3600  # the greater of what it reports and what its register says
    at += timedelta(seconds=30)
    take(meter, value_wh=90, resolution_wh=1, received_at=at, charger_at=at, rated_power_w=RATED_W, power_w=0)
    assert flowing_w(meter, RATED_W) == 7200  # the register says more than the sensor


def test_a_rising_power_is_expected_to_rise_on_up_to_the_rated():
    meter = start_meter(meter_start_wh=0, received_at=NOW, charger_at=NOW)
    at = NOW + timedelta(seconds=30)
    take(meter, value_wh=15, resolution_wh=1, received_at=at, charger_at=at, rated_power_w=RATED_W, power_w=3600)
    assert flowing_w(meter, RATED_W) == 3600 + (3600 - 1800)  # 1.8 kW on average, 3.6 at its end
    at += timedelta(seconds=30)
    take(meter, value_wh=60, resolution_wh=1, received_at=at, charger_at=at, rated_power_w=RATED_W, power_w=7000)
    assert flowing_w(meter, RATED_W) == RATED_W
    at += timedelta(seconds=30)
    take(meter, value_wh=118, resolution_wh=1, received_at=at, charger_at=at, rated_power_w=RATED_W, power_w=7000)
    assert flowing_w(meter, RATED_W) == 7000  # steady: 6960 on average


def test_a_step_of_the_register_more_than_before_is_no_rise():
    # 4.59 kW and no power readings: 6 or 7 Wh in 5 s, of which the register hides up to one more.
    readings = [(5, 6), (10, 12), (15, 19), (20, 25)]
    steady = [flowing_w(session(0, readings[:n], rated_power_w=60_000)[0], 60_000) for n in (2, 3, 4)]
    assert steady == [7 * 720, 8 * 720, 7 * 720]
    # 8 after 6 can't be rounding alone.
    meter, _ = session(0, [*readings, (25, 33)], rated_power_w=60_000)
    assert flowing_w(meter, 60_000) == 9 * 720 + (8 - 6 - 1) * 720


def test_what_is_learned_of_a_chargers_stops_rises_at_once_and_sinks_slowly():
    assert learn_latency(None, 1800) == 1800
    assert learn_latency(1800, 3000) == 3000
    assert learn_latency(3000, 1400) == 2800
    assert (learn_latency(None, 0), learn_latency(1000, 10**9)) == (LATENCY_MIN_MS, LATENCY_MAX_MS)


registers = st.one_of(
    st.integers(0, 20_000), st.integers(-(10**9), 10**12), st.sampled_from([0, -1, 999_999_999]), st.just("boot")
)
runs = st.lists(st.tuples(st.integers(0, 900), registers), max_size=25)


@settings(max_examples=300)
@given(start_wh=st.integers(-10, 10**7), steps=runs, meter_stop_wh=st.one_of(st.none(), st.integers(-1, 10**12)))
def test_whatever_a_charger_says_energy_is_never_negative_and_never_more_than_the_connector_delivers(
    start_wh, steps, meter_stop_wh
):
    second, readings = 0, []
    for gap, value in steps:
        second += gap
        readings.append((second, value))
    meter, credited = session(start_wh, readings)
    at = NOW + timedelta(seconds=second)
    before_wh = meter.confirmed_wh
    credited.append(close(meter, meter_stop_wh=meter_stop_wh, received_at=at, charger_at=at, rated_power_w=RATED_W))
    assert all(credit >= 0 for credit in credited)
    assert meter.confirmed_wh == sum(credited) >= before_wh
    # Each confirmed step may exceed the truth by the grain of its register, 1 Wh here.
    assert meter.confirmed_wh <= plausible_wh(RATED_W, second * 1000) + len(credited)
    billed_wh, _ = billable_wh(meter)
    assert 0 <= billed_wh <= meter.confirmed_wh


@given(start_wh=st.integers(0, 10**7), powers=st.lists(st.integers(0, RATED_W), min_size=1, max_size=40))
def test_an_honest_meter_is_billed_to_the_wh(start_wh, powers):
    register, readings = start_wh * 3600, []
    for n, power in enumerate(powers, start=1):
        register += power * 30
        readings.append((30 * n, register // 3600))
    meter, _ = session(start_wh, readings)
    assert meter.confirmed_wh == register // 3600 - start_wh
    assert not meter.implausible


@given(steps=st.lists(st.tuples(st.integers(1, 900), st.integers(0, 3000)), min_size=1, max_size=20), data=st.data())
def test_readings_that_come_again_change_nothing(steps, data):
    second, register, readings = 0, 1000, []
    for gap, energy_wh in steps:
        second += gap
        register += min(energy_wh, 2 * gap)
        readings.append((second, register))
    once, _ = session(1000, readings)
    again = list(readings)
    for _ in range(3):
        # A charger repeats what it has said, at any later place of its queue, with the same clock.
        source = data.draw(st.integers(0, len(readings) - 1))
        place = again.index(readings[source]) + 1
        again.insert(data.draw(st.integers(place, len(again))), readings[source])
    twice, _ = session(1000, again)
    assert twice.confirmed_wh == once.confirmed_wh


def test_every_single_glitch_in_an_honest_session_costs_nobody_anything():
    honest = [(30 * n, 1000 + 60 * n) for n in range(1, 11)]
    truth, _ = session(1000, honest)
    for place in range(len(honest) - 1):
        for glitch in (0, 10**7, 999, -5):
            spoiled = list(honest)
            spoiled[place] = (honest[place][0], glitch)
            meter, _ = session(1000, spoiled)
            assert meter.confirmed_wh == truth.confirmed_wh, (place, glitch)
            assert not meter.implausible
    assert replace(truth).confirmed_wh == 600
