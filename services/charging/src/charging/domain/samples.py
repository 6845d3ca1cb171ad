"""What a MeterValues message says: one reading per meterValue, whatever units, phases, contexts and text a charger chose.

OCPP 1.6 §4.7 and §7.43; quirks by their row in ocpp.md: 60-70.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from charging.domain.quirk_profiles import QuirkProfile
from contracts.ocpp_gateway import UnparsedMeterValue, UnparsedSample

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


class Reading(NamedTuple):
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
    epoch: int = 0
    """With `seq` and `n` the key of the row that keeps it: (charger, epoch, seq, n)."""
    seq: int = 0


def sane_time(charger_at: datetime | None, received_at: datetime) -> datetime | None:
    """The charger's time, or None where it can't be right (row 34)."""
    if charger_at is None or charger_at < EARLIEST_SANE or charger_at > received_at + FUTURE_TOLERANCE:
        return None
    return charger_at


def parse_quantity(text: str) -> Decimal | None:
    """A charger's number: padded, fractional, with one decimal comma (rows 66, 67). None: no number, so no sample, never 0."""
    if "_" in text:
        return None  # Python would read it as a number
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


PLAIN_DIGITS_MAX = 12
"""Digits of a number that is read without Decimal: up to REGISTER_MAX_WH."""


def _quantity(text: Any, scale: int) -> tuple[int, int] | None:
    """(value x scale, resolution) of what a charger wrote; None: no number, or none that a meter can show."""
    if not isinstance(text, str):
        return None
    if text.isascii() and text.isdigit() and len(text) <= PLAIN_DIGITS_MAX:
        return int(text) * scale, scale
    value = parse_quantity(text)
    if value is None or abs(value) > REGISTER_MAX_WH:
        return None
    return _scaled(value, scale)


def _measure(samples: Sequence[UnparsedSample], unit_override: str | None = None) -> tuple[int, int] | None:
    """(value, resolution) of one measurand in one class of contexts: the phase-less total, else the phases summed (row 69)."""
    phases: dict[str, tuple[int, int]] = {}
    total: tuple[int, int] | None = None
    outlet_seen = False
    for sample in samples:
        if sample.get("format", "Raw") != "Raw":  # signed meter data is kept, never counted (row 70)
            continue
        scale = UNIT_SCALE.get(unit_override or sample.get("unit") or "Wh")
        if scale is None:
            continue
        measured = _quantity(sample.get("value"), scale)
        if measured is None:
            continue
        phase = sample.get("phase")
        if phase is None:
            # The outlet's register is what the car got; another location's stands in only where there is none.
            at_outlet = sample.get("location", "Outlet") == "Outlet"
            if total is None or (at_outlet and not outlet_seen):
                total, outlet_seen = measured, at_outlet
        else:
            phases.setdefault(phase, measured)
    if total is not None:
        return total
    if not phases:
        return None
    return sum(value for value, _ in phases.values()), max(resolution for _, resolution in phases.values()) * len(phases)


def _percent(sample: UnparsedSample) -> int | None:
    measured = _quantity(sample.get("value"), 1)
    return measured[0] if measured is not None and 0 <= measured[0] <= 100 else None


def read_message(
    meter_values: Sequence[UnparsedMeterValue],
    *,
    received_at: datetime,
    quirks: QuirkProfile | None = None,
    epoch: int = 0,
    seq: int = 0,
) -> list[Reading]:
    """One reading per meterValue, in the order in which they were taken.

    `quirks` of the charger: `energy_unit` says what its energy register is in, whatever it claims (row 61).
    """
    energy_unit = quirks.energy_unit if quirks is not None else None
    readings: list[Reading] = []
    boundary_only: list[int] = []
    live_seen = False
    for n, meter_value in enumerate(meter_values):
        live: list[UnparsedSample] = []
        boundary: list[UnparsedSample] = []
        power: list[UnparsedSample] = []
        soc: int | None = None
        for sample in meter_value.sampled_value:
            measurand = sample.get("measurand", ENERGY)
            if measurand == ENERGY:
                (boundary if sample.get("context") in BOUNDARY_CONTEXTS else live).append(sample)
            elif measurand == POWER:
                if sample.get("context") not in BOUNDARY_CONTEXTS:
                    power.append(sample)
            elif measurand == STATE_OF_CHARGE and soc is None:
                soc = _percent(sample)
        energy = _measure(live, energy_unit) if live else None
        if energy is not None:
            live_seen = True
        elif boundary:
            energy = _measure(boundary, energy_unit)
            boundary_only.append(len(readings))
        watts = _measure(power) if power else None
        if watts is not None and abs(watts[0]) > POWER_MAX_W:
            watts = None
        energy_wh, resolution_wh = energy if energy is not None else (None, 1)
        readings.append(
            Reading(
                n,
                sane_time(meter_value.timestamp, received_at),
                energy_wh,
                resolution_wh,
                watts[0] if watts is not None else None,
                soc,
                epoch,
                seq,
            )
        )
    if live_seen:
        for index in boundary_only:
            readings[index] = readings[index]._replace(energy_wh=None, resolution_wh=1)
    if len(readings) > 1 and all(reading.charger_at is not None for reading in readings):
        readings.sort(key=lambda reading: (reading.charger_at, reading.n))
    return readings
