"""Billed energy: the sum of confirmed forward steps of the import register since meterStart (ocpp.md Part 0).

A `Meter` is what a transaction knows of its charger's register. `take` shows it one more reading:

- a forward step that the connector could have delivered is confirmed and counts;
- a larger one is a spike and is held: it stops no session and bills nobody. If the next reading agrees, the smaller figure
  counts (rated power x time), and the meter is flagged implausible;
- a step back is held too, until a boot or disconnect since the last good reading explains it, or a second reading agrees:
  then a new segment begins, and nothing is lost or counted twice;
- registers that count from the session's begin, while meterStart is a lifetime figure, are recognised and offset.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from charging.domain import evidence
from charging.domain.evidence import METER_START, METER_STOP_N, NO_TRAIL, ReadingKey, Trail, reading_name
from contracts.charging import DoubtKind, DoubtOutcome, EnergyEvidence, MeterStopRole, SegmentBegin

SPIKE_TENTHS = 12
"""A step above 1.2 x rated power x time is a spike: meters and clocks are inexact, contactors are not."""

JUMP_RATIO = 2
"""A second over-fast step may be this many times the first, for jitter of the readings, and still agree with it."""

RISE_PARTS = 10
"""A rise of less than a tenth between two stretches is noise."""

POWER_TRUST_GAP = timedelta(seconds=120)
"""Between readings further apart than this the last power says nothing: the register's own step is taken for the cross-check."""
CONTRADICTION_FROM_WH = 500
"""Below this the cross-check of register against power x time compares rounding."""
CONTRADICTION_RATIO = 2
"""Register and power x time that differ by more than this factor contradict each other (row 61: kWh labelled Wh)."""

_POWER_TRUST_MS = POWER_TRUST_GAP // timedelta(milliseconds=1)
MS_PER_HOUR = 3_600_000
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(slots=True)
class Meter:
    """A charger's register as one transaction sees it. All energies in Wh, registers in the terms of meterStart."""

    start_wh: int
    confirmed_wh: int
    """The confirmed forward steps so far: what is billed."""
    register_wh: int
    """The last confirmed value of the register."""
    read_at: datetime
    """When it was received."""
    charger_read_at: datetime | None
    """The charger's own time of it, where sane."""
    offset_wh: int = 0
    """Added to samples of a session-relative register."""
    held_wh: int | None = None
    """A reading that waits for an explanation."""
    held_at: datetime | None = None
    held_charger_at: datetime | None = None
    segment_open: bool = False
    """A boot or disconnect since the last good reading: the register may have begun anew."""
    implausible: bool = False
    """METER_IMPLAUSIBLE: billed the smaller figure, an operator reviews the payout."""
    power_w: int | None = None
    """Last reported power."""
    rate_w: int | None = None
    """Power of the last confirmed stretch by the register: what stands in where a charger reports none, or too little."""
    power_mwh: int = 0
    """Reported power x time, in thousandths of a Wh: the cross-check of the register."""
    read_epoch: int = 0
    """With `read_seq` and `read_n` the last confirmed reading; 0: meterStart."""
    read_seq: int = 0
    read_n: int = 0
    trail: Trail = NO_TRAIL
    """What is out of the ordinary so far: see `evidence`."""
    grain_wh: int = 1
    """What a step of the register's last digit is worth, by the reading just taken. Not kept: a forecast follows at once."""
    rise_w: int = 0
    """How much the last stretch's power lay above the one's before. Not kept either."""
    meter_stop: MeterStopRole = MeterStopRole.ABSENT
    """What `close` made of meterStop. Not kept: the finalizer follows at once."""

    def note_energy_unit(self, unit: str | None) -> None:
        """A quirk of the charger says what its register is in: that belongs to the evidence."""
        if unit != self.trail.energy_unit:
            self.trail = self.trail.model_copy(update={"energy_unit": unit})

    @property
    def shown_wh(self) -> int:
        """The last confirmed register as the charger showed it."""
        return self.register_wh - self.offset_wh

    @property
    def reading(self) -> str:
        """The last confirmed reading's name."""
        return reading_name((self.read_epoch, self.read_seq, self.read_n))


def start_meter(*, meter_start_wh: int, received_at: datetime, charger_at: datetime | None) -> Meter:
    """The meter of a new transaction. A negative meterStart is taken as 0 (row 57: never assume a lifetime register)."""
    start_wh = max(0, meter_start_wh)
    return Meter(start_wh=start_wh, confirmed_wh=0, register_wh=start_wh, read_at=received_at, charger_read_at=charger_at)


