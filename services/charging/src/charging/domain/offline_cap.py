"""A cap that works while the charger is away (features.md B18): a TxProfile that falls to 0 A when the budget could be used up.

It assumes the connector's rated power throughout, so that it never comes late; while the charger is connected it is renewed
before it would cut off a car that draws less.
"""

from dataclasses import dataclass
from typing import Any

from charging.domain.charging_profiles import Capabilities, RateUnit
from charging.domain.composite_schedule import VOLTS

RENEW_SECONDS_MIN = 60
"""A cap that would fall within this is left to fall: the budget's own stop is as near."""

PROFILE_IDS = 2**31
"""chargingProfileId is a 32-bit integer: the transaction's id within it, as the stop's profile of 0 A has, which replaces it."""


@dataclass(frozen=True, slots=True)
class OfflineCap:
    """`seconds` from now until 0 A, counted at rated power."""

    seconds: int

    @property
    def renew_after_seconds(self) -> int | None:
        """When to look again: halfway, so that what is left shrinks geometrically; None: no more."""
        half = self.seconds // 2
        return half if half >= RENEW_SECONDS_MIN else None


def offline_cap(*, affordable_wh: int, used_wh: int, rated_power_w: int) -> OfflineCap:
    """The time that what is left of a budget lasts at rated power, at the least."""
    return OfflineCap(max(0, affordable_wh - used_wh) * 3600 // rated_power_w)


def cap_payload(
    cap: OfflineCap,
    *,
    connector_id: int,
    transaction_id: int,
    reported_transaction_id: int | None,
    elapsed_seconds: int,
    rated_power_w: int,
    can: Capabilities,
) -> dict[str, Any]:
    """SetChargingProfile.req. Relative: it counts from the transaction's start, so a charger's wrong clock does not move it."""
    unit = RateUnit.WATT if can.units == frozenset({RateUnit.WATT}) else RateUnit.AMPERE
    # Per phase, on one phase, rounded up: a limit that this car can't reach on any number of phases.
    open_limit = float(rated_power_w) if unit is RateUnit.WATT else float(-(-rated_power_w // VOLTS))
    falls_at = max(1, elapsed_seconds + cap.seconds)
    return {
        "connectorId": connector_id,
        "csChargingProfiles": {
            "chargingProfileId": transaction_id % PROFILE_IDS,
            "transactionId": reported_transaction_id if reported_transaction_id is not None else transaction_id,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxProfile",
            "chargingProfileKind": "Relative",
            "chargingSchedule": {
                "chargingRateUnit": unit.value,
                "chargingSchedulePeriod": [
                    {"startPeriod": 0, "limit": open_limit},
                    {"startPeriod": falls_at, "limit": 0.0},
                ],
            },
        },
    }
