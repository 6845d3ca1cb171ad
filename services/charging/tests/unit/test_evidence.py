"""What a bill rests on: segments that add up, doubts with their end, a word with its rule; and faults that never cost a rider."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from charging.domain.energy import close, freeze, open_segment, plausible_wh, start_meter, take
from charging.domain.evidence import DOUBTS_MAX, SEGMENTS_MAX, in_words
from contracts.charging import DoubtKind, DoubtOutcome, EnergyConfidence, MeterStopRole, SegmentBegin

NOW = datetime(2026, 1, 5, 4, 30, tzinfo=UTC)
RATED_W = 7200  # 2 Wh a second
EPOCH = 7


def evidence(start_wh, readings, *, meter_stop_wh=None, stop_second=None, power_w=None, lost=False):
    """(billed, held, evidence) of a session of readings (second, register) or (second, "boot")."""
    meter = start_meter(meter_start_wh=start_wh, received_at=NOW, charger_at=NOW)
    for seq, (second, value) in enumerate(readings, start=1):
        at = NOW + timedelta(seconds=second)
        if value == "boot":
            open_segment(meter)
        else:
            take(
                meter,
                value_wh=value,
                resolution_wh=1,
                received_at=at,
                charger_at=at,
                rated_power_w=RATED_W,
                power_w=power_w,
                key=(EPOCH, seq, 0),
            )
    if stop_second is not None:
        at = NOW + timedelta(seconds=stop_second)
        key = (EPOCH, len(readings) + 1, -1)
        close(meter, meter_stop_wh=meter_stop_wh, received_at=at, charger_at=at, rated_power_w=RATED_W, key=key)
    billed_wh, held, proof = freeze(meter, lost=lost)
    assert sum(segment.counted_wh for segment in proof.segments) == meter.confirmed_wh
    return billed_wh, held, proof


def spans(proof):
    return [(s.began, s.from_reading, s.to_reading, s.from_wh, s.to_wh, s.counted_wh) for s in proof.segments]


def test_an_honest_session_is_exact_and_names_its_first_and_last_reading():
    billed_wh, held, proof = evidence(1000, [(30, 1060), (60, 1120)], meter_stop_wh=1140, stop_second=70)
    assert (billed_wh, held, proof.confidence, proof.meter_stop) == (140, False, EnergyConfidence.EXACT, MeterStopRole.COUNTED)
    assert spans(proof) == [(SegmentBegin.START, "meterStart", "7/3/meterStop", 1000, 1140, 140)]
    assert proof.doubts == ()
    assert in_words(proof) == (
        "EXACT: 0.140 kWh billed; the charger's register ran from 1000 to 1140 Wh."
        " One register without a break from the first reading to meterStop."
    )


def test_a_boot_that_resets_the_register_makes_two_segments():
    readings = [(30, 5060), (31, "boot"), (60, 20), (90, 80)]
    billed_wh, held, proof = evidence(5000, readings, meter_stop_wh=90, stop_second=100)
    assert (billed_wh, held, proof.confidence) == (130, False, EnergyConfidence.GOOD)
    assert spans(proof) == [
        (SegmentBegin.START, "meterStart", "7/1/0", 5000, 5060, 60),
        (SegmentBegin.RESTART, "7/3/0", "7/5/meterStop", 20, 90, 70),
    ]


def test_a_reset_that_two_readings_agree_on_begins_at_the_first_of_them():
    billed_wh, _, proof = evidence(5000, [(30, 5060), (60, 10), (90, 70)], meter_stop_wh=70, stop_second=100)
    assert billed_wh == 120
    assert spans(proof)[1] == (SegmentBegin.RESET, "7/2/0", "7/3/0", 10, 70, 60)
    [doubt] = proof.doubts
    assert (doubt.reading, doubt.value_wh, doubt.kind, doubt.outcome) == ("7/2/0", 10, DoubtKind.BELOW, DoubtOutcome.CONFIRMED)


def test_a_glitch_is_named_and_dropped():
    readings = [(30, 5060), (60, 0), (90, 5180), (120, 999_999), (150, 5300)]
    billed_wh, held, proof = evidence(5000, readings, meter_stop_wh=5300, stop_second=151)
    assert (billed_wh, held, proof.confidence, len(proof.segments)) == (300, False, EnergyConfidence.GOOD, 1)
    assert [(d.reading, d.kind, d.outcome) for d in proof.doubts] == [
        ("7/2/0", DoubtKind.BELOW, DoubtOutcome.DROPPED),
        ("7/4/0", DoubtKind.ABOVE, DoubtOutcome.DROPPED),
    ]


def test_a_session_relative_register_counts_from_meter_start():
    readings = [(52, 104), (114, 228), (177, 353)]
    billed_wh, _, proof = evidence(4_076_400, readings, meter_stop_wh=353, stop_second=178)
    assert billed_wh == 353
    assert spans(proof) == [(SegmentBegin.SESSION_RELATIVE, "meterStart", "7/3/0", 0, 353, 353)]


@pytest.mark.parametrize(
    ("meter_stop_wh", "role", "word"),
    [
        (None, MeterStopRole.ABSENT, EnergyConfidence.GOOD),
        (-1, MeterStopRole.ABSENT, EnergyConfidence.GOOD),
        (0, MeterStopRole.BELOW, EnergyConfidence.GOOD),
        (1060, MeterStopRole.COUNTED, EnergyConfidence.EXACT),
        (90_000, MeterStopRole.IMPLAUSIBLE, EnergyConfidence.DISPUTABLE),
    ],
)
def test_what_meter_stop_did_is_told(meter_stop_wh, role, word):
    billed_wh, held, proof = evidence(1000, [(30, 1060)], meter_stop_wh=meter_stop_wh, stop_second=40)
    assert (billed_wh, proof.meter_stop, proof.confidence) == (60, role, word)
    assert held is (word is EnergyConfidence.DISPUTABLE)


def test_power_and_time_that_contradict_the_register_are_told_with_both_figures():
    readings = [(30 * n, 60 * n) for n in range(1, 61)]
    billed_wh, held, proof = evidence(0, readings, meter_stop_wh=3600, stop_second=1800, power_w=1800)
    assert (billed_wh, held, proof.power_wh, proof.confidence) == (900, True, 900, EnergyConfidence.DISPUTABLE)
    assert "3600" in proof.because
    assert "900" in proof.because


def test_a_jump_is_a_segment_of_which_not_all_counts():
    billed_wh, held, proof = evidence(1000, [(30, 41_000), (60, 41_000), (90, 41_060)], meter_stop_wh=41_060, stop_second=91)
    assert (billed_wh, held, proof.confidence) == (180, True, EnergyConfidence.DISPUTABLE)
    jump = proof.segments[0]
    assert (jump.began, jump.from_wh, jump.to_wh, jump.counted_wh) == (SegmentBegin.JUMP, 1000, 41_000, 120)


def test_a_lost_meter_is_held_and_nothing_at_all_is_none():
    assert evidence(1000, [(30, 1060)], lost=True)[1:2] == (True,)
    assert evidence(1000, [(30, 1060)], lost=True)[2].confidence is EnergyConfidence.DISPUTABLE
    billed_wh, held, proof = evidence(1000, [], meter_stop_wh=1000, stop_second=5)
    assert (billed_wh, held, proof.confidence) == (0, False, EnergyConfidence.NONE)


def test_evidence_stays_small_whatever_a_charger_does():
    # Every second reading is 0 for two hours: as many doubts. And a register that begins anew every minute: as many segments.
    flapping = [(10 * n, 0 if n % 2 else 1000 + 20 * n) for n in range(1, 721)]
    _, _, proof = evidence(1000, flapping)
    assert (len(proof.doubts), proof.doubts_left_out) == (DOUBTS_MAX, 360 - DOUBTS_MAX)
    restarting = [(20 * n, "boot" if n % 3 == 0 else 40 * (n % 3)) for n in range(1, 600)]
    _, _, proof = evidence(0, restarting)
    assert len(proof.segments) == SEGMENTS_MAX
    assert max(segment.joined for segment in proof.segments) > 100
    assert len(proof.model_dump_json()) < 16_000


# --- whatever is true, whatever goes wrong: the rider pays for no more than flowed ------------------------------------------

INTERVAL_S = 30


@dataclass(frozen=True)
class Fault:
    """What a charger does to one reading of an honest session (rows of ocpp.md)."""

    kind: str
    place: int


faults = st.lists(
    st.builds(
        Fault,
        kind=st.sampled_from(["zero", "spike", "missing", "repeated", "boot", "reset", "swapped", "minus"]),
        place=st.integers(0, 39),
    ),
    max_size=6,
)


def spoil(true_readings, planned):
    """The honest readings as a faulty charger sends them, and how far a false step may go unseen: see the test."""
    sent, lowered_wh, tolerance_wh = [], 0, 0
    by_place = {fault.place: fault.kind for fault in planned}
    for place, (second, register) in enumerate(true_readings):
        kind = by_place.get(place)
        value = register - lowered_wh
        if kind in ("boot", "reset"):
            lowered_wh = register  # the register begins anew here
            value = 0
            if kind == "boot":
                sent.append((second - 1, "boot", second - 1))
        if kind == "missing":
            continue
        if kind == "zero":
            value = 0
        if kind == "spike":
            value = value * 10
            # A step that the connector could have delivered can't be told from energy: it counts until the next reading.
            tolerance_wh += plausible_wh(RATED_W, 3 * INTERVAL_S * 1000) + 1
        if kind == "minus":
            value = -5
        sent.append((second, value, second))
        if kind == "repeated":
            sent.append((second + 1, value, second))
        if kind == "swapped" and len(sent) >= 2 and sent[-2][1] != "boot":
            sent[-1], sent[-2] = (sent[-2][0], *sent[-1][1:]), (sent[-1][0], *sent[-2][1:])
            sent[-1], sent[-2] = sent[-2], sent[-1]
    return sent, tolerance_wh


def bill_of(start_wh, sent, *, meter_stop_wh, stop_second):
    meter = start_meter(meter_start_wh=start_wh, received_at=NOW, charger_at=NOW)
    for seq, (second, value, taken) in enumerate(sent, start=1):
        if value == "boot":
            open_segment(meter)
            continue
        take(
            meter,
            value_wh=value,
            resolution_wh=1,
            received_at=NOW + timedelta(seconds=second),
            charger_at=NOW + timedelta(seconds=taken),
            rated_power_w=RATED_W,
            key=(EPOCH, seq, 0),
        )
    at = NOW + timedelta(seconds=stop_second)
    close(meter, meter_stop_wh=meter_stop_wh, received_at=at, charger_at=at, rated_power_w=RATED_W)
    return meter


@settings(max_examples=200, deadline=None)
@given(
    start_wh=st.one_of(st.just(0), st.integers(100_000, 10**7)),
    powers=st.lists(st.integers(0, RATED_W), min_size=2, max_size=40),
    planned=faults,
    stop=st.sampled_from(["true", "absent", "minus one", "zero"]),
)
@example(start_wh=0, powers=[0, 0, 0], planned=[Fault("minus", 0), Fault("minus", 1)], stop="true")  # billed 5 Wh once
def test_no_fault_bills_energy_that_did_not_flow(start_wh, powers, planned, stop):
    register, true_readings = start_wh * 3600, []
    for n, power_w in enumerate(powers, start=1):
        register += power_w * INTERVAL_S
        true_readings.append((INTERVAL_S * n, register // 3600))
    true_wh = true_readings[-1][1] - start_wh
    sent, tolerance_wh = spoil(true_readings, planned)
    reset = any(fault.kind in ("boot", "reset") and fault.place < len(powers) for fault in planned)
    true_stop = None if reset else true_readings[-1][1]
    meter_stop_wh = {"true": true_stop, "absent": None, "minus one": -1, "zero": 0}[stop]
    meter = bill_of(start_wh, sent, meter_stop_wh=meter_stop_wh, stop_second=INTERVAL_S * len(powers) + 1)
    billed_wh, _, proof = freeze(meter, lost=False)
    # Tolerance: for a spike small enough to be real, what the connector delivers within three intervals; else a Wh of rounding.
    assert 0 <= billed_wh <= true_wh + tolerance_wh + 1
    assert sum(segment.counted_wh for segment in proof.segments) == meter.confirmed_wh
    if not planned and stop == "true":
        assert billed_wh == true_wh
        assert proof.confidence in (EnergyConfidence.EXACT, EnergyConfidence.NONE)


@settings(max_examples=100, deadline=None)
@given(powers=st.lists(st.integers(0, RATED_W), min_size=1, max_size=20), data=st.data())
def test_a_replayed_queue_is_billed_alike_in_any_order(powers, data):
    """Hours of readings arrive within a second. Sorted or not, the register's last value is what counts."""
    register, queue = 0, []
    for n, power_w in enumerate(powers, start=1):
        register += power_w * INTERVAL_S
        queue.append((n, register // 3600))
    shuffled = data.draw(st.permutations(queue))

    def billed(order):
        meter = start_meter(meter_start_wh=0, received_at=NOW, charger_at=NOW)
        for n, value in order:
            take(
                meter,
                value_wh=value,
                resolution_wh=1,
                received_at=NOW + timedelta(hours=3),
                charger_at=NOW + timedelta(seconds=INTERVAL_S * n),
                rated_power_w=RATED_W,
                key=(EPOCH, n, 0),
            )
        return freeze(meter, lost=False)[0]

    assert billed(shuffled) == billed(queue) == register // 3600
