"""BootNotification (OCPP 1.6 §4.2): always Accepted, since the handshake knew the charger. Pending would block sessions."""

from datetime import datetime
from typing import Any

import orjson

from contracts.ocpp_gateway import BootNotificationReceived
from ocpp_gateway.actions.kinds import AnswerAtOnce, Payload
from ocpp_gateway.timestamps import ocpp_time


def fields(payload: Payload, _original: Payload, _received_at: datetime) -> dict[str, Any]:
    """BootNotificationReceived."""
    return {
        "charge_point_vendor": payload["chargePointVendor"],
        "charge_point_model": payload["chargePointModel"],
        "charge_point_serial_number": payload.get("chargePointSerialNumber"),
        "charge_box_serial_number": payload.get("chargeBoxSerialNumber"),
        "firmware_version": payload.get("firmwareVersion"),
        "iccid": payload.get("iccid"),
        "imsi": payload.get("imsi"),
        "meter_type": payload.get("meterType"),
        "meter_serial_number": payload.get("meterSerialNumber"),
    }


def answer(now: datetime, heartbeat_interval_seconds: int) -> bytes:
    """BootNotification.conf."""
    return orjson.dumps({"status": "Accepted", "currentTime": ocpp_time(now), "interval": heartbeat_interval_seconds})


ACTION = AnswerAtOnce(answer, BootNotificationReceived, fields)
