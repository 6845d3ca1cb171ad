"""StartTransaction (OCPP 1.6 §4.8): charging's decision through the lane. Without one, silence: a refusal loses the record."""

from datetime import datetime
from typing import Any

from contracts.ocpp_gateway import StartTransactionDecision, StartTransactionReceived
from ocpp_gateway.actions.authorize import id_tag_info
from ocpp_gateway.actions.kinds import AskLane, Payload, Session
from ocpp_gateway.timestamps import charger_time


def fields(payload: Payload, original: Payload, received_at: datetime) -> dict[str, Any]:
    """StartTransactionReceived. `timestamp_text` is the charger's own, so that a repeated start is recognised by it."""
    text = payload["timestamp"]
    return {
        "connector_id": payload["connectorId"],
        "id_tag": payload["idTag"].strip(),
        "meter_start_wh": payload["meterStart"],
        "timestamp": charger_time(text, received_at),
        "timestamp_text": text or str(original.get("timestamp", "")),
        "reservation_id": payload.get("reservationId"),
    }


def answer(decision: StartTransactionDecision) -> Payload:
    """StartTransaction.conf: the id is real and positive even where the status is not Accepted."""
    return {"transactionId": decision.transaction_id, "idTagInfo": id_tag_info(decision.status, decision)}


ACTION = AskLane(StartTransactionReceived, fields, StartTransactionDecision, answer, without_decision=None, session=Session.RUNS)
