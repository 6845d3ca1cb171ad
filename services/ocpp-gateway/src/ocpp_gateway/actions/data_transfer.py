"""DataTransfer (OCPP 1.6 §4.3): charging knows the vendors. Rejected where it can't be asked: nothing is lost by that."""

from datetime import datetime
from typing import Any

from contracts.ocpp_gateway import DataTransferDecision, DataTransferReceived
from ocpp_gateway.actions.kinds import AskLane, Payload
from ocpp_gateway.frames import too_deep


def fields(payload: Payload, _original: Payload, _received_at: datetime) -> dict[str, Any]:
    """DataTransferReceived; `data` as it came, text or object (ocpp.md row 90)."""
    data = payload.get("data")
    return {
        "vendor_id": payload["vendorId"],
        "message_id_text": payload.get("messageId"),
        "data": None if too_deep(data) else data,
    }


def answer(decision: DataTransferDecision) -> Payload:
    """DataTransfer.conf."""
    return {"status": decision.status} | ({"data": decision.data} if decision.data is not None else {})


ACTION = AskLane(DataTransferReceived, fields, DataTransferDecision, answer, without_decision=b'{"status":"Rejected"}')