def open_segment(meter: Meter) -> None:
    """A boot or disconnect happened: a step back, or a jump, at the next reading is explained by it."""
    meter.segment_open = True


def elapsed_ms(since: datetime, since_charger: datetime | None, at: datetime, at_charger: datetime | None) -> int:
    """The larger of the receive-time gap and the charger-time gap: a replayed queue arrives in a burst, but took hours."""
    gap = at - since
    if since_charger is not None and at_charger is not None:
        gap = max(gap, at_charger - since_charger)
    return max(0, gap // _MILLISECOND)


def sampled_ms(since: datetime, since_charger: datetime | None, at: datetime, at_charger: datetime | None) -> int:
    """The time between two samples: by the charger's clock, since a queue that was held up arrives late and in a burst; by
    ours where that clock is missing, stands still or runs back."""
    if since_charger is not None and at_charger is not None and at_charger > since_charger:
        return (at_charger - since_charger) // _MILLISECOND
    return max(0, (at - since) // _MILLISECOND)


def plausible_wh(rated_power_w: int, ms: int) -> int:
    """The most that a connector of this rating delivers in this time, with the spike margin."""
    return rated_power_w * SPIKE_TENTHS * ms // (10 * MS_PER_HOUR)


def is_old(meter: Meter, charger_at: datetime | None) -> bool:
    """Whether the charger took this reading before the last confirmed one, by its own clock: a queue out of order (row 36)."""
    return charger_at is not None and meter.charger_read_at is not None and charger_at < meter.charger_read_at


def take(
    meter: Meter,
    *,
    value_wh: int,
    resolution_wh: int,
    received_at: datetime,
    charger_at: datetime | None,
    rated_power_w: int,
    power_w: int | None = None,
    key: ReadingKey = (0, 0, 0),
) -> int:
    """Show the meter one reading; returns the energy that it confirmed, in Wh, 0 or more. Never raises for any figure."""
    value = value_wh + meter.offset_wh
    ms = elapsed_ms(meter.read_at, meter.charger_read_at, received_at, charger_at)
    limit_wh = plausible_wh(rated_power_w, ms) + resolution_wh
    step = _Step(meter, value_wh, received_at, charger_at, power_w, ms, resolution_wh, key)
    if value < meter.register_wh and not meter.segment_open and is_old(meter, charger_at):
        # An old record that arrives late: the register has been past it already, it moves nothing.
        meter.trail = evidence.note_doubt(meter.trail, key, value_wh, DoubtKind.OLD, DoubtOutcome.DROPPED)
        return 0
    if power_w is not None:
        meter.power_w = power_w
    if value_wh < 0:
        # No import register stands below zero: that is "unknown", as at meterStop. Two in a row would pass for a new segment,
        # and the way back up to 0 for energy.
        meter.trail = evidence.note_doubt(meter.trail, key, value_wh, DoubtKind.BELOW, DoubtOutcome.DROPPED)
        return 0
    meter.grain_wh = resolution_wh
    if meter.offset_wh and 0 <= value_wh - meter.register_wh <= limit_wh:
        # The register fits as it stands: it was a lifetime register after all, whose first readings were glitches.
        step.begin(SegmentBegin.LIFETIME, from_reading=meter.reading, from_wh=meter.register_wh)
        meter.offset_wh = 0
        value = value_wh

    if value >= meter.register_wh:
        forward_wh = value - meter.register_wh
        if forward_wh <= limit_wh:
            return step.confirm(value, forward_wh)
        if meter.segment_open:
            step.begin(SegmentBegin.RESTART, from_reading=reading_name(key), from_wh=value_wh)
            return step.confirm(value, 0)
        if not is_old(meter, charger_at) and _agrees_on_jump(meter, value, received_at, charger_at, rated_power_w):
            # Two readings agree on a jump that the connector can't have delivered: the smaller figure, and a person looks at it.
            return step.jump(value, min(forward_wh, rated_power_w * ms // MS_PER_HOUR))
        return step.hold(value, DoubtKind.ABOVE)

    if meter.segment_open:
        step.begin(SegmentBegin.RESTART, from_reading=reading_name(key), from_wh=value_wh)
        return step.confirm(value, 0)
    if meter.held_wh is not None and meter.held_at is not None and meter.held_wh <= value:
        held_ms = elapsed_ms(meter.held_at, meter.held_charger_at, received_at, charger_at)
        if value - meter.held_wh <= plausible_wh(rated_power_w, held_ms) + resolution_wh:
            never_read = meter.confirmed_wh == 0 and meter.offset_wh == 0 and meter.register_wh == meter.start_wh
            if never_read and 0 <= value_wh <= limit_wh:
                # The first readings lie below meterStart and fit the time since the start: it counts the session (row 62).
                step.begin(SegmentBegin.SESSION_RELATIVE, from_reading=METER_START, from_wh=0)
                meter.offset_wh = meter.start_wh
                return step.confirm(value + meter.start_wh, value_wh, held=DoubtOutcome.CONFIRMED)
            step.begin(SegmentBegin.RESET, from_reading=step.held_reading(), from_wh=meter.held_wh - meter.offset_wh)
            return step.confirm(value, value - meter.held_wh, held=DoubtOutcome.CONFIRMED)
    return step.hold(value, DoubtKind.BELOW)


def close(
    meter: Meter,
    *,
    meter_stop_wh: int | None,
    received_at: datetime,
    charger_at: datetime | None,
    rated_power_w: int,
    key: ReadingKey = (0, 0, METER_STOP_N),
) -> int:
    """meterStop, the last sample of the session, by the same rules: nothing can confirm it any more, so a spike never counts.

    -1, absent or below the last confirmed value means the last confirmed value. Returns the energy that it confirmed.
    """
    if meter_stop_wh is None or meter_stop_wh < 0:
        meter.meter_stop = MeterStopRole.ABSENT
        return 0
    value = meter_stop_wh
    relative = meter.offset_wh != 0 and value < meter.start_wh
    if relative:
        value += meter.offset_wh
    if value <= meter.register_wh:
        meter.meter_stop = MeterStopRole.COUNTED if value == meter.register_wh else MeterStopRole.BELOW
        return 0
    ms = elapsed_ms(meter.read_at, meter.charger_read_at, received_at, charger_at)
    step = _Step(meter, meter_stop_wh, received_at, charger_at, None, ms, 1, key)
    forward_wh = value - meter.register_wh
    if forward_wh <= plausible_wh(rated_power_w, ms) + 1:
        meter.meter_stop = MeterStopRole.COUNTED
        if meter.offset_wh and not relative:
            step.begin(SegmentBegin.LIFETIME, from_reading=meter.reading, from_wh=meter.register_wh)
            meter.offset_wh = 0
        return step.confirm(value, forward_wh)
    meter.meter_stop = MeterStopRole.IMPLAUSIBLE
    if meter.segment_open:
        return 0
    meter.implausible = True
    if _agrees_on_jump(meter, value, received_at, charger_at, rated_power_w):
        return step.jump(value, min(forward_wh, rated_power_w * ms // MS_PER_HOUR))
    return 0


def freeze(meter: Meter, *, lost: bool) -> tuple[int, bool, EnergyEvidence]:
    """(energy to bill, whether a person is to look at it, what it rests on). `lost`: the session ended for want of readings."""
    billed_wh, implausible = billable_wh(meter)
    segments = evidence.close_segment(
        meter.trail,
        to_reading=meter.reading,
        to_wh=meter.shown_wh,
        confirmed_wh=meter.confirmed_wh,
        start_wh=meter.start_wh,
    )
    proof = evidence.judge(
        meter.trail,
        segments,
        billed_wh=billed_wh,
        confirmed_wh=meter.confirmed_wh,
        power_wh=meter.power_mwh // 1000 if meter.power_w else None,
        meter_stop=meter.meter_stop,
        implausible=implausible,
        lost=lost,
    )
    return billed_wh, implausible or lost, proof


def flowing_w(meter: Meter, rated_power_w: int) -> int:
    """The power to forecast with, on the safe side of what the next readings will say.

    The greater of what was reported and what the register says of the last stretch; where that has been rising (a car that
    begins, a neighbour that leaves), as much again, up to the rated power. Before any reading the rated power.
    """
    if meter.power_w is None and meter.rate_w is None:
        return rated_power_w
    reported_w, rate_w = meter.power_w or 0, meter.rate_w or 0
    most_w = min(max(reported_w, rate_w), rated_power_w * SPIKE_TENTHS // 10)
    rise_w = reported_w - rate_w if reported_w > 0 else meter.rise_w
    if rise_w * RISE_PARTS <= most_w:
        return most_w
    return max(most_w, min(rated_power_w, most_w + rise_w))


def billable_wh(meter: Meter) -> tuple[int, bool]:
    """(energy to bill, whether the meter is in doubt): where power x time contradicts the register, the smaller figure."""
    by_power_wh = meter.power_mwh // 1000
    larger, smaller = max(meter.confirmed_wh, by_power_wh), min(meter.confirmed_wh, by_power_wh)
    if larger >= CONTRADICTION_FROM_WH and larger > CONTRADICTION_RATIO * smaller:
        return smaller, True
    return meter.confirmed_wh, meter.implausible


def _agrees_on_jump(meter: Meter, value: int, received_at: datetime, charger_at: datetime | None, rated_power_w: int) -> bool:
    """Whether this reading goes on from a held jump: as a meter that jumped and counts on, or that always counts too fast.

    A step far beyond the held one is another spike, not its confirmation.
    """
    if meter.held_wh is None or meter.held_at is None or not meter.register_wh < meter.held_wh <= value:
        return False
    held_ms = elapsed_ms(meter.held_at, meter.held_charger_at, received_at, charger_at)
    first_step = meter.held_wh - meter.register_wh
    return value - meter.held_wh <= JUMP_RATIO * first_step + plausible_wh(rated_power_w, held_ms)


@dataclass(slots=True)
class _Step:
    """One reading on its way into the meter."""

    meter: Meter
    shown_wh: int
    """The register as the charger showed it."""
    received_at: datetime
    charger_at: datetime | None
    power_w: int | None
    ms: int
    """Time since the last confirmed reading: the larger gap."""
    resolution_wh: int
    key: ReadingKey

    def confirm(self, value: int, credit_wh: int, *, held: DoubtOutcome = DoubtOutcome.DROPPED) -> int:
        """The register stands at `value`; `credit_wh` of the way there is billed. `held`: what that says of a held reading."""
        meter = self.meter
        # A charger without a power reading, or whose power reads 0 while its register moves, has nothing to check against.
        between_ms = sampled_ms(meter.read_at, meter.charger_read_at, self.received_at, self.charger_at)
        if self.power_w is not None and self.power_w > 0 and between_ms <= _POWER_TRUST_MS:
            meter.power_mwh += self.power_w * between_ms // 3600
        else:
            meter.power_mwh += credit_wh * 1000
        if self.ms > 0:
            # Without a reported power the register's grain counts in full: a forecast may come early by it, never late.
            grain_wh = self.resolution_wh if self.power_w is None else 0
            rate_w = (credit_wh + grain_wh) * MS_PER_HOUR // self.ms
            # Two stretches of one power may show a grain of difference: so much is no rise.
            meter.rise_w = rate_w - (meter.rate_w or 0) - grain_wh * MS_PER_HOUR // self.ms
            meter.rate_w = rate_w
        meter.confirmed_wh += credit_wh
        meter.register_wh = value
        meter.read_at = self.received_at
        # A sample without a sane clock leaves none to compare with: mixing clocks would invent gaps.
        meter.charger_read_at = self.charger_at
        meter.read_epoch, meter.read_seq, meter.read_n = self.key
        if meter.held_wh is not None:
            meter.trail = evidence.settle_doubt(meter.trail, held)
            meter.held_wh = meter.held_at = meter.held_charger_at = None
        meter.segment_open = False
        return credit_wh

    def hold(self, value: int, kind: DoubtKind) -> int:
        """It waits for an explanation; one that waited already is dropped for it."""
        meter = self.meter
        if meter.held_wh is not None:
            meter.trail = evidence.settle_doubt(meter.trail, DoubtOutcome.DROPPED)
        meter.held_wh = value
        meter.held_at = self.received_at
        meter.held_charger_at = self.charger_at
        meter.trail = evidence.note_doubt(meter.trail, self.key, self.shown_wh, kind, DoubtOutcome.WAITS)
        return 0

    def jump(self, value: int, credit_wh: int) -> int:
        """Two readings agree on a step that can't be: it is a segment of its own, and not all of it counts."""
        meter = self.meter
        meter.implausible = True
        self.begin(SegmentBegin.JUMP, from_reading=meter.reading, from_wh=meter.shown_wh)
        self.confirm(value, credit_wh, held=DoubtOutcome.CONFIRMED)
        self.begin(SegmentBegin.AFTER_JUMP, from_reading=meter.reading, from_wh=meter.shown_wh)
        return credit_wh

    def begin(self, began: SegmentBegin, *, from_reading: str, from_wh: int) -> None:
        """The register's last stretch ends at the last confirmed reading; another one counts from here."""
        meter = self.meter
        meter.trail = evidence.begin_segment(
            meter.trail,
            began,
            closed_reading=meter.reading,
            closed_wh=meter.shown_wh,
            closed_confirmed_wh=meter.confirmed_wh,
            start_wh=meter.start_wh,
            from_reading=from_reading,
            from_wh=from_wh,
        )

    def held_reading(self) -> str:
        """The name of the reading that was held."""
        doubts = self.meter.trail.doubts
        return doubts[-1].reading if doubts and doubts[-1].outcome is DoubtOutcome.WAITS else self.meter.reading
