"""What chargers send as meter values, by the rows of ocpp.md, and what is read from it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charging.domain.quirk_profiles import QuirkProfile
from charging.domain.samples import parse_quantity, read_message, sane_time
from contracts.ocpp_gateway import (
    MeterValue,
    MeterValuesReceived,
    SampledValue,
    UnparsedMeterValue,
    UnparsedMeterValuesReceived,
)

NOW = datetime(2026, 1, 5, 4, 30, tzinfo=UTC)


def read(*samples, quirks=None):
    [reading] = read_message([meter_value(NOW, *samples)], received_at=NOW, quirks=quirks)
    return reading


def meter_value(at, *samples):
    return UnparsedMeterValue(timestamp=at, sampled_value=[sample.model_dump(exclude_unset=True) for sample in samples])


def energy(value, **how):
    return SampledValue(value=value, **how)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("230.1", "230.1"),
        ("  230.1", "230.1"),  # row 66
        ("51.313", "51.313"),
        ("1234,5", "1234.5"),  # row 67
        ("1 234,5", None),
        ("1,234,567", None),
        ("1,234.5", None),
        ("", None),
        ("NaN", None),
        ("Infinity", None),
        ("abc", None),
        ("-5", "-5"),
        ("1e3", "1000"),
        ("1_000", None),
    ],
)
def test_numbers_as_chargers_write_them(text, value):
    assert parse_quantity(text) == (Decimal(value) if value is not None else None)


@given(st.text(max_size=40))
def test_no_text_breaks_the_reading(text):
    for unit in (None, "Wh", "kWh", "Hz", text):
        reading = read(energy(text, unit=unit), SampledValue(value=text, measurand="SoC"))
        assert reading.energy_wh is None or isinstance(reading.energy_wh, int)


@pytest.mark.parametrize(
    ("samples", "wh", "resolution"),
    [
        ([energy("1000")], 1000, 1),
        ([energy("1.5", unit="kWh")], 1500, 100),
        ([energy("12.345", unit="kWh")], 12345, 1),
        ([energy("7", unit="kWh")], 7000, 1000),
        ([energy("604.5", unit="Wh")], 605, 1),
        ([energy("604.213")], 604, 1),
        ([energy("5", unit="varh")], None, 1),
        ([], None, 1),
        # row 64: a stale boundary value after the live one
        ([energy("2000", context="Sample.Periodic"), energy("0", context="Transaction.Begin")], 2000, 1),
        ([energy("0", context="Transaction.Begin")], 0, 1),
        # row 69: phases are summed only where there is no total
        ([energy("10", phase="L1"), energy("20", phase="L2"), energy("30", phase="L3")], 60, 3),
        ([energy("61"), energy("10", phase="L1"), energy("20", phase="L2")], 61, 1),
        # row 70: signed data is no number
        ([energy("9999", format="SignedData"), energy("61")], 61, 1),
        # the outlet's register is what the car got
        ([energy("70", location="Inlet"), energy("61", location="Outlet")], 61, 1),
        ([energy("70", location="Inlet")], 70, 1),
        ([energy("9" * 30)], None, 1),
    ],
)
def test_which_register_is_read(samples, wh, resolution):
    reading = read(*samples)
    assert (reading.energy_wh, reading.resolution_wh) == (wh, resolution)


def test_power_and_state_of_charge():
    reading = read(
        energy("1"),
        SampledValue(value="7.4", measurand="Power.Active.Import", unit="kW"),
        SampledValue(value="81.4", measurand="SoC", unit="Percent"),
    )
    assert (reading.power_w, reading.soc_percent) == (7400, 81)
    assert read(SampledValue(value="180", measurand="SoC")).soc_percent is None
    assert read(SampledValue(value="99999999999", measurand="Power.Active.Import")).power_w is None


def test_a_model_whose_unit_is_wrong_is_put_right_by_data():
    assert read(energy("361", unit="Wh"), quirks=QuirkProfile(energy_unit="kWh")).energy_wh == 361_000  # row 61


def test_a_queue_is_read_in_the_order_in_which_it_was_taken():
    values = [meter_value(NOW - timedelta(seconds=s), energy(str(100 - s))) for s in (0, 30, 15)]
    readings = read_message(values, received_at=NOW)
    assert [(reading.n, reading.energy_wh) for reading in readings] == [(1, 70), (2, 85), (0, 100)]


def test_a_boundary_value_does_not_follow_a_live_one_of_the_same_message():
    live = meter_value(NOW, energy("2000"))
    boundary = meter_value(NOW, energy("0", context="Transaction.Begin"))
    readings = read_message([live, boundary], received_at=NOW)
    assert [reading.energy_wh for reading in readings] == [2000, None]


@pytest.mark.parametrize(
    ("at", "sane"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), False),
        (datetime(2000, 1, 1, tzinfo=UTC), False),
        (NOW - timedelta(days=3), True),
        (NOW + timedelta(hours=5, minutes=30), True),
        (NOW + timedelta(days=2), False),
    ],
)
def test_clocks_that_cannot_be_right_are_not_used(at, sane):
    assert (sane_time(at, NOW) is not None) is sane


def test_what_the_lane_parses_is_what_the_gateway_says():
    assert set(UnparsedMeterValuesReceived.model_fields) == set(MeterValuesReceived.model_fields)
    assert set(UnparsedMeterValue.model_fields) == set(MeterValue.model_fields)


@given(st.integers(0, 10**14), st.sampled_from(["Wh", "kWh"]))
def test_plain_digits_are_read_as_any_number_is(number, unit):
    plain, padded = read(energy(str(number), unit=unit)), read(energy(f" {number}", unit=unit))
    assert plain == padded
