"""settlement.processed in every shape that the two doc versions and the case study give it."""

from typing import Any

import pytest

from settlement.domain.settlement_event import observed_in_settlement, read_settlement
from settlement.domain.transfer import TransferStatus

ENTITY: dict[str, Any] = {
    "id": "setl_Rf8uva1MU98B4l",
    "entity": "settlement",
    "amount": 1524,
    "status": "processed",
    "fees": 0,
    "tax": 0,
    "utr": "AXISCN1153863727",
    "created_at": 1763019089,
}
ITEM = {"id": "trf_1", "amount": 1524, "fee": 5, "tax": 0}
SHAPES = {
    "none": {"settlement": {"entity": ENTITY}},
    "an empty list": {"settlement": {"entity": {**ENTITY, "transfers": []}}},
    "in the entity": {"settlement": {"entity": {**ENTITY, "transfers": [ITEM]}}},
    "a collection in the entity": {"settlement": {"entity": {**ENTITY, "transfers": {"count": 1, "items": [ITEM]}}}},
    "beside it": {"settlement": {"entity": ENTITY}, "transfers": [ITEM]},
    "wrapped beside it": {"settlement": {"entity": ENTITY}, "transfers": {"items": [{"entity": ITEM}]}},
    "by transfer_id": {"settlement": {"entity": ENTITY}, "transfers": [{"transfer_id": "trf_1", "amount": 1524, "fee": 5}]},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_list_is_found_wherever_it_is(shape: str) -> None:
    seen = read_settlement(SHAPES[shape])
    assert (seen.razorpay_settlement_id, seen.amount_paise, seen.utr) == (ENTITY["id"], 1524, "AXISCN1153863727")
    if shape in ("none", "an empty list"):
        # An empty list proves nothing: the transfers are asked for.
        assert seen.listed is None
        return
    assert seen.listed is not None
    [observed] = [observed_in_settlement(item, seen.razorpay_settlement_id) for item in seen.listed]
    assert observed.status is TransferStatus.SETTLED
    assert (observed.razorpay_transfer_id, observed.amount_paise, observed.fee_paise) == ("trf_1", 1524, 5)
    assert observed.razorpay_settlement_id == ENTITY["id"]


@pytest.mark.parametrize(
    "payload", [{}, {"settlement": None}, {"settlement": {"entity": {}}}, {"settlement": {"entity": {"id": 7}}}]
)
def test_no_settlement_is_an_error(payload: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="without a settlement"):
        read_settlement(payload)
