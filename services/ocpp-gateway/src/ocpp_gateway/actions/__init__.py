"""What a charger may ask or tell, one file each. To add one: its file here, its row below, its table in sanitize.py."""

from ocpp_gateway.actions import (
    authorize,
    boot_notification,
    data_transfer,
    diagnostics_status_notification,
    firmware_status_notification,
    heartbeat,
    meter_values,
    start_transaction,
    status_notification,
    stop_transaction,
)
from ocpp_gateway.actions.kinds import Action, AnswerAtOnce, AskCharging, AskLane, Session, TellLane

ROUTES: dict[str, Action] = {
    "Authorize": authorize.ACTION,
    "BootNotification": boot_notification.ACTION,
    "DataTransfer": data_transfer.ACTION,
    "DiagnosticsStatusNotification": diagnostics_status_notification.ACTION,
    "FirmwareStatusNotification": firmware_status_notification.ACTION,
    "Heartbeat": heartbeat.ACTION,
    "MeterValues": meter_values.ACTION,
    "StartTransaction": start_transaction.ACTION,
    "StatusNotification": status_notification.ACTION,
    "StopTransaction": stop_transaction.ACTION,
}
"""OCPP action → how it is served."""

__all__ = ["ROUTES", "Action", "AnswerAtOnce", "AskCharging", "AskLane", "Session", "TellLane"]
