"""MeterValues (OCPP 1.6 §4.7): the hot path. Samples travel as they are, trimmed; charging judges them."""

from datetime import datetime
from typing import Any

from contracts.ocpp_gateway import MeterValuesReceived
from ocpp_gateway.actions.kinds import Payload, Session, TellLane
from ocpp_gateway.timestamps import charger_time


def meter_value(entries: list[dict[str, Any]], received_at: datetime) -> list[dict[str, Any]]:
    """OCPP `meterValue` or `transactionData` as contracts.MeterValue. A sample's keys are the contract's already."""
    for entry in entries:
        for sample in entry["sampledValue"]:
            value = sample["value"]
            trimmed = value.strip()
            if trimmed is not value:
                sample["value"] = trimmed
    return [
        {"timestamp": charger_time(entry["timestamp"], received_at), "sampled_value": entry["sampledValue"]} for entry in entries
    ]


def fields(payload: Payload, _original: Payload, received_at: datetime) -> dict[str, Any]:
    """MeterValuesReceived."""
    return {
        "connector_id": payload["connectorId"],
        "transaction_id": payload.get("transactionId"),
        "meter_value": meter_value(payload["meterValue"], received_at),
    }


ACTION = TellLane(MeterValuesReceived, fields, session=Session.RUNS)
