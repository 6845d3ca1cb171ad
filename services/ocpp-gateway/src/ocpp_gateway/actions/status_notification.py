"""StatusNotification (OCPP 1.6 §4.9)."""

from datetime import datetime
from typing import Any

from contracts.ocpp_gateway import StatusNotificationReceived
from ocpp_gateway.actions.kinds import Payload, TellLane
from ocpp_gateway.timestamps import charger_time


def fields(payload: Payload, original: Payload, received_at: datetime) -> dict[str, Any]:
    """StatusNotificationReceived."""
    return {
        "connector_id": payload["connectorId"],
        "status": payload["status"],
        "error_code": payload["errorCode"],
        "info": payload.get("info"),
        "timestamp": charger_time(payload.get("timestamp"), received_at),
        "vendor_id": payload.get("vendorId"),
        "vendor_error_code": payload.get("vendorErrorCode"),
        "original": original or None,
    }


ACTION = TellLane(StatusNotificationReceived, fields)
