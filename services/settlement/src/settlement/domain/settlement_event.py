"""What a `settlement.processed` says (razorpay.md §5.6), with or without a list of its transfers."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from settlement.domain.transfer import Observed, TransferStatus


class SettlementStatus(StrEnum):
    """RECEIVED → MATCHED | OWN."""

    RECEIVED = "RECEIVED"
    """Its transfers are to be looked up."""
    MATCHED = "MATCHED"
    """Transfers of ours are in it: they are settled."""
    OWN = "OWN"
    """None of our transfers is in it: our own settlement, or another environment's. Recorded, nothing more."""


@dataclass(frozen=True, slots=True)
class SettlementSeen:
    """A settlement entity, and its transfers where Razorpay listed them; None: they must be asked for."""

    razorpay_settlement_id: str
    amount_paise: int
    fee_paise: int
    tax_paise: int
    utr: str | None
    status: str
    listed: tuple[dict[str, Any], ...] | None


def read_settlement(payload: Mapping[str, Any]) -> SettlementSeen:
    """Read the payload of a settlement.* event. Raises ValueError where there is no settlement in it."""
    entity = _entity(payload.get("settlement"))
    if entity is None or not isinstance(entity.get("id"), str):
        raise ValueError("a settlement event without a settlement")
    listed = _items(entity.get("transfers"))
    if listed is None:
        listed = _items(payload.get("transfers"))
    return SettlementSeen(
        razorpay_settlement_id=entity["id"],
        amount_paise=_whole(entity.get("amount")),
        fee_paise=_whole(entity.get("fees")),
        tax_paise=_whole(entity.get("tax")),
        utr=str(entity["utr"]) if entity.get("utr") else None,
        status=str(entity.get("status") or "processed"),
        listed=tuple(listed) if listed else None,
    )


def observed_in_settlement(item: Mapping[str, Any], razorpay_settlement_id: str) -> Observed:
    """One transfer of a settlement: being in it is what settled means, whatever else the item tells. Raises KeyError."""
    seen = Observed.from_entity(item)
    return Observed(
        razorpay_transfer_id=seen.razorpay_transfer_id,
        status=TransferStatus.SETTLED,
        amount_paise=seen.amount_paise,
        key=seen.key,
        environment=seen.environment,
        fee_paise=seen.fee_paise,
        tax_paise=seen.tax_paise,
        razorpay_settlement_id=razorpay_settlement_id,
        reversed_paise=seen.reversed_paise,
    )


def _entity(part: object) -> Mapping[str, Any] | None:
    if not isinstance(part, Mapping):
        return None
    inner = part.get("entity")
    return inner if isinstance(inner, Mapping) else part


def _items(part: object) -> list[dict[str, Any]] | None:
    """A list of transfers in any of the shapes seen: a list, a collection, entities or wrapped entities."""
    if isinstance(part, Mapping):
        part = part.get("items")
    if not isinstance(part, list):
        return None
    found = []
    for wrapped in part:
        entity = _entity(wrapped)
        name = None if entity is None else entity.get("id") or entity.get("transfer_id")
        if entity is not None and isinstance(name, str):
            found.append({**entity, "id": name})
    return found


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
