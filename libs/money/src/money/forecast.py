"""When a prepaid session must be stopped so that the bill stays within the payment (architecture §3 step 4, feature B1).

Exact to the Wh: the energy that a budget affords is computed with the bill's own rounding, inverted.
"""

from money.bill import energy_and_gst_paise
from money.errors import require_bps, require_int, require_whole
from money.rounding import BASIS_POINTS, WH_PER_KWH, largest_rounding_to_at_most

# 2147 MWh, more than the signed 32-bit meterStop of OCPP can show: stands for "no limit" where the energy is free.
UNLIMITED_WH = 2**31 - 1

MS_PER_HOUR = 3_600_000  # power is W, energy Wh, time ms


def energy_affordable_wh(*, budget_paise: int, tariff_paise_per_kwh: int, gst_bps: int, platform_fee_paise: int) -> int:
    """The largest energy, in Wh, whose full bill (energy charge + GST + platform fee) does not exceed the budget.

    `final_bill` with the budget as payment has no shortfall at this energy, and one at every Wh more. A budget below the
    fee affords 0: nothing may flow. A free tariff affords UNLIMITED_WH.
    Raises NegativeQuantityError, RateOutOfRangeError, TypeError.
    """
    require_whole(budget_paise=budget_paise, tariff_paise_per_kwh=tariff_paise_per_kwh, platform_fee_paise=platform_fee_paise)
    require_bps(gst_bps=gst_bps)
    with_gst_paise = budget_paise - platform_fee_paise
    if with_gst_paise < 0:
        return 0
    if tariff_paise_per_kwh == 0:
        return UNLIMITED_WH
    # A charge of e paise with its GST is e + half_up(e·g) = half_up(e·(1 + g)), e being whole: one rounding to invert.
    charge_paise = largest_rounding_to_at_most(with_gst_paise, multiplier=BASIS_POINTS + gst_bps, divisor=BASIS_POINTS)
    energy_wh = largest_rounding_to_at_most(charge_paise, multiplier=tariff_paise_per_kwh, divisor=WH_PER_KWH)
    assert (
        sum(energy_and_gst_paise(energy_wh=energy_wh, tariff_paise_per_kwh=tariff_paise_per_kwh, gst_bps=gst_bps))
        <= with_gst_paise
    )
    return energy_wh


def milliseconds_until_wh(*, delivered_wh: int, target_wh: int, power_w: int) -> int | None:
    """Milliseconds until `delivered_wh` grows to `target_wh` at a steady `power_w`, rounded down: never past the crossing.

    0 if it is there already, whatever the power; None if it never will be (no power, or power flowing back into the grid).
    """
    require_whole(delivered_wh=delivered_wh, target_wh=target_wh)
    require_int(power_w=power_w)
    if delivered_wh >= target_wh:
        return 0
    if power_w <= 0:
        return None
    return (target_wh - delivered_wh) * MS_PER_HOUR // power_w


def forecast_stop(
    *,
    delivered_wh: int,
    power_w: int,
    stop_latency_ms: int,
    budget_paise: int,
    tariff_paise_per_kwh: int,
    gst_bps: int,
    platform_fee_paise: int,
) -> int | None:
    """Milliseconds from the last reading to when the stop is due: the budget's crossing, less the time a stop takes.

    `power_w` is the reading's power, or the connector's rated power before the first reading; `stop_latency_ms` is from the
    decision until the energy is off. 0: stop at once. None: no power flows, so no crossing is in sight until the next reading.
    """
    require_whole(stop_latency_ms=stop_latency_ms)
    affordable_wh = energy_affordable_wh(
        budget_paise=budget_paise,
        tariff_paise_per_kwh=tariff_paise_per_kwh,
        gst_bps=gst_bps,
        platform_fee_paise=platform_fee_paise,
    )
    crossing_ms = milliseconds_until_wh(delivered_wh=delivered_wh, target_wh=affordable_wh, power_w=power_w)
    if crossing_ms is None:
        return None
    return max(crossing_ms - stop_latency_ms, 0)
