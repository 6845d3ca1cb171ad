"""Authorize (OCPP 1.6 §4.1): charging's decision, or silence."""

from contracts.base import Query
from contracts.ocpp_gateway import AuthorizeAnswer, AuthorizeRequested, IdTagStatus
from ocpp_gateway.actions.kinds import AskCharging, Payload
from ocpp_gateway.timestamps import ocpp_time


def id_tag_info(status: IdTagStatus, answer: object) -> Payload:
    """IdTagInfo (§7.27) of a decision that has `expiry_date` and `parent_id_tag`."""
    info: Payload = {"status": status.value}
    expiry_date = getattr(answer, "expiry_date", None)
    if expiry_date is not None:
        info["expiryDate"] = ocpp_time(expiry_date)
    parent_id_tag = getattr(answer, "parent_id_tag", None)
    if parent_id_tag is not None:
        info["parentIdTag"] = parent_id_tag
    return info


def question(charge_point_id: str, payload: Payload) -> Query:
    """AuthorizeRequested."""
    return AuthorizeRequested(charge_point_id=charge_point_id, id_tag=payload["idTag"])


def answer(decision: AuthorizeAnswer) -> Payload:
    """Authorize.conf."""
    return {"idTagInfo": id_tag_info(decision.status, decision)}


ACTION = AskCharging(question, answer)
