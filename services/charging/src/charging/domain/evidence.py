"""What a bill's energy rests on: which readings, from where to where of the register, and how sure that is.

While a session runs its `Trail` remembers only what is out of the ordinary, so an honest session costs nothing for it. The
finalizer freezes it as `contracts.charging.EnergyEvidence`.
"""

from contracts.base import Contract
from contracts.charging import (
    DoubtfulReading,
    DoubtKind,
    DoubtOutcome,
    EnergyConfidence,
    EnergyEvidence,
    EnergySegment,
    MeterStopRole,
    SegmentBegin,
)

METER_START = "meterStart"

ReadingKey = tuple[int, int, int]
"""(epoch, seq, n): with the transaction's charger the key of a row of meter_values. n = METER_STOP_N: the meterStop of a
StopTransaction; (0, 0, 0): meterStart."""

METER_STOP_N = -1

SEGMENTS_MAX = 30
"""Segments told one by one. A register that jumps at every reading is one story, not a thousand."""

DOUBTS_MAX = 20
"""Doubtful readings told one by one; the rest is counted."""


def reading_name(key: ReadingKey) -> str:
    """A reading's name in evidence: `1700000000/17/0`, `1700000000/18/meterStop`, `meterStart`."""
    epoch, seq, n = key
    if epoch == 0:
        return METER_START
    return f"{epoch}/{seq}/{'meterStop' if n == METER_STOP_N else n}"


class Trail(Contract):
    """Closed segments, where the open one began, readings in doubt."""

    segments: tuple[EnergySegment, ...] = ()
    began: SegmentBegin = SegmentBegin.START
    from_reading: str = METER_START
    from_wh: int | None = None
    """None: meterStart."""
    from_confirmed_wh: int = 0
    """The session's confirmed energy where the open segment began."""
    doubts: tuple[DoubtfulReading, ...] = ()
    doubts_left_out: int = 0
    energy_unit: str | None = None


NO_TRAIL = Trail()
"""Of a session whose register ran through: by far the most."""


def close_segment(trail: Trail, *, to_reading: str, to_wh: int, confirmed_wh: int, start_wh: int) -> tuple[EnergySegment, ...]:
    """The segments with the open one closed here. Beyond SEGMENTS_MAX it is joined to the last."""
    from_wh = start_wh if trail.from_wh is None else trail.from_wh
    counted_wh = confirmed_wh - trail.from_confirmed_wh
    if counted_wh == 0 and trail.from_reading == to_reading:
        return trail.segments  # nothing lies between: no segment
    last = trail.segments[-1] if trail.segments else None
    if last is not None and len(trail.segments) >= SEGMENTS_MAX:
        joined = last.model_copy(
            update={
                "to_reading": to_reading,
                "to_wh": to_wh,
                "counted_wh": last.counted_wh + counted_wh,
                "joined": last.joined + 1,
            }
        )
        return (*trail.segments[:-1], joined)
    return (
        *trail.segments,
        EnergySegment(
            began=trail.began,
            from_reading=trail.from_reading,
            to_reading=to_reading,
            from_wh=from_wh,
            to_wh=to_wh,
            counted_wh=counted_wh,
        ),
    )


def begin_segment(
    trail: Trail,
    began: SegmentBegin,
    *,
    closed_reading: str,
    closed_wh: int,
    closed_confirmed_wh: int,
    start_wh: int,
    from_reading: str,
    from_wh: int,
) -> Trail:
    """The open segment ends at `closed_*`, a new one counts from `from_*` on."""
    segments = close_segment(
        trail, to_reading=closed_reading, to_wh=closed_wh, confirmed_wh=closed_confirmed_wh, start_wh=start_wh
    )
    return trail.model_copy(
        update={
            "segments": segments,
            "began": began,
            "from_reading": from_reading,
            "from_wh": from_wh,
            "from_confirmed_wh": closed_confirmed_wh,
        }
    )


