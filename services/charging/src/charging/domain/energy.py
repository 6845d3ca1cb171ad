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

SPIKE_TENTHS = 12
"""A step above 1.2 x rated power x time is a spike: meters and clocks are inexact, contactors are not."""

JUMP_RATIO = 2
"""A second over-fast step may be this many times the first, for jitter of the readings, and still agree with it."""

POWER_TRUST_GAP = timedelta(seconds=120)
"""Between readings further apart than this the last power says nothing: the register's own step is taken for the cross-check."""
CONTRADICTION_FROM_WH = 500
"""Below this the cross-check of register against power x time compares rounding."""
CONTRADICTION_RATIO = 2
"""Register and power x time that differ by more than this factor contradict each other (row 61: kWh labelled Wh)."""

_MS_PER_HOUR = 3_600_000
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
    return rated_power_w * SPIKE_TENTHS * ms // (10 * _MS_PER_HOUR)


def take(
    meter: Meter,
    *,
    value_wh: int,
    resolution_wh: int,
    received_at: datetime,
    charger_at: datetime | None,
    rated_power_w: int,
    power_w: int | None = None,
) -> int:
    """Show the meter one reading; returns the energy that it confirmed, in Wh, 0 or more. Never raises for any figure."""
    if power_w is not None:
        meter.power_w = power_w
    value = value_wh + meter.offset_wh
    ms = elapsed_ms(meter.read_at, meter.charger_read_at, received_at, charger_at)
    limit_wh = plausible_wh(rated_power_w, ms) + resolution_wh
    if meter.offset_wh and 0 <= value_wh - meter.register_wh <= limit_wh:
        # The register fits as it stands: it was a lifetime register after all, whose first readings were glitches.
        meter.offset_wh = 0
        value = value_wh

    if value >= meter.register_wh:
        step = value - meter.register_wh
        if step <= limit_wh:
            return _confirm(meter, value, step, received_at, charger_at, power_w, ms, resolution_wh)
        if meter.segment_open:
            return _confirm(meter, value, 0, received_at, charger_at, power_w, ms, resolution_wh)
        if _agrees_on_jump(meter, value, received_at, charger_at, rated_power_w):
            # Two readings agree on a jump that the connector can't have delivered: the smaller figure, and a person looks at it.
            meter.implausible = True
            credit = min(step, rated_power_w * ms // _MS_PER_HOUR)
            return _confirm(meter, value, credit, received_at, charger_at, power_w, ms, resolution_wh)
        return _hold(meter, value, received_at, charger_at)

    if meter.segment_open:
        return _confirm(meter, value, 0, received_at, charger_at, power_w, ms, resolution_wh)
    if charger_at is not None and meter.charger_read_at is not None and charger_at < meter.charger_read_at:
        return 0  # an old record that arrives late: the register has been past it already, it moves nothing (row 36)
    if meter.held_wh is not None and meter.held_wh <= value:
        assert meter.held_at is not None
        held_ms = elapsed_ms(meter.held_at, meter.held_charger_at, received_at, charger_at)
        if value - meter.held_wh <= plausible_wh(rated_power_w, held_ms) + resolution_wh:
            never_read = meter.confirmed_wh == 0 and meter.offset_wh == 0 and meter.register_wh == meter.start_wh
            if never_read and 0 <= value_wh <= limit_wh:
                # The first readings lie below meterStart and fit the time since the start: it counts the session (row 62).
                meter.offset_wh = meter.start_wh
                return _confirm(meter, value + meter.start_wh, value_wh, received_at, charger_at, power_w, ms, resolution_wh)
            return _confirm(meter, value, value - meter.held_wh, received_at, charger_at, power_w, ms, resolution_wh)
    return _hold(meter, value, received_at, charger_at)


def close(
    meter: Meter, *, meter_stop_wh: int | None, received_at: datetime, charger_at: datetime | None, rated_power_w: int
) -> int:
    """meterStop, the last sample of the session, by the same rules: nothing can confirm it any more, so a spike never counts.

    -1, absent or below the last confirmed value means the last confirmed value. Returns the energy that it confirmed.
    """
    if meter_stop_wh is None or meter_stop_wh < 0:
        return 0
    value = meter_stop_wh
    if meter.offset_wh and value < meter.start_wh:
        value += meter.offset_wh
    if value <= meter.register_wh:
        return 0
    ms = elapsed_ms(meter.read_at, meter.charger_read_at, received_at, charger_at)
    step = value - meter.register_wh
    if step <= plausible_wh(rated_power_w, ms) + 1:
        return _confirm(meter, value, step, received_at, charger_at, None, ms, 1)
    if meter.segment_open:
        return 0
    meter.implausible = True
    if _agrees_on_jump(meter, value, received_at, charger_at, rated_power_w):
        return _confirm(meter, value, min(step, rated_power_w * ms // _MS_PER_HOUR), received_at, charger_at, None, ms, 1)
    return 0


def flowing_w(meter: Meter, rated_power_w: int) -> int:
    """The power to forecast with: as reported, unless the register says it is clearly more; before any reading, the rated one."""
    if meter.power_w is None and meter.rate_w is None:
        return rated_power_w
    reported_w, rate_w = meter.power_w or 0, meter.rate_w or 0
    power_w = rate_w if rate_w * 10 > reported_w * SPIKE_TENTHS else reported_w
    return min(power_w, rated_power_w * SPIKE_TENTHS // 10)


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


def _confirm(
    meter: Meter,
    value: int,
    credit_wh: int,
    received_at: datetime,
    charger_at: datetime | None,
    power_w: int | None,
    ms: int,
    resolution_wh: int,
) -> int:
    """The register stands at `value`; `credit_wh` of the way there is billed."""
    # A charger without a power reading, or whose power reads 0 while its register moves, has nothing to check against.
    between_ms = sampled_ms(meter.read_at, meter.charger_read_at, received_at, charger_at)
    if power_w is not None and power_w > 0 and timedelta(milliseconds=between_ms) <= POWER_TRUST_GAP:
        meter.power_mwh += power_w * between_ms // 3600
    else:
        meter.power_mwh += credit_wh * 1000
    if ms > 0:
        # Without a reported power the register's grain counts in full: a forecast may come early by it, never late.
        grain_wh = resolution_wh if power_w is None else 0
        meter.rate_w = (credit_wh + grain_wh) * _MS_PER_HOUR // ms
    meter.confirmed_wh += credit_wh
    meter.register_wh = value
    meter.read_at = received_at
    # A sample without a sane clock leaves none to compare with: mixing clocks would invent gaps.
    meter.charger_read_at = charger_at
    meter.held_wh = meter.held_at = meter.held_charger_at = None
    meter.segment_open = False
    return credit_wh


def _hold(meter: Meter, value: int, received_at: datetime, charger_at: datetime | None) -> int:
    meter.held_wh = value
    meter.held_at = received_at
    meter.held_charger_at = charger_at
    return 0
