"""The meter is the integral of power over time, whatever happens to the connector."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charger_simulator import ChargePoint
from charger_simulator.meter import Meter

RATED_W = 7400


class Hands:
    """A clock set by hand, whole nanoseconds at a time; nobody sleeps on it to the end."""

    def __init__(self) -> None:
        self.nanoseconds = 0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=self.nanoseconds // 1000)

    def monotonic(self) -> float:
        return self.nanoseconds / 1e9

    async def sleep(self, seconds: float) -> None:
        await asyncio.get_running_loop().create_future()


steps = st.lists(st.tuples(st.integers(0, 400_000), st.integers(0, 10_000_000_000_000)), max_size=60)


@given(start_wh=st.integers(0, 10**9), steps=steps)
def test_the_meter_is_exact(start_wh, steps):
    clock = Hands()
    meter = Meter(clock, start_wh)
    energy = Fraction(start_wh)
    for watts, nanoseconds in steps:
        meter.power_w = watts
        clock.nanoseconds += nanoseconds
        energy += Fraction(watts * nanoseconds, 3600 * 10**9)
        assert meter.wh == energy.numerator // energy.denominator


@given(cuts=st.lists(st.integers(1, 10**9), max_size=50))
def test_reading_and_setting_in_between_changes_nothing(cuts):
    clock, interrupted, whole = Hands(), None, None
    interrupted, whole = Meter(clock, 0), Meter(clock, 0)
    whole.power_w = interrupted.power_w = 3333
    for cut in cuts:
        clock.nanoseconds += cut
        interrupted.power_w = interrupted.power_w
        assert interrupted.wh == whole.wh


def test_a_watt_hour_in_seconds_is_a_watt_hour():
    clock = Hands()
    meter = Meter(clock, 0)
    for _ in range(3600):
        assert meter.wh == 0
        meter.power_w = 1
        clock.nanoseconds += 10**9
    assert meter.wh == 1


def test_power_is_never_negative():
    with pytest.raises(ValueError, match="negative"):
        Meter(Hands(), 0).power_w = -1


events = st.lists(
    st.tuples(
        st.sampled_from(["plug", "unplug", "start", "stop", "fault", "clear", "pause", "take", "inoperative"]),
        st.integers(0, 20_000),  # what the EV wants, W
        st.integers(0, 7_200_000),  # milliseconds that pass
    ),
    max_size=25,
)


@given(events=events)
@settings(deadline=None)
async def test_what_is_reported_is_the_integral_of_the_power_that_flowed(events):
    """A model of the rules beside the station, which lives offline here: energy flows only while an EV is plugged, a
    transaction runs and nothing is faulty, at what the EV wants or the rated power, whichever is less."""
    clock = Hands()
    cp = ChargePoint("CP1", "ws://unused", clock=clock, rated_power_w=RATED_W)
    connector = cp.connectors[1]
    plugged = running = faulty = False
    wants, energy = RATED_W, Fraction(0)
    reported: list[tuple[str, int]] = []
    expected: list[tuple[str, int]] = []
    for name, watts, milliseconds in events:
        if name == "plug" and not plugged:
            await cp.plug()
            plugged = True
        elif name == "unplug" and plugged:
            if running:
                expected.append(("StopTransaction", int(energy)))
            await cp.unplug()
            plugged = running = False
        elif name == "start":
            started = await cp.start_transaction("TAG", authorize=False)
            assert started == (plugged and not running and not faulty)
            if started:
                expected.append(("StartTransaction", int(energy)))
            running = running or started
        elif name == "stop":
            assert await cp.stop_transaction() == running
            if running:
                expected.append(("StopTransaction", int(energy)))
            running = False
        elif name == "fault":
            await cp.fault(1, "OtherError")
            faulty = True
        elif name == "clear":
            await cp.clear_fault(1)
            faulty = False
        elif name in ("pause", "take"):
            wants = 0 if name == "pause" else watts
            cp.set_power(1, wants)
        clock.nanoseconds += milliseconds * 10**6
        flows = plugged and running and not faulty
        energy += Fraction(min(wants, RATED_W) * milliseconds if flows else 0, 3_600_000)
        assert connector.meter_wh == int(energy)
        assert connector.power_w == (min(wants, RATED_W) if flows else 0)
    for item in cp.outbox.transactional:
        payload = item.build()
        if item.action in ("StartTransaction", "StopTransaction"):
            reported.append((item.action, payload.get("meterStart", payload.get("meterStop"))))
    assert reported == expected
    await cp.stop()
    cp._stand_still()