def note_doubt(trail: Trail, key: ReadingKey, value_wh: int, kind: DoubtKind, outcome: DoubtOutcome) -> Trail:
    """One more reading that was not taken as it came."""
    if len(trail.doubts) >= DOUBTS_MAX:
        return trail.model_copy(update={"doubts_left_out": trail.doubts_left_out + 1})
    doubt = DoubtfulReading(reading=reading_name(key), value_wh=value_wh, kind=kind, outcome=outcome)
    return trail.model_copy(update={"doubts": (*trail.doubts, doubt)})


def settle_doubt(trail: Trail, outcome: DoubtOutcome) -> Trail:
    """What became of the reading that waited, if it is listed."""
    for index in range(len(trail.doubts) - 1, -1, -1):
        doubt = trail.doubts[index]
        if doubt.outcome is DoubtOutcome.WAITS:
            settled = doubt.model_copy(update={"outcome": outcome})
            return trail.model_copy(update={"doubts": (*trail.doubts[:index], settled, *trail.doubts[index + 1 :])})
    return trail


def judge(
    trail: Trail,
    segments: tuple[EnergySegment, ...],
    *,
    billed_wh: int,
    confirmed_wh: int,
    power_wh: int | None,
    meter_stop: MeterStopRole,
    implausible: bool,
    lost: bool,
) -> EnergyEvidence:
    """The evidence, with its confidence word and the rule that gave it."""
    counted = tuple(segment for segment in segments if segment.counted_wh > 0)
    joined = sum(segment.joined for segment in counted)
    pieces = len(counted) if joined == len(counted) else joined
    doubts = len(trail.doubts) + trail.doubts_left_out
    if billed_wh == 0 and not implausible:
        word, because = EnergyConfidence.NONE, "No reading confirmed any energy."
    elif lost:
        word, because = EnergyConfidence.DISPUTABLE, "The readings ended before the session did; the last good one is billed."
    elif billed_wh < confirmed_wh:
        word = EnergyConfidence.DISPUTABLE
        because = f"The register says {confirmed_wh} Wh, power x time {power_wh} Wh; the smaller figure is billed."
    elif implausible:
        word = EnergyConfidence.DISPUTABLE
        because = "The register took a step that the connector can't have delivered; of it at most rated power x time is billed."
    elif pieces > 1:
        word = EnergyConfidence.GOOD
        because = f"The register was read in {pieces} pieces; what may have flowed between them is not billed."
    elif doubts > 0:
        word = EnergyConfidence.GOOD
        because = (
            "A reading that did not fit was put aside." if doubts == 1 else f"{doubts} readings did not fit and were put aside."
        )
    elif meter_stop is not MeterStopRole.COUNTED:
        word = EnergyConfidence.GOOD
        because = "Without a usable meterStop the last good reading stands; what flowed after it is not billed."
    else:
        word, because = EnergyConfidence.EXACT, "One register without a break from the first reading to meterStop."
    return EnergyEvidence(
        confidence=word,
        because=because,
        billed_wh=billed_wh,
        segments=segments,
        doubts=trail.doubts,
        doubts_left_out=trail.doubts_left_out,
        meter_stop=meter_stop,
        power_wh=power_wh,
        energy_unit=trail.energy_unit,
    )


def in_words(evidence: EnergyEvidence) -> str:
    """One plain sentence for a person who asks what a bill rests on."""
    parts = [f"{_kwh(evidence.billed_wh)} billed"]
    counted = [segment for segment in evidence.segments if segment.counted_wh > 0]
    if counted:
        stretches = ", then ".join(f"{segment.from_wh} to {segment.to_wh} Wh" for segment in counted[:3])
        more = f" and {len(counted) - 3} more stretches" if len(counted) > 3 else ""
        parts.append(f"the charger's register ran from {stretches}{more}")
    if evidence.power_wh is not None:
        parts.append(f"its reported power over time gives {_kwh(evidence.power_wh)}")
    return f"{evidence.confidence.value}: {'; '.join(parts)}. {evidence.because}"


def _kwh(wh: int) -> str:
    return f"{wh // 1000}.{wh % 1000:03d} kWh"
