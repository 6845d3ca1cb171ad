"""The paid-energy guarantee in figures: the same seeds give the same sessions, so these are facts, not luck."""

from tests.fleet.physics import Behaviour, Power
from tests.fleet.report import histogram, percentile
from tests.fleet.simulation import simulate


def test_power_is_integrated_exactly() -> None:
    power = Power(((0, 0.0), (10_000, 3600.0), (20_000, 3600.0)))
    assert [power.watts(ms) for ms in (0, 5000, 10_000, 90_000)] == [0, 1800, 3600, 3600]
    # Ramp: 5 Wh; then 1 Wh a second.
    assert [power.watt_ms(ms) / 3_600_000 for ms in (10_000, 20_000, 30_000)] == [5, 15, 25]


def test_chargers_that_obey_deliver_nothing_beyond_the_money() -> None:
    results = simulate(Behaviour.OBEYS, 100, seed=11)
    # Of a hundred one or two may be off by a Wh or two: the 99th percentile of thousands is docs/paid-energy.md's.
    assert percentile([result.overspend_paise for result in results], 0.97) == 0
    assert max(result.overspend_paise for result in results) < 50
    # And the riders get what they paid for: half of them to within three seconds of charging.
    assert percentile([result.unspent_seconds for result in results], 0.5) < 3
    assert histogram(results).count("paise") == 8


def test_a_refused_stop_costs_one_way_there_and_back() -> None:
    results = simulate(Behaviour.REJECTS_ONCE, 40, seed=12)
    assert {result.attempts for result in results} <= {1, 2}
    assert percentile([result.overspend_paise for result in results], 0.9) < 100


def test_a_charger_that_ignores_stops_is_made_to_stop_by_the_third_attempt() -> None:
    results = simulate(Behaviour.IGNORES, 20, seed=13)
    assert {result.attempts for result in results} == {3}
