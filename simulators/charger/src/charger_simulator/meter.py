"""A connector's energy meter: the exact integral of power over the clock."""

from __future__ import annotations

from charger_simulator.clock import NANOSECONDS_PER_SECOND, Clock, nanoseconds

WATT_NANOSECONDS_PER_WH = 3_600 * NANOSECONDS_PER_SECOND


class Meter:
    """Integrates whole watts over whole nanoseconds in one integer: no drift, whatever the order or length of the steps."""

    __slots__ = ("_clock", "_energy", "_power_w", "_since")

    def __init__(self, clock: Clock, start_wh: int) -> None:
        self._clock = clock
        self._energy = start_wh * WATT_NANOSECONDS_PER_WH
        self._power_w = 0
        self._since = nanoseconds(clock)

    @property
    def power_w(self) -> int:
        return self._power_w

    @power_w.setter
    def power_w(self, watts: int) -> None:
        if watts < 0:
            raise ValueError(f"power can't be negative: {watts} W")
        self._energy, self._since = self._total(), nanoseconds(self._clock)
        self._power_w = watts

    @property
    def wh(self) -> int:
        """The register in Wh, as a register shows it: the fraction is kept inside and not shown."""
        return self._total() // WATT_NANOSECONDS_PER_WH

    def _total(self) -> int:
        return self._energy + self._power_w * (nanoseconds(self._clock) - self._since)
