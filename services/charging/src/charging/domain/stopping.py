"""Making a charger really stop: repeat, then escalate, each once, by the model's policy (ocpp.md Part 0, rows 87-88)."""

from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Any


class StopMeans(StrEnum):
    """How one attempt tries to stop the energy."""

    REMOTE_STOP = "REMOTE_STOP"
    PROFILE_ZERO = "PROFILE_ZERO"
    """A charging profile of 0 A on the connector."""
    INOPERATIVE = "INOPERATIVE"
    RESET_HARD = "RESET_HARD"
    """The last resort: a hard reset may lose the charger's queue (§5.14), and it ends the neighbours' sessions too."""


PLAIN_STOPS_FIRST = 2
"""RemoteStop is tried so often before anything stronger: the first may have been lost, the second tells."""

DEFAULT_ESCALATION = (StopMeans.PROFILE_ZERO, StopMeans.INOPERATIVE, StopMeans.RESET_HARD)


LATENCY_MIN_MS = 500
LATENCY_MAX_MS = 15_000
"""What is learned of a charger's stops stays within these: none is faster, and a slower one is a fault, no habit."""
LATENCY_MARGIN_MS = 1000
"""Kept in hand above what was learned, or guessed: networks and contactors vary by about so much from stop to stop."""
LATENCY_SINKS_BY = 8
"""A slower stop is believed at once, a faster one only by an eighth: being late costs us, being early the rider very little."""


def learn_latency(known_ms: int | None, seen_ms: int) -> int:
    """What to expect of a charger's next stop, from deciding on it until its energy is off, after one that took `seen_ms`."""
    seen_ms = min(max(seen_ms, LATENCY_MIN_MS), LATENCY_MAX_MS)
    if known_ms is None or seen_ms >= known_ms:
        return seen_ms
    return known_ms - (known_ms - seen_ms) // LATENCY_SINKS_BY


def means_of_attempt(attempt: int, escalation: Sequence[StopMeans], tried: Collection[StopMeans]) -> StopMeans:
    """What the nth attempt (from 1) does while the energy goes on: two plain stops, each stronger means once, then plain stops.

    `tried`: what earlier attempts did. A later one may have been plain, where nothing was known of the energy.
    """
    if attempt <= PLAIN_STOPS_FIRST:
        return StopMeans.REMOTE_STOP
    return next((means for means in escalation if means not in tried), StopMeans.REMOTE_STOP)


def stop_command(
    means: StopMeans,
    *,
    transaction_id: int,
    reported_transaction_id: int | None,
    attempt: int,
    connector_id: int,
    reported_first: bool = False,
) -> tuple[str, dict[str, Any]]:
    """(OCPP action, payload) of an attempt. Every other plain stop uses the id that the charger itself uses (row 51).

    `reported_first`: of a model known to keep another id, so the first attempt already does.
    """
    if means is StopMeans.PROFILE_ZERO:
        return "SetChargingProfile", {
            "connectorId": connector_id,
            "csChargingProfiles": {
                "chargingProfileId": transaction_id % 2**31,
                "transactionId": transaction_id,
                "stackLevel": 0,
                "chargingProfilePurpose": "TxProfile",
                "chargingProfileKind": "Relative",
                "chargingSchedule": {
                    "chargingRateUnit": "A",
                    "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 0.0}],
                },
            },
        }
    if means is StopMeans.INOPERATIVE:
        return "ChangeAvailability", {"connectorId": connector_id, "type": "Inoperative"}
    if means is StopMeans.RESET_HARD:
        return "Reset", {"type": "Hard"}
    use_reported = reported_transaction_id is not None and attempt % 2 == (1 if reported_first else 0)
    return "RemoteStopTransaction", {"transactionId": reported_transaction_id if use_reported else transaction_id}
