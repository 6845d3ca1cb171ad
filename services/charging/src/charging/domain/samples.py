"""What a MeterValues message says: one reading per meterValue, whatever units, phases, contexts and text a charger chose.

OCPP 1.6 §4.7 and §7.43; quirks by their row in ocpp.md: 60-70.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from contracts.ocpp_gateway import MeterValue, SampledValue

ENERGY = "Energy.Active.Import.Register"
POWER = "Power.Active.Import"
STATE_OF_CHARGE = "SoC"

BOUNDARY_CONTEXTS = frozenset({"Transaction.Begin", "Transaction.End"})
"""A boundary context repeats an old register; a live one in the same message beats it (row 64: 103 sessions at 0 kWh)."""

UNIT_SCALE: Mapping[str, int] = {"Wh": 1, "kWh": 1000, "W": 1, "kW": 1000}
"""Units that mean what the measurand's default does, and their factor to it. Another unit's sample is not used."""

EARLIEST_SANE = datetime(2015, 1, 1, tzinfo=UTC)
"""Chargers without a clock start at 1970 or 2000 (row 34); OCPP 1.6 is of 2015."""
FUTURE_TOLERANCE = timedelta(days=1)
"""A clock further ahead than this is wrong (row 34)."""

REGISTER_MAX_WH = 10**12
"""A million MWh: nothing an EV meter can have counted. A larger figure is garbage, and would not fit the sums."""


POWER_MAX_W = 10_000_000
"""Ten megawatts, above any charger: a larger figure is garbage, and summed over time would not fit either."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One meterValue, normalised."""

    n: int
    """Its place in the message: part of the sample's natural key."""
    charger_at: datetime | None
    """The charger's clock, None where it can't be right."""
    energy_wh: int | None
    """The import register; None where there is none, or only a boundary one beside a live one."""
    resolution_wh: int
    """What one step of the register's last digit is worth: a true step may look this much larger."""
    power_w: int | None
    soc_percent: int | None


def sane_time(charger_at: datetime | None, received_at: datetime) -> datetime | None:
    """The charger's time, or None where it can't be right (row 34)."""
    if charger_at is None or charger_at < EARLIEST_SANE or charger_at > received_at + FUTURE_TOLERANCE:
        return None
    return charger_at


def parse_quantity(text: str) -> Decimal | None:
    """A charger's number: padded, fractional, with one decimal comma (rows 66, 67). None: no number, so no sample, never 0."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        if text.count(",") != 1 or "." in text:
            return None
        try:
            value = Decimal(text.replace(",", "."))
        except InvalidOperation:
            return None
    return value if value.is_finite() else None


def _scaled(value: Decimal, scale: int) -> tuple[int, int]:
    """(value x scale rounded half up, what a step of the last digit is worth, at least 1)."""
    exponent = value.as_tuple().exponent
    decimals = -exponent if isinstance(exponent, int) and exponent < 0 else 0
    scaled = value * scale
    whole = int((scaled * 2 + 1) // 2) if scaled >= 0 else -int((-scaled * 2 + 1) // 2)
    return whole, max(1, scale // 10**decimals if decimals < 7 else 1)


def _measure(samples: Sequence[SampledValue], unit_override: str | None = None) -> tuple[int, int] | None:
    """(value, resolution) of one measurand in one class of contexts: the phase-less total, else the phases summed (row 69)."""
    phases: dict[str, tuple[int, int]] = {}
    total: tuple[int, int] | None = None
    outlet_seen = False
    for sample in samples:
        if sample.format != "Raw":  # signed meter data is kept, never counted (row 70)
            continue
        scale = UNIT_SCALE.get(unit_override or sample.unit or "Wh")
        if scale is None:
            continue
        value = parse_quantity(sample.value)
        if value is None or abs(value) > REGISTER_MAX_WH:
            continue
        if sample.phase is None:
            # The outlet's register is what the car got; another location's stands in only where there is none.
            if total is None or (sample.location == "Outlet" and not outlet_seen):
                total = _scaled(value, scale)
                outlet_seen = sample.location == "Outlet"
        else:
            phases.setdefault(sample.phase, _scaled(value, scale))
    if total is not None:
        return total
    if not phases:
        return None
    return sum(value for value, _ in phases.values()), max(resolution for _, resolution in phases.values()) * len(phases)


def read_message(
    meter_values: Sequence[MeterValue], *, received_at: datetime, quirks: Mapping[str, Any] | None = None
) -> list[Reading]:
    """One reading per meterValue, in the order in which they were taken.

    `quirks` are the charger's overrides: `energy_unit` says what its energy register is in, whatever it claims (row 61).
    """
    energy_unit = quirks.get("energy_unit") if quirks else None
    readings: list[Reading] = []
    boundary_only: list[int] = []
    live_seen = False
    for n, meter_value in enumerate(meter_values):
        live: list[SampledValue] = []
        boundary: list[SampledValue] = []
        power: list[SampledValue] = []
        soc: int | None = None
        for sample in meter_value.sampled_value:
            measurand = sample.measurand
            if measurand == ENERGY:
                (boundary if sample.context in BOUNDARY_CONTEXTS else live).append(sample)
            elif measurand == POWER:
                if sample.context not in BOUNDARY_CONTEXTS:
                    power.append(sample)
            elif measurand == STATE_OF_CHARGE and soc is None:
                percent = parse_quantity(sample.value)
                soc = int(percent) if percent is not None and 0 <= percent <= 100 else None
        energy = _measure(live, energy_unit) if live else None
        if energy is not None:
            live_seen = True
        elif boundary:
            energy = _measure(boundary, energy_unit)
            boundary_only.append(len(readings))
        watts = _measure(power) if power else None
        if watts is not None and abs(watts[0]) > POWER_MAX_W:
            watts = None
        readings.append(
            Reading(
                n=n,
                charger_at=sane_time(meter_value.timestamp, received_at),
                energy_wh=energy[0] if energy is not None else None,
                resolution_wh=energy[1] if energy is not None else 1,
                power_w=watts[0] if watts is not None else None,
                soc_percent=soc,
            )
        )
    if live_seen:
        for index in boundary_only:
            reading = readings[index]
            readings[index] = Reading(reading.n, reading.charger_at, None, 1, reading.power_w, reading.soc_percent)
    if len(readings) > 1 and all(reading.charger_at is not None for reading in readings):
        readings.sort(key=lambda reading: (reading.charger_at, reading.n))
    return readings
