"""FirmwareStatusNotification (OCPP 1.6 §4.5)."""

from datetime import datetime
from typing import Any

from contracts.ocpp_gateway import FirmwareStatusReceived
from ocpp_gateway.actions.kinds import Payload, TellLane


def fields(payload: Payload, _original: Payload, _received_at: datetime) -> dict[str, Any]:
    """FirmwareStatusReceived."""
    return {"status": payload["status"]}


ACTION = TellLane(FirmwareStatusReceived, fields)
