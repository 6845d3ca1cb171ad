"""StopTransaction (OCPP 1.6 §4.10): never refused. A charger that was told no throws the billing record away, or hangs."""

from datetime import datetime
from typing import Any

from contracts.base import Query
from contracts.ocpp_gateway import AuthorizeRequested, StopTransactionReceived
from ocpp_gateway.actions import authorize
from ocpp_gateway.actions.kinds import AskCharging, Payload, Session, TellLane
from ocpp_gateway.actions.meter_values import meter_value
from ocpp_gateway.timestamps import charger_time


def fields(payload: Payload, original: Payload, received_at: datetime) -> dict[str, Any]:
    """StopTransactionReceived. An absent reason is Local (§4.10), an unknown one was made Other by the sanitiser."""
    return {
        "transaction_id": payload.get("transactionId"),
        "meter_stop_wh": payload.get("meterStop"),
        "id_tag": payload.get("idTag"),
        "timestamp": charger_time(payload.get("timestamp"), received_at),
        "reason": payload.get("reason", "Local"),
        "original_reason": str(original["reason"]) if "reason" in original else None,
        "transaction_data": meter_value(payload.get("transactionData", []), received_at),
    }


def tag_question(charge_point_id: str, payload: Payload) -> Query | None:
    """What there is to say of the idTag that it was stopped with; many send none, or an empty one (row 82)."""
    id_tag = payload.get("idTag")
    return AuthorizeRequested(charge_point_id=charge_point_id, id_tag=id_tag.strip()) if id_tag and id_tag.strip() else None


ACTION = TellLane(
    StopTransactionReceived,
    fields,
    answer=b'{"idTagInfo":{"status":"Accepted"}}',
    session=Session.ENDS,
    informed=AskCharging(tag_question, authorize.answer),
)
