"""OCPP commands: which exist, what their answers mean, who goes first."""

from collections.abc import Mapping
from typing import Any

from charging.domain.states import CommandHappening
from contracts.ocpp_gateway import CommandOutcome

OPERATIONS = frozenset(
    {
        # Core (OCPP 1.6 §5)
        "ChangeAvailability",
        "ChangeConfiguration",
        "ClearCache",
        "DataTransfer",
        "GetConfiguration",
        "RemoteStartTransaction",
        "RemoteStopTransaction",
        "Reset",
        "UnlockConnector",
        # Remote Trigger, Smart Charging
        "TriggerMessage",
        "SetChargingProfile",
        "ClearChargingProfile",
        "GetCompositeSchedule",
        # Local Auth List, Reservation, Firmware Management
        "GetLocalListVersion",
        "SendLocalList",
        "ReserveNow",
        "CancelReservation",
        "GetDiagnostics",
        "UpdateFirmware",
    }
)
"""Every operation that a Central System initiates in OCPP 1.6."""

REFUSALS = frozenset(
    {
        "Rejected",
        "NotSupported",
        "NotImplemented",
        "UnlockFailed",
        "Failed",
        "VersionMismatch",
        "Faulted",
        "Occupied",
        "Unavailable",
        "UnknownMessageId",
        "UnknownVendorId",
    }
)
"""Answers of OCPP 1.6 §7 by which a charger declines. RebootRequired and Scheduled are acceptances."""

PRIORITY_STOP = 0
PRIORITY_START = 1
PRIORITY_OTHER = 5
PRIORITY_CARE = 9

CARE = "configuration"
"""Trigger of what keeps a charger's configuration in order."""


def priority_of(action: str, trigger: str = "") -> int:
    """A RemoteStop goes ahead of every other command, a RemoteStart ahead of the rest; configuration is behind them all."""
    if trigger == CARE:
        return PRIORITY_CARE
    return {"RemoteStopTransaction": PRIORITY_STOP, "RemoteStartTransaction": PRIORITY_START}.get(action, PRIORITY_OTHER)


def happening_of(outcome: CommandOutcome, response: Mapping[str, Any] | None) -> CommandHappening:
    """What an outcome on the wire means to the command. TIMED_OUT stays apart from the other unknowns: the charger was there."""
    if outcome is CommandOutcome.ANSWERED:
        status = (response or {}).get("status")
        return CommandHappening.REJECTED if status in REFUSALS else CommandHappening.ANSWERED
    return {
        CommandOutcome.CALL_ERROR: CommandHappening.CALL_ERROR,
        CommandOutcome.NOT_SENT: CommandHappening.NOT_SENT,
        CommandOutcome.TIMED_OUT: CommandHappening.TIMED_OUT,
        CommandOutcome.CONNECTION_LOST: CommandHappening.LOST,
        CommandOutcome.UNKNOWN: CommandHappening.LOST,
    }[outcome]
